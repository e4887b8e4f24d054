"""Answers about sensors, incidents, dead letters, settings and totals."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from redshank.adapters.store.sqlite import documents
from redshank.adapters.store.sqlite.chunks import View
from redshank.adapters.store.sqlite.codec import NEVER, NOT_YET, reading_type
from redshank.adapters.store.sqlite.directory import placeholders
from redshank.core.clock import MONTH, SECOND
from redshank.core.queries import (
    CountDeadLetters,
    CountIncidents,
    CountSensors,
    CountWatched,
    Cursor,
    DeadLetters,
    Incidents,
    IncidentTotals,
    Sensors,
    SensorSpan,
    SensorSpans,
    SensorState,
    SensorStates,
    Setting,
    Sites,
    StoreTotals,
    Totals,
    WatchedTime,
)
from redshank.core.records import Comment, DeadLetter, Feedback, Incident, SensorStatus, Status

_AT_ONCE = 500
"""Names in one statement."""


class Where:
    """Conditions of a query and their values."""

    def __init__(self) -> None:
        self._conditions: list[str] = []
        self.values: list[Any] = []

    def add(self, condition: str, *values: Any) -> None:
        """Demand this too."""
        self._conditions.append(condition)
        self.values.extend(values)

    def __str__(self) -> str:
        return f" WHERE {' AND '.join(self._conditions)}" if self._conditions else ""


def sensors(view: View, query: Sensors) -> Sequence[SensorStatus]:
    """Answer :class:`Sensors`."""
    where = _narrowed(query.text, query.site, query.status)
    if query.sensor_ids is not None:
        where.add("sensor_id IN (SELECT value FROM json_each(?))", json.dumps(query.sensor_ids))
    rows = view.sql.execute(
        "SELECT id, sensor_id, info, status, open_incidents FROM sensors"
        f"{where} ORDER BY attention DESC, title, id LIMIT ? OFFSET ?",
        (*where.values, query.limit, query.offset),
    ).fetchall()
    keys = [row[0] for row in rows]
    vitals, latest = _vitals(view, keys), _latest(view, keys)
    return [_sensor_status(row, vitals.get(row[0]), latest.get(row[0], {})) for row in rows]


def sites(view: View, _: Sites) -> Sequence[str]:
    """Answer :class:`Sites`."""
    rows = view.sql.execute("SELECT DISTINCT site FROM sensors WHERE site > '' ORDER BY site")
    return [row[0] for row in rows]


def sensor_states(view: View, query: SensorStates) -> Sequence[SensorState]:
    """Answer :class:`SensorStates`."""
    where = _narrowed(query.text, query.site, query.status)
    rows = view.sql.execute(
        "SELECT sensor_id, ifnull(json_extract(info, '$.name'), ''), site, status, open_incidents"
        f" FROM sensors{where} ORDER BY attention DESC, title, id LIMIT ? OFFSET ?",
        (*where.values, query.limit, query.offset),
    )
    return [
        SensorState(sensor_id, name or sensor_id, site, Status(status), still_open)
        for sensor_id, name, site, status, still_open in rows
    ]


def sensor_spans(view: View, query: SensorSpans) -> Sequence[SensorSpan]:
    """Answer :class:`SensorSpans`."""
    where = Where()
    where.add("last_seen >= ?", query.since)
    if query.sensor_ids is not None:
        where.add("sensor_id IN (SELECT value FROM json_each(?))", json.dumps(query.sensor_ids))
    if query.fewer_rows is not None:
        where.add("per_month < ?", query.fewer_rows)
    rows = view.sql.execute(
        "SELECT sensor_id, first_seen, last_seen, per_month"
        f" FROM vitals JOIN sensors ON sensors.id = vitals.sensor{where} LIMIT ?",
        (*where.values, query.limit),
    )
    return [SensorSpan(*row) for row in rows]


def count_watched(view: View, query: CountWatched) -> WatchedTime:
    """Answer :class:`CountWatched`."""
    found = view.sql.execute(
        "SELECT count(*), ifnull(sum(last_seen - max(first_seen, ?)), 0),"
        " ifnull(sum(per_month < ?), 0) FROM vitals WHERE last_seen >= ?",
        (query.since, query.fewer_rows, query.since),
    )
    return WatchedTime(*found.fetchone())


def count_sensors(view: View, query: CountSensors) -> Mapping[str, int]:
    """Answer :class:`CountSensors`."""
    where = _narrowed(query.text, query.site, query.status)
    rows = view.sql.execute(
        f"SELECT status, count(*), sum(open_incidents > 0) FROM sensors{where} GROUP BY status",
        where.values,
    ).fetchall()
    found = {status.name.lower(): 0 for status in Status}
    for status, count, _ in rows:
        found[Status(status).name.lower()] = count
    found["total"] = sum(count for _, count, _ in rows)
    found["with_open_incidents"] = sum(count for _, _, count in rows)
    return found


def incidents(view: View, query: Incidents) -> Sequence[Incident]:
    """Answer :class:`Incidents`."""
    where = _incidents_where(view, query)
    if query.ids is not None:
        where.add("id IN (SELECT value FROM json_each(?))", json.dumps(query.ids))
    rows = view.sql.execute(
        "SELECT id, document, (SELECT feedback FROM marks WHERE incident = id) FROM incidents"
        f"{where} ORDER BY is_open DESC, opened DESC, id LIMIT ? OFFSET ?",
        (*where.values, query.limit, query.offset),
    ).fetchall()
    comments = _comments(view, [row[0] for row in rows])
    return [documents.incident(row[1], row[2], comments[row[0]]) for row in rows]


def count_incidents(view: View, query: CountIncidents) -> IncidentTotals:
    """Answer :class:`CountIncidents`."""
    where = _incidents_where(view, query)
    if query.opened_since is not None:
        where.add("opened >= ?", query.opened_since)
    total, still_open = view.sql.execute(
        f"SELECT count(*), ifnull(sum(closed IS NULL), 0) FROM incidents{where}", where.values
    ).fetchone()
    rows = view.sql.execute(
        "SELECT feedback, count(*) FROM marks JOIN incidents ON id = incident"
        f"{where} GROUP BY feedback",
        where.values,
    )
    every: tuple[Feedback, ...] = ("real", "false", "expected")
    return IncidentTotals(total, still_open, dict.fromkeys(every, 0) | dict(rows.fetchall()))


def dead_letters(view: View, query: DeadLetters) -> Sequence[DeadLetter]:
    """Answer :class:`DeadLetters`."""
    where = _letters_where(query)
    order = "DESC" if query.after is None else "ASC"
    rows = view.sql.execute(
        "SELECT time, source, reason, raw, id, topic, content_type, details, key"
        f" FROM dead_letters{where}"
        f" ORDER BY id {order} LIMIT ? OFFSET ?",
        (*where.values, query.limit, query.offset),
    )
    return [_dead_letter(*row) for row in rows]


def _dead_letter(*row: Any) -> DeadLetter:
    time, source, reason, raw, number, topic, kind, details, key = row
    return DeadLetter(time, source, reason, raw, number, topic, kind, json.loads(details), key)


def count_dead_letters(view: View, query: CountDeadLetters) -> int:
    """Answer :class:`CountDeadLetters`."""
    where = _letters_where(query)
    found = view.sql.execute(f"SELECT count(*) FROM dead_letters{where}", where.values)
    return int(found.fetchone()[0])


def setting(view: View, query: Setting) -> Any:
    """Answer :class:`Setting`."""
    found = view.sql.execute("SELECT value FROM settings WHERE key = ?", (query.key,)).fetchone()
    return None if found is None else json.loads(found[0])


def cursor(view: View, query: Cursor) -> str | None:
    """Answer :class:`Cursor`."""
    found = view.sql.execute("SELECT cursor FROM cursors WHERE source = ?", (query.source,))
    row = found.fetchone()
    return None if row is None else str(row[0])


def totals(view: View, _: StoreTotals) -> Totals:
    """Answer :class:`StoreTotals`."""
    counted = dict(view.sql.execute("SELECT name, value FROM counters").fetchall())
    oldest, newest = view.sql.execute(
        "SELECT min(a), max(b) FROM ("
        " SELECT (SELECT min(first_time) FROM readings) a,"
        " (SELECT max(last_time) FROM readings) b"
        " UNION ALL SELECT min(first_time), max(last_time) FROM commits)"
    ).fetchone()
    sensors, incidents, letters = (
        int(view.sql.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
        for table in ("sensors", "incidents", "dead_letters")
    )
    return Totals(
        sensors=sensors,
        readings=counted["readings"],
        verdicts=counted["verdicts"],
        incidents=incidents,
        dead_letters=letters,
        bytes=_bytes(view),
        oldest=oldest,
        newest=newest,
    )


def _bytes(view: View) -> int:
    pages = int(view.sql.execute("PRAGMA page_count").fetchone()[0])
    size = pages * int(view.sql.execute("PRAGMA page_size").fetchone()[0])
    if view.path is None:
        return size
    log = view.path.with_name(view.path.name + "-wal")
    return size + (log.stat().st_size if log.exists() else 0)


def _narrowed(text: str, site: str | None, status: str | None) -> Where:
    where = Where()
    if text:
        where.add("instr(search, ?) > 0", text.casefold())
    if site is not None:
        where.add("site = ?", site)
    if status is not None:
        where.add("status = ?", getattr(Status, status.upper(), -1))
    return where


def _incidents_where(view: View, query: Incidents | CountIncidents) -> Where:
    where = Where()
    if query.sensor_id is not None:
        where.add("incidents.sensor = ?", view.key(query.sensor_id))
    if query.state is not None:
        where.add("closed IS NULL" if query.state == "open" else "closed IS NOT NULL")
    if query.start is not None:
        where.add("last >= ?", query.start)
    if query.end is not None:
        where.add("opened <= ?", query.end)
    return where


def _letters_where(query: DeadLetters | CountDeadLetters) -> Where:
    where = Where()
    if query.source is not None:
        where.add("source = ?", query.source)
    if query.reason:
        where.add("instr(lower(reason), lower(?)) > 0", query.reason)
    if query.topic:
        where.add("instr(lower(topic), lower(?)) > 0", query.topic)
    if query.ids is not None:
        where.add("id IN (SELECT value FROM json_each(?))", json.dumps(query.ids))
    if query.before is not None:
        where.add("time < ?", query.before)
    if query.after is not None:
        where.add("id > ?", query.after)
    return where


def _comments(view: View, names: Sequence[str]) -> Mapping[str, list[Comment]]:
    found: dict[str, list[Comment]] = defaultdict(list)
    for name, *rest in view.sql.execute(
        "SELECT incident, time, text, author FROM comments"
        " WHERE incident IN (SELECT value FROM json_each(?)) ORDER BY id",
        (json.dumps(names),),
    ):
        found[name].append(Comment(*rest))
    return found


def _vitals(view: View, keys: Sequence[int]) -> dict[int, tuple[Any, ...]]:
    found = {}
    for some in _runs(keys):
        rows = view.sql.execute(
            "SELECT sensor, first_seen, last_seen, readings, rate, per_month FROM vitals"
            f" WHERE sensor IN ({placeholders(some)})",
            some,
        )
        found.update({row[0]: row[1:] for row in rows})
    return found


def _latest(view: View, keys: Sequence[int]) -> dict[int, dict[str, float]]:
    """Newest value of every channel; of two sets of channels the newer one counts."""
    found: dict[int, dict[str, float]] = defaultdict(dict)
    for some in _runs(keys):
        rows = view.sql.execute(
            "SELECT sensor, schema, record FROM newest"
            f" WHERE sensor IN ({placeholders(some)}) ORDER BY sensor, time",
            some,
        )
        for key, number, record in rows:
            channels = view.schemas.of(view.sql, number).channels
            values = np.frombuffer(record, reading_type(len(channels)))["values"][0].tolist()
            pairs = zip(channels, values, strict=True)
            found[key].update({name: value for name, value in pairs if not math.isnan(value)})
    return found


def _runs(keys: Sequence[int]) -> list[Sequence[int]]:
    return [keys[at : at + _AT_ONCE] for at in range(0, len(keys), _AT_ONCE)]


def _sensor_status(
    row: tuple[Any, ...], vitals: tuple[Any, ...] | None, latest: Mapping[str, float]
) -> SensorStatus:
    _, sensor_id, info, status, open_incidents = row
    first, last, count, rate, per_month = vitals or (NOT_YET, NEVER, 0, None, None)
    return SensorStatus(
        info=documents.sensor_info(sensor_id, info),
        first_seen=None if first == NOT_YET else first,
        last_seen=None if last == NEVER else last,
        rhythm=_rhythm(per_month) if count > 1 else None,
        readings=count,
        status=Status(status),
        rate=rate,
        latest=latest,
        open_incidents=open_incidents,
    )


def _rhythm(per_month: float | None) -> float | None:
    if not per_month or not math.isfinite(per_month):
        return None
    return MONTH / SECOND / per_month
