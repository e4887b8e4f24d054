"""Kernels with state per sensor and per channel: alignment, rhythm, flat line, profile."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

import numpy as np

from redshank.core.batch import Bytes, Floats, Ints, Singles, Times
from redshank.detect.native import library, pointer
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
        kernel = library().rs_align
        kernel.restype = ctypes.c_int64
        states = (self.sensors.rows, self.channels.rows)
        arrays = (slots, first, time, values, *states, out_slots, out_time, out_values)
        m = kernel(
            ctypes.c_int64(n),
            ctypes.c_int32(c),
            ctypes.c_int64(self.tolerance),
            *map(pointer, arrays),
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
        arrays = (slots, time, self.sensors.rows, interval, gap)
        library().rs_rhythm(ctypes.c_int64(len(slots)), *map(pointer, arrays))
        return interval, gap


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
            rests: (c,) 1 where the channel may rest at zero for any time.
        """
        rate = np.empty(values.shape, np.float32)
        held = np.empty(values.shape, np.float32)
        arrays = (first, time, values, rests)
        library().rs_flatline(
            ctypes.c_int64(len(values)),
            ctypes.c_int32(values.shape[1]),
            *map(pointer, arrays),
            ctypes.c_float(self.LEARN_ABOVE),
            *map(pointer, (self.channels.rows, rate, held)),
        )
        return rate, held


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
            time: (n,) event time.
            values: (n, c).
            interval: (n,) the sensor's reporting interval in seconds.
            learn: (n,) 0 for rows that must not become normal.
        """
        bands = tuple(np.empty(values.shape, np.float32) for _ in range(3))
        arrays = (first, time, values, interval, learn, self.channels.rows, *bands)
        library().rs_profile(
            ctypes.c_int64(len(values)), ctypes.c_int32(values.shape[1]), *map(pointer, arrays)
        )
        return bands
