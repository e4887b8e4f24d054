"""Faults that need no score: a channel that gives nothing any more, a clock that runs ahead.

Neither is in the values, so neither has a return rate or spends the alarm budget. A channel is gone
when its sensor's rows lack it for far longer than they ever did (``Flag.ABSENT``). A clock is
wrong without any doubt when it is ahead of the wall clock; one that is behind cannot be told from
readings that were kept back and sent late.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from redshank.core.batch import Batch
from redshank.core.channels import quantity
from redshank.core.clock import MINUTE, SECOND
from redshank.core.records import CLOCK, Evidence, Flag, Incident, SensorInfo, Verdicts
from redshank.pipeline import explain
from redshank.pipeline.check import FUTURE_TOLERANCE
from redshank.pipeline.incidents import incident_id

LEAST_AHEAD = 3
"""Readings from the future that make a clock fault; one may be a slip."""

Describe = Callable[[str], SensorInfo]
Gone = dict[str, tuple[int, int]]
"""Channel to the event times at which it was gone first and told last, microseconds."""


@dataclass(frozen=True, slots=True, eq=False)
class _Column:
    """One channel of one sensor's rows: their numbers, and (n,) whether each lacks it."""

    name: str
    column: int
    rows: np.ndarray[tuple[int], np.dtype[np.intp]]
    missing: np.ndarray[tuple[int], np.dtype[np.bool_]]
    absent: np.ndarray[tuple[int], np.dtype[np.bool_]]


class Absences:
    """Channels that their sensor's rows lack for far longer than ever.

    Args:
        describe: what is registered of a sensor.

    Attributes:
        gone: sensor to its absent channels; kept with the sensor's checkpoint.
    """

    def __init__(self, describe: Describe) -> None:
        self._describe = describe
        self.gone: dict[str, Gone] = {}

    def follow(self, rows: Verdicts) -> list[Incident]:
        """Dropouts that began, went on notably or ended with these rows."""
        missing = rows.flags & np.uint16(Flag.MISSING) != 0
        absent = rows.flags & np.uint16(Flag.ABSENT) != 0
        concerned = {rows.sensor_ids[i] for i in np.unique(rows.sensor[absent.any(axis=1)])}
        changed: dict[str, Incident] = {}
        if not concerned and not self.gone:
            return []
        for number, sensor_id in enumerate(rows.sensor_ids):
            if sensor_id not in concerned and sensor_id not in self.gone:
                continue
            here = np.flatnonzero(rows.sensor == number)
            for column, name in enumerate(rows.channels):
                looks = _Column(name, column, here, missing[here, column], absent[here, column])
                for incident in self._follow_one(sensor_id, rows, looks):
                    changed[incident.id] = incident
        return list(changed.values())

    def _follow_one(self, sensor_id: str, rows: Verdicts, looks: _Column) -> Iterable[Incident]:
        gone, name = self.gone.setdefault(sensor_id, {}), looks.name
        for at in np.flatnonzero(looks.absent | ~looks.missing).tolist():
            row = int(looks.rows[at])
            now = int(rows.time[row])
            since, told = gone.get(name, (now, 0))
            if looks.absent[at] and now - told >= max(MINUTE, (told - since) // 5):
                gone[name] = since, now
                yield self._dropout(sensor_id, rows, row, looks, (since, now, None))
            elif not looks.missing[at] and name in gone:
                del gone[name]
                yield self._dropout(sensor_id, rows, row, looks, (since, now, now))
        if not gone:
            del self.gone[sensor_id]

    def _dropout(
        self,
        sensor_id: str,
        rows: Verdicts,
        row: int,
        looks: _Column,
        span: tuple[int, int, int | None],
    ) -> Incident:
        info, name, (since, last, _) = self._describe(sensor_id), looks.name, span
        label = explain.label(name, info)
        lacking = explain.duration((last - since) / SECOND)
        bands = (float(x[row, looks.column]) for x in (rows.expected, rows.lower, rows.upper))
        expected, lower, upper = (None if x != x else x for x in bands)
        unit = info.channels[name].unit if name in info.channels else ""
        known = quantity(name)
        unit = unit or (known.unit if known else "")
        return _lapse(
            sensor_id,
            name,
            span,
            float(rows.budget[row]),
            kind="dropout",
            evidence=(Evidence(name, unit, 1.0, None, expected, lower, upper),),
            title=f"{label} gives no value",
            text=f"The sensor reports without {label}, for longer than ever before: found "
            f"{explain.moment(since)}, {lacking} before the latest reading. "
            "Looks like a fault of the sensor: its other channels go on.",
        )


class Clocks:
    """Sensors whose clock is ahead of the wall clock, as readings arrive.

    Args:
        describe: what is registered of a sensor.
        open_now: incidents that were open when the store was closed.
    """

    def __init__(self, describe: Describe, open_now: Iterable[Incident] = ()) -> None:
        self._describe = describe
        self._open = {one.sensor_id: one for one in open_now if one.kind == CLOCK}
        self._ahead: dict[str, int] = {}

    def arrived(
        self, batches: Sequence[Batch], now: int, budget: Callable[[str], float]
    ) -> list[Incident]:
        """Clock faults that began, went on notably or ended with these readings.

        Args:
            batches: readings in order of arrival, repeated and late ones included.
            now: wall clock, microseconds.
            budget: a sensor's alarm budget.
        """
        changed: dict[str, Incident] = {}
        for batch in batches:
            ahead = batch.time > now + FUTURE_TOLERANCE
            if not (ahead.any() or self._open or self._ahead):
                continue
            for number, sensor_id in enumerate(batch.sensor_ids):
                rows = np.flatnonzero(batch.sensor == number)
                for incident in self._follow(sensor_id, batch.time[rows], ahead[rows], now, budget):
                    changed[incident.id] = incident
        return list(changed.values())

    def _follow(
        self,
        sensor_id: str,
        time: np.ndarray,
        ahead: np.ndarray,
        now: int,
        budget: Callable[[str], float],
    ) -> Iterable[Incident]:
        for moment, wrong in zip(time.tolist(), ahead.tolist(), strict=True):
            told = self._open.get(sensor_id)
            if not wrong:
                self._ahead.pop(sensor_id, None)
                if told:
                    del self._open[sensor_id]
                    yield replace(told, closed=now, last=max(told.last, now))
                continue
            count = self._ahead[sensor_id] = self._ahead.get(sensor_id, 0) + 1
            begins = told is None and count >= LEAST_AHEAD
            if begins or (told and now - told.last >= max(MINUTE, (told.last - told.opened) // 5)):
                opened = told.opened if told else now
                one = self._fault(sensor_id, opened, now, moment - now, budget(sensor_id))
                self._open[sensor_id] = one
                yield one

    def _fault(self, sensor_id: str, opened: int, now: int, by: int, budget: float) -> Incident:
        far, name = explain.duration(by / SECOND), self._describe(sensor_id).name or sensor_id
        return _lapse(
            sensor_id,
            CLOCK,
            (opened, now, None),
            budget,
            kind=CLOCK,
            evidence=(),
            title=f"clock is {far} ahead",
            text=f"{name} stamps its readings {far} ahead of the time at which they come, since "
            f"{explain.moment(opened)}. Looks like a fault of the sensor: nothing can be measured "
            "before it happens.",
        )


def _lapse(
    sensor_id: str,
    what: str,
    span: tuple[int, int, int | None],
    budget: float,
    *,
    kind: str,
    evidence: tuple[Evidence, ...],
    title: str,
    text: str,
) -> Incident:
    opened, last, closed = span
    return Incident(
        id=incident_id(f"{sensor_id}\0{what}", opened),
        sensor_id=sensor_id,
        opened=opened,
        last=last,
        closed=closed,
        severity="medium",
        kind=kind,
        rate=0.0,
        score=0.0,
        peak=last,
        rows=0,
        budget=budget,
        evidence=evidence,
        calm=(),
        title=title,
        text=text,
        origin="sensor",
    )
