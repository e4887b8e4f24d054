"""What the benchmarks share: a real redshank to call, readings to send, facts, tables."""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from rich.console import Console
from rich.table import Table

from redshank.detect.alarm import decide_series

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from support.process import Process

__all__ = [
    "Process",
    "alarm_bits",
    "bodies",
    "facts",
    "options",
    "percentiles",
    "readings",
    "running",
    "show",
    "show_tables",
]

CADENCE = 60
"""Seconds between two readings of a sensor."""
CHANNELS = ("temperature", "humidity", "pressure", "pm25")
_CENTRE = np.array([18.0, 60.0, 1013.0, 9.0])
_SWING = np.array([6.0, 15.0, 4.0, 3.0])
_NOISE = np.array([0.1, 0.5, 0.1, 0.4])


def signal(sensors: int, rows: int, seed: int = 0) -> np.ndarray:
    """(sensors, rows, 4) values as of weather stations: a daily cycle, slow drift, noise."""
    rng = np.random.default_rng(seed)
    phase = rng.uniform(0, 2 * np.pi, (sensors, 1))
    day = np.sin(2 * np.pi * np.arange(rows) * CADENCE / 86_400 + phase)[:, :, None]
    drift = np.cumsum(rng.normal(size=(sensors, rows, 4)), axis=1) * 0.02
    noise = rng.normal(size=(sensors, rows, 4))
    return (_CENTRE + _SWING * day + _NOISE * (drift + noise)).round(2)


def alarm_bits(rate: np.ndarray, budget: float) -> np.ndarray:
    """(n,) alarm bits of stored rates at a budget, where only rows count."""
    return decide_series(np.zeros(len(rate), np.int64), rate.astype(np.float32), budget)


def sensor_id(number: int) -> str:
    """The name of a sensor."""
    return f"sensor-{number:06}"


def readings(values: np.ndarray, first_sensor: int, start: int, first_row: int = 0) -> list[bytes]:
    """One JSON line a reading, in time order.

    Args:
        values: (sensors, rows, 4).
        first_sensor: number of the first sensor.
        start: event time of row 0, seconds.
        first_row: number of the first row of ``values``.
    """
    sensors, rows, _ = values.shape
    times = start + (first_row + np.arange(rows)) * CADENCE
    stamps = np.datetime_as_string(times.astype("datetime64[s]"), timezone="UTC").tolist()
    names = [sensor_id(first_sensor + i) for i in range(sensors)]
    return [
        orjson.dumps(
            {"sensor_id": name, "timestamp": stamp, **dict(zip(CHANNELS, row, strict=True))}
        )
        for stamp, column in zip(stamps, values.transpose(1, 0, 2).tolist(), strict=True)
        for name, row in zip(names, column, strict=True)
    ]


def bodies(lines: Sequence[bytes], size: int) -> list[bytes]:
    """NDJSON bodies of so many readings each."""
    return [b"\n".join(lines[i : i + size]) for i in range(0, len(lines), size)]


@contextmanager
def running(
    arguments: Sequence[str] = (), environment: Mapping[str, str] | None = None
) -> Iterator[Process]:
    """A redshank on an empty folder; the folder goes with it."""
    quiet = {"REDSHANK_LOG_LEVEL": "WARNING", **(environment or {})}
    with (
        tempfile.TemporaryDirectory(prefix="redshank-bench-") as folder,
        Process(Path(folder) / "data", arguments, quiet) as process,
    ):
        yield process
        process.stop()


def percentiles(seconds: Sequence[float] | np.ndarray) -> dict[str, float]:
    """Milliseconds: median, 95 %, 99 % and the longest."""
    found = np.percentile(np.asarray(seconds) * 1e3, [50, 95, 99, 100])
    return dict(zip(("p50", "p95", "p99", "max"), found.round(2).tolist(), strict=True))


def facts() -> dict[str, Any]:
    """What the figures were measured on."""
    return {
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "load_before": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"


def options(description: str | None) -> argparse.ArgumentParser:
    """A parser with what every benchmark understands."""
    parser = argparse.ArgumentParser(description=(description or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def show_tables(
    args: argparse.Namespace, tables: Iterable[Table], figures: Mapping[str, Any]
) -> None:
    """Print tables, or their figures as JSON if asked for."""
    if args.json:
        how = orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY
        print(orjson.dumps(figures, option=how).decode())
        return
    console = Console(width=None if sys.stdout.isatty() else 140)
    for table in tables:
        console.print(table)


def show(
    args: argparse.Namespace,
    title: str,
    heads: Sequence[str],
    rows: Sequence[Sequence[str]],
    figures: Mapping[str, Any],
    machine: Mapping[str, Any],
) -> None:
    """Print the figures as a table, or as JSON if asked for."""
    if args.json:
        print(orjson.dumps({"machine": machine, **figures}, option=orjson.OPT_INDENT_2).decode())
        return
    caption = f"{machine['cpu']}, {machine['cores']} cores, Python {machine['python']}"
    table = Table(title=title, caption=f"{caption}; load before: {machine['load_before']}")
    table.add_column(heads[0])
    for head in heads[1:]:
        table.add_column(head, justify="right")
    for row in rows:
        table.add_row(*row)
    Console().print(table)
