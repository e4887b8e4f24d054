"""A real ``redshank run`` in a process of its own."""

import re
import signal
import sys

import pytest

from support.process import Process

ROWS = [
    {"sensor_id": "a", "timestamp": f"2026-01-31T12:{minute:02}:00Z", "temperature": 20.0}
    for minute in range(60)
]


@pytest.fixture
def service(tmp_path):
    """An empty service that is ready."""
    with Process(tmp_path / "data") as process:
        yield process


def test_it_serves_until_it_is_told_to_stop_and_goes_on_where_it_was(service):
    with service.client() as client:
        assert client.post_lines(ROWS).json()["accepted"] == len(ROWS)
    assert service.stop() == 0
    said = service.log.read_text()
    assert re.search(rf"redshank \S+ is at http://127\.0\.0\.1:{service.port} ", said)
    assert len(said.splitlines()) == 1

    service.start()
    with service.client() as client:
        (sensor,) = client.get("/sensors")["sensors"]
    assert (sensor["sensor_id"], sensor["readings"]) == ("a", len(ROWS))
    if sys.platform != "win32":
        assert service.stop(signal.SIGINT) == 0
    assert "Traceback" not in service.log.read_text()


def test_a_second_one_says_what_to_do(service, redshank):
    again = redshank("run", "--no-open", "--port", service.port)
    assert again.status == 2
    assert "choose another with --port" in again.err
    other = redshank("run", "--no-open", "--port", 0, "--data", service.data)
    assert other.status == 1
    assert "another redshank is using" in other.err
