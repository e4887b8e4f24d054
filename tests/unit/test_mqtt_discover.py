"""What is proposed for the topics of a broker."""

import asyncio

import pytest

from redshank.adapters.sources.mqtt import Broker, listen
from redshank.adapters.sources.mqtt.discover import guess, propose
from redshank.core.errors import SourceError
from support import mqtt_broker


def templates(samples):
    encoded = {topic: str(payload).encode() for topic, payload in samples.items()}
    return [one.template for one in propose(encoded, dict.fromkeys(encoded, 1))]


def test_numbers_under_sensor_and_channel():
    samples = {f"sensors/{s}/{c}": 1 for s in "ab" for c in ("temperature", "humidity")}
    assert templates(samples) == ["sensors/{sensor_id}/{channel}"]


def test_numbers_of_a_single_sensor():
    samples = {"home/attic/temperature": 1, "home/attic/humidity": 2}
    assert templates(samples) == ["home/{sensor_id}/{channel}"]


def test_a_level_above_the_sensor_is_its_site():
    samples = {f"{site}/{s}/temp": 1 for site in ("x/n", "x/s") for s in "ab"}
    assert templates(samples) == ["x/{site}/{sensor_id}/{channel}"]


def test_objects_belong_to_the_last_level_that_differs():
    samples = {f"zigbee2mqtt/{name}": '{"temperature": 1}' for name in ("door", "hall")}
    assert templates(samples) == ["zigbee2mqtt/{sensor_id}"]
    lone = {"tele/plug/SENSOR": '{"power": 1}', "tele/lamp/SENSOR": '{"power": 1}'}
    assert templates(lone) == ["tele/{sensor_id}/SENSOR"]


@pytest.mark.parametrize(
    ("topics", "payload", "template"),
    [
        (["plant/pump7/data"], '{"flow": 1}', "plant/{sensor_id}/data"),
        (["pump7/data"], '{"flow": 1}', "{sensor_id}/data"),
        (["tele/plug/SENSOR", "tele/plug/STATE"], '{"power": 1}', "tele/{sensor_id}/+"),
        (["v3/app/devices/d1/up"], '{"temp": 1}', "v3/app/devices/{sensor_id}/up"),
        (["shellies/ht1/sensor/temperature"], "21", "shellies/{sensor_id}/sensor/{channel}"),
        (["sensors/data"], '{"sensor_id": "a", "flow": 1}', "sensors/data"),
    ],
)
def test_levels_that_say_what_a_message_is_are_no_sensors(topics, payload, template):
    assert templates(dict.fromkeys(topics, payload)) == [template]


@pytest.mark.parametrize(
    ("payload", "paths"),
    [
        ('{"temp": 1}', ("", "")),
        ('{"temp": 1, "timestamp": 1700000000}', ("", "")),
        ('{"temp": 1, "ts": 1700000000}', ("", "ts")),
        ('{"temp": 1, "ts": 5}', ("", "")),
        ('{"meta": {"ts": 1700000000}, "data": {"r": {"a": 1}}}', ("data.r", "meta.ts")),
        ('{"Time": "2026-01-31T12:00:00", "AM2301": {"Temperature": 5}}', ("AM2301", "Time")),
        ('{"values": {"a": 1}}', ("", "")),
        ('{"a": 1, "b": {"c": 2}}', ("", "")),
        ('{"data": {"a": 1, "timestamp": 1700000000}}', ("data", "")),
        ('[{"a": {"b": 1}}]', ("", "")),
    ],
)
def test_paths_are_proposed(payload, paths):
    (found,) = propose({"a/b": payload.encode()}, {"a/b": 1})
    assert (found.value_path, found.time_path) == paths


def test_what_cannot_be_read_comes_last_and_without_a_template():
    found = propose({"a/b": b"ON", "c/d/e": b"1"}, {"a/b": 9, "c/d/e": 1})
    assert [(one.template, one.kind) for one in found] == [
        ("c/{sensor_id}/{channel}", "number"),
        ("", "no number, no JSON"),
    ]


@pytest.mark.parametrize(
    ("topic", "payload", "kind"),
    [
        ("spBv1.0/g/NDATA/n", b"\x08", "sparkplug"),
        ("a", b'[{"bn":"x:","n":"t","v":1}]', "senml"),
        ("a", b'{"a":{"b":1}}', "json"),
        ("a", b'{"a":"b"}', None),
        ("a", b"21", "number"),
        ("a", b"true", None),
    ],
)
def test_kinds_are_guessed(topic, payload, kind):
    assert guess(topic, payload) == kind


def test_listening_hears_everything_and_stores_nothing():
    messages = [("sensors/a/temperature", b"1"), ("sensors/a/humidity", b"2")]
    with mqtt_broker.Broker(messages, hang_up_when_done=False) as server:
        found = asyncio.run(listen(Broker("127.0.0.1", server.port), 0.3))
    assert (found.messages, found.topics) == (2, 2)
    assert found.proposals[0].template == "sensors/{sensor_id}/{channel}"
    assert server.subscribed[0][3:] == b"\x00\x01#\x10"


def test_nobody_there_is_an_error():
    with mqtt_broker.Broker() as server:
        pass
    with pytest.raises(SourceError, match="cannot be listened to"):
        asyncio.run(listen(Broker("127.0.0.1", server.port), 0.1))
