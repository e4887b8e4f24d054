"""Sensors that fall silent become incidents: by their own rhythm, without a setting.

How long a sensor usually pauses is learned; a silence gets the return rate of pauses at least as
long, on the scale of the alarm budget. Wall-clock time moves it, so it is looked at from time to
time and not with readings.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from redshank.core.clock import DAY, MINUTE, SECOND
from redshank.core.records import SILENT, Incident
from redshank.pipeline import explain
from redshank.pipeline.incidents import incident_id, severity
from redshank.pipeline.pipeline import Pipeline

SHARE = 0.15
"""Part of the alarm budget that silences may spend."""
FORGOTTEN = 30 * DAY
"""A sensor that was silent for so long before anybody looked is history, not news."""


class Silences:
    """Which sensors are silent.

    Args:
        pipeline: knows when each sensor reported the last time.
        started: before this nobody listened, wall clock, microseconds.
        open_now: incidents that were open when the store was closed.
    """

    def __init__(self, pipeline: Pipeline, started: int, open_now: Iterable[Incident] = ()) -> None:
        self._pipeline = pipeline
        self._started = started
        self._open = {i.sensor_id: i for i in open_now if i.kind == SILENT}

    def look(self, now: int) -> list[Incident]:
        """Silences that began, went on notably or ended up to now.

        Args:
            now: wall clock, microseconds.
        """
        changed = self._ended()
        quiet = self._pipeline.quiet(self._started, now)
        rate = quiet.rate / np.float32(SHARE)
        recent = now - quiet.newest < FORGOTTEN
        for at in np.flatnonzero((rate <= quiet.budget) & recent).tolist():
            sensor_id = quiet.sensor_ids[at]
            told = self._open.get(sensor_id)
            if told is None or now - told.last >= max(MINUTE, (told.last - told.opened) // 5):
                since = told.opened if told else int(quiet.since[at])
                known = float(rate[at]), float(quiet.budget[at]), float(quiet.interval[at])
                incident = self._incident(sensor_id, since, now, *known)
                self._open[sensor_id] = incident
                changed.append(incident)
        return changed

    def _ended(self) -> list[Incident]:
        """Silences of sensors that have reported again."""
        ended = []
        for sensor_id, incident in list(self._open.items()):
            if sensor_id not in self._pipeline:
                continue
            newest = self._pipeline.newest_of(sensor_id)
            if newest > incident.opened:
                ended.append(replace(incident, closed=newest, last=max(incident.last, newest)))
                del self._open[sensor_id]
        return ended

    def _incident(
        self, sensor_id: str, since: int, now: int, rate: float, budget: float, interval: float
    ) -> Incident:
        info = self._pipeline.describe(sensor_id)
        silent = explain.duration((now - since) / SECOND)
        usual = explain.duration(interval) if interval >= 1 else f"{interval:.2g} s"
        return Incident(
            id=incident_id(f"{sensor_id}\0{SILENT}", since),
            sensor_id=sensor_id,
            opened=since,
            last=now,
            closed=None,
            severity=severity(rate, budget),
            kind=SILENT,
            rate=rate,
            score=0.0,
            peak=now,
            rows=0,
            budget=budget,
            evidence=(),
            calm=(),
            title=f"silent for {silent}",
            text=f"{info.name or sensor_id} usually reports every {usual}; silent for {silent}, "
            f"since {explain.moment(since)}. {explain.odds(rate)}",
        )
