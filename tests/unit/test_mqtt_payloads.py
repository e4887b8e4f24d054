"""What messages become: numbers, JSON of any shape, SenML, Sparkplug; and what cannot be read."""

import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from redshank.adapters.sources.mqtt.memory import Arrivals
from redshank.adapters.sources.mqtt.payloads import Decoder, Paths
from redshank.adapters.sources.mqtt.topics import Router
from redshank.adapters.sources.mqtt.wire import Arrived
from redshank.core.batch import rows
from redshank.core.clock import SECOND, FakeClock, parse_time
from redshank.core.sparkplug import Births

NOW = FakeClock().now()
TIME = "2023-11-14T22:00:00Z"


def decoder(*templates, paths=None, clock=None):
    arrivals = Arrivals(clock or FakeClock(), 100)
    return Decoder(Router(templates or ["sensors/#"]), arrivals, Births(), paths)


def read(topic, payload, *templates, paths=None, retained=False):
    """(sensor, time, values, tags) of each reading, and the reasons of dead letters."""
    body = payload if isinstance(payload, bytes) else orjson.dumps(payload)
    message = Arrived(topic, body, 1, False, retained)
    contents = decoder(*templates, paths=paths).decode([message], NOW)
    found = [
        (r.sensor_id, r.time, dict(r.values), dict(r.tags))
        for batch in contents.batches
        for r in rows(batch)
    ]
    return found, [letter.reason for letter in contents.dead_letters]


@pytest.mark.parametrize("payload", [b"21.5", b" +21.5\n", b"2.15e1", b'"21.5"', b"21.5\0"])
def test_a_plain_number_has_its_names_from_the_topic(payload):
    found, bad = read("sensors/b1/temperature", payload)
    assert found == [("b1", NOW, {"temperature": 21.5}, {})]
    assert not bad


def test_an_object_follows_the_rules_of_post_readings():
    row = {"sensor_id": "b1", "timestamp": TIME, "values": {"Temperature": 20}, "room": "attic"}
    assert read("sensors/x", row)[0] == [
        ("b1", parse_time(TIME), {"temperature": 20.0}, {"room": "attic"})
    ]


def test_an_array_is_as_many_readings_each_with_a_time_of_its_own():
    found, _ = read("sensors/b1", [{"pm10": 1}, {"pm10": 2}])
    assert found == [("b1", NOW, {"pm10": 1.0}, {}), ("b1", NOW + 1, {"pm10": 2.0}, {})]


def test_the_sensor_of_the_template_beats_the_one_in_the_payload():
    row = {"sensor_id": "spoofed", "pm10": 1}
    assert read("sensors/b1", row, "sensors/{sensor_id}")[0][0][0] == "b1"
    assert read("sensors/b1", row, "sensors/#")[0][0][0] == "spoofed"


def test_value_is_the_channel_of_the_topic():
    row = {"value": 3.5, "timestamp": TIME}
    found, _ = read("sensors/b1/co2", row, "sensors/{sensor_id}/{channel}")
    assert found == [("b1", parse_time(TIME), {"co2": 3.5}, {})]


def test_paths_lead_into_nested_json():
    row = {"meta": {"ts": 1_700_000_000}, "data": [{"readings": {"pm10": 4}}]}
    found, _ = read("s/b1", row, "s/+", paths=Paths("data.0.readings", "meta.ts"))
    assert found == [("b1", 1_700_000_000 * SECOND, {"pm10": 4.0}, {})]


def test_objects_in_objects_are_joined_into_names():
    row = {
        "temperature": 21.5,
        "update": {"state": "idle", "installed_version": 7},
        "AM2301": {"Humidity": 40},
    }
    found, _ = read("zigbee2mqtt/door", row, "zigbee2mqtt/+")
    channels = {"temperature": 21.5, "update_installed_version": 7.0, "am2301_humidity": 40.0}
    assert found == [("door", NOW, channels, {"update_state": "idle"})]


def test_a_path_to_a_number_takes_its_name_from_the_path():
    found, _ = read("s/b1", {"main": {"humidity": 40}}, "s/+", paths=Paths("main.humidity"))
    assert found == [("b1", NOW, {"humidity": 40.0}, {})]


def test_senml_is_told_apart_by_its_names():
    pack = [{"bn": "urn:dev:ow:1:", "n": "temp", "u": "Cel", "v": 23.1}, {"n": "hum", "v": 4}]
    found, _ = read("sensors/x", pack)
    assert found == [("urn:dev:ow:1", NOW, {"temperature": 23.1, "hum": 4.0}, {})] or found == [
        ("urn:dev:ow:1", NOW, {"hum": 4.0, "temperature": 23.1}, {})
    ]


def test_the_site_of_the_topic_is_told_once():
    reader = decoder("{site}/{sensor_id}")
    message = Arrived("north/b1", b'{"pm10":1}', 1)
    first, second = (reader.decode([message], NOW) for _ in range(2))
    assert [info.site for info in first.sensors.values()] == ["north"]
    assert not second.sensors


@pytest.mark.parametrize(
    ("topic", "payload", "reason"),
    [
        ("sensors/b/t", b"hot", "payload: 'hot' is neither a number nor JSON"),
        ("sensors/b/t", b"true", "payload: True is not a number"),
        ("sensors/b", b'{"temperature":"x"}', "temperature: 'x' is not a number"),
        ("sensors/b", b'{"timestamp":"x","a":1}', "timestamp: 'x' is not a time"),
        ("sensors/b", b'{"a":{"b":[1]}}', "a_b: '[1]' is nested"),
        ("sensors/b", b'{"a":{"b":1},"a_b":2}', "a_b: 2 comes twice"),
        ("sensors/b", b'{"timestamp":{"date":1},"a":1}', "timestamp: '{\"date\":1}' is not a time"),
        ("sensors/b", b'{"a":' * 20 + b"1" + b"}" * 20, "a_a_a_a_a_a_a_a_a: "),
        ("sensors/b", b"[" * 100_000, "payload: '[[["),
    ],
)
def test_what_cannot_be_read_names_field_and_value(topic, payload, reason):
    found, bad = read(topic, payload)
    assert not found
    assert bad[0].startswith(reason)


def test_a_message_is_one_letter_whatever_is_wrong_with_it():
    body = orjson.dumps([{"temperature": "x"}, {"temperature": 1}, {"temperature": "y"}])
    contents = decoder().decode([Arrived("sensors/b", body, 1)], NOW)
    (letter,) = contents.dead_letters
    assert letter.reason == "temperature: 'x' is not a number (and 1 more)"
    assert letter.raw == body
    assert sum(map(len, contents.batches)) == 1


def test_a_letter_comes_with_the_time_of_its_message_also_when_it_comes_again():
    clock = FakeClock()
    reader = decoder(clock=clock)
    message = Arrived("sensors/b", b'[{"co2": 1}, {"temperature": "x"}]', 7)
    first = reader.decode([message], clock.now())
    clock.advance(60)
    again = reader.decode([message._replace(duplicate=True)], clock.now())
    assert first.dead_letters == again.dead_letters
    assert first.dead_letters[0].time == first.batches[0].time[0]
    other = reader.decode([message], clock.now())
    assert other.dead_letters[0].key != first.dead_letters[0].key


def test_retained_values_without_a_time_are_left_out():
    assert read("sensors/b/t", b"1", retained=True) == ([], [])
    assert len(read("sensors/b", {"t": 1, "timestamp": TIME}, retained=True)[0]) == 1
    assert read("sensors/b", [{"bn": "b:", "n": "t", "v": 1}], retained=True) == ([], [])


def test_an_empty_payload_and_a_topic_of_nobody_are_passed_over():
    assert read("sensors/b/t", b"") == ([], [])
    assert read("other/b/t", b"1") == ([], [])


def test_a_repeated_message_keeps_its_time_also_in_another_process():
    clock = FakeClock()
    first = Arrivals(clock, 100)
    message = Arrived("sensors/b/t", b"21", 7)
    time = first.time(message)
    clock.advance(3600)
    again = message._replace(duplicate=True)
    assert first.time(again) == time
    assert Arrivals(clock, 100, first.dump()).time(again) == time
    other = again._replace(payload=b"22")
    assert first.time(other) > time, "another message under a number that was free again"


@given(st.lists(st.integers(1, 5), max_size=60), st.integers(1, 20))
def test_the_last_messages_are_remembered_and_no_two_times_are_the_same(sizes, most):
    arrivals, times = Arrivals(FakeClock(), most), []
    for mid, rows_ in enumerate(sizes, 1):
        times.append(arrivals.time(Arrived("t", b"1", mid), rows_))
        if mid % 3 == 0:
            arrivals.dump()
    assert len(set(times)) == len(times)
    later = Arrivals(FakeClock(), most, arrivals.dump())
    for mid in range(max(1, len(sizes) - most + 1), len(sizes) + 1):
        assert later.time(Arrived("t", b"1", mid, True)) == times[mid - 1]


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["bn", "bt", "n", "v", "vs", "t", "u", "value", "values", "timestamp"])
            | st.text(max_size=5),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@given(
    JSON.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=60),
    st.sampled_from(["sensors/b", "sensors/b/t", "sensors//", "spBv1.0/g/NBIRTH/n", "spBv1.0/x"]),
    st.sampled_from(["auto", "number", "json", "senml", "sparkplug"]),
)
def test_any_payload_becomes_readings_or_dead_letters(body, topic, kind):
    reader = decoder(f"sensors/#={kind}", "sensors/{sensor_id}/{channel}", "spBv1.0/#")
    contents = reader.decode([Arrived(topic, body, 1)], NOW)
    for letter in contents.dead_letters:
        assert letter.topic == topic
        letter.reason.encode()
    assert sum(map(len, contents.batches)) <= 1000
