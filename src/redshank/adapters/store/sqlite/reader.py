"""The store read from outside, beside the redshank that writes it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TypeVar

from redshank.adapters.store.sqlite.answers import answered
from redshank.adapters.store.sqlite.chunks import View
from redshank.adapters.store.sqlite.connection import Readers, connect, explaining
from redshank.adapters.store.sqlite.directory import Directory, Schemas
from redshank.adapters.store.sqlite.schema import migrations
from redshank.core.errors import StoreError
from redshank.core.queries import Query

T = TypeVar("T")


class SqliteReader:
    """Reads the store in a file, whether or not a redshank is running on it.

    It holds no lock and writes nothing. Every answer is as of the last commit when it was asked
    for, so that a long export of a running store sees what came meanwhile, but never a part of it.

    Args:
        path: the database file.

    Raises:
        StoreError: there is none, or it has another layout than this redshank's.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._name = path, str(path)
        if not path.exists():
            raise StoreError(f"there is no store in {path.parent}: name its folder with --data")
        with explaining(self._name, "open"):
            self._check()
        self._readers = Readers(path)
        self._directory, self._schemas = Directory(), Schemas()

    def read(self, query: Query[T]) -> T:
        """The answer as of the last commit."""
        with explaining(self._name, "read"), self._readers.one() as sql:
            return answered(View(sql, self._schemas, self._directory, self._path), query)

    def close(self) -> None:
        """Release the file."""
        self._readers.close()

    def _check(self) -> None:
        with closing(connect(self._path, read_only=True)) as sql:
            version = int(sql.execute("PRAGMA user_version").fetchone()[0])
        newest = migrations()[-1][0]
        if version != newest:
            older = "run redshank migrate" if version < newest else "upgrade redshank"
            raise StoreError(
                f"{self._path} has layout {version}, this redshank reads {newest}: {older}"
            )
