"""Readings in other formats than JSON: CSV, line protocol, Telegraf; packed and large bodies."""

import gzip
import json
import zlib

import pytest

from redshank.services.api.unpacking import ENCODINGS, Unpacker, unpack, zstd

LINE = {"Content-Type": "application/vnd.influx.line"}
PLAIN = {"Content-Type": "text/plain; charset=utf-8"}
CSV = {"Content-Type": "text/csv"}
NDJSON = {"Content-Type": "application/x-ndjson"}
STAMP = 1_769_860_800
KEY = "correct-horse-battery"


def channels(row):
    fixed = ("event_id", "sensor_id", "timestamp")
    return {key: value for key, value in row.items() if key not in fixed and value is not None}


def newest(call):
    return channels(call.get("/events/latest").json()[0])


# --- CSV and line protocol to /readings --------------------------------------------------------


def test_csv_is_understood(call):
    body = f"sensor_id,timestamp,temperature,room\na,{STAMP},21.5,north\nb,soon,1,\n"
    answer = call.post("/readings", content=body, headers=CSV).json()
    assert (answer["accepted"], answer["rejected"]) == (1, 1)
    assert (answer["errors"][0]["index"], answer["errors"][0]["line"]) == (2, 3)
    assert newest(call) == {"temperature": 21.5}


@pytest.mark.parametrize("headers", [LINE, PLAIN])
def test_line_protocol_is_understood(call, headers):
    body = f"sensor,device=a temperature=21.5 {STAMP}000000000\noops\n"
    answer = call.post("/readings", content=body, headers=headers).json()
    assert (answer["accepted"], answer["rejected"], answer["errors"][0]["line"]) == (1, 1, 2)
    assert newest(call) == {"temperature": 21.5}


METRIC = {"name": "sensor", "tags": {"device": "a"}, "fields": {"temperature": 21.5},
          "timestamp": STAMP}  # fmt: skip


@pytest.mark.parametrize("body", [METRIC, [METRIC], {"metrics": [METRIC]}])
@pytest.mark.parametrize("headers", [PLAIN, {"Content-Type": "application/json"}])
def test_telegrafs_json_is_understood(call, body, headers):
    answer = call.post("/readings", content=json.dumps(body), headers=headers)
    assert answer.json()["accepted"] == 1, answer.text
    assert newest(call) == {"temperature": 21.5}


def test_telegrafs_json_line_by_line(call):
    lines = "\n".join(json.dumps({**METRIC, "timestamp": STAMP + i}) for i in range(3))
    assert call.post("/readings", content=lines, headers=PLAIN).json()["accepted"] == 3


def test_the_tags_of_a_metric_stay_texts(call):
    metric = {**METRIC, "tags": {"device": "a", "floor": "3"}}
    call.post("/readings", json={"metrics": [metric, {**metric, "fields": [1]}, {"name": "x"}]})
    assert newest(call) == {"temperature": 21.5}


# --- as InfluxDB -------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/api/v2/write?bucket=iot&org=o", "/write?db=iot"])
def test_influxs_clients_can_write(call, path):
    answer = call.post(path, content=f"sensor,device=a x=1 {STAMP}000000000")
    assert (answer.status_code, answer.content) == (204, b"")
    assert newest(call) == {"x": 1.0}


def test_precision_is_heeded(call):
    assert call.post("/api/v2/write?precision=s", content=f"m x=1 {STAMP}").status_code == 204
    assert call.post("/write?precision=ms", content=f"m x=1 {STAMP}001").status_code == 204
    times = [row["timestamp"] for row in call.get("/events/latest").json()]
    assert times == ["2026-01-31T12:00:00.001Z", "2026-01-31T12:00:00.000Z"]
    refused = call.post("/api/v2/write?precision=days", content="m x=1")
    assert refused.status_code == 400
    assert "'days' is not known" in refused.json()["message"]


def test_a_partial_write_keeps_the_good_lines_and_tells_the_first_bad_one(call):
    answer = call.post("/api/v2/write", content="m x=1\nm x=abc\nm y=2\n")
    assert answer.status_code == 400
    assert (answer.json()["code"], answer.json()["line"]) == ("invalid", 2)
    assert "1 of 3 lines cannot be used, 2 were taken; line 2: x: 'abc' is no" in answer.text
    assert len(call.get("/events/latest").json()) == 2
    assert call.get("/dead-letters").json()["dead_letters"][0]["source"] == "influx"
    old = call.post("/write", content="oops")
    assert (old.status_code, set(old.json())) == (400, {"error"})


def test_texts_alone_are_no_error_of_the_sender(call):
    assert call.post("/api/v2/write", content='system,host=h uptime="1:20"').status_code == 204
    assert call.post("/api/v2/write", content="").status_code == 204
    assert call.post("/api/v2/write", content="# nothing\n").status_code == 204
    assert call.get("/dead-letters").json()["total"] == 1


@pytest.mark.parametrize(
    "authorization",
    [f"Token {KEY}", f"Bearer {KEY}", KEY, "Basic " + "dXNlcjpjb3JyZWN0LWhvcnNlLWJhdHRlcnk="],
)
def test_the_key_comes_as_influxs_clients_send_it(start, authorization):
    call = start(api_key=KEY).call
    good = {"Authorization": authorization}
    assert call.post("/api/v2/write", content="m x=1", headers=good).status_code == 204
    for bad in ("Token wrong", "Basic !", "Digest " + KEY, "", "Basic dXNlcjp4"):
        refused = call.post("/api/v2/write", content="m x=1", headers={"Authorization": bad})
        assert refused.status_code == 401


def test_a_full_queue_is_said_in_influxs_words(start):
    call = start(rate_limit_readings=1).call
    assert call.post("/api/v2/write", content="m x=1\n" * 50).status_code == 204
    answer = call.post("/api/v2/write", content="m x=1")
    assert answer.status_code == 429
    assert answer.json()["code"] == "too many requests"
    assert int(answer.headers["retry-after"]) > 0
    old = call.post("/write", content="m x=1")
    assert old.status_code == 503, "clients of version 1 throw away what got a 429"
    assert int(old.headers["retry-after"]) > 0


def test_ping_is_answered(call):
    assert call.get("/ping").status_code == 204
    assert call("HEAD", "/ping").status_code == 204


def test_sensor_tags_and_containers_can_be_set(start):
    call = start(line_sensor_tags=("station",), line_containers=("weather",)).call
    call.post("/write", content="weather,device=x,station=s rain=1")
    assert call.get("/sensors/s").json()["channels"].keys() == {"rain"}


# --- packed ------------------------------------------------------------------------------------


def raw_deflate(body):
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(body) + packer.flush()


PACKED = {
    "gzip": ("gzip", gzip.compress),
    "deflate": ("deflate", zlib.compress),
    "raw deflate": ("deflate", raw_deflate),
    "zstd": ("zstd", zstd.compress),
    "zstd in frames": ("zstd", lambda body: zstd.compress(body[:50]) + zstd.compress(body[50:])),
}


@pytest.mark.parametrize("name", PACKED)
@pytest.mark.parametrize("headers", [NDJSON, {"Content-Type": "application/json"}])
def test_bodies_may_be_packed(call, name, headers):
    encoding, pack = PACKED[name]
    rows = [{"sensor_id": "a", "timestamp": STAMP + i, "x": i} for i in range(20)]
    body = json.dumps(rows) if headers is not NDJSON else "\n".join(map(json.dumps, rows))
    packed = {**headers, "Content-Encoding": encoding}
    answer = call.post("/readings", content=pack(body.encode()), headers=packed)
    assert answer.json()["accepted"] == 20
    cut = call.post("/readings", content=pack(body.encode())[:-5], headers=packed)
    assert cut.status_code in (400, 422), cut.text


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_unpacking_gives_small_pieces_and_everything(encoding):
    pack = {"gzip": gzip.compress, "deflate": zlib.compress, "zstd": zstd.compress}[encoding]
    body = bytes(range(256)) * 30_000
    packed = pack(body)
    unpacker = Unpacker(encoding)
    parts = [part for at in range(0, len(packed), 999) for part in
             unpacker.feed(packed[at : at + 999])]  # fmt: skip
    unpacker.finish()
    assert b"".join(parts) == body
    assert max(map(len, parts)) <= 1024 * 1024
    assert unpack(packed, len(body), encoding) == body


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("headers", [NDJSON, {"Content-Type": "application/json"}])
def test_a_bomb_is_refused(start, encoding, headers):
    call = start(max_body_bytes=100_000).call
    pack = {"gzip": gzip.compress, "deflate": zlib.compress, "zstd": zstd.compress}[encoding]
    packed = {**headers, "Content-Encoding": encoding}
    answer = call.post("/readings", content=pack(b"\0" * 60_000_000), headers=packed)
    assert answer.status_code == 413


# --- large bodies ------------------------------------------------------------------------------


def rows_of(count, start=STAMP):
    return b"".join(
        b'{"sensor_id":"s%d","timestamp":%d,"x":%d}\n' % (i % 50, start + i // 50, i % 7)
        for i in range(count)
    )


def test_a_body_of_lines_may_be_larger_than_the_limit(start):
    call = start(max_body_bytes=100_000).call
    body = rows_of(25_000)
    assert len(body) > 1_100_000
    answer = call.post("/readings", content=body, headers=NDJSON).json()
    assert (answer["accepted"], answer["rejected"]) == (25_000, 0)
    packed = {**NDJSON, "Content-Encoding": "gzip"}
    again = call.post("/readings", content=gzip.compress(body), headers=packed).json()
    assert (again["accepted"], again["duplicates"]) == (0, 25_000)


def test_bad_lines_of_a_large_body_are_numbered_through(call):
    body = rows_of(25_000) + b"oops\n" + rows_of(100, STAMP + 10_000) + b'{"sensor_id": "a"}\n'
    answer = call.post("/readings", content=body, headers=NDJSON).json()
    assert (answer["accepted"], answer["rejected"]) == (25_100, 2)
    assert [error["line"] for error in answer["errors"]] == [25_001, 25_102]


def test_a_large_csv_body_keeps_its_header(call):
    rows = (f"s{i % 50},{STAMP + i // 50},{i % 7},{'x' * 20}" for i in range(30_000))
    body = "\n".join(["sensor_id,timestamp,x,note", *rows])
    answer = call.post("/readings", content=body, headers=CSV).json()
    assert answer["accepted"] == 30_000


def test_a_line_over_the_limit_does_not_stop_a_stream(start):
    call = start(max_line_bytes=2000).call

    async def stream():
        yield b"m x=1 1769860800000000000\nm "
        for _ in range(3000):
            yield b"y" * 1000
        yield b"=1\nm x=2 1769860801000000000\n"

    answer = call.post("/readings", content=stream(), headers=LINE).json()
    assert (answer["accepted"], answer["rejected"]) == (2, 1)
    assert answer["errors"][0]["reason"] == "is longer than 2,000 bytes"
    assert answer["errors"][0]["line"] == 2


def test_damage_at_the_end_of_a_large_body_leaves_what_came_before(call):
    packed = gzip.compress(rows_of(25_000))[:-100]
    headers = {**NDJSON, "Content-Encoding": "gzip"}
    assert call.post("/readings", content=packed, headers=headers).status_code == 400
    whole = call.post("/readings", content=rows_of(25_000), headers=NDJSON).json()
    assert whole["accepted"] + whole["duplicates"] == 25_000
    assert whole["duplicates"] > 0


# --- a result for each row ---------------------------------------------------------------------


def test_details_tell_what_became_of_each_row(call):
    good = {"sensor_id": "a", "timestamp": STAMP, "x": 1}
    call.post("/readings", json=good)
    rows = [{**good, "timestamp": STAMP + 1}, good, {**good, "x": 2}, {"sensor_id": "a"},
            {"sensor_id": "b", "timestamp": STAMP, "y": 1, "room": "n"}]  # fmt: skip
    answer = call.post("/readings?details=1", json=rows).json()
    assert [answer[k] for k in ("accepted", "duplicates", "conflicts", "rejected")] == [2, 1, 1, 1]
    assert [row["result"] for row in answer["rows"]] == [
        "accepted",
        "duplicate",
        "conflict",
        "rejected",
        "accepted",
    ]
    assert answer["rows"][3]["reason"].startswith("holds no channel")
    assert [row["index"] for row in answer["rows"]] == [0, 1, 2, 3, 4]


def test_details_of_lines_are_by_line(call):
    body = f"m x=1 {STAMP}000000000\n\nm x=1 {STAMP}000000000\noops"
    answer = call.post("/readings?details=1", content=body, headers=LINE).json()
    found = [(row["index"], row["result"]) for row in answer["rows"]]
    assert found == [(0, "accepted"), (2, "duplicate"), (3, "rejected")]


def test_details_are_for_ten_thousand_rows_at_most(call):
    answer = call.post("/readings?details=1", content=rows_of(10_001), headers=NDJSON)
    assert answer.status_code == 422
    assert "10001 rows" in answer.json()["detail"]
    assert call.get("/events/latest").json() == []
