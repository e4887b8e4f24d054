"""Writing what is not columns: sensors, incidents, dead letters, cursors and settings."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from redshank.adapters.store.sqlite.directory import Directory
from redshank.core.ports import Commit
from redshank.core.records import (
    ChannelInfo,
    Comment,
    DeadLetter,
    Evidence,
    Feedback,
    Incident,
    SensorInfo,
)

_KEYED = ("tail_readings", "tail_verdicts", "readings", "verdicts", "marks", "comments")


def write(sql: sqlite3.Connection, directory: Directory, commit: Commit) -> None:
    """Write a commit's documents; its sensors are all known by now."""
    _sensors(sql, commit.sensors)
    _incidents(sql, directory, commit)
    _people(sql, commit.marks, commit.comments)
    _dead_letters(sql, commit)
    _cursors(sql, commit.cursors)
    _settings(sql, commit.settings)


def remove_sensors(sql: sqlite3.Connection, sensor_ids: Iterable[str]) -> None:
    """Forget sensors with everything of theirs."""
    for sensor_id in sensor_ids:
        found = sql.execute("SELECT id FROM sensors WHERE sensor_id = ?", (sensor_id,)).fetchone()
        if found is None:
            continue
        for table in ("readings", "verdicts"):
            sql.execute(
                "UPDATE counters SET value = value"
                f" - (SELECT ifnull(sum(count), 0) FROM {table} WHERE sensor = :key)"
                f" - (SELECT ifnull(sum(count), 0) FROM tail_{table} WHERE sensor = :key)"
                " WHERE name = :name",
                {"key": found[0], "name": table},
            )
        for table in _KEYED:
            sql.execute(f"DELETE FROM {table} WHERE sensor = ?", found)
        sql.execute("DELETE FROM sensors WHERE id = ?", found)


def incident(document: str, feedback: Feedback | None, comments: Sequence[Comment]) -> Incident:
    """An incident from its stored parts."""
    stored = json.loads(document)
    stored["evidence"] = tuple(Evidence(**each) for each in stored["evidence"])
    stored["calm"] = tuple(stored["calm"])
    return Incident(**stored, feedback=feedback, comments=tuple(comments))


def sensor_info(sensor_id: str, document: str) -> SensorInfo:
    """A sensor from its stored part."""
    stored = json.loads(document)
    channels = {name: ChannelInfo(**each) for name, each in stored.pop("channels", {}).items()}
    edited = tuple(stored.pop("edited", ()))
    return SensorInfo(sensor_id, **stored, channels=channels, edited=edited)


def _sensors(sql: sqlite3.Connection, sensors: Iterable[SensorInfo]) -> None:
    rows = []
    for info in sensors:
        document = asdict(info)
        del document["sensor_id"]
        title = (info.name or info.sensor_id).casefold()
        search = "\n".join((info.sensor_id, info.name, info.site)).casefold()
        rows.append((title, search, info.site, json.dumps(document), info.sensor_id))
    sql.executemany(
        "UPDATE sensors SET title = ?, search = ?, site = ?, info = ? WHERE sensor_id = ?", rows
    )


def _incidents(sql: sqlite3.Connection, directory: Directory, commit: Commit) -> None:
    if not commit.incidents and not commit.incidents_removed:
        return
    touched = {directory.get(each.sensor_id) for each in commit.incidents}
    for name in commit.incidents_removed:
        found = sql.execute("DELETE FROM incidents WHERE id = ? RETURNING sensor", (name,))
        touched.update(row[0] for row in found.fetchall())
    sql.executemany(
        "INSERT OR REPLACE INTO incidents (id, sensor, opened, last, closed, document)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        [_incident_row(each, directory.get(each.sensor_id)) for each in commit.incidents],
    )
    sql.executemany(
        "UPDATE sensors SET open_incidents = (SELECT count(*) FROM incidents"
        " WHERE sensor = sensors.id AND closed IS NULL) WHERE id = ?",
        [(key,) for key in touched],
    )


def _incident_row(each: Incident, key: int | None) -> tuple[Any, ...]:
    document = asdict(each)
    del document["feedback"], document["comments"]
    return each.id, key, each.opened, each.last, each.closed, json.dumps(document)


def _people(
    sql: sqlite3.Connection,
    marks: Mapping[str, Feedback | None],
    comments: Mapping[str, Sequence[Comment]],
) -> None:
    owner = "(SELECT sensor FROM incidents WHERE id = ?)"
    for name, feedback in marks.items():
        sql.execute("DELETE FROM marks WHERE incident = ?", (name,))
        if feedback is not None:
            row = (name, name, feedback)
            sql.execute(f"INSERT INTO marks VALUES (?, {owner}, ?)", row)
    sql.executemany(
        f"INSERT INTO comments VALUES (NULL, ?, {owner}, ?, ?, ?)",
        [
            (name, name, each.time, each.text, each.author)
            for name, some in comments.items()
            for each in some
        ],
    )


def _dead_letters(sql: sqlite3.Connection, commit: Commit) -> None:
    sql.executemany(
        "INSERT INTO dead_letters (time, source, reason, raw, topic, content_type, details, key)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (source, topic, key) WHERE key != '' DO NOTHING",
        map(_letter_row, commit.dead_letters),
    )
    sql.executemany(
        "DELETE FROM dead_letters WHERE id = ?", [(each,) for each in commit.dead_letters_removed]
    )
    sql.executemany(
        "UPDATE dead_letters SET reason = ? WHERE id = ?",
        [(reason, each) for each, reason in commit.dead_letter_reasons.items()],
    )


def _letter_row(each: DeadLetter) -> tuple[Any, ...]:
    details = json.dumps(dict(each.details))
    return (
        *(each.time, each.source, each.reason, each.raw),
        *(each.topic, each.content_type, details, each.key),
    )


def _cursors(sql: sqlite3.Connection, cursors: Mapping[str, str | None]) -> None:
    for source, cursor in cursors.items():
        if cursor is None:
            sql.execute("DELETE FROM cursors WHERE source = ?", (source,))
        else:
            sql.execute("INSERT OR REPLACE INTO cursors VALUES (?, ?)", (source, cursor))


def _settings(sql: sqlite3.Connection, settings: Mapping[str, Any]) -> None:
    for key, value in settings.items():
        if value is None:
            sql.execute("DELETE FROM settings WHERE key = ?", (key,))
        else:
            sql.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (key, json.dumps(value)))
