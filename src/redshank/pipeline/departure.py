"""How a channel had left its level by the time an incident opened: little by little, or at once.

An incident may open long after its change began, or only when the channel is back. Then the rows
around it begin at the wrong level, and only the hours before tell how it got there. Each is
compared with the same hour a day before, so that the time of day does not look like a change.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from redshank.core.batch import Floats

DAY_HOURS = 24
LATEST = 2
"""Hours that tell where a channel is now."""
FEWEST = 4
"""Hours that must be known of a day; what is lacking of the day before lies on straight lines."""


@dataclass(frozen=True, slots=True)
class Departure:
    """How far a channel had gone.

    Attributes:
        way: from its level a day before, signed, in its unit; 0 where that is unknown.
        step: the greatest part of it from one hour to the next.
    """

    way: float
    step: float


def departure(levels: Floats) -> Departure:
    """How a channel had left its level, from means of hours.

    Args:
        levels: (RECENT_HOURS + 1,) oldest first, NaN where there are none.
    """
    hours, known = np.arange(len(levels)), ~np.isnan(levels)
    now, before = known[DAY_HOURS:], known[:DAY_HOURS]
    if min(np.count_nonzero(now), np.count_nonzero(before)) < FEWEST or not now[-LATEST:].any():
        return Departure(0.0, 0.0)
    yesterday = np.interp(hours[:-DAY_HOURS], hours[known], levels[known])
    apart = levels[DAY_HOURS:] - yesterday
    way = float(np.nanmedian(apart[-LATEST:]))
    # The hour of a step has rows from both sides of it, so the hours beside it are compared.
    steps = (apart[2:] - apart[:-2]) * np.sign(way)
    return Departure(way, float(np.max(steps, initial=0.0, where=~np.isnan(steps))))
