"""Dead letters: looked at, read again exactly once, thrown away."""

import base64

import pytest

from redshank.core.clock import HOUR, SECOND
from redshank.core.config import Config
from redshank.core.ports import Commit
from redshank.core.queries import DeadLetters
from redshank.core.records import DeadLetter
from redshank.services.dead_letters import posted, read_again

from .conftest import NOW

READERS = {"http": posted(Config())}.get
GOOD = b'{"sensor_id": "a", "timestamp": "2026-01-31T12:00:00Z", "temperature": 20.5}'
BAD = b'{"sensor_id": "a", "timestamp": "2026-01-31T12:00:00Z", "temperature": "warm"}'
DONE = dict.fromkeys(
    ("letters", "replayed", "rejected", "skipped", "accepted", "duplicates", "conflicts"), 0
)


def bury(service, *raws, source="http", time=NOW, reason="x: 1 is odd"):
    """Letters as an earlier version may have kept them; their ids."""
    letters = [DeadLetter(time, source, reason, raw) for raw in raws]
    service.context.runner.write(Commit(dead_letters=letters)).result(10)
    found = service.call.get("/dead-letters?limit=1000").json()["dead_letters"]
    return [letter["id"] for letter in reversed(found[: len(raws)])]


def replayed(call, **which):
    answer = call.post("/dead-letters/replay", json=which)
    assert answer.status_code == 200, answer.text
    return {key: value for key, value in answer.json().items() if value and key != "anomalies"}


def events(call):
    return call.get("/events/latest?limit=1000").json()


def test_they_are_paged_and_purged(call):
    call.post("/readings", json=[{"sensor_id": "a"}] * 5)
    answer = call.get("/dead-letters?limit=2").json()
    assert answer["total"] == 5
    assert len(answer["dead_letters"]) == 2
    assert call("DELETE", "/dead-letters?source=mqtt").json() == {"removed": 0}
    assert call("DELETE", "/dead-letters").json() == {"removed": 5}
    assert call.get("/dead-letters").json() == {"total": 0, "dead_letters": []}
    assert "redshank_dead_letters_purged_total 5.0" in call.get("/metrics").text


@pytest.mark.parametrize(
    ("query", "left"),
    [
        ("source=mqtt", ["old", "odd"]),
        ("reason=ODD", ["old", "topic"]),
        ("before=2026-01-31T23:30:00Z", ["odd", "topic"]),
        ("source=http&reason=old", ["odd", "topic"]),
        ("source=mqtt&reason=old", ["old", "odd", "topic"]),
    ],
)
def test_lists_and_purges_are_narrowed_alike(service, query, left):
    bury(service, b"1", reason="old", time=NOW - HOUR)
    bury(service, b"2", reason="odd")
    bury(service, b"3", reason="topic", source="mqtt")
    fitting = service.call.get(f"/dead-letters?{query}").json()["total"]
    assert service.call("DELETE", f"/dead-letters?{query}").json() == {"removed": fitting}
    found = service.call.get("/dead-letters").json()["dead_letters"]
    assert [letter["reason"] for letter in reversed(found)] == left


def test_single_ones_are_purged_by_id(service):
    first, second, third = bury(service, b"1", b"2", b"3")
    query = f"id={first}&id={third}&id=9999"
    assert service.call("DELETE", f"/dead-letters?{query}").json() == {"removed": 2}
    (letter,) = service.call.get("/dead-letters").json()["dead_letters"]
    assert letter["id"] == second


def test_one_is_shown_with_all_its_bytes(service):
    text, binary = bury(service, "ä".encode() * 5000, b"\x08\xff\x00")
    answer = service.call.get(f"/dead-letters/{text}").json()
    assert (answer["encoding"], answer["bytes"], answer["raw"]) == ("utf-8", 10_000, "ä" * 5000)
    answer = service.call.get(f"/dead-letters/{binary}").json()
    assert (answer["encoding"], base64.b64decode(answer["raw"])) == ("base64", b"\x08\xff\x00")
    assert service.call.get("/dead-letters/999").status_code == 404
    assert service.call.get("/dead-letters/first").status_code == 422


def test_what_is_a_row_by_now_becomes_a_reading_and_is_gone(service):
    call = service.call
    good, bad = bury(service, GOOD, BAD)
    assert replayed(call) == {"letters": 2, "replayed": 1, "rejected": 1, "accepted": 1}
    (event,) = events(call)
    assert (event["sensor_id"], event["temperature"]) == ("a", 20.5)
    (left,) = call.get("/dead-letters").json()["dead_letters"]
    assert left["id"] == bad != good
    assert left["reason"] == "temperature: 'warm' is not a number"
    assert "redshank_dead_letters_replayed_total 1.0" in call.get("/metrics").text


def test_replaying_what_is_stored_already_changes_nothing(service):
    bury(service, GOOD, GOOD)
    assert replayed(service.call)["accepted"] == 1
    bury(service, GOOD)
    assert replayed(service.call) == {"letters": 1, "replayed": 1, "duplicates": 1}
    assert len(events(service.call)) == 1
    assert replayed(service.call) == {}


def test_letters_without_a_time_stay_apart_and_are_the_same_twice(service):
    bare = b'{"sensor_id": "a", "x": 1}'
    bury(service, bare, bare)
    letters = [
        DeadLetter(NOW, "http", "", bare, letter["id"])
        for letter in service.call.get("/dead-letters").json()["dead_letters"]
    ]
    once, twice = read_again(letters, READERS), read_again(letters, READERS)
    assert once.batches[0].time.tolist() == twice.batches[0].time.tolist()
    service.clock.advance(3600)
    assert replayed(service.call)["accepted"] == 2
    times = [event["timestamp"] for event in events(service.call)]
    assert all(time.startswith("2026-02-01T00:00:00.") for time in times)


def test_only_those_asked_for_are_read_again(service):
    other = GOOD.replace(b'"a"', b'"b"')
    first, _ = bury(service, GOOD, other)
    bury(service, BAD, source="websocket", reason="temperature: is warm")
    assert replayed(service.call, source="websocket") == {"letters": 1, "rejected": 1}
    assert replayed(service.call, ids=[first, 999])["accepted"] == 1
    assert replayed(service.call, reason="WARM") == {"letters": 1, "rejected": 1}
    assert replayed(service.call, before="2026-01-01") == {}
    assert [event["sensor_id"] for event in events(service.call)] == ["a"]


@pytest.mark.parametrize(
    ("raw", "rows"),
    [
        (GOOD, 1),
        (b"[" + GOOD + b"," + GOOD.replace(b"12:00", b"13:00") + b"]", 2),
        (GOOD + b"\n" + GOOD.replace(b"12:00", b"13:00"), 2),
        (b"sensor,device=a temperature=20.5 1769860800000000000", 1),
        (b"sensor_id;timestamp;temperature\na;1769860800;20.5", 1),
    ],
)
def test_every_format_of_rows_is_understood(raw, rows):
    letter = DeadLetter(NOW, "http", "", raw, 1)
    found = read_again([letter], READERS)
    assert found.read == [1]
    (batch,) = found.batches
    assert batch.channels == ("temperature",)
    assert len(batch) == rows
    assert batch.time[0] == 1_769_860_800 * SECOND


@pytest.mark.parametrize(
    ("raw", "source"),
    [
        (GOOD, "opensensemap"),
        (GOOD, "mqtt"),
        (GOOD + b" " * 65_536, "http"),
    ],
)
def test_what_says_too_little_stays_as_it_is(service, raw, source):
    bury(service, raw[:65_536], source=source)
    assert replayed(service.call) == {"letters": 1, "skipped": 1}
    (letter,) = service.call.get("/dead-letters").json()["dead_letters"]
    assert letter["reason"] == "x: 1 is odd"


@pytest.mark.parametrize(
    ("precision", "stamp"),
    [("s", "1769860800"), ("ms", "1769860800000"), ("us", "1769860800000000"), ("h", "491628")],
)
def test_line_protocol_is_read_again_with_its_own_precision(start, precision, stamp):
    service = start(line_sensor_tags=["station"])
    lines = f"weather,station=a t=x {stamp}\nweather,station=a t=1 {stamp}"
    answer = service.call.post(f"/api/v2/write?precision={precision}", content=lines)
    assert answer.status_code == 400
    (letter,) = service.call.get("/dead-letters").json()["dead_letters"]
    assert letter["content_type"] == "application/vnd.influx.line"
    assert letter["details"] == {"precision": precision}
    mended = DeadLetter(
        *(NOW, "influx", "", f"weather,station=a t=2 {stamp}".encode(), 1),
        content_type=letter["content_type"],
        details=letter["details"],
    )
    (batch,) = read_again([mended], {"influx": posted(service.context.config)}.get).batches
    assert batch.sensor_ids == ("a",)
    assert batch.time.tolist() == [1_769_860_800 * SECOND // HOUR * HOUR]


def test_rows_without_a_time_get_the_time_that_they_would_have_had(service):
    rows = [{"sensor_id": "a", "x": 1}, {"sensor_id": "a"}, {"sensor_id": "a", "x": 3}]
    service.call.post("/readings", json=rows)
    (letter,) = service.context.store.read(DeadLetters())
    assert letter.time == NOW + 1
    assert letter.content_type == "application/json"


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", "{oops"),
        ("application/x-ndjson", "oops\n"),
        ("text/csv", "no,header\n1,2\n"),
    ],
)
def test_a_body_that_cannot_be_read_at_all_is_kept_with_its_content_type(call, kind, body):
    call.post("/readings", content=body, headers={"Content-Type": kind})
    (letter,) = call.get("/dead-letters").json()["dead_letters"]
    assert (letter["content_type"], letter["raw"]) == (kind, body)
    assert replayed(call) == {"letters": 1, "rejected": 1}


def test_letters_are_found_by_their_topic(service):
    letters = [DeadLetter(NOW, "mqtt", "x", b"", topic=f"site/{name}/x") for name in "ab"]
    service.context.runner.write(Commit(dead_letters=letters)).result(10)
    call = service.call
    assert call.get("/dead-letters?topic=SITE/A").json()["dead_letters"][0]["topic"] == "site/a/x"
    assert replayed(call, topic="site/b") == {"letters": 1, "skipped": 1}
    assert call("DELETE", "/dead-letters?topic=site/a").json() == {"removed": 1}
    assert call.get("/dead-letters").json()["total"] == 1


def test_a_letter_with_one_bad_row_stays_whole(service):
    bury(service, b"[" + GOOD + b"," + BAD + b"]")
    assert replayed(service.call) == {"letters": 1, "rejected": 1}
    assert events(service.call) == []


def test_a_refused_csv_row_can_be_read_again(service):
    body = "sensor_id,timestamp,temperature\na,2026-01-31T12:00:00Z,warm\nb,2026-01-31,20\n"
    service.call.post("/readings", content=body, headers={"Content-Type": "text/csv"})
    (letter,) = service.call.get("/dead-letters").json()["dead_letters"]
    assert letter["raw"] == "sensor_id,timestamp,temperature\na,2026-01-31T12:00:00Z,warm"
    assert replayed(service.call) == {"letters": 1, "rejected": 1}
    (again,) = service.call.get("/dead-letters").json()["dead_letters"]
    assert again == letter


@pytest.mark.parametrize(
    "body", [{"id": 1}, {"ids": ["x"]}, {"ids": [0]}, {"before": "soon"}, [], {"source": 1}]
)
def test_a_replay_that_makes_no_sense_is_refused(call, body):
    assert call.post("/dead-letters/replay", json=body).status_code == 422
