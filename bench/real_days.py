"""Months made of real days: quarters of days of real sensors, joined where they fit.

A nearest-neighbour bootstrap of blocks (Lall and Sharma 1996, Water Resources Research 32: 679):
after each quarter of a day comes one of the few quarters of that hour, from any day, whose
beginning is nearest to where the last one ended; what is still between them is taken back over an
hour. So the season of the day and its marginals stay, and nothing happens that did not happen in
reality. Quarters in which a channel is dead or absent are left out, and channels that mostly are.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from pathlib import Path

import numpy as np

from redshank.core.channels import canonical, quantity
from redshank.core.clock import DAY, SECOND
from redshank.core.columns import Columns, numbers, read_columns, times

QUARTERS = 4
BLOCK = DAY // QUARTERS
NEAREST = 4
LOST = 0.1
"""A channel is absent in a quarter when so much of it is missing,"""
STILL = 3600.0
"""and dead when it stands still for so many seconds (unless it may rest at zero)."""
ALIVE = 0.6
"""Channels that are alive in fewer of the quarters are left out."""


class Box:
    """Quarters of days of one real sensor, without faults.

    Attributes:
        channels: c names.
        step: seconds between rows.
        blocks: for each quarter of the day (k, rows, c) values.
        decimals: of each channel.
    """

    def __init__(self, channels: tuple[str, ...], time: np.ndarray, values: np.ndarray) -> None:
        spacing = np.diff(time)
        self.step = _round_step(float(np.median(spacing[spacing > 0])) / SECOND)
        start = -(-int(time[0]) // DAY) * DAY
        rows = round(BLOCK / (self.step * SECOND))
        count = max((int(time[-1]) - start) // BLOCK, 0)
        grid = start + (np.arange(count * rows) * (self.step * SECOND)).astype(np.int64)
        blocks = _latest(grid, time, values, self.step).reshape(count, rows, len(channels))
        alive = np.array(
            [
                [_alive(b[:, j], channels[j], self.step) for j in range(len(channels))]
                for b in blocks
            ]
        )
        kept = np.flatnonzero(alive.mean(axis=0) >= ALIVE) if count else np.array([], int)
        good = alive[:, kept].all(axis=1) if count else np.array([], bool)
        self.channels = tuple(channels[j] for j in kept)
        quarter = np.arange(count) % QUARTERS
        self.blocks = [blocks[good & (quarter == q)][:, :, kept] for q in range(QUARTERS)]
        self.decimals = [_decimals(values[:, j]) for j in kept]

    def usable(self) -> bool:
        """Whether there is a choice for every quarter of the day."""
        return bool(self.channels) and min(map(len, self.blocks)) >= 3

    def join(self, rng: np.random.Generator, days: float) -> np.ndarray:
        """(n, c) values of so many days."""
        everything = np.concatenate([b.reshape(-1, len(self.channels)) for b in self.blocks])
        low, high = np.nanmin(everything, axis=0), np.nanmax(everything, axis=0)
        spread = np.nanstd(everything, axis=0) + 1e-9
        edge = max(1, round(900 / self.step))
        fade = np.maximum(1 - np.arange(self.blocks[0].shape[1]) * self.step / 3600, 0)[:, None]
        ends = np.array([_fades(name) for name in self.channels])
        parts: list[np.ndarray] = []
        for number in range(round(days * QUARTERS)):
            blocks = self.blocks[number % QUARTERS]
            if not parts:
                parts.append(blocks[rng.integers(len(blocks))])
                continue
            last = np.nanmean(parts[-1][-edge:], axis=0)
            away = np.nanmean(blocks[:, :edge], axis=1) - last
            near = np.argsort(np.nansum((away / spread) ** 2, axis=1))[:NEAREST]
            chosen = rng.choice(near)
            moved = blocks[chosen] - fade * np.where(ends, np.nan_to_num(away[chosen]), 0)
            parts.append(np.clip(moved, low, high))
        joined = np.concatenate(parts)
        return np.column_stack([joined[:, j].round(d) for j, d in enumerate(self.decimals)])


def real_days(
    rng: np.random.Generator, interval: float, days: float, data: Path | None
) -> tuple[tuple[str, ...], float, np.ndarray] | None:
    """Channels, seconds between rows, and (n, c) values; None if no sensor reports as often."""
    fitting = [box for box in boxes(data) if box.step <= 1.5 * interval]
    if not fitting:
        return None
    box = fitting[rng.integers(len(fitting))]
    every = max(1, round(interval / box.step))
    return box.channels, box.step * every, box.join(rng, days)[::every]


@lru_cache(maxsize=2)
def boxes(data: Path | None) -> tuple[Box, ...]:
    """The real sensors of a folder of Parquet or CSV files that have enough quarters of days."""
    folder = data or Path(str(files("redshank.demo")))
    found = [
        p
        for p in sorted(folder.iterdir())
        if p.suffix in (".parquet", ".csv") and "counts" not in p.name
    ]
    made = [Box(*_read(path)) for path in found]
    return tuple(box for box in made if box.usable())


def _read(path: Path) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
    """A file with a column for each channel, or one row for each value (phenomenon, value)."""
    columns = read_columns(path)
    if "phenomenon" in columns:
        return _long(columns)
    clock = next(iter(columns))
    values = {name: numbers(name, column) for name, column in columns.items() if name != clock}
    named = tuple(_name(title) for title in values)
    return named, times(clock, columns[clock]), np.column_stack(list(values.values()))


def _long(columns: Columns) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
    time = times("createdAt", columns["createdAt"])
    titles, which = np.unique(np.array(columns["phenomenon"].to_pylist()), return_inverse=True)
    moments, row = np.unique(time, return_inverse=True)
    out = np.full((len(moments), len(titles)), np.nan)
    out[row, which] = numbers("value", columns["value"])
    return tuple(_name(title) for title in titles.tolist()), moments, out


def _name(title: str) -> str:
    known = canonical(title.replace("_", " "), None)
    return title if known is None else known.name


def _fades(name: str) -> bool:
    """Whether a step at a joint may be smoothed: not in what rests at zero."""
    known = quantity(name)
    return known is not None and not known.rests_at_zero


def _round_step(seconds: float) -> float:
    """The nominal cadence: a divisor of six hours near the median spacing."""
    return 21_600 / round(21_600 / seconds)


def _decimals(values: np.ndarray) -> int:
    seen = values[~np.isnan(values)][:1000]
    return next((d for d in range(4) if np.allclose(seen, seen.round(d))), 4)


def _latest(grid: np.ndarray, time: np.ndarray, values: np.ndarray, step: float) -> np.ndarray:
    """(n, c) each channel's latest value at each moment, NaN if it is older than two steps."""
    out = np.full((len(grid), values.shape[1]), np.nan)
    for j in range(values.shape[1]):
        there = ~np.isnan(values[:, j])
        if not there.any():
            continue
        at = np.searchsorted(time[there], grid, side="right") - 1
        age = grid - time[there][np.maximum(at, 0)]
        fresh = (at >= 0) & (age < 2 * step * SECOND)
        out[fresh, j] = values[there, j][at[fresh]]
    return out


def _alive(values: np.ndarray, name: str, step: float) -> bool:
    if np.isnan(values).mean() > LOST:
        return False
    seen = values[~np.isnan(values)]
    turns = np.flatnonzero(np.diff(seen, prepend=np.nan) != 0)
    runs = np.diff(np.append(turns, len(seen)))
    known = quantity(name)
    if known is not None and known.rests_at_zero:
        runs = runs[seen[turns] != 0]
    return not len(runs) or float(runs.max()) * step <= STILL
