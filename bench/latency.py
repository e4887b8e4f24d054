"""How long a reading takes to its verdict on the socket, at half load.

    python bench/latency.py [--rate 20000] [--seconds 20] [--json]

A fleet sends small requests, paced evenly, to a real ``redshank run`` on the same cores; without
``--rate``, half of what throughput.py measures first. Some of the sensors report once a second and
are watched over ``/ws``. Time counts from when a request was due, so that a late one counts too, to
when the message with the verdict arrived, or the answer to the request. Before the clock starts
each sensor has a different number of rows behind it, so that sensors learn while it runs, but not
all at once.
"""

from __future__ import annotations

import argparse
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
from websockets.sync.client import ClientConnection, connect

import common
import throughput
from support.client import NDJSON
from support.process import Process

CLIENTS = 4
FLEET = 1000
WATCHED = 200
EVERY = 0.1
"""Seconds between two requests of a client."""
PAST_ROWS = 600
"""Most rows that a sensor has behind it when the clock starts."""
PATIENCE = 5.0
"""Seconds after the last request in which verdicts still count."""
Key = tuple[str, int]
"""A reading: sensor and Unix milliseconds."""


@dataclass(frozen=True)
class Request:
    """One request.

    Attributes:
        due: seconds after the start.
        body: NDJSON.
        watched: the watched readings in it.
    """

    due: float
    body: bytes
    watched: tuple[Key, ...]


def main() -> None:
    """Measure and print."""
    parser = common.options(__doc__)
    parser.add_argument("--rate", type=float, help="readings per second")
    parser.add_argument("--seconds", type=float, default=20.0)
    args = parser.parse_args()
    machine = common.facts()
    rate = args.rate or capacity() / 2
    figures = measure(rate, args.seconds)
    rows = [
        (name, *(f"{figures[key][part]:,.1f}" for part in ("p50", "p95", "p99", "max")))
        for name, key in (("verdict on the socket", "verdict_ms"), ("answer", "answer_ms"))
    ]
    title = f"{figures['per_second']:,.0f} readings/s, {figures['verdicts']:,} watched; ms"
    common.show(args, title, ("from due to", "p50", "p95", "p99", "max"), rows, figures, machine)


def capacity() -> float:
    """Readings per second that the machine can take."""
    load = argparse.Namespace(
        readings=200_000, warm_up=50_000, sensors=FLEET, clients=CLIENTS, body=5000, gzip=False
    )
    return float(throughput.end_to_end(load)["per_second"])


def measure(rate: float, seconds: float) -> dict[str, Any]:
    """Latencies at so many readings per second."""
    loads = [list(requests(client, rate, seconds)) for client in range(CLIENTS)]
    with common.running() as process:
        throughput.send(process.client, [past(client) for client in range(CLIENTS)])
        watching = Watching(process)
        answers, late = paced(process, loads, watching)
        wanted = sum(len(request.watched) for load in loads for request in load)
        watching.finish(wanted)
    if len(watching.seconds) < wanted:
        raise SystemExit(f"{len(watching.seconds)} of {wanted} verdicts arrived")
    sent = sum(request.body.count(b"\n") + 1 for load in loads for request in load)
    return {
        "per_second": sent / seconds,
        "verdicts": wanted,
        "verdict_ms": common.percentiles(watching.seconds),
        "answer_ms": common.percentiles(answers),
        "sent_late_ms": common.percentiles(late),
    }


# --- what is sent ------------------------------------------------------------------------------


def requests(client: int, rate: float, seconds: float) -> Iterator[Request]:
    """One client's requests; event time runs with the clock."""
    own, watched = names(client)
    size = max(1, round(rate * EVERY / CLIENTS) - round(len(watched) * EVERY))
    count = int(seconds / EVERY)
    values = iter(common.signal(1, count * (size + len(watched)), client)[0].tolist())
    start = int(time.time() * 1000)
    for number in range(count):
        due = (number + client / CLIENTS) * EVERY
        now = start + round(due * 1000)
        bulk = [own[(number * size + i) % len(own)] for i in range(size)]
        times = now - 100 + (np.arange(size) * 100 // size)
        few = watched[number % 10 :: 10]
        rows = [*zip(bulk, times.tolist(), strict=True), *((name, now) for name in few)]
        body = b"\n".join(line(name, at, next(values)) for name, at in rows)
        yield Request(due, body, tuple((name, now) for name in few))


def past(client: int) -> list[bytes]:
    """What one client's sensors sent before: a different number of rows each."""
    own, watched = names(client)
    rng = np.random.default_rng(client)
    start = int(time.time() * 1000) - 86_400_000
    rows = rng.integers(1, PAST_ROWS, len(own) + len(watched))
    values = iter(common.signal(1, int(rows.sum()), client)[0].tolist())
    lines = [
        line(name, start + row * 1000, next(values))
        for row in range(PAST_ROWS)
        for name, many in zip([*own, *watched], rows.tolist(), strict=True)
        if row < many
    ]
    return common.bodies(lines, 5000)


def names(client: int) -> tuple[list[str], list[str]]:
    """A client's sensors: those that report often, and those that are watched."""
    fleet, watched = FLEET // CLIENTS, WATCHED // CLIENTS
    return (
        [f"sensor-{client}-{number:04}" for number in range(fleet)],
        [f"watched-{client}-{number:04}" for number in range(watched)],
    )


def line(name: str, at: int, values: Sequence[float]) -> bytes:
    """A reading as JSON."""
    channels = dict(zip(common.CHANNELS, values, strict=True))
    return orjson.dumps({"sensor_id": name, "timestamp": at, **channels})


# --- sending and watching ----------------------------------------------------------------------


class Watching(threading.Thread):
    """Listens on the socket and notes how long each watched reading took."""

    def __init__(self, process: Process) -> None:
        super().__init__(daemon=True)
        self._due: dict[Key, float] = {}
        self._all = threading.Event()
        self._wanted = -1
        self.seconds: list[float] = []
        self._socket: ClientConnection = connect(
            f"ws://127.0.0.1:{process.port}/ws", max_size=None, compression=None
        )
        watched = [name for client in range(CLIENTS) for name in names(client)[1]]
        self._socket.send(
            orjson.dumps({"type": "subscribe", "sensor_id": watched, "readings": True}).decode()
        )
        self.start()

    def expect(self, keys: Sequence[Key], due: float) -> None:
        """Verdicts on these readings will come; they were due then."""
        self._due.update(dict.fromkeys(keys, due))

    def run(self) -> None:
        """Listen until the socket closes."""
        for text in self._socket:
            now = time.perf_counter()
            message = orjson.loads(text)
            if message["type"] != "verdicts":
                continue
            for row in message["rows"]:
                due = self._due.pop((message["sensor_id"], row["time"]), None)
                if due is not None:
                    self.seconds.append(now - due)
            if len(self.seconds) == self._wanted:
                self._all.set()

    def finish(self, wanted: int) -> None:
        """Wait for the last verdicts and hang up."""
        self._wanted = wanted
        if len(self.seconds) < wanted:
            self._all.wait(PATIENCE)
        self._socket.close()
        self.join()


def paced(
    process: Process, loads: Sequence[Sequence[Request]], watching: Watching
) -> tuple[list[float], list[float]]:
    """Send every request when it is due; seconds to its answer, and how late it went out."""
    answers: list[float] = []
    late: list[float] = []
    start = time.perf_counter() + 0.5

    def work(load: Sequence[Request]) -> None:
        with process.client() as client:
            for request in load:
                due = start + request.due
                time.sleep(max(0.0, due - time.perf_counter()))
                watching.expect(request.watched, due)
                late.append(time.perf_counter() - due)
                answer = client.call("POST", "/readings", request.body, NDJSON)
                answers.append(time.perf_counter() - due)
                if answer.status != 200:
                    raise SystemExit(f"{answer.status}: {answer.body[:300].decode()}")

    threads = [threading.Thread(target=work, args=(load,)) for load in loads]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers, late


if __name__ == "__main__":
    main()
