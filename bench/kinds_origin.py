"""Fault of the sensor or real event: changes in one sensor of a site, and in all of them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kinds_faults import Fault, Series, drawn, injected
from redshank.adapters.bus.memory import MemoryBus
from redshank.adapters.store.sqlite import SqliteStore
from redshank.core.batch import Batch
from redshank.core.clock import DAY, HOUR, MINUTE, FakeClock
from redshank.core.ports import Parcel
from redshank.core.queries import Incidents
from redshank.core.records import Incident, SensorInfo
from redshank.core.telemetry import Telemetry
from redshank.pipeline.budget import Budget
from redshank.pipeline.pipeline import Pipeline
from redshank.pipeline.runner import Runner
from redshank.wiring import described

CHANGES = ("spike", "level shift", "drift", "noise")
OF_ALL = 0.25
"""Part of the changes that all sensors show; each of these brings up to four incidents."""
OWN_WEATHER = 0.3
"""Part of its own weather that a neighbour keeps; the rest is that of the site."""
APART = 20 * HOUR
"""Event time from one change to the next; the longest lasts a day at most."""
FIRST = 3 * DAY
WEEK = 7 * DAY
PARCEL = HOUR


@dataclass(frozen=True, slots=True)
class Change:
    """One change: whether all sensors show it, and the fault that stands for it in each."""

    shared: bool
    channel: str
    kind: str
    faults: dict[str, Fault]


@dataclass(frozen=True, slots=True)
class Judgement:
    """What was said of a change in one sensor, and of how many neighbours it has."""

    shared: bool
    kind: str
    channel: str
    origin: str
    neighbours: int


def judgements(site: Sequence[Series], seed: int) -> Iterator[Judgement]:
    """Run a site with changes in it through the writer; what it says of those that it found."""
    changes = list(drawn_changes(site, np.random.default_rng(seed)))
    told = run([_changed(series, changes) for series in site])
    for change in changes:
        for series in site:
            fault = change.faults.get(series.sensor_id)
            one = fault and _incident_of(told, series, fault, change.channel)
            if one:
                others = sum(_has(other, change.channel, fault.first) for other in site) - 1
                yield Judgement(change.shared, change.kind, change.channel, one.origin, others)


def weeks(series: Series) -> list[Series]:
    """One box in four weeks, as if they were four boxes in one; fewer where it was not there."""
    begin = int(series.time[0])
    found = []
    for number in range(4):
        start = begin + number * WEEK
        rows = (series.time >= start) & (series.time < start + WEEK)
        if np.count_nonzero(rows) > 1000:
            name = f"{series.sensor_id}/{number}"
            time = series.time[rows] - number * WEEK
            found.append(Series(name, series.channels, time, series.values[rows]))
    return found


def in_one_weather(site: Sequence[Series]) -> list[Series]:
    """The sensors of a site as real neighbours are: most of the weather is that of the first.

    What changes slower than from hour to hour counts as weather; the rest is each one's own.
    """
    first = site[0]
    made = [first]
    for series in site[1:]:
        values = series.values.copy()
        for column in range(len(series.channels)):
            common = _weather(first, column, series.time)
            values[:, column] += (1 - OWN_WEATHER) * (
                common - _weather(series, column, series.time)
            )
        made.append(Series(series.sensor_id, series.channels, series.time, values))
    return made


def _weather(series: Series, column: int, at: np.ndarray) -> np.ndarray:
    """Median of each hour, with straight lines between them."""
    known = ~np.isnan(series.values[:, column])
    time, values = series.time[known], series.values[known, column]
    if not len(time):
        return np.zeros(len(at))
    cuts = np.flatnonzero(np.diff(time // HOUR)) + 1
    hours = np.array([part.mean() for part in np.split(time, cuts)])
    levels = np.array([np.median(part) for part in np.split(values, cuts)])
    return np.interp(at, hours, levels)


def drawn_changes(site: Sequence[Series], rng: np.random.Generator) -> Iterator[Change]:
    """Changes one after another, some of them in all sensors."""
    begin, end = min(s.time[0] for s in site), max(s.time[-1] for s in site)
    names = sorted({name for series in site for name in series.channels})
    for time in range(begin + FIRST, end, APART):
        channel, kind = str(rng.choice(names)), str(rng.choice(CHANGES))
        shared, seed = bool(rng.random() < OF_ALL), int(rng.integers(1 << 30))
        faults = {}
        for series in site:
            row = int(np.searchsorted(series.time, time))
            if not _has(series, channel, row):
                continue
            column = series.channels.index(channel)
            fault = drawn(kind, series, column, row, np.random.default_rng(seed))
            if fault:
                faults[series.sensor_id] = fault
        if len(faults) < 3 or len({np.sign(one.size) for one in faults.values()}) > 1:
            continue
        if not shared:
            alone = str(rng.choice(sorted(faults)))
            faults = {alone: faults[alone]}
        yield Change(shared, channel, kind, faults)


def _has(series: Series, channel: str, row: int) -> bool:
    """Whether a channel is there and alive at a row."""
    if channel not in series.channels or not 100 < row < len(series.time) - 1:
        return False
    past = series.values[row - 100 : row, series.channels.index(channel)]
    return bool(np.isnan(past).mean() < 0.2 and len(np.unique(past[~np.isnan(past)])) > 10)


def _changed(series: Series, changes: Sequence[Change]) -> Series:
    here = [change.faults.get(series.sensor_id) for change in changes]
    time, values = injected(series, [fault for fault in here if fault])
    return Series(series.sensor_id, series.channels, time, values)


def _incident_of(
    told: Sequence[Incident], series: Series, fault: Fault, channel: str
) -> Incident | None:
    """The first incident that the change brought, led by its channel."""
    since, until = series.time[fault.first] - MINUTE, series.time[fault.last] + 10 * MINUTE
    mine = [
        one
        for one in told
        if one.sensor_id == series.sensor_id
        and since <= one.opened <= until
        and one.evidence
        and one.evidence[0].channel == channel
    ]
    return min(mine, key=lambda one: one.opened, default=None)


def run(site: Sequence[Series]) -> list[Incident]:
    """All incidents of a site, as they stand in the end."""
    with tempfile.TemporaryDirectory(prefix="redshank-bench-") as folder:
        store = SqliteStore(Path(folder) / "store.sqlite")
        begin, end = min(s.time[0] for s in site), max(s.time[-1] for s in site)
        pipeline = Pipeline(Budget(), lambda sensor_id: described(store, sensor_id))
        bus = MemoryBus(1_000_000)
        runner = Runner(bus, store, pipeline, FakeClock(int(end) + HOUR), Telemetry())
        runner.start()
        infos = [SensorInfo(series.sensor_id, site="site") for series in site]
        for start in range(int(begin), int(end), PARCEL):
            batches = [_part(series, start) for series in site]
            parcel = Parcel([one for one in batches if len(one)], infos)
            bus.publish(parcel, "bench").result(600)
        runner.stop()
        told = list(store.read(Incidents(limit=1_000_000)))
        store.close()
    return told


def _part(series: Series, start: int) -> Batch:
    rows = slice(*np.searchsorted(series.time, [start, start + PARCEL]))
    sensor = np.zeros(len(series.time[rows]), np.int32)
    time, values = series.time[rows], series.values[rows]
    return Batch((series.sensor_id,), sensor, time, series.channels, values)
