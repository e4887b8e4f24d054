"""Anomalous rows of one sensor that belong together become one incident."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from redshank.core.batch import Bytes, Singles
from redshank.core.clock import MINUTE, SECOND
from redshank.core.records import (
    BY_RHYTHM,
    Evidence,
    Flag,
    Incident,
    SensorInfo,
    Severity,
    Verdicts,
)
from redshank.detect.alarm import Alarm
from redshank.detect.streaming import Cause
from redshank.pipeline import explain, faults, meanwhile
from redshank.pipeline.trace import Trace

CALM_SHARE = 0.15
"""A channel that brought less of the evidence than this, over all rows, stayed normal."""

TAKES_OVER = 10.0
"""So many times as rare must a row be that gives an incident that went on for long to another
channel."""

_FLAG_BITS = np.array([flag.value for flag in Flag], np.uint16)

STANDING = frozenset({Cause.STUCK, Cause.FREEZE, Cause.FLAT_LINE})
"""Causes that speak of a channel that does not move."""

Describe = Callable[[str], SensorInfo]
Rows = np.ndarray[tuple[int], np.dtype[np.intp]]


@dataclass(slots=True)
class Running:
    """An incident that goes on; kept with the sensor's checkpoint.

    Attributes:
        opened: event time of its first row, microseconds.
        budget: alarm budget when it opened.
        last: event time of its latest unusual row.
        rows: rows from the first to the latest unusual one.
        rate: return rate of its most unusual row.
        score: score of that row.
        peak: event time of that row.
        cause: component code at that row.
        held: channel to the longest time for which it held one value, in seconds, and the event
            time of the last row of that stretch.
        evidence: channels at that row.
        far: channel to how far it went out of its band at most, in half widths of the band, and
            value, expected, lower and upper limit and event time there: evidence adds up over
            rows, so that the rarest row may come after the widest one.
        flags: channel to how many of its values came with each quality flag, lowest bit first.
        shares: channel to its summed share of the evidence, rarer rows counting more.
        trace: what its channels did.
        jumps: what channels did when it had gone on for long.
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
    held: dict[str, tuple[float, int]] = field(default_factory=dict)
    evidence: tuple[Evidence, ...] = ()
    far: dict[str, list[float]] = field(default_factory=dict)
    flags: dict[str, list[int]] = field(default_factory=dict)
    shares: dict[str, float] = field(default_factory=dict)
    trace: Trace = field(default_factory=Trace)
    jumps: meanwhile.Jumps = field(default_factory=dict)
    told: int = 0

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> Running:
        """From the JSON-able form."""
        evidence = tuple(Evidence(**part) for part in plain["evidence"])
        rate = plain["rate"] if plain["rate"] is not None else float("inf")
        trace = Trace.from_dict(plain["trace"])
        jumps = {name: meanwhile.Jump(**jump) for name, jump in plain.get("jumps", {}).items()}
        parts = {"evidence": evidence, "rate": rate, "trace": trace, "jumps": jumps}
        return cls(**{**plain, **parts})

    def flags_of(self, name: str) -> dict[Flag, int]:
        """How many of a channel's values came with each quality flag."""
        return dict(zip(Flag, self.flags.get(name, ()), strict=False))


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What is known of rows beside their verdicts.

    Attributes:
        alarm: (n,) bits of :class:`Alarm`.
        held: (n, C) seconds for which each channel has held its value.
        before: (k, RECENT_ROWS, C) values before each of the k rows that open an incident.
        usual: (k, C) how far each channel usually moved from one value to the next before it.
        levels: (k, RECENT_HOURS + 1, C) means of the hours before and of the row's until then.
    """

    alarm: Bytes
    held: Singles
    before: Singles
    usual: Singles
    levels: Singles


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
                self.running[sensor_id] = _opened(rows, first, seen)
            running = self.running.get(sensor_id)
            if running and _extend(running, rows, part, seen, info):
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


def _opened(rows: Verdicts, first: int, seen: Seen) -> Running:
    """The incident that opens at a row."""
    number = np.count_nonzero(seen.alarm[:first] & Alarm.OPENED)
    past = seen.before[number], seen.usual[number], seen.levels[number]
    trace = Trace.after(rows.channels, *past)
    opened = int(rows.time[first])
    return Running(opened, float(rows.budget[first]), opened, trace=trace)


def _extend(running: Running, rows: Verdicts, part: Rows, seen: Seen, info: SensorInfo) -> bool:
    """Take rows into the incident; whether it changed enough to be told again."""
    so_far = running.trace.rows
    running.trace.take(rows.channels, rows.values[part])
    _note_flags(running, rows, part)
    news = meanwhile.note(running.jumps, rows, part, running.opened)
    unusual = part[seen.alarm[part] & Alarm.WARNING != 0]
    if not len(unusual):
        return news
    running.last = int(rows.time[unusual[-1]])
    running.rows = so_far + int(np.searchsorted(part, unusual[-1])) + 1
    _note_shares(running, rows, unusual)
    _note_far(running, rows, unusual)
    before = severity(running.rate, running.budget)
    rarer = _follow_peak(running, rows, unusual, info)
    _note_held(running, rows, unusual, seen.held)
    worse = rarer and severity(running.rate, running.budget) != before
    pause = max(MINUTE, (running.last - running.opened) // 20)
    return worse or news or running.told == 0 or running.last - running.told >= pause


def _note_flags(running: Running, rows: Verdicts, part: Rows) -> None:
    flags = rows.flags[part]
    if not flags.any():
        return
    counts = np.stack([np.count_nonzero(flags & bit, axis=0) for bit in _FLAG_BITS], axis=1)
    for name, more in zip(rows.channels, counts.tolist(), strict=True):
        known = running.flags.get(name, [0] * len(_FLAG_BITS))
        running.flags[name] = [a + b for a, b in zip(known, more, strict=True)]


def _note_shares(running: Running, rows: Verdicts, unusual: Rows) -> None:
    """Sum up each channel's part, weighted by the row's evidence (log of its rarity).

    Row after row, so that the last bits do not depend on batches.
    """
    rarity = np.log(rows.per_month[unusual] / np.maximum(rows.rate[unusual], 1e-6))
    weight = np.maximum(rarity, 0.0).astype(np.float64)
    before = [[running.shares.get(name, 0.0) for name in rows.channels]]
    parts = np.concatenate([before, weight[:, None] * rows.contributions[unusual]])
    sums = np.add.accumulate(parts, axis=0)[-1]
    running.shares.update(zip(rows.channels, sums.tolist(), strict=True))


def _note_held(running: Running, rows: Verdicts, unusual: Rows, held: Singles) -> None:
    """Remember the longest time for which each channel stood still."""
    longest = unusual[np.argmax(held[unusual], axis=0)]
    for column, (name, row) in enumerate(zip(rows.channels, longest.tolist(), strict=True)):
        if held[row, column] > running.held.get(name, (0.0, 0))[0]:
            running.held[name] = float(held[row, column]), int(rows.time[row])


def _note_far(running: Running, rows: Verdicts, unusual: Rows) -> None:
    """Remember where each channel was farthest from its band."""
    value, expected, lower, upper = (
        np.asarray(column[unusual], np.float64)
        for column in (rows.values, rows.expected, rows.lower, rows.upper)
    )
    half = (upper - lower) / 2.0
    off = np.maximum(lower - value, value - upper) / np.where(half > 0.0, half, np.nan)
    off = np.where(np.isfinite(off), off, 0.0)
    for column, name in enumerate(rows.channels):
        row = int(np.argmax(off[:, column]))
        if off[row, column] > running.far.get(name, [0.0])[0]:
            there = (off, value, expected, lower, upper)
            time = float(rows.time[unusual[row]])
            running.far[name] = [*(float(part[row, column]) for part in there), time]


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


def _follow_peak(running: Running, rows: Verdicts, unusual: Rows, info: SensorInfo) -> bool:
    """Look for a row that is more unusual than all before; whether there was one.

    Once it has gone on for long an incident is about the channel that leads it: a row that another
    channel leads has to be ten times as rare, or the subject would change with small differences.
    """
    late = int(np.searchsorted(rows.time[unusual], running.opened + meanwhile.LONG, "right"))
    moved = _move_to_rarest(running, rows, unusual[:late], info)
    left = unusual[late:]
    while len(left):
        rate = rows.rate[left].astype(np.float64)
        leads = np.argmax(rows.contributions[left], axis=1)
        subject = running.evidence[0].channel if running.evidence else ""
        same = np.array([name == subject for name in rows.channels])[leads] | (subject == "")
        rarest = np.minimum.accumulate(np.minimum(np.where(same, rate, np.inf), running.rate))
        before = np.append(running.rate, rarest[:-1])
        others = np.flatnonzero(~same & (rate < before / TAKES_OVER))
        end = int(others[0]) if len(others) else len(left)
        moved |= _move_to_rarest(running, rows, left[:end][same[:end]], info)
        moved |= _move_to_rarest(running, rows, left[end : end + 1], info)
        left = left[end + 1 :]
    return moved


def _move_to_rarest(running: Running, rows: Verdicts, among: Rows, info: SensorInfo) -> bool:
    """Make the rarest of some rows the incident's most unusual one, if it is; whether it is."""
    if not len(among):
        return False
    peak = int(among[np.argmin(rows.rate[among])])
    rarer = float(rows.rate[peak]) < running.rate
    if rarer:
        _move_peak(running, rows, peak, info)
    return rarer


def _move_peak(running: Running, rows: Verdicts, peak: int, info: SensorInfo) -> None:
    """Make a row the incident's most unusual one."""
    running.rate = float(rows.rate[peak])
    running.score = float(rows.score[peak])
    running.peak = int(rows.time[peak])
    running.cause = int(rows.cause[peak])
    columns = ("values", "expected", "lower", "upper", "contributions")
    row = {name: getattr(rows, name)[peak].tolist() for name in columns}
    running.evidence = explain.evidence_of(rows.channels, row, info)


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
