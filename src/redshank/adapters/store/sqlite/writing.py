"""Writing a commit: chunks of readings and verdicts, and what changes for their sensors."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise, repeat

import numpy as np

from redshank.adapters.store.sqlite import documents
from redshank.adapters.store.sqlite.codec import (
    NEVER,
    NOT_YET,
    Groups,
    Records,
    Schema,
    all_flags,
    cut,
    pack_bodies,
    pack_extras,
    pack_heads,
    pack_readings,
)
from redshank.adapters.store.sqlite.directory import Directory, Schemas
from redshank.core.batch import Batch, Bytes, Floats, Times
from redshank.core.ports import Commit
from redshank.core.records import Checkpoint, Verdicts

_NEWEST = """
INSERT INTO newest (sensor, schema, time, record) VALUES (?, ?, ?, ?)
ON CONFLICT (sensor, schema) DO UPDATE SET time = excluded.time, record = excluded.record
WHERE excluded.time >= newest.time"""

_VITALS = """
INSERT INTO vitals
(sensor, first_seen, last_seen, last_commit, readings, judged, rate, per_month)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (sensor) DO UPDATE SET
  first_seen = min(first_seen, excluded.first_seen),
  last_seen = max(last_seen, excluded.last_seen),
  last_commit = max(last_commit, excluded.last_commit),
  readings = readings + excluded.readings,
  rate = CASE WHEN excluded.judged >= judged THEN excluded.rate ELSE rate END,
  per_month = CASE WHEN excluded.judged >= judged THEN excluded.per_month ELSE per_month END,
  judged = max(judged, excluded.judged)"""


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """What a commit changed for its sensors; taken into the writer's memory once it is durable."""

    keys: Times
    last: Times
    judged: Times
    status: Bytes


@dataclass(slots=True, eq=False)
class _Tally:
    """One entry per chunk of the commit, summed up per sensor at its end."""

    readings: list[tuple[Times, Times, Times, Times]] = field(default_factory=list)
    verdicts: list[tuple[Times, Times, Floats, Floats, Bytes]] = field(default_factory=list)
    chunks: int = 0
    first: int = NOT_YET
    last: int = NEVER

    def cover(self, chunks: int, first: Times, last: Times) -> None:
        self.chunks += chunks
        self.first = min(self.first, int(first.min()))
        self.last = max(self.last, int(last.max()))


class Writing:
    """One transaction's work on one connection.

    Args:
        connection: in a transaction.
        directory: the sensors known so far.
        schemas: the schemas known so far.
    """

    def __init__(
        self, connection: sqlite3.Connection, directory: Directory, schemas: Schemas
    ) -> None:
        self._sql = connection
        self._directory = directory
        self._schemas = schemas

    def commit(self, commit: Commit) -> Change:
        """Write everything of a commit."""
        sql = self._sql
        sql.execute("UPDATE counters SET value = value + 1 WHERE name = 'commit'")
        seq = int(sql.execute("SELECT value FROM counters WHERE name = 'commit'").fetchone()[0])
        if commit.sensors_removed:
            documents.remove_sensors(sql, commit.sensors_removed)
            self._directory.forget(commit.sensors_removed)
        self._directory.meet(sql, _sensors_of(commit))
        tally = _Tally()
        for part, batch in enumerate(commit.readings):
            if len(batch):
                self._readings(seq, part, batch, tally)
        for part, verdicts in enumerate(commit.verdicts):
            if len(verdicts):
                self._verdicts(seq, part, verdicts, tally)
        change = self._vitals(seq, tally)
        self._log(seq, commit, tally)
        self._checkpoints(seq, commit.checkpoints)
        documents.write(sql, self._directory, commit)
        return change

    def _readings(self, seq: int, part: int, batch: Batch, tally: _Tally) -> None:
        keys = self._directory.keys(batch.sensor_ids)[batch.sensor]
        groups = Groups.of(keys)
        records = pack_readings(batch, groups.order)
        schema = self._schemas.number(self._sql, Schema(batch.channels))
        first, last, counts = _spans(records, groups)
        names = groups.keys.tolist()
        self._sql.executemany(
            "INSERT INTO tail_readings VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            zip(
                repeat(seq),
                names,
                repeat(part),
                repeat(schema),
                first.tolist(),
                last.tolist(),
                counts.tolist(),
                _extras(batch, groups),
                cut(records, groups.bounds.tolist()),
                strict=False,
            ),
        )
        self._newest(groups, schema, records)
        tally.readings.append((groups.keys, first, last, counts))
        tally.cover(len(names), first, last)

    def _newest(self, groups: Groups, schema: int, records: Records) -> None:
        """Keep the newest row of each group; a channel that it lacks keeps its older value."""
        latest = records[groups.newest(records["time"])]
        names = groups.keys.tolist()
        for at in np.flatnonzero(np.isnan(latest["values"]).any(axis=1)).tolist():
            mine = records[groups.bounds[at] : groups.bounds[at + 1]]
            earlier = mine[np.argsort(-mine["time"], kind="stable")]["values"]
            for older in (earlier, self._stored_newest(names[at], schema, records.dtype)):
                _fill(latest["values"][at], older)
        blobs = cut(latest, range(len(latest) + 1))
        self._sql.executemany(
            _NEWEST, zip(names, repeat(schema), latest["time"].tolist(), blobs, strict=False)
        )

    def _stored_newest(self, key: int, schema: int, layout: np.dtype[np.void]) -> Floats:
        row = self._sql.execute(
            "SELECT record FROM newest WHERE sensor = ? AND schema = ?", (key, schema)
        ).fetchone()
        stored: Floats = np.frombuffer(b"" if row is None else row[0], layout)["values"]
        return stored

    def _verdicts(self, seq: int, part: int, verdicts: Verdicts, tally: _Tally) -> None:
        keys = self._directory.keys(verdicts.sensor_ids)[verdicts.sensor]
        groups = Groups.of(keys)
        heads, bodies = pack_heads(verdicts, groups.order), pack_bodies(verdicts, groups.order)
        schema = Schema(verdicts.channels, verdicts.model, verdicts.version)
        first, last, counts = _spans(heads, groups)
        starts, bounds = groups.bounds[:-1], groups.bounds.tolist()
        self._sql.executemany(
            "INSERT INTO tail_verdicts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            zip(
                repeat(seq),
                groups.keys.tolist(),
                repeat(part),
                repeat(self._schemas.number(self._sql, schema)),
                first.tolist(),
                last.tolist(),
                counts.tolist(),
                np.fmin.reduceat(heads["rate"], starts).tolist(),
                np.maximum.reduceat(bodies["status"], starts).tolist(),
                cut(heads, bounds),
                cut(bodies, bounds),
                np.bitwise_or.reduceat(all_flags(bodies), starts).tolist(),
                strict=False,
            ),
        )
        at = groups.newest(heads["time"])
        body = bodies[at]
        tally.verdicts.append(
            (
                groups.keys,
                heads["time"][at],
                heads["rate"][at],
                body["per_month"],
                body["status"],
            )
        )
        tally.cover(len(groups.keys), first, last)

    def _vitals(self, seq: int, tally: _Tally) -> Change:
        found = [entry[0] for entry in tally.readings] + [entry[0] for entry in tally.verdicts]
        keys = np.unique(np.concatenate(found)) if found else np.empty(0, np.int64)
        first, last = np.full(len(keys), NOT_YET), np.full(len(keys), NEVER)
        counts, judged = np.zeros(len(keys), np.int64), np.full(len(keys), NEVER)
        rate, per_month = np.full(len(keys), np.nan), np.full(len(keys), np.nan)
        status = np.zeros(len(keys), np.uint8)
        for names, begin, end, count in tally.readings:
            at = np.searchsorted(keys, names)
            first[at] = np.minimum(first[at], begin)
            last[at] = np.maximum(last[at], end)
            counts[at] += count
        for names, time, rates, rows, statuses in tally.verdicts:
            at = np.searchsorted(keys, names)
            later = time >= judged[at]
            at = at[later]
            judged[at], rate[at], per_month[at] = time[later], rates[later], rows[later]
            status[at] = statuses[later]
        columns = (keys, first, last, np.full(len(keys), seq), counts, judged, rate, per_month)
        rows_in = zip(*(column.tolist() for column in columns), strict=True)
        self._sql.executemany(_VITALS, rows_in)
        change = Change(keys, last, judged, status)
        self._statuses(change)
        return change

    def _statuses(self, change: Change) -> None:
        """Lists are ordered by status, so write only those that changed."""
        known = self._directory
        later = (change.judged != NEVER) & (change.judged >= known.judged[change.keys])
        changed = later & (change.status != known.status[change.keys])
        self._sql.executemany(
            "UPDATE sensors SET status = ? WHERE id = ?",
            zip(change.status[changed].tolist(), change.keys[changed].tolist(), strict=True),
        )

    def _log(self, seq: int, commit: Commit, tally: _Tally) -> None:
        readings = sum(len(batch) for batch in commit.readings)
        verdicts = sum(len(part) for part in commit.verdicts)
        if tally.chunks:
            self._sql.execute(
                "INSERT INTO commits VALUES (?, ?, ?, ?, ?)",
                (seq, tally.first, tally.last, tally.chunks, readings + verdicts),
            )
        self._sql.executemany(
            "UPDATE counters SET value = value + ? WHERE name = ?",
            [(readings, "readings"), (verdicts, "verdicts")],
        )

    def _checkpoints(self, seq: int, checkpoints: Iterable[Checkpoint]) -> None:
        key = self._directory.get
        self._sql.executemany(
            "INSERT OR REPLACE INTO checkpoints VALUES (?, ?, ?)",
            ((key(each.sensor_id), seq, each.state) for each in checkpoints),
        )


def _spans(records: Records, groups: Groups) -> tuple[Times, Times, Times]:
    """Oldest and newest time and number of rows of each group."""
    starts = groups.bounds[:-1]
    time = np.ascontiguousarray(records["time"])
    return (
        np.minimum.reduceat(time, starts),
        np.maximum.reduceat(time, starts),
        np.diff(groups.bounds),
    )


def _fill(row: Floats, older: Floats) -> None:
    """Fill the missing values of a row, (C,), from older rows, (n, C), the newest of them first."""
    for column in np.flatnonzero(np.isnan(row)):
        there = older[~np.isnan(older[:, column]), column]
        if len(there):
            row[column] = there[0]


def _extras(batch: Batch, groups: Groups) -> Iterable[str | None]:
    if batch.event_ids is None and batch.tags is None:
        return repeat(None)
    order = range(len(batch)) if isinstance(groups.order, slice) else groups.order.tolist()
    ids = None if batch.event_ids is None else [batch.event_ids[i] for i in order]
    tags = None if batch.tags is None else [batch.tags[i] for i in order]
    bounds = groups.bounds.tolist()
    return [pack_extras(ids, tags, a, b) for a, b in pairwise(bounds)]


def _sensors_of(commit: Commit) -> Iterable[str]:
    """Every sensor that the commit names."""
    for batch in commit.readings:
        yield from batch.sensor_ids
    for verdicts in commit.verdicts:
        yield from verdicts.sensor_ids
    yield from (incident.sensor_id for incident in commit.incidents)
    yield from (sensor.sensor_id for sensor in commit.sensors)
    yield from (checkpoint.sensor_id for checkpoint in commit.checkpoints)
