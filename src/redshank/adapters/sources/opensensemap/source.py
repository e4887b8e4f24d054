"""Follows openSenseMap boxes: the last two days at first contact, then whatever is new."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from redshank.adapters.sources.opensensemap.answers import (
    BadMeasurement,
    Box,
    BoxSensor,
    Measurement,
)
from redshank.adapters.sources.opensensemap.client import MILLISECOND, OpenSenseMapClient
from redshank.core.batch import Reading, batches
from redshank.core.channels import ChannelMapping, map_channels
from redshank.core.clock import DAY, HOUR, Clock, SystemClock
from redshank.core.errors import NotFoundError, SourceError
from redshank.core.ports import Parcel
from redshank.core.records import ChannelInfo, DeadLetter, SensorInfo

FIRST_CONTACT = 48 * HOUR
"""How far back the first contact with a box reads."""
WINDOW = 2 * DAY
"""Event time fetched, and committed, at once."""
_SURELY_PASCAL = 20_000.0
"""No air pressure is this high in hPa, none on a mountain this low in Pa."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """What was fetched of one box.

    Attributes:
        box_id: the box.
        name: what its owner calls it, "" if it could not be read.
        parcels: readings in time order.
        read: measurements that were read.
        unmapped: titles and units that no canonical channel is known for.
        error: why the box could not be read (to the end), None if it could.
    """

    box_id: str
    name: str = ""
    parcels: Sequence[Parcel] = ()
    read: int = 0
    unmapped: Sequence[str] = ()
    error: str | None = None


@dataclass
class _State:
    """How far each sensor is read; the cursor.

    Attributes:
        last: sensor id on the server to time of its newest value that was handed over.
        scale: sensor id to a factor found at first contact, where the owner's unit cannot be true.
    """

    last: dict[str, int] = field(default_factory=dict)
    scale: dict[str, float] = field(default_factory=dict)

    @classmethod
    def load(cls, cursor: str | None) -> _State:
        held = json.loads(cursor) if cursor else {}
        return cls(dict(held.get("last", {})), dict(held.get("scale", {})))

    def dump(self) -> str:
        return json.dumps({"last": self.last, "scale": self.scale})


class OpenSenseMap:
    """Live readings of openSenseMap boxes; a box is a sensor, its sensors are channels.

    Args:
        boxes: ids of boxes.
        client: how to ask the server.
        poll_seconds: seconds from one round over all boxes to the next.
        clock: for "the last two days" and the pace.
        sleep: how to wait, in seconds.

    Attributes:
        errors: box id to what went wrong in its last round; for health checks.
    """

    name = "opensensemap"

    def __init__(
        self,
        boxes: Iterable[str],
        client: OpenSenseMapClient,
        *,
        poll_seconds: float = 60.0,
        clock: Clock | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.errors: dict[str, str] = {}
        self._boxes = tuple(dict.fromkeys(boxes))
        self._client = client
        self._poll_seconds = poll_seconds
        self._clock = clock or SystemClock()
        self._sleep = sleep
        self._told: dict[str, SensorInfo] = {}
        self._log = structlog.get_logger("redshank.sources").bind(source=self.name)

    async def parcels(self, cursor: str | None) -> AsyncIterator[Parcel]:
        """New readings for ever, a parcel per box and two days at most.

        Raises:
            SourceError: not one of the boxes exists.
        """
        state, missing = _State.load(cursor), set[str]()
        while True:
            started = self._clock.monotonic()
            for box_id in self._boxes:
                try:
                    async for parcel in self._news(box_id, state):
                        yield parcel
                    self.errors.pop(box_id, None)
                except NotFoundError as error:
                    missing.add(box_id)
                    self._failed(box_id, error)
                except SourceError as error:
                    self._failed(box_id, error)
            if missing.issuperset(self._boxes) and not state.last:
                raise SourceError("; ".join(self.errors.values()) or "no boxes are configured")
            passed = self._clock.monotonic() - started
            await self._sleep(max(0.0, self._poll_seconds - passed))

    async def fetch_box(
        self,
        box_id: str,
        start: int | None = None,
        end: int | None = None,
        phenomena: Sequence[str] = (),
    ) -> Fetched:
        """Readings of one box between two times; leaves the live cursor alone.

        Args:
            box_id: the box.
            start: microseconds; two days before the end if None.
            end: microseconds; the box's newest reading if None.
            phenomena: titles or channel names to fetch; all if empty.
        """
        box: Box | None = None
        parcels: list[Parcel] = []
        read = 0
        try:
            box = await self._client.box(box_id)
            until = end if end is not None else (box.newest or self._clock.now())
            begin = start if start is not None else until - FIRST_CONTACT
            wanted = _wanted(box, phenomena)
            state = _State()
            self._told.pop(box_id, None)
            for window in _windows(begin, until):
                parcel, count = await self._window(box, wanted, window, state)
                read += count
                parcels += [parcel] if parcel != Parcel() else []
        except (SourceError, NotFoundError) as error:
            return Fetched(box_id, box.name if box else "", parcels, read, error=str(error))
        return Fetched(box_id, box.name, parcels, read, _unmapped(box))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _news(self, box_id: str, state: _State) -> AsyncIterator[Parcel]:
        """What came since the last round, or in the last two days."""
        box = await self._client.box(box_id)
        if box.newest is None:
            if told := self._tell(box):
                yield Parcel(sensors=told)
            return
        earliest = min(box.newest, self._clock.now()) - FIRST_CONTACT
        behind = {
            sensor.id: state.last.get(sensor.id, earliest - MILLISECOND) + MILLISECOND
            for sensor in box.sensors
            if not sensor.silent and _may_have_more(sensor, state)
        }
        if not behind:
            return
        sensors = [sensor for sensor in box.sensors if sensor.id in behind]
        # Up to the newest value that the box showed, so that all sensors of an upload are there.
        for window in _windows(min(behind.values()), box.newest):
            parcel, _ = await self._window(box, sensors, window, state, behind)
            yield parcel

    async def _window(
        self,
        box: Box,
        sensors: Sequence[BoxSensor],
        window: tuple[int, int],
        state: _State,
        behind: Mapping[str, int] | None = None,
    ) -> tuple[Parcel, int]:
        """A parcel of all readings in a window, and how many measurements they are made of."""
        start, end = window
        mappings = _mappings(box)
        rows = _Rows()
        bad: list[BadMeasurement] = []
        for sensor in sensors:
            begin = max(start, behind[sensor.id]) if behind is not None else start
            found, wrong = await self._measurements(box.id, sensor.id, begin, end)
            bad += wrong
            scale = _true_scale(sensor, mappings[sensor.id], found, state)
            rows.add(mappings[sensor.id], scale, found)
            reached = end if sensor.last_time is None else min(end, sensor.last_time)
            newest = found[-1].time if found else 0
            state.last[sensor.id] = max(state.last.get(sensor.id, 0), newest, reached)
        parcel = Parcel(
            batches=batches(rows.readings(box.id)),
            sensors=self._tell(box),
            dead_letters=[
                DeadLetter(self._clock.now(), self.name, f"box {box.id}: {b.reason}", b.raw)
                for b in bad
            ],
            cursor=state.dump() if behind is not None else None,
        )
        return parcel, rows.count

    async def _measurements(
        self, box_id: str, sensor_id: str, start: int, end: int
    ) -> tuple[list[Measurement], list[BadMeasurement]]:
        """All measurements of a window, oldest first, none twice."""
        found: dict[Measurement, None] = {}
        wrong: dict[BadMeasurement, None] = {}
        async for good, bad in self._client.pages(box_id, sensor_id, start, end):
            found.update(dict.fromkeys(good))
            wrong.update(dict.fromkeys(bad))
        return sorted(found, key=lambda m: m.time), list(wrong)

    def _tell(self, box: Box) -> list[SensorInfo]:
        """The sensor's description if it is new or has changed since it was last handed over."""
        info = self._info(box)
        if self._told.get(box.id) == info:
            return []
        self._told[box.id] = info
        return [info]

    def _info(self, box: Box) -> SensorInfo:
        mappings = _mappings(box)
        channels = {
            mappings[s.id].name: ChannelInfo(
                mappings[s.id].name, mappings[s.id].unit, s.title, s.unit
            )
            for s in box.sensors
        }
        return SensorInfo(
            box.id,
            name=box.name or box.id,
            latitude=box.latitude,
            longitude=box.longitude,
            exposure=box.exposure,
            source=self.name,
            channels=channels,
            tags=box.tags,
        )

    def _failed(self, box_id: str, error: Exception) -> None:
        self.errors[box_id] = str(error)
        self._log.warning("box cannot be read", box_id=box_id, error=str(error))


class _Rows:
    """Puts the values of one upload back together: the same time, one reading."""

    def __init__(self) -> None:
        self.count = 0
        self._rows: dict[tuple[int, int], dict[str, float]] = {}

    def add(self, mapping: ChannelMapping, scale: float, found: Iterable[Measurement]) -> None:
        """Measurements of one sensor; a second value at one time goes into a second reading."""
        for measurement in found:
            copy = 0
            while mapping.name in self._rows.setdefault((measurement.time, copy), {}):
                copy += 1
            value = measurement.value * mapping.scale * scale + mapping.offset
            self._rows[measurement.time, copy][mapping.name] = value
            self.count += 1

    def readings(self, sensor_id: str) -> list[Reading]:
        """Readings in time order."""
        return [Reading(sensor_id, key[0], self._rows[key]) for key in sorted(self._rows)]


def _may_have_more(sensor: BoxSensor, state: _State) -> bool:
    if sensor.last_time is None:
        # Its newest value was deleted: older ones may be there, but they do not change any more.
        return sensor.id not in state.last
    return sensor.last_time > state.last.get(sensor.id, -1)


def _mappings(box: Box) -> dict[str, ChannelMapping]:
    pairs = [(sensor.title, sensor.unit) for sensor in box.sensors]
    mapped = map_channels(pairs)
    return {sensor.id: mapping for sensor, mapping in zip(box.sensors, mapped, strict=True)}


def _unmapped(box: Box) -> list[str]:
    mappings = _mappings(box)
    return [f"{s.title} [{s.unit}]" for s in box.sensors if not mappings[s.id].mapped]


def _wanted(box: Box, phenomena: Sequence[str]) -> list[BoxSensor]:
    if not phenomena:
        return list(box.sensors)
    mappings = _mappings(box)
    return [s for s in box.sensors if s.title in phenomena or mappings[s.id].name in phenomena]


def _true_scale(
    sensor: BoxSensor, mapping: ChannelMapping, found: Sequence[Measurement], state: _State
) -> float:
    """A factor for pressure that is labelled hPa but sent in Pa, decided once per sensor."""
    if not mapping.mapped or not mapping.name.startswith("pressure") or not found:
        return 1.0
    shown = found[-1].value * mapping.scale + mapping.offset
    return state.scale.setdefault(sensor.id, 0.01 if shown > _SURELY_PASCAL else 1.0)


def _windows(start: int, end: int) -> Iterable[tuple[int, int]]:
    """Spans of two days at most, ends included, that do not overlap."""
    while start <= end:
        last = min(end, start + WINDOW)
        yield start, last
        start = last + MILLISECOND
