"""Hostile bytes on the socket, while a well-behaved sender goes on as if nothing were."""

from __future__ import annotations

import gzip
from contextlib import ExitStack
from itertools import count
from uuid import uuid4

import orjson
import pytest

from support.client import NDJSON
from support.feed import START
from support.process import Process
from support.sender import Acknowledged, Sender
from support.wire import chunked, connected, exchange, head, received, status

pytestmark = pytest.mark.faults

MEBI = 1024 * 1024
GOOD = b'{"sensor_id": "good", "timestamp": "2026-01-31T12:00:00Z", "temperature": 21.5}'
NO_NUMBER = 1 | 32
"""The flags of values that are missing or not finite."""
GZIPPED = {**NDJSON, "Content-Encoding": "gzip"}


class Beset:
    """A process under attack; tests have sensors of their own."""

    def __init__(self, process, client, name):
        self.process = process
        self.client = client
        self.port = process.port
        self.name = name.encode()
        self.good = GOOD.replace(b"good", self.name)

    def post(self, body, headers=NDJSON):
        return self.client.call("POST", "/readings", body, headers)

    def at(self, minute):
        """A good line of that minute."""
        return self.good.replace(b"12:00:", b"12:%02d:" % minute)

    def readings(self):
        fleet = self.client.get("/sensors", {"text": self.name.decode()})["sensors"]
        return sum(sensor["readings"] for sensor in fleet)


@pytest.fixture(scope="module")
def process(tmp_path_factory):
    """One process for all attacks, and a sender that must not notice any of them."""
    acknowledged = Acknowledged()
    with Process(tmp_path_factory.mktemp("beset") / "data") as process:
        sender = Sender(process.client, calm(), acknowledged, every=0.02)
        sender.start()
        yield process
        acknowledged.wait(acknowledged.count + 20)
        sender.stop()
        assert sender.broken == 0
        assert {answer["accepted"] for answer in sender.answers} == {3}
        with process.client() as client:
            stored = client.get("/sensors/calm")["readings"]
        assert stored == 3 * len(sender.answers)
        assert process.stop() == 0


def calm():
    """Three readings at a time, for ever."""
    for minute in count(START // 60, 3):
        yield [
            {"sensor_id": "calm", "timestamp": (minute + i) * 60, "temperature": 20 + minute % 7}
            for i in range(3)
        ]


@pytest.fixture
def beset(process):
    with process.client() as client:
        yield Beset(process, client, f"good-{uuid4().hex[:8]}")


@pytest.mark.parametrize("part", [0.0, 0.01, 0.05, 0.5, 0.99])
def test_half_a_gzip_is_told_as_such_and_nothing_is_taken(beset, part):
    packed = gzip.compress(b"\n".join(beset.at(minute) for minute in range(60)))
    answer = beset.post(packed[: int(part * len(packed))], GZIPPED)
    assert answer.status == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert "gzip" in answer.json()["detail"]
    assert beset.readings() == 0
    assert beset.post(packed, GZIPPED).json()["accepted"] == 60


def test_a_gzip_bomb_is_defused(beset):
    before = beset.process.peak_memory()
    bomb = gzip.compress(bytes(512 * MEBI), 1)
    for _ in range(3):
        answer = beset.post(bomb, GZIPPED)
        assert answer.status == 413
        assert "REDSHANK_MAX_BODY_BYTES" in answer.json()["detail"]
    assert beset.process.peak_memory() - before < 256 * MEBI


def test_a_cut_connection_leaves_nothing_behind(beset):
    body = b"\n".join([beset.good] * 10_000)
    for part in (0, 1, 100, len(body) // 2, len(body) - 1):
        with connected(beset.port) as wire:
            wire.sendall(head(len(body)) + body[:part])
    assert beset.readings() == 0
    assert beset.post(beset.good).json()["accepted"] == 1


def test_a_line_over_10_mb_is_refused_and_its_neighbours_kept(beset):
    long = b'{"sensor_id": "long", "note": "' + b"x" * 10_500_000 + b'", "temperature": 1}'
    answer = beset.post(b"\n".join([beset.at(0), long, beset.at(1)])).json()
    assert (answer["accepted"], answer["rejected"]) == (2, 1)
    assert answer["errors"][0]["line"] == 2
    assert "longer than 10 MB" in answer["errors"][0]["reason"]
    letter = beset.client.get("/dead-letters", {"limit": 1})["dead_letters"][0]
    assert "longer than 10 MB" in letter["reason"]
    assert letter["raw"].startswith('{"sensor_id": "long"')


@pytest.mark.parametrize(
    "line",
    [
        b"[" * 200_000,
        b'{"a":' * 200_000 + b"1" + b"}" * 200_000,
        b'{"sensor_id": "deep", "temperature": ' + b"[" * 500 + b"]" * 500 + b"}",
        b'{"sensor_id": "bad \xff\xfe", "temperature": 1}',
        b"\x00" * 1000,
        b'{"sensor_id": "half", "temperature": 2',
        b'{"sensor_id": "text", "temperature": "warm"}',
        b'{"sensor_id": "time", "timestamp": "yesterday", "temperature": 1}',
        b'{"sensor_id": "time", "timestamp": 1e300, "temperature": 1}',
        b"\xef\xbb\xbf\xef\xbb\xbf{}",
    ],
    ids=lambda line: line[:24].decode("ascii", "replace"),
)
def test_a_bad_line_is_named_and_the_good_ones_are_kept(beset, line):
    answer = beset.post(b"\n".join([beset.good, line])).json()
    assert (answer["accepted"], answer["rejected"]) == (1, 1)
    (error,) = answer["errors"]
    assert error["line"] == 2
    assert error["field"]
    assert error["reason"]
    alone = beset.post(line)
    assert alone.status in (400, 422)
    assert alone.headers["content-type"] == "application/problem+json"
    assert beset.readings() == 1


def test_numbers_that_are_none_are_flagged_not_refused(beset):
    lines = [
        beset.at(minute).replace(b"21.5", text)
        for minute, text in enumerate([b"NaN", b"Infinity", b"-Infinity", b"1e999", b"21.5"])
    ]
    answer = beset.post(b"\n".join(lines)).json()
    assert (answer["accepted"], answer["rejected"]) == (5, 0)
    series = beset.client.get(f"/sensors/{beset.name.decode()}/series", {"points": 5000})
    assert series["channels"]["temperature"]["mean"] == [None, None, None, None, 21.5]
    flags = series["channels"]["temperature"]["flags"]
    assert [bool(flag & NO_NUMBER) for flag in flags] == [True, True, True, True, False]


@pytest.mark.parametrize(
    "sent",
    [
        chunked(b"ZZZ\r\nwhat\r\n"),
        chunked(b"-5\r\nwhat\r\n"),
        chunked(b"FFFFFFFFFFFFFFFFFF\r\nwhat\r\n"),
        chunked(b"5\r\nwhat is longer\r\n0\r\n\r\n"),
        head(-1) + GOOD,
        head("many") + GOOD,
        b"GET /ready\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
        b"\r\n" * 1000,
        bytes(range(256)) * 100,
    ],
    ids=[
        "no length",
        "negative length",
        "endless length",
        "wrong length",
        "negative body",
        "wordy body",
        "half a request line",
        "TLS",
        "blank lines",
        "all bytes",
    ],
)
def test_what_is_no_http_is_refused_or_dropped(beset, sent):
    assert status(exchange(beset.port, sent)) in (0, 400, 403)
    assert beset.post(beset.good).json()["accepted"] == 1


def test_a_huge_body_without_lines_takes_no_memory(beset):
    before = beset.process.peak_memory()
    mebi = b"100000\r\n" + b"x" * MEBI + b"\r\n"
    with connected(beset.port) as wire:
        wire.sendall(chunked(*[mebi] * 200, b"0\r\n\r\n"))
        answer = b"".join(received(wire))
    assert status(answer) in (400, 413)
    assert b"application/problem+json" in answer
    assert beset.process.peak_memory() - before < 256 * MEBI


def test_idle_and_dripping_connections_hold_up_nobody(beset):
    with ExitStack() as held:
        wires = [held.enter_context(connected(beset.port)) for _ in range(300)]
        for number, wire in enumerate(wires):
            wire.sendall(head(10_000)[: number % 60] if number % 2 else head(10_000) + GOOD)
        for number in range(20):
            assert beset.post(beset.at(number)).json()["accepted"] == 1
            wires[number].sendall(b"x")
        assert beset.readings() == 20


def told(socket):
    """Types of the messages that come; news of the fleet may come between answers."""
    while True:
        yield orjson.loads(socket.recv(timeout=60))["type"]


def test_nonsense_on_the_websocket_is_answered(beset):
    from websockets.sync.client import connect

    with connect(f"ws://127.0.0.1:{beset.port}/ws", max_size=None) as socket:
        assert orjson.loads(socket.recv())["type"] == "hello"
        for nonsense in ("{", "[]", '"x"', '{"type": 5}', b"\xff\xfe", "[" * 100_000):
            socket.send(nonsense)
            assert next(said for said in told(socket) if said != "sensors") == "error"
        socket.send(orjson.dumps({"type": "readings", "readings": [orjson.loads(beset.good), 7]}))
        receipt = next(said for said in map(orjson.loads, socket) if said["type"] == "receipt")
        assert (receipt["accepted"], receipt["rejected"]) == (1, 1)
