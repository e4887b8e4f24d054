"""The latest readings and anomalies: newest first, across chunks, sensors and both tiers."""

from __future__ import annotations

import heapq
import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from redshank.adapters.store.sqlite.chunks import (
    Merged,
    Rows,
    Span,
    View,
    around,
    merge,
    newest,
    reading_rows,
    verdict_rows,
)
from redshank.adapters.store.sqlite.codec import HEAD, all_flags, body_type, reading_type, stretch
from redshank.adapters.store.sqlite.queries import setting
from redshank.core.clock import format_time
from redshank.core.queries import LatestReadings, Setting, StoredRow
from redshank.core.records import Status

Row = tuple[int, int]
"""Event time, key of the sensor."""


@dataclass(frozen=True, slots=True)
class _Source:
    """Chunks that are read together; none of their rows is newer than ``last``."""

    last: int
    query: str
    given: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Verdict:
    score: float
    rate: float
    per_month: float
    budget: float
    status: int
    contributions: Mapping[str, float]
    model: str
    version: str
    flags: Mapping[str, int]


def latest_readings(view: View, query: LatestReadings) -> Sequence[StoredRow]:
    """Answer :class:`LatestReadings`."""
    key = None if query.sensor_id is None else view.key(query.sensor_id)
    span = _span(query)
    need = max(0, query.offset) + max(0, query.limit)
    wanted = list(islice(_rows(view, query, key, span), need))[query.offset :]
    names = _names(view, {row[1] for row in wanted})
    readings, verdicts = _details(view, wanted)
    return [_stored(names[row[1]], row, readings, verdicts.get(row)) for row in wanted]


def _span(query: LatestReadings) -> Span:
    first = -(2**63) if query.start is None else query.start
    last = 2**63 - 1 if query.end is None else query.end
    return first, last


def _rows(view: View, query: LatestReadings, key: int | None, span: Span) -> Iterator[Row]:
    """Rows newest first, as soon as no chunk that was not read can hold a newer one."""
    judged = query.anomalous or query.flags
    sources = _sources(view.sql, "verdicts" if judged else "readings", key, span, _only(query))
    waiting: set[Row] = set()
    take, some = 1, list(islice(sources, 1))
    while some:
        upcoming = next(sources, None)
        for source in some:
            waiting |= _load(view, source, span, query)
        bound = span[0] - 1 if upcoming is None else upcoming.last
        complete = (row for row in waiting if row[0] > bound)
        ready = sorted(complete, key=lambda row: (-row[0], row[1]))
        waiting.difference_update(ready)
        yield from _in_force(view, ready, query) if judged else ready
        take *= 2
        some = [] if upcoming is None else [upcoming, *islice(sources, take)]


def _only(query: LatestReadings) -> str:
    """Conditions on chunks."""
    anomalous = " AND max_status >= 3" if query.anomalous else ""
    flagged = f" AND (flags IS NULL OR flags & {int(query.flags)})" if query.flags else ""
    return anomalous + flagged


def _sources(
    sql: sqlite3.Connection, table: str, key: int | None, span: Span, only: str
) -> Iterator[_Source]:
    """Both tiers by their newest time."""
    chunks, tail = (found(sql, table, key, span, only) for found in (_chunks, _commits))
    return heapq.merge(chunks, tail, key=lambda source: -source.last)


def _chunks(
    sql: sqlite3.Connection, table: str, key: int | None, span: Span, only: str
) -> Iterator[_Source]:
    mine, given = ("", span) if key is None else (" AND sensor = ?", (*span, key))
    columns = _columns(table)
    found = sql.execute(
        f"SELECT last_time, id FROM {table} WHERE last_time >= ? AND first_time <= ?{mine}{only}"
        " ORDER BY last_time DESC",
        given,
    )
    for last, number in found:
        yield _Source(last, f"SELECT sensor, {columns} FROM {table} WHERE id = ?", (number,))


def _commits(
    sql: sqlite3.Connection, table: str, key: int | None, span: Span, only: str
) -> Iterator[_Source]:
    mine = "" if key is None else " AND sensor = ?"
    query = f"SELECT sensor, {_columns(table)} FROM tail_{table} WHERE seq = ?{mine}{only}"
    for last, seq in sql.execute(
        "SELECT last_time, seq FROM commits WHERE last_time >= ? AND first_time <= ?"
        " ORDER BY last_time DESC",
        span,
    ):
        yield _Source(last, query, (seq,) if key is None else (seq, key))


def _columns(table: str) -> str:
    return "schema, count, records" if table == "readings" else "schema, count, head, body"


def _load(view: View, source: _Source, span: Span, query: LatestReadings) -> set[Row]:
    judged = query.anomalous or query.flags
    found: set[Row] = set()
    for key, number, count, *blobs in view.sql.execute(source.query, source.given):
        channels = len(view.schemas.of(view.sql, number).channels)
        layout = HEAD if judged else reading_type(channels)
        records = np.frombuffer(stretch(blobs[0], count, layout), layout)
        kept = (records["time"] >= span[0]) & (records["time"] <= span[1])
        if judged:
            body = np.frombuffer(stretch(blobs[1], count, body_type(channels)), body_type(channels))
            kept &= body["status"] >= (Status.ANOMALY if query.anomalous else 0)
            kept &= (all_flags(body) & np.uint16(query.flags)) > 0 if query.flags else True
        found.update((time, key) for time in records["time"][kept].tolist())
    return found


def _in_force(view: View, rows: Sequence[Row], query: LatestReadings) -> Iterator[Row]:
    """Rows whose newest verdict is as asked for, an anomaly at the budget in force now."""
    budget = setting(view, Setting("budget")) or {}
    names = _names(view, {row[1] for row in rows})
    for start in range(0, len(rows), 256):
        some = rows[start : start + 256]
        verdicts = _verdicts(view, some)
        for row in some:
            verdict = verdicts[row]
            own = budget.get("own", {}).get(names[row[1]])
            limit = own if own is not None else budget.get("per_sensor_month", verdict.budget)
            found = verdict.status >= Status.ANOMALY and verdict.rate <= limit
            flagged = any(bits & query.flags for bits in verdict.flags.values())
            if (found or not query.anomalous) and (flagged or not query.flags):
                yield row


def _by_sensor(rows: Sequence[Row]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = defaultdict(list)
    for time, key in rows:
        found[key].append(time)
    return found


def _names(view: View, keys: set[int]) -> dict[int, str]:
    found = {}
    for key in keys:
        row = view.sql.execute("SELECT sensor_id FROM sensors WHERE id = ?", (key,)).fetchone()
        found[key] = str(row[0])
    return found


def _details(view: View, rows: Sequence[Row]) -> tuple[dict[int, Merged], dict[Row, _Verdict]]:
    readings = {}
    for key, times in _by_sensor(rows).items():
        found = around(
            lambda span, key=key: reading_rows(view, key, span, extras=True),  # type: ignore[misc]
            np.array(times),
        )
        readings[key] = merge(found)
    return readings, _verdicts(view, rows)


def _verdicts(view: View, rows: Sequence[Row]) -> dict[Row, _Verdict]:
    found: dict[Row, _Verdict] = {}
    for key, times in _by_sensor(rows).items():
        near = around(
            lambda span, key=key: verdict_rows(view, key, span),  # type: ignore[misc]
            np.array(times),
        )
        for part in newest(near):
            for at in np.flatnonzero(np.isin(part.time, times)).tolist():
                found[int(part.records["time"][at]), key] = _verdict(part, at)
    return found


def _verdict(part: Rows, at: int) -> _Verdict:
    assert part.bodies is not None
    body = part.bodies[at]
    flags = zip(part.schema.channels, body["flags"].tolist(), strict=True)
    return _Verdict(
        score=float(body["score"]),
        rate=float(part.records["rate"][at]),
        per_month=float(body["per_month"]),
        budget=float(body["budget"]),
        status=int(body["status"]),
        contributions=dict(zip(part.schema.channels, body["contributions"].tolist(), strict=True)),
        model=part.schema.model,
        version=part.schema.version,
        flags={name: bits for name, bits in flags if bits},
    )


def _stored(
    sensor_id: str, row: Row, readings: Mapping[int, Merged], verdict: _Verdict | None
) -> StoredRow:
    time, key = row
    merged = readings[key]
    at = int(np.searchsorted(merged.time, time))
    there = at < len(merged.time) and int(merged.time[at]) == time
    values = merged.values[at].tolist() if there else []
    event_id = merged.ids[at] if there and merged.ids is not None else None
    tags = merged.tags[at] if there and merged.tags is not None else None
    pairs = zip(merged.channels, values, strict=False)
    return StoredRow(
        event_id=event_id or f"{sensor_id}@{format_time(time)}",
        sensor_id=sensor_id,
        time=time,
        values={name: value for name, value in pairs if value == value},
        tags=tags or {},
        score=verdict.score if verdict else None,
        rate=verdict.rate if verdict else None,
        per_month=verdict.per_month if verdict else None,
        budget=verdict.budget if verdict else None,
        status=verdict.status if verdict else None,
        contributions=verdict.contributions if verdict else {},
        model=verdict.model if verdict else None,
        version=verdict.version if verdict else None,
        flags=verdict.flags if verdict else {},
    )
