"""Healthy series, real and simulated, and faults to inject into them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from redshank.adapters.sources.simulator import Simulator
from redshank.core.channels import canonical, quantity, sentinels, top
from redshank.core.clock import DAY, HOUR, MINUTE, SECOND
from redshank.core.columns import Columns, numbers, read_columns, times

START = 1_700_006_400 * SECOND
KINDS = (
    "spike",
    "stuck",
    "level shift",
    "drift",
    "noise",
    "dropout",
    "saturation",
    "clock",
    "wrong unit",
)
# Shortest and longest duration in microseconds; a spike lasts for one to three rows.
_DURATION: Mapping[str, tuple[int, int]] = {
    "stuck": (HOUR, 8 * HOUR),
    "level shift": (2 * HOUR, 12 * HOUR),
    "drift": (6 * HOUR, 24 * HOUR),
    "noise": (30 * MINUTE, 3 * HOUR),
    "dropout": (20 * MINUTE, 4 * HOUR),
    "saturation": (HOUR, 4 * HOUR),
    "clock": (30 * MINUTE, 8 * HOUR),
    "wrong unit": (2 * HOUR, 12 * HOUR),
}
_UNITS: Mapping[str, tuple[float, float]] = {
    "°C": (1.8, 32.0),
    "hPa": (100.0, 0.0),
    "%": (0.01, 0.0),
    "": (0.0, 0.0),
    "dB(A)": (0.0, 0.0),
}
"""Factor and offset of the classic mix-ups; a factor of 0 where there is none."""


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """One sensor's readings: (n,) event times and (n, c) values."""

    sensor_id: str
    channels: tuple[str, ...]
    time: NDArray[np.int64]
    values: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong in one channel (all of them for a clock), from row to row.

    Attributes:
        kind: one of :data:`KINDS`.
        channel: column.
        first: first faulty row.
        last: last faulty row.
        size: signed strength in the channel's unit, or the value that stands for none; for a
            clock microseconds.
    """

    kind: str
    channel: int
    first: int
    last: int
    size: float


def real(folder: Path | None, every: float) -> Iterator[Series]:
    """The boxes of a folder (of the demo if None), at most one row in so many seconds.

    Files are Parquet, long as openSenseMap's archives (``createdAt``, ``phenomenon``, ``value``)
    or with a column for each channel.
    """
    for path in sorted((folder or Path(str(files("redshank.demo")))).glob("*.parquet")):
        table = read_columns(path)
        long = "phenomenon" in table
        titles, time, values = _pivot(table) if long else _wide(table)
        mapped = [canonical(title, None) for title in titles]
        names = tuple(one.name if one else title for one, title in zip(mapped, titles, strict=True))
        apart = round(every * SECOND * 0.9)
        kept = _thinned(time, apart)
        yield Series(path.stem, names, time[kept], values[kept])


def simulated(
    preset: str, seed: int, days: int, sensors: int = 4, every: int = 1
) -> Iterator[Series]:
    """Healthy simulated sensors, a row in so many minutes."""
    rows = days * DAY // MINUTE
    fleet = Simulator(
        preset, sensors=sensors, every=60.0, seed=seed, start=START, rows=rows, faults_per_day=0
    )
    batch = fleet.simulate().batch
    for number, sensor_id in enumerate(batch.sensor_ids):
        rows_of = batch.sensor == number
        name = f"{sensor_id}/{seed}"
        rows = np.flatnonzero(rows_of)[::every]
        yield Series(name, batch.channels, batch.time[rows], batch.values[rows])


def _pivot(table: Columns) -> tuple[list[str], NDArray[np.int64], np.ndarray]:
    """Titles, times and values of a long table; what a box sent within a second is one row."""
    stamp = times("createdAt", table["createdAt"])
    titles, column = np.unique(np.array(table["phenomenon"].to_pylist()), return_inverse=True)
    order = np.argsort(stamp, kind="stable")
    stamp, column = stamp[order], column[order]
    row = np.cumsum(np.diff(stamp, prepend=stamp[0]) > SECOND)
    values = np.full((row[-1] + 1, len(titles)), np.nan)
    values[row, column] = np.array(numbers("value", table["value"]))[order]
    return titles.tolist(), stamp[np.searchsorted(row, np.arange(row[-1] + 1))], values


def _wide(table: Columns) -> tuple[list[str], NDArray[np.int64], np.ndarray]:
    titles = [name for name in table if name != "timestamp"]
    values = [np.array(numbers(name, table[name])) for name in titles]
    return titles, times("timestamp", table["timestamp"]), np.column_stack(values)


def _thinned(time: NDArray[np.int64], apart: int) -> NDArray[np.intp]:
    kept = [0]
    for row, moment in enumerate(time.tolist()):
        if moment - int(time[kept[-1]]) >= apart:
            kept.append(row)
    return np.array(kept)


def drawn(
    kind: str, series: Series, channel: int, first: int, rng: np.random.Generator
) -> Fault | None:
    """A fault of that kind; None where it would not change what the channel shows."""
    moment = int(series.time[first])
    if kind == "spike":
        last = first + int(rng.integers(0, 3))
    else:
        until = moment + int(rng.integers(*_DURATION[kind]))
        last = int(np.searchsorted(series.time, until)) - 1
    if last <= first and kind != "spike":
        return None
    fault = Fault(kind, channel, first, last, _size(kind, series, channel, first, rng))
    return fault if _shows(fault, series) else None


def _size(kind: str, series: Series, channel: int, row: int, rng: np.random.Generator) -> float:
    """Strength, in spreads of the channel over the three days before."""
    day = series.values[series.time > series.time[row] - 3 * DAY][:row, channel]
    past = series.values[: row + 1, channel][-len(day) :]
    low, high = np.nanquantile(past, [0.05, 0.95])
    spread = (high - low) / 3.3
    steps = np.abs(np.diff(past))
    noise = float(np.nanmean(steps)) if len(steps) else 0.0
    name = series.channels[channel]
    sign = rng.choice((-1.0, 1.0))
    known = quantity(name)
    most = {"spike": 12, "level shift": 8, "drift": 10}.get(kind, 0) * spread
    if known and low - most < known.minimum:
        sign = 1.0
    match kind:
        case "spike":
            return float(sign * rng.uniform(6, 12) * spread)
        case "level shift":
            return float(sign * rng.uniform(4, 8) * spread)
        case "drift":
            return float(sign * rng.uniform(5, 10) * spread)
        case "noise":
            return float(rng.uniform(6, 10) * max(noise, spread / 4))
        case "dropout":
            numbers = (*sentinels(name)[0], np.nan)
            return float(rng.choice((np.nan, numbers[0])))
        case "saturation":
            return float(top(name) or np.nanmax(past) + 4 * spread)
        case "clock":
            return float(rng.integers(10 * MINUTE, 12 * HOUR))
        case _:
            return 0.0


def _shows(fault: Fault, series: Series) -> bool:
    """Whether the fault changes what is reported, and in no other way than its kind does.

    A channel at rest (light at night) shows no fault of movement, and one that is pushed to the end
    of its scale is saturated whatever pushed it there.
    """
    rows = slice(fault.first, fault.last + 1)
    before = series.values[rows, fault.channel]
    after = injected(series, [fault])[1][rows, fault.channel]
    if np.isnan(before).mean() > 0.2:
        return False
    if fault.kind in ("clock", "dropout"):
        return True
    if float((after != before).mean()) < 0.7:
        return False
    if fault.kind == "spike":
        return True
    moving = float((np.diff(before) != 0).mean()) > 0.5 and len(np.unique(before)) > 10
    known = quantity(series.channels[fault.channel])
    ends = (known.minimum, top(known.name) or known.maximum) if known else ()
    free = fault.kind in ("stuck", "saturation") or np.isin(after, ends).mean() < 0.02
    rounded = fault.kind == "wrong unit" and len(np.unique(after)) <= 10
    return moving and free and not rounded


def injected(
    series: Series, faults: Sequence[Fault], seed: int = 0
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Event times and values with the faults in them."""
    time, values = series.time.copy(), series.values.copy()
    for fault in faults:
        rows = slice(fault.first, fault.last + 1)
        if fault.kind == "clock":
            time[rows] += round(fault.size)
            continue
        name = series.channels[fault.channel]
        x = values[rows, fault.channel]
        gone = np.isnan(x)
        y = _CHANGED[fault.kind](x, fault, np.random.default_rng([seed, fault.first]), name)
        if fault.kind not in ("wrong unit", "dropout"):
            y = _possible(y, name, series.values[:, fault.channel])
        values[rows, fault.channel] = np.where(gone, np.nan, y)
    return time, values


Change = Callable[[np.ndarray, Fault, np.random.Generator, str], np.ndarray]


def _in_wrong_unit(x: np.ndarray, fault: Fault, rng: np.random.Generator, name: str) -> np.ndarray:
    known = quantity(name)
    factor, offset = _UNITS.get(known.unit if known else "", (0.001, 0.0))
    return (x * factor + offset).round(6) if factor else x


_CHANGED: Mapping[str, Change] = {
    "spike": lambda x, fault, rng, name: x + fault.size,
    "level shift": lambda x, fault, rng, name: x + fault.size,
    "drift": lambda x, fault, rng, name: x + fault.size * np.linspace(0, 1, len(x)),
    "noise": lambda x, fault, rng, name: x + fault.size * rng.normal(size=len(x)),
    "stuck": lambda x, fault, rng, name: np.full_like(x, x[~np.isnan(x)][0]),
    "dropout": lambda x, fault, rng, name: np.full_like(x, fault.size),
    "saturation": lambda x, fault, rng, name: np.full_like(x, fault.size),
    "wrong unit": _in_wrong_unit,
}


def _possible(y: np.ndarray, name: str, healthy: np.ndarray) -> np.ndarray:
    """What a device of this kind can send: within its range, in steps as it did before."""
    known = quantity(name)
    if known:
        y = np.clip(y, known.minimum, top(name) or known.maximum)
    some = healthy[~np.isnan(healthy)][:2000]
    decimals = next((d for d in range(4) if np.allclose(some, some.round(d), atol=1e-9)), 4)
    return y.round(decimals)
