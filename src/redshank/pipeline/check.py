"""Second stage: quality flags for every value; nothing is refused.

After the tests of QARTOD (IOOS Quality Assurance of Real-Time Oceanographic Data): gross range,
flat line, gap, timing.
"""

from __future__ import annotations

import numpy as np

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
    out = np.zeros(values.shape, np.uint16)
    out[np.isnan(values)] |= Flag.MISSING
    out[np.isinf(values)] |= Flag.NOT_FINITE
    out[judged.flat.astype(np.bool_)] |= Flag.FLAT_LINE
    out[judged.gap.astype(np.bool_)] |= Flag.GAP
    out[judged.time > now + FUTURE_TOLERANCE] |= Flag.FUTURE
    for column, name in enumerate(judged.channels):
        if (known := quantity(name)) is not None:
            column_values = values[:, column]
            outside = (column_values < known.minimum) | (column_values > known.maximum)
            out[outside, column] |= Flag.GROSS_RANGE
    return out
