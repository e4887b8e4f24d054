"""Readings of a small fleet with faults in it, in requests as several senders would make them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

CHANNELS = ("temperature", "humidity", "pressure")
START = 1_767_225_600
"""2026-01-01T00:00:00Z"""
_CENTRE, _NOISE = np.array([18.0, 60.0, 1013.0]), np.array([0.3, 1.5, 0.4])
Row = dict[str, Any]


@dataclass(frozen=True)
class Series:
    """What one sensor measures.

    Attributes:
        sensor_id: its name.
        time: (n,) Unix milliseconds, rising.
        values: (n, 3) temperature, humidity, pressure.
        apart: whether each channel is sent in a message of its own.
    """

    sensor_id: str
    time: np.ndarray
    values: np.ndarray
    apart: bool

    def messages(self, row: int) -> list[Row]:
        """The row as it is sent."""
        head = {"sensor_id": self.sensor_id, "timestamp": int(self.time[row])}
        values = dict(zip(CHANNELS, self.values[row].tolist(), strict=True))
        if self.apart:
            return [{**head, name: value} for name, value in values.items()]
        return [{**head, **values}]


def fleet(seed: int, sensors: int, rows: int) -> list[Series]:
    """Sensors with irregular times, gaps, and a jump, a stuck channel and a spike in each."""
    rng = np.random.default_rng(seed)
    return [_series(rng, number, rows) for number in range(sensors)]


def _series(rng: np.random.Generator, number: int, rows: int) -> Series:
    steps = rng.integers(55_000, 65_000, rows)
    steps[rng.integers(1, rows, 3)] += 5_400_000
    time = START * 1000 + np.cumsum(steps)
    day = np.sin(2 * np.pi * time / 86_400_000)[:, None]
    values = _CENTRE + day * _NOISE * 8 + rng.normal(size=(rows, 3)) * _NOISE
    for at in rng.integers(rows // 3, rows - 40, 4).tolist():
        channel = int(rng.integers(3))
        values[at : at + int(rng.integers(1, 30)), channel] += 100 * _NOISE[channel]
    at = int(rng.integers(rows // 2, rows - 200))
    values[at : at + 150, 1] = values[at, 1]
    return Series(f"station-{number}", time, values.round(2), apart=number % 4 == 3)


def requests(seed: int, fleet: Sequence[Series], most: int) -> list[list[Row]]:
    """The fleet's rows in requests of up to so many rows, each sensor's in order."""
    rng = np.random.default_rng(seed)
    made: list[list[Row]] = []
    at = [0] * len(fleet)
    while any(done < len(one.time) for one, done in zip(fleet, at, strict=True)):
        request: list[Row] = []
        for number, one in enumerate(fleet):
            until = min(at[number] + int(rng.integers(0, most + 1)), len(one.time))
            for row in range(at[number], until):
                request += one.messages(row)
            at[number] = until
        if request:
            made.append(request)
    return made
