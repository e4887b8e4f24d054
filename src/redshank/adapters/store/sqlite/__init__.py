"""The embedded store."""

from redshank.adapters.store.sqlite.reader import SqliteReader
from redshank.adapters.store.sqlite.store import SqliteStore

__all__ = ["SqliteReader", "SqliteStore"]
