"""Finding chunks of one sensor in both tiers, and making rows of them again."""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from redshank.adapters.store.sqlite.codec import (
    HEAD,
    PER_CHANNEL,
    PER_ROW,
    Records,
    Schema,
    body_type,
    reading_type,
    stretch,
)
from redshank.adapters.store.sqlite.directory import Directory, Schemas
from redshank.core.batch import Batch, Floats, Times
from redshank.core.clock import HOUR
from redshank.core.errors import NotFoundError
from redshank.core.records import Verdicts

Span = tuple[int, int]
"""Oldest and newest event time, both included."""

_TAIL = (
    " FROM commits k CROSS JOIN tail_{table} t ON t.seq = k.seq AND t.sensor = :sensor"
    " WHERE k.last_time >= :start AND k.first_time <= :end"
    " AND t.last_time >= :start AND t.first_time <= :end"
)
_BODY = " FROM {table} WHERE sensor = :sensor AND last_time >= :start AND first_time <= :end"

READINGS = "SELECT schema, first_seq, part, count, seqs, extras, records, NULL" + _BODY.format(
    table="readings"
)
TAIL_READINGS = "SELECT t.schema, t.seq, t.part, t.count, NULL, t.extras, t.records, NULL" + (
    _TAIL.format(table="readings")
)
VERDICTS = "SELECT schema, first_seq, part, count, seqs, NULL, head, body" + (
    _BODY.format(table="verdicts")
)
TAIL_VERDICTS = "SELECT t.schema, t.seq, t.part, t.count, NULL, NULL, t.head, t.body" + (
    _TAIL.format(table="verdicts")
)


@dataclass(frozen=True, slots=True)
class View:
    """What a query sees: one state of the database, and the writer's memory of names.

    Attributes:
        sql: a connection in a transaction.
        schemas: by number.
        directory: sensors that the writer met.
        path: the file, None in memory.
    """

    sql: sqlite3.Connection
    schemas: Schemas
    directory: Directory
    path: Path | None

    def key(self, sensor_id: str) -> int:
        """The key of a sensor.

        Raises:
            NotFoundError: there is no such sensor.
        """
        found = self.sql.execute("SELECT id FROM sensors WHERE sensor_id = ?", (sensor_id,))
        row = found.fetchone()
        if row is None:
            raise NotFoundError(f"there is no sensor {sensor_id!r}")
        return int(row[0])


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Rows of one sensor and schema, from any number of chunks, in their chunks' order.

    Attributes:
        number: of the schema.
        schema: what the records mean.
        seq: (n,) commit that wrote the row.
        part: (n,) place in that commit; 0 where it no longer matters.
        records: (n,) readings, or the heads of verdicts.
        bodies: (n,) the rest of verdicts.
        ids: (n,) senders' ids where any was asked for and given.
        tags: (n,) likewise.
    """

    number: int
    schema: Schema
    seq: Times
    part: Times
    records: Records
    bodies: Records | None = None
    ids: NDArray[np.object_] | None = None
    tags: NDArray[np.object_] | None = None

    @property
    def time(self) -> Times:
        """(n,) event times."""
        return np.ascontiguousarray(self.records["time"])

    def take(self, rows: NDArray[Any]) -> Rows:
        """The rows at these numbers or under this mask."""
        return replace(
            self,
            seq=self.seq[rows],
            part=self.part[rows],
            records=self.records[rows],
            bodies=None if self.bodies is None else self.bodies[rows],
            ids=None if self.ids is None else self.ids[rows],
            tags=None if self.tags is None else self.tags[rows],
        )

    def within(self, span: Span) -> Rows:
        """The rows of a span."""
        inside = (self.time >= span[0]) & (self.time <= span[1])
        return self if bool(inside.all()) else self.take(inside)

    def in_order(self) -> Rows:
        """By time, then as they came."""
        time = self.time
        if bool(np.all(time[1:] > time[:-1])):
            return self
        return self.take(np.lexsort((self.part, self.seq, time)))


def reading_rows(view: View, key: int, span: Span, extras: bool = False) -> list[Rows]:
    """Readings of a sensor in a span, by schema."""
    return _rows(view, (READINGS, TAIL_READINGS), key, span, extras)


def verdict_rows(view: View, key: int, span: Span) -> list[Rows]:
    """Verdicts on a sensor in a span, by schema."""
    return _rows(view, (VERDICTS, TAIL_VERDICTS), key, span, False)


def around(find: Callable[[Span], list[Rows]], time: Times, reach: int = 6 * HOUR) -> list[Rows]:
    """Rows near these times, which may lie far apart: what is between them is not read."""
    ordered = np.unique(time)
    breaks = np.flatnonzero(np.diff(ordered) > reach) + 1
    found = []
    for run in np.split(ordered, breaks):
        found += find((int(run[0]), int(run[-1])))
    return found


def _rows(view: View, queries: Sequence[str], key: int, span: Span, extras: bool) -> list[Rows]:
    given = {"sensor": key, "start": span[0], "end": span[1]}
    chunks = [row for query in queries for row in view.sql.execute(query, given)]
    return [rows.within(span) for rows in joined(view, chunks, extras)]


def joined(view: View, chunks: Sequence[Sequence[Any]], extras: bool = False) -> list[Rows]:
    """Rows of chunks as the queries above bring them, in order of schema number."""
    by_schema: dict[int, list[Sequence[Any]]] = defaultdict(list)
    for chunk in chunks:
        by_schema[chunk[0]].append(chunk)
    return [
        _joined(number, view.schemas.of(view.sql, number), by_schema[number], extras)
        for number in sorted(by_schema)
    ]


def _joined(number: int, schema: Schema, chunks: list[Sequence[Any]], extras: bool) -> Rows:
    counts = np.array([chunk[3] for chunk in chunks])
    channels = len(schema.channels)
    judged = chunks[0][7] is not None
    layout = HEAD if judged else reading_type(channels)
    rows = Rows(
        number,
        schema,
        _seqs(chunks, counts),
        np.repeat(np.array([chunk[2] for chunk in chunks]), counts),
        np.frombuffer(_bytes(chunks, 6, layout), layout),
    )
    if judged:
        layout = body_type(channels)
        rows = replace(rows, bodies=np.frombuffer(_bytes(chunks, 7, layout), layout))
    if extras and any(chunk[5] for chunk in chunks):
        ids, tags = (_extras(chunks, counts, name) for name in ("ids", "tags"))
        rows = replace(rows, ids=ids, tags=tags)
    return rows


def _bytes(chunks: list[Sequence[Any]], column: int, layout: np.dtype[np.void]) -> bytes:
    return b"".join([stretch(chunk[column], chunk[3], layout) for chunk in chunks])


def _seqs(chunks: list[Sequence[Any]], counts: NDArray[np.int64]) -> Times:
    seqs = np.repeat(np.array([chunk[1] for chunk in chunks], np.int64), counts)
    ends = np.cumsum(counts).tolist()
    for chunk, end in zip(chunks, ends, strict=True):
        if chunk[4] is not None:
            seqs[end - chunk[3] : end] += np.frombuffer(chunk[4], "<u4")
    return seqs


def _extras(
    chunks: list[Sequence[Any]], counts: NDArray[np.int64], name: str
) -> NDArray[np.object_]:
    values = np.full(int(counts.sum()), None, object)
    for chunk, end in zip(chunks, np.cumsum(counts).tolist(), strict=True):
        some = json.loads(chunk[5])[name] if chunk[5] else ()
        for at, value in enumerate(some, end - chunk[3]):
            values[at] = value
    return values


@dataclass(frozen=True, slots=True, eq=False)
class Merged:
    """Readings with one row per time, whatever way their channels came.

    Attributes:
        time: (m,) strictly rising.
        channels: names, sorted.
        values: (m, C), NaN where there is none.
        ids: (m,) of the part that came first, or None.
        tags: (m,) likewise.
    """

    time: Times
    channels: tuple[str, ...]
    values: Floats
    ids: NDArray[np.object_] | None
    tags: NDArray[np.object_] | None

    def select(self, channels: Sequence[str]) -> Floats:
        """(m, len(channels)) values of these channels."""
        return self.batch("").select(channels)

    def at(self, time: Times, channels: Sequence[str]) -> Floats:
        """(n, len(channels)) values at these times; NaN where there is no reading."""
        values = np.full((len(time), len(channels)), np.nan)
        places = np.searchsorted(self.time, time)
        there = places < len(self.time)
        there[there] = self.time[places[there]] == time[there]
        values[there] = self.select(channels)[places[there]]
        return values

    def batch(self, sensor_id: str) -> Batch:
        """The same as a batch of one sensor."""
        zeros = np.zeros(len(self.time), np.int32)
        return Batch((sensor_id,), zeros, self.time, self.channels, self.values)


def merge(parts: Sequence[Rows]) -> Merged:
    """One row per time of a sensor's readings; where a value came twice the first stays."""
    channels = tuple(sorted({name for part in parts for name in part.schema.channels}))
    time = _all([part.time for part in parts])
    values = np.full((len(time), len(channels)), np.nan)
    end = 0
    for part in parts:
        begin, end = end, end + len(part.records)
        columns = [channels.index(name) for name in part.schema.channels]
        values[begin:end, columns] = part.records["values"]
    order = _in_order(parts, time)
    ids, tags = (column(parts, name) for name in ("ids", "tags"))
    rows = Merged(
        time[order],
        channels,
        values[order],
        None if ids is None else ids[order],
        None if tags is None else tags[order],
    )
    return _one_per_time(rows)


def newest(parts: Sequence[Rows]) -> list[Rows]:
    """Of verdicts on the same row the newest; by schema, in order of time."""
    time = _all([part.time for part in parts])
    order = _in_order(parts, time)
    ordered = time[order]
    last = np.ones(len(ordered), bool)
    last[:-1] = ordered[1:] != ordered[:-1]
    kept = order[last]
    found, end = [], 0
    for part in parts:
        begin, end = end, end + len(part.records)
        mine = kept[(kept >= begin) & (kept < end)] - begin
        found.append(part.take(mine))
    return found


def verdicts_of(sensor_id: str, rows: Rows, readings: Merged) -> Verdicts:
    """The same as columns of one sensor, with the values of its readings."""
    assert rows.bodies is not None
    columns = {name: np.ascontiguousarray(rows.bodies[name]) for name in PER_ROW + PER_CHANNEL}
    return Verdicts(
        sensor_ids=(sensor_id,),
        sensor=np.zeros(len(rows.records), np.int32),
        time=rows.time,
        channels=rows.schema.channels,
        values=readings.at(rows.time, rows.schema.channels),
        rate=np.ascontiguousarray(rows.records["rate"]),
        model=rows.schema.model,
        version=rows.schema.version,
        **columns,
    )


def column(parts: Sequence[Rows], name: str) -> NDArray[np.object_] | None:
    """The senders' ids or tags of all parts, one after another; None where nobody gave any."""
    columns = [getattr(part, name) for part in parts]
    if all(column is None for column in columns):
        return None
    return np.concatenate(
        [
            np.full(len(part.records), None, object) if column is None else column
            for part, column in zip(parts, columns, strict=True)
        ]
    )


def _in_order(parts: Sequence[Rows], time: Times) -> NDArray[np.intp]:
    """By time; rows of one time as they were written."""
    if bool(np.all(time[1:] > time[:-1])):
        return np.arange(len(time))
    numbers = _all([np.full(len(part.records), part.number) for part in parts])
    seq, place = _all([part.seq for part in parts]), _all([part.part for part in parts])
    return np.lexsort((place, numbers, seq, time))


def _one_per_time(rows: Merged) -> Merged:
    starts = np.ones(len(rows.time), bool)
    starts[1:] = rows.time[1:] != rows.time[:-1]
    if bool(starts.all()):
        return rows
    first = np.flatnonzero(starts)
    group = np.cumsum(starts) - 1
    rank = np.arange(len(group)) - first[group]
    values = rows.values[first]
    ids, tags = (None if column is None else column[first] for column in (rows.ids, rows.tags))
    for turn in range(1, int(rank.max()) + 1):
        at = np.flatnonzero(rank == turn)
        to = group[at]
        values[to] = np.where(np.isnan(values[to]), rows.values[at], values[to])
        for kept, column in ((ids, rows.ids), (tags, rows.tags)):
            if kept is not None and column is not None:
                kept[to] = np.where(kept[to] == np.array(None), column[at], kept[to])
    return Merged(rows.time[first], rows.channels, values, ids, tags)


def _all(arrays: Sequence[Times]) -> Times:
    return np.concatenate(arrays) if arrays else np.empty(0, np.int64)
