"""The pipeline: batches in, verdicts and incidents out; state of every sensor in between.

check, score, calibrate and decide happen in the engine and in :mod:`redshank.pipeline.check`;
this file knows which sensor is which, and what must be kept to resume.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from redshank import __version__
from redshank.core.batch import Batch, Bytes, Ints, Singles, Times
from redshank.core.channels import other_units, quantity
from redshank.core.queries import Recovery
from redshank.core.records import Checkpoint, Incident, SensorInfo, Status, Verdicts
from redshank.core.zones import Zone, Zones
from redshank.detect.alarm import Alarm, alarm_column
from redshank.detect.channelstate import NEVER, Rests
from redshank.detect.engine import Engine, EngineSettings, Judged
from redshank.detect.state import pack, unpack
from redshank.detect.streaming import Cause, StreamingSettings
from redshank.pipeline import check
from redshank.pipeline.budget import Budget, Rebuilt
from redshank.pipeline.incidents import Tracker
from redshank.pipeline.lapses import Absences
from redshank.pipeline.running import Running, Seen
from redshank.pipeline.timing import Attended, Place, Timing

MODEL = "redshank-streaming"
_PER_ROW = ("time", "score", "rate", "per_month", "budget", "status", "cause")
_PER_VALUE = ("values", "flags", "expected", "lower", "upper", "contributions")
Rows = np.ndarray[tuple[int], np.dtype[np.intp]]

CHECKPOINT_ROWS = 256
"""Rows of a sensor after which its state is written again."""
CHECKPOINTS_AT_ONCE = 1000
"""Sensors whose state is written in one transaction at the end."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one run brought.

    Attributes:
        verdicts: on rows that were complete.
        incidents: that opened, changed or closed.
        channels: sensors that are new or have new channels, with all of their channels.
    """

    verdicts: Sequence[Verdicts]
    incidents: Sequence[Incident]
    channels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


class Pipeline:
    """Detection for all sensors that reported since the start.

    Not thread-safe: the runner owns it.

    Args:
        budget: the alarm budget.
        describe: what is registered of a sensor.
        min_effect: channel to the least deviation in its unit that may alarm.
        zones: tells in which time zone a sensor stands.
    """

    def __init__(
        self,
        budget: Budget,
        describe: Callable[[str], SensorInfo],
        min_effect: Mapping[str, float] | None = None,
        zones: Zones | None = None,
    ) -> None:
        self.budget = budget
        self._zones = zones or Zones()
        self.describe = describe
        self.settings = EngineSettings(
            rests=rests,
            min_effect=dict(min_effect or {}),
            units=other_units,
            confirmation=budget.confirmation,
            offsets=self._zones.offsets,
        )
        self.clear()

    def clear(self) -> None:
        """Drop all sensors from memory; they come back from the store when they report again."""
        self._engine = Engine(self.settings)
        self._timing = Timing(self._zones, self._engine)
        self._tracker = Tracker(self.describe)
        self._absences = Absences(self.describe)
        self._slot: dict[str, int] = {}
        self._id: list[str] = []
        self._newest = np.full(64, NEVER, np.int64)
        self._since = np.zeros(64, np.int64)
        self._arrived = np.zeros(64, np.int64)
        self._known_channels: dict[int, int] = {}
        self._bounds: dict[int, check.Bounds] = {}

    def __contains__(self, sensor_id: str) -> bool:
        return sensor_id in self._slot

    def __len__(self) -> int:
        return len(self._slot)

    def model_info(self) -> dict[str, Any]:
        """Name, version, type, channels and parameters of the detector."""
        channels = sorted(
            {name for slot in self._slot.values() for name in self._engine.channels(slot)}
        )
        streaming = {
            name: getattr(self.settings.streaming, name) for name in StreamingSettings.__slots__
        }
        return {
            "name": MODEL,
            "version": __version__,
            "type": "streaming",
            "channels": channels,
            "features": [cause.name.lower() for cause in Cause if cause],
            "parameters": {
                **streaming,
                "alarm_budget": self.budget.per_sensor_month,
                "min_effect": dict(self.settings.min_effect),
                "sensors": len(self),
            },
            "trained_at": None,
            "metrics": {},
        }

    def state_bytes(self) -> int:
        """Memory of the detection state."""
        return self._engine.state_bytes() + self._timing.nbytes()

    # --- which sensors ---

    def unknown(self, batches: Sequence[Batch]) -> list[str]:
        """Sensors of these batches that are not in memory."""
        return self.asleep(dict.fromkeys(i for batch in batches for i in batch.sensor_ids))

    def asleep(self, sensor_ids: Iterable[str]) -> list[str]:
        """Those of these sensors that are not in memory."""
        return [sensor_id for sensor_id in sensor_ids if sensor_id not in self._slot]

    def adopt(
        self, sensor_id: str, recovery: Recovery | None, info: SensorInfo | None = None
    ) -> None:
        """Take a sensor into memory: as new, or where its last commit left it.

        Args:
            sensor_id: the sensor.
            recovery: what is stored of it.
            info: what is registered of it.

        Raises:
            ValueError: the checkpoint was written by another version of the kernels.
        """
        slot = self._enter(sensor_id)
        if recovery is not None and recovery.state is not None:
            header, (state, timing) = unpack(recovery.state)
            self._engine.restore(slot, state)
            self._timing.restore(slot, timing, self._zones.named(header["zone"]))
            if header["running"] is not None:
                self._tracker.running[sensor_id] = Running.from_dict(header["running"])
            if header["gone"]:
                self._absences.gone[sensor_id] = {k: tuple(v) for k, v in header["gone"].items()}
        if info is not None:
            self._timing.place(slot, info)
        if recovery is None:
            return
        self.replay(recovery.readings)
        self._known_channels[slot] = len(self._engine.channels(slot))
        if recovery.newest is not None:
            self._newest[slot] = recovery.newest

    def replay(self, batches: Sequence[Batch]) -> None:
        """Move the state over rows whose verdicts are stored already."""
        for batch in batches:
            self._run(batch, 0)

    def begin_again(self, sensor_id: str) -> None:
        """Forget what a sensor's values taught; its rhythm and its bounds stay."""
        slot = self._slot[sensor_id]
        timing = self._timing.state(slot), self._timing.zone_of(slot)
        bounds = self._bounds.get(slot)
        gone = self._absences.gone.get(sensor_id)
        self.forget([sensor_id])
        slot = self._enter(sensor_id)
        if gone is not None:
            self._absences.gone[sensor_id] = gone
        self._timing.restore(slot, *timing)
        if bounds is not None:
            self._bounds[slot] = bounds

    def relive(self, sensor_id: str, past: Sequence[Batch]) -> bool:
        """Put a sensor in the state of one that has lived through these rows and no others.

        Returns:
            Whether no incident goes on at their end.
        """
        slot = self._slot[sensor_id]
        newest, arrived = int(self._newest[slot]), int(self._arrived[slot])
        self.begin_again(sensor_id)
        self.replay(past)
        slot = self._slot[sensor_id]
        self._known_channels[slot] = len(self._engine.channels(slot))
        self._newest[slot], self._arrived[slot] = newest, arrived
        return sensor_id not in self._tracker.running

    def relearn_rhythm(self, sensor_id: str, time: Times) -> None:
        """Know a sensor's rhythm from these event times, (n,), alone; its zone stays."""
        slot = self._slot[sensor_id]
        zone = self._timing.zone_of(slot)
        self._timing.enter(slot)
        self._timing.restore(slot, self._timing.state(slot), zone)
        self._timing.run(np.full(len(time), slot, np.int32), time)

    def unusual_now(self, sensor_id: str) -> bool:
        """Whether the newest row of a sensor in memory is unusual."""
        running = self._tracker.running.get(sensor_id)
        return running is not None and running.last >= self.newest_of(sensor_id)

    def end_incident(self, sensor_id: str, time: int) -> Incident | None:
        """End the incident of a sensor that goes on, if any, at an event time."""
        return self._tracker.end(sensor_id, time)

    def calm(self, sensor_id: str) -> None:
        """Begin to watch a sensor as if nothing had been unusual before."""
        self._tracker.running.pop(sensor_id, None)
        self._engine.restore_alarm(self._slot[sensor_id], alarm_column().get(0))

    def forget(self, sensor_ids: Sequence[str]) -> None:
        """Drop sensors from memory; they come back from the store when they report again."""
        for sensor_id in sensor_ids:
            slot = self._slot.pop(sensor_id, None)
            if slot is not None:
                self._engine.remove(slot)
                self._known_channels.pop(slot, None)
                self._bounds.pop(slot, None)
                self._tracker.running.pop(sensor_id, None)
                self._absences.gone.pop(sensor_id, None)

    def bound(self, info: SensorInfo) -> None:
        """Flag a sensor's values from here on by the bounds that its owner set, if any."""
        slot = self._slot.get(info.sensor_id)
        if slot is None:
            return
        self._bounds.pop(slot, None)
        own = {
            name: (
                -np.inf if channel.minimum is None else channel.minimum,
                np.inf if channel.maximum is None else channel.maximum,
            )
            for name, channel in info.channels.items()
            if channel.minimum is not None or channel.maximum is not None
        }
        if own:
            self._bounds[slot] = own

    def place(self, info: SensorInfo) -> None:
        """Go by a sensor's site and time zone from here on."""
        if (slot := self._slot.get(info.sensor_id)) is not None:
            self._timing.place(slot, info)

    def zone_of(self, sensor_id: str) -> Zone:
        """A sensor's time zone."""
        return self._timing.zone_of(self._slot[sensor_id])

    def newest(self, batch: Batch) -> Times:
        """(sensors of the batch,) event time of each one's newest reading."""
        return self._newest[self._slots(batch)]

    def newest_of_all(self) -> Iterator[tuple[str, int]]:
        """The sensors in memory that have readings, and the event time of each one's newest."""
        for sensor_id, slot in self._slot.items():
            if (newest := int(self._newest[slot])) != NEVER:
                yield sensor_id, newest

    def newest_of(self, sensor_id: str) -> int:
        """Event time of a sensor's newest reading, microseconds."""
        return int(self._newest[self._slot[sensor_id]])

    def _enter(self, sensor_id: str) -> int:
        slot = self._engine.add(self.budget.for_sensor(sensor_id))
        while slot >= len(self._newest):
            self._newest = np.concatenate([self._newest, np.zeros_like(self._newest)])
            self._since = np.concatenate([self._since, np.zeros_like(self._since)])
            self._arrived = np.concatenate([self._arrived, np.zeros_like(self._arrived)])
        self._timing.enter(slot)
        self._newest[slot] = NEVER
        self._since[slot] = self._arrived[slot] = 0
        self._slot[sensor_id] = slot
        if slot == len(self._id):
            self._id.append(sensor_id)
        self._id[slot] = sensor_id
        return slot

    def _slots(self, batch: Batch) -> Ints:
        return np.array([self._slot[sensor_id] for sensor_id in batch.sensor_ids], np.int32)

    # --- rows ---

    def run(self, batches: Sequence[Batch], now: int) -> Outcome:
        """Score new rows in arrival order; all of their sensors are in memory.

        Args:
            batches: each sensor in one batch only.
            now: wall clock, microseconds, for flagging clocks that are ahead.
        """
        verdicts: list[Verdicts] = []
        incidents: dict[str, Incident] = {}
        channels: dict[str, tuple[str, ...]] = {}
        for batch in batches:
            for rows, changed in self._run(batch, now):
                verdicts.append(rows)
                incidents.update((incident.id, incident) for incident in changed)
            channels.update(self._new_channels(batch))
        return Outcome(verdicts, tuple(incidents.values()), channels)

    def _run(self, batch: Batch, now: int) -> list[tuple[Verdicts, list[Incident]]]:
        slots = self._slots(batch)[batch.sensor]
        np.maximum.at(self._newest, slots, batch.time)
        np.add.at(self._since, slots, 1)
        self._arrived[slots] = now
        out = []
        for judged in self._engine.run(slots, batch.time, batch.channels, batch.values):
            self._timing.run(judged.slots, judged.time)
            rows = self._verdicts(judged, now)
            past = judged.before, judged.usual, judged.levels
            seen = Seen(judged.alarm, judged.held, *past)
            told = self._tracker.follow(rows, seen) + self._absences.follow(rows)
            out.append((rows, told))
        return out

    def _verdicts(self, judged: Judged, now: int, only: str | None = None) -> Verdicts:
        """Verdicts on judged rows; all of one sensor if ``only`` names it."""
        slots, sensor = np.unique(judged.slots, return_inverse=True)
        ids = (self._id[slot] for slot in slots.tolist())
        possible = _possible(judged.channels)
        return Verdicts(
            sensor_ids=tuple(ids) if only is None else (only,),
            sensor=sensor.astype(np.int32),
            time=judged.time,
            channels=judged.channels,
            values=judged.values,
            score=judged.score,
            rate=judged.rate,
            per_month=judged.per_month,
            budget=judged.budget,
            status=status(judged),
            cause=judged.cause,
            flags=check.flags(judged, now, self._bounds),
            expected=np.clip(judged.expected, *possible),
            lower=np.clip(judged.lower, *possible),
            upper=np.clip(judged.upper, *possible),
            contributions=judged.contributions,
            model=MODEL,
            version=__version__,
        )

    def _new_channels(self, batch: Batch) -> dict[str, tuple[str, ...]]:
        new = {}
        for sensor_id in batch.sensor_ids:
            slot = self._slot[sensor_id]
            channels = self._engine.channels(slot)
            if self._known_channels.get(slot) != len(channels):
                self._known_channels[slot] = len(channels)
                new[sensor_id] = channels
        return new

    def attended(self, started: int, now: int) -> Attended:
        """How the sensors in memory report.

        Args:
            started: before this nobody listened, wall clock, microseconds.
            now: wall clock, microseconds.
        """
        ids = list(self._slot)
        slots = np.array([self._slot[sensor_id] for sensor_id in ids], np.int32)
        newest = self._newest[slots]
        since = np.maximum(np.maximum(newest, self._arrived[slots]), started)
        seen = self._timing.attendance(slots, since, now)
        places = self._timing.places(slots)
        return Attended(ids, since, newest, self._engine.budget[slots], places, seen)

    def place_of(self, number: int) -> Place:
        """The place of this number in :class:`Attended`."""
        return self._timing.place_of(number)

    def predict(self, batches: Sequence[Batch], now: int) -> list[Verdicts]:
        """Verdicts on rows as if they came now; changes and learns nothing.

        Each sensor's rows are judged in their order on a copy of its state, also where their time
        is not newer than its newest reading. Sensors that are not in memory start from nothing.
        """
        out = []
        for batch in batches:
            parts = []
            for number, sensor_id in enumerate(batch.sensor_ids):
                rows = np.flatnonzero(batch.sensor == number)
                parts.append((rows, self._peek(sensor_id, batch.take(rows), now)))
            out.append(_in_order(batch, parts))
        return out

    def _peek(self, sensor_id: str, batch: Batch, now: int) -> Verdicts:
        time = np.maximum.accumulate(batch.time) + np.arange(len(batch))
        judged = self._engine.run_on_copy(
            self._slot.get(sensor_id),
            self.budget.for_sensor(sensor_id),
            time,
            batch.channels,
            batch.values,
        )
        return self._verdicts(replace(judged, time=batch.time), now, sensor_id)

    # --- what is kept ---

    def due(self) -> list[Checkpoint]:
        """State of the sensors that brought many rows since it was written the last time."""
        return self.checkpoints(np.flatnonzero(self._since >= CHECKPOINT_ROWS).tolist())

    def unsaved(self) -> Iterator[list[Checkpoint]]:
        """State of all sensors with rows since their checkpoint, some at a time."""
        slots = np.flatnonzero(self._since > 0)
        for some in np.array_split(slots, -(-len(slots) // CHECKPOINTS_AT_ONCE) or 1):
            yield self.checkpoints(some.tolist())

    def checkpoints(self, slots: Sequence[int]) -> list[Checkpoint]:
        """State of these sensors after all of their rows so far."""
        made = []
        for slot in slots:
            sensor_id = self._id[slot]
            if self._slot.get(sensor_id) != slot:
                continue
            running = self._tracker.running.get(sensor_id)
            header: dict[str, Any] = {
                "running": asdict(running) if running else None,
                "gone": self._absences.gone.get(sensor_id),
                "zone": self._timing.zone_of(slot).name,
            }
            state = pack(header, [self._engine.snapshot(slot), self._timing.state(slot)])
            made.append(Checkpoint(sensor_id, state))
            self._since[slot] = 0
        return made

    def checkpoints_of(self, sensor_ids: Sequence[str]) -> list[Checkpoint]:
        """State of these sensors, by id."""
        return self.checkpoints([self._slot[sensor_id] for sensor_id in sensor_ids])

    def share_out(self, budget: Budget) -> None:
        """Go on under another budget from here; the past stays as it was told."""
        self.budget = budget
        for sensor_id, slot in self._slot.items():
            self._engine.budget[slot] = budget.for_sensor(sensor_id)

    def rebudget(self, budget: Budget, rebuilt: Rebuilt) -> list[Checkpoint]:
        """Go on under another budget; the changed state of all sensors in memory."""
        self.budget = budget
        for sensor_id, slot in self._slot.items():
            self._engine.budget[slot] = budget.for_sensor(sensor_id)
            if sensor_id in rebuilt.alarms:
                self._engine.restore_alarm(slot, rebuilt.alarms[sensor_id])
                self._tracker.running.pop(sensor_id, None)
                if sensor_id in rebuilt.running:
                    self._tracker.running[sensor_id] = rebuilt.running[sensor_id]
        return self.checkpoints(list(self._slot.values()))


def rests(name: str) -> Rests:
    """Where a channel may stay for any time: light, rain and the like at zero, unknown ones
    anywhere."""
    known = quantity(name)
    if known is None:
        return Rests.ANYWHERE
    return Rests.AT_ZERO if known.rests_at_zero else Rests.NEVER


def _possible(channels: Sequence[str]) -> tuple[Singles, Singles]:
    """(c,) least and (c,) greatest value that nature allows; nothing beyond can be expected."""
    known = [quantity(name) for name in channels]
    least = [-np.inf if one is None else one.minimum for one in known]
    most = [np.inf if one is None else one.maximum for one in known]
    return np.array(least, np.float32), np.array(most, np.float32)


def status(judged: Judged) -> Bytes:
    """(m,) :class:`Status` of each row."""
    out = np.full(len(judged.time), Status.NORMAL, np.uint8)
    out[np.isinf(judged.rate)] = Status.LEARNING
    out[judged.alarm & Alarm.WARNING != 0] = Status.WARNING
    out[judged.alarm & Alarm.OPEN != 0] = Status.ANOMALY
    return out


def _in_order(batch: Batch, parts: Sequence[tuple[Rows, Verdicts]]) -> Verdicts:
    """One table of verdicts in the batch's row order, over all channels of its sensors."""
    channels = tuple(dict.fromkeys(name for _, part in parts for name in part.channels))
    order = np.argsort(np.concatenate([rows for rows, _ in parts]))
    columns: dict[str, Any] = {}
    for name in _PER_ROW:
        columns[name] = np.concatenate([getattr(part, name) for _, part in parts])[order]
    for name in _PER_VALUE:
        wide = [_spread(getattr(part, name), part.channels, channels) for _, part in parts]
        columns[name] = np.concatenate(wide)[order]
    first = parts[0][1]
    return replace(
        first,
        sensor_ids=batch.sensor_ids,
        sensor=batch.sensor,
        channels=channels,
        **columns,
    )


def _spread(values: Any, channels: tuple[str, ...], wanted: tuple[str, ...]) -> Any:
    """Columns arranged for other channels; NaN (0 for flags) in those that are lacking."""
    if channels == wanted:
        return values
    empty = np.nan if values.dtype.kind == "f" else 0
    out = np.full((len(values), len(wanted)), empty, values.dtype)
    out[:, [wanted.index(name) for name in channels]] = values
    return out
