"""kill -9 while requests with an Idempotency-Key are repeated until answered: all count once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import orjson
import pytest

from support.client import NDJSON
from support.feed import START
from support.sender import Acknowledged, Sender
from support.story import readings
from support.wait import pause

pytestmark = pytest.mark.faults

REQUESTS = 80
KILLS = 8
SENSORS = 5
"""Odd, so that both senders send rows without a time for each sensor."""
FEW, MANY = 30, 6_000
"""Rows of a request; many of them, with padding, come in several pieces and commits."""
PADDING = "x" * 200


@dataclass(frozen=True)
class Keyed:
    """A request with its key: good rows, every other without a time, and one bad row."""

    number: int
    count: int

    @property
    def sensor_id(self) -> str:
        return f"s{self.number % SENSORS}"

    @property
    def rows(self) -> list[dict]:
        return [self._row(i) for i in range(self.count)]

    def _row(self, i: int) -> dict:
        row = {"sensor_id": self.sensor_id, "number": self.number * MANY + i, "note": PADDING}
        return {**row, "timestamp": START + self.number * MANY + i} if i % 2 else row

    @property
    def body(self) -> bytes:
        bad = {"sensor_id": self.sensor_id, "temperature": f"warm {self.number}"}
        return b"\n".join(map(orjson.dumps, [*self.rows[:10], bad, *self.rows[10:]]))

    @property
    def headers(self) -> dict[str, str]:
        return {**NDJSON, "Idempotency-Key": f"request-{self.number}"}


class KeyedSender(Sender):
    """Sends requests with their keys."""

    def post(self, client, request):
        return client.call("POST", "/readings", request.body, request.headers)


@pytest.mark.parametrize("seed", [1, 2])
def test_a_request_that_is_repeated_until_it_is_answered_counts_once(launch, seed):
    """Rows without a time too, and dead letters; asked once more, the answer is the same."""
    rng = np.random.default_rng(seed)
    large = set(rng.choice(REQUESTS, 4, replace=False).tolist())
    sent = [Keyed(number, MANY if number in large else FEW) for number in range(REQUESTS)]
    process = launch()
    acknowledged = Acknowledged()
    senders = [KeyedSender(process.client, sent[i::2], acknowledged) for i in range(2)]
    for sender in senders:
        sender.start()
    for point in np.sort(rng.choice(REQUESTS - 5, KILLS, replace=False)).tolist():
        acknowledged.wait(point)
        pause(rng.uniform(0, 0.05))
        process.kill()
        process.start()
    acknowledged.wait(REQUESTS)
    assert sum(sender.broken for sender in senders) > 0
    answers = {
        one.number: each
        for i in range(2)
        for one, each in zip(sent[i::2], senders[i].answers, strict=True)
    }
    with process.client() as client:
        for request in sent:
            assert_answered_once(client, request, answers[request.number])
        assert client.get("/dead-letters")["total"] == REQUESTS
        for name in {request.sensor_id for request in sent}:
            numbers = [int(row["number"]) for row in readings(client, name)]
            wanted = [row["number"] for one in sent if one.sensor_id == name for row in one.rows]
            assert sorted(numbers) == sorted(wanted)
    assert process.stop() == 0


def assert_answered_once(client, request: Keyed, answer: dict) -> None:
    """What a crash left of an earlier try counts as known; whoever asks again hears the same."""
    assert answer["accepted"] + answer["duplicates"] == request.count
    assert (answer["conflicts"], answer["rejected"]) == (0, 1)
    again = client.call("POST", "/readings", request.body, request.headers)
    assert again.headers["idempotent-replayed"] == "true"
    assert again.json() == answer
