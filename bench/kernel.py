"""Speed and memory of the streaming detector alone, on one core.

    python bench/kernel.py [--rows 200000] [--repeat 3] [--json]

Steady: one sensor that has learned, in one batch. Learning: a sensor from its first row through its
last fit. Mixed: a thousand sensors, rows in turn. Cold: a fleet of a thousand sensors with 4
channels from nothing, rows in turn, every fit included. Best of the repeats, in seconds of
processor time, so that other work on the machine does not count.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

import numpy as np
from rich.table import Table

from common import options, show_tables
from redshank.detect.streaming import StreamingPool, learning

WIDTHS = (1, 4, 8, 38)
HEADS = (
    "channels",
    "steady rows/s",
    "mixed rows/s",
    "learning rows/s",
    "fits ms",
    "prime ms",
    "B/channel learning",
    "B/channel steady",
)
LIFE = 4352
"""Rows after which every fit has been made, however long it waited."""


@dataclass(frozen=True)
class Line:
    """Figures for one number of channels; rates in rows per second."""

    channels: int
    steady: float
    mixed: float
    learning: float
    fits_ms: tuple[float, ...]
    prime_ms: float
    bytes_learning: float
    bytes_steady: float


def signal(rows: int, channels: int) -> np.ndarray:
    """Correlated, autocorrelated channels with a cycle."""
    rng = np.random.default_rng(0)
    walk = np.cumsum(rng.normal(size=(rows, channels)), axis=0) * 0.02
    cycle = np.sin(np.arange(rows) / 40)[:, None]
    return walk + cycle + rng.normal(size=(rows, channels)) * 0.2


def timed(work: Callable[[], object], repeat: int) -> float:
    """Seconds of the fastest run."""
    best = float("inf")
    for _ in range(repeat):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return best


@contextmanager
def fits_timed() -> Iterator[list[float]]:
    """Seconds of every fit inside the block."""
    seconds: list[float] = []
    original = learning.fit

    def fit(*args: object) -> object:
        start = time.process_time()
        try:
            return original(*args)
        finally:
            seconds.append(time.process_time() - start)

    learning.fit = fit
    try:
        yield seconds
    finally:
        learning.fit = original


def steady(channels: int, rows: int, repeat: int) -> float:
    """Rows per second of one sensor that has learned."""
    values = signal(rows, channels)
    pool = StreamingPool(channels)
    pool.add()
    stamps = np.arange(rows, dtype=np.int64)
    pool.prime(0, stamps[:2000], values[:2000])
    slots = np.zeros(rows, np.int32)
    return rows / timed(lambda: pool.score(slots, stamps, values), repeat)


def mixed(channels: int, rows: int, repeat: int, sensors: int = 1000) -> float:
    """Rows per second of a fleet that has learned, one row of each sensor after another."""
    values = signal(rows, channels)
    pool = StreamingPool(channels)
    ids = pool.add(sensors)
    stamps = np.arange(rows, dtype=np.int64)
    pool.prime(0, stamps[:600], values[:600])
    pool.restore(ids[1:], pool.snapshot(ids[:1]) * (sensors - 1))
    slots = np.resize(ids, rows)
    return rows / timed(lambda: pool.score(slots, stamps, values), repeat)


def life(channels: int, repeat: int) -> tuple[float, tuple[float, ...], float, float]:
    """Rows per second through all fits, milliseconds of each, bytes while and after learning."""
    values = signal(LIFE, channels)
    slots, stamps = np.zeros(LIFE, np.int32), np.arange(LIFE, dtype=np.int64)
    best, fits, sizes = float("inf"), [], (0.0, 0.0)
    for _ in range(repeat):
        pool = StreamingPool(channels)
        one = pool.add()
        with fits_timed() as seconds:
            start = time.process_time()
            pool.score(slots[:1500], stamps[:1500], values[:1500])
            young = float(pool.slot_bytes(one)[0])
            pool.score(slots[1500:], stamps[1500:], values[1500:])
            best = min(best, time.process_time() - start)
        fits.append(seconds)
        pool.score(slots, stamps, values)
        sizes = young, float(pool.slot_bytes(one)[0])
    shortest = tuple(1e3 * min(each) for each in zip(*fits, strict=True))
    return LIFE / best, shortest, *sizes


def prime_ms(channels: int, repeat: int) -> float:
    """Milliseconds to fit on 2,000 rows at once."""
    values, stamps = signal(2000, channels), np.arange(2000, dtype=np.int64)
    pool = StreamingPool(channels)
    fresh = iter(pool.add(repeat + 1).tolist())
    return 1e3 * timed(lambda: pool.prime(next(fresh), stamps, values), repeat)


def cold(sensors: int = 1000, channels: int = 4, rows: int = 2100) -> float:
    """Rows per second of a fleet from nothing, in batches of 10,000."""
    values = signal(rows, channels)
    pool = StreamingPool(channels)
    ids = pool.add(sensors)
    order = np.tile(ids, rows)
    whole = np.repeat(values, sensors, axis=0)
    stamps = np.repeat(np.arange(rows, dtype=np.int64), sensors)
    start = time.process_time()
    for at in range(0, len(order), 10_000):
        batch = slice(at, at + 10_000)
        pool.score(order[batch], stamps[batch], whole[batch])
    return len(order) / (time.process_time() - start)


def measure(channels: int, rows: int, repeat: int) -> Line:
    """All figures for one number of channels."""
    through, fits, young, old = life(channels, repeat)
    return Line(
        channels,
        steady(channels, rows, repeat),
        mixed(channels, rows, repeat),
        through,
        fits,
        prime_ms(channels, repeat),
        young / channels,
        old / channels,
    )


def table(lines: list[Line], fleet: float) -> Table:
    """The figures as a table."""
    out = Table(title=f"Streaming detector, one core. Cold fleet of 1,000: {fleet:,.0f} rows/s")
    for head in HEADS:
        out.add_column(head, justify="right")
    for line in lines:
        out.add_row(
            str(line.channels),
            *(f"{rate:,.0f}" for rate in (line.steady, line.mixed, line.learning)),
            " ".join(f"{each:.1f}" for each in line.fits_ms),
            f"{line.prime_ms:.1f}",
            f"{line.bytes_learning:,.0f}",
            f"{line.bytes_steady:,.0f}",
        )
    return out


def main() -> None:
    """Measure and print."""
    parser = options(__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--repeat", type=int, default=3)
    args = parser.parse_args()
    lines = [measure(channels, args.rows, args.repeat) for channels in WIDTHS]
    fleet = cold()
    figures = {"lines": [asdict(line) for line in lines], "cold_fleet": fleet}
    show_tables(args, [table(lines, fleet)], figures)


if __name__ == "__main__":
    main()
