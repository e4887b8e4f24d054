"""Sending to a server that is slow, full, rude or gone, over real HTTP."""

import asyncio
import gzip
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import orjson
import pytest

from redshank.core.batch import Batch
from redshank.core.clock import SECOND, FakeClock, parse_time
from redshank.core.decode import decode_ndjson
from redshank.core.errors import InputError, SourceError
from redshank.core.ports import Parcel
from redshank.services.send import Sender

START = parse_time("2026-01-05T00:00:00Z")


class Receiver:
    """Takes readings as the documented endpoint does; ``failures`` come first."""

    def __init__(self):
        self.failures = []
        self.bodies = []
        self.headers = []
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self.url = f"http://127.0.0.1:{self._http.server_port}"

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def _handler(self):
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = gzip.decompress(self.rfile.read(int(self.headers["Content-Length"])))
                receiver.headers.append(dict(self.headers))
                if receiver.failures:
                    status, headers, answer = receiver.failures.pop(0)
                else:
                    receiver.bodies.append(body)
                    count = len(body.splitlines())
                    status, headers = 200, {}
                    answer = {
                        "accepted": count,
                        "duplicates": 0,
                        "conflicts": 0,
                        "rejected": 0,
                        "anomalies": 1,
                        "errors": [],
                    }
                content = json.dumps(answer).encode()
                self.send_response(status)
                for name, value in {"Content-Length": len(content), **headers}.items():
                    self.send_header(name, str(value))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_):
                pass

        return Handler


@pytest.fixture
def receiver():
    with Receiver() as running:
        yield running


def batch(n=2500):
    values = np.column_stack([np.arange(n) * 1.0, np.where(np.arange(n) % 2, np.nan, 1.0)])
    time = START + np.arange(n) * SECOND
    return Batch(("a",), np.zeros(n, np.int32), time, ("humidity", "temperature"), values)


def send(url, *batches, tell=None, **options):
    waits = []
    clock = FakeClock(START)

    async def sleep(seconds):
        waits.append(seconds)
        clock.advance(seconds)

    async def parcels():
        for one in batches:
            yield Parcel(batches=[one], progress=0.5)

    sender = Sender(url, clock=clock, sleep=sleep, **options)
    return asyncio.run(sender.send(parcels(), tell)), waits


def test_everything_arrives_as_it_was(receiver):
    told = []
    total, _ = send(receiver.url, batch(), tell=told.append)
    assert (total.sent, total.accepted, total.anomalies) == (2500, 2500, 3)
    assert [one.sent for one in told] == [1000, 2000, 2500]
    assert told[0].progress == 0.5
    decoded = [decode_ndjson(body, arrival=START).batches for body in receiver.bodies]
    arrived = np.concatenate([b.select(("humidity",)) for some in decoded for b in some])
    assert sorted(arrived[:, 0]) == list(range(2500))
    assert orjson.loads(receiver.bodies[0].splitlines()[1]) == {
        "sensor_id": "a",
        "timestamp": "2026-01-05T00:00:01.000Z",
        "values": {"humidity": 1.0},
    }


def test_a_full_server_is_given_time(receiver):
    receiver.failures = [(429, {"Retry-After": "7"}, {}), (503, {}, {})]
    total, waits = send(receiver.url, batch(10))
    assert total.accepted == 10
    assert total.retries == 2
    assert waits[0] == 7
    assert 0 < waits[1] <= 1.0


def test_a_rate_is_kept(receiver):
    total, waits = send(receiver.url, batch(100), rate=40)
    assert total.sent == 100
    assert sum(waits) == pytest.approx(2.5)
    assert len(receiver.bodies) == 10


def test_a_key_is_sent_in_a_header(receiver):
    send(receiver.url, batch(1), api_key="secret")
    assert receiver.headers[0]["X-API-Key"] == "secret"


def test_rows_that_are_refused_are_counted(receiver):
    receiver.failures = [(422, {}, {"accepted": 0, "rejected": 10, "errors": []})]
    total, _ = send(receiver.url, batch(10))
    assert (total.accepted, total.rejected) == (0, 10)


@pytest.mark.parametrize(
    ("status", "answer", "error", "message"),
    [
        (401, {"detail": "key is missing"}, SourceError, "API key"),
        (422, {"detail": "broken"}, InputError, "broken"),
        (404, {"detail": "nothing here"}, SourceError, "404: nothing here"),
        (200, ["hello"], SourceError, "not answer like a redshank"),
    ],
)
def test_refusals_are_final(receiver, status, answer, error, message):
    receiver.failures = [(status, {}, answer)]
    with pytest.raises(error, match=message):
        send(receiver.url, batch(1))


def test_patience_ends():
    with Receiver() as gone:
        url = gone.url
    with pytest.raises(SourceError, match="failed 3 times"):
        send(url, batch(1), attempts=3)
    with pytest.raises(SourceError, match="begin it with http"):
        Sender("localhost:8000")
