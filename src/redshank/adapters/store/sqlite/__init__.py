"""The embedded store."""

from redshank.adapters.store.sqlite.store import SqliteStore

__all__ = ["SqliteStore"]
