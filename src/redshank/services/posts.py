"""What boxes post themselves, in openSenseMap's formats: measurements, and the channels they mean.

Which channel a sensor id of a device means is known from, in this order: ``device_channels`` of the
box, a channel that has the id as its device's, its name or its title, and otherwise the id itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from redshank.core import device_formats as formats
from redshank.core.batch import Batch, Reading, batches
from redshank.core.channels import ChannelMapping, channel_name, map_channels
from redshank.core.device_formats import Location, Measurement
from redshank.core.errors import FieldError, FileFormatError
from redshank.core.letters import ReadLetter, Reread
from redshank.core.ports import Store
from redshank.core.queries import Sensors, Setting
from redshank.core.records import ChannelInfo, DeadLetter, SensorInfo
from redshank.core.rows import identifier

SOURCE = "device"
DEVICE_SENSOR = "device_sensor"
"""Detail of a dead letter: the sensor of a box that a single value was posted for."""
_READERS: Mapping[str, Callable[[bytes, int], list[Measurement]]] = {
    "application/json": formats.read_json,
    "": formats.read_json,
    "text/csv": formats.read_csv,
    "luftdaten": formats.read_luftdaten,
    "hackair": formats.read_hackair,
    "application/sbx-bytes": partial(formats.read_bytes, timed=False),
    "application/sbx-bytes-ts": partial(formats.read_bytes, timed=True),
}
_SINGLE = ("application/json", "")


def mapping_setting(sensor_id: str) -> str:
    """Key of the setting that holds a box's ``device_channels``."""
    return f"device_channels.{sensor_id}"


def understood(kind: str, sensor: str | None) -> bool:
    """Whether posts of a content type, for a single sensor or a whole box, can be read."""
    return kind in (_READERS if sensor is None else _SINGLE)


def read(kind: str, body: bytes, sensor: str | None, now: int) -> list[Measurement]:
    """The measurements of a post.

    Args:
        kind: its content type, or "luftdaten" or "hackair".
        body: its bytes.
        sensor: the sensor that it is for, None where the body says it.
        now: when it came, microseconds.

    Raises:
        FieldError: it cannot be used.
    """
    try:
        if sensor is not None:
            return [formats.read_value(body, identifier("sensorId", sensor), now)]
        return _READERS[kind](body, now)
    except FileFormatError as error:
        raise FieldError("body", body[:40].decode("utf-8", "replace"), str(error)) from error


def letters(store: Store) -> ReadLetter:
    """Reads posts that were refused again, by what is known of their boxes now."""

    def reread(letter: DeadLetter) -> Reread | None:
        sensor = letter.details.get(DEVICE_SENSOR)
        if not letter.topic or not understood(letter.content_type, sensor):
            return None
        known = known_box(store, letter.topic)
        post = known.post(read(letter.content_type, letter.raw, sensor, letter.time))
        info = known.info  # it may have moved on since
        here = replace(post.told, latitude=info.latitude, longitude=info.longitude)
        return Reread(post.batches, [here])

    return reread


@dataclass(frozen=True, slots=True)
class Post:
    """What one request says.

    Attributes:
        batches: its readings.
        told: what is known of the box with it.
        unmapped: ids of sensors that mean no known channel.
    """

    batches: list[Batch]
    told: SensorInfo
    unmapped: list[str]


@dataclass(frozen=True, slots=True)
class Box:
    """What is known of a box.

    Attributes:
        info: as it is registered.
        mapping: device sensor id to title and unit, as its owner has set it.
    """

    info: SensorInfo
    mapping: Mapping[str, Sequence[str]]

    def post(self, found: Sequence[Measurement]) -> Post:
        """What measurements mean for this box."""
        channels, sensor_id = self.channels(found), self.info.sensor_id
        rows = [Reading(sensor_id, *row) for row in formats.as_rows(found, channels)]
        unmapped = sorted(name for name, mapping in channels.items() if not mapping.mapped)
        return Post(batches(rows), self.told(channels, found), unmapped)

    def channels(self, found: Sequence[Measurement]) -> dict[str, ChannelMapping]:
        """The channel of every sensor that has measured."""
        ids = sorted({each.sensor for each in found} | set(self.mapping))
        titled = [name for name in ids if name in self.mapping]
        pairs = [(self.mapping[name][0], self.mapping[name][1] or None) for name in titled]
        mapped = dict(zip(titled, map_channels(pairs), strict=True))
        given = {each.sensor: each.channel for each in found if each.channel is not None}
        taken = {mapping.name for mapping in mapped.values()}
        for name in ids:
            if name not in mapped:
                wanted = given.get(name) or self._named(name)
                mapped[name] = replace(wanted, name=_free(wanted.name, taken))
                taken.add(mapped[name].name)
        return {each.sensor: mapped[each.sensor] for each in found}

    def _named(self, sensor: str) -> ChannelMapping:
        """The channel of this device sensor, name or title; one of its own if there is none."""
        for name, channel in self.info.channels.items():
            if sensor == channel.device:
                return ChannelMapping(name, channel.unit, channel.scale, channel.offset)
        for name, channel in self.info.channels.items():
            if sensor in (name, channel.title):
                return ChannelMapping(name, channel.unit)
        return ChannelMapping(channel_name(sensor), "", mapped=False)

    def told(
        self, channels: Mapping[str, ChannelMapping], found: Sequence[Measurement]
    ) -> SensorInfo:
        """The record with what this request says of the box."""
        info = self.info
        known = dict(info.channels)
        for sensor, mapping in channels.items():
            title, unit = self.mapping.get(sensor, (sensor, ""))[:2]
            known.setdefault(mapping.name, ChannelInfo(mapping.name, mapping.unit, title, unit))
        place = _last_place(found)
        if place is not None:
            info = replace(info, latitude=place.latitude, longitude=place.longitude)
        return replace(info, channels=known, source=info.source or SOURCE)


def known_box(store: Store, box: str) -> Box:
    """What the store knows of a box."""
    found = store.read(Sensors(sensor_ids=[box], limit=1))
    mapping = store.read(Setting(mapping_setting(box))) or {}
    return Box(found[0].info if found else SensorInfo(box), mapping)


def _last_place(found: Sequence[Measurement]) -> Location | None:
    """Where the box was last, None if it did not say."""
    placed = [each for each in found if each.location is not None]
    return max(placed, key=lambda each: each.time).location if placed else None


def _free(name: str, taken: set[str]) -> str:
    number, free = 2, name
    while free in taken:
        free, number = f"{name}_{number}", number + 1
    return free
