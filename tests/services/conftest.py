"""Real services, started once and shared; a missing one skips its tests unless all are required."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from support.process import Process
from support.services import missing

CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
REPLAY_SECONDS = 300.0


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a Chromium."""
    named = os.environ.get("REDSHANK_TEST_CHROMIUM")
    found = named or next((path for name in CHROMIUMS if (path := shutil.which(name))), None)
    if not found or not shutil.which(found):
        missing("Chromium", "apt-get install chromium, or set REDSHANK_TEST_CHROMIUM to its path")
    return str(found)


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """``redshank run --demo`` whose week has been replayed."""
    with Process(tmp_path_factory.mktemp("demo") / "data", ["--demo"]) as process:
        wait_for_the_present(process)
        yield process


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A service that has no readings yet."""
    with Process(tmp_path_factory.mktemp("empty") / "data") as process:
        yield process


def wait_for_the_present(process: Process) -> None:
    """The demo's week ends now: wait until its newest reading is of the last minutes."""
    deadline = time.monotonic() + REPLAY_SECONDS
    with process.client() as client:
        while time.monotonic() < deadline:
            newest = client.get("/sensors")["newest"]
            if newest and datetime.fromisoformat(newest) > datetime.now(UTC) - timedelta(minutes=5):
                return
            time.sleep(0.2)
    raise RuntimeError(f"the demo did not arrive:\n{process.log.read_text()[-2000:]}")
