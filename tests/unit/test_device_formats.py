"""What devices post to openSenseMap: every format, its rules, and that nothing breaks them."""

import json
import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redshank.core.channels import ChannelMapping
from redshank.core.clock import MINUTE, SECOND, parse_time
from redshank.core.device_formats import (
    Location,
    as_rows,
    read_bytes,
    read_csv,
    read_hackair,
    read_json,
    read_luftdaten,
    read_value,
)
from redshank.core.errors import FieldError, InputError

NOW = parse_time("2026-11-20T16:10:00Z")
THEN, TEXT = parse_time("2026-11-20T16:00:00Z"), "2026-11-20T16:00:00Z"
ID, OTHER = "5f2b56f4263635001c1dd1fd", "5f2b56f4263635001c1dd1fe"
PLACE = Location(7.1, 51.2, 66.0)


def plain(found):
    return [(each.sensor, each.value, each.time, each.location) for each in found]


ARRAY = [
    {"sensor": ID, "value": "1.5"},
    {"sensor_id": OTHER, "value": 2, "createdAt": TEXT, "location": [7.1, 51.2, 66]},
]
OBJECT = {ID: 1.5, OTHER: ["2", TEXT, {"lng": 7.1, "lat": 51.2, "height": 66}]}
LINES = f"{ID},1.5\r\n{OTHER},2,{TEXT},7.1,51.2,66\r\n"


@pytest.mark.parametrize(
    "found",
    [
        read_json(json.dumps(ARRAY).encode(), NOW),
        read_json(json.dumps(OBJECT).encode(), NOW),
        read_csv(LINES.encode(), NOW),
    ],
)
def test_the_same_in_three_formats(found):
    assert plain(found) == [(ID, 1.5, NOW, None), (OTHER, 2.0, THEN, PLACE)]


def test_one_value():
    body = json.dumps({"value": "22.5", "createdAt": TEXT, "location": {"lng": 7, "lat": 51}})
    assert plain([read_value(body.encode(), ID, NOW)]) == [(ID, 22.5, THEN, Location(7, 51))]


def test_bytes():
    block = bytes.fromhex(ID) + struct.pack("<f", 21.3)
    assert plain(read_bytes(block * 2, NOW, timed=False)) == [(ID, 21.3, NOW, None)] * 2
    stamp = struct.pack("<I", THEN // SECOND)
    assert plain(read_bytes(block + stamp, NOW, timed=True)) == [(ID, 21.3, THEN, None)]


def test_luftdaten_names_what_it_measures():
    values = {"SDS_P1": "5.38", "SDS_P2": 3.1, "BME280_pressure": "100520.25", "signal": "-59",
              "temperature": "21.5", "min_micro": "31"}  # fmt: skip
    entries = [{"value_type": key, "value": value} for key, value in values.items()]
    body = json.dumps({"software_version": "NRZ-2020-133", "sensordatavalues": entries})
    found = read_luftdaten(body.encode(), NOW)
    [(time, row)] = as_rows(found, {each.sensor: each.channel for each in found})
    assert time == NOW
    assert row == {
        "pm10": 5.38,
        "pm25": 3.1,
        "pressure": pytest.approx(1005.2025),
        "rssi": -59.0,
        "temperature": 21.5,
    }


def test_hackair_names_what_it_measures():
    reading = {"PM2.5_AirPollutantValue": "7.93", "PM10_AirPollutantValue": "32.63"}
    found = read_hackair(json.dumps({"reading": reading, "battery": "5.99"}).encode(), NOW)
    assert [(each.channel.name, each.value) for each in found] == [("pm25", 7.93), ("pm10", 32.63)]


def test_values_of_one_time_are_one_reading():
    found = read_csv(f"a,1\nb,2\na,3,{TEXT}\na,5\n".encode(), NOW)
    channels = {"a": ChannelMapping("pressure", "hPa", 0.01), "b": ChannelMapping("b", "")}
    assert list(as_rows(found, channels)) == [
        (THEN, {"pressure": 0.03}),
        (NOW, {"pressure": 0.01, "b": 2.0}),
        (NOW, {"pressure": 0.05}),
    ]


REFUSED = {
    "no value": (read_json, b"[]", "1 to 2500"),
    "too many": (read_json, json.dumps([ARRAY[0]] * 2501).encode(), "1 to 2500"),
    "text": (read_json, b'{"a": "warm"}', "'warm' is not a number"),
    "true": (read_json, b'{"a": true}', "is not a number"),
    "no number": (read_json, b'[{"sensor": "a"}]', "is not a number"),
    "no sensor": (read_json, b'[{"value": 1}]', "is not text"),
    "infinite": (read_csv, b"a,1e999", "is not a finite number"),
    "no CSV fields": (read_csv, b"a", "has not 2 to 6 fields"),
    "no time": (read_csv, b"a,1,yesterday", "is not a time"),
    "ahead": (read_json, json.dumps({"a": [1, (NOW + 2 * MINUTE) // SECOND]}).encode(), "ahead"),
    "no place": (read_csv, b"a,1,,7", "is no \\[longitude"),
    "elsewhere": (read_csv, b"a,1,,7,95", "not on this planet"),
    "half a block": (lambda body, now: read_bytes(body, now, timed=False), b"x" * 15, "multiple"),
    "unknown types": (read_luftdaten, b'{"sensordatavalues":[{"value_type":"x"}]}', "1 to 2500"),
    "no list": (read_luftdaten, b"{}", "sensordatavalues"),
    "no reading": (read_hackair, b"[]", "reading"),
    "no JSON": (read_json, b"{", "not JSON"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_one_bad_value_refuses_the_request(name):
    read, body, reason = REFUSED[name]
    with pytest.raises(InputError, match=reason):
        read(body, NOW)


JSONISH = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "sensor",
                    "value",
                    "createdAt",
                    "location",
                    "lng",
                    "lat",
                    "reading",
                    "sensordatavalues",
                    "value_type",
                    "a",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.one_of(st.binary(max_size=80), JSONISH.map(lambda value: json.dumps(value).encode())))
def test_no_body_breaks_it(body):
    readers = [read_json, read_csv, read_luftdaten, read_hackair]
    readers += [lambda body, now, timed=timed: read_bytes(body, now, timed) for timed in (0, 1)]
    readers.append(lambda body, now: [read_value(body, "a", now)])
    for read in readers:
        with suppress(InputError):
            assert read(body, NOW)


def test_the_offending_value_is_named():
    with pytest.raises(FieldError) as caught:
        read_json(json.dumps({ID: "warm"}).encode(), NOW)
    assert (caught.value.field, caught.value.value) == (ID, "warm")
