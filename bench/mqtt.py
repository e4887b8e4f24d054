"""Readings per second through a real Mosquitto, QoS 1, until they are durable and scored.

    python bench/mqtt.py [--messages 200000] [--sensors 1000] [--json]

Broker, publisher and redshank share the machine. The publisher is a process of its own that sends
packets encoded beforehand, so that it costs little; every message is acknowledged on both sides.
The clock runs from the first message until the last reading can be queried.
"""

from __future__ import annotations

import argparse
import multiprocessing
import socket
import struct
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson

import common
from support.mosquitto import Mosquitto, binary
from support.wait import until

WINDOW = 4000
"""Messages that the publisher has under way without acknowledgement."""
PIECE = 250
Message = tuple[str, bytes]


def main() -> None:
    """Measure and print."""
    parser = common.options(__doc__)
    parser.add_argument("--messages", type=int, default=200_000)
    parser.add_argument("--warm-up", type=int, default=40_000)
    parser.add_argument("--sensors", type=int, default=1000)
    args = parser.parse_args()
    if binary() is None:
        raise SystemExit("mosquitto is missing: apt-get install mosquitto")
    machine = common.facts()
    figures = {
        "json_4_channels": measure(args, "sensors/{sensor_id}", rows_of_four),
        "one_channel": measure(args, "sensors/{sensor_id}/{channel}", single_numbers),
    }
    names = {"json_4_channels": "JSON, 4 channels a message", "one_channel": "a number a message"}
    common.show(
        args,
        f"{args.messages:,} MQTT messages of {args.sensors:,} sensors, QoS 1, Mosquitto",
        ("", "readings/s", "values/s", "processor time a reading"),
        [
            (
                names[key],
                f"{found['per_second']:,.0f}",
                f"{found['values_per_second']:,.0f}",
                f"{found['server_cpu_microseconds']:.0f} µs",
            )
            for key, found in figures.items()
        ],
        figures,
        machine,
    )


def measure(args: argparse.Namespace, template: str, make: Any) -> dict[str, Any]:
    """One kind of message, on a broker and a redshank of its own."""
    with (
        tempfile.TemporaryDirectory(prefix="redshank-bench-") as folder,
        Mosquitto(Path(folder) / "broker") as broker,
        common.running(
            environment={
                "REDSHANK_MQTT_URL": broker.url,
                "REDSHANK_MQTT_TOPICS": template,
                "REDSHANK_LOG_LEVEL": "INFO",
            }
        ) as process,
    ):
        until(lambda: "connected" in process.log.read_text())
        messages = list(make(args))
        warm, load = messages[: args.warm_up], messages[args.warm_up :]
        run(broker.port, warm)
        until(lambda: stored(process) >= len(warm), 120)
        used = process.cpu_seconds()
        start = run(broker.port, load)
        until(lambda: stored(process) >= len(messages), 600)
        seconds = time.perf_counter() - start
        used = process.cpu_seconds() - used
        found = stored(process)
    if found != len(messages):
        raise SystemExit(f"{found} readings are stored, {len(messages)} were sent")
    values = len(common.CHANNELS) if make is rows_of_four else 1
    return {
        "messages": len(load),
        "seconds": seconds,
        "per_second": len(load) / seconds,
        "values_per_second": len(load) * values / seconds,
        "server_cpu_microseconds": used / len(load) * 1e6,
    }


def stored(process: common.Process) -> int:
    """Readings that can be queried."""
    with process.client() as client:
        metrics = client.call("GET", "/metrics").body.decode()
    for line in metrics.splitlines():
        if line.startswith('redshank_readings_total{source="mqtt"}'):
            return int(float(line.split()[-1]))
    return 0


# --- messages ----------------------------------------------------------------------------------


def rows_of_four(args: argparse.Namespace) -> Iterable[Message]:
    """One reading of four channels a message."""
    rows = -(-(args.messages + args.warm_up) // args.sensors)
    start = int(time.time()) // 60 * 60 - (rows + 5) * common.CADENCE
    lines = common.readings(common.signal(args.sensors, rows), 0, start)
    for line in lines[: args.messages + args.warm_up]:
        row = orjson.loads(line)
        yield f"sensors/{row.pop('sensor_id')}", orjson.dumps(row)


def single_numbers(args: argparse.Namespace) -> Iterable[Message]:
    """One number a message, sensor and channel in the topic, no time."""
    total = args.messages + args.warm_up
    rows = -(-total // (args.sensors * len(common.CHANNELS)))
    values = common.signal(args.sensors, rows)
    topics = [
        [f"sensors/{common.sensor_id(i)}/{channel}" for channel in common.CHANNELS]
        for i in range(args.sensors)
    ]
    ordered = np.transpose(values, (1, 0, 2)).tolist()
    made = (
        (topic, b"%.2f" % value)
        for row in ordered
        for names, sensor in zip(topics, row, strict=True)
        for topic, value in zip(names, sensor, strict=True)
    )
    return [message for message, _ in zip(made, range(total), strict=False)]


# --- a publisher that costs little -------------------------------------------------------------


def run(port: int, messages: Sequence[Message]) -> float:
    """Publish all of it from another process; when it began."""
    packets = [
        encoded(topic, payload, i % 65_535 + 1) for i, (topic, payload) in enumerate(messages)
    ]
    pieces = [b"".join(packets[i : i + PIECE]) for i in range(0, len(packets), PIECE)]
    ready, begin = multiprocessing.Event(), multiprocessing.Event()
    work = multiprocessing.Process(
        target=publish, args=(port, pieces, len(packets), ready, begin), daemon=True
    )
    work.start()
    ready.wait()
    start = time.perf_counter()
    begin.set()
    work.join()
    if work.exitcode:
        raise SystemExit("the publisher failed")
    return start


def publish(port: int, pieces: Sequence[bytes], total: int, ready: Any, begin: Any) -> None:
    """Send all pieces, never more than a window ahead of the broker's acknowledgements."""
    with socket.create_connection(("127.0.0.1", port)) as broker:
        broker.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        head = b"\x00\x04MQTT\x04\x02\x00\x00\x00\x09publisher"
        broker.sendall(b"\x10" + bytes([len(head)]) + head)
        if broker.recv(4)[3:] != b"\x00":
            raise SystemExit("the broker refuses the publisher")
        ready.set()
        begin.wait()
        sent, acknowledged = 0, 0
        waiting = iter(pieces)
        while acknowledged < 4 * total:
            piece = next(waiting, b"") if sent - acknowledged // 4 < WINDOW else b""
            if piece:
                broker.sendall(piece)
                sent += PIECE
            else:
                acknowledged += len(broker.recv(65_536))


def encoded(topic: str, payload: bytes, mid: int) -> bytes:
    """A PUBLISH of MQTT 3.1.1 with QoS 1."""
    name = topic.encode()
    body = struct.pack(">H", len(name)) + name + struct.pack(">H", mid) + payload
    size, length = len(body), b""
    while size > 0x7F:
        length += bytes([size & 0x7F | 0x80])
        size >>= 7
    return b"\x32" + length + bytes([size]) + body


if __name__ == "__main__":
    main()
