"""A real Telegraf writes here with its standard outputs, and nothing is lost on the way."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.process import Process

from .conftest import missing

pytestmark = pytest.mark.services

KEY = "correct-horse-battery"
START = 1_767_225_600
ROWS, SENSORS = 15_000, 30
FEW = 2_400
"""Rows where each is a request of its own."""
PATIENCE = 90.0

OUTPUTS = {
    "influxdb_v2": """
[[outputs.influxdb_v2]]
  urls = ["{url}"]
  token = "{key}"
  organization = "org"
  bucket = "iot"
  content_encoding = "gzip"
""",
    "influxdb": """
[[outputs.influxdb]]
  urls = ["{url}"]
  database = "iot"
  skip_database_creation = true
  username = "telegraf"
  password = "{key}"
""",
    "http, JSON": """
[[outputs.http]]
  url = "{url}/readings"
  data_format = "json"
  json_timestamp_units = "1ms"
  content_encoding = "gzip"
  [outputs.http.headers]
    X-API-Key = "{key}"
    Content-Type = "application/json"
""",
    "http, JSON line by line": """
[[outputs.http]]
  url = "{url}/readings"
  data_format = "json"
  use_batch_format = false
  [outputs.http.headers]
    Authorization = "Bearer {key}"
""",
    "http, line protocol": """
[[outputs.http]]
  url = "{url}/readings"
  data_format = "influx"
  content_encoding = "gzip"
  [outputs.http.headers]
    X-API-Key = "{key}"
""",
}
SETTINGS = """
[agent]
  interval = "1s"
  flush_interval = "200ms"
  flush_jitter = "0s"
  metric_batch_size = 1000
  metric_buffer_limit = 100000
  omit_hostname = {omit}
[[inputs.tail]]
  files = ["{lines}"]
  initial_read_offset = "beginning"
  max_undelivered_lines = 100000
  path_tag = ""
  data_format = "influx"
"""


@pytest.fixture(scope="session")
def telegraf() -> str:
    """Path of a Telegraf."""
    found = shutil.which(os.environ.get("REDSHANK_TEST_TELEGRAF", "telegraf"))
    if found is None:
        missing("Telegraf", "install telegraf, or set REDSHANK_TEST_TELEGRAF to its path")
    return str(found)


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    """A redshank with a key, which takes 1,000 readings a second from it."""
    settings = {"REDSHANK_API_KEY": KEY, "REDSHANK_RATE_LIMIT_READINGS": "1000"}
    with Process(tmp_path / "data", environment=settings) as process:
        yield process


@contextmanager
def sending(
    telegraf: str, folder: Path, process: Process, output: str, rows: int
) -> Iterator[Path]:
    """Telegraf at work on a file of lines; its log."""
    lines = folder / "readings.influx"
    lines.write_text("".join(map(line, range(rows))))
    url = f"http://127.0.0.1:{process.port}"
    omit = str("http" not in output).lower()
    text = SETTINGS.format(lines=lines, omit=omit) + OUTPUTS[output].format(url=url, key=KEY)
    (folder / "telegraf.conf").write_text(text)
    log = folder / "telegraf.log"
    with log.open("wb") as file:
        command = [telegraf, "--config", str(folder / "telegraf.conf")]
        agent = subprocess.Popen(command, stdout=file, stderr=file)
    try:
        yield log
    finally:
        agent.terminate()
        agent.wait(30)


def line(i: int) -> str:
    """One of the lines, some with types and escapes that need a closer look."""
    sensor, row = i % SENSORS, i // SENSORS
    more = ',note="a \\"b\\", c",on=true' if sensor == 3 else ""
    fields = f"temperature={20 + row % 7},humidity={60 + row % 5}.5,count={row}i{more}"
    return f"sensor,device=pump\\ {sensor}\\,west,site=north {fields} {START + row}000000000\n"


def stored(process: Process) -> int:
    with process.client() as client:
        answer = client.call("GET", "/sensors?text=pump&limit=1000", headers={"X-API-Key": KEY})
    return sum(sensor["readings"] for sensor in answer.json()["sensors"])


def wait_for(process: Process, rows: int, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while stored(process) < rows:
        if time.monotonic() > deadline:
            raise AssertionError(f"{stored(process)} of {rows}:\n{log.read_text()[-3000:]}")
        time.sleep(0.1)


@pytest.mark.parametrize("output", OUTPUTS)
def test_nothing_is_lost_by_limits_and_a_sudden_death(
    telegraf: str, tmp_path: Path, process: Process, output: str
) -> None:
    rows = FEW if "line by line" in output else ROWS
    with sending(telegraf, tmp_path, process, output, rows) as log:
        wait_for(process, rows // 8, log)
        process.kill()
        process.start()
        wait_for(process, rows, log)
    assert stored(process) == rows
    headers = {"X-API-Key": KEY}
    with process.client() as client:
        one = client.call("GET", "/sensors/pump%203%2Cwest", headers=headers).json()
        letters = client.call("GET", "/dead-letters", headers=headers).json()
    assert one["channels"].keys() == {"temperature", "humidity", "count"}
    assert one["readings"] == rows // SENSORS
    assert letters["total"] == 0
