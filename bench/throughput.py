"""How many readings per second, from the socket to the disk, and beside what people write by hand.

    python bench/throughput.py [--readings 400000] [--clients 4] [--gzip] [--json]

End to end: clients send NDJSON over HTTP to a real ``redshank run`` on the same cores; a reading
counts when its request is answered, that is when it is on the disk, scored and can be queried. The
bodies are encoded before the clock starts. Sensors start from nothing, so learning is included.
Pipeline: detection on columns, without network and store. Kernel: the streaming detector alone.
One row at a time: parse the JSON, score one row, INSERT it, commit. Pipeline and kernel count
processor time of one core, everything else wall-clock time.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import common
import kernel
from redshank.core.clock import SystemClock
from redshank.core.decode import decode_ndjson
from redshank.core.records import SensorInfo
from redshank.pipeline.budget import Budget
from redshank.pipeline.pipeline import Pipeline
from support.client import NDJSON, Client

FITTED_ROWS = 2000
"""Rows that the models of the one-row loops have learned before the clock starts."""
LOOP_SECONDS = 10.0
Loads = Sequence[Sequence[bytes]]
"""The bodies of each client."""


def main() -> None:
    """Measure and print."""
    parser = common.options(__doc__)
    parser.add_argument("--readings", type=int, default=400_000)
    parser.add_argument("--warm-up", type=int, default=100_000)
    parser.add_argument("--sensors", type=int, default=1000)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--body", type=int, default=5000, help="readings of one request")
    parser.add_argument("--gzip", action="store_true")
    args = parser.parse_args()
    machine = common.facts()
    figures = measure(args)
    common.show(
        args,
        f"{figures['end_to_end']['readings']:,} readings of {args.sensors:,} sensors, 4 channels",
        ("", "readings/s", "end to end is"),
        list(table(figures)),
        figures,
        machine,
    )


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """All figures."""
    lines = common.readings(common.signal(1, FITTED_ROWS + 20_000), 0, 1_700_000_000)
    whole = end_to_end(args)
    loops = {
        "isolation_forest_loop": loop(forest(lines), lines[FITTED_ROWS:]),
        "half_space_trees_loop": loop(half_space_trees(lines), lines[FITTED_ROWS:]),
    }
    return {
        "end_to_end": whole,
        "pipeline": pipeline(args.sensors),
        "pipeline_settled": pipeline(20, 7000, 5000),
        "kernel_8_channels": kernel.steady(8, 200_000, 3),
        "kernel_4_channels": kernel.steady(4, 200_000, 3),
        **loops,
        "times_isolation_forest": whole["per_second"] / loops["isolation_forest_loop"],
        "times_half_space_trees": whole["per_second"] / loops["half_space_trees_loop"],
    }


def table(figures: dict[str, Any]) -> Iterable[tuple[str, str, str]]:
    """Lines to print."""
    whole = figures["end_to_end"]["per_second"]
    names = {
        "pipeline": "pipeline alone, one core, sensors at their first fit",
        "pipeline_settled": "pipeline alone, one core, sensors that have learned",
        "kernel_8_channels": "kernel alone, 8 channels, one core",
        "kernel_4_channels": "kernel alone, 4 channels, one core",
        "isolation_forest_loop": "row by row: IsolationForest, INSERT, commit",
        "half_space_trees_loop": "row by row: river HalfSpaceTrees, INSERT, commit",
    }
    yield "end to end: HTTP in, durable, scored, queryable", f"{whole:,.0f}", ""
    for key, name in names.items():
        rate = figures[key]
        yield name, f"{rate:,.0f}", f"{whole / rate:,.{0 if whole > 9 * rate else 2}f} times"


# --- end to end --------------------------------------------------------------------------------


def end_to_end(args: argparse.Namespace) -> dict[str, Any]:
    """Readings per second from several clients to the disk of a real process."""
    warm, loads = encoded(args)
    with common.running() as process:
        send(process.client, warm)
        used = process.cpu_seconds()
        seconds, accepted, waits = send(process.client, loads)
        used = process.cpu_seconds() - used
        with process.client() as client:
            stored = check(client, args.sensors)
    if stored != args.sensors * rows_each(args):
        raise SystemExit(
            f"{stored} readings are stored, {args.sensors * rows_each(args)} were sent"
        )
    return {
        "readings": accepted,
        "seconds": seconds,
        "per_second": accepted / seconds,
        "server_cpu_seconds": used,
        "bytes": sum(len(body) for load in loads for body in load),
        "request_ms": common.percentiles(waits),
    }


def rows_each(args: argparse.Namespace) -> int:
    """Readings of one sensor, warm-up included."""
    return -(-args.warm_up // args.sensors) + -(-args.readings // args.sensors)


def encoded(args: argparse.Namespace) -> tuple[Loads, Loads]:
    """Bodies for the warm-up and for the measurement; each client has sensors of its own."""
    first, rows = -(-args.warm_up // args.sensors), rows_each(args)
    start = int(time.time()) // 60 * 60 - (rows + 5) * common.CADENCE
    parts = np.array_split(common.signal(args.sensors, rows), args.clients)
    warm, loads, sensor = [], [], 0
    for values in parts:
        lines = common.readings(values, sensor, start)
        cut = first * len(values)
        warm.append(common.bodies(lines[:cut], args.body))
        loads.append(common.bodies(lines[cut:], args.body))
        sensor += len(values)
    if args.gzip:
        loads = [[gzip.compress(body, 6) for body in load] for load in loads]
        warm = [[gzip.compress(body, 6) for body in load] for load in warm]
    return warm, loads


def send(
    connect: Callable[[], Client], loads: Loads, post: Callable[[Client, bytes], int] | None = None
) -> tuple[float, int, list[float]]:
    """Seconds until all clients have their answers, readings accepted, seconds of each request."""
    post = post or post_lines
    accepted: list[int] = []
    waits: list[float] = []

    def work(load: Sequence[bytes]) -> None:
        with connect() as client:
            for body in load:
                start = time.perf_counter()
                accepted.append(post(client, body))
                waits.append(time.perf_counter() - start)

    threads = [threading.Thread(target=work, args=(load,)) for load in loads]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - start, sum(accepted), waits


def post_lines(client: Client, body: bytes) -> int:
    """Readings accepted of one body; waits when the server asks for it."""
    packed = {"Content-Encoding": "gzip"} if body[:2] == b"\x1f\x8b" else {}
    while True:
        answer = client.call("POST", "/readings", body, {**NDJSON, **packed})
        if answer.status == 200:
            return int(answer.json()["accepted"])
        if answer.status != 429:
            raise SystemExit(f"{answer.status}: {answer.body[:500].decode()}")
        time.sleep(float(answer.headers["retry-after"]))


def check(client: Client, sensors: int) -> int:
    """Readings that can be queried; every hundredth sensor's rows are counted one by one."""
    stored = 0
    for offset in range(0, sensors, 1000):
        page = client.get("/sensors", {"limit": 1000, "offset": offset})["sensors"]
        stored += sum(sensor["readings"] for sensor in page)
    for number in range(0, sensors, 100):
        name = common.sensor_id(number)
        found = client.get(f"/sensors/{name}")
        span = {"start": found["first_seen"], "end": found["last_seen"], "points": 5000}
        series = client.get(f"/sensors/{name}/series", span)
        if len(series["time"]) != found["readings"] or len(series["rate"]) != found["readings"]:
            raise SystemExit(f"{name}: {len(series['time'])} rows of {found['readings']}")
    return stored


# --- parts alone -------------------------------------------------------------------------------


def pipeline(sensors: int, rows: int = 300, warm: int = 100) -> float:
    """Readings per second of one core through check, detector, decision and incidents."""
    made = Pipeline(Budget(), SensorInfo)
    lines = common.readings(common.signal(sensors, rows), 0, 1_700_000_000)
    now = SystemClock().now()
    parts = [decode_ndjson(body, arrival=now).batches for body in common.bodies(lines, 10_000)]
    for sensor in range(sensors):
        made.adopt(common.sensor_id(sensor), None)
    first = warm * sensors // 10_000
    for part in parts[:first]:
        made.run(part, now)
    start = time.process_time()
    for part in parts[first:]:
        made.run(part, now)
    return sum(len(b) for part in parts[first:] for b in part) / (time.process_time() - start)


# --- one row at a time -------------------------------------------------------------------------

Score = Callable[[dict[str, Any]], float]


def loop(score: Score, lines: Iterable[bytes]) -> float:
    """Rows per second as a script does it: parse, score, INSERT, commit."""
    with tempfile.TemporaryDirectory(prefix="redshank-bench-") as folder:
        table = sqlite3.connect(Path(folder) / "loop.sqlite")
        table.execute("CREATE TABLE readings (sensor TEXT, time TEXT, body TEXT, score REAL)")
        start, done = time.perf_counter(), 0
        for line in lines:
            row = json.loads(line)
            table.execute(
                "INSERT INTO readings VALUES (?, ?, ?, ?)",
                (row["sensor_id"], row["timestamp"], line.decode(), score(row)),
            )
            table.commit()
            done += 1
            if time.perf_counter() - start > LOOP_SECONDS:
                break
        seconds = time.perf_counter() - start
        table.close()
    return done / seconds


def forest(lines: Sequence[bytes]) -> Score:
    """scikit-learn's IsolationForest with its usual 100 trees."""
    from sklearn.ensemble import IsolationForest

    learned = [json.loads(line) for line in lines[:FITTED_ROWS]]
    model = IsolationForest(n_estimators=100, random_state=0)
    model.fit([[row[name] for name in common.CHANNELS] for row in learned])

    def score(row: dict[str, Any]) -> float:
        return float(model.score_samples([[row[name] for name in common.CHANNELS]])[0])

    return score


def half_space_trees(lines: Sequence[bytes]) -> Score:
    """river's HalfSpaceTrees, which learns from every row."""
    from river.anomaly import HalfSpaceTrees
    from river.preprocessing import MinMaxScaler

    scaler, model = MinMaxScaler(), HalfSpaceTrees(seed=0)

    def score(row: dict[str, Any]) -> float:
        values = {name: row[name] for name in common.CHANNELS}
        scaler.learn_one(values)
        scaled = scaler.transform_one(values)
        found = model.score_one(scaled)
        model.learn_one(scaled)
        return float(found)

    for line in lines[:FITTED_ROWS]:
        score(json.loads(line))
    return score


if __name__ == "__main__":
    main()
