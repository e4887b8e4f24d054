"""A real Mosquitto: passwords, certificates, formats, discovery, sessions, Sparkplug."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import orjson
import pytest

from support.mosquitto import INSTALL, PASSWORD, USER, Mosquitto, Publisher, binary
from support.process import Process, own_environment
from support.services import missing
from support.sparkplug import DOUBLE, INT64, metric, parse, payload
from support.story import readings
from support.wait import until

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def broker(tmp_path_factory) -> Iterator[Mosquitto]:
    if binary() is None:
        missing("mosquitto", INSTALL)
    with Mosquitto(tmp_path_factory.mktemp("mosquitto"), certificates=True) as running:
        yield running


@pytest.fixture(scope="module")
def url(request) -> str:
    """A broker that anybody may use: the user's own, or the one started here."""
    own = os.environ.get("REDSHANK_TEST_MQTT_URL")
    return own or request.getfixturevalue("broker").url


@contextmanager
def following(folder, url, topics, **settings) -> Iterator[Process]:
    """``redshank run`` that is subscribed to these topics."""
    named = {f"REDSHANK_MQTT_{key.upper()}": str(value) for key, value in settings.items()}
    environment = {"REDSHANK_MQTT_URL": url, "REDSHANK_MQTT_TOPICS": topics, **named}
    with Process(folder / "data", environment=environment) as process:
        until(lambda: "connected" in process.log.read_text())
        yield process


def own_topic() -> str:
    """A first level of nobody else."""
    return f"redshank-test-{uuid.uuid4().hex[:8]}"


def publish(url: str, messages, **how) -> None:
    parts = urlsplit(url)
    with Publisher(parts.port or 1883, parts.hostname or "127.0.0.1") as publisher:
        publisher.send(messages, **how)
        publisher.wait()


def newest(process: Process, sensor_id: str) -> dict:
    with process.client() as client:
        rows = readings(client, sensor_id)
    return {key: value for row in reversed(rows) for key, value in row.items() if value is not None}


def count(process: Process) -> int:
    with process.client() as client:
        return sum(sensor["readings"] for sensor in client.get("/sensors")["sensors"])


def test_every_format_in_one_place(tmp_path, url):
    top = own_topic()
    stamp = "2026-01-01T00:00:00Z"
    pack = [{"bn": "urn:dev:ow:7:", "bt": 1_767_225_600, "n": "temp", "u": "Cel", "v": 19.5}]
    messages = [
        (f"{top}/json", b"not a reading"),
        (f"{top}/north/roof/temperature", b"21.5"),
        (f"{top}/north/roof/humidity", orjson.dumps({"value": 40, "timestamp": stamp})),
        (f"{top}/json", orjson.dumps({"sensor_id": "cellar", "timestamp": stamp, "pm10": 7})),
        (f"{top}/json", orjson.dumps([{"sensor_id": "attic", "co2": 400 + i} for i in range(3)])),
        (f"{top}/json", orjson.dumps(pack)),
    ]
    topics = f"{top}/{{site}}/{{sensor_id}}/{{channel}}, {top}/json"
    with following(tmp_path, url, topics) as process:
        publish(url, messages)
        until(lambda: count(process) == 7)
        assert newest(process, "roof")["temperature"] == 21.5
        assert newest(process, "roof")["humidity"] == 40
        assert newest(process, "cellar")["pm10"] == 7
        assert newest(process, "urn:dev:ow:7")["temperature"] == 19.5
        with process.client() as client:
            assert len(readings(client, "attic")) == 3
            assert client.get("/sensors/roof")["site"] == "north"
            metrics = client.call("GET", "/metrics").body.decode()
        assert 'redshank_dead_letters_total{source="mqtt"} 1.0' in metrics
        assert process.stop() == 0


def test_the_session_keeps_what_is_published_while_redshank_is_away(tmp_path, url):
    top = own_topic()
    with following(tmp_path, url, f"{top}/+") as process:
        assert process.stop() == 0
        publish(url, [(f"{top}/s{i % 5}", b'{"co2":%d}' % i) for i in range(1000)])
        process.start()
        until(lambda: count(process) == 1000)
        assert process.stop() == 0


def test_overlapping_templates_and_those_of_earlier_settings_double_nothing(tmp_path, url):
    top = own_topic()
    with following(tmp_path, url, f"{top}/#") as process:
        assert process.stop() == 0
        process.log.unlink()
    topics = f"{top}/{{sensor_id}}/temperature, {top}/{{sensor_id}}/+"
    with following(tmp_path, url, topics) as process:
        publish(url, [(f"{top}/a/temperature", b"%d" % i) for i in range(10)])
        publish(url, [(f"{top}/last/temperature", b"1")])
        with process.client() as client:
            until(lambda: client.get("/sensors", {"text": "last"})["total"])
            assert [row["temperature"] for row in readings(client, "a")] == list(range(9, -1, -1))
        assert process.stop() == 0


def test_a_retained_value_without_a_time_is_left_out(tmp_path, url):
    top = own_topic()
    publish(url, [(f"{top}/s/t", b"1")], retain=True)
    try:
        with following(tmp_path, url, f"{top}/{{sensor_id}}/{{channel}}") as process:
            publish(url, [(f"{top}/s/u", b"2")])
            until(lambda: count(process) == 1)
            assert "t" not in newest(process, "s")
    finally:
        publish(url, [(f"{top}/s/t", b"")], retain=True)


def test_sparkplug_births_data_deaths_and_the_plea_for_births(tmp_path, url):
    group = own_topic()
    now = int(time.time() * 1000)
    birth = payload(metric("bdSeq", 1, INT64), metric("Temp", 20.0, DOUBLE, alias=1), time=now)
    parts = urlsplit(url)
    with following(tmp_path, url, f"spBv1.0/{group}/#") as process:
        with Publisher(parts.port or 1883, parts.hostname or "127.0.0.1") as node:
            node.listen(f"spBv1.0/{group}/NCMD/edge")
            data = payload(metric(value=21.0, alias=1, time=now + 1000))
            node.send([(f"spBv1.0/{group}/NDATA/edge", data)])
            until(lambda: node.heard)
            assert parse(node.heard[0]).metrics[0].name == "Node Control/Rebirth"
            node.send([(f"spBv1.0/{group}/NBIRTH/edge", birth)])
            node.send([(f"spBv1.0/{group}/NDATA/edge", data)])
            until(lambda: count(process) == 2)
            assert newest(process, f"{group}/edge")["temp"] == 21.0
            node.send([(f"spBv1.0/{group}/NDEATH/edge", payload(metric("bdSeq", 1, INT64)))], qos=1)
        name = f"{group}%2Fedge"
        with process.client() as client:
            until(lambda: client.get(f"/sensors/{name}")["tags"]["sparkplug"].startswith("offline"))
            assert client.get(f"/sensors/{name}")["site"] == group
            (letter,) = client.get("/dead-letters")["dead_letters"]
            assert letter["topic"] == f"spBv1.0/{group}/NDATA/edge"
            assert "no birth" in letter["reason"]


def test_a_gap_in_the_messages_of_a_node_asks_for_its_births(tmp_path, url):
    group = own_topic()
    now = int(time.time() * 1000)
    birth = payload(metric("Temp", 20.0, DOUBLE, alias=1), time=now, seq=0)
    data = [payload(metric(value=21.0, alias=1, time=now + i), seq=i) for i in (1, 2, 5)]
    parts = urlsplit(url)
    with (
        following(tmp_path, url, f"spBv1.0/{group}/#") as process,
        Publisher(parts.port or 1883, parts.hostname or "127.0.0.1") as node,
    ):
        node.listen(f"spBv1.0/{group}/NCMD/edge")
        node.send([(f"spBv1.0/{group}/NBIRTH/edge", birth)])
        node.send([(f"spBv1.0/{group}/NDATA/edge", body) for body in data[:2]])
        until(lambda: count(process) == 3)
        assert node.heard == []
        node.send([(f"spBv1.0/{group}/NDATA/edge", data[2])])
        until(lambda: node.heard)
        assert parse(node.heard[0]).metrics[0].name == "Node Control/Rebirth"


def test_letters_are_read_again_by_a_corrected_mapping(tmp_path, url):
    top, json = own_topic(), {"Content-Type": "application/json"}
    with following(tmp_path, url, f"{top}/{{sensor_id}}") as process:
        publish(url, [(f"{top}/pump7", b"%d" % i) for i in range(20)])
        until(lambda: letters(process) == 20)
        with process.client() as client:
            done = client.call("POST", "/dead-letters/replay", b"{}", json).json()
        assert (done["replayed"], done["rejected"]) == (0, 20)
        assert process.stop() == 0
    with following(tmp_path, url, "{sensor_id}/{channel}") as process:
        with process.client() as client:
            which = orjson.dumps({"topic": f"{top}/PUMP"})
            done = client.call("POST", "/dead-letters/replay", which, json).json()
        assert (done["replayed"], done["accepted"]) == (20, 20)
        with process.client() as client:
            values = [row["pump7"] for row in readings(client, top)]
        assert values == list(range(19, -1, -1)), "in the order of their arrival"
        assert letters(process) == 0
        assert process.stop() == 0


def letters(process: Process) -> int:
    with process.client() as client:
        return int(client.get("/dead-letters")["total"])


def test_tls_with_a_password(tmp_path, broker):
    address = f"mqtts://{USER}@localhost:{broker.tls_port}"
    secure = {"password": PASSWORD, "ca_file": broker.ca}
    with following(tmp_path, address, "secure/+", **secure) as process:
        assert process.stop() == 0


def test_tls_with_a_client_certificate(tmp_path, broker):
    address = f"mqtts://127.0.0.1:{broker.mutual_port}"
    files = {"ca_file": broker.ca, "cert_file": broker.certificate, "key_file": broker.key}
    with following(tmp_path, address, "secure/+", **files) as process:
        assert process.stop() == 0


def discover(*arguments, **environment) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "redshank.cli", "mqtt", "discover", *arguments]
    return subprocess.run(
        command, env={**own_environment(), **environment}, capture_output=True, text=True
    )


@pytest.mark.parametrize(
    ("scheme", "user", "password", "ca", "says"),
    [
        ("mqtts", USER, "wrong-password", True, "not authorised"),
        ("mqtts", USER, PASSWORD, False, "certificate"),
        ("mqtt", USER, PASSWORD, False, "cannot be listened to"),
    ],
)
def test_what_cannot_connect_says_why(broker, scheme, user, password, ca, says):
    arguments = [f"{scheme}://{user}@localhost:{broker.tls_port}"]
    arguments += ["--ca-file", str(broker.ca)] if ca else []
    failed = discover(*arguments, REDSHANK_MQTT_PASSWORD=password)
    assert failed.returncode != 0
    assert says in failed.stderr
    assert password not in failed.stderr


def test_discover_proposes_templates(url):
    top = own_topic()
    messages = [
        (f"{top}/{place}/{channel}", b"%d" % i)
        for i, place in enumerate(("kitchen", "hall"))
        for channel in ("temperature", "humidity")
    ]
    messages.append((f"{top}-json/roof", b'{"temperature": 20, "humidity": 50}'))
    publish(url, messages, retain=True)
    try:
        found = discover(url, "--seconds", "3", "--json")
        assert found.returncode == 0, found.stderr
        proposals = {p["template"]: p for p in orjson.loads(found.stdout)["proposals"]}
        assert proposals[f"{top}/{{sensor_id}}/{{channel}}"]["topics"] == 4
        assert proposals[f"{top}-json/{{sensor_id}}"]["kind"] == "json"
        assert "REDSHANK_MQTT_TOPICS=" in discover(url, "--seconds", "1").stdout
    finally:
        publish(url, [(topic, b"") for topic, _ in messages], retain=True)
