"""Streams without anomalies, of kinds that sensors in use send, at any cadence.

Seasons, gaps and pauses between commands are in event time; memory of the noise is in rows, as the
names say. ``stream`` makes one, from its first reading on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from real_days import real_days
from redshank.core.clock import HOUR, SECOND

DAY_SECONDS = 86_400
BLOCK = 256
"""Rows that are smoothed at once."""
START = 1_735_689_600 * SECOND
"""2025-01-01T00:00Z."""

Rng = np.random.Generator
Values = np.ndarray


@dataclass(frozen=True)
class Stream:
    """Readings of one sensor.

    Attributes:
        channels: c names.
        time: (n,) event time, microseconds.
        values: (n, c).
        measured: columns that measure; the others are commands.
    """

    channels: tuple[str, ...]
    time: np.ndarray
    values: Values
    measured: tuple[int, ...]


def smooth(noise: Values, memory: float) -> Values:
    """First-order autoregression of unit variance, in its steady state from row 0 on."""
    n, channels = noise.shape
    blocks = np.zeros((-(-n // BLOCK), BLOCK, channels))
    rows = blocks.reshape(-1, channels)
    rows[:n] = noise * np.sqrt(1 - memory**2)
    rows[0] = noise[0]
    lag = np.arange(BLOCK)[:, None] - np.arange(BLOCK)
    out = np.where(lag >= 0, memory ** np.maximum(lag, 0), 0.0) @ blocks
    fading = memory ** np.arange(1, BLOCK + 1)[:, None]
    for before, block in pairwise(out):
        block += fading * before[-1]
    return out.reshape(-1, channels)[:n]


def white(rng: Rng, n: int, per_day: float) -> Values:
    """Independent readings."""
    return rng.normal(size=(n, 1))


def persistent(rng: Rng, n: int, per_day: float) -> Values:
    """AR(1) .99."""
    return smooth(rng.normal(size=(n, 1)), 0.99)


def seasons(rng: Rng, n: int, per_day: float) -> Values:
    """Day and week, with noise that is three times as strong in the afternoon as at night."""
    t = np.arange(n)[:, None] / per_day
    spread = 0.2 + 0.1 * np.sin(2 * np.pi * t + 1)
    week = 0.5 * np.sin(2 * np.pi * t / 7)
    return 2 * np.sin(2 * np.pi * t) + week + spread * smooth(rng.normal(size=(n, 1)), 0.7)


def heavy_tails(rng: Rng, n: int, per_day: float) -> Values:
    """Student's t with three degrees of freedom."""
    return rng.standard_t(3, size=(n, 1))


def volatile(rng: Rng, n: int, per_day: float) -> Values:
    """Calm and lively spells of some hundred rows each."""
    lively = np.cumsum(rng.random(n) < 0.005) % 2
    return smooth(rng.normal(size=(n, 1)), 0.9) * (1 + 2 * lively[:, None])


def commands(rng: Rng, n: int, per_day: float) -> Values:
    """A command that is switched in bursts, hours apart, and what follows it."""
    command = np.zeros(n)
    row, pause = 0, max(2 * per_day / 24, 30)
    while row < n:
        row += int(rng.exponential(pause)) + 1
        for _ in range(rng.integers(3, 12)):
            length = int(rng.exponential(12)) + 1
            command[row : row + length] = rng.integers(0, 3)
            row += length
    answer = smooth(command[:, None], 0.7) * 2 + 0.2 * smooth(rng.normal(size=(n, 1)), 0.8)
    return np.hstack([command[:, None], answer])


def quantised(rng: Rng, n: int, per_day: float) -> Values:
    """In steps of half a degree, on one step for nineteen rows of twenty."""
    return 21 + 0.5 * np.round(0.25 * smooth(rng.normal(size=(n, 1)), 0.98))


def saturating(rng: Rng, n: int, per_day: float) -> Values:
    """Humidity that is at its bound for a third of the time."""
    t = np.arange(n)[:, None] / per_day
    level = 90 + 15 * np.sin(2 * np.pi * t) + 3 * smooth(rng.normal(size=(n, 1)), 0.9)
    return np.minimum(level, 100).round(2)


def correlated(rng: Rng, n: int, per_day: float) -> Values:
    """Four channels of three common sources."""
    sources = smooth(rng.normal(size=(n, 3)), 0.9)
    return sources @ rng.normal(size=(3, 4)) + 0.2 * rng.normal(size=(n, 4))


def independent(rng: Rng, n: int, per_day: float) -> Values:
    """Four channels that have nothing to do with one another."""
    return smooth(rng.normal(size=(n, 4)), 0.9)


Make = Callable[[Rng, int, float], Values]
REGULAR: dict[str, tuple[Make, tuple[str, ...]]] = {
    "white": (white, ("value",)),
    "AR(1) .99": (persistent, ("value",)),
    "day and week": (seasons, ("temperature",)),
    "Student t, 3": (heavy_tails, ("value",)),
    "calm and lively": (volatile, ("value",)),
    "commands in bursts": (commands, ("command", "answer")),
    "quantised": (quantised, ("temperature",)),
    "saturating": (saturating, ("humidity",)),
    "4 correlated": (correlated, ("a", "b", "c", "d")),
    "4 independent": (independent, ("a", "b", "c", "d")),
}
IRREGULAR = "irregular, gaps"
REAL = "real days"
KINDS = (*REGULAR, IRREGULAR, REAL)


def stream(
    kind: str, interval: float, days: float, seed: tuple[int, ...], data: Path | None
) -> Stream | None:
    """One sensor's readings; None where there are no real ones at such a cadence.

    Args:
        kind: one of ``KINDS``.
        interval: seconds between readings.
        days: how long.
        seed: of all random numbers.
        data: folder with real readings; None for those that come with redshank.
    """
    rng = np.random.default_rng([KINDS.index(kind), round(interval), *seed])
    n, per_day = round(days * DAY_SECONDS / interval), DAY_SECONDS / interval
    if kind == REAL:
        found = real_days(rng, interval, days, data)
        return None if found is None else _real(*found)
    if kind == IRREGULAR:
        return irregular(rng, n, interval)
    make, channels = REGULAR[kind]
    time = START + (np.arange(n) * (interval * SECOND)).astype(np.int64)
    measured = tuple(i for i, name in enumerate(channels) if name != "command")
    return Stream(channels, time, make(rng, n, per_day), measured)


def irregular(rng: Rng, n: int, interval: float) -> Stream:
    """Two channels; times off by a third, a tenth of rows lost, a gap of hours every few days."""
    values = np.hstack(
        [seasons(rng, n, DAY_SECONDS / interval), smooth(rng.normal(size=(n, 1)), 0.9)]
    )
    values[rng.random(values.shape) < 0.03] = np.nan
    jitter = rng.uniform(-0.33, 0.33, n)
    time = START + ((np.arange(n) + jitter) * interval * SECOND).astype(np.int64)
    kept = rng.random(n) > 0.1
    at = START
    while at < time[-1]:
        at += int(rng.exponential(72) * HOUR)
        lasts = int(np.exp(rng.uniform(np.log(0.2), np.log(12))) * HOUR)
        kept &= (time < at) | (time >= at + lasts)
        at += lasts
    kept[:2] = True
    return Stream(("temperature", "value"), time[kept], values[kept], (0, 1))


def _real(channels: tuple[str, ...], step: float, values: Values) -> Stream:
    time = START + (np.arange(len(values)) * (step * SECOND)).astype(np.int64)
    kept = ~np.isnan(values).all(axis=1)
    return Stream(channels, time[kept], values[kept], tuple(range(len(channels))))
