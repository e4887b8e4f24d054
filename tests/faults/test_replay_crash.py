"""kill -9 while dead letters are read again: each becomes one reading or stays, never both."""

from __future__ import annotations

import threading

import numpy as np
import orjson
import pytest

from redshank.adapters.store.sqlite import SqliteStore
from redshank.core.clock import MINUTE, SECOND
from redshank.core.ports import Commit
from redshank.core.records import DeadLetter
from redshank.wiring import STORE_NAME
from support.client import BROKEN
from support.process import Process
from support.story import readings

pytestmark = pytest.mark.faults

LETTERS = 6000
SENSORS = ("a", "b", "c")
START = 1_767_225_600 * SECOND
JSON = {"Content-Type": "application/json"}


def test_kills_during_replays_lose_and_double_nothing(launch, tmp_path):
    bury(tmp_path / "data")
    process = launch("data")
    rng = np.random.default_rng(4)
    interrupted = rounds = 0
    while left := unread(process):
        rounds += 1  # on a slow machine the first ones bring nothing
        interrupted += replay_and_kill(process, rng.uniform(0.01, 0.1 * 1.3**rounds))
        process.start()
        assert unread(process) <= left
        assert unread(process) + len(stored(process)) == LETTERS
    assert interrupted > 0
    times = stored(process)
    assert len(set(times)) == LETTERS
    with process.client() as client:
        assert client.call("POST", "/dead-letters/replay", b"{}", JSON).json()["letters"] == 0
    assert process.stop() == 0


def bury(folder) -> None:
    """Letters that are rows by today's rules, a quarter of them without a time; half from MQTT."""
    letters = []
    for i in range(LETTERS):
        sensor, row = SENSORS[i % 3], {"temperature": 20 + i % 7 / 10}
        if i % 4:
            row["timestamp"] = (START + i * MINUTE) // 1000
        where = {"source": "mqtt", "topic": f"sensors/{sensor}", "key": str(i)}
        if i % 2:
            row["sensor_id"], where = sensor, {"source": "http"}
        time, raw = START + i * MINUTE, orjson.dumps(row)
        letters.append(DeadLetter(time, reason="x: 1 is odd", raw=raw, **where))
    store = SqliteStore(folder / STORE_NAME)
    store.write(Commit(dead_letters=letters))
    store.close()


def replay_and_kill(process: Process, after: float) -> bool:
    """Begin a replay twice at once and kill the process; whether one was cut off."""
    cut = []

    def replay() -> None:
        with process.client() as client:
            try:
                client.call("POST", "/dead-letters/replay", b"{}", JSON)
            except BROKEN:
                cut.append(True)

    callers = [threading.Thread(target=replay) for _ in range(2)]
    for caller in callers:
        caller.start()
    threading.Event().wait(after)
    process.kill()
    for caller in callers:
        caller.join()
    return bool(cut)


def unread(process: Process) -> int:
    with process.client() as client:
        return int(client.get("/dead-letters")["total"])


def stored(process: Process) -> list[tuple[str, str]]:
    with process.client() as client:
        known = [sensor["sensor_id"] for sensor in client.get("/sensors")["sensors"]]
        return [(s, row["timestamp"]) for s in known for row in readings(client, s)]
