"""Anomalous rows of one sensor that belong together become one incident."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from redshank.core.batch import Bytes, Singles
from redshank.core.clock import MINUTE
from redshank.core.records import (
    Evidence,
    Flag,
    Incident,
    SensorInfo,
    Severity,
    Verdicts,
)
from redshank.detect.alarm import Alarm
from redshank.pipeline import explain, faults

CALM_SHARE = 0.15
"""A channel that brought less of the evidence than this, over all rows, stayed normal."""

Describe = Callable[[str], SensorInfo]
Rows = np.ndarray[tuple[int], np.dtype[np.intp]]


@dataclass(slots=True)
class Running:
    """An incident that goes on; kept with the sensor's checkpoint.

    Attributes:
        opened: event time of its first row, microseconds.
        budget: alarm budget when it opened.
        last: event time of its latest unusual row.
        rows: rows from the first to the latest.
        rate: return rate of its most unusual row.
        score: score of that row.
        peak: event time of that row.
        cause: component code at that row.
        held: longest time for which the leading channel held one value, in seconds.
        held_until: event time of the last row of that stretch.
        evidence: channels at that row.
        flags: channel to all quality flags of its values, one bit set.
        steps: channel to how many values came with a sudden step.
        shares: channel to its summed share of the evidence, rarer rows counting more.
        told: ``last`` when it was written the last time.
    """

    opened: int
    budget: float
    last: int
    rows: int = 0
    rate: float = float("inf")
    score: float = 0.0
    peak: int = 0
    cause: int = 0
    held: float = 0.0
    held_until: int = 0
    evidence: tuple[Evidence, ...] = ()
    flags: dict[str, int] = field(default_factory=dict)
    steps: dict[str, int] = field(default_factory=dict)
    shares: dict[str, float] = field(default_factory=dict)
    told: int = 0

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> Running:
        """From the JSON-able form."""
        evidence = tuple(Evidence(**part) for part in plain["evidence"])
        rate = plain["rate"] if plain["rate"] is not None else float("inf")
        return cls(**{**plain, "evidence": evidence, "rate": rate})


class Tracker:
    """Follows the incidents of all sensors.

    Args:
        describe: what is registered of a sensor, for names and units.
    """

    def __init__(self, describe: Describe) -> None:
        self._describe = describe
        self.running: dict[str, Running] = {}

    def follow(self, rows: Verdicts, alarm: Bytes, held: Singles) -> list[Incident]:
        """Incidents that opened, changed or closed with these rows.

        Args:
            rows: verdicts in time order for each sensor.
            alarm: (n,) bits of :class:`Alarm`.
            held: (n, C) seconds for which each channel has held its value.
        """
        changed: dict[str, Incident] = {}
        concerned = alarm & (Alarm.OPEN | Alarm.CLOSED) != 0
        for sensor in np.unique(rows.sensor[concerned]):
            where = np.flatnonzero((rows.sensor == sensor) & concerned)
            for incident in self._follow_one(rows.sensor_ids[sensor], rows, where, alarm, held):
                changed[incident.id] = incident
        return list(changed.values())

    def end(self, sensor_id: str, time: int) -> Incident | None:
        """The sensor's incident that goes on, ended at an event time; None without one."""
        running = self.running.pop(sensor_id, None)
        return _incident(running, self._describe(sensor_id), time) if running else None

    def _follow_one(
        self, sensor_id: str, rows: Verdicts, where: Rows, alarm: Bytes, held: Singles
    ) -> list[Incident]:
        info = self._describe(sensor_id)
        changed = []
        turns = np.flatnonzero(alarm[where] & (Alarm.OPENED | Alarm.CLOSED))
        for part in np.split(where, turns):
            if not len(part):
                continue
            first = int(part[0])
            if alarm[first] & Alarm.CLOSED and (ended := self.running.pop(sensor_id, None)):
                changed.append(_incident(ended, info, int(rows.time[first])))
            if alarm[first] & Alarm.OPENED:
                opened = int(rows.time[first])
                self.running[sensor_id] = Running(opened, float(rows.budget[first]), opened)
            running = self.running.get(sensor_id)
            if running and _extend(running, rows, part, alarm, held, info):
                running.told = running.last
                changed.append(_incident(running, info, None))
        return changed


def incident_id(sensor_id: str, opened: int) -> str:
    """The id of a sensor's incident: the same one found twice gets the same."""
    return hashlib.sha256(f"{sensor_id}\0{opened}".encode()).hexdigest()[:16]


def severity(rate: float, budget: float) -> Severity:
    """How far beyond the alarm budget: high from 30 times on, medium from 5 times on."""
    if rate <= budget / 30.0:
        return "high"
    return "medium" if rate <= budget / 5.0 else "low"


def _extend(
    running: Running,
    rows: Verdicts,
    part: Rows,
    alarm: Bytes,
    held: Singles,
    info: SensorInfo,
) -> bool:
    """Take rows into the incident; whether it changed enough to be told again."""
    running.rows += len(part)
    _note_flags(running, rows, part)
    unusual = part[alarm[part] & Alarm.WARNING != 0]
    if not len(unusual):
        return False
    running.last = int(rows.time[unusual[-1]])
    _note_shares(running, rows, unusual)
    peak = int(unusual[np.argmin(rows.rate[unusual])])
    rarer = float(rows.rate[peak]) < running.rate
    before = severity(running.rate, running.budget)
    if rarer:
        _move_peak(running, rows, peak, info)
    _note_held(running, rows, unusual, held)
    worse = rarer and severity(running.rate, running.budget) != before
    pause = max(MINUTE, (running.last - running.opened) // 20)
    return worse or running.told == 0 or running.last - running.told >= pause


def _note_flags(running: Running, rows: Verdicts, part: Rows) -> None:
    flags = rows.flags[part]
    if not flags.any():
        return
    together = np.bitwise_or.reduce(flags, axis=0).tolist()
    steps = np.count_nonzero(flags & np.uint16(Flag.RATE_OF_CHANGE | Flag.SPIKE), axis=0).tolist()
    for name, bits, count in zip(rows.channels, together, steps, strict=True):
        running.flags[name] = running.flags.get(name, 0) | bits
        running.steps[name] = running.steps.get(name, 0) + count


def _note_shares(running: Running, rows: Verdicts, unusual: Rows) -> None:
    """Sum up each channel's part, weighted by the row's evidence (log of its rarity)."""
    rarity = np.log(rows.per_month[unusual] / np.maximum(rows.rate[unusual], 1e-6))
    sums = np.maximum(rarity, 0.0) @ rows.contributions[unusual]
    for name, share in zip(rows.channels, sums.tolist(), strict=True):
        running.shares[name] = running.shares.get(name, 0.0) + share


def _note_held(running: Running, rows: Verdicts, unusual: Rows, held: Singles) -> None:
    """Remember the longest time for which the leading channel stood still."""
    if not running.evidence:
        return
    column = rows.channels.index(running.evidence[0].channel)
    longest = int(unusual[np.argmax(held[unusual, column])])
    if held[longest, column] > running.held:
        running.held = float(held[longest, column])
        running.held_until = int(rows.time[longest])


def _move_peak(running: Running, rows: Verdicts, peak: int, info: SensorInfo) -> None:
    """Make a row the incident's most unusual one."""
    leading = running.evidence[0].channel if running.evidence else None
    running.rate = float(rows.rate[peak])
    running.score = float(rows.score[peak])
    running.peak = int(rows.time[peak])
    running.cause = int(rows.cause[peak])
    columns = ("values", "expected", "lower", "upper", "contributions")
    row = {name: getattr(rows, name)[peak].tolist() for name in columns}
    running.evidence = explain.evidence_of(rows.channels, row, info)
    if not running.evidence or running.evidence[0].channel != leading:
        running.held = 0.0


def _incident(running: Running, info: SensorInfo, closed: int | None) -> Incident:
    least = CALM_SHARE * sum(running.shares.values())
    involved = {part.channel for part in running.evidence}
    calm = tuple(
        name for name, share in running.shares.items() if share < least and name not in involved
    )
    leading = running.evidence[0].channel if running.evidence else ""
    found = faults.Findings(
        running.cause,
        running.opened,
        running.last,
        running.rows,
        running.held,
        running.held_until,
        running.rate,
        running.evidence,
        calm,
        running.flags.get(leading, 0),
        running.steps.get(leading, 0),
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
        peak=running.peak,
        rows=running.rows,
        budget=running.budget,
        evidence=running.evidence,
        calm=calm,
        title=explain.title(found, info),
        text=explain.text(found, info),
        origin=faults.origin(found, kind),
    )


def retracted(there: Iterable[Incident], found: Container[str], since: int) -> list[str]:
    """Ids of stored incidents that another look at the rows does not find again.

    Silences and slow drifts are not found in rows, and what people spoke about stays.

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
