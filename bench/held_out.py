"""Streams without faults that nothing in redshank was chosen or calibrated on.

Thirteen simulated families, each with a cadence and physics of its own whose constants are drawn
from the seed, and stretches of real readings as they are (openSenseMap). Other simulated streams
(streams.py, dial.py) served to calibrate the alarm; none of these is among them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from redshank.core.clock import DAY, SECOND
from redshank.core.columns import Columns, numbers, read_columns, times
from redshank.models.tables import Table, read_table

LEARNED, TESTED = 2000, 4000
ROWS = LEARNED + TESTED
START = 1_704_067_200 * SECOND
"""2024-01-01T00:00Z."""
REAL_CADENCE = 55 * SECOND
"""Real readings are thinned to at most one row in so long."""
STILL = 0.05
"""A real channel that stands still on a value but 0 for so much of a stretch is left out of it."""
MODAL = 0.6
"""So is one that has the same value in so many of its rows."""

Floats = NDArray[np.float64]
Rng = np.random.Generator


@dataclass(frozen=True)
class Stream:
    """Readings of one sensor: `LEARNED` rows to learn from, `TESTED` rows after them.

    Attributes:
        family: what kind of sensor.
        name: unique.
        time: (n,) event time in microseconds.
        values: (n, c).
        measured: columns that measure something; the others are commands.
    """

    family: str
    name: str
    time: NDArray[np.int64]
    values: Floats
    measured: tuple[int, ...]

    def table(self, values: Floats) -> Table:
        """As a table, with other values."""
        names = tuple(f"c{column}" for column in range(values.shape[1]))
        return Table(self.time, names, values)


# --- simulated -----------------------------------------------------------------------------------


def persistent(rng: Rng, n: int, memory: float) -> Floats:
    """First-order autoregression of unit variance, steady from row 0 on."""
    shocks = np.sqrt(1 - memory**2) * rng.normal(size=n)
    out: Floats = lfilter([1], [1, -memory], shocks, zi=[memory * rng.normal()])[0]
    return out


def lagged(values: Floats, memory: float) -> Floats:
    """What follows `values` with an exponential lag."""
    out: Floats = lfilter([1 - memory], [1, -memory], values, zi=[memory * values[0]])[0]
    return out


def steps(rng: Rng, n: int, dwell: float, levels: int) -> Floats:
    """A command that stays on one of some levels for `dwell` rows on average."""
    turns = np.cumsum(rng.random(n) < 1 / dwell)
    chosen: Floats = rng.integers(0, levels, turns[-1] + 1)[turns].astype(np.float64)
    return chosen


def climate(rng: Rng, n: int, day: float) -> Floats:
    """Temperature, humidity that goes against it, pressure."""
    t = 2 * np.pi * (np.arange(n) / day + rng.random())
    swing = rng.uniform(2, 7) * (1 + 0.3 * persistent(rng, n, 0.998))
    warm = swing * np.sin(t) + 2 * persistent(rng, n, 0.999) + 0.15 * persistent(rng, n, 0.8)
    damp = 65 - rng.uniform(2, 4) * warm + 3 * persistent(rng, n, 0.99) + 0.4 * rng.normal(size=n)
    pressure = 1013 + 6 * persistent(rng, n, 0.9995) + 0.1 * rng.normal(size=n)
    return np.column_stack([15 + warm, damp.clip(0, 100), pressure]).round(2)


def pump(rng: Rng, n: int, day: float) -> Floats:
    """A speed command; flow, current, vibration and bearing temperature that follow."""
    command = steps(rng, n, rng.uniform(80, 300), 4)
    speed = lagged(command, rng.uniform(0.5, 0.9))
    flow = rng.uniform(5, 20) * speed + 0.3 * persistent(rng, n, 0.7)
    current = 0.5 + 0.4 * speed**2 + 0.03 * rng.normal(size=n)
    shaking = np.exp(0.2 * persistent(rng, n, 0.9)) * (0.1 + 0.2 * speed)
    bearing = 25 + 6 * lagged(current, 0.995) + 0.05 * rng.normal(size=n)
    return np.column_stack([command, flow, current, shaking, bearing])


def tank(rng: Rng, n: int, day: float) -> Floats:
    """A valve that opens when the level is low and closes when it is high; level; inflow."""
    demand = np.exp(0.4 * persistent(rng, n, 0.98)) * rng.uniform(0.1, 0.5)
    level, valve, out, filling = 50.0, 0.0, np.empty((n, 3)), rng.uniform(1.0, 2.5)
    for row in range(n):
        valve = 1.0 if level < 20 else 0.0 if level > 80 else valve
        level += valve * filling - demand[row]
        out[row] = valve, level, valve * filling
    out[:, 1] += 0.1 * rng.normal(size=n)
    out[:, 2] += 0.02 * rng.normal(size=n)
    return out


def requests(rng: Rng, n: int, day: float) -> Floats:
    """Counts of a busy service by day and week, and the time it takes to answer."""
    t = 2 * np.pi * np.arange(n) / day
    load = 4 + 1.0 * np.sin(t) + 0.3 * np.sin(t / 7 + 1) + 0.2 * persistent(rng, n, 0.9)
    counts = rng.poisson(np.exp(load))
    delay = 20 + 0.05 * np.exp(load) + 2 * np.abs(rng.standard_t(4, size=n))
    return np.column_stack([counts, delay])


def solar(rng: Rng, n: int, day: float) -> Floats:
    """Irradiance under passing clouds, power up to the inverter's bound, panel temperature."""
    height = np.sin(2 * np.pi * np.arange(n) / day).clip(0)
    clear = 1 / (1 + np.exp(-1.5 * persistent(rng, n, 0.985) - rng.uniform(0, 2)))
    light = 1000 * height**1.2 * clear
    power = np.minimum(5 * light, 3800) * (1 + 0.01 * rng.normal(size=n))
    panel = 12 + 0.03 * lagged(light, 0.9) + persistent(rng, n, 0.998)
    return np.column_stack([light, power, panel + 0.1 * rng.normal(size=n)]).round(1)


def machine(rng: Rng, n: int, day: float) -> Floats:
    """Work cycles of about the same length with rests between; current and housing temperature."""
    current, row, length = 0.3 * np.ones(n), 0, rng.uniform(30, 80)
    while row < n:
        work = int(length * rng.uniform(0.9, 1.1))
        shape = 2 + 3 * np.exp(-np.arange(work) / 4) + np.sin(np.arange(work) / length * 2 * np.pi)
        current[row : row + work] += shape[: n - row]
        row += work + int(length * rng.uniform(0.2, 0.5))
    housing = 30 + 5 * lagged(current, 0.99)
    return np.column_stack([current, housing]) + rng.normal(size=(n, 2)) * (0.08, 0.05)


def oscillators(rng: Rng, n: int, day: float) -> Floats:
    """Two damped resonances driven by noise, as three accelerometers see them."""
    waves = []
    for period in rng.uniform(12, 45, 2):
        damping = rng.uniform(0.96, 0.99)
        turn = 2 * damping * np.cos(2 * np.pi / period)
        wave = lfilter([1], [1, -turn, damping**2], rng.normal(size=n + 500))[500:]
        waves.append(wave / wave.std())
    mixed: Floats = np.column_stack(waves) @ rng.normal(size=(2, 3))
    return mixed + 0.1 * rng.normal(size=(n, 3))


def battery(rng: Rng, n: int, day: float) -> Floats:
    """Charge that falls with the load and is filled when it is low; voltage in steps of 10 mV."""
    load = 0.05 + 0.3 * (steps(rng, n, 60, 3) == 2) + 0.01 * np.abs(rng.normal(size=n))
    charge, charging, out = 0.8, False, np.empty((n, 2))
    for row in range(n):
        charging = charge < 0.3 or (charging and charge < 0.95)
        charge += (0.012 if charging else 0.0) - 0.02 * load[row]
        volts = 3.3 + 0.8 * charge - 0.2 * load[row] + 0.1 * charging
        out[row] = volts, 0.6 * charging - load[row]
    out[:, 0] = (out[:, 0] + 0.004 * rng.normal(size=n)).round(2)
    return out


def vibration(rng: Rng, n: int, day: float) -> Floats:
    """Strength of shaking along three axes: a common load, heavy tails."""
    load = 0.4 * persistent(rng, n, 0.98)
    own = 0.15 * rng.standard_t(5, size=(n, 3))
    return np.exp(load[:, None] * rng.uniform(0.5, 1.2, 3) + own)


def regimes(rng: Rng, n: int, day: float) -> Floats:
    """Three ways of running that take turns, each with its means, spreads and correlations."""
    which = steps(rng, n, rng.uniform(150, 400), 3).astype(int)
    means, mixes = rng.normal(size=(3, 3)) * 3, rng.normal(size=(3, 3, 3)) * 0.4
    sources = np.column_stack([persistent(rng, n, 0.8) for _ in range(3)])
    around: Floats = np.einsum("nij,nj->ni", mixes[which], sources)
    return means[which] + around


def office(rng: Rng, n: int, day: float) -> Floats:
    """People in a room on working days, the air that they use, the light that they switch on."""
    hour = 24 * (np.arange(n) / day % 1)
    weekday = (np.arange(n) / day % 7).astype(int) < 5
    busy = np.exp(-(((hour - 13) / rng.uniform(2.5, 3.5)) ** 4)) * weekday
    people = rng.poisson(rng.uniform(5, 15) * busy)
    air = 420 + 60 * lagged(people.astype(np.float64), 0.7) + 8 * persistent(rng, n, 0.8)
    light = 20 + 400 * (people > 1) + 5 * rng.normal(size=n)
    return np.column_stack([people, air, light]).round(0)


def array(rng: Rng, n: int, day: float) -> Floats:
    """Eight sensors of three common sources."""
    sources = np.column_stack([persistent(rng, n, 0.95) for _ in range(3)])
    mixed: Floats = sources @ rng.normal(size=(3, 8)) + 0.2 * rng.normal(size=(n, 8))
    return mixed


def tide(rng: Rng, n: int, day: float) -> Floats:
    """Water level of two tides whose periods never meet, weather on top; the current it drives."""
    hours = 24 * np.arange(n) / day
    moon = rng.uniform(1, 2) * np.sin(2 * np.pi * hours / 12.42 + rng.uniform(0, 6))
    sun = 0.5 * np.sin(2 * np.pi * hours / 12 + rng.uniform(0, 6))
    level = moon + sun + 0.15 * persistent(rng, n, 0.995) + 0.02 * rng.normal(size=n)
    current = 3 * np.gradient(moon + sun) * day / 150 + 0.05 * persistent(rng, n, 0.7)
    return np.column_stack([level, current]).round(3)


Make = Callable[[Rng, int, float], Floats]
FAMILIES: dict[str, tuple[Make, float, int]] = {
    "climate": (climate, 300, 0),
    "pump": (pump, 10, 1),
    "tank": (tank, 60, 1),
    "requests": (requests, 300, 0),
    "solar": (solar, 300, 0),
    "machine": (machine, 5, 0),
    "oscillators": (oscillators, 1, 0),
    "battery": (battery, 600, 0),
    "vibration": (vibration, 2, 0),
    "regimes": (regimes, 60, 0),
    "office": (office, 900, 0),
    "array": (array, 30, 0),
    "tide": (tide, 360, 0),
}
"""How to make it, seconds between rows, and how many of the first channels are commands."""


def simulated(family: str, seed: int) -> Stream:
    """One stream of a family."""
    make, cadence, commands = FAMILIES[family]
    rng = np.random.default_rng([list(FAMILIES).index(family), seed])
    values = make(rng, ROWS, DAY / (cadence * SECOND))
    time = START + (np.arange(ROWS) * (cadence * SECOND)).astype(np.int64)
    measured = tuple(range(commands, values.shape[1]))
    return Stream(family, f"{family} {seed}", time, values, measured)


# --- real ----------------------------------------------------------------------------------------


def real(folder: Path | None, most: int) -> Iterator[Stream]:
    """Stretches of real sensors, at most so many of each, spread over what there is.

    Files hold a column for each channel, or one row for each value (createdAt, phenomenon, value).
    Real readings have faults of their own; channels that are dead in a stretch are left out, what
    else is wrong in them stays and counts as normal.
    """
    for path in sorted((folder or Path(str(files("redshank.demo")))).glob("*.parquet")):
        time, values = thinned(*_read(path))
        starts = np.arange(0, len(time) - ROWS + 1, ROWS)
        for start in starts[np.linspace(0, len(starts) - 1, min(most, len(starts))).astype(int)]:
            part = slice(start, start + ROWS)
            kept = [j for j in range(values.shape[1]) if _alive(values[part, j])]
            if kept:
                made = values[part][:, kept]
                name = f"{path.stem} row {start}"
                yield Stream(f"real {path.stem}", name, time[part], made, tuple(range(len(kept))))


def thinned(time: NDArray[np.int64], values: Floats) -> tuple[NDArray[np.int64], Floats]:
    """At most one row in `REAL_CADENCE`, each channel's latest value."""
    bucket = (time - time[0]) // REAL_CADENCE
    last = np.flatnonzero(np.append(np.diff(bucket) > 0, True))
    known = np.where(np.isnan(values), -1, np.arange(len(values))[:, None])
    newest = np.maximum.accumulate(known, axis=0)[last]
    fresh = (newest >= 0) & (bucket[newest.clip(0)] == bucket[last][:, None])
    out = np.take_along_axis(values, newest.clip(0), axis=0)
    return time[last], np.where(fresh, out, np.nan)


def _read(path: Path) -> tuple[NDArray[np.int64], Floats]:
    columns = read_columns(path)
    if "phenomenon" in columns:
        return _long(columns)
    table = read_table(path)
    return table.event_time(), table.values


def _long(columns: Columns) -> tuple[NDArray[np.int64], Floats]:
    time = times("createdAt", columns["createdAt"])
    titles, column = np.unique(columns["phenomenon"].to_pylist(), return_inverse=True)
    order = np.argsort(time, kind="stable")
    values = np.full((len(time), len(titles)), np.nan)
    values[np.arange(len(time)), column] = np.asarray(numbers("value", columns["value"]))
    return time[order], values[order]


def _alive(values: Floats) -> bool:
    seen = values[~np.isnan(values)]
    if len(seen) < 0.9 * len(values):
        return False
    turns = np.flatnonzero(np.diff(seen, prepend=np.nan) != 0)
    runs = np.diff(np.append(turns, len(seen)))[seen[turns] != 0]
    modal = np.unique(seen, return_counts=True)[1].max()
    return bool(runs.max(initial=0) <= STILL * len(seen) and modal <= MODAL * len(seen))


def streams(seeds: Sequence[int], folder: Path | None) -> Iterator[Stream]:
    """All simulated families with each seed, and as many real stretches of each sensor."""
    for family in FAMILIES:
        for seed in seeds:
            yield simulated(family, seed)
    yield from real(folder, len(seeds))
