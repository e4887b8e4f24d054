"""Slow drift: has a channel's level crept away over weeks, by more than it ever wanders?

One value a day, cleaned of daily and weekly seasons and of single odd days, is fitted by a level
that turns into a straight line at an unknown day. The slope's significance takes the days'
autocorrelation into account (effective sample size; Bayley and Hammersley 1946) and how far the
level went to and fro before (its changes within four weeks). A step explains the same data without
any drift: where it does so better, what came before it is left out.

Whether a drift is the sensor's ageing or the year's season cannot be told from one sensor's few
months. A reference that shares the season, the median of neighbours, can be subtracted first.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import erfc, log, log1p, sqrt

import numpy as np

from redshank.core.batch import Floats, Times
from redshank.core.clock import DAY, HOUR

WEEK_DAYS = 7
SPAN = 28
"""Days over which a change is stated."""
LEAST_DAYS = 28
"""Days with values that a finding needs."""
LEAST_RAMP = 14
"""Days that a drift must have lasted."""
PART = 6 * HOUR
PARTS = DAY // PART
_FAR = 4.0
"""Median absolute deviations beyond which a day counts as this far away only."""
_STEP_BETTER = 0.8
"""A step whose squared errors are under this part of the line's explains the data better."""
_MOST_MEMORY = 0.98


@dataclass(frozen=True, slots=True)
class Drift:
    """What the days say.

    Attributes:
        rate: lines at least this steep that normal days bring, per look.
        change: how far the level went within the latest ``SPAN`` days, or since the onset.
        start: the day from which on it moved, counted from the first one.
        before: level before that.
        now: level at the end of the line.
    """

    rate: float
    change: float
    start: int
    before: float
    now: float


def days_of(time: Times, values: Floats, first: int, days: int) -> Floats:
    """(days, 4) means of quarters of days, NaN where there is nothing.

    Args:
        time: (n,) event time, microseconds.
        values: (n,) NaN for missing.
        first: event time at which the first day begins.
        days: how many.
    """
    there = ~np.isnan(values) & (time >= first) & (time < first + days * DAY)
    part = (time[there] - first) // PART
    count = np.bincount(part, minlength=days * PARTS)
    total = np.bincount(part, values[there], minlength=days * PARTS)
    mean: Floats = np.divide(total, count, out=np.full(len(total), np.nan), where=count > 0)
    return mean.reshape(days, PARTS)


def slow_drift(parts: Floats, wander: float = 0.0, since: int = 0) -> Drift | None:
    """The drift that the latest days show best; None where too little is known.

    Args:
        parts: (n, 4) quarters of days, oldest first, from :func:`days_of`.
        wander: change within ``SPAN`` days that is usual whatever the past shows.
        since: day from which on a drift is looked for; those before only show what is usual.
    """
    past = day, level = _levels(parts)
    day, level = day[day >= since], level[day >= since]
    while len(day) >= LEAST_DAYS:
        found = _line(day, level, past, wander)
        step, at = _best_step(level)
        if found is None or step >= _STEP_BETTER * found[1]:
            return found[0] if found else None
        day, level = day[at:], level[at:]
    return None


def _levels(parts: Floats) -> tuple[Times, Floats]:
    """Days that have values, and their levels without seasons and far values."""
    whole = _row_means(parts)
    usual = np.array([_middle(column) for column in (parts - whole[:, None]).T])
    level = _row_means(parts - usual)
    day = np.flatnonzero(~np.isnan(level))
    level = level[day]
    if len(day) < LEAST_DAYS:
        return day, level
    smooth = _running_median(level)
    away = level - smooth
    if len(day) >= 4 * WEEK_DAYS:
        for k in range(WEEK_DAYS):
            mine = day % WEEK_DAYS == k
            away[mine] -= np.median(away[mine]) if mine.any() else 0.0
    limit = _FAR * 1.4826 * float(np.median(np.abs(away - np.median(away))))
    return day, smooth + np.clip(away, -limit, limit)


def _line(
    day: Times, level: Floats, past: tuple[Times, Floats], wander: float
) -> tuple[Drift, float] | None:
    """The best level and line, and its squared errors."""
    last = int(day[-1])
    onsets = range(int(day[0]), last - LEAST_RAMP + 1, WEEK_DAYS)
    if not onsets:
        return None
    bent = np.maximum(0.0, day[:, None] - np.array(onsets))
    bent -= bent.mean(axis=0)
    spread = (bent**2).sum(axis=0)
    centred = level - level.mean()
    slopes = bent.T @ centred / np.maximum(spread, 1e-12)
    errors = centred[:, None] - bent * slopes
    squares = (errors**2).sum(axis=0)
    best = int(np.argmin(squares))
    start, slope = onsets[best], float(slopes[best])
    memory = _memory(errors[:, best])
    shrink = (1 - memory) / (1 + memory)
    free = max(1.0, len(day) * shrink - 3)
    noise = float(squares[best]) / max(1, len(day) - 3) / shrink / max(float(spread[best]), 1e-12)
    span = min(SPAN, last - start)
    usual = max(wander, _wander(*past, start)) * span / SPAN
    change = slope * span
    scale = sqrt(noise * span**2 + usual**2 + (1e-9 * abs(float(level.mean()))) ** 2 + 1e-300)
    rate = len(onsets) ** 0.5 * _tail(abs(change) / scale, free)
    now = float(level.mean() + bent[-1, best] * slope)
    before = now - slope * (last - start)
    return Drift(rate, change, start, before, now), float(squares[best])


def _wander(day: Times, level: Floats, until: int) -> float:
    """How much the level usually changed within ``SPAN`` days before a day; 0 where unknown."""
    week = day // WEEK_DAYS
    weeks = np.arange(week[0], until // WEEK_DAYS)
    means = np.array([level[week == w].mean() if (week == w).any() else np.nan for w in weeks])
    changes = means[SPAN // WEEK_DAYS :] - means[: -SPAN // WEEK_DAYS]
    changes = changes[~np.isnan(changes)]
    return 1.4826 * float(np.median(np.abs(changes))) if len(changes) >= 2 else 0.0


def _best_step(level: Floats) -> tuple[float, int]:
    """Squared errors of the best two levels, and where the second one begins."""
    n = len(level)
    before, total = np.cumsum(level)[:-1], level.sum()
    k = np.arange(1, n)
    gain = before**2 / k + (total - before) ** 2 / (n - k)
    best = int(np.argmax(gain))
    return float((level**2).sum() - gain[best]), best + 1


def _memory(errors: Floats) -> float:
    """Autocorrelation from day to day, corrected for its bias in short records (Kendall 1954)."""
    whole = float((errors**2).sum())
    if whole <= 0:
        return 0.0
    raw = max(0.0, float((errors[1:] * errors[:-1]).sum()) / whole)
    return min(_MOST_MEMORY, raw + (1 + 3 * raw) / len(errors))


def _tail(t: float, free: float) -> float:
    """Two-sided tail of Student's t (approximation of Wallace 1959)."""
    if t <= 0:
        return 1.0
    z = (8 * free + 1) / (8 * free + 3) * sqrt(free * log1p(t * t / free))
    if z > 38:
        return float(np.exp(-z * z / 2 - log(z)))
    return erfc(z / sqrt(2))


def _row_means(parts: Floats) -> Floats:
    """(n,) means of the rows, NaN for rows with less than half of their parts."""
    there = ~np.isnan(parts)
    count = there.sum(axis=1)
    total = np.where(there, parts, 0.0).sum(axis=1)
    out = np.full(len(parts), np.nan)
    means: Floats = np.divide(total, count, out=out, where=count >= PARTS // 2)
    return means


def _middle(values: Floats) -> float:
    there = values[~np.isnan(values)]
    return float(np.median(there)) if len(there) else 0.0


def _running_median(level: Floats) -> Floats:
    """(n,) medians of the seven days around each day; fewer at the ends."""
    half = WEEK_DAYS // 2
    padded = np.pad(level, half, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, WEEK_DAYS)
    middle: Floats = np.median(windows, axis=1)
    return middle
