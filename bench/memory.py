"""Memory and time of the detector for small and large fleets.

    python bench/memory.py [--sensors 1000 100000 1000000] [--channels 1 4] [--budget-gb 6] [--json]

Every size runs in a process of its own. New sensors see their first 24 rows. Learning and settled
ones continue from the state of one sensor with that many rows behind it, and see 4 more. A sensor
that reports every minute is scored on two time scales, one that reports every five minutes on one:
both are measured, learning (1,500 rows; the slow scale of the first kind 15,000) and settled, past
the last fit of each. Rows come in turn, one of each sensor after another, in batches of 10,000;
what a row costs should not depend on the size of the fleet. State is what the engine's arrays take;
memory is what the process grew by, which says little of few sensors.
Sizes that would not fit into the budget, judged by the size before, are skipped and named.
"""

from __future__ import annotations

import argparse
import itertools
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import orjson

import common
from redshank.core.clock import MINUTE, SECOND
from redshank.detect.engine import Engine

BATCH = 10_000
FAST, SLOW = MINUTE, 5 * MINUTE
"""Time between two rows of sensors with two time scales, and with one."""
PHASES = {
    "new": (0, 24, FAST),
    "learning, 5 min": (1500, 4, SLOW),
    "settled, 5 min": (5300, 4, SLOW),
    "learning, 1 min": (15_000, 4, FAST),
    "settled, 1 min": (53_000, 4, FAST),
}
"""Rows that each sensor has behind it, rows of each that are timed, and the time between two."""
AT_ONCE = 2000
"""Rows that are learned at once."""
LEAST_SENSORS = 10_000
"""Sensors from which on the growth of the process is worth printing."""
RESERVE = 1.4
"""Arrays grow by more than they need."""
START = 1_700_000_000 * SECOND


def main() -> None:
    """Measure every size in a process of its own, and print."""
    parser = common.options(__doc__)
    parser.add_argument("--sensors", type=int, nargs="+", default=[1000, 100_000, 1_000_000])
    parser.add_argument("--channels", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--budget-gb", type=float, default=6.0, help="most memory to use")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(orjson.dumps(measure(args.one[0], int(args.one[1]), int(args.one[2]))).decode())
        return
    machine = common.facts()
    lines, skipped = [], []
    for phase, channels in itertools.product(PHASES, args.channels):
        each = 0.0
        for sensors in sorted(args.sensors):
            if each * sensors > args.budget_gb * 1e9:
                skipped.append({"phase": phase, "channels": channels, "sensors": sensors})
                continue
            line = apart(phase, channels, sensors)
            each = line["state_bytes"] / sensors * RESERVE
            lines.append(line)
    figures = {"lines": lines, "skipped": skipped}
    heads = ("", "channels", "sensors", "state B/channel", "RSS B/channel", "µs/row")
    common.show(
        args, "memory of the detector", heads, list(table(lines, skipped)), figures, machine
    )


def apart(phase: str, channels: int, sensors: int) -> dict[str, Any]:
    """The figures of one size, from a process of its own."""
    command = [sys.executable, __file__, "--one", phase, str(channels), str(sensors)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    return dict(orjson.loads(done.stdout))


def table(lines: list[dict[str, Any]], skipped: list[dict[str, Any]]) -> Iterable[tuple[str, ...]]:
    """Lines to print."""
    for line in lines:
        few = line["sensors"] < LEAST_SENSORS
        yield (
            line["phase"],
            str(line["channels"]),
            f"{line['sensors']:,}",
            f"{line['state_bytes'] / line['sensors'] / line['channels']:,.0f}",
            "" if few else f"{line['rss_bytes'] / line['sensors'] / line['channels']:,.0f}",
            f"{line['us_per_row']:.2f}",
        )
    for line in skipped:
        size = (line["phase"], str(line["channels"]), f"{line['sensors']:,}")
        yield (*size, "skipped", "over the budget", "")


# --- one size ----------------------------------------------------------------------------------


def measure(phase: str, channels: int, sensors: int) -> dict[str, Any]:
    """Bytes and microseconds of one size, in this process."""
    names = common.CHANNELS[:channels]
    past, rows, every = PHASES[phase]
    state = learned(names, past, every) if past else None
    before = resident()
    engine = Engine()
    slots = np.array([engine.add() for _ in range(sensors)], np.int32)
    if state is not None:
        for slot in slots.tolist():
            engine.restore(slot, state)
    seconds = turns(engine, names, slots, (past, rows, every))
    return {
        "phase": phase,
        "channels": channels,
        "sensors": sensors,
        "state_bytes": engine.state_bytes(),
        "rss_bytes": resident() - before,
        "us_per_row": seconds / (sensors * rows) * 1e6,
    }


def learned(names: tuple[str, ...], rows: int, every: int) -> bytes:
    """The state of a sensor with so many rows behind it."""
    engine = Engine()
    slot = engine.add()
    values = common.signal(1, rows)[0, :, : len(names)]
    time_of = START + np.arange(rows) * every
    for at in range(0, rows, AT_ONCE):
        part = slice(at, at + AT_ONCE)
        few = np.ascontiguousarray(values[part])
        engine.run(np.full(len(few), slot, np.int32), time_of[part], names, few)
    return engine.snapshot(slot)


def turns(
    engine: Engine, names: tuple[str, ...], slots: np.ndarray, phase: tuple[int, int, int]
) -> float:
    """Processor seconds for so many rows of each sensor, one of each after another."""
    first, rows, every = phase
    few = common.signal(min(len(slots), 1000), rows, 1)[:, :, : len(names)]
    seconds = 0.0
    for row in range(rows):
        values = np.resize(few[:, row], (len(slots), len(names)))
        stamps = np.full(len(slots), START + (first + row) * every)
        for at in range(0, len(slots), BATCH):
            part = slice(at, at + BATCH)
            start = time.process_time()
            engine.run(slots[part], stamps[part], names, values[part])
            seconds += time.process_time() - start
    return seconds


def resident() -> int:
    """Bytes of memory that this process occupies; 0 where the system does not tell."""
    statm = Path("/proc/self/statm")
    if not statm.exists():
        return 0
    return int(statm.read_text().split()[1]) * 4096


if __name__ == "__main__":
    main()
