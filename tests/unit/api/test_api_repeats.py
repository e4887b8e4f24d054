"""Requests that come twice, and callers that send too much."""

import asyncio

import pytest

from redshank.core.clock import DAY, SECOND, FakeClock, Instants
from redshank.core.errors import StoreError
from redshank.services.api.idempotency import Repeat

from .conftest import NOW

ROW = {"sensor_id": "a", "timestamp": "2026-01-31T12:00:00Z", "x": 1}
KEY = {"Idempotency-Key": "first-try"}


def test_a_repeated_key_gets_the_first_answer(call):
    first = call.post("/readings", json=ROW, headers=KEY)
    again = call.post("/readings", json=ROW, headers=KEY)
    assert first.json()["accepted"] == 1
    assert "idempotent-replayed" not in first.headers
    assert again.json() == first.json()
    assert again.headers["idempotent-replayed"] == "true"
    assert call.post("/readings", json=ROW).json()["duplicates"] == 1


def test_another_body_with_the_same_key_is_refused(call):
    call.post("/readings", json=ROW, headers=KEY)
    other = call.post("/readings", json={**ROW, "x": 2}, headers=KEY)
    assert other.status_code == 422
    assert "was used for another body" in other.json()["detail"]


def test_a_failed_request_may_be_repeated_with_its_key(call):
    assert call.post("/readings", json={"sensor_id": "a"}, headers=KEY).status_code == 422
    assert call.post("/readings", json=ROW, headers=KEY).json()["accepted"] == 1


@pytest.mark.parametrize("details", [False, True])
@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", '[{"sensor_id":"a","x":1},{"sensor_id":"a"},{"sensor_id":"a","x":1}]'),
        ("text/csv", "sensor_id,x\na,1\na,\na,warm\na,1\n"),
        ("text/plain", "m x=1\nm x=\nm x=1"),
    ],
)
def test_a_request_that_was_stored_but_not_answered_is_recognised(
    service, monkeypatch, kind, body, details
):
    """As after a crash between the two, rows without a time and bad ones, too."""

    async def lost(*_):
        raise StoreError("the disk is full")

    def post():
        path = "/readings?details=true" if details else "/readings"
        return service.call.post(path, content=body, headers={**KEY, "Content-Type": kind})

    with monkeypatch.context() as broken:
        broken.setattr(service.app.state.idempotency, "keep", lost)
        assert post().status_code == 503
    stored = service.call.get("/events/latest").json()
    letters = service.call.get("/dead-letters").json()
    service.clock.advance(3600)
    repeated = post()
    assert repeated.json()["accepted"] == 0
    assert repeated.json()["duplicates"] == len(stored) > 1
    assert repeated.json()["conflicts"] == 0
    assert post().json() == repeated.json()
    assert service.call.get("/events/latest").json() == stored
    assert service.call.get("/dead-letters").json() == letters
    assert letters["total"] > 0


@pytest.mark.parametrize("keys", [(None, None), ("one", "two"), ("one", None)])
def test_rows_without_a_time_from_two_senders_at_one_moment_stay_apart(call, keys):
    """Though the clock stands still, and all are of one sensor."""
    for start, key in zip((0, 1000), keys, strict=True):
        rows = [{"sensor_id": "a", "x": start + i} for i in range(1000)]
        headers = {"Idempotency-Key": key} if key else {}
        answer = call.post("/readings", json=rows, headers=headers).json()
        assert (answer["accepted"], answer["conflicts"]) == (1000, 0)


def test_a_repetition_gets_the_times_of_the_first_try_in_any_portions():
    kept = []

    async def keep(spans):
        kept.append(spans)

    async def portions(repeat, *counts):
        return [time for count in counts for time in await repeat.times(count)]

    async def story():
        instants = Instants(FakeClock(NOW))
        first = await portions(Repeat("a", [], instants, keep), 3, 1, 0, 2, 30)
        between = await portions(Repeat("b", [], instants, keep), 5)
        again = await portions(Repeat("a", kept[-2], instants, keep), 20, 16, 4)
        return first, between, again

    first, between, again = asyncio.run(story())
    assert again[:36] == first
    assert len({*again, *between}) == 45
    assert kept[-1][: len(kept[-3])] == kept[-3]


def test_an_answer_is_forgotten_after_a_day(service):
    service.call.post("/readings", json=ROW, headers=KEY)
    service.clock.advance(DAY / SECOND + 1)
    later = service.call.post("/readings", json=ROW, headers=KEY)
    assert later.json()["duplicates"] == 1


@pytest.mark.parametrize("key", ["", "k" * 256])
def test_a_key_has_a_length(call, key):
    answer = call.post("/readings", json=ROW, headers={"Idempotency-Key": key})
    assert answer.status_code == 422


def test_a_key_that_is_in_use_has_to_wait(service):
    release = asyncio.Event()

    async def slow():
        yield b'{"sensor_id": "a",'
        answer = await service.call._client.post("/readings", json=ROW, headers=KEY)
        answers.append(answer)
        release.set()
        yield b'"x": 1}'

    answers = []
    headers = {**KEY, "Content-Type": "application/json"}
    first = service.call.post("/readings", content=slow(), headers=headers)
    assert first.json()["accepted"] == 1
    assert answers[0].status_code == 409
    assert answers[0].headers["retry-after"] == "1"


def test_a_caller_that_sends_too_much_is_told_when_to_come_back(start):
    service = start(rate_limit_readings=10)
    rows = [{**ROW, "timestamp": NOW // SECOND - i} for i in range(150)]
    assert service.call.post("/readings", json=rows).json()["accepted"] == 150
    answer = service.call.post("/readings", json=ROW)
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "5"
    assert "more than 10 readings per second" in answer.json()["detail"]
    assert len(service.call.get("/events/latest?limit=1000").json()) == 150
    service.clock.advance(5.2)
    assert service.call.post("/readings", json=ROW).json()["accepted"] == 1


def test_callers_are_limited_one_by_one(start):
    limits = start(rate_limit_readings=1).app.state.limits
    limits.charge("a", 100)
    assert limits.wait("a") == pytest.approx(90)
    assert limits.wait("b") == 0
    for i in range(11_000):
        limits.charge(f"c{i}", 1)
    assert limits.wait("a") == 0


def test_without_a_limit_nobody_is_counted(service):
    service.app.state.limits.charge("a", 10**9)
    assert service.app.state.limits.wait("a") == 0
