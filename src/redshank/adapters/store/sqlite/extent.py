"""Answers for those who read a lot: what there is in a span, and its readings as they are."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from redshank.adapters.store.sqlite.chunks import View, merge, reading_rows
from redshank.core.batch import Batch
from redshank.core.queries import Extent, StoredExtent, StoredReadings

_BODY = (
    "SELECT {body} FROM readings r"
    " WHERE r.sensor = :sensor AND r.last_time >= :start AND r.first_time <= :end{only}"
    " UNION ALL SELECT {tail} FROM commits k"
    " CROSS JOIN tail_readings r ON r.seq = k.seq AND r.sensor = :sensor"
    " WHERE k.last_time >= :start AND k.first_time <= :end"
    " AND r.last_time >= :start AND r.first_time <= :end{only}"
)
_COLUMNS = "r.first_time, r.last_time, r.count, r.schema"
_CHUNKS = _BODY.format(body=_COLUMNS, tail=_COLUMNS, only="")
# Chunks whose rows have ids of their own and no tags end like this: most need not be read.
_TAGGED = _BODY.format(
    body="r.extras",
    tail="r.extras",
    only=" AND r.extras IS NOT NULL AND substr(r.extras, -11) != '\"tags\": []}'",
)

_Chunk = tuple[int, int, int, int]
"""Oldest and newest event time, rows, number of the schema."""


def stored_extent(view: View, query: StoredExtent) -> Extent:
    """Answer :class:`StoredExtent`."""
    keys = [view.key(sensor_id) for sensor_id in query.sensor_ids]
    span = query.start, query.end
    chunks: list[_Chunk] = [row for key in keys for row in _found(view.sql, _CHUNKS, key, span)]
    numbers = {chunk[3] for chunk in chunks}
    names = {name for number in numbers for name in view.schemas.of(view.sql, number).channels}
    tags: dict[str, bool] = {}
    for key in keys:
        for (extras,) in _found(view.sql, _TAGGED, key, span):
            _note(tags, json.loads(extras)["tags"])
    return Extent(_spans(chunks, span, query.rows), sorted(names), dict(sorted(tags.items())))


def stored_readings(view: View, query: StoredReadings) -> Batch:
    """Answer :class:`StoredReadings`."""
    key = view.key(query.sensor_id)
    merged = merge(reading_rows(view, key, (query.start, query.end), extras=True))
    tags = None if merged.tags is None or not any(merged.tags) else tuple(merged.tags)
    sensor = np.zeros(len(merged.time), np.int32)
    names = (query.sensor_id,)
    return Batch(names, sensor, merged.time, merged.channels, merged.values, None, tags)


def _found(
    sql: sqlite3.Connection, query: str, key: int, span: tuple[int, int]
) -> Iterator[tuple[Any, ...]]:
    return sql.execute(query, {"sensor": key, "start": span[0], "end": span[1]})


def _spans(chunks: list[_Chunk], span: tuple[int, int], rows: int) -> list[tuple[int, int]]:
    """Spans that cover all chunks; none begins inside a chunk that would fit the one before."""
    if not chunks:
        return []
    starts = sorted((max(first, span[0]), count) for first, _, count, _ in chunks)
    end = min(span[1], max(last for _, last, _, _ in chunks))
    spans, begin, held = [], starts[0][0], 0
    for first, count in starts:
        if held >= rows and first > begin:
            spans.append((begin, first - 1))
            begin, held = first, 0
        held += count
    return [*spans, (begin, end)]


def _note(tags: dict[str, bool], rows: Sequence[dict[str, str] | None]) -> None:
    """Remember the names of tags, and whether their texts are numbers."""
    for row in rows:
        for name, text in (row or {}).items():
            tags[name] = tags.get(name, True) and _is_number(text)


def _is_number(text: str) -> bool:
    try:
        float(text or "nan")
    except ValueError:
        return False
    return True
