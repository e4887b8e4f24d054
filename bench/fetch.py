"""How fast the past of an openSenseMap box is fetched, scored and stored.

    python bench/fetch.py [--days 30] [--every 60] [--json]

A month of seven channels of one box from a server on this machine that pages, cuts and compresses
as the real one does; ``redshank fetch`` runs as a process of its own, start and end included. Flat
out: no pause between requests. Polite: a second between two requests, as the real server is asked.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import orjson

import common
from redshank.core.clock import DAY, SECOND, format_time, parse_time
from support.opensensemap import Server
from support.process import own_environment

BOX = "57000b8745fd40c8196ad04c"
START = parse_time("2026-01-01T00:00:00Z")
CHANNELS = (
    ("Temperatur", "°C", 15.0),
    ("rel. Luftfeuchte", "%", 60.0),
    ("Luftdruck", "hPa", 1013.0),
    ("PM10", "µg/m³", 12.0),
    ("PM2.5", "µg/m³", 8.0),
    ("Beleuchtungsstärke", "lx", 500.0),
    ("UV-Intensität", "μW/cm²", 40.0),
)


def main() -> None:
    """Measure and print."""
    parser = common.options(__doc__)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--every", type=int, default=60, help="seconds between two uploads")
    args = parser.parse_args()
    machine = common.facts()
    figures = {}
    with Server() as server:
        fill(server, args)
        for name, spacing, target in (
            ("flat out, into the store", 0.0, None),
            ("flat out, into a file", 0.0, "box.parquet"),
            ("polite, into the store", 1.0, None),
        ):
            figures[name] = fetch(server, args, spacing, target)
    values = next(iter(figures.values()))["values"]
    common.show(
        args,
        f"{args.days} days of 7 channels every {args.every} s: {values:,} values",
        ("", "seconds", "values/s", "requests"),
        [
            (name, f"{f['seconds']:.1f}", f"{f['per_second']:,.0f}", str(f["requests"]))
            for name, f in figures.items()
        ],
        figures,
        machine,
    )


def fill(server: Server, args: argparse.Namespace) -> None:
    """The box and its values: a daily cycle and noise."""
    sensors = [(f"{BOX[:-2]}{i:02}", *pair[:2]) for i, pair in enumerate(CHANNELS)]
    server.add_box(BOX, sensors)
    times = np.arange(START, START + args.days * DAY, args.every * SECOND)
    rng = np.random.default_rng(0)
    for (sensor, _, _), (_, _, centre) in zip(sensors, CHANNELS, strict=True):
        values = centre * (1 + 0.1 * np.sin(2 * np.pi * times / DAY))
        values = values + rng.normal(0, centre / 200, len(times))
        server.fill(sensor, times.tolist(), values.round(2).tolist())


def fetch(
    server: Server, args: argparse.Namespace, spacing: float, target: str | None
) -> dict[str, Any]:
    """One run of the command; fails if anything is missing."""
    environment = {
        **own_environment(),
        "REDSHANK_OPENSENSEMAP_URL": server.url,
        "REDSHANK_OPENSENSEMAP_ARCHIVE_URL": "none",
        "REDSHANK_OPENSENSEMAP_SPACING_SECONDS": str(spacing),
    }
    span = ["--from", format_time(START), "--to", format_time(START + args.days * DAY)]
    command = [sys.executable, "-m", "redshank.cli", "fetch", BOX, *span, "--json"]
    before = len(server.requests)
    with tempfile.TemporaryDirectory(prefix="redshank-bench-") as folder:
        where = ["-o", str(Path(folder) / target)] if target else ["--data", folder]
        begun = time.perf_counter()
        done = subprocess.run(
            [*command, *where], env=environment, cwd=folder, check=True, capture_output=True
        )
        seconds = time.perf_counter() - begun
    rows = args.days * 86_400 // args.every
    found = orjson.loads(done.stdout)
    stored = found["rows"] if target else found["boxes"][0]["stored"]
    if stored != rows:
        raise SystemExit(f"{stored} of {rows} readings came")
    values = rows * len(CHANNELS)
    return {
        "values": values,
        "seconds": round(seconds, 2),
        "per_second": round(values / seconds),
        "requests": len(server.requests) - before,
    }


if __name__ == "__main__":
    main()
