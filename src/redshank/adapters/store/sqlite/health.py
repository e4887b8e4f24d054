"""Looks at a store from outside, without opening it for writing."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from redshank.adapters.store.sqlite.connection import connect, explained
from redshank.adapters.store.sqlite.schema import migrations

MOST_LINES = 3


def problem(path: Path) -> str | None:
    """What is wrong with a store, whether or not a redshank is running on it; None if nothing.

    A file that does not exist is no problem: the first start makes it.
    """
    if not path.exists():
        return None
    try:
        with closing(connect(path, read_only=True)) as sql:
            lines = [row[0] for row in sql.execute(f"PRAGMA quick_check({MOST_LINES})")]
            version = int(sql.execute("PRAGMA user_version").fetchone()[0])
    except sqlite3.Error as error:
        return str(explained(error, str(path), "read"))
    if lines != ["ok"]:
        return f"{path} is damaged: {'; '.join(lines)}"
    newest = migrations()[-1][0]
    if version != newest:
        return f"{path} has layout {version}, this redshank uses {newest}"
    return None
