"""Blocks of one size, given back to the system when a chunk of them is empty."""

from __future__ import annotations

from bisect import bisect_right, insort

import numpy as np

from redshank.core.batch import Bytes

_CHUNK_BYTES = 1 << 18


class Arena:
    """Allocates blocks of ``block_bytes`` with stable addresses.

    Chunks hold some blocks each; a chunk without a used block is dropped at once, so what
    sensors free is free for everybody. Blocks are taken from the lowest chunk that has one, which
    keeps the last chunks empty.
    """

    def __init__(self, block_bytes: int) -> None:
        self.block_bytes = -(-block_bytes // 64) * 64
        self._per_chunk = max(1, _CHUNK_BYTES // self.block_bytes)
        self._bases: list[int] = []
        self._chunks: dict[int, Bytes] = {}
        self._free: dict[int, list[int]] = {}
        self._open: list[int] = []

    def allocate(self) -> int:
        """The address of a block; what it holds is left over."""
        return self.allocate_many(1)[0]

    def allocate_many(self, count: int) -> list[int]:
        """The addresses of so many blocks."""
        taken: list[int] = []
        while len(taken) < count:
            if not self._open:
                self._add_chunk()
            free = self._free[self._open[0]]
            wanted = min(count - len(taken), len(free))
            taken += free[: -wanted - 1 : -1]
            del free[-wanted:]
            if not free:
                self._open.pop(0)
        return taken

    def free(self, address: int) -> None:
        """Give a block back."""
        base = self._base(address)
        free = self._free[base]
        if not free:
            insort(self._open, base)
        free.append(address)
        if len(free) == self._per_chunk:
            self._drop_chunk(base)

    def view(self, address: int) -> Bytes:
        """The bytes of a block."""
        base = self._base(address)
        return self._chunks[base][address - base : address - base + self.block_bytes]

    def nbytes(self) -> int:
        """Bytes of all chunks."""
        return sum(chunk.nbytes for chunk in self._chunks.values())

    def _base(self, address: int) -> int:
        return self._bases[bisect_right(self._bases, address) - 1]

    def _add_chunk(self) -> None:
        size = self._per_chunk * self.block_bytes
        raw = np.zeros(size + 64, np.uint8)
        skip = -raw.ctypes.data % 64
        base = raw.ctypes.data + skip
        insort(self._bases, base)
        insort(self._open, base)
        self._chunks[base] = raw[skip : skip + size]
        self._free[base] = list(range(base + size - self.block_bytes, base - 1, -self.block_bytes))

    def _drop_chunk(self, base: int) -> None:
        self._bases.remove(base)
        self._open.remove(base)
        del self._chunks[base], self._free[base]
