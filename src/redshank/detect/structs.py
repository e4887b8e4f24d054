"""Columns of C structures: per-sensor and per-channel state that kernels update in place."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from redshank.core.batch import Bytes
from redshank.detect.native import call


class StructColumn:
    """Rows of one C structure, grown by doubling.

    Args:
        kind: the structure's name in the kernels; ``rs_<kind>_size()`` tells its size.
        empty: leading 64-bit integers of a row that holds nothing yet; the rest is zero.
    """

    def __init__(self, kind: str, empty: Sequence[int] = (), capacity: int = 64) -> None:
        self._empty = np.zeros(call(f"rs_{kind}_size"), np.uint8)
        self._empty[: 8 * len(empty)] = np.array(empty, np.int64).view(np.uint8)
        self.rows = np.tile(self._empty, (capacity, 1))

    @property
    def row_bytes(self) -> int:
        """Size of one row."""
        return len(self._empty)

    def reserve(self, count: int) -> None:
        """Make room for ``count`` rows; new ones are empty."""
        have = len(self.rows)
        if count > have:
            more = np.tile(self._empty, (max(count, 2 * have) - have, 1))
            self.rows = np.concatenate([self.rows, more])

    def clear(self, start: int, count: int = 1) -> None:
        """Make rows empty again."""
        self.rows[start : start + count] = self._empty

    def get(self, start: int, count: int = 1) -> bytes:
        """The bytes of some rows."""
        return self.rows[start : start + count].tobytes()

    def put(self, start: int, count: int, state: bytes) -> None:
        """Overwrite some rows.

        Raises:
            ValueError: ``state`` is not ``count`` rows long.
        """
        if len(state) != count * self.row_bytes:
            raise ValueError(f"{len(state)} bytes of state where {count * self.row_bytes} are due")
        flat: Bytes = np.frombuffer(state, np.uint8)
        self.rows[start : start + count] = flat.reshape(count, self.row_bytes)
