"""Many sensors with the same number of channels, scored and learned from in one causal pass."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from redshank.core.batch import Bytes, Floats, Ints, Singles, Times
from redshank.core.clock import DAY
from redshank.detect import native
from redshank.detect.streaming import kernels, learning, packing
from redshank.detect.streaming.arena import Arena
from redshank.detect.streaming.kernels import FIRST_FIT, SLOT
from redshank.detect.streaming.scores import Scores, StreamingSettings

_BUFFER_FULL = 2
_ROOMS = (16, 64, FIRST_FIT)


class _Groups(NamedTuple):
    """Rows of one slot each: slot, first and end within an order of all rows."""

    slot: Ints
    start: Times
    end: Times

    def rest(self) -> _Groups:
        """Those that have rows left."""
        left = self.start < self.end
        return _Groups(self.slot[left], self.start[left], self.end[left])


class StreamingPool:
    """The default detector (E1) for sensors of ``channels`` channels each.

    A sensor is a *slot*. It learns from its first rows, reports from row 256 on, and refits at
    512, 1,024 and 2,048 rows; or it is primed once with a history. Scores and state do not
    depend on how rows are cut into batches or mixed between sensors, bit for bit.
    """

    def __init__(self, channels: int, settings: StreamingSettings | None = None) -> None:
        if channels < 1:
            raise ValueError(f"channels: {channels}; a sensor has at least 1")
        self.channels = channels
        self.settings = settings or StreamingSettings()
        self._shape = kernels.layout(channels)
        self._arenas = {
            "model": Arena(self._shape.model_bytes),
            "core": Arena(self._shape.core_bytes),
            "ring": Arena(self._shape.ring_bytes),
        }
        self._buffers = {rows: Arena(8 * (channels + 1) * rows) for rows in _ROOMS}
        self._table = np.zeros(0, SLOT)
        self._alive = np.zeros(0, np.bool_)
        self._spare: list[int] = []
        self._scratch = np.zeros(self._shape.scratch_bytes, np.uint8)

    # --- sensors ---------------------------------------------------------------------------

    def add(self, count: int = 1) -> Ints:
        """(count,) new slots."""
        if count > len(self._spare):
            self._grow(count - len(self._spare))
        slots = np.array([heapq.heappop(self._spare) for _ in range(count)], np.int32)
        self._alive[slots] = True
        return slots

    def remove(self, slots: Ints) -> None:
        """Forget sensors and give their memory back.

        Raises:
            ValueError: a slot that is not in use.
        """
        self._check(slots)
        for slot in slots.tolist():
            for name in packing.BLOCKS:
                self._release(slot, name)
            heapq.heappush(self._spare, slot)
        self._table[slots] = 0
        self._alive[slots] = False

    def fitted(self, slots: Ints) -> NDArray[np.bool_]:
        """(n,) whether a sensor has learned enough to be scored."""
        self._check(slots)
        known: NDArray[np.bool_] = self._table["model"][slots] != 0
        return known

    def history(self, slot: int) -> tuple[Times, Floats]:
        """The rows (n,), (n, c) of a sensor that is not fitted yet.

        Raises:
            ValueError: it is fitted; its first rows are gone.
        """
        if self.fitted(np.array([slot], np.int32))[0]:
            raise ValueError(f"slot {slot} is fitted; its history is no longer kept")
        rows = int(self._table["rows"][slot])
        if not rows:
            return np.zeros(0, np.int64), np.zeros((0, self.channels))
        return learning.buffered(self._shape, self._block(slot, "buffer"), rows)

    # --- rows ------------------------------------------------------------------------------

    def score(
        self, slots: Ints, time: Times, values: Floats, records: Singles | None = None
    ) -> Scores:
        """Score rows, then learn from each, in order of arrival.

        Args:
            slots: (n,) sensor of each row.
            time: (n,) microseconds, UTC.
            values: (n, c) NaN or infinite = missing.
            records: (n, c) return rates of values outside everything seen, per 8,640 rows; inf
                where a value is none. None for no such test.

        Raises:
            ValueError: shapes do not fit, or a slot is not in use.
        """
        slots = native.contiguous(slots, np.int32)
        time = native.contiguous(time, np.int64)
        values = native.contiguous(values, np.float64)
        if records is None:
            records = np.full(values.shape, np.inf, np.float32)
        records = native.contiguous(records, np.float32)
        self._check_rows(slots, time, values)
        if records.shape != values.shape:
            raise ValueError(f"records: shape {records.shape} beside values of {values.shape}")
        out = _empty_scores(len(slots), self.channels)
        groups, order = _grouped(slots)
        self._make_buffers(groups.slot)
        while len(groups.slot):
            stopped, event = kernels.score(
                self._shape,
                self._table,
                groups,
                order,
                (time, values, records),
                self.settings.young_days * DAY,
                out,
                self._scratch,
            )
            if not stopped:
                break
            for slot, why in zip(groups.slot.tolist(), event.tolist(), strict=True):
                if why:
                    self._act(slot, why)
            groups = groups.rest()
        return out

    def prime(self, slot: int, time: Times, values: Floats) -> None:
        """Learn once from a history, instead of from the first rows.

        With fewer than 256 rows the sensor takes them as its first ones and goes on learning.

        Args:
            slot: a sensor without rows.
            time: (n,) microseconds, UTC.
            values: (n, c) NaN or infinite = missing.

        Raises:
            ValueError: shapes do not fit, or the sensor has rows already.
        """
        if len(time) < FIRST_FIT:
            self.score(np.full(len(time), slot, np.int32), time, values)
            return
        values = native.contiguous(values, np.float64)
        self._check_rows(np.full(len(time), slot, np.int32), time, values)
        if self._table["rows"][slot]:
            raise ValueError(f"slot {slot} has rows already; prime a sensor before its first row")
        model, core = self._allocate(slot, "model"), self._allocate(slot, "core")
        learning.fit_prefix(self._shape, self.settings, model, core, values)
        row = self._table[slot]
        row["rows"] = row["fitted_at"] = len(values)
        row["since"] = time[0]
        row["fits"] = -1

    # --- state -----------------------------------------------------------------------------

    def snapshot(self, slots: Ints) -> list[bytes]:
        """Each sensor's whole state, to be restored bit for bit."""
        self._check(slots)
        names = (*packing.COUNTERS, *packing.BLOCKS)
        columns = [self._table[name][slots].tolist() for name in names]
        return [
            packing.pack(self._shape, each[: len(packing.COUNTERS)], each[len(packing.COUNTERS) :])
            for each in zip(*columns, strict=True)
        ]

    def restore(self, slots: Ints, states: Sequence[bytes]) -> None:
        """Put sensors into the states that :meth:`snapshot` gave; what they had is dropped.

        Raises:
            ValueError: a state of another version or shape; nothing is changed then.
        """
        self._check(slots)
        unpacked = [packing.unpack(self._shape, packed) for packed in states]
        for slot, state in zip(slots.tolist(), unpacked, strict=True):
            for name in packing.BLOCKS:
                self._release(slot, name)
            row = self._table[slot]
            for name, count in zip(packing.COUNTERS, state.counters, strict=True):
                row[name] = count
            for name, block in state.blocks.items():
                self._allocate(slot, name)[: len(block)] = block

    def state_bytes(self) -> int:
        """Bytes of all arrays, with what is allocated ahead."""
        arenas = (*self._arenas.values(), *self._buffers.values())
        held = sum(arena.nbytes() for arena in arenas)
        return held + self._table.nbytes + self._alive.nbytes

    def slot_bytes(self, slots: Ints) -> Times:
        """(n,) bytes that each sensor holds now."""
        self._check(slots)
        held = np.full(len(slots), SLOT.itemsize + 1, np.int64)
        for name, arena in self._arenas.items():
            held += (self._table[name][slots] != 0) * arena.block_bytes
        rooms = np.searchsorted(_ROOMS[:-1], self._table["rows"][slots], side="right")
        sizes = np.array([arena.block_bytes for arena in self._buffers.values()])
        held += (self._table["buffer"][slots] != 0) * sizes[rooms]
        return held

    # --- inside ----------------------------------------------------------------------------

    def _act(self, slot: int, why: int) -> None:
        """Do what the kernel cannot: it asks for memory, or for a fit."""
        if why == _BUFFER_FULL:
            self._widen_buffer(slot)
        else:
            self._fit(slot)

    def _widen_buffer(self, slot: int) -> None:
        rows, old = int(self._table["rows"][slot]), int(self._table["buffer"][slot])
        small = self._buffers[max(room for room in _ROOMS if room <= rows)]
        address = self._arena(slot, "buffer").allocate()
        self._arena(slot, "buffer").view(address)[: small.block_bytes] = small.view(old)
        small.free(old)
        self._table["buffer"][slot] = address

    def _fit(self, slot: int) -> None:
        if self._table["core"][slot] == 0:
            self._live_through(slot)
        elif self._table["model"][slot] == 0:
            self._fit_first(slot)
        else:
            self._refit(slot)
        self._table["fitted_at"][slot] = self._table["rows"][slot]

    def _live_through(self, slot: int) -> None:
        """First half of the first fit; the other comes before the next row, to part the wait."""
        _, values = learning.buffered(self._shape, self._block(slot, "buffer"), FIRST_FIT)
        learning.live_through(self._shape, self.settings, self._allocate(slot, "core"), values)

    def _fit_first(self, slot: int) -> None:
        model, ring = self._allocate(slot, "model"), self._allocate(slot, "ring")
        core, buffer = self._block(slot, "core"), self._block(slot, "buffer")
        learning.fit_first(self._shape, self.settings, model, core, ring, buffer)
        self._table["fits"][slot] = 1
        self._release(slot, "buffer")

    def _refit(self, slot: int) -> None:
        model, core, ring = (self._block(slot, name) for name in ("model", "core", "ring"))
        row = self._table[slot]
        rows, second = int(row["rows"]), row["fits"] % 2 == 0
        again = learning.refit(self._shape, self.settings, model, core, ring, rows, second)
        row["fits"] += 1 if second or again else 2
        if row["fits"] >= learning.LAST_FIT:
            self._release(slot, "ring")

    def _make_buffers(self, slots: Ints) -> None:
        fresh = (self._table["model"][slots] == 0) & (self._table["buffer"][slots] == 0)
        new = slots[fresh]
        self._table["buffer"][new] = self._buffers[_ROOMS[0]].allocate_many(len(new))

    def _arena(self, slot: int, name: str) -> Arena:
        if name != "buffer":
            return self._arenas[name]
        rows = int(self._table["rows"][slot])
        return self._buffers[min(room for room in _ROOMS if room > rows or room == _ROOMS[-1])]

    def _allocate(self, slot: int, name: str) -> Bytes:
        self._table[name][slot] = self._arena(slot, name).allocate()
        block = self._block(slot, name)
        if name in ("model", "core"):
            block[:] = 0
        return block

    def _block(self, slot: int, name: str) -> Bytes:
        return self._arena(slot, name).view(int(self._table[name][slot]))

    def _release(self, slot: int, name: str) -> None:
        if address := int(self._table[name][slot]):
            self._arena(slot, name).free(address)
            self._table[name][slot] = 0

    def _grow(self, count: int) -> None:
        before = len(self._table)
        size = max(before + count, 2 * before, 16)
        table, alive = np.zeros(size, SLOT), np.zeros(size, np.bool_)
        table[:before], alive[:before] = self._table, self._alive
        self._table, self._alive = table, alive
        self._spare = list(heapq.merge(sorted(self._spare), range(before, size)))

    def _check(self, slots: Ints) -> None:
        known = (slots >= 0) & (slots < len(self._alive))
        if not known.all() or not self._alive[slots].all():
            raise ValueError(f"unknown slots: {_unknown(slots, self._alive)}")

    def _check_rows(self, slots: Ints, time: Times, values: Floats) -> None:
        if values.shape != (len(slots), self.channels) or time.shape != slots.shape:
            raise ValueError(
                f"{len(slots)} slots, {len(time)} times and values of shape {values.shape} do not "
                f"fit; {self.channels} channels are wanted"
            )
        self._check(slots)


def _unknown(slots: Ints, alive: NDArray[np.bool_]) -> list[int]:
    wanted: Iterable[int] = np.unique(slots).tolist()
    return [slot for slot in wanted if not 0 <= slot < len(alive) or not alive[slot]][:5]


def _empty_scores(rows: int, channels: int) -> Scores:
    return Scores(
        np.empty(rows, np.float32),
        np.empty(rows, np.float32),
        np.empty((rows, channels), np.float32),
        np.empty((rows, channels), np.float32),
        np.empty(rows, np.uint8),
    )


def _grouped(slots: Ints) -> tuple[_Groups, Times]:
    """Rows of the same slot together, in order of arrival."""
    order = np.argsort(slots, kind="stable").astype(np.int64, copy=False)
    ranked = slots[order]
    start = np.flatnonzero(np.diff(ranked, prepend=-1)).astype(np.int64, copy=False)
    end = np.append(start[1:], np.int64(len(slots)))[: len(start)]
    return _Groups(np.ascontiguousarray(ranked[start]), start, end), order
