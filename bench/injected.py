"""Labelled faults of several sizes, put into streams that have none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from streams import Stream

HOUR = 3600.0
NOTHING = "nothing"
"""No fault at all: what is "found" by chance in as long a stretch; its size is in hours."""
SPIKE_GRACE = 5
"""Rows after a spike within which it still counts as found."""


@dataclass(frozen=True)
class Fault:
    """A fault to inject.

    Attributes:
        name: its type.
        size: in deviations of the channel (level shift, drift: where it ends), of its row-to-row
            change (spike, noise), or hours (stuck).
        hours: how long it lasts, and
        rows: at least so many rows; 1 row for a spike.
    """

    name: str
    size: float
    hours: float
    rows: int

    def length(self, interval: float) -> int:
        """Rows of the event at this cadence."""
        return max(round(self.hours * HOUR / interval), self.rows)


FAULTS = (
    *(Fault("spike", size, 0, 1) for size in (5, 10, 20)),
    *(Fault("level shift", size, 4, 24) for size in (1, 3, 10)),
    *(Fault("drift", size, 12, 48) for size in (3, 10)),
    *(Fault("noise", size, 4, 24) for size in (1, 3)),
    Fault("stuck", 2, 2, 24),
    Fault("stuck", 12, 12, 72),
    Fault(NOTHING, 4, 4, 24),
    Fault(NOTHING, 12, 12, 48),
)


@dataclass(frozen=True)
class Injected:
    """A stretch of a stream with a fault in one channel.

    Attributes:
        fault: which.
        values: (n, c) from the first row of the event on.
        event: rows of it that count as the event.
    """

    fault: Fault
    values: np.ndarray
    event: int


def injections(
    rng: np.random.Generator, stream: Stream, row: int, interval: float
) -> Iterator[Injected]:
    """Every fault at this row, in a channel chosen by chance."""
    known = stream.values[max(0, row - 20_000) : row]
    for fault in FAULTS:
        column = int(rng.choice(stream.measured))
        n = min(fault.length(interval), len(stream.values) - row)
        event = min(n + SPIKE_GRACE if fault.name == "spike" else n, len(stream.values) - row)
        values = stream.values[row : row + event].copy()
        values[:n, column] = _changed(rng, fault, values[:n, column], known[:, column])
        yield Injected(fault, values, event)


def _changed(
    rng: np.random.Generator, fault: Fault, values: np.ndarray, known: np.ndarray
) -> np.ndarray:
    known = known[~np.isnan(known)]
    deviation, step = float(known.std()), float(np.diff(known).std())
    if fault.name == NOTHING:
        return values
    if fault.name == "stuck":
        return np.where(np.isnan(values), np.nan, known[-1])
    if fault.name == "noise":
        return values + fault.size * step * rng.normal(size=len(values))
    sign = rng.choice((-1.0, 1.0))
    if fault.name == "spike":
        return np.nan_to_num(values, nan=known[-1]) + sign * fault.size * step
    ramp = np.linspace(0, 1, len(values)) if fault.name == "drift" else 1.0
    return values + sign * fault.size * deviation * ramp
