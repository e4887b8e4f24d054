"""The simulator: as a source, live or flat out, and as one table with labels."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from redshank.adapters.sources.simulator.faults import KINDS, Fault, FaultPlan, ahead, apply
from redshank.adapters.sources.simulator.presets import PRESETS, ChannelModel, HealthyFleet
from redshank.core.batch import Batch, Floats, Times
from redshank.core.clock import SECOND, Clock, SystemClock, format_time
from redshank.core.errors import SourceError
from redshank.core.ports import Parcel
from redshank.core.records import ChannelInfo, SensorInfo
from redshank.core.table_writer import Column, write_table

PARCEL = 5000


@dataclass(frozen=True, slots=True)
class Label:
    """What was wrong with one channel of one sensor; both event times are included."""

    sensor_id: str
    channel: str
    kind: str
    start: int
    end: int


@dataclass(frozen=True, slots=True, eq=False)
class Simulated:
    """A span of simulated readings.

    Attributes:
        batch: n readings in time order.
        is_anomaly: (n,) whether any fault was active on the row.
        labels: the faults that touch the span.
    """

    batch: Batch
    is_anomaly: NDArray[np.bool_]
    labels: Sequence[Label]


class Simulator:
    """Readings of a simulated fleet.

    Args:
        preset: ``turbine``, ``factory``, ``office`` or ``sensebox``, or own channels.
        sensors: how many sensors.
        every: seconds between two rows of a sensor.
        seed: the same seed gives the same readings.
        start: event time of the first row, microseconds; None for now.
        rows: rows per sensor; None for endless.
        faults_per_day: mean number of injected faults per sensor and day of event time.
        kinds: which faults; see :data:`KINDS`.
        healthy_hours: no fault starts in the first so many hours.
        speed: event seconds per second; None for as fast as they are taken.
        name: the source's name; its cursor belongs to it.
        clock: for "now" and the pace.
        sleep: how to wait, in seconds.

    Raises:
        SourceError: there is no such preset or kind, or a number cannot be used.
    """

    def __init__(
        self,
        preset: str | Sequence[ChannelModel] = "sensebox",
        *,
        sensors: int = 10,
        every: float = 60.0,
        seed: int = 0,
        start: int | None = None,
        rows: int | None = None,
        faults_per_day: float = 0.2,
        kinds: Sequence[str] = KINDS,
        healthy_hours: float = 24.0,
        speed: float | None = 1.0,
        name: str = "simulator",
        clock: Clock | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        _check(preset, sensors, every, speed, kinds)
        self.name = name
        self.models = PRESETS[preset] if isinstance(preset, str) else tuple(preset)
        self.rows = rows
        prefix = preset if isinstance(preset, str) else "sensor"
        width = len(str(sensors))
        self.sensor_ids = tuple(f"{prefix}-{i:0{width}d}" for i in range(1, sensors + 1))
        self._clock = clock or SystemClock()
        self._sleep = sleep
        self._speed = speed
        self._every = round(every * SECOND)
        self._seed, self._kinds, self._faults_per_day = seed, kinds, faults_per_day
        self._healthy = round(healthy_hours * 3600 * SECOND)
        self._start = start
        self._fleet = HealthyFleet(self.models, sensors, seed)
        # Each sensor reports at its own moment, as real ones do.
        self._offset = np.random.default_rng([seed, 3]).integers(0, self._every, sensors)
        order = sorted(range(len(self.models)), key=lambda i: self.models[i].name)
        self._order = np.array(order)
        self._channels = tuple(self.models[i].name for i in order)

    async def parcels(self, cursor: str | None) -> AsyncIterator[Parcel]:
        """Parcels of about 5,000 readings or, at a pace, of one row per sensor."""
        held = json.loads(cursor) if cursor else {"step": 0, "start": self._first_time()}
        step, start = int(held["step"]), int(held["start"])
        began, first_step = self._clock.monotonic(), step
        at_once = max(1, PARCEL // len(self.sensor_ids)) if self._speed is None else 1
        while self.rows is None or step < self.rows:
            steps = range(
                step, step + at_once if self.rows is None else min(step + at_once, self.rows)
            )
            if self._speed is not None:
                due = began + (step - first_step) * self._every / SECOND / self._speed
                await self._sleep(max(0.0, due - self._clock.monotonic()))
            simulated = await asyncio.to_thread(self.simulate, steps, start)
            parts = list(_parts(simulated.batch))
            for i, part in enumerate(parts):
                done = steps.stop if i == len(parts) - 1 else step
                yield Parcel(
                    batches=[part],
                    sensors=self._infos() if step == first_step and i == 0 else [],
                    cursor=json.dumps({"step": done, "start": start}),
                    progress=None if self.rows is None else done / self.rows,
                )
            step = steps.stop

    def simulate(self, steps: range | None = None, start: int | None = None) -> Simulated:
        """Rows of all sensors with their labels.

        Args:
            steps: numbers of the rows of each sensor; all if None.
            start: event time of row 0, microseconds; the simulator's own if None.

        Raises:
            SourceError: all rows of an endless simulation were asked for.
        """
        if steps is None:
            if self.rows is None:
                raise SourceError("an endless simulation has no last row: say how many rows")
            steps = range(self.rows)
        start = self._first_time() if start is None else start
        plan = self._plan(start)
        first, last = start + steps.start * self._every, start + steps.stop * self._every
        faults = plan.between(first, last)
        times = np.stack([start + step * self._every + self._offset for step in steps])
        rows = [self._row(faults, time, step) for step, time in zip(steps, times, strict=True)]
        values, wrong = np.stack([row[0] for row in rows]), np.stack([row[1] for row in rows])
        labels = [self._label(fault) for fault in faults]
        return self._table(times, values, wrong, labels)

    def _row(
        self, faults: Sequence[Fault], time: Times, step: int
    ) -> tuple[Floats, NDArray[np.bool_]]:
        """(S, C) values of one row of every sensor, and (S,) which have a fault."""
        values = self._fleet.values(time, step, ahead(faults, time, len(self.models)))
        wrong = np.zeros(len(time), np.bool_)
        for fault in faults:
            moment = int(time[fault.sensor])
            if fault.start <= moment <= fault.end:
                wrong[fault.sensor] = True
                model = self.models[fault.channel]
                apply(fault, values, moment, step, model, lambda f: self._at_start(f, time, step))
        return values, wrong

    def _at_start(self, fault: Fault, time: Times, step: int) -> float:
        """The healthy value of the last row before a fault."""
        back = int(time[fault.sensor] - fault.start) // self._every + 1
        before = self._fleet.values(time - back * self._every, max(0, step - back))
        return float(before[fault.sensor, fault.channel])

    def _table(
        self,
        times: NDArray[np.int64],
        values: Floats,
        wrong: NDArray[np.bool_],
        labels: list[Label],
    ) -> Simulated:
        n, sensors = times.shape
        time = times.reshape(-1)
        order = np.argsort(time, kind="stable")
        sensor = np.tile(np.arange(sensors, dtype=np.int32), n)[order]
        table = values.reshape(n * sensors, -1)[order][:, self._order]
        batch = Batch(self.sensor_ids, sensor, time[order], self._channels, table)
        return Simulated(batch, wrong.reshape(-1)[order], labels)

    def _plan(self, start: int) -> FaultPlan:
        return FaultPlan(
            self.models,
            len(self.sensor_ids),
            self._faults_per_day,
            self._kinds,
            self._every,
            self._seed,
            start + self._healthy,
        )

    def _label(self, fault: Fault) -> Label:
        name = self.models[fault.channel].name
        return Label(self.sensor_ids[fault.sensor], name, fault.kind, fault.start, fault.end)

    def _first_time(self) -> int:
        return self._clock.now() if self._start is None else self._start

    def _infos(self) -> list[SensorInfo]:
        channels = {m.name: ChannelInfo(m.name, m.unit, source_unit=m.unit) for m in self.models}
        return [
            SensorInfo(one, name=one, site="simulated", source=self.name, channels=channels)
            for one in self.sensor_ids
        ]


def write(simulated: Simulated, path: Path) -> None:
    """Write readings with an ``is_anomaly`` column, and the labels beside them.

    Args:
        simulated: what to write.
        path: a CSV, Parquet or NDJSON file; labels go to ``NAME.labels.csv`` in the same folder.
    """
    batch = simulated.batch
    columns: dict[str, Column] = {
        "sensor_id": list(batch.ids()),
        "timestamp": batch.time.view("datetime64[us]"),
        **{name: batch.values[:, i] for i, name in enumerate(batch.channels)},
        "is_anomaly": simulated.is_anomaly,
    }
    write_table(path, columns)
    labels = simulated.labels
    write_table(
        path.with_name(path.name.split(".")[0] + ".labels.csv"),
        {
            "sensor_id": [label.sensor_id for label in labels],
            "channel": [label.channel for label in labels],
            "kind": [label.kind for label in labels],
            "start": [_iso(label.start) for label in labels],
            "end": [_iso(label.end) for label in labels],
        },
    )


def _iso(time: int) -> str:
    return format_time(time // 1000 * 1000)


def _parts(batch: Batch) -> Iterator[Batch]:
    """Batches of a size that a queue takes at once."""
    if len(batch) <= 2 * PARCEL:
        yield batch
        return
    for first in range(0, len(batch), PARCEL):
        yield batch.take(np.arange(first, min(first + PARCEL, len(batch))))


def _check(
    preset: str | Sequence[ChannelModel],
    sensors: int,
    every: float,
    speed: float | None,
    kinds: Sequence[str],
) -> None:
    if isinstance(preset, str) and preset not in PRESETS:
        raise SourceError(f"no preset is called {preset!r}: choose from {', '.join(PRESETS)}")
    if unknown := [kind for kind in kinds if kind not in KINDS]:
        raise SourceError(f"no fault is called {unknown[0]!r}: choose from {', '.join(KINDS)}")
    if sensors < 1 or not every > 0 or (speed is not None and not speed > 0):
        raise SourceError("a simulation needs at least one sensor, and rhythm and speed above 0")
