"""The store under kills, a full disk and a read-only folder."""

import os
import random
import signal
import subprocess
import sys

import numpy as np
import pytest

from redshank.adapters.store.sqlite import SqliteStore
from redshank.checks.stores import START, readings, settle
from redshank.core.clock import MINUTE
from redshank.core.errors import StoreError
from redshank.core.ports import Commit
from redshank.core.queries import Cursor, LatestReadings, RecoverSensors, SensorSeries, StoreTotals

pytestmark = pytest.mark.faults

WRITER = """
import sys
from pathlib import Path
from redshank.adapters.store.sqlite import SqliteStore
from redshank.checks.stores import START, readings, verdicts
from redshank.core.clock import MINUTE
from redshank.core.ports import Commit
from redshank.core.queries import Cursor
from redshank.core.records import Checkpoint

store = SqliteStore(Path(sys.argv[1]))
at = int(store.read(Cursor("writer")) or 0)
while True:
    batches = [readings(name, {"t": [at, at]}, START + 2 * at * MINUTE) for name in "abc"]
    saved = [Checkpoint(name, str(at).encode()) for name in "ab"] if at % 5 == 0 else []
    store.write(
        Commit(
            readings=batches,
            verdicts=[verdicts(batch) for batch in batches],
            checkpoints=saved,
            cursors={"writer": str(at + 1)},
        )
    )
    at += 1
    print(at, flush=True)
    store.maintain(START)
"""


def killed_writer(path, lines):
    """Let a writer acknowledge so many commits, kill it there; how many it had acknowledged."""
    writer = subprocess.Popen([sys.executable, "-c", WRITER, path], stdout=subprocess.PIPE)
    acknowledged = 0
    for _ in range(lines):
        acknowledged = int(writer.stdout.readline())
    os.kill(writer.pid, signal.SIGKILL)
    rest = writer.stdout.read().split()
    writer.stdout.close()
    writer.wait()
    return int(rest[-1]) if rest else acknowledged


def replayed(recovery):
    """The numbers of the commits that recovery replays, two rows each."""
    return [value for part in recovery.readings for value in part.values[::2, 0]]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs kill -9")
def test_kill_9_loses_nothing_and_doubles_nothing(tmp_path):
    path = tmp_path / "redshank.db"
    dice = random.Random(1)
    for _ in range(25):
        acknowledged = killed_writer(path, dice.randint(1, 60))
        store = SqliteStore(path)
        written = int(store.read(Cursor("writer")))
        assert acknowledged <= written <= acknowledged + 1
        for name in "abc":
            rows = store.read(LatestReadings(name, limit=10**6))
            assert [row.values["t"] for row in rows] == np.repeat(
                np.arange(written)[::-1], 2
            ).tolist()
        recovered = store.read(RecoverSensors(["a", "c"]))
        saved = int(recovered["a"].state)
        assert replayed(recovered["a"]) == list(range(saved + 1, written))
        assert replayed(recovered["c"]) == list(range(written))
        assert store.read(StoreTotals()).readings == 6 * written
        store.close()


def test_a_full_disk_is_said_and_survived(tmp_path):
    path = tmp_path / "redshank.db"
    store = SqliteStore(path)
    store.write(Commit(readings=[readings("a", {"t": [1.0]})]))
    pages = store._writer.execute("PRAGMA page_count").fetchone()[0]
    store._writer.execute(f"PRAGMA max_page_count = {pages + 4}")
    large = readings("b", {"t": [2.0] * 20_000})
    with pytest.raises(StoreError, match=r"redshank\.db: the disk is full: free some space"):
        store.write(Commit(readings=[large], cursors={"x": "1"}))
    assert (store.read(StoreTotals()).readings, store.read(Cursor("x"))) == (1, None)
    store._writer.execute("PRAGMA max_page_count = 1000000")
    store.write(Commit(readings=[large], cursors={"x": "1"}))
    assert (store.read(StoreTotals()).readings, store.read(Cursor("x"))) == (20_001, "1")
    store.close()


def test_a_full_disk_in_house_keeping_changes_nothing():
    store = SqliteStore()
    for at in range(100):
        store.write(Commit(readings=[readings("a", {"t": [at]}, START + at * MINUTE)]))
    pages = store._writer.execute("PRAGMA page_count").fetchone()[0]
    store._writer.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreError, match="the disk is full"):
        settle(store)
    store._writer.execute("PRAGMA max_page_count = 1000000")
    settle(store)
    assert len(store.read(SensorSeries("a", 0, 2**60)).time) == 100
    store.close()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write all")
def test_a_read_only_folder_is_said(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(StoreError, match=r"this user|may be written"):
        SqliteStore(tmp_path / "redshank.db")


def test_a_damaged_file_is_said(tmp_path):
    path = tmp_path / "redshank.db"
    store = SqliteStore(path)
    for at in range(50):
        store.write(Commit(readings=[readings("a", {"t": [at] * 100}, START + at * MINUTE)]))
    store.close()
    data = bytearray(path.read_bytes())
    data[4096 * 2 :] = random.Random(2).randbytes(len(data) - 4096 * 2)
    path.write_bytes(data)
    with pytest.raises(StoreError, match=r"redshank\.db: it is damaged: restore a backup"):
        damaged = SqliteStore(path)
        try:
            damaged.read(LatestReadings("a"))
        finally:
            damaged.close()
