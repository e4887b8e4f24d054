"""Streams with a change in them: what changed, when, and from which kind of sensor.

Every five minutes, one channel without a known quantity. ``CHANGES`` are permanent, ``lives`` are
longer stories: sensors that are moved, cleaned, replaced, that begin with an anomaly, and regimes
that come back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.signal import lfilter

from redshank.core.clock import DAY, MINUTE, SECOND

PER_DAY = 288
STEP = 5 * MINUTE
START = 1_735_689_600 * SECOND
"""2025-01-01T00:00Z."""
CHANGE_DAY, AFTER_DAYS = 30, 21

Rng = np.random.Generator
Values = np.ndarray
How = Callable[[Values, Values, Rng], Values]
"""(values, day of each, rng) -> the values after a change."""


@dataclass(frozen=True)
class Stream:
    """Readings of one sensor: (n,) time, (n,) values, and the row at which it changes."""

    time: np.ndarray
    values: Values
    change: int


def smooth(rng: Rng, n: int, memory: float) -> Values:
    """AR(1) of unit variance, in its steady state from the first row on."""
    noise = rng.normal(size=n + 1000)
    return lfilter([np.sqrt(1 - memory**2)], [1, -memory], noise)[1000:]


def base(kind: int, rng: Rng, days: float) -> Values:
    """White, autoregressive, daily season, heavy tails, a machine with a cycle of two hours."""
    n = round(days * PER_DAY)
    t = np.arange(n) / PER_DAY
    match kind % 5:
        case 0:
            return rng.normal(size=n)
        case 1:
            return smooth(rng, n, 0.9)
        case 2:
            return 2 * np.sin(2 * np.pi * t) + 0.3 * smooth(rng, n, 0.9)
        case 3:
            return smooth(rng, n, 0.9) + 0.3 * rng.standard_t(3, size=n)
        case _:
            return cycle(t, 2.0) + 0.2 * rng.normal(size=n)


def cycle(day: Values, hours: float) -> Values:
    """A machine that heats up and cools down once in so many hours."""
    return np.abs(((day * 24 / hours) % 1) - 0.5) * 4 - 1


def _noisier(x: Values, day: Values, rng: Rng) -> Values:
    return x + 2 * x.std() * rng.normal(size=len(x))


def _slower(x: Values, day: Values, rng: Rng) -> Values:
    """The same sensor with a cycle of 3 h in place of 2 h, or with a memory ten times as long."""
    return cycle(day, 3.0) + 0.2 * rng.normal(size=len(x))


CHANGES: dict[str, How] = {
    "level +3 sd": lambda x, day, rng: x + 3 * x.std(),
    "level +10 sd": lambda x, day, rng: x + 10 * x.std(),
    "noise +2 sd": _noisier,
    "gain 3": lambda x, day, rng: 3 * x,
    "gain .3": lambda x, day, rng: 0.3 * x,
    "replaced: +2 sd, gain 1.2, coarser": lambda x, day, rng: (
        np.round(2 * (1.2 * x + 2 * x.std())) / 2
    ),
}
"""Permanent changes of values."""


def changed(kind: int, how: How | None, rng: Rng) -> Stream:
    """A stream that changes for good; unchanged with ``how`` None."""
    x = base(kind, rng, CHANGE_DAY + AFTER_DAYS)
    time = START + np.arange(len(x)) * STEP
    at = CHANGE_DAY * PER_DAY + int(rng.integers(PER_DAY))
    if how is not None:
        x[at:] = how(x[at:], np.arange(at, len(x)) / PER_DAY, rng)
    return Stream(time, x, at)


def period(rng: Rng) -> Stream:
    """A machine whose cycle of two hours becomes one of three."""
    return changed(4, _slower, rng)


def cadence(kind: int, factor: float, rng: Rng) -> Stream:
    """A sensor that reports at other intervals from one day on; what it measures is the same."""
    fine = base(kind, rng, CHANGE_DAY + AFTER_DAYS)
    at = CHANGE_DAY * PER_DAY
    if factor > 1:
        rows = np.r_[np.arange(at), np.arange(at, len(fine), round(factor))]
        return Stream(START + rows * STEP, fine[rows], at)
    before, parts = START + np.arange(at) * STEP, round(1 / factor)
    after = START + at * STEP + np.arange((len(fine) - at) * parts) * (STEP // parts)
    dense = np.repeat(fine[at:], parts)
    between = np.linspace(0, 1, parts, endpoint=False)
    ends = np.r_[fine[at + 1 :], fine[-1]]
    dense += np.tile(between, len(fine) - at) * np.repeat(ends - fine[at:], parts)
    dense += 0.05 * fine.std() * rng.normal(size=len(dense))
    return Stream(np.r_[before, after], np.r_[fine[:at], dense], at)


def moved(rng: Rng) -> Stream:
    """From a room to the garden: another level, three times the season, two hours later."""
    n = (CHANGE_DAY + AFTER_DAYS) * PER_DAY
    t, noise = np.arange(n) / PER_DAY, 0.3 * smooth(rng, n, 0.9)
    at = CHANGE_DAY * PER_DAY + int(rng.integers(PER_DAY))
    inside, outside = np.sin(2 * np.pi * t), 3 * np.sin(2 * np.pi * (t - 1 / 12)) - 6
    values = np.where(np.arange(n) < at, inside, outside) + noise
    return Stream(START + np.arange(n) * STEP, values, at)


def cleaned(rng: Rng) -> Stream:
    """Fouled by half its range within 30 days, then cleaned: back to where it began."""
    x = base(2, rng, CHANGE_DAY + AFTER_DAYS)
    at = CHANGE_DAY * PER_DAY
    x[:at] -= np.linspace(0, 0.5 * np.ptp(x), at)
    return Stream(START + np.arange(len(x)) * STEP, x, at)


def begins_badly(kind: int, rng: Rng) -> Stream:
    """8 sd too high for its first day; the change is that it becomes normal."""
    x = base(kind, rng, 10 + AFTER_DAYS)
    x[:PER_DAY] += 8 * x.std()
    return Stream(START + np.arange(len(x)) * STEP, x, PER_DAY)


def regimes(kind: int, rng: Rng) -> tuple[Stream, tuple[int, ...]]:
    """Two levels, 6 sd apart, ten days each after the first month; the rows of the turns."""
    x = base(kind, rng, 70)
    turns = tuple((30 + 10 * k) * PER_DAY for k in range(4))
    for a, b in ((turns[0], turns[1]), (turns[2], turns[3])):
        x[a:b] += 6 * x.std()
    return Stream(START + np.arange(len(x)) * STEP, x, turns[0]), turns


def year(kind: str, rng: Rng) -> Values:
    """A year: day and week, and the seasons of the year where asked for."""
    n = 364 * PER_DAY
    t = np.arange(n) / PER_DAY
    x = 2 * np.sin(2 * np.pi * t) + 0.3 * smooth(rng, n, 0.9)
    if "week" in kind:
        x += np.where(t % 7 < 5, 0.7, -1.0)
    if "year" in kind:
        x += 4 * np.sin(2 * np.pi * t / 365 + rng.uniform(0, 2 * np.pi))
    return x


def drifting(values: Values, first_day: int, a_month: float) -> Values:
    """The same with a drift of so much in 30 days from one day on."""
    day = np.arange(len(values)) / PER_DAY
    return values + np.maximum(0, day - first_day) / 30 * a_month


def whole_range(values: Values) -> float:
    """From the lowest to the highest of 999 in 1000 readings."""
    return float(np.ptp(np.percentile(values, [0.05, 99.95])))


def day_of(time: int) -> float:
    """Days since the first reading."""
    return (time - START) / DAY
