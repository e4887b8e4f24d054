"""Second stage: quality flags for every value; nothing is refused.

After the tests of QARTOD (IOOS Quality Assurance of Real-Time Oceanographic Data): gross range,
rate of change, spike, flat line, attenuated signal, gap, timing; and what sensors of the field are
known for: numbers in place of a value, and wrong units. Every flag of a value follows from its
sensor's earlier rows only, so nothing depends on how rows were batched. The neighbours' test needs
other sensors, which may report later, and is therefore made when an incident is told
(:mod:`redshank.pipeline.incidents`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from redshank.core.batch import Flags, Floats
from redshank.core.channels import in_other_unit, quantity, sentinels
from redshank.core.clock import MINUTE
from redshank.core.records import Flag
from redshank.detect.alarm import Alarm
from redshank.detect.channelstate import Change
from redshank.detect.engine import Judged
from redshank.detect.streaming import Cause

FUTURE_TOLERANCE = 5 * MINUTE
"""How far a sender's clock may be ahead before its readings are flagged."""

LEADING = 0.3
"""Share of the evidence from which on a channel is the one that a row's cause speaks of."""


Bounds = Mapping[str, tuple[float, float]]
"""Channel name to the lowest and highest value that its owner holds possible."""


def flags(judged: Judged, now: int, bounds: Mapping[int, Bounds]) -> Flags:
    """(m, c) of :class:`Flag` for each value.

    Args:
        judged: rows from the engine.
        now: wall clock, microseconds.
        bounds: slots of sensors whose owner set bounds, which stand for the quantity's.
    """
    values, change = judged.values, judged.change
    jump = change & Change.JUMP != 0
    found = [
        (np.isnan(values), Flag.MISSING),
        (np.isinf(values), Flag.NOT_FINITE),
        (_outside(judged, bounds), Flag.GROSS_RANGE),
        (judged.flat.astype(np.bool_), Flag.FLAT_LINE),
        (jump, Flag.RATE_OF_CHANGE),
        (change & Change.SPIKE != 0, Flag.SPIKE),
        (_attenuated(judged), Flag.ATTENUATED),
        ((change & Change.UNIT != 0) | _in_other_unit(judged), Flag.UNIT),
        (_sentinel(judged, jump), Flag.SENTINEL),
        (change & Change.ABSENT != 0, Flag.ABSENT),
        (judged.gap.astype(np.bool_)[:, None], Flag.GAP),
        ((judged.time > now + FUTURE_TOLERANCE)[:, None], Flag.FUTURE),
    ]
    out = np.zeros(values.shape, np.uint16)
    for where, flag in found:
        out |= where * np.uint16(flag)
    return out


def _attenuated(judged: Judged) -> NDArray[np.bool_]:
    """(m, c) whether a channel moves far less than usual, but moves."""
    calm = np.isin(judged.cause, (Cause.STUCK, Cause.FREEZE))
    rows = calm & (judged.alarm & Alarm.WARNING != 0)
    leading = judged.contributions >= LEADING
    moving: NDArray[np.bool_] = ~judged.flat.astype(np.bool_) & ~np.isnan(judged.values)
    found: NDArray[np.bool_] = rows[:, None] & leading & moving
    return found


def _in_other_unit(judged: Judged) -> NDArray[np.bool_]:
    """(m, c) whether a value can only be in another unit, whatever came before."""
    ranges = [in_other_unit(name) or (np.inf, -np.inf) for name in judged.channels]
    low, high = np.array(ranges).T
    found: NDArray[np.bool_] = (judged.values >= low) & (judged.values <= high)
    return found


def _sentinel(judged: Judged, jump: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(m, c) whether a number stands for "no value"."""
    out = np.zeros(judged.values.shape, np.bool_)
    sudden = jump | judged.gap.astype(np.bool_)[:, None]
    for column, name in enumerate(judged.channels):
        always, after_jump = sentinels(name)
        values = judged.values[:, column]
        out[:, column] = _any_of(values, always)
        out[:, column] |= _any_of(values, after_jump) & sudden[:, column]
    return out


def _any_of(values: Floats, numbers: Sequence[float]) -> NDArray[np.bool_]:
    """(m,) whether a value is one of these; in a handful of numbers quicker than a search."""
    out = np.zeros(len(values), np.bool_)
    for number in numbers:
        out |= values == number
    return out


def _outside(judged: Judged, bounds: Mapping[int, Bounds]) -> NDArray[np.bool_]:
    """(m, c) whether a value is one that its quantity, or this sensor's channel, cannot have."""
    quantities = [quantity(name) for name in judged.channels]
    low = np.array([-np.inf if known is None else known.minimum for known in quantities])
    high = np.array([np.inf if known is None else known.maximum for known in quantities])
    outside: NDArray[np.bool_] = (judged.values < low) | (judged.values > high)
    for slot in bounds.keys() & set(judged.slots.tolist()) if bounds else ():
        rows = judged.slots == slot
        for name, (least, most) in bounds[slot].items():
            if name in judged.channels:
                column = judged.channels.index(name)
                values = judged.values[rows, column]
                outside[rows, column] = (values < least) | (values > most)
    return outside
