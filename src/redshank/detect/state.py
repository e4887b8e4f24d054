"""The byte form of checkpoints: a JSON header and raw arrays, never a pickle."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from redshank.detect.native import library

_MAGIC = b"RSK1"


def pack(header: Mapping[str, Any], parts: Sequence[bytes]) -> bytes:
    """Bytes of a header and of some arrays, with the kernels' ABI version."""
    full = dict(header, abi=library().rs_abi_version(), sizes=[len(part) for part in parts])
    text = orjson.dumps(full)
    return b"".join([_MAGIC, struct.pack("<I", len(text)), text, *parts])


def unpack(state: bytes) -> tuple[dict[str, Any], list[bytes]]:
    """Header and arrays.

    Raises:
        ValueError: not made by :func:`pack`, damaged, or by kernels of another ABI version.
    """
    if state[:4] != _MAGIC or len(state) < 8:
        raise ValueError("not a checkpoint of redshank")
    (length,) = struct.unpack_from("<I", state, 4)
    header = orjson.loads(state[8 : 8 + length])
    if header["abi"] != library().rs_abi_version():
        raise ValueError(f"checkpoint of kernel version {header['abi']}")
    parts, start = [], 8 + length
    for size in header["sizes"]:
        parts.append(state[start : start + size])
        start += size
    if start != len(state):
        raise ValueError(f"checkpoint has {len(state)} bytes where {start} are due")
    return header, parts
