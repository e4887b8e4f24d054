"""Decision: return rates and a budget in, alarm bits out (``native/alarm.c``)."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from enum import IntFlag

import numpy as np

from redshank.core.batch import Bytes, Ints, Singles, Times
from redshank.core.errors import FieldError
from redshank.detect.native import call, contiguous
from redshank.detect.structs import StructColumn


class Alarm(IntFlag):
    """What a row means for its sensor's incident."""

    OPEN = 1
    """An incident goes on: the row is anomalous."""
    OPENED = 2
    """It opened at this row."""
    CLOSED = 4
    """The one before was over at this row."""
    WARNING = 8
    """The row's return rate is within five times the budget."""


@dataclass(frozen=True, slots=True)
class Confirmation:
    """N of M: how many of the latest rows must be within the budget before an incident opens.

    Attributes:
        needed: N, at least 1; 1 of 1 alarms at once.
        window: M, at most 32.

    Raises:
        FieldError: they do not fit each other.
    """

    needed: int = 1
    window: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.needed <= self.window <= 32:
            text = f"{self.needed} of {self.window}"
            raise FieldError("confirmation", text, "is not N of M with 1 <= N <= M <= 32")

    @classmethod
    def parse(cls, text: str) -> Confirmation:
        """From words like "2 of 5".

        Raises:
            FieldError: it is not of that form.
        """
        needed, _, window = text.partition("of")
        try:
            return cls(int(needed), int(window))
        except ValueError:
            raise FieldError("confirmation", text, 'is not like "2 of 5"') from None


AT_ONCE = Confirmation()


def alarm_column() -> StructColumn:
    """State of the decision, one row a sensor."""
    return StructColumn("alarm_state")


def decide(
    states: StructColumn,
    slots: Ints,
    time: Times,
    rate: Singles,
    budget: Singles,
    confirmation: Confirmation = AT_ONCE,
) -> Bytes:
    """Alarm bits of rows in arrival order; ``states`` moves on.

    An incident opens where ``rate`` is at most ``budget``, once confirmed. Its rows are anomalous;
    it is over after 60 rows in a row above five times the budget, or after 12 rows and 5 hours.

    Args:
        states: one row a sensor.
        slots: (n,) row in ``states`` of each reading.
        time: (n,) event time, microseconds; the same for all where only rows count.
        rate: (n,) return rate, any scale.
        budget: (n,) the alarm budget on the same scale.
        confirmation: how many of the latest rows must be within it.

    Returns:
        (n,) of :class:`Alarm`.
    """
    out = np.empty(len(slots), np.uint8)
    call(
        "rs_alarm",
        ctypes.c_int64(len(slots)),
        ctypes.c_int32(confirmation.needed),
        ctypes.c_int32(confirmation.window),
        contiguous(slots, np.int32),
        contiguous(time, np.int64),
        contiguous(rate, np.float32),
        contiguous(budget, np.float32),
        states.rows,
        out,
    )
    return out


def decide_one(
    states: StructColumn,
    time: Times,
    rate: Singles,
    budget: float,
    confirmation: Confirmation = AT_ONCE,
) -> Bytes:
    """Alarm bits of the next rows of one sensor, whose state is the first of ``states``."""
    slots = np.zeros(len(rate), np.int32)
    budgets = np.full(len(rate), budget, np.float32)
    return decide(states, slots, time, rate, budgets, confirmation)


def decide_series(
    time: Times, rate: Singles, budget: float, confirmation: Confirmation = AT_ONCE
) -> Bytes:
    """Alarm bits of one sensor's stored rates, from its first row on."""
    return decide_one(alarm_column(), time, rate, budget, confirmation)
