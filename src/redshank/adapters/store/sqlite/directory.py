"""What the writer remembers of sensors and schemas, so that most rows need no look-up in SQL."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

import numpy as np

from redshank.adapters.store.sqlite.codec import NEVER, Schema
from redshank.core.batch import Bytes, Times


class Directory:
    """Sensors that were met since the start: their key, newest reading and newest verdict.

    Only the writer's thread changes it; other threads may look a sensor up. Whatever it does not
    know is in the database. Arrays are indexed by key.
    """

    def __init__(self) -> None:
        self._keys: dict[str, int] = {}
        self.newest: Times = np.full(1024, NEVER)
        self.judged: Times = np.full(1024, NEVER)
        self.status: Bytes = np.zeros(1024, np.uint8)

    def get(self, sensor_id: str) -> int | None:
        """A sensor's key, None if it was not met yet."""
        return self._keys.get(sensor_id)

    def keys(self, sensor_ids: Sequence[str]) -> Times:
        """Keys of sensors that all were met."""
        return np.fromiter(map(self._keys.__getitem__, sensor_ids), np.int64, len(sensor_ids))

    def meet(self, connection: sqlite3.Connection, sensor_ids: Iterable[str]) -> None:
        """Read or register those that are not known yet, inside the writer's transaction."""
        fresh = list({name: None for name in sensor_ids if name not in self._keys})
        for some in chunked(fresh, 500):
            self._load(connection, some)
            new = [name for name in some if name not in self._keys]
            if new:
                rows = [(name, name.casefold(), name.casefold()) for name in new]
                connection.executemany(
                    "INSERT INTO sensors (sensor_id, title, search) VALUES (?, ?, ?)", rows
                )
                self._load(connection, new)

    def absorb(self, keys: Times, last: Times, judged: Times, status: Bytes) -> None:
        """After a commit: newest reading, newest verdict and its status of distinct sensors."""
        self.newest[keys] = np.maximum(self.newest[keys], last)
        later = (judged != NEVER) & (judged >= self.judged[keys])
        self.judged[keys[later]] = judged[later]
        self.status[keys[later]] = status[later]

    def forget(self, sensor_ids: Iterable[str]) -> None:
        """Drop sensors that were removed; a later one of that name gets another key."""
        for sensor_id in sensor_ids:
            self._keys.pop(sensor_id, None)

    def clear(self) -> None:
        """Drop everything; after a failed commit the database knows better."""
        self._keys = {}

    def _load(self, connection: sqlite3.Connection, sensor_ids: Sequence[str]) -> None:
        found = connection.execute(
            "SELECT sensor_id, id, ifnull(last_seen, ?), ifnull(judged, ?), status FROM sensors"
            f" LEFT JOIN vitals ON sensor = id WHERE sensor_id IN ({placeholders(sensor_ids)})",
            (NEVER, NEVER, *sensor_ids),
        ).fetchall()
        if found:
            self._grow(max(row[1] for row in found) + 1)
        for name, key, last_seen, judged, status in found:
            self.newest[key], self.judged[key], self.status[key] = last_seen, judged, status
            self._keys[name] = key

    def _grow(self, size: int) -> None:
        have = len(self.newest)
        if size <= have:
            return
        more = max(size, 2 * have) - have
        self.newest = np.concatenate([self.newest, np.full(more, NEVER)])
        self.judged = np.concatenate([self.judged, np.full(more, NEVER)])
        self.status = np.concatenate([self.status, np.zeros(more, np.uint8)])


class Schemas:
    """Interned schemas; a reader may meet one that is newer than this memory of them."""

    def __init__(self) -> None:
        self._by_id: dict[int, Schema] = {}
        self._ids: dict[Schema, int] = {}

    def of(self, connection: sqlite3.Connection, number: int) -> Schema:
        """The schema of a number."""
        known = self._by_id.get(number)
        if known is None:
            row = connection.execute("SELECT text FROM schemas WHERE id = ?", (number,)).fetchone()
            known = self._by_id[number] = Schema.parse(row[0])
        return known

    def number(self, connection: sqlite3.Connection, schema: Schema) -> int:
        """The number of a schema, given one if it has none; inside the writer's transaction."""
        known = self._ids.get(schema)
        if known is None:
            text = schema.text()
            connection.execute("INSERT OR IGNORE INTO schemas (text) VALUES (?)", (text,))
            found = connection.execute("SELECT id FROM schemas WHERE text = ?", (text,)).fetchone()
            known = self._ids[schema] = int(found[0])
        return known

    def clear(self) -> None:
        """Drop everything; after a failed commit the database knows better."""
        self._ids, self._by_id = {}, {}


def placeholders(values: Sequence[object]) -> str:
    """As many placeholders as there are values."""
    return ",".join("?" * len(values))


def chunked(items: Iterable[str], size: int) -> Iterator[list[str]]:
    """Runs of at most ``size`` items."""
    rest = iter(items)
    while some := list(islice(rest, size)):
        yield some
