"""House-keeping in short steps: the tail becomes chunks, small chunks large ones, old ones go."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from redshank.adapters.store.sqlite import rollup
from redshank.adapters.store.sqlite.chunks import Rows, View, column, joined
from redshank.adapters.store.sqlite.codec import Records, all_flags, pack_extras, squeeze
from redshank.adapters.store.sqlite.directory import Directory, Schemas
from redshank.core.clock import HOUR

LARGE = 512
"""Rows from which on a chunk is left alone."""
ROLLED = 128
"""Rows from which on hourly steps are kept beside them."""
MOST = 2048
"""Rows of a merged chunk at most."""

_TAIL_COMMITS = 64
"""Commits in the tail before it is worth moving; a look-up visits each of them."""
_TAIL_ROWS = 200_000
"""Readings and verdicts in the tail before it is worth moving."""
_SLAB_ROWS = 400_000
"""Rows that are moved together: more make larger chunks."""
_STEP_CHUNKS = 300
"""Chunks of the tail that one step moves, about."""
_STEP_ROWS = 3000
"""Rows that one step moves, about."""
_OLD_CHUNKS = 500
"""Chunks, and dead letters, that one step of retention removes."""

_TIERS = {
    "readings": "schema, first_seq, part, count, seqs, extras, records, NULL",
    "verdicts": "schema, first_seq, part, count, seqs, NULL, head, body",
}
_TAILS = {
    "readings": "t.schema, t.seq, t.part, t.count, NULL, t.extras, t.records, NULL",
    "verdicts": "t.schema, t.seq, t.part, t.count, NULL, NULL, t.head, t.body",
}

_FROM_TAIL = (
    " FROM commits k CROSS JOIN tail_{table} t ON t.seq = k.seq"
    " WHERE k.seq <= ? AND t.sensor BETWEEN ? AND ?"
)

_REACH = "ifnull((SELECT c.seq FROM checkpoints c WHERE c.sensor = t.sensor), 0)"
"""Newest commit of a sensor that its checkpoint covers."""

_LOOSE = (
    "INSERT INTO readings SELECT NULL, t.sensor, t.schema, t.seq, t.seq, t.part, t.first_time,"
    " t.last_time, t.count, 0, NULL, NULL, t.extras, t.records"
    + _FROM_TAIL.format(table="readings")
    + f" AND t.seq > {_REACH}"
)
"""Readings that recovery may replay go one by one, as they came."""

_FORGET_LETTERS = (
    "DELETE FROM dead_letters WHERE id IN (SELECT id FROM dead_letters ORDER BY id LIMIT ?)"
    " AND time < ?"
)
"""They are numbered as they came."""


@dataclass(frozen=True, slots=True)
class _Slab:
    """Commits on their way out of the tail, sensor by sensor.

    Attributes:
        last: the newest commit of it.
        sensor: first sensor that is still in the tail.
        stride: sensors that one step moves.
        end: one more than the last sensor.
    """

    last: int
    sensor: int
    stride: int
    end: int


class Maintenance:
    """One step at a time, each inside a transaction of the writer.

    Args:
        sql: the writer's connection.
        schemas: by number.
        retention: microseconds for which rows are kept; None keeps them for ever.
    """

    def __init__(self, sql: sqlite3.Connection, schemas: Schemas, retention: int | None) -> None:
        self._sql = sql
        self._view = View(sql, schemas, Directory(), None)
        self._retention = retention
        self._slab: _Slab | None = None

    def step(self, now: int) -> bool:
        """Do what is due, one piece; True while more is.

        Args:
            now: wall clock, microseconds.
        """
        if self._retention is not None and self._forget(now - self._retention):
            return True
        self._slab = self._slab or self._next_slab()
        if self._slab is None:
            return False
        self._slab = self._move(self._slab)
        return True

    def _next_slab(self) -> _Slab | None:
        commits = self._sql.execute(
            "SELECT seq, chunks, count FROM commits ORDER BY seq"
        ).fetchall()
        rows = sum(count for _, _, count in commits)
        if len(commits) < _TAIL_COMMITS and rows < _TAIL_ROWS:
            return None
        chunks, count, last = 0, 0, 0
        for last, more_chunks, more in commits:  # noqa: B007
            chunks, count = chunks + more_chunks, count + more
            if count >= _SLAB_ROWS:
                break
        sensors = int(self._sql.execute("SELECT ifnull(max(id), 0) FROM sensors").fetchone()[0])
        steps = max(1, chunks // _STEP_CHUNKS, count // _STEP_ROWS)
        return _Slab(last, 1, max(1, -(-sensors // steps)), sensors + 1)

    def _move(self, slab: _Slab) -> _Slab | None:
        """Take the next sensors' rows out of the tail."""
        first, last = slab.sensor, slab.sensor + slab.stride - 1
        self._sql.execute(_LOOSE, (slab.last, first, last))
        for table in ("readings", "verdicts"):
            for key, chunks in self._taken(table, slab.last, first, last).items():
                for rows in joined(self._view, chunks, extras=True):
                    self._merge(table, key, rows)
        if last + 1 < slab.end:
            return replace(slab, sensor=last + 1)
        self._sql.execute("DELETE FROM commits WHERE seq <= ?", (slab.last,))
        return None

    def _taken(
        self, table: str, seq: int, first: int, last: int
    ) -> Mapping[int, list[Sequence[Any]]]:
        """Chunks of the tail by sensor that nothing replays; the tail loses all of them."""
        given = (seq, first, last)
        covered = f" AND t.seq <= {_REACH}" if table == "readings" else ""
        found: dict[int, list[Sequence[Any]]] = defaultdict(list)
        for key, *chunk in self._sql.execute(
            f"SELECT t.sensor, {_TAILS[table]}{_FROM_TAIL.format(table=table)}{covered}", given
        ):
            found[key].append(chunk)
        self._sql.execute(
            f"DELETE FROM tail_{table} WHERE (seq, sensor, part) IN"
            f" (SELECT t.seq, t.sensor, t.part{_FROM_TAIL.format(table=table)})",
            given,
        )
        return found

    def _merge(self, table: str, key: int, rows: Rows) -> None:
        """Insert rows, together with small chunks that are about as small."""
        covered = f" AND t.last_seq <= {_REACH}" if table == "readings" else ""
        small = self._sql.execute(
            f"SELECT id, count FROM {table} t WHERE sensor = ? AND schema = ? AND NOT settled"
            f"{covered} ORDER BY count",
            (key, rows.number),
        ).fetchall()
        absorbed = _worth(small, len(rows.records))
        if absorbed:
            marks = ",".join("?" * len(absorbed))
            chunks = self._sql.execute(
                f"SELECT {_TIERS[table]} FROM {table} WHERE id IN ({marks})", absorbed
            ).fetchall()
            chunks.sort(key=lambda chunk: chunk[1])
            rows = _together([*joined(self._view, chunks, extras=True), rows])
            self._sql.execute(f"DELETE FROM {table} WHERE id IN ({marks})", absorbed)
        for piece in _pieces(rows.in_order()):
            self._insert(table, key, replace(piece, part=np.zeros_like(piece.part)))

    def _insert(self, table: str, key: int, rows: Rows) -> None:
        time, seq = rows.time, rows.seq
        first_seq, last_seq = int(seq.min()), int(seq.max())
        seqs = None if first_seq == last_seq else (seq - first_seq).astype("<u4").tobytes()
        place = (key, rows.number, first_seq, last_seq, int(rows.part[0]))
        span = (int(time.min()), int(time.max()), len(time))
        settled = len(time) >= LARGE
        stored = squeeze if settled else _plain
        if table == "readings":
            extras = pack_extras(_listed(rows.ids), _listed(rows.tags), 0, len(time))
            self._sql.execute(
                "INSERT INTO readings VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (*place, *span, settled, _rolled(rows), seqs, extras, stored(rows.records)),
            )
            return
        assert rows.bodies is not None
        rate, status = rows.records["rate"], rows.bodies["status"]
        self._sql.execute(
            "INSERT INTO verdicts VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *place,
                *span,
                float(np.fmin.reduce(rate)),
                int(status.max()),
                settled,
                _rolled(rows),
                seqs,
                rows.records.tobytes(),
                stored(rows.bodies),
                int(np.bitwise_or.reduce(all_flags(rows.bodies))),
            ),
        )

    def _forget(self, before: int) -> bool:
        """Remove some of what is too old, chunks by their newest row; True if more may be there."""
        removed = self._sql.execute(_FORGET_LETTERS, (_OLD_CHUNKS, before)).rowcount
        for table in ("readings", "verdicts"):
            found = self._sql.execute(
                f"DELETE FROM {table} WHERE id IN (SELECT id FROM {table} WHERE last_time < ?"
                " LIMIT ?) RETURNING sensor, count",
                (before, _OLD_CHUNKS),
            ).fetchall()
            removed = max(removed, len(found))
            self._uncount(table, found)
        return removed >= _OLD_CHUNKS

    def _uncount(self, table: str, removed: Iterable[tuple[int, int]]) -> None:
        lost: dict[int, int] = defaultdict(int)
        for key, count in removed:
            lost[key] += count
        self._sql.execute(
            "UPDATE counters SET value = value - ? WHERE name = ?", (sum(lost.values()), table)
        )
        if table == "readings":
            self._sql.executemany(
                "UPDATE vitals SET readings = readings - ? WHERE sensor = ?",
                [(count, key) for key, count in lost.items()],
            )

    def vacuum(self) -> bool:
        """Give some space back to the disk, once a quarter of the file is empty; True for more.

        Outside any transaction.
        """
        pages, free = (
            int(self._sql.execute(f"PRAGMA {name}").fetchone()[0])
            for name in ("page_count", "freelist_count")
        )
        if free < 4096 or free * 4 < pages:
            return False
        self._sql.executescript("PRAGMA incremental_vacuum(1024)")
        return True


def _worth(small: Sequence[tuple[int, int]], rows: int) -> list[int]:
    """Which small chunks to merge with so many rows, so that each row is rewritten a few times.

    Chunks grow in levels of eight: those of a level and below are merged once they fill the next.
    """
    found: list[int] = []
    total, taken = rows, []
    for number, count in small:
        if total < count < LARGE:
            break
        total += count
        taken.append(number)
        if total >= 8 * count or count >= LARGE:
            found = list(taken)
    return found


def _pieces(rows: Rows) -> Iterator[Rows]:
    """Even pieces of at most :data:`MOST` rows."""
    count = len(rows.records)
    parts = -(-count // MOST)
    for at in np.array_split(np.arange(count), parts):
        yield rows.take(at) if parts > 1 else rows


def _together(parts: Sequence[Rows]) -> Rows:
    """Rows of one schema one after another."""
    first = parts[0]
    if len(parts) == 1:
        return first
    bodies = [part.bodies for part in parts if part.bodies is not None]
    return replace(
        first,
        seq=np.concatenate([part.seq for part in parts]),
        part=np.concatenate([part.part for part in parts]),
        records=np.concatenate([part.records for part in parts]),
        bodies=np.concatenate(bodies) if bodies else None,
        ids=column(parts, "ids"),
        tags=column(parts, "tags"),
    )


def _rolled(rows: Rows) -> bytes | None:
    """Hourly steps of the rows, where they are much fewer."""
    time = rows.time
    if len(time) < ROLLED:
        return None
    hours = len(np.unique(time // HOUR))
    if hours * 4 > len(time):
        return None
    by = rollup.readings_by if rows.bodies is None else rollup.verdicts_by
    return by(rows, HOUR).tobytes()


def _plain(records: Records) -> bytes:
    return records.tobytes()


def _listed(column: Any) -> list[Any] | None:
    return None if column is None else column.tolist()
