"""Connections: how the file is opened, locked and shared, and what its errors mean."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from redshank.core.errors import StoreError

_ADVICE = {
    "SQLITE_FULL": "the disk is full: free some space and try again",
    "SQLITE_READONLY": "it is read-only: give this user the right to write it",
    "SQLITE_PERM": "access is denied: give this user the right to write it",
    "SQLITE_CANTOPEN": "it cannot be opened: check that the folder exists and may be written",
    "SQLITE_BUSY": "another program holds it: stop that program and try again",
    "SQLITE_LOCKED": "another program holds it: stop that program and try again",
    "SQLITE_CORRUPT": "it is damaged: restore a backup or move it away to start afresh",
    "SQLITE_NOTADB": "it is no redshank database: move it away or choose another data directory",
    "SQLITE_IOERR": "the disk did not obey: check the disk and its free space",
    "SQLITE_TOOBIG": "one value is too large for it",
}


def explained(error: Exception, path: str, doing: str) -> StoreError:
    """What an error of SQLite means for its owner, and the next step."""
    name = str(getattr(error, "sqlite_errorname", ""))
    known = next((text for code, text in _ADVICE.items() if name.startswith(code)), None)
    return StoreError(f"cannot {doing} {path}: {known or error}")


@contextmanager
def explaining(path: str, doing: str) -> Iterator[None]:
    """Errors of SQLite inside are raised as what they mean."""
    try:
        yield
    except (sqlite3.Error, OSError, UnicodeEncodeError) as error:
        raise explained(error, path, doing) from error


def connect(path: Path | None, read_only: bool = False) -> sqlite3.Connection:
    """A connection for any thread, without Python's own transactions."""
    target = ":memory:" if path is None else path.absolute().as_uri()
    connection = sqlite3.connect(
        target + ("?mode=ro" if read_only else ""),
        timeout=10,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
        uri=path is not None,
    )
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute(f"PRAGMA cache_size = {-16_000 if read_only else -64_000}")
    return connection


def prepare(connection: sqlite3.Connection) -> None:
    """Settings of the file: readers beside the writer, and commits that outlive a power cut."""
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA wal_autocheckpoint = 4000")
    connection.execute("PRAGMA journal_size_limit = 67108864")


def lock(path: Path) -> sqlite3.Connection:
    """Hold the data directory for this process until the connection closes or the process ends.

    A lock on a file of its own, made by SQLite: it works on every system and ends with the
    process.

    Raises:
        StoreError: another redshank holds it.
    """
    name = path.with_name(path.name + ".lock")
    holder = sqlite3.connect(name, timeout=0, isolation_level=None, check_same_thread=False)
    try:
        holder.execute("BEGIN EXCLUSIVE")
    except sqlite3.Error as error:
        holder.close()
        if not str(error.sqlite_errorname).startswith("SQLITE_BUSY"):
            raise
        raise StoreError(
            f"another redshank is using {path}: stop it, or choose another data directory"
        ) from error
    return holder


class Readers:
    """Read-only connections, lent to one thread at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._idle: list[sqlite3.Connection] = []
        self._closed = False

    @contextmanager
    def one(self) -> Iterator[sqlite3.Connection]:
        """A connection that sees one commit's state throughout."""
        with self._lock:
            connection = self._idle.pop() if self._idle else None
        connection = connection or connect(self._path, read_only=True)
        try:
            connection.execute("BEGIN")
            yield connection
        finally:
            connection.rollback()
            self._take_back(connection)

    def _take_back(self, connection: sqlite3.Connection) -> None:
        with self._lock:
            if not self._closed:
                self._idle.append(connection)
                return
        connection.close()

    def close(self) -> None:
        """Close those that are idle now, and the others when they come back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()
