"""How much of a sensor's change its neighbours show: all of it, none, or something between.

Each sensor is compared with itself before: how far it has moved, or how much wilder it has become.
So it does not matter that a neighbour is warmer by two degrees, and little that its weather is that
of another town. What is asked is whether most of them moved by about as much at that time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, log

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
WILDER = {"noise": 1.5, "level shift": inf}
"""Times its usual steps from which on a kind is compared by these; a level shift's are its own."""
WILD = 4.0
"""The same of all other kinds."""
MOMENTS = 60
"""Most moments of an incident that are looked at."""
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
    wild = _wildest(own, span)
    wilder = _wilder(own, span.opened, wild)
    if wilder is not None and wilder > log(WILDER.get(kind, WILD)):
        return _part(wilder, [_wilder(one, span.opened, wild) for one in near])
    base = _base(kind, own, span.opened, span.peak)
    usual = [one for one in (_usual(series, span) for series in near) if one is not None]
    if base is None or len(usual) < FEWEST:
        return None
    brief = kind == "spike"
    at = _farthest(own, base, span, reach, brief)
    moved = _moved(kind, own, span.opened, at, 0 if brief else reach, None)
    if moved is None or abs(moved) < CLEAR * float(np.median(usual)):
        return None
    up = moved > 0 if brief else None
    return _part(moved, [_moved(kind, one, span.opened, at, reach, up) for one in near])


def _farthest(series: Series, base: float, span: Span, reach: int, brief: bool) -> int:
    """When a sensor was farthest from its base, single readings left out unless it was brief."""
    time, values = series
    first, last = np.searchsorted(time, [span.opened - reach, span.last + 1])
    moments = time[first:last]
    if not len(moments):
        return span.peak
    there = values[first:last]
    if not brief:
        moments = moments[:: max(1, len(moments) // MOMENTS)]
        there = np.array(
            [np.median(_between(series, at - reach, at + reach)) for at in moments.tolist()]
        )
    return int(moments[np.argmax(np.abs(there - base))])


def _part(own: float | None, near: Sequence[float | None]) -> float | None:
    """The median neighbour's change as a part of the sensor's own."""
    known = [one for one in near if one is not None]
    if not own or len(known) < FEWEST:
        return None
    return float(np.median(known)) / own


def _moved(
    kind: str, series: Series, opened: int, at: int, reach: int, up: bool | None
) -> float | None:
    """How far a sensor moved; of the readings around a brief change the farthest counts."""
    base, now = _base(kind, series, opened, at), _between(series, at - reach, at + reach)
    if base is None or not len(now):
        return None
    if up is None:
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


def _wildest(series: Series, span: Span) -> tuple[int, int]:
    """Beginning and end of the hour in which a sensor was wildest."""
    hours = [
        (start, start + HOUR)
        for start in range(span.opened - HOUR // 2, span.last - HOUR // 4, HOUR // 4)
    ][:MOMENTS]
    known = [(_roughness(_between(series, *hour)) or 0.0, hour) for hour in hours]
    return max(known, default=(0.0, (span.opened, span.opened + HOUR)))[1]


def _wilder(series: Series, opened: int, hour: tuple[int, int]) -> float | None:
    """Logarithm of how much larger a channel's steps were in an hour than in those of a day before.

    The median hour counts: where an incident opens late, the last ones are as wild.
    """
    now = _roughness(_between(series, *hour))
    hours = range(opened - DAY - HOUR, opened - HOUR, HOUR)
    each = [_roughness(_between(series, start, start + HOUR)) for start in hours]
    before = [one for one in each if one is not None]
    return None if now is None or not before else float(np.log(now / np.median(before)))


def _roughness(values: Floats) -> float | None:
    steps = np.abs(np.diff(values))
    return max(float(steps.mean()), 1e-9) if len(steps) >= 2 * LEAST_VALUES else None


def _between(series: Series, start: int, end: int) -> Floats:
    time, values = series
    first, last = np.searchsorted(time, [start, end + 1])
    return values[first:last]
