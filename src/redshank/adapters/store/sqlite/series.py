"""The series of a sensor at any zoom."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from redshank.adapters.store.sqlite import rollup
from redshank.adapters.store.sqlite.chunks import (
    READINGS,
    TAIL_READINGS,
    TAIL_VERDICTS,
    VERDICTS,
    Merged,
    Rows,
    Span,
    View,
    joined,
    merge,
    newest,
    reading_rows,
    verdict_rows,
)
from redshank.adapters.store.sqlite.codec import Records
from redshank.core.batch import Times
from redshank.core.clock import DAY, HOUR, MINUTE, SECOND
from redshank.core.queries import SensorSeries, Series

WIDTHS = (
    *(n * SECOND for n in (1, 2, 5, 10, 15, 30)),
    *(n * MINUTE for n in (1, 2, 5, 10, 15, 30)),
    *(n * HOUR for n in (1, 2, 3, 6, 12)),
    *(n * DAY for n in (1, 2, 7)),
)
"""Widths of a step that people can read, microseconds."""

_EXTENT = """
SELECT min(a), max(b), sum(n) FROM (
  SELECT first_time a, last_time b, count n FROM readings
  WHERE sensor = :sensor AND last_time >= :start AND first_time <= :end
  UNION ALL
  SELECT t.first_time, t.last_time, t.count
  FROM commits k CROSS JOIN tail_readings t ON t.seq = k.seq AND t.sensor = :sensor
  WHERE k.last_time >= :start AND k.first_time <= :end
  AND t.last_time >= :start AND t.first_time <= :end)"""

_QUERIES = {"readings": (READINGS, TAIL_READINGS), "verdicts": (VERDICTS, TAIL_VERDICTS)}
_ROLLED = " AND rollup IS NOT NULL AND first_time >= :start AND last_time <= :end"
_UNROLLED = " AND NOT (rollup IS NOT NULL AND first_time >= :start AND last_time <= :end)"

_Steps = tuple[tuple[str, ...], Records]
"""Channels, and steps of them."""


def sensor_series(view: View, query: SensorSeries) -> Series:
    """Answer :class:`SensorSeries`."""
    key = view.key(query.sensor_id)
    span, points = (query.start, query.end), max(1, query.points)
    given = {"sensor": key, "start": query.start, "end": query.end}
    first, last, count = view.sql.execute(_EXTENT, given).fetchone()
    if count is None:
        return _single_rows(merge([]), [], query.channels)
    if count <= 16 * points:
        merged = merge(reading_rows(view, key, span))
        if len(merged.time) <= points:
            return _single_rows(merged, newest(verdict_rows(view, key, span)), query.channels)
    width = width_for((max(first, query.start), min(last, query.end)), points)
    readings = _reading_steps(view, given, width)
    verdicts = _verdict_steps(view, given, width)
    return _steps(readings, verdicts, width, query.channels)


def width_for(span: Span, points: int) -> int:
    """The smallest readable width that cuts a span into at most so many steps."""
    first, last = span
    width = next((w for w in WIDTHS if last // w - first // w < points), WIDTHS[-1])
    while last // width - first // width >= max(points, 2):
        width *= 2
    return width


def _single_rows(merged: Merged, verdicts: Sequence[Rows], wanted: Sequence[str] | None) -> Series:
    channels = _wanted(merged.channels, wanted)
    values = merged.select(channels)
    series = _empty(merged.time, None, channels)
    for mine in (series.low, series.high, series.mean):
        mine[:] = values
    for rows in verdicts:
        assert rows.bodies is not None
        at, there = _places(merged.time, rows.time)
        bodies, to = rows.bodies[there], at[there]
        series.rate[to] = rows.records["rate"][there]
        series.score[to], series.status[to] = bodies["score"], bodies["status"]
        columns, sources = _matching(rows.schema.channels, channels)
        for name in ("flags", *rollup.BAND, "contributions"):
            getattr(series, name)[np.ix_(to, columns)] = bodies[name][:, sources]
    return series


def _reading_steps(view: View, given: dict[str, int], width: int) -> list[_Steps]:
    found, queries = _sources(view, given, "readings", width)
    for rows in _inside(view, given, queries):
        found.append((rows.schema.channels, rollup.readings_by(rows, width)))
    return [(channels, rollup.readings_again(steps, width)) for channels, steps in found]


def _verdict_steps(view: View, given: dict[str, int], width: int) -> list[_Steps]:
    found, queries = _sources(view, given, "verdicts", width)
    for rows in _inside(view, given, queries):
        found.append((rows.schema.channels, rollup.verdicts_by(rows, width)))
    return [(channels, rollup.verdicts_again(steps, width)) for channels, steps in found]


def _sources(
    view: View, given: dict[str, int], table: str, width: int
) -> tuple[list[_Steps], tuple[str, str]]:
    """Hourly rollups where they serve the width, and queries for what is read row by row."""
    body, tail = _QUERIES[table]
    if width % HOUR:
        return [], (body, tail)
    return _rolled_up(view, given, table), (body + _UNROLLED, tail)


def _inside(view: View, given: dict[str, int], queries: Sequence[str]) -> list[Rows]:
    chunks = [row for query in queries for row in view.sql.execute(query, given)]
    span = given["start"], given["end"]
    rows = [each.within(span) for each in joined(view, chunks)]
    return [each for each in rows if len(each.records)]


def _rolled_up(view: View, given: dict[str, int], table: str) -> list[_Steps]:
    by_schema: dict[int, list[bytes]] = defaultdict(list)
    query = (
        f"SELECT schema, rollup FROM {table} WHERE sensor = :sensor"
        f" AND last_time >= :start AND first_time <= :end{_ROLLED}"
    )
    for number, blob in view.sql.execute(query, given):
        by_schema[number].append(blob)
    layout = rollup.reading_steps if table == "readings" else rollup.verdict_steps
    found = []
    for number, blobs in sorted(by_schema.items()):
        channels = view.schemas.of(view.sql, number).channels
        found.append((channels, np.frombuffer(b"".join(blobs), layout(len(channels)))))
    return found


def _steps(
    readings: Sequence[_Steps],
    verdicts: Sequence[_Steps],
    width: int,
    wanted: Sequence[str] | None,
) -> Series:
    channels = _wanted(sorted({name for some, _ in readings for name in some}), wanted)
    times = [np.ascontiguousarray(steps["time"]) for _, steps in readings]
    time = np.unique(np.concatenate(times)) if times else np.empty(0, np.int64)
    series = _empty(time, width, channels)
    shape = (len(time), len(channels))
    total, count = np.zeros(shape), np.zeros(shape)
    for some, steps in readings:
        at = np.ix_(np.searchsorted(time, steps["time"]), _matching(some, channels)[0])
        sources = _matching(some, channels)[1]
        series.low[at] = np.fmin(series.low[at], steps["low"][:, sources])
        series.high[at] = np.fmax(series.high[at], steps["high"][:, sources])
        total[at] += steps["total"][:, sources]
        count[at] += steps["count"][:, sources]
    series.mean[:] = _mean(total, count)
    _add_verdicts(series, verdicts)
    return series


def _add_verdicts(series: Series, verdicts: Sequence[_Steps]) -> None:
    shape = (3, len(series.time), len(series.channels))
    total, count = np.zeros(shape), np.zeros(shape)
    for some, steps in verdicts:
        at, there = _places(series.time, np.ascontiguousarray(steps["time"]))
        steps, to = steps[there], at[there]
        columns, sources = _matching(some, series.channels)
        cells = np.ix_(to, columns)
        higher = ~(series.score[to] >= steps["score"])
        better = np.ix_(to[higher], columns)
        series.contributions[better] = steps["contributions"][higher][:, sources]
        series.score[to] = np.fmax(series.score[to], steps["score"])
        series.rate[to] = np.fmin(series.rate[to], steps["rate"])
        series.status[to] = np.maximum(series.status[to], steps["status"])
        series.flags[cells] |= steps["flags"][:, sources]
        for place in range(3):
            total[place][cells] += steps["total"][:, place][:, sources]
            count[place][cells] += steps["count"][:, place][:, sources]
    for place, name in enumerate(rollup.BAND):
        getattr(series, name)[:] = _mean(total[place], count[place])


def _mean(total: NDArray[np.float64], count: NDArray[np.float64]) -> NDArray[np.float64]:
    mean: NDArray[np.float64] = np.divide(
        total, count, out=np.full(total.shape, np.nan), where=count > 0
    )
    return mean


def _places(time: Times, wanted: Times) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Where each wanted time is among rising times, and whether it is there at all."""
    at = np.searchsorted(time, wanted)
    there = at < len(time)
    there[there] = time[at[there]] == wanted[there]
    return at, there


def _matching(
    have: Sequence[str], wanted: Sequence[str]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Columns in ``wanted`` and in ``have`` of the channels that both name."""
    both = [(wanted.index(name), have.index(name)) for name in wanted if name in have]
    pairs = np.array(both, np.intp).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def _wanted(have: Sequence[str], wanted: Sequence[str] | None) -> tuple[str, ...]:
    return tuple(name for name in have if wanted is None or name in wanted)


def _empty(time: Times, width: int | None, channels: tuple[str, ...]) -> Series:
    shape = (len(time), len(channels))

    def unknown(dtype: type[Any], shape: tuple[int, ...] = shape) -> NDArray[Any]:
        return np.full(shape, np.nan, dtype)

    return Series(
        time=time,
        bucket=width,
        channels=channels,
        low=unknown(np.float64),
        high=unknown(np.float64),
        mean=unknown(np.float64),
        flags=np.zeros(shape, np.uint16),
        expected=unknown(np.float32),
        lower=unknown(np.float32),
        upper=unknown(np.float32),
        contributions=np.zeros(shape, np.float32),
        score=unknown(np.float32, (len(time),)),
        rate=unknown(np.float32, (len(time),)),
        status=np.zeros(len(time), np.uint8),
    )
