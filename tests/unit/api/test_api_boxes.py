"""Devices that post as to openSenseMap: its answers, its rules, and channels instead of ids."""

import struct
from dataclasses import replace

import pytest

from redshank.core.batch import Reading, batches
from redshank.core.batch import rows as batch_rows
from redshank.core.clock import MINUTE, SECOND
from redshank.core.errors import FieldError
from redshank.core.ports import Parcel
from redshank.core.queries import Cursor, DeadLetters, Sensors
from redshank.core.records import ChannelInfo, DeadLetter, SensorInfo
from redshank.core.registry import own_cursor
from redshank.services import posts

from .conftest import NOW

BOX, T, P = "5f2b56f4263635001c1dd1f0", "5f2b56f4263635001c1dd1fd", "5f2b56f4263635001c1dd1fe"
JSON = {"Content-Type": "application/json"}


def rows(call):
    events = call.get("/events/latest").json()
    fixed = ("event_id", "sensor_id", "timestamp", "flags")
    return [{k: v for k, v in row.items() if k not in fixed and v is not None} for row in events]


def test_a_box_may_post_json(call):
    answer = call.post(f"/boxes/{BOX}/data", json=[{"sensor": T, "value": "21.5"}])
    assert (answer.status_code, answer.json()) == (201, "Measurements saved in box")
    assert answer.headers["x-redshank-unmapped"] == T
    assert rows(call) == [{T: 21.5}]
    assert call.get(f"/sensors/{BOX}").json()["source"] == "device"


def test_its_owner_says_what_its_sensors_measure(call):
    call.post(f"/boxes/{BOX}/data", json={T: 1})
    mapping = {T: {"title": "Temperatur", "unit": "°C"}, P: {"title": "Luftdruck", "unit": "Pa"}}
    edited = call("PATCH", f"/sensors/{BOX}", json={"device_channels": mapping})
    assert edited.status_code == 200, edited.text
    body = {T: ["21.5", "2026-01-31T12:00:00Z"], P: ["100520", "2026-01-31T12:00:00Z"]}
    answer = call.post(f"/boxes/{BOX}/data", json=body)
    assert answer.status_code == 201
    assert "x-redshank-unmapped" not in answer.headers
    assert {"temperature": 21.5, "pressure": 1005.2} in rows(call)
    known = call.get(f"/sensors/{BOX}").json()["channels"]
    assert known["pressure"]["unit"] == "hPa"
    assert known["pressure"]["title"] == "Luftdruck"


def test_an_id_that_is_a_channel_or_its_title_is_known(call):
    call.post("/readings", json={"sensor_id": BOX, "temperature": 1})
    answer = call.post(f"/boxes/{BOX}/temperature", json={"value": 22.5, "createdAt": 1769860800})
    assert (answer.status_code, answer.json()) == (201, "Measurement saved in box")
    assert "x-redshank-unmapped" not in answer.headers
    assert {"temperature": 22.5} in rows(call)


def test_csv_bytes_luftdaten_and_hackair(call):
    stamp = NOW // SECOND
    block = bytes.fromhex(T) + struct.pack("<fI", 3.0, stamp - 2)
    luftdaten = {"sensordatavalues": [{"value_type": "SDS_P1", "value": "5.38"}]}
    hackair = {"reading": {"PM2.5_AirPollutantValue": "7.93"}}
    csv = {"Content-Type": "text/csv"}
    sbx = {"Content-Type": "application/sbx-bytes"}
    sbx_ts = {"Content-Type": "application/sbx-bytes-ts"}
    path = f"/boxes/{BOX}/data"
    for answer in (
        call.post(path, content=f"{T},1.0,{stamp - 4}\n", headers=csv),
        call.post(path, content=block[:16], headers=sbx),
        call.post(path, content=block, headers=sbx_ts),
        call.post(path + "?luftdaten=1", json=luftdaten),
        call.post(path + "?hackair=1", json=hackair),
    ):
        assert (answer.status_code, answer.json()) == (201, "Measurements saved in box")
    together = {key: value for row in rows(call) for key, value in row.items()}
    assert together["pm10"] == 5.38
    assert together["pm25"] == 7.93
    assert {row.get(T) for row in rows(call)} == {None, 1.0, 3.0}


def test_a_location_moves_the_box(call):
    where = {"lng": 7.1, "lat": 51.2, "height": 66}
    call.post(f"/boxes/{BOX}/data", json=[{"sensor": T, "value": 1, "location": where}])
    box = call.get(f"/sensors/{BOX}").json()
    assert (box["longitude"], box["latitude"]) == (7.1, 51.2)


def test_what_the_owner_said_stays(call):
    call.post(f"/boxes/{BOX}/data", json={T: 1})
    call("PATCH", f"/sensors/{BOX}", json={"name": "Roof", "site": "North"})
    call.post(f"/boxes/{BOX}/data", json={P: 1})
    box = call.get(f"/sensors/{BOX}").json()
    assert (box["name"], box["site"]) == ("Roof", "North")


REFUSED = {
    "one bad value": (b'[{"sensor":"a","value":1},{"sensor":"b","value":"x"}]', JSON, 422),
    "nothing": (b"[]", JSON, 422),
    "no JSON": (b"{", JSON, 422),
    "half a block": (b"x" * 15, {"Content-Type": "application/sbx-bytes"}, 422),
    "another type": (b"<a/>", {"Content-Type": "application/xml"}, 415),
    "half a gzip": (b"\x1f\x8b", {**JSON, "Content-Encoding": "gzip"}, 400),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_request_is_taken_as_a_whole_or_not_at_all(name, call):
    body, headers, status = REFUSED[name]
    answer = call.post(f"/boxes/{BOX}/data", content=body, headers=headers)
    assert answer.status_code == status, answer.text
    assert set(answer.json()) == {"code", "message"}
    assert rows(call) == []


def test_the_key_comes_as_a_senseboxs_access_token(start):
    call = start(api_key="correct-horse-battery").call
    body = {"json": {T: 1}}
    assert call.post(f"/boxes/{BOX}/data", **body).status_code == 401
    good = {"Authorization": "correct-horse-battery"}
    assert call.post(f"/boxes/{BOX}/data", headers=good, **body).status_code == 201


def test_no_mapping_outlives_its_box(call):
    call.post(f"/boxes/{BOX}/data", json={T: 1})
    mapping = {T: {"title": "Temperatur", "unit": "°C"}}
    call("PATCH", f"/sensors/{BOX}", json={"device_channels": mapping})
    assert call("DELETE", f"/sensors/{BOX}").status_code == 204
    answer = call.post(f"/boxes/{BOX}/data", json={T: 1})
    assert answer.headers["x-redshank-unmapped"] == T


def test_odd_ids_are_told_as_in_urls(call):
    answer = call.post("/boxes/ö耐/data", json={"<ö>": 1})
    assert answer.status_code == 201
    assert answer.headers["x-redshank-unmapped"] == "%3C%C3%B6%3E"


def polled(context):
    """A box as openSenseMap tells of it, with one reading; its air pressure comes in Pa."""
    known = {
        "temperature": ChannelInfo("temperature", "°C", "Temperatur", "°F", device=T,
                                   scale=1 / 1.8, offset=-32 / 1.8),
        "pressure_2": ChannelInfo("pressure_2", "hPa", "Luftdruck", "hPa", device=P, scale=0.01),
    }  # fmt: skip
    info = SensorInfo(BOX, source="opensensemap", channels=known)
    values = {"temperature": 70.7 * (1 / 1.8) - 32 / 1.8, "pressure_2": 100520 * 0.01}
    parcel = Parcel(batches([Reading(BOX, NOW - MINUTE, values)]), [info], cursor="far")
    return context.bus.publish(parcel, own_cursor("opensensemap", BOX)).result(30)


def test_what_is_polled_and_what_the_box_posts_is_one_series(service):
    polled(service.context)
    body = {T: ["70.7", "2026-01-31T23:59:00Z"], P: ["100520", "2026-01-31T23:59:00Z"]}
    answer = service.call.post(f"/boxes/{BOX}/data", json=body)
    assert answer.status_code == 201
    assert "x-redshank-unmapped" not in answer.headers
    assert len(rows(service.call)) == 1
    metrics = service.call.get("/metrics").text
    assert "redshank_duplicates_total 1.0" in metrics
    assert "redshank_conflicts_total 0.0" in metrics
    info = service.context.store.read(Sensors(sensor_ids=[BOX]))[0].info
    assert (info.source, info.channels["pressure_2"].device) == ("opensensemap", P)


def test_a_deleted_box_can_be_fetched_anew(service):
    polled(service.context)
    name = own_cursor("opensensemap", BOX)
    assert service.context.store.read(Cursor(name)) == "far"
    assert service.call("DELETE", f"/sensors/{BOX}").status_code == 204
    assert service.context.store.read(Cursor(name)) is None


@pytest.mark.parametrize(
    ("path", "kind", "bad", "good"),
    [
        ("data", "application/json", b'{"temperature": "warm"}', b'{"temperature": 21.5}'),
        ("temperature", "application/json", b'{"value": "warm"}', b'{"value": 21.5}'),
        ("data", "text/csv", b"temperature,warm", b"temperature,21.5"),
        (
            "data?luftdaten=1",
            "application/json",
            b'{"sensordatavalues": [{"value_type": "BME280_temperature", "value": "warm"}]}',
            b'{"sensordatavalues": [{"value_type": "BME280_temperature", "value": "21.5"}]}',
        ),
    ],
)
def test_a_refused_post_is_a_letter_that_can_be_read_again(service, path, kind, bad, good):
    headers = {"Content-Type": kind}
    refused = service.call.post(f"/boxes/{BOX}/{path}", content=bad, headers=headers)
    assert refused.status_code == 422
    (letter,) = service.context.store.read(DeadLetters())
    assert (letter.source, letter.topic, letter.raw) == ("device", BOX, bad)
    assert "'warm' is not a number" in letter.reason
    again = posts.letters(service.context.store)
    with pytest.raises(FieldError, match="is not a number"):
        again(letter)
    found = again(replace(letter, raw=good))
    assert [dict(r.values) for batch in found.batches for r in batch_rows(batch)] == [
        {"temperature": 21.5}
    ]
    assert [r.time for batch in found.batches for r in batch_rows(batch)] == [letter.time]


def test_letters_of_posts_that_nobody_understands_stay(service):
    again = posts.letters(service.context.store)
    for topic, kind in (("", "text/csv"), (BOX, "image/png")):
        letter = DeadLetter(NOW, "device", "x", b"1", 1, topic, kind)
        assert again(letter) is None
