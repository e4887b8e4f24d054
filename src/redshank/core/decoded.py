"""What a body held, whatever its format: good rows as batches, bad ones with their reasons."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from redshank.core.batch import Batch, Reading, Times, batches, concat
from redshank.core.errors import FieldError

MAX_LINE = 10_000_000
"""Longest line of a body that is made of lines, bytes."""
MAX_RAW = 65_536
"""So much of a bad row is kept."""
UNDATED = -(2**62)
"""Rows without a time have this one plus their numbers until :meth:`Decoded.dated`."""

Places = NDArray[np.intp]
Part = tuple[Batch, Places]
"""Readings and the row each came from."""


@dataclass(frozen=True, slots=True)
class RowError:
    """A row that could not become a reading.

    Attributes:
        index: its number in the array, or its line's, from 0.
        field: the field that cannot be used, "row" for the row as a whole.
        value: the offending value, shortened.
        reason: what is wrong with it, as in "is not a number".
        raw: the row as it came, cut to 64 KiB.
        time: when it came, microseconds; 0 until :meth:`Decoded.dated`.
    """

    index: int
    field: str
    value: object
    reason: str
    raw: bytes
    time: int = 0


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a body held.

    Attributes:
        batches: the good rows, one batch for each set of channels, rows in given order. Times of
            rows that had none are negative.
        errors: the bad rows, by index.
        count: how many rows there were, good and bad.
        places: for each batch (n,) the number of the row that each reading came from.
    """

    batches: list[Batch]
    errors: list[RowError]
    count: int
    places: list[Places] = field(default_factory=list)

    @property
    def undated(self) -> int:
        """How many rows had no time or are bad, which are given the time when they came."""
        return len(self.errors) + sum(int((batch.time < 0).sum()) for batch in self.batches)

    def dated(self, times: Times) -> Decoded:
        """The same rows with times for those that had none, and for bad ones.

        Which row gets which time depends on the rows alone, not on how a body was cut into pieces.

        Args:
            times: (undated,) microseconds, in the order of the rows.
        """
        if not len(times):
            return self
        marks = [batch.time < 0 for batch in self.batches]
        opened = [
            np.stack([place[mark], batch.time[mark]])
            for batch, place, mark in zip(self.batches, self.places, marks, strict=True)
        ]
        bad = np.array([[error.index for error in self.errors], [0] * len(self.errors)])
        place, number = np.concatenate([*opened, bad.astype(np.int64)], axis=1)
        given = np.empty(len(times), np.int64)
        given[np.lexsort((number, place))] = times
        *parts, of_bad = np.split(given, np.cumsum([part.shape[1] for part in opened]))
        dated = []
        for batch, mark, part in zip(self.batches, marks, parts, strict=True):
            time = batch.time.copy()
            time[mark] = part
            dated.append(replace(batch, time=time))
        errors = [
            replace(error, time=time)
            for error, time in zip(self.errors, of_bad.tolist(), strict=True)
        ]
        return replace(self, batches=dated, errors=errors)

    def dated_from(self, first: int) -> Decoded:
        """As :meth:`dated`, with consecutive microseconds."""
        return self.dated(np.arange(first, first + self.undated))


def too_long(limit: int) -> str:
    """The reason why a line over the limit is refused."""
    size = f"{limit // 1_000_000} MB" if limit % 1_000_000 == 0 else f"{limit:,} bytes"
    return f"is longer than {size}"


def in_row_order(parts: Sequence[Part]) -> tuple[list[Batch], list[Places]]:
    """One batch per set of channels in the order of the rows that readings came from, and these."""
    together: dict[tuple[str, ...], list[Part]] = {}
    for part in parts:
        if len(part[0]):
            together.setdefault(part[0].channels, []).append(part)
    ordered, places = [], []
    for same in together.values():
        [batch] = concat([batch for batch, _ in same])
        place = np.concatenate([place for _, place in same])
        order = np.argsort(place, kind="stable")
        ordered.append(batch if len(same) == 1 else batch.take(order))
        places.append(place[order])
    return ordered, places


def read_each(
    index: Iterable[int],
    read: Callable[[int], Reading],
    refused: Callable[[int, FieldError], RowError],
) -> tuple[list[Part], list[RowError]]:
    """Rows one at a time.

    Args:
        index: the numbers of the rows.
        read: the reading of a row; raises FieldError where it is none.
        refused: what is told of such a row.
    """
    good: dict[tuple[str, ...], tuple[list[Reading], list[int]]] = {}
    errors = []
    for i in index:
        try:
            reading = read(i)
        except FieldError as error:
            errors.append(refused(i, error))
            continue
        readings, places = good.setdefault(tuple(sorted(reading.values)), ([], []))
        readings.append(reading)
        places.append(i)
    parts = [(batches(some)[0], np.array(places, np.intp)) for some, places in good.values()]
    return parts, errors
