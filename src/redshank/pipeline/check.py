"""Second stage: quality flags for every value; nothing is refused.

After the tests of QARTOD (IOOS Quality Assurance of Real-Time Oceanographic Data): gross range,
flat line, gap, timing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from redshank.core.batch import Flags
from redshank.core.channels import quantity
from redshank.core.clock import MINUTE
from redshank.core.records import Flag
from redshank.detect.engine import Judged

FUTURE_TOLERANCE = 5 * MINUTE
"""How far a sender's clock may be ahead before its readings are flagged."""


def flags(judged: Judged, now: int) -> Flags:
    """(m, c) of :class:`Flag` for each value.

    Args:
        judged: rows from the engine.
        now: wall clock, microseconds.
    """
    values = judged.values
    found = [
        (np.isnan(values), Flag.MISSING),
        (np.isinf(values), Flag.NOT_FINITE),
        (_outside(judged), Flag.GROSS_RANGE),
        (judged.flat.astype(np.bool_), Flag.FLAT_LINE),
        (judged.gap.astype(np.bool_)[:, None], Flag.GAP),
        ((judged.time > now + FUTURE_TOLERANCE)[:, None], Flag.FUTURE),
    ]
    out = np.zeros(values.shape, np.uint16)
    for where, flag in found:
        out |= where * np.uint16(flag)
    return out


def _outside(judged: Judged) -> NDArray[np.bool_]:
    """(m, c) whether a value is one that its quantity cannot have."""
    quantities = [quantity(name) for name in judged.channels]
    low = np.array([-np.inf if known is None else known.minimum for known in quantities])
    high = np.array([np.inf if known is None else known.maximum for known in quantities])
    outside: NDArray[np.bool_] = (judged.values < low) | (judged.values > high)
    return outside
