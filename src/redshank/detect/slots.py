"""Which rows of the state columns belong to which sensor: slots, layouts and series."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from redshank.core.batch import Ints
from redshank.detect.channelstate import MAX_CHANNELS
from redshank.detect.structs import StructColumn


class Slots:
    """Book of who has which rows, kept together with the columns that hold them.

    A sensor has one slot: its row in every column of sensors. Its channels have as many rows in
    a line, its series, in every column of channels. Sensors with the same channels in the same
    order share a layout.

    Args:
        of_sensors: columns with a row for each sensor.
        of_series: columns with a row for each channel of each sensor.

    Attributes:
        layout: (n,) number of each slot's layout.
        first: (n,) where each slot's series begins.
        budget: (n,) each slot's alarm budget.
        zone: (n,) number of each slot's time zone.
    """

    def __init__(
        self, of_sensors: Sequence[StructColumn], of_series: Sequence[StructColumn]
    ) -> None:
        self._of_sensors = of_sensors
        self._of_series = of_series
        self._layouts: list[tuple[str, ...]] = [()]
        self._layout_number: dict[tuple[str, ...], int] = {(): 0}
        self.layout = np.zeros(64, np.int32)
        self.first = np.zeros(64, np.int64)
        self.budget = np.full(64, 3.0, np.float32)
        self.zone = np.zeros(64, np.int32)
        self._free: list[int] = []
        self._free_series: dict[int, list[int]] = {}
        self._slots = 0
        self._series = 0

    def add(self, budget: float) -> int:
        """A slot without channels."""
        slot = self._free.pop() if self._free else self._new()
        for column in self._of_sensors:
            column.clear(slot)
        self.layout[slot] = 0
        self.first[slot] = 0
        self.budget[slot] = budget
        self.zone[slot] = 0
        return slot

    def remove(self, slot: int) -> None:
        """Give a slot and its series back."""
        self.strip(slot)
        self._free.append(slot)

    def strip(self, slot: int) -> None:
        """Take a slot's channels away."""
        self._release_series(slot)
        self.layout[slot] = 0

    def channels(self, slot: int) -> tuple[str, ...]:
        """The slot's channels, in order of appearance."""
        return self.layout_channels(int(self.layout[slot]))

    def layout_channels(self, number: int) -> tuple[str, ...]:
        """The channels of a layout."""
        return self._layouts[number]

    def lacking(self, slots: Ints, channels: Sequence[str]) -> Iterable[int]:
        """The slots among these that lack any of the channels."""
        wanted = frozenset(channels)
        layouts = self.layout[slots]
        short = [n for n in np.unique(layouts) if not wanted <= frozenset(self._layouts[n])]
        return np.unique(slots[np.isin(layouts, short)]).tolist() if short else ()

    def extend(self, slot: int, channels: Sequence[str]) -> int:
        """Give a slot the channels that it has not had before; how many it has then.

        Raises:
            ValueError: these are more than the kernels can take.
        """
        before = self.channels(slot)
        after = before + tuple(name for name in channels if name not in before)
        if len(after) > MAX_CHANNELS:
            raise ValueError(f"a sensor with {len(after)} channels: at most {MAX_CHANNELS}")
        number = self._layout_number.setdefault(after, len(self._layouts))
        if number == len(self._layouts):
            self._layouts.append(after)
        start = self._reserve_series(len(after))
        old = int(self.first[slot])
        for column in self._of_series:
            column.clear(start, len(after))
            column.put(start, len(before), column.get(old, len(before)))
        self._release_series(slot)
        self.first[slot] = start
        self.layout[slot] = number
        return len(after)

    def state(self, slot: int) -> list[bytes]:
        """The slot's rows of all columns."""
        first, count = int(self.first[slot]), len(self.channels(slot))
        return [
            *(column.get(slot) for column in self._of_sensors),
            *(column.get(first, count) for column in self._of_series),
        ]

    def put_state(self, slot: int, parts: Sequence[bytes]) -> list[bytes]:
        """Overwrite the slot's rows of all columns; the parts that are left over.

        Raises:
            ValueError: a part is of another length than the rows.
        """
        first, count = int(self.first[slot]), len(self.channels(slot))
        left = iter(parts)
        for column in self._of_sensors:
            column.put(slot, 1, next(left))
        for column in self._of_series:
            column.put(first, count, next(left))
        return list(left)

    def nbytes(self) -> int:
        """Memory of the columns and of the book."""
        columns = (*self._of_sensors, *self._of_series)
        small = self.layout.nbytes + self.first.nbytes + self.budget.nbytes + self.zone.nbytes
        return sum(column.rows.nbytes for column in columns) + small

    def _new(self) -> int:
        slot = self._slots
        self._slots += 1
        if slot == len(self.layout):
            self.layout = np.concatenate([self.layout, np.zeros_like(self.layout)])
            self.first = np.concatenate([self.first, np.zeros_like(self.first)])
            self.budget = np.concatenate([self.budget, np.zeros_like(self.budget)])
            self.zone = np.concatenate([self.zone, np.zeros_like(self.zone)])
        for column in self._of_sensors:
            column.reserve(self._slots)
        return slot

    def _reserve_series(self, count: int) -> int:
        if free := self._free_series.get(count):
            return free.pop()
        start = self._series
        self._series += count
        for column in self._of_series:
            column.reserve(self._series)
        return start

    def _release_series(self, slot: int) -> None:
        if count := len(self.channels(slot)):
            self._free_series.setdefault(count, []).append(int(self.first[slot]))
