"""Readings per second by format, from the socket to the disk of a real process.

    python bench/formats.py [--readings 200000] [--clients 4] [--encoding gzip] [--json]

The same readings of weather stations as NDJSON, line protocol and CSV, each to a fresh
``redshank run`` on the same cores; a reading counts when its request is answered, that is when it
is durable and scored. Bodies are encoded before the clock starts; learning is included. "decoding"
is the processor time of one core for decoding the same bodies alone.
"""

from __future__ import annotations

import argparse
import gzip
import time
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import orjson

import common
import throughput
from redshank.core.clock import SystemClock, parse_time
from redshank.core.csv_readings import CsvDecoder
from redshank.core.decode import decode_ndjson
from redshank.core.decoded import Decoded
from redshank.core.line_protocol import decode_lines
from support.client import NDJSON, Client

CSV = {"Content-Type": "text/csv"}
LINES = {"Content-Type": "application/vnd.influx.line"}
PACK: dict[str, Callable[[bytes], bytes]] = {
    "identity": bytes,
    "gzip": lambda body: gzip.compress(body, 6),
    "deflate": zlib.compress,
}
Loads = Sequence[Sequence[bytes]]


def main() -> None:
    """Measure and print."""
    parser = common.options(__doc__)
    parser.add_argument("--readings", type=int, default=200_000)
    parser.add_argument("--warm-up", type=int, default=50_000)
    parser.add_argument("--sensors", type=int, default=1000)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--body", type=int, default=5000, help="readings of one request")
    parser.add_argument("--encoding", choices=list(PACK), default="identity")
    parser.set_defaults(gzip=False)
    args = parser.parse_args()
    machine = common.facts()
    warm, loads = throughput.encoded(args)
    figures = {name: measure(args, name, warm, loads) for name in FORMATS}
    common.show(
        args,
        f"{args.readings:,} readings of {args.sensors:,} sensors, 4 channels, {args.encoding}",
        ("format", "readings/s", "decoding, readings/s", "bytes/reading"),
        [
            (name, f"{f['per_second']:,.0f}", f"{f['decoding']:,.0f}", f"{f['bytes']:.0f}")
            for name, f in figures.items()
        ],
        figures,
        machine,
    )


def measure(args: argparse.Namespace, name: str, warm: Loads, loads: Loads) -> dict[str, Any]:
    """The rate of one format end to end, and of its decoder alone."""
    headers, encode, decode = FORMATS[name]
    plain = [[encode(body) for body in load] for load in loads]
    first = [[encode(body) for body in load] for load in warm]
    pack = PACK[args.encoding]
    with common.running() as process:
        post = poster(headers, args.encoding)
        throughput.send(process.client, [[pack(body) for body in load] for load in first], post)
        packed = [[pack(body) for body in load] for load in plain]
        seconds, accepted, _ = throughput.send(process.client, packed, post)
    return {
        "per_second": accepted / seconds,
        "decoding": decoding(decode, [body for load in plain for body in load]),
        "bytes": sum(len(body) for load in packed for body in load) / accepted,
    }


def poster(headers: dict[str, str], encoding: str) -> Callable[[Client, bytes], int]:
    """Posts a body and tells how many readings were accepted."""
    sent = headers if encoding == "identity" else {**headers, "Content-Encoding": encoding}

    def post(client: Client, body: bytes) -> int:
        while True:
            answer = client.call("POST", "/readings", body, sent)
            if answer.status == 200:
                return int(answer.json()["accepted"])
            if answer.status != 429:
                raise SystemExit(f"{answer.status}: {answer.body[:500].decode()}")
            time.sleep(float(answer.headers["retry-after"]))

    return post


def decoding(decode: Callable[[bytes, int], Decoded], bodies: Sequence[bytes]) -> float:
    """Readings per second of one core that only decodes."""
    now = SystemClock().now()
    start = time.process_time()
    count = sum(decode(body, now).count for body in bodies)
    return count / (time.process_time() - start)


# --- the same rows in other formats --------------------------------------------------------------


def as_lines(body: bytes) -> bytes:
    """NDJSON as line protocol."""
    return b"\n".join(map(_line, map(orjson.loads, body.splitlines())))


def _line(row: dict[str, Any]) -> bytes:
    sensor, stamp = row.pop("sensor_id"), parse_time(row.pop("timestamp")) * 1000
    fields = ",".join(f"{name}={value}" for name, value in row.items())
    return f"sensor,device={sensor} {fields} {stamp}".encode()


def as_csv(body: bytes) -> bytes:
    """NDJSON as CSV."""
    rows = [orjson.loads(line) for line in body.splitlines()]
    cells = (",".join(map(str, row.values())) for row in rows)
    return "\n".join([",".join(rows[0]), *cells]).encode()


FORMATS: dict[str, tuple[dict[str, str], Callable[[bytes], bytes], Any]] = {
    "NDJSON": (NDJSON, bytes, lambda body, now: decode_ndjson(body, arrival=now)),
    "line protocol": (LINES, as_lines, lambda body, now: decode_lines(body, arrival=now)),
    "CSV": (CSV, as_csv, lambda body, now: CsvDecoder().decode(body, arrival=now)),
}

if __name__ == "__main__":
    main()
