"""A sensor's state as bytes: a fixed header, then its blocks; no pickle."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from ctypes import string_at
from dataclasses import dataclass

import numpy as np

from redshank.core.batch import Bytes
from redshank.detect.streaming import kernels
from redshank.detect.streaming.kernels import FIRST_FIT, KEPT, Layout

_MAGIC = b"RSE1"
_HEADER = struct.Struct("<4sHHqqqq4I")
COUNTERS = ("rows", "fitted_at", "since", "fits")
BLOCKS = ("buffer", "model", "core", "ring")
_TOGETHER = {(), ("buffer",), ("buffer", "core"), ("model", "core"), ("model", "core", "ring")}


@dataclass(frozen=True, slots=True)
class State:
    """A sensor's :data:`COUNTERS`, and its blocks by name; what it does not have is missing."""

    counters: tuple[int, ...]
    blocks: dict[str, Bytes]


def pack(shape: Layout, counters: Sequence[int], addresses: Sequence[int]) -> bytes:
    """A state as bytes; rows that a buffer does not hold yet take no space.

    Args:
        counters: as in :data:`COUNTERS`.
        addresses: of the blocks, in the order of :data:`BLOCKS`; 0 where there is none.
    """
    parts = [
        b"".join(
            string_at(address + piece.start, piece.stop - piece.start)
            for piece in _pieces(shape, counters[0], name)
        )
        if address
        else b""
        for name, address in zip(BLOCKS, addresses, strict=True)
    ]
    version, sizes = kernels.abi_version(), map(len, parts)
    head = _HEADER.pack(_MAGIC, version, shape.channels, *counters, *sizes)
    return b"".join([head, *parts])


def unpack(shape: Layout, packed: bytes) -> State:
    """The state that was packed.

    Raises:
        ValueError: not a snapshot of this detector, of another version or of other channels.
    """
    if len(packed) < _HEADER.size or packed[:4] != _MAGIC:
        raise ValueError("this is not a snapshot of the streaming detector")
    _, version, channels, *numbers = _HEADER.unpack_from(packed)
    counters, sizes = numbers[: len(COUNTERS)], numbers[len(COUNTERS) :]
    if version != kernels.abi_version():
        raise ValueError(f"snapshot of version {version}, this is {kernels.abi_version()}")
    if channels != shape.channels:
        raise ValueError(f"snapshot of {channels} channels, this pool has {shape.channels}")
    if len(packed) != _HEADER.size + sum(sizes):
        raise ValueError(f"snapshot of {len(packed)} bytes is cut or padded")
    ends = np.cumsum([_HEADER.size, *sizes])
    blocks = {
        name: np.frombuffer(packed, np.uint8, size, int(end - size))
        for name, size, end in zip(BLOCKS, sizes, ends[1:], strict=True)
        if size
    }
    rows = counters[0]
    _check(shape, rows, blocks)
    return State(tuple(counters), _widened(shape, rows, blocks))


def _pieces(shape: Layout, rows: int, name: str) -> list[slice]:
    """The parts of a block that hold something."""
    c = shape.channels
    if name == "buffer":
        return [slice(0, 8 * (c + 1) * rows)]
    if name == "ring":
        kept, values = min(rows, KEPT), 16 * c
        evidence = values + 2 * c * KEPT
        return [slice(0, values + 2 * c * kept), slice(evidence, evidence + 2 * kept)]
    return [slice(0, shape.model_bytes if name == "model" else shape.core_bytes)]


def _size(pieces: list[slice]) -> int:
    return sum(piece.stop - piece.start for piece in pieces)


def _check(shape: Layout, rows: int, blocks: dict[str, Bytes]) -> None:
    if tuple(blocks) not in _TOGETHER or ("buffer" in blocks and rows > FIRST_FIT):
        raise ValueError("snapshot is damaged: its blocks do not belong together")
    for name, block in blocks.items():
        if len(block) != _size(_pieces(shape, rows, name)):
            raise ValueError(f"snapshot is damaged: {name} has {len(block)} bytes")


def _widened(shape: Layout, rows: int, blocks: dict[str, Bytes]) -> dict[str, Bytes]:
    """The blocks with the ring's rows where they belong."""
    if "ring" not in blocks:
        return blocks
    wide = np.zeros(shape.ring_bytes, np.uint8)
    at = 0
    for piece in _pieces(shape, rows, "ring"):
        wide[piece] = blocks["ring"][at : at + piece.stop - piece.start]
        at += piece.stop - piece.start
    return blocks | {"ring": wide}
