"""Answers about readings and verdicts row by row: duplicates, recovery, rates, the latest."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np

from redshank.adapters.store.sqlite.chunks import (
    Merged,
    Rows,
    View,
    around,
    joined,
    merge,
    newest,
    reading_rows,
    verdict_rows,
    verdicts_of,
)
from redshank.adapters.store.sqlite.codec import HEAD, NEVER
from redshank.adapters.store.sqlite.directory import chunked, placeholders
from redshank.core.batch import Batch, Floats, Times
from redshank.core.queries import (
    KnownReadings,
    Rates,
    RecoverSensors,
    Recovery,
    StoredRates,
    StoredVerdicts,
)
from redshank.core.records import Verdicts


def known_readings(view: View, query: KnownReadings) -> list[Floats]:
    """Answer :class:`KnownReadings`; readings newer than all of their sensor cost no SQL."""
    return [_known(view, batch) for batch in query.batches]


def _known(view: View, batch: Batch) -> Floats:
    found = np.full((len(batch), len(batch.channels)), np.nan)
    keys, last = _last_seen(view, batch.sensor_ids)
    old = np.flatnonzero(batch.time <= last[batch.sensor])
    if not len(old):
        return found
    old = old[np.argsort(batch.sensor[old], kind="stable")]
    for at in np.split(old, np.flatnonzero(np.diff(batch.sensor[old])) + 1):
        key, time = int(keys[batch.sensor[at[0]]]), batch.time[at]
        merged = merge(around(lambda span, key=key: reading_rows(view, key, span), time))  # type: ignore[misc]
        found[at] = merged.at(time, batch.channels)
    return found


def _last_seen(view: View, sensor_ids: Sequence[str]) -> tuple[Times, Times]:
    """Key and newest event time of each sensor; :data:`NEVER` where there is nothing."""
    memory = view.directory
    keys = np.array([memory.get(name) or -1 for name in sensor_ids], np.int64)
    last = np.where(keys < 0, NEVER, memory.newest[keys])
    unmet = {sensor_ids[at]: at for at in np.flatnonzero(keys < 0).tolist()}
    for some in chunked(unmet, 500):
        rows = view.sql.execute(
            "SELECT sensor_id, id, last_seen FROM sensors JOIN vitals ON sensor = id"
            f" WHERE sensor_id IN ({placeholders(some)})",
            some,
        )
        for name, key, last_seen in rows:
            keys[unmet[name]], last[unmet[name]] = key, last_seen
    return keys, last


def recover_sensors(view: View, query: RecoverSensors) -> Mapping[str, Recovery]:
    """Answer :class:`RecoverSensors`."""
    found: dict[str, Recovery] = {}
    for some in chunked(query.sensor_ids, 500):
        rows = view.sql.execute(
            "SELECT sensor_id, id, state, ifnull(seq, 0), ifnull(last_commit, 0),"
            " nullif(last_seen, ?) FROM sensors LEFT JOIN vitals v ON v.sensor = id"
            f" LEFT JOIN checkpoints c ON c.sensor = id WHERE sensor_id IN ({placeholders(some)})",
            (NEVER, *some),
        ).fetchall()
        behind = {key: seq for _, key, _, seq, last_commit, _ in rows if last_commit > seq}
        tail = _tail_after(view, behind)
        for name, key, state, seq, _, last_seen in rows:
            after = _after(view, name, key, seq, tail[key]) if key in behind else ()
            found[name] = Recovery(state, after, last_seen)
    return found


def _tail_after(view: View, behind: Mapping[int, int]) -> Mapping[int, list[Sequence[Any]]]:
    """Chunks of the tail by sensor, of commits after each one's own; one pass over the tail."""
    found: dict[int, list[Sequence[Any]]] = defaultdict(list)
    if not behind:
        return found
    keys = sorted(behind)
    # Commit by commit, as the tail lies on the disk: sensor by sensor would read it all each time.
    rows = view.sql.execute(
        "SELECT t.sensor, t.schema, t.seq, t.part, t.count, NULL, t.extras, t.records, NULL"
        " FROM commits k CROSS JOIN tail_readings t ON t.seq = k.seq"
        f" AND t.sensor IN ({placeholders(keys)}) WHERE k.seq > ?",
        (*keys, min(behind.values())),
    )
    for key, *chunk in rows:
        if chunk[1] > behind[key]:
            found[key].append(chunk)
    return found


def _after(
    view: View, sensor_id: str, key: int, seq: int, tail: Sequence[Sequence[Any]]
) -> list[Batch]:
    """Readings committed after a commit, as they came; runs of one schema are one batch."""
    chunks = view.sql.execute(
        "SELECT schema, first_seq, part, count, seqs, extras, records, NULL FROM readings"
        " WHERE sensor = ? AND last_seq > ?",
        (key, seq),
    ).fetchall()
    chunks = sorted([*chunks, *tail], key=lambda chunk: (chunk[1], chunk[2]))
    runs = [list(run) for _, run in groupby(chunks, key=lambda chunk: chunk[0])]
    return [_batch(sensor_id, rows) for run in runs for rows in joined(view, run, extras=True)]


def _batch(sensor_id: str, rows: Rows) -> Batch:
    values = np.ascontiguousarray(rows.records["values"])
    sensor = np.zeros(len(values), np.int32)
    ids, tags = (None if x is None or not any(x) else tuple(x) for x in (rows.ids, rows.tags))
    return Batch((sensor_id,), sensor, rows.time, rows.schema.channels, values, ids, tags)


def stored_rates(view: View, query: StoredRates) -> Sequence[Rates]:
    """Answer :class:`StoredRates`; reads times and rates only."""
    mine = "" if query.sensor_id is None else " AND sensor = :sensor"
    given: dict[str, Any] = {"start": query.start, "highest": query.highest}
    if query.sensor_id is not None:
        given["sensor"] = view.key(query.sensor_id)
    rows = view.sql.execute(
        "SELECT s.sensor_id, head, seqs, seq, schema, part, count FROM ("
        "SELECT sensor, head, seqs, first_seq seq, schema, part, count FROM verdicts"
        f" WHERE last_time >= :start AND min_rate <= :highest{mine} UNION ALL"
        " SELECT sensor, head, NULL, seq, schema, part, count FROM tail_verdicts"
        f" WHERE last_time >= :start AND min_rate <= :highest{mine}"
        ") v JOIN sensors s ON s.id = v.sensor ORDER BY v.sensor, seq, schema, part",
        given,
    )
    by_sensor = groupby(rows, key=lambda row: row[0])
    found = [_rates(name, list(chunks), query) for name, chunks in by_sensor]
    return [rates for rates in found if len(rates.time)]


def _rates(sensor_id: str, chunks: list[tuple[Any, ...]], query: StoredRates) -> Rates:
    heads = np.frombuffer(b"".join([chunk[1] for chunk in chunks]), HEAD)
    time, rate = np.ascontiguousarray(heads["time"]), np.ascontiguousarray(heads["rate"])
    if not bool(np.all(time[1:] > time[:-1])):
        last = _last_of_each(time, _seq(chunks))
        time, rate = time[last], rate[last]
    kept = (time >= query.start) & (rate <= query.highest)
    return Rates(sensor_id, time[kept], rate[kept])


def _seq(chunks: list[tuple[Any, ...]]) -> Times:
    columns = []
    for _, _, seqs, first, *_, count in chunks:
        column = np.full(count, first, np.int64)
        columns.append(column if seqs is None else column + np.frombuffer(seqs, "<u4"))
    return np.concatenate(columns)


def _last_of_each(time: Times, seq: Times) -> Times:
    order = np.lexsort((seq, time))
    last = np.append(np.diff(time[order]) != 0, True)
    kept: Times = order[last]
    return kept


def stored_verdicts(view: View, query: StoredVerdicts) -> Sequence[tuple[Batch, Verdicts]]:
    """Answer :class:`StoredVerdicts`."""
    key, span = view.key(query.sensor_id), (query.start, query.end)
    merged = merge(reading_rows(view, key, span))
    return [
        (_values_at(merged, verdicts), verdicts)
        for verdicts in (
            verdicts_of(query.sensor_id, rows, merged)
            for rows in newest(verdict_rows(view, key, span))
        )
        if len(verdicts)
    ]


def _values_at(merged: Merged, verdicts: Verdicts) -> Batch:
    channels = tuple(sorted(set(verdicts.channels) | set(merged.channels)))
    values = merged.at(verdicts.time, channels)
    return Batch(verdicts.sensor_ids, verdicts.sensor, verdicts.time, channels, values)
