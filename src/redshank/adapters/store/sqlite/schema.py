"""Numbered migrations: how the tables came to be what they are."""

from __future__ import annotations

import sqlite3
from importlib.resources import files

from redshank.core.errors import StoreError


def migrations() -> list[tuple[int, str, str]]:
    """Number, name and SQL of every migration, in order."""
    folder = files(__package__) / "migrations"
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return [(int(name[:4]), name[:-4], (folder / name).read_text("utf-8")) for name in names]


def migrate(connection: sqlite3.Connection, path: str) -> list[str]:
    """Bring a database up to date; each step is one transaction, done wholly or not at all.

    Returns:
        Names of the migrations that were missing.

    Raises:
        StoreError: a newer redshank wrote the database.
        sqlite3.Error: a step failed.
    """
    steps = migrations()
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    newest = steps[-1][0]
    if version > newest:
        raise StoreError(
            f"{path} was written by a newer redshank (its layout is {version}, this one knows "
            f"{newest}): upgrade redshank, or choose another data directory"
        )
    return [_apply(connection, step) for step in steps if step[0] > version]


def _apply(connection: sqlite3.Connection, step: tuple[int, str, str]) -> str:
    number, name, sql = step
    try:
        connection.executescript(f"BEGIN; {sql}; PRAGMA user_version = {number}; COMMIT;")
    except sqlite3.Error:
        if connection.in_transaction:
            connection.rollback()
        raise
    return name
