"""An incident while it goes on: what is remembered of its rows, and kept with the checkpoint."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from redshank.core.batch import Bytes, Singles
from redshank.core.clock import MINUTE
from redshank.core.records import Evidence, Flag, SensorInfo, Severity, Verdicts
from redshank.detect.alarm import Alarm
from redshank.pipeline import explain, meanwhile
from redshank.pipeline.trace import Trace

TAKES_OVER = 10.0
"""So many times as rare must a row be that gives an incident that went on for long to another
channel."""

_FLAG_BITS = np.array([flag.value for flag in Flag], np.uint16)

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


def severity(rate: float, budget: float) -> Severity:
    """How far beyond the alarm budget: high from 30 times on, medium from 5 times on."""
    if rate <= budget / 30.0:
        return "high"
    return "medium" if rate <= budget / 5.0 else "low"


def opened(rows: Verdicts, first: int, seen: Seen) -> Running:
    """The incident that opens at a row."""
    number = np.count_nonzero(seen.alarm[:first] & Alarm.OPENED)
    past = seen.before[number], seen.usual[number], seen.levels[number]
    trace = Trace.after(rows.channels, *past)
    opened = int(rows.time[first])
    return Running(opened, float(rows.budget[first]), opened, trace=trace)


def extend(running: Running, rows: Verdicts, part: Rows, seen: Seen, info: SensorInfo) -> bool:
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
