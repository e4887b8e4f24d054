"""A sensor's past as it would have been after a change: what is known of it is carried over.

A change of level, of gain or of noise leaves a sensor's habits as they were: its daily cycle, its
memory, how its channels go together. So little need be learned anew: where its values stand now
against the hour of day, and how much they move. Rows from before the change are mapped by that, and
serve as history for the time after it, when only a few rows are there to learn from.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from redshank.core.batch import Floats, Times
from redshank.core.clock import DAY, HOUR

HOURS = 24
LEAST_FOR_SPREAD = 20
"""Values after a change from which on their movement is compared."""
NOTABLE_SHIFT = 1.0
"""Shift in deviations of the past from which on a level counts as changed."""
NOTABLE_RATIO = 1.5
"""Factor, either way, from which on movement counts as changed,"""
SURE = 3.0
"""and standard errors of its logarithm: for a median absolute deviation about 1.2 / sqrt(n)."""
MOST_RATIO = 50.0


@dataclass(frozen=True, slots=True, eq=False)
class Transfer:
    """How each channel goes on after a change; all arrays (c,) but ``season``.

    Attributes:
        season: (24, c) median of the past for each hour of the day, NaN where nothing is known.
        shift: added to the level.
        ratio: factor of the deviations from the season.
        changed: whether the channel differs notably from its past.
    """

    season: Floats
    shift: Floats
    ratio: Floats
    changed: np.ndarray[tuple[int], np.dtype[np.bool_]]

    def apply(self, time: Times, values: Floats) -> Floats:
        """(n, c) rows of the past as they would be now; unchanged channels stay as they are."""
        usual = _at(self.season, time)
        mapped = usual + self.shift + self.ratio * (values - usual)
        return np.where(self.changed, mapped, values)


def transfer(time: Times, values: Floats, after_time: Times, after: Floats) -> Transfer:
    """Compare the rows after a change with those before it.

    Args:
        time: (n,) event time before the change, microseconds, rising.
        values: (n, c).
        after_time: (m,) event time since the change.
        after: (m, c).
    """
    season = _season(time, values)
    own = values - _at(season, time)
    now = after - _at(season, after_time)
    spread = _spread(own)
    shift = _median(now)
    ratio = _ratio(values, after)
    far = np.abs(shift) > NOTABLE_SHIFT * spread
    count = np.maximum(1, np.count_nonzero(~np.isnan(after), axis=0))
    least = np.maximum(np.log(NOTABLE_RATIO), SURE * 1.2 / np.sqrt(count))
    loud = np.abs(np.log(ratio)) > least
    return Transfer(season, shift, np.where(loud, ratio, 1.0), far | loud)


def _season(time: Times, values: Floats) -> Floats:
    """(24, c) medians by hour of the day; the overall median where the past is under two days."""
    overall = np.broadcast_to(_median(values), (HOURS, values.shape[1])).copy()
    if not len(time) or time[-1] - time[0] < 2 * DAY:
        return overall
    hour = (time % DAY) // HOUR
    for h in np.unique(hour).tolist():
        known = _median(values[hour == h])
        overall[h] = np.where(np.isnan(known), overall[h], known)
    return overall


def _at(season: Floats, time: Times) -> Floats:
    """(n, c) the season at some times, between the middles of the hours."""
    position = (time % DAY) / HOUR - 0.5
    lower = np.floor(position).astype(np.int64)
    share = (position - lower)[:, None]
    x, y = season[lower % HOURS], season[(lower + 1) % HOURS]
    mixed: Floats = x + share * (y - x)
    return mixed


def _ratio(before: Floats, after: Floats) -> Floats:
    """(c,) how much more values move from row to row than before; 1 where too little is known."""
    enough = np.count_nonzero(~np.isnan(after), axis=0) >= LEAST_FOR_SPREAD
    was, now = _spread(np.diff(before, axis=0)), _spread(np.diff(after, axis=0))
    known = enough & (was > 0) & (now > 0)
    ratio = np.divide(now, was, out=np.ones_like(now), where=known)
    limited: Floats = np.clip(ratio, 1 / MOST_RATIO, MOST_RATIO)
    return limited


def _spread(values: Floats) -> Floats:
    """(c,) 1.4826 median absolute deviations; 0 where nothing is known."""
    away = np.abs(values - _median(values))
    return np.nan_to_num(1.4826 * _median(away))


def _median(values: Floats) -> Floats:
    """(c,) medians of the columns, NaN where a column has no value."""
    out = np.full(values.shape[1], np.nan)
    for column in range(values.shape[1]):
        there = values[~np.isnan(values[:, column]), column]
        if len(there):
            out[column] = np.median(there)
    return out
