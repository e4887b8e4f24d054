"""Which streaming pools score which channels of a sensor.

A sensor's channels form groups of neighbouring columns; each group is scored jointly in the pool
for its width. Channels that appear before the first fit join the last group; those that appear
later, or beyond the widest group, form one of their own, so that a new channel never disturbs
what is known of the others. The sensor's return rate is the rarest group's, times their number.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from redshank.core.batch import Bytes, Floats, Ints, Singles, Times
from redshank.detect.streaming import StreamingPool, StreamingSettings

WIDEST = 64
"""Most channels that are scored jointly; joint models cost their square."""

Widths = tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class GroupScores:
    """Scores of rows over all groups of their sensors; shapes as in the pool's ``Scores``."""

    score: Singles
    rate: Singles
    contributions: Singles
    forecast: Singles
    cause: Bytes


class Groups:
    """The groups of all sensors, as columns over sensor slots.

    Args:
        settings: of the pools.
        widest: most channels that are scored jointly.
    """

    def __init__(self, settings: StreamingSettings, widest: int = WIDEST) -> None:
        self._settings = settings
        self._widest = widest
        self._pools: dict[int, StreamingPool] = {}
        self._shapes: list[Widths] = [()]
        self._shape_number: dict[Widths, int] = {(): 0}
        self._shape = np.zeros(64, np.int32)
        self._in_pool: list[Ints] = []

    # --- membership ---

    def extend(self, slot: int, channels: int) -> None:
        """Cover the first ``channels`` channels of a sensor."""
        widths = list(self._widths(slot))
        missing = channels - sum(widths)
        if widths and missing and widths[-1] < self._widest:
            more = min(missing, self._widest - widths[-1])
            if self._widen(slot, len(widths) - 1, widths[-1], widths[-1] + more):
                widths[-1] += more
                missing -= more
        while missing:
            widths.append(min(missing, self._widest))
            self._enter(slot, len(widths) - 1, widths[-1])
            missing -= widths[-1]
        self._set_widths(slot, tuple(widths))

    def remove(self, slot: int) -> None:
        """Forget a sensor."""
        for k, width in enumerate(self._widths(slot)):
            self._pools[width].remove(self._in_pool[k][slot : slot + 1])
        self._set_widths(slot, ())

    def _widths(self, slot: int) -> Widths:
        return self._shapes[self._shape[slot]] if slot < len(self._shape) else ()

    def _set_widths(self, slot: int, widths: Widths) -> None:
        number = self._shape_number.setdefault(widths, len(self._shapes))
        if number == len(self._shapes):
            self._shapes.append(widths)
        self._shape = _roomy(self._shape, slot)
        self._shape[slot] = number

    def _pool(self, width: int) -> StreamingPool:
        if width not in self._pools:
            self._pools[width] = StreamingPool(width, self._settings)
        return self._pools[width]

    def _enter(self, slot: int, k: int, width: int) -> None:
        """Give the sensor a place in the pool for its ``k``-th group."""
        if k == len(self._in_pool):
            self._in_pool.append(np.zeros(64, np.int32))
        self._in_pool[k] = _roomy(self._in_pool[k], slot)
        self._in_pool[k][slot] = self._pool(width).add(1)[0]

    def _widen(self, slot: int, k: int, width: int, wider: int) -> bool:
        """Move a group that has not been fitted to a wider pool; whether it could be moved."""
        pool = self._pool(width)
        old = self._in_pool[k][slot : slot + 1].copy()
        if pool.fitted(old)[0]:
            return False
        time, values = pool.history(int(old[0]))
        pool.remove(old)
        self._enter(slot, k, wider)
        if len(time):
            padded = np.full((len(time), wider), np.nan)
            padded[:, :width] = values
            at = np.full(len(time), self._in_pool[k][slot], np.int32)
            self._pool(wider).score(at, time, padded)
        return True

    # --- rows ---

    def prime(self, slot: int, time: Times, values: Floats) -> None:
        """Fit a sensor's groups on a history."""
        start = 0
        for k, width in enumerate(self._widths(slot)):
            part = np.ascontiguousarray(values[:, start : start + width])
            self._pools[width].prime(int(self._in_pool[k][slot]), time, part)
            start += width

    def score(self, slots: Ints, time: Times, values: Floats, records: Singles) -> GroupScores:
        """Scores of rows in arrival order; all sensors have exactly the channels of ``values``."""
        numbers = np.unique(self._shape[slots])
        if len(numbers) == 1:
            return self._score(self._shapes[numbers[0]], slots, time, values, records)
        out = _nothing(*values.shape)
        for number in numbers:
            rows = np.flatnonzero(self._shape[slots] == number)
            chosen = slots[rows], time[rows], values[rows], records[rows]
            part = self._score(self._shapes[number], *chosen)
            for name in GroupScores.__slots__:
                getattr(out, name)[rows] = getattr(part, name)
        return out

    def _score(
        self, widths: Widths, slots: Ints, time: Times, values: Floats, records: Singles
    ) -> GroupScores:
        """Rows of sensors whose channels are grouped in the same way."""
        out = _nothing(*values.shape)
        start = 0
        for k, width in enumerate(widths):
            columns = slice(start, start + width)
            part = np.ascontiguousarray(values[:, columns])
            scores = self._pools[width].score(
                self._in_pool[k][slots], time, part, records[:, columns]
            )
            out.forecast[:, columns] = scores.forecast
            rarer = scores.rate < out.rate
            out.rate[rarer] = scores.rate[rarer]
            out.cause[rarer] = scores.cause[rarer]
            out.contributions[rarer] = 0.0
            out.contributions[rarer, columns] = scores.contributions[rarer]
            np.maximum(out.score, scores.score, out=out.score)
            start += width
        out.rate[:] *= np.float32(len(widths))
        return out

    # --- checkpoints ---

    def snapshot(self, slot: int) -> list[bytes]:
        """State of a sensor's groups: their widths, then one part each."""
        widths = self._widths(slot)
        states = [
            self._pools[width].snapshot(self._in_pool[k][slot : slot + 1])[0]
            for k, width in enumerate(widths)
        ]
        return [np.array(widths, np.int32).tobytes(), *states]

    def restore(self, slot: int, parts: list[bytes]) -> None:
        """Replace a sensor's groups by those of a snapshot."""
        self.remove(slot)
        widths = tuple(np.frombuffer(parts[0], np.int32).tolist())
        for k, (width, state) in enumerate(zip(widths, parts[1:], strict=True)):
            self._enter(slot, k, width)
            self._pools[width].restore(self._in_pool[k][slot : slot + 1], [state])
        self._set_widths(slot, widths)

    def state_bytes(self) -> int:
        """Memory of all pools."""
        own = self._shape.nbytes + sum(column.nbytes for column in self._in_pool)
        return own + sum(pool.state_bytes() for pool in self._pools.values())


def _roomy(column: Ints, slot: int) -> Ints:
    """The column, doubled until it has room for ``slot``."""
    while slot >= len(column):
        column = np.concatenate([column, np.zeros_like(column)])
    return column


def _nothing(n: int, c: int) -> GroupScores:
    return GroupScores(
        np.zeros(n, np.float32),
        np.full(n, np.inf, np.float32),
        np.zeros((n, c), np.float32),
        np.full((n, c), np.nan, np.float32),
        np.zeros(n, np.uint8),
    )
