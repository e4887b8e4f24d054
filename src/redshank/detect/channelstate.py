"""Kernels with state per sensor and channel: what one channel shows beside the score."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum, IntFlag

import numpy as np

from redshank.core.batch import Bytes, Floats, Ints, Singles, Times
from redshank.detect.native import call
from redshank.detect.structs import StructColumn

NEVER = np.iinfo(np.int64).min
MAX_CHANNELS = 256
"""Most channels of one sensor."""


@dataclass(frozen=True, slots=True, eq=False)
class Aligned:
    """Rows as they are scored.

    Attributes:
        slots: (m,) sensor of each row.
        time: (m,) event time, microseconds, strictly rising for each sensor.
        values: (m, c).
    """

    slots: Ints
    time: Times
    values: Floats


class Alignment:
    """Makes one row again of channels that arrive in separate messages (``native/align.c``).

    Messages older than the sensor's newest row are left out: they are stored, not scored.
    """

    def __init__(self, tolerance: int = 500_000) -> None:
        self.tolerance = tolerance
        self.sensors = StructColumn("align_sensor", (NEVER, NEVER))
        nan = int(np.array([np.nan]).view(np.int64)[0])
        self.channels = StructColumn("align_channel", (nan,))

    def run(self, slots: Ints, first: Times, time: Times, values: Floats) -> Aligned:
        """Aligned rows of messages in arrival order.

        Args:
            slots: (n,) sensor.
            first: (n,) number of the sensor's first channel among all channels.
            time: (n,) event time, microseconds.
            values: (n, c), NaN where a message lacks the channel.
        """
        n, c = values.shape
        out_slots = np.empty(2 * n, np.int32)
        out_time = np.empty(2 * n, np.int64)
        out_values = np.empty((2 * n, c))
        m = call(
            "rs_align",
            ctypes.c_int64(n),
            ctypes.c_int32(c),
            ctypes.c_int64(self.tolerance),
            slots,
            first,
            time,
            values,
            self.sensors.rows,
            self.channels.rows,
            out_slots,
            out_time,
            out_values,
        )
        return Aligned(out_slots[:m], out_time[:m], out_values[:m])


class Rhythm:
    """Learns each sensor's reporting interval (``native/rhythm.c``)."""

    def __init__(self) -> None:
        self.sensors = StructColumn("rhythm_state", (NEVER,))

    def run(self, slots: Ints, time: Times) -> tuple[Singles, Bytes]:
        """Median interval in seconds (n,), NaN before the second row; and (n,) 1 after a gap."""
        interval = np.empty(len(slots), np.float32)
        gap = np.empty(len(slots), np.uint8)
        n = ctypes.c_int64(len(slots))
        call("rs_rhythm", n, slots, time, self.sensors.rows, interval, gap)
        return interval, gap


class Rests(IntEnum):
    """Where a channel may hold one value for any time."""

    NEVER = 0
    ANYWHERE = 1
    AT_ZERO = 2


class FlatLine:
    """How unusual is it that a channel holds one value for so long (``native/flatline.c``)."""

    LEARN_ABOVE = 1.0

    def __init__(self) -> None:
        self.channels = StructColumn("flat_state")

    def run(
        self, first: Times, time: Times, values: Floats, rests: Bytes
    ) -> tuple[Singles, Singles]:
        """Return rate of the current run per 8,640 rows (n, c), and its length so far in seconds.

        Args:
            first: (n,) number of the sensor's first channel.
            time: (n,) event time.
            values: (n, c).
            rests: (c,) where each channel rests, see :class:`Rests`.
        """
        rate = np.empty(values.shape, np.float32)
        held = np.empty(values.shape, np.float32)
        n, c = ctypes.c_int64(len(values)), ctypes.c_int32(values.shape[1])
        least = ctypes.c_float(self.LEARN_ABOVE)
        states = self.channels.rows
        call("rs_flatline", n, c, first, time, values, rests, least, states, rate, held)
        return rate, held


class Extremes:
    """How unusual is a value outside everything seen before (``native/extremes.c``)."""

    LEARN_ABOVE = 1.0

    def __init__(self) -> None:
        self.channels = StructColumn("extremes_state")

    def run(self, first: Times, values: Floats) -> tuple[Singles, Singles]:
        """Return rates per 8,640 rows, of records (n, c) and of the gross ones among them (n, c).

        Both are inf for values inside the range seen.

        Args:
            first: (n,) number of the sensor's first channel.
            values: (n, c).
        """
        record, gross = np.empty((2, *values.shape), np.float32)
        n, c = ctypes.c_int64(len(values)), ctypes.c_int32(values.shape[1])
        least = ctypes.c_float(self.LEARN_ABOVE)
        call("rs_extremes", n, c, first, values, least, self.channels.rows, record, gross)
        return record, gross


class Change(IntFlag):
    """What the step to a value says."""

    JUMP = 1
    """Far larger than any that the channel has shown."""
    SPIKE = 2
    """It takes a jump back: the values before, three at most, were a spike."""
    UNIT = 4
    """Since a jump the channel goes on where it stood, but in another unit."""
    ABSENT = 8
    """The sensor's rows lack the channel for far longer than they ever did."""


Conversions = Sequence[tuple[float, float]]
MAX_UNITS = 8
"""Most conversions that are tried for a channel."""


class Changes:
    """How unusual is the step from one value to the next (``native/change.c``)."""

    def __init__(self) -> None:
        self.channels = StructColumn("change_state")

    def run(
        self, first: Times, time: Times, values: Floats, interval: Singles, units: Floats
    ) -> tuple[Bytes, Singles]:
        """(n, c) bits of :class:`Change`; (n, c) return rates of jumps per 8,640 rows, else inf.

        Args:
            first: (n,) number of the sensor's first channel.
            time: (n,) event time.
            values: (n, c).
            interval: (n,) the sensor's reporting interval in seconds.
            units: from :func:`conversion_table`.
        """
        said = np.empty(values.shape, np.uint8)
        n, c = ctypes.c_int64(len(values)), ctypes.c_int32(values.shape[1])
        states, rate = self.channels.rows, np.empty(values.shape, np.float32)
        call("rs_change", n, c, first, time, values, interval, units, states, said, rate)
        return said, rate


def conversion_table(channels: Sequence[Conversions]) -> Floats:
    """(c, 8, 2) factor and offset from other units to each channel's own; zeros where unused."""
    table = np.zeros((len(channels), MAX_UNITS, 2))
    for row, conversions in zip(table, channels, strict=True):
        for k, pair in enumerate(conversions[:MAX_UNITS]):
            row[k] = pair
    return table


RECENT_ROWS = 32
"""Rows before an incident that are remembered."""
RECENT_HOURS = 48
"""Hours before that of an incident whose levels are remembered."""


class Recent:
    """The latest rows of each channel (``native/recent.c``)."""

    def __init__(self) -> None:
        self.channels = StructColumn("recent_state")

    def run(
        self, first: Times, time: Times, values: Floats, chosen: Bytes, skip: Bytes
    ) -> tuple[Singles, Singles, Singles]:
        """What came before each of the ``k`` chosen rows.

        Returns:
            (k, RECENT_ROWS, c) the rows before it, oldest first, NaN where there are none;
            (k, c) how far each channel usually moved from one value to the next; and
            (k, RECENT_HOURS + 1, c) means of the hours before and of the present one so far,
            oldest first, NaN where there are none.

        Args:
            first: (n,) number of the sensor's first channel.
            time: (n,) event time, microseconds.
            values: (n, c).
            chosen: (n,) not 0 for rows whose past is wanted.
            skip: (n,) not 0 for rows of incidents; they do not count for the hours.
        """
        n, c = ctypes.c_int64(len(values)), ctypes.c_int32(values.shape[1])
        k, width = np.count_nonzero(chosen), values.shape[1]
        before = np.empty((k, RECENT_ROWS, width), np.float32)
        usual = np.empty((k, width), np.float32)
        levels = np.empty((k, RECENT_HOURS + 1, width), np.float32)
        rows, out = (first, time, values, chosen, skip), (before, usual, levels)
        call("rs_recent", n, c, *rows, self.channels.rows, *out)
        return out


class Profile:
    """What is normal for a channel at this hour of the day (``native/profile.c``)."""

    def __init__(self) -> None:
        self.channels = StructColumn("profile_state")

    def run(
        self, first: Times, time: Times, values: Floats, interval: Singles, learn: Bytes
    ) -> tuple[Singles, Singles, Singles]:
        """Expected value, lower and upper edge of the 90 % band, each (n, c), before each row.

        Args:
            first: (n,) number of the sensor's first channel.
            time: (n,) event time on the sensor's own clock: UTC plus its offset, microseconds.
            values: (n, c).
            interval: (n,) the sensor's reporting interval in seconds.
            learn: (n,) 0 for rows that must not become normal.
        """
        n, c = ctypes.c_int64(len(values)), ctypes.c_int32(values.shape[1])
        expected, lower, upper = np.empty((3, *values.shape), np.float32)
        states, bands = self.channels.rows, (expected, lower, upper)
        call("rs_profile", n, c, first, time, values, interval, learn, states, *bands)
        return bands
