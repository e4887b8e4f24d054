"""kill -9 in the middle of a fetch: the next one goes on, and nothing is lost or doubled."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from redshank.adapters.store.sqlite import SqliteStore
from redshank.core.clock import DAY, MINUTE, format_time, parse_time
from redshank.core.queries import SensorSeries, StoreTotals
from support.opensensemap import Server
from support.process import own_environment

pytestmark = pytest.mark.faults

BOX = "57000b8745fd40c8196ad04c"
TITLES = (("Temperatur", "°C"), ("rel. Luftfeuchte", "%"), ("PM10", "µg/m³"))
SENSORS = [f"57000b8745fd40c8196ad05{i}" for i in range(len(TITLES))]
START = parse_time("2026-05-01T00:00:00Z")
DAYS = 60
KILLS = 10


@pytest.fixture
def server():
    with Server() as running:
        pairs = zip(SENSORS, TITLES, strict=True)
        running.add_box(BOX, [(sensor, *pair) for sensor, pair in pairs])
        times = np.arange(START, START + DAYS * DAY, MINUTE)
        for number, sensor in enumerate(SENSORS):
            values = 20 + 10 * number + np.sin(np.arange(len(times)) / 200)
            running.fill(sensor, times.tolist(), values.round(2).tolist())
        yield running


class Fetch:
    """``redshank fetch`` of the whole time as a process, into a folder."""

    def __init__(self, server: Server, folder) -> None:
        end = format_time(START + DAYS * DAY)
        self._command = [
            *(sys.executable, "-m", "redshank.cli", "fetch", BOX, "--json"),
            *("--from", format_time(START), "--to", end, "--data", str(folder / "data")),
        ]
        self._folder = folder
        self._environment = {
            **own_environment(),
            "REDSHANK_OPENSENSEMAP_URL": server.url,
            "REDSHANK_OPENSENSEMAP_ARCHIVE_URL": "none",
            "REDSHANK_OPENSENSEMAP_SPACING_SECONDS": "0.01",
            "REDSHANK_LOG_LEVEL": "ERROR",
        }

    def start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self._command,
            env=self._environment,
            cwd=self._folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )


def test_kills_in_the_middle_of_a_fetch_change_nothing(server, tmp_path):
    chance = random.Random(3)
    fetch = Fetch(server, tmp_path)
    killed = 0
    for _ in range(KILLS):
        process = fetch.start()
        enough = len(server.requests) + chance.randrange(1, 9)
        deadline = time.monotonic() + 60
        while len(server.requests) < enough and process.poll() is None:
            assert time.monotonic() < deadline, "it does not fetch"
            threading.Event().wait(0.002)
        threading.Event().wait(chance.uniform(0, 0.1))
        killed += process.poll() is None
        process.kill()
        process.communicate()
    assert killed >= KILLS // 2
    process = fetch.start()
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err.decode()
    (report,) = json.loads(out)["boxes"]
    assert report["conflicts"] == 0
    assert_complete(server, tmp_path / "data" / "redshank.sqlite")


def test_a_running_redshank_fetches_and_is_killed_meanwhile(server, launch, tmp_path):
    chance = random.Random(7)
    fetch = Fetch(server, tmp_path)
    settings = {
        "opensensemap_url": server.url,
        "opensensemap_archive_url": "none",
        "opensensemap_spacing_seconds": 0.01,
        "log_level": "ERROR",
    }
    running, broken = launch(**settings), 0
    for _ in range(KILLS // 2):
        process = fetch.start()
        enough = len(server.requests) + chance.randrange(1, 9)
        deadline = time.monotonic() + 60
        while len(server.requests) < enough and process.poll() is None:
            assert time.monotonic() < deadline, "it does not fetch"
            threading.Event().wait(0.002)
        threading.Event().wait(chance.uniform(0, 0.1))
        running.kill()
        _, err = process.communicate(timeout=60)
        assert f"http://127.0.0.1:{running.port} is using" in err.decode()
        assert process.returncode == 0 or "cannot be reached" in err.decode()
        broken += process.returncode != 0
        assert exported(tmp_path) <= DAYS * DAY // MINUTE, "what a kill left behind can be read"
        running.start()
    assert broken
    out, err = fetch.start().communicate(timeout=120)
    (report,) = json.loads(out)["boxes"]
    assert (report["error"], report["conflicts"]) == (None, 0), err.decode()
    assert exported(tmp_path) == DAYS * DAY // MINUTE
    assert running.stop() == 0
    assert_complete(server, tmp_path / "data" / "redshank.sqlite")


def exported(folder) -> int:
    """Readings that ``redshank export`` writes, beside a running redshank or none; 0 of nobody."""
    command = [sys.executable, "-m", "redshank.cli", "export", BOX, "-o", "out.csv"]
    done = subprocess.run(
        [*command, "--data", str(folder / "data")],
        cwd=folder,
        env=own_environment(),
        check=False,
        capture_output=True,
    )
    if b"is not known here" in done.stderr:
        return 0
    assert done.returncode == 0, done.stderr.decode()
    return len((folder / "out.csv").read_bytes().splitlines()) - 1


def assert_complete(server: Server, path) -> None:
    """Every value of the server is in the store, once, and nothing besides."""
    store = SqliteStore(path)
    try:
        totals = store.read(StoreTotals())
        found = store.read(SensorSeries(BOX, START, START + DAYS * DAY, points=1 << 40))
    finally:
        store.close()
    expected = DAYS * DAY // MINUTE
    assert totals.readings == len(found.time) == expected
    assert len(np.unique(found.time)) == expected
    for name, sensor in zip(("temperature", "humidity", "pm10"), SENSORS, strict=True):
        sent = [float(row["value"]) for _, row in server.rows[sensor]]
        assert found.mean[:, found.channels.index(name)].tolist() == sent
