"""The embedded store: SQLite as log and store."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import TypeVar

from redshank.adapters.store.sqlite.answers import answered
from redshank.adapters.store.sqlite.chunks import View
from redshank.adapters.store.sqlite.connection import Readers, connect, explaining, lock, prepare
from redshank.adapters.store.sqlite.directory import Directory, Schemas
from redshank.adapters.store.sqlite.maintenance import Maintenance
from redshank.adapters.store.sqlite.schema import migrate
from redshank.adapters.store.sqlite.writing import Writing
from redshank.core.errors import StoreError
from redshank.core.ports import Commit
from redshank.core.queries import Query

T = TypeVar("T")


class SqliteStore:
    """Keeps everything in one SQLite file.

    A commit appends its rows to a tail, as chunks of one sensor each; house-keeping moves them to
    larger chunks that are found by sensor and time. Acknowledged means on the disk: a commit
    returns after fsync.

    Args:
        path: the database file, made with its folder where there is none; None keeps everything
            in memory.
        retention: microseconds for which readings and verdicts are kept; None keeps them for ever.

    Attributes:
        migrated: names of the migrations that opening applied.

    Raises:
        StoreError: the file cannot be opened, belongs to another process or a newer redshank.
    """

    def __init__(self, path: Path | None = None, retention: int | None = None) -> None:
        self._path = path
        self._name = "the store in memory" if path is None else str(path)
        self._directory, self._schemas = Directory(), Schemas()
        self._lock = threading.Lock()
        self._closed = False
        with self._explaining("open"):
            self._open()
        self._maintenance = Maintenance(self._writer, self._schemas, retention)

    def _open(self) -> None:
        self._holder = None
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._holder = lock(self._path)
        try:
            self._writer = connect(self._path)
            prepare(self._writer)
            self.migrated = migrate(self._writer, self._name)
        except (sqlite3.Error, StoreError):
            self._release()
            raise
        self._readers = None if self._path is None else Readers(self._path)

    def write(self, commit: Commit) -> None:
        """Write all of it or nothing; durable on return."""
        with self._lock, self._explaining("write"), ExitStack() as failed:
            failed.callback(self._directory.clear)
            failed.callback(self._schemas.clear)
            with self._transaction():
                work = Writing(self._writer, self._directory, self._schemas)
                change = work.commit(commit)
            failed.pop_all()
            self._directory.absorb(change.keys, change.last, change.judged, change.status)

    def read(self, query: Query[T]) -> T:
        """The answer as of the last commit."""
        with self._explaining("read"), self._reader() as sql:
            return answered(View(sql, self._schemas, self._directory, self._path), query)

    def maintain(self, now: int) -> bool:
        """Do one short piece of house-keeping; True while there is more to do."""
        with self._lock, self._explaining("tidy up"):
            return self._tidy(now)

    def close(self) -> None:
        """Flush and release the files; closing twice is once."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            if self._readers is not None:
                self._readers.close()
            with self._explaining("close"):
                self._writer.execute("PRAGMA optimize")
                self._release()

    def _release(self) -> None:
        for connection in (getattr(self, "_writer", None), self._holder):
            if connection is not None:
                connection.close()

    def _tidy(self, now: int) -> bool:
        # Losing a step to a power cut loses no row: it need not be on the disk at once.
        self._writer.execute("PRAGMA synchronous = NORMAL")
        try:
            with self._transaction():
                more = self._maintenance.step(now)
            return more or self._maintenance.vacuum()
        finally:
            self._writer.execute("PRAGMA synchronous = FULL")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._writer:  # commits, or rolls back what failed
            self._writer.execute("BEGIN IMMEDIATE")
            yield

    @contextmanager
    def _reader(self) -> Iterator[sqlite3.Connection]:
        if self._closed:
            raise StoreError(f"{self._name} is closed: nothing can be read from it any more")
        if self._readers is not None:
            with self._readers.one() as sql:
                yield sql
        else:
            with self._lock:
                yield self._writer

    def _explaining(self, doing: str) -> AbstractContextManager[None]:
        return explaining(self._name, doing)
