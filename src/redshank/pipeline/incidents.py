"""Anomalous rows of one sensor that belong together become one incident."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import replace

import numpy as np

from redshank.core.batch import Bytes
from redshank.core.clock import SECOND
from redshank.core.records import (
    BY_RHYTHM,
    Evidence,
    Flag,
    Incident,
    SensorInfo,
    Verdicts,
)
from redshank.detect.alarm import Alarm
from redshank.detect.streaming import Cause
from redshank.pipeline import explain, faults, meanwhile
from redshank.pipeline.running import Rows, Running, Seen, extend, opened, severity

CALM_SHARE = 0.15
"""A channel that brought less of the evidence than this, over all rows, stayed normal."""

STANDING = frozenset({Cause.STUCK, Cause.FREEZE, Cause.FLAT_LINE})
"""Causes that speak of a channel that does not move."""

Describe = Callable[[str], SensorInfo]


class Tracker:
    """Follows the incidents of all sensors.

    Args:
        describe: what is registered of a sensor, for names and units.
    """

    def __init__(self, describe: Describe) -> None:
        self._describe = describe
        self.running: dict[str, Running] = {}

    def follow(self, rows: Verdicts, seen: Seen) -> list[Incident]:
        """Incidents that opened, changed or closed with these rows.

        Args:
            rows: verdicts in time order for each sensor.
            seen: what else is known of them.
        """
        changed: dict[str, Incident] = {}
        concerned = seen.alarm & (Alarm.OPEN | Alarm.CLOSED) != 0
        for sensor in np.unique(rows.sensor[concerned]):
            where = np.flatnonzero((rows.sensor == sensor) & concerned)
            for incident in self._follow_one(rows.sensor_ids[sensor], rows, where, seen):
                changed[incident.id] = incident
        return list(changed.values())

    def end(self, sensor_id: str, time: int) -> Incident | None:
        """The sensor's incident that goes on, ended at an event time; None without one."""
        running = self.running.pop(sensor_id, None)
        return _incident(running, self._describe(sensor_id), time) if running else None

    def _follow_one(
        self, sensor_id: str, rows: Verdicts, where: Rows, seen: Seen
    ) -> list[Incident]:
        info, alarm = self._describe(sensor_id), seen.alarm
        changed = []
        turns = np.flatnonzero(alarm[where] & (Alarm.OPENED | Alarm.CLOSED))
        for part in np.split(where, turns):
            if not len(part):
                continue
            first = int(part[0])
            if alarm[first] & Alarm.CLOSED and (ended := self.running.pop(sensor_id, None)):
                changed.append(_incident(ended, info, int(rows.time[first])))
            if alarm[first] & Alarm.OPENED:
                self.running[sensor_id] = opened(rows, first, seen)
            running = self.running.get(sensor_id)
            if running and extend(running, rows, part, seen, info):
                running.told = running.last
                changed.append(_incident(running, info, None))
        return changed


def incident_id(sensor_id: str, opened: int) -> str:
    """The id of a sensor's incident: the same one found twice gets the same."""
    return hashlib.sha256(f"{sensor_id}\0{opened}".encode()).hexdigest()[:16]


def _farthest(part: Evidence, far: dict[str, list[float]]) -> Evidence:
    """A channel as it was where it went farthest out of its band; as it is if it never did."""
    if part.channel not in far:
        return part
    _, value, expected, lower, upper, _ = far[part.channel]
    return replace(part, value=value, expected=expected, lower=lower, upper=upper)


def _told_of(running: Running, leading: str) -> int:
    """Event time of the value that is told of the leading channel: neighbours are asked for it."""
    if running.cause in STANDING or leading not in running.far:
        return running.peak
    return int(running.far[leading][-1])


def _ordered(running: Running) -> tuple[Evidence, ...]:
    """Channels with a part in it, first those that moved of themselves; standing still is no move.

    A channel's part is half that at the peak and half that over all rows.
    """
    total = max(sum(running.shares.values()), 1e-9)
    parts = [
        replace(one, share=(one.share + running.shares.get(one.channel, 0.0) / total) / 2)
        for one in running.evidence
    ]
    parts = [one for one in parts if one.share >= explain.LEAST_SHARE]
    if running.cause in STANDING:
        return tuple(sorted(parts, key=lambda one: -one.share))
    parts = [_farthest(one, running.far) for one in parts]

    def weight(part: Evidence) -> float:
        return part.share * faults.moved(part, running.trace.of(part.channel, running.rows))

    return tuple(sorted(parts, key=weight, reverse=True))


def _stood(running: Running) -> meanwhile.Stood:
    """Channels that stood still for long, and far longer than they are known to."""
    return {
        name: held
        for name, held in running.held.items()
        if held[0] * SECOND >= meanwhile.LONG and running.flags_of(name).get(Flag.FLAT_LINE)
    }


def _incident(running: Running, info: SensorInfo, closed: int | None) -> Incident:
    evidence = _ordered(running)
    leading = evidence[0].channel if evidence else ""
    involved = {part.channel for part in evidence}
    stood = _stood(running)
    least = CALM_SHARE * sum(running.shares.values())
    calm = tuple(
        name
        for name, share in running.shares.items()
        if share < least and name not in (*involved, *running.jumps, *stood)
    )
    found = faults.Findings(
        running.cause,
        running.opened,
        running.last,
        running.rows,
        *running.held.get(leading, (0.0, 0)),
        running.rate,
        evidence,
        calm,
        running.flags_of(leading),
        running.trace.of(leading, running.rows),
        meanwhile.sentence(running.jumps, stood, involved, info),
    )
    kind = faults.kind(found, info)
    return Incident(
        id=incident_id(info.sensor_id, running.opened),
        sensor_id=info.sensor_id,
        opened=running.opened,
        last=running.last,
        closed=closed,
        severity=severity(running.rate, running.budget),
        kind=kind,
        rate=running.rate,
        score=running.score,
        peak=_told_of(running, leading),
        rows=running.rows,
        budget=running.budget,
        evidence=evidence,
        calm=calm,
        title=explain.title(found, info),
        text=explain.text(found, info),
        origin=faults.origin(found, kind),
    )


def retracted(there: Iterable[Incident], found: Container[str], since: int) -> list[str]:
    """Ids of stored incidents that another look at the rows does not find again.

    What the rhythm or a slow drift shows is not found in rows, and what people spoke about stays.

    Args:
        there: incidents that are stored.
        found: ids that were found.
        since: how far back was looked, microseconds.
    """
    return [
        incident.id
        for incident in there
        if incident.id not in found
        and incident.opened >= since
        and incident.kind not in BY_RHYTHM
        and incident.rows
        and incident.feedback is None
        and not incident.comments
    ]


def span_rows(alarm: Bytes) -> Sequence[tuple[int, int]]:
    """First and last row of each incident in one sensor's alarm bits."""
    opened = np.flatnonzero(alarm & Alarm.OPENED)
    spans = []
    for k, first in enumerate(opened.tolist()):
        end = int(opened[k + 1]) if k + 1 < len(opened) else len(alarm)
        belongs = alarm[first:end] & (Alarm.OPEN | Alarm.WARNING) == Alarm.OPEN | Alarm.WARNING
        spans.append((first, first + int(np.flatnonzero(belongs)[-1])))
    return spans
