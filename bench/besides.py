"""What else spends the alarm budget, beside rows: silences, stutters, odd hours, slow drifts.

The product looks at these by the clock and not with readings; here it is looked every hour of event
time and at the end of every pause, and for drifts once a week.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from redshank.core.clock import DAY, HOUR
from redshank.detect.cadence import Cadence
from redshank.detect.drift import LEAST_DAYS, WEEK_DAYS, days_of, slow_drift
from redshank.pipeline.ageing import LEAST_OF_RANGE
from redshank.pipeline.ageing import SHARE as DRIFT_SHARE
from redshank.pipeline.rhythm import ODD_SHARE, SILENCE_SHARE, STUTTER_SHARE
from streams import START, Stream

SHARES = {
    "silence": ("silence", SILENCE_SHARE),
    "stutter": ("stutter", STUTTER_SHARE),
    "odd hours": ("odd", ODD_SHARE),
}
PAUSE = 4.0
"""Median intervals from which on a pause is looked at."""


@dataclass(frozen=True)
class Finding:
    """Something that would be an incident at a budget of at least its rate.

    Attributes:
        speaker: what spoke.
        story: the same for looks that would tell of one incident.
        day: when, in days after the stream's begin.
        rate: per sensor and 30 days, already divided by its share of the budget.
    """

    speaker: str
    story: Hashable
    day: float
    rate: float


def findings(stream: Stream) -> list[Finding]:
    """Everything that a stream gives beside its rows."""
    steps = np.diff(stream.time)
    if steps.min() == steps.max():
        return [*_regular(len(stream.time), int(steps[0])), *_drifts(stream)]
    return [*_rhythm(stream.time), *_drifts(stream)]


def incidents(found: list[Finding], budget: float) -> list[tuple[str, float]]:
    """What spoke and the day of each incident at a budget."""
    first: dict[tuple[str, Hashable], float] = {}
    for one in found:
        if one.rate <= budget:
            first.setdefault((one.speaker, one.story), one.day)
    return [(speaker, day) for (speaker, _), day in first.items()]


@lru_cache(maxsize=16)
def _regular(rows: int, step: int) -> tuple[Finding, ...]:
    """The rhythm of streams that are never late; the same for all of them."""
    return tuple(_rhythm(START + np.arange(rows, dtype=np.int64) * step))


def _rhythm(time: np.ndarray) -> Iterator[Finding]:
    cadence, slot = Cadence(), np.zeros(1, np.int32)
    cadence.sensors.reserve(1)
    cadence.sensors.clear(0)
    steps = np.diff(time)
    pauses = np.flatnonzero(steps > PAUSE * np.median(steps)) + 1
    hours = np.searchsorted(time, np.arange(time[0] + HOUR, time[-1], HOUR))
    ends = np.unique(np.concatenate([pauses, hours]))
    paused = set(pauses.tolist())
    done = 0
    for row in ends[ends > 0].tolist():
        part = time[done:row]
        cadence.run(np.zeros(len(part), np.int32), part, np.zeros(len(part), np.int64))
        done, last = row, time[row - 1 : row].copy()
        now = time[row : row + 1].copy() if row in paused else last
        (seen,) = cadence.attendance(slot, last, now, np.zeros(1, np.int64))
        stories = {
            "silence": row,
            "stutter": int(seen["since"]),
            "odd hours": int(seen["odd_since"]),
        }
        for speaker, (name, share) in SHARES.items():
            if speaker != "silence" or row in paused:
                rate = float(seen[name]) / share
                yield Finding(speaker, stories[speaker], (int(last[0]) - START) / DAY, rate)


def _drifts(stream: Stream) -> Iterator[Finding]:
    days = int((stream.time[-1] - START) // DAY)
    for column in stream.measured:
        values = stream.values[:, column]
        parts = days_of(stream.time, values, START, days)
        spread = float(np.nanpercentile(values, 99) - np.nanpercentile(values, 1))
        for end in range(LEAST_DAYS, days + 1, WEEK_DAYS):
            drift = slow_drift(parts[:end])
            if drift is not None and abs(drift.change) >= LEAST_OF_RANGE * spread:
                rate = drift.rate * 30 / WEEK_DAYS * len(stream.measured) / DRIFT_SHARE
                yield Finding("drift", (column, drift.change > 0), float(end), rate)
