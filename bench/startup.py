"""How long it takes from the command to a service that answers, and to a page with data.

    python bench/startup.py [--sensors 1000] [--readings 1000000] [--repeat 3] [--json]

"Ready" is the first 200 of ``GET /ready``. On an empty folder; on a folder that holds a fleet's
readings, stopped in order and then killed; and with ``--demo`` from an empty folder to the first
answer of ``/sensors`` and ``/sensors/{id}/series`` that has data in it. Medians of the repeats.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import common
import throughput
from support.client import Client
from support.process import Process

PATIENCE = 120.0
NAMES = {
    "empty": "ready, empty folder",
    "stored": "ready, stored fleet, after SIGTERM",
    "killed": "ready, stored fleet, after kill -9",
    "resumed": "readings of the whole fleet after that",
    "demo_ready": "ready, --demo",
    "demo_page": "page with data, --demo",
}


def main() -> None:
    """Measure and print."""
    parser = common.options(__doc__)
    parser.add_argument("--sensors", type=int, default=1000)
    parser.add_argument("--readings", type=int, default=1_000_000)
    parser.add_argument("--repeat", type=int, default=3)
    args = parser.parse_args()
    machine = common.facts()
    with tempfile.TemporaryDirectory(prefix="redshank-bench-") as folder:
        figures = measure(args, Path(folder))
    rows = [(NAMES[name], f"{seconds:.2f}") for name, seconds in figures.items() if name in NAMES]
    title = f"start; stored fleet: {figures['readings']:,} readings of {args.sensors:,} sensors"
    common.show(args, title, ("", "seconds"), rows, figures, machine)


def measure(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Median seconds of everything."""
    stored = folder / "stored"
    fleet = argparse.Namespace(
        readings=2 * args.sensors, warm_up=args.readings, sensors=args.sensors, clients=4, body=5000
    )
    fleet.gzip = False
    history, later = throughput.encoded(fleet)
    with Process(stored) as process:
        _, accepted, _ = throughput.send(process.client, history)
        process.stop()
    figures = {
        "readings": accepted,
        "bytes": sum(file.stat().st_size for file in stored.rglob("*")),
        "empty": median(args.repeat, lambda i: started(folder / f"empty-{i}")),
        "stored": median(args.repeat, lambda i: started(stored)),
        "killed": median(args.repeat, lambda i: started(stored, kill=True)),
        "resumed": resumed(stored, later),
    }
    demos = [demo(folder / f"demo-{i}") for i in range(args.repeat)]
    for name, seconds in zip(("demo_ready", "demo_page"), zip(*demos, strict=True), strict=True):
        figures[name] = statistics.median(seconds)
    return figures


def median(repeat: int, measured: Callable[[int], float]) -> float:
    """The median of some repeats."""
    return statistics.median(measured(i) for i in range(repeat))


def started(data: Path, kill: bool = False) -> float:
    """Seconds to ready; stops it again, in order or not."""
    process = Process(data)
    seconds = process.start()
    (process.kill if kill else process.stop)()
    return seconds


def resumed(data: Path, loads: throughput.Loads) -> float:
    """Seconds for readings of every sensor to a process that has to resume all of them."""
    with Process(data) as process:
        seconds, _, _ = throughput.send(process.client, loads)
        process.stop()
    return seconds


def demo(data: Path) -> tuple[float, float]:
    """Seconds to ready, and to data for the page."""
    start = time.perf_counter()
    with Process(data, ["--demo"]) as process:
        ready = time.perf_counter() - start
        with process.client() as client:
            while not has_data(client):
                if time.perf_counter() - start > PATIENCE:
                    raise SystemExit("the demo brought no data")
                time.sleep(0.01)
        seconds = time.perf_counter() - start
        process.stop()
    return ready, seconds


def has_data(client: Client) -> bool:
    """Whether the page has a sensor with a series to show."""
    fleet = client.get("/sensors")["sensors"]
    return bool(fleet) and bool(client.get(f"/sensors/{fleet[0]['sensor_id']}/series")["time"])


if __name__ == "__main__":
    main()
