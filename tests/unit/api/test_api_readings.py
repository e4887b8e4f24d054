"""POST /readings: what is taken, what is refused and why, and what hostile bodies get."""

import gzip
import json
import zlib

import pytest

from redshank.core.errors import OverloadedError, StoreError
from redshank.core.ports import Parcel
from redshank.services.api.problems import Problem
from redshank.services.api.unpacking import unpack

GOOD = {"sensor_id": "a", "timestamp": "2026-01-31T12:00:00Z", "temperature": 21.5, "room": "north"}
LINES = {"Content-Type": "application/x-ndjson"}
JSON = {"Content-Type": "application/json"}


def lines(*rows):
    return b"\n".join(row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows)


def test_a_reading_is_durable_and_readable_when_the_answer_comes(call):
    answer = call.post("/readings", json={**GOOD, "event_id": "a-7"})
    assert answer.status_code == 200
    assert answer.json() == {
        "accepted": 1,
        "duplicates": 0,
        "conflicts": 0,
        "rejected": 0,
        "anomalies": 0,
        "errors": [],
    }
    (row,) = call.get("/events/latest").json()
    assert row == {
        "event_id": "a-7",
        "sensor_id": "a",
        "timestamp": "2026-01-31T12:00:00.000Z",
        "temperature": 21.5,
    }


def test_the_same_request_again_changes_nothing(call):
    call.post("/readings", json=[GOOD])
    again = call.post("/readings", json=[GOOD])
    assert again.status_code == 200
    assert (again.json()["accepted"], again.json()["duplicates"]) == (0, 1)
    assert len(call.get("/events/latest").json()) == 1


def test_another_value_for_a_known_time_is_a_conflict_and_the_first_stays(call):
    call.post("/readings", json=GOOD)
    assert call.post("/readings", json={**GOOD, "temperature": 5}).json()["conflicts"] == 1
    assert call.get("/events/latest").json()[0]["temperature"] == 21.5


def test_without_a_timestamp_the_time_of_arrival_counts(call):
    call.post("/readings", json={"sensor_id": "a", "temperature": 1})
    assert call.get("/events/latest").json()[0]["timestamp"] == "2026-02-01T00:00:00.000Z"


def test_good_rows_are_kept_and_bad_ones_go_to_the_dead_letters(call):
    answer = call.post("/readings", json=[GOOD, {**GOOD, "timestamp": "yesterday"}])
    assert answer.status_code == 200
    taken = answer.json()
    assert (taken["accepted"], taken["rejected"]) == (1, 1)
    (error,) = taken["errors"]
    assert (error["index"], error["field"], error["value"]) == (1, "timestamp", "yesterday")
    assert "is not a time" in error["reason"]
    (letter,) = call.get("/dead-letters").json()["dead_letters"]
    assert letter["source"] == "http"
    assert "timestamp: 'yesterday' is not a time" in letter["reason"]
    assert json.loads(letter["raw"])["timestamp"] == "yesterday"


def test_lines_are_named_by_their_number(call):
    body = lines(GOOD, b"{oops", {"sensor_id": "a", "humidity": 3})
    answer = call.post("/readings", content=body, headers=LINES).json()
    assert (answer["accepted"], answer["rejected"]) == (2, 1)
    assert (answer["errors"][0]["index"], answer["errors"][0]["line"]) == (1, 2)


def test_many_bad_rows_are_all_counted_and_a_hundred_listed(call):
    answer = call.post("/readings", json=[GOOD] + [{"sensor_id": "a"}] * 150).json()
    assert answer["rejected"] == 150
    assert len(answer["errors"]) == 100
    assert call.get("/dead-letters").json()["total"] == 150


def test_gzip_is_unpacked_also_in_several_members(call):
    rows = [{**GOOD, "timestamp": 1_769_000_000 + i} for i in range(2000)]
    packed = gzip.compress(lines(*rows[:1000], b"")) + gzip.compress(lines(*rows[1000:]))
    headers = {**LINES, "Content-Encoding": "gzip"}
    answer = call.post("/readings", content=packed, headers=headers)
    assert answer.json()["accepted"] == 2000


def test_nothing_sent_is_nothing_taken(call):
    assert call.post("/readings", json=[]).json()["accepted"] == 0


def deep(levels):
    return b'{"sensor_id":"a","x":' + b"[" * levels + b"]" * levels + b"}"


BROKEN = {
    "broken JSON": (b'{"sensor_id": "a", ', JSON, 400, "not JSON"),
    "empty": (b"", JSON, 400, "empty"),
    "no line is JSON": (b"a,b\n1,2\n", LINES, 400, "JSON"),
    "a number": (b"42", JSON, 400, "neither a JSON object nor an array"),
    "a text in an array": (b'["x"]', JSON, 422, "is not an object"),
    "nested 100,000 deep": (deep(100_000), JSON, 400, "JSON"),
    "wrong encoding": ('{"sensor_id":"Gärtnerei","t":1}'.encode("latin-1"), JSON, 400, "JSON"),
    "UTF-16": (json.dumps(GOOD).encode("utf-16"), JSON, 400, "JSON"),
    "no sensor": (b'{"temperature": 1}', JSON, 422, "sensor_id"),
    "a list for a sensor": (b'{"sensor_id": [1], "t": 1}', JSON, 422, "sensor_id"),
    "an empty sensor": (b'{"sensor_id": "", "t": 1}', JSON, 422, "sensor_id"),
    "control characters": (b'{"sensor_id": "a\\u0000b", "t": 1}', JSON, 422, "sensor_id"),
    "no channel": (b'{"sensor_id": "a"}', JSON, 422, "channel"),
    "nested channel": (b'{"sensor_id": "a", "t": {"v": 1}}', JSON, 422, "t: "),
    "year 0": (b'{"sensor_id": "a", "timestamp": "0000-01-01", "t": 1}', JSON, 422, "0000-01-01"),
    "year 1970": (b'{"sensor_id": "a", "timestamp": 12, "t": 1}', JSON, 422, "12"),
    "year 9998": (b'{"sensor_id": "a", "timestamp": "9998-01-01", "t": 1}', JSON, 422, "ahead"),
    "1e308 seconds": (b'{"sensor_id": "a", "timestamp": 1e308, "t": 1}', JSON, 422, "timestamp"),
    "a time of true": (b'{"sensor_id": "a", "timestamp": true, "t": 1}', JSON, 422, "timestamp"),
    "half a gzip": (gzip.compress(lines(GOOD) * 9)[:-9], {**JSON, "Content-Encoding": "gzip"}, 400,
                    "ends early"),
    "a gzip header only": (b"\x1f\x8b", {**JSON, "Content-Encoding": "gzip"}, 400, "ends early"),
    "no gzip": (b'{"sensor_id":"a"}', {**JSON, "Content-Encoding": "gzip"}, 400, "damaged"),
    "a damaged gzip": (gzip.compress(b"x")[:-4] + b"abcd", {**JSON, "Content-Encoding": "gzip"},
                       400, "damaged"),
    "brotli": (b"{}", {**JSON, "Content-Encoding": "br"}, 415, "'br'"),
    "a picture": (b"a,b", {"Content-Type": "image/png"}, 415, "image/png"),
    "CSV without a header": (b"a,b", {"Content-Type": "text/csv"}, 400, "sensor_id"),
    "no type": (b"{}", {}, 415, "Content-Type"),
    "a charset": (b"{}", {"Content-Type": "application/json; charset=latin-1"}, 415, "latin-1"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_what_cannot_be_used_gets_a_clear_answer(name, call):
    body, headers, status, text = BROKEN[name]
    answer = call.post("/readings", content=body, headers=headers)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert text in answer.json()["detail"]
    assert answer.json()["status"] == status
    assert len(answer.content) < 4000
    assert call.get("/events/latest").json() == []
    assert call.post("/readings", json=GOOD).json()["accepted"] == 1, "the stream goes on"


KEPT = {
    "NaN": (b'{"sensor_id": "a", "temperature": NaN, "humidity": 5}', {"humidity": 5.0}),
    "infinity": (b'{"sensor_id": "a", "temperature": -Infinity, "humidity": 5}', {"humidity": 5.0}),
    "a number as text": (b'{"sensor_id": "a", "temperature": " 1e1 "}', {"temperature": 10.0}),
    "a huge whole number": (b'{"sensor_id": "a", "count": 1' + b"0" * 300 + b"}", {"count": 1e300}),
    "an unknown channel": (b'{"sensor_id": "a", "Blubb (x)": 1}', {"blubb_x": 1.0}),
    "null beside a number": (b'{"sensor_id": "a", "x": null, "y": 2}', {"y": 2.0}),
    "values of their own": (b'{"sensor_id": "a", "values": {"x": 1}}', {"x": 1.0}),
    "out of range": (b'{"sensor_id": "a", "humidity": -4000}', {"humidity": -4000.0}),
    "a byte order mark": (b'\xef\xbb\xbf{"sensor_id": "a", "x": 1}', {"x": 1.0}),
}


@pytest.mark.parametrize("name", KEPT)
def test_odd_readings_are_kept(name, call):
    body, values = KEPT[name]
    assert call.post("/readings", content=body, headers=JSON).status_code == 200
    (row,) = call.get("/events/latest").json()
    found = {key: value for key, value in row.items() if value is not None}
    assert {key: found.get(key) for key in values} == values


def test_a_line_of_ten_megabytes_is_refused_and_the_others_kept(call):
    long = b'{"sensor_id": "a", "note": "' + b"x" * 10_500_000 + b'"}'
    body = lines({**GOOD, "timestamp": 1_769_000_000}, long, GOOD)
    answer = call.post("/readings", content=body, headers=LINES).json()
    assert (answer["accepted"], answer["rejected"]) == (2, 1)
    assert answer["errors"][0]["line"] == 2
    assert len(call.get("/dead-letters").content) < 10_000


def test_a_body_over_the_limit_is_refused_as_it_comes(start):
    call = start(max_body_bytes=10_000).call
    answer = call.post("/readings", content=b" " * 10_001, headers=JSON)
    assert answer.status_code == 413
    assert "REDSHANK_MAX_BODY_BYTES" in answer.json()["detail"]

    async def endless():
        while True:
            yield b" " * 1000

    assert call.post("/readings", content=endless(), headers=JSON).status_code == 413


def test_a_bomb_is_refused_before_it_is_unpacked(start):
    call = start(max_body_bytes=2_000_000).call
    bomb = gzip.compress(b"\0" * 50_000_000)
    headers = {**JSON, "Content-Encoding": "gzip"}
    assert call.post("/readings", content=bomb, headers=headers).status_code == 413


def test_unpacking_stops_at_the_limit():
    bomb = gzip.compress(b"\0" * 10_000_000)
    with pytest.raises(Problem, match="413"):
        unpack(bomb, 1_000_000)
    assert unpack(gzip.compress(b"x" * 1_000_000), 1_000_000) == b"x" * 1_000_000
    assert unpack(gzip.compress(b""), 10) == b""
    assert zlib.crc32(unpack(bomb, 10_000_000)) == zlib.crc32(b"\0" * 10_000_000)


def test_a_full_queue_says_when_to_come_back_and_takes_nothing(service, monkeypatch):
    def full(parcel: Parcel, source: str):
        raise OverloadedError(2.5)

    with monkeypatch.context() as patch:
        patch.setattr(service.context.bus, "publish", full)
        answer = service.call.post("/readings", json=GOOD)
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "3"
    assert service.call.get("/events/latest").json() == []


def test_a_store_that_cannot_be_written_is_said_so(service, monkeypatch):
    def fail(commit):
        raise StoreError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(service.context.store, "write", fail)
        answer = service.call.post("/readings", json=GOOD)
    assert answer.status_code == 503
    assert "the disk is full" in answer.json()["detail"]
    assert service.call.post("/readings", json=GOOD).json()["accepted"] == 1


def test_while_stopping_nothing_is_taken(service):
    service.context.bus.close()
    answer = service.call.post("/readings", json=GOOD)
    assert answer.status_code == 503
    assert "retry-after" in answer.headers
