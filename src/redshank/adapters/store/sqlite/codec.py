"""Rows as bytes: the layout of chunks, and of their hourly rollups.

A chunk holds rows of one sensor and one schema as packed records, row after row, so that one
sorted batch is cut into chunks by slicing one buffer.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from redshank.core.batch import Batch, Times
from redshank.core.records import Verdicts

Records = NDArray[np.void]
"""A structured array; its fields are those of the types below."""

NEVER = -(2**63)
"""Stands for 'no time yet' where the newest of two times is kept."""
NOT_YET = 2**63 - 1
"""Stands for 'no time yet' where the oldest of two times is kept."""

PER_CHANNEL = ("flags", "expected", "lower", "upper", "contributions")
PER_ROW = ("score", "per_month", "budget", "status", "cause")


@dataclass(frozen=True, slots=True)
class Schema:
    """What the records of a chunk mean.

    Attributes:
        channels: names, in the records' order.
        model: detector that spoke, "" for readings.
        version: its version.
    """

    channels: tuple[str, ...]
    model: str = ""
    version: str = ""

    def text(self) -> str:
        """The form that is stored."""
        return json.dumps([self.channels, self.model, self.version])

    @staticmethod
    def parse(text: str) -> Schema:
        """From the form that is stored."""
        channels, model, version = json.loads(text)
        return Schema(tuple(channels), model, version)


@lru_cache(maxsize=256)
def reading_type(channels: int) -> np.dtype[np.void]:
    """Record of a reading of so many channels."""
    return np.dtype([("time", "<i8"), ("values", "<f8", (channels,))])


HEAD = np.dtype([("time", "<i8"), ("rate", "<f4")])
"""The part of a verdict's record that is read most often."""


@lru_cache(maxsize=256)
def body_type(channels: int) -> np.dtype[np.void]:
    """The rest of a verdict's record."""
    return np.dtype(
        [
            ("score", "<f4"),
            ("per_month", "<f4"),
            ("budget", "<f4"),
            ("status", "u1"),
            ("cause", "u1"),
            ("flags", "<u2", (channels,)),
            ("expected", "<f4", (channels,)),
            ("lower", "<f4", (channels,)),
            ("upper", "<f4", (channels,)),
            ("contributions", "<f4", (channels,)),
        ]
    )


def pack_readings(batch: Batch, order: NDArray[np.intp] | slice) -> Records:
    """(n,) records of a batch's rows in this order."""
    records = np.empty(len(batch), reading_type(len(batch.channels)))
    records["time"] = batch.time[order]
    records["values"] = batch.values[order]
    return records


def pack_heads(verdicts: Verdicts, order: NDArray[np.intp] | slice) -> Records:
    """(n,) times and rates in this order."""
    records = np.empty(len(verdicts), HEAD)
    records["time"] = verdicts.time[order]
    records["rate"] = verdicts.rate[order]
    return records


def pack_bodies(verdicts: Verdicts, order: NDArray[np.intp] | slice) -> Records:
    """(n,) everything else of the verdicts in this order."""
    records = np.empty(len(verdicts), body_type(len(verdicts.channels)))
    for name in PER_ROW + PER_CHANNEL:
        records[name] = getattr(verdicts, name)[order]
    return records


def all_flags(bodies: Records) -> NDArray[np.uint16]:
    """(n,) the quality flags of each row's values, or-ed."""
    flags: NDArray[np.uint16] = np.bitwise_or.reduce(bodies["flags"], axis=1)
    return flags


def cut(records: Records, bounds: Sequence[int]) -> list[memoryview]:
    """The bytes of each group of rows; group ``i`` is rows ``bounds[i]`` to ``bounds[i + 1]``."""
    size = records.dtype.itemsize
    data = records.view(np.uint8).data
    edges = [bound * size for bound in bounds]
    return [data[a:b] for a, b in pairwise(edges)]


def squeeze(records: Records) -> bytes:
    """Bytes of many records, compressed where that makes them fewer.

    Like bytes of all records come together first, as the shuffle filter of HDF5 does it: exponents
    and constant columns all but vanish.
    """
    plain = records.tobytes()
    by_place = np.frombuffer(plain, np.uint8).reshape(len(records), -1).T
    packed = zlib.compress(by_place.tobytes(), 1)
    return packed if len(packed) < len(plain) else plain


def stretch(stored: bytes, count: int, layout: np.dtype[np.void]) -> bytes:
    """Bytes of ``count`` records; what is shorter than they are was squeezed."""
    if len(stored) == count * layout.itemsize:
        return stored
    by_place = np.frombuffer(zlib.decompress(stored), np.uint8).reshape(-1, count)
    return by_place.T.tobytes()


@dataclass(frozen=True, slots=True, eq=False)
class Groups:
    """Rows by sensor: each group is one chunk.

    Attributes:
        order: puts the rows of a sensor together, keeping their order; a full slice if they are.
        keys: (g,) sensor of each group, ascending.
        bounds: (g + 1,) first row of each group, and the number of rows.
    """

    order: NDArray[np.intp] | slice
    keys: Times
    bounds: NDArray[np.intp]

    @staticmethod
    def of(keys: Times) -> Groups:
        """Groups of equal keys; (n,) with n > 0."""
        order: NDArray[np.intp] | slice = slice(None)
        if bool(np.any(keys[1:] < keys[:-1])):
            order = np.argsort(keys, kind="stable")
            keys = keys[order]
        starts = np.flatnonzero(keys[1:] != keys[:-1]) + 1
        bounds = np.concatenate(([0], starts, [len(keys)]))
        return Groups(order, keys[bounds[:-1]], bounds)

    def newest(self, time: Times) -> NDArray[np.intp]:
        """(g,) the last row of each group among its newest; ``time`` is in the groups' order."""
        ends = self.bounds[1:] - 1
        falls = np.flatnonzero(time[1:] < time[:-1]) + 1
        if bool(np.all(np.isin(falls, self.bounds))):
            return ends
        group = np.repeat(np.arange(len(self.keys)), np.diff(self.bounds))
        return np.lexsort((time, group))[ends]


def pack_extras(
    ids: Sequence[str | None] | None, tags: Sequence[Any] | None, start: int, end: int
) -> str | None:
    """The senders' ids and tags of rows ``start`` to ``end`` as JSON; None where there are none."""
    some_ids = list(ids[start:end]) if ids is not None else []
    some_tags = [dict(t) if t else None for t in tags[start:end]] if tags is not None else []
    if not any(some_ids) and not any(some_tags):
        return None
    return json.dumps({"ids": some_ids, "tags": some_tags}, ensure_ascii=False)
