"""How sensors report, learned from the times of their readings alone (``native/cadence.c``)."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from redshank.core.batch import Ints, Times
from redshank.detect.channelstate import NEVER
from redshank.detect.native import call
from redshank.detect.structs import StructColumn

ATTENDANCE = np.dtype(
    [
        ("since", np.int64),
        ("odd_since", np.int64),
        ("odd_last", np.int64),
        ("silence", np.float32),
        ("stutter", np.float32),
        ("odd", np.float32),
        ("interval", np.float32),
        ("came", np.float32),
        ("expected", np.float32),
        ("pause", np.float32),
        ("odd_rows", np.float32),
        ("odd_season", np.float32),
        ("usual", np.float32),
    ]
)
"""How it stands with a sensor.

``silence``, ``stutter``, ``odd``: such things per 30 days, inf while too little is known.
``interval``: median seconds between readings, NaN before the second.
``since``: event time from which readings are missing; ``came``, ``expected``: readings since then,
and how many would have been usual; ``pause``: the longest time between two of them, seconds.
``odd_since``, ``odd_last``, ``odd_rows``: the readings outside the usual times; ``odd_season``: 1
where these are times of the year, 0 for hours of the week. ``usual``: 1 once the hours are known.
"""

Attendance = np.ndarray[tuple[int], np.dtype[np.void]]


class Cadence:
    """Learns when each sensor reports: interval, pauses, hours of the week, seasons.

    A few hundred bytes a sensor. All times are event times; what is known depends on a sensor's
    own rows only, and not on batches.
    """

    def __init__(self) -> None:
        self.sensors = StructColumn("cadence_state", (NEVER,))

    def run(self, slots: Ints, time: Times, shift: Times) -> None:
        """Learn from rows; those that are older than the sensor's newest row are left out.

        Args:
            slots: (n,) sensors.
            time: (n,) event time, microseconds.
            shift: (n,) offset of the sensor's time zone from UTC at that time, microseconds.
        """
        call("rs_cadence", ctypes.c_int64(len(slots)), slots, time, shift, self.sensors.rows)

    def attendance(self, slots: Ints, quiet: Times, now: Times, shift: Times) -> Attendance:
        """(n,) rows of :data:`ATTENDANCE`.

        Args:
            slots: (n,) sensors.
            quiet: (n,) since when nothing came, microseconds.
            now: (n,) the time to look at, microseconds.
            shift: (n,) offset of each time zone from UTC then, microseconds.
        """
        out: np.ndarray[Any, Any] = np.zeros(len(slots), ATTENDANCE)
        n, states = ctypes.c_int64(len(slots)), self.sensors.rows
        call("rs_attendance", n, slots, quiet, now, shift, states, out.view(np.uint8))
        return out

    def forget_calendar(self, slots: Ints) -> None:
        """Learn the usual hours of these sensors anew, in another time zone."""
        call("rs_cadence_forget_calendar", ctypes.c_int64(len(slots)), slots, self.sensors.rows)
