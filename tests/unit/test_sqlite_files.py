"""The file: opening, locking, migrations and what goes wrong with it."""

import sqlite3

import pytest

from redshank.adapters.store.sqlite import SqliteStore
from redshank.adapters.store.sqlite.schema import migrations
from redshank.checks.store_samples import fill_up, readings, verdicts
from redshank.core.errors import StoreError
from redshank.core.ports import Commit
from redshank.core.queries import DeadLetters, LatestReadings, Setting, StoreTotals
from redshank.core.records import DeadLetter, Flag


def test_migrations_are_numbered_without_gaps():
    assert [number for number, _, _ in migrations()] == list(range(1, len(migrations()) + 1))


def test_opening_applies_what_is_missing_once(tmp_path):
    path = tmp_path / "new" / "folder" / "redshank.db"
    first = SqliteStore(path)
    assert first.migrated == [name for _, name, _ in migrations()]
    first.close()
    again = SqliteStore(path)
    assert again.migrated == []
    again.close()


def test_dead_letters_of_an_older_layout_keep_all_they_had(tmp_path):
    path = tmp_path / "redshank.db"
    with sqlite3.connect(path) as old:
        for number, _, sql in migrations()[:2]:
            old.executescript(f"{sql}; PRAGMA user_version = {number}")
        old.executemany(
            "INSERT INTO dead_letters (time, source, reason, raw) VALUES (?, ?, ?, ?)",
            [
                (1, "mqtt", "site/a: payload: 'x' is neither a number nor JSON", b"x"),
                (2, "http", "temperature: 'warm' is not a number", b"{}"),
            ],
        )
    old.close()
    store = SqliteStore(path)
    assert store.read(DeadLetters(after=0)) == [
        DeadLetter(1, "mqtt", "payload: 'x' is neither a number nor JSON", b"x", 1, "site/a"),
        DeadLetter(2, "http", "temperature: 'warm' is not a number", b"{}", 2),
    ]
    store.close()


def test_flags_that_an_older_redshank_wrote_are_found(tmp_path):
    path = tmp_path / "redshank.db"
    store = SqliteStore(path)
    batch = readings("a", {"t": [1.0, 2.0]})
    judged = verdicts(batch)
    judged.flags[1] = Flag.SPIKE
    store.write(Commit(readings=[batch], verdicts=[judged]))
    fill_up(store)
    for table in ("verdicts", "tail_verdicts"):
        store._writer.execute(f"UPDATE {table} SET flags = NULL")
    assert [row.flags for row in store.read(LatestReadings(flags=Flag.SPIKE))] == [{"t": 128}]
    store.close()


def test_a_database_of_a_newer_redshank_is_refused(tmp_path):
    path = tmp_path / "redshank.db"
    SqliteStore(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 999")
    connection.close()
    with pytest.raises(StoreError, match=r"newer redshank .*999.*upgrade"):
        SqliteStore(path)


def test_two_stores_do_not_share_a_file(tmp_path):
    store = SqliteStore(tmp_path / "redshank.db")
    with pytest.raises(StoreError, match="another redshank is using"):
        SqliteStore(tmp_path / "redshank.db")
    store.close()
    SqliteStore(tmp_path / "redshank.db").close()


def test_a_file_that_is_no_database(tmp_path):
    path = tmp_path / "redshank.db"
    path.write_bytes(b"this is a letter to my aunt, not a database" * 100)
    with pytest.raises(StoreError, match=r"redshank\.db: it is no redshank database: move it away"):
        SqliteStore(path)


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"cannot open .*file"):
        SqliteStore(tmp_path / "file" / "redshank.db")


def test_a_closed_store_says_so(tmp_path):
    store = SqliteStore(tmp_path / "redshank.db")
    store.close()
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.read(Setting("x"))
    with pytest.raises(StoreError, match=r"redshank\.db"):
        store.write(Commit(settings={"x": 1}))


def test_a_name_that_is_no_text_spoils_only_its_commit(tmp_path):
    store = SqliteStore(tmp_path / "redshank.db")
    with pytest.raises(StoreError):
        store.write(Commit(readings=[readings("\ud800", {"t": [1]})]))
    store.write(Commit(readings=[readings("a", {"t": [1]})]))
    assert store.read(StoreTotals()).readings == 1
    store.close()
