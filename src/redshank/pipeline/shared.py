"""How much of a sensor's change its neighbours show: all of it, none, or something between.

Each sensor is compared with itself before: how far it has moved, or how much wilder it has become.
So it does not matter that a neighbour is warmer by two degrees, and little that its weather is that
of another town. What is asked is whether most of them moved by about as much at that time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log

import numpy as np

from redshank.core.batch import Floats, Times
from redshank.core.clock import DAY, HOUR, MINUTE

FEWEST = 2
"""Neighbours that must tell something."""
LEAST_VALUES = 3
CLEAR = 2.0
"""How many times the neighbours' usual change in an hour a change must be to be compared."""
SUDDEN = frozenset({"spike", "level shift", "stuck", "saturation"})
"""Kinds that are compared with the hour before; slower ones with the same hour a day before."""
WILD = 4.0
"""Times its steps from which on a channel is compared by these, whatever else it did."""
LATE = 10 * MINUTE
"""A change may have begun so long before its incident opened."""

Series = tuple[Times, Floats]
"""(n,) event times, rising, and (n,) values without gaps."""


@dataclass(frozen=True, slots=True)
class Span:
    """When a change happened: its first row, its latest one, and its most unusual one."""

    opened: int
    last: int
    peak: int


def shared(kind: str, own: Series, near: Sequence[Series], span: Span, reach: int) -> float | None:
    """Part of a change that the median neighbour shows too; None where nothing can be said.

    Args:
        kind: of the incident.
        own: the sensor's readings from a day before the incident on.
        near: the same of its neighbours.
        span: of the incident.
        reach: how far apart in time readings may be to be of the same moment, microseconds.
    """
    wilder = _wilder(own, span)
    if kind == "noise" or (wilder or 0.0) > log(WILD):
        return _part(wilder, [_wilder(one, span) for one in near])
    at = _farthest(kind, own, span, reach)
    base = _base(kind, own, span.opened, at)
    value = _between(own, at, at)
    usual = [one for one in (_usual(series, span) for series in near) if one is not None]
    if base is None or not len(value) or len(usual) < FEWEST:
        return None
    moved = float(value[0]) - base
    if abs(moved) < CLEAR * float(np.median(usual)):
        return None
    return _part(moved, [_moved(kind, one, span, at, reach, moved > 0) for one in near])


def _farthest(kind: str, series: Series, span: Span, reach: int) -> int:
    """When the sensor was farthest from where it was before; its peak where that is unknown."""
    base = _base(kind, series, span.opened, span.peak)
    time, values = series
    first, last = np.searchsorted(time, [span.opened - reach, span.last + 1])
    if base is None or first >= last:
        return span.peak
    return int(time[first + np.argmax(np.abs(values[first:last] - base))])


def _part(own: float | None, near: Sequence[float | None]) -> float | None:
    """The median neighbour's change as a part of the sensor's own."""
    known = [one for one in near if one is not None]
    if not own or len(known) < FEWEST:
        return None
    return float(np.median(known)) / own


def _moved(kind: str, series: Series, span: Span, at: int, reach: int, up: bool) -> float | None:
    """How far a neighbour moved; of the readings around a short change the farthest counts."""
    base, now = _base(kind, series, span.opened, at), _between(series, at - reach, at + reach)
    if base is None or not len(now):
        return None
    if kind != "spike":
        return float(np.median(now)) - base
    return float(now.max() if up else now.min()) - base


def _base(kind: str, series: Series, opened: int, at: int) -> float | None:
    """Where a channel was before: in the hour before the incident, or a day before a moment."""
    hour_before = _between(series, opened - HOUR - LATE, opened - LATE)
    day_before = _between(series, at - DAY - HOUR // 2, at - DAY + HOUR // 2)
    for values in (hour_before, day_before) if kind in SUDDEN else (day_before, hour_before):
        if len(values) >= LEAST_VALUES:
            return float(np.median(values))
    return None


def _usual(series: Series, span: Span) -> float | None:
    """How far a channel usually moves within an hour."""
    time, values = series
    before = time < span.opened
    time, values = time[before], values[before]
    if len(time) < 2 * LEAST_VALUES:
        return None
    later = np.searchsorted(time, time + HOUR)
    there = later < len(time)
    moves = np.abs(values[later[there]] - values[there])
    return float(np.median(moves)) if len(moves) else None


def _wilder(series: Series, span: Span) -> float | None:
    """Logarithm of how much wilder a channel was than before; None if it was not known or calm."""
    start = max(span.opened, span.peak - HOUR)
    now = _roughness(_between(series, start, min(span.last, start + 2 * HOUR)))
    before = _roughness(_between(series, span.opened - 6 * HOUR, span.opened - HOUR))
    return None if now is None or before is None else float(np.log(now / before))


def _roughness(values: Floats) -> float | None:
    steps = np.abs(np.diff(values))
    return max(float(steps.mean()), 1e-9) if len(steps) >= 2 * LEAST_VALUES else None


def _between(series: Series, start: int, end: int) -> Floats:
    time, values = series
    first, last = np.searchsorted(time, [start, end + 1])
    return values[first:last]
