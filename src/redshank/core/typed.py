"""Readings from formats that send one typed value at a time, with a unit: SenML and Sparkplug B."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from redshank.core.batch import Reading
from redshank.core.channels import ChannelMapping, canonical, channel_name, map_channels, quantity
from redshank.core.errors import FieldError
from redshank.core.records import ChannelInfo
from redshank.core.rows import EARLIEST, LATEST_AHEAD, MAX_CHANNELS, MAX_ID, MAX_TAG, shown

_UNITS: Mapping[str, str] = {"Cel": "°C", "%RH": "%", "ug/m3": "µg/m³", "deg": "°"}
"""Unit symbols of RFC 8428 that have another name among owners' units."""


@dataclass(frozen=True, slots=True)
class TypedReadings:
    """What one message held.

    Attributes:
        readings: values of one sensor and time together.
        channels: sensor to its channels that came with a unit.
        errors: what could not be used, each naming field and value.
        timeless: whether the time of arrival was needed.
    """

    readings: list[Reading]
    channels: Mapping[str, Mapping[str, ChannelInfo]]
    errors: list[FieldError]
    timeless: bool


@dataclass
class Collector:
    """Puts values together that belong to one sensor and time.

    Args:
        arrival: when the message came, microseconds.
    """

    arrival: int
    errors: list[FieldError] = field(default_factory=list)
    timeless: bool = False
    _values: dict[tuple[str, int], dict[str, float]] = field(default_factory=dict)
    _tags: dict[tuple[str, int], dict[str, str]] = field(default_factory=dict)
    _infos: dict[str, dict[str, ChannelInfo]] = field(default_factory=dict)

    def add(
        self, sensor_id: str, time: int, name: str, value: float | bool | str, unit: str
    ) -> None:
        """One value; texts and truth values become tags, as in every other format.

        Raises:
            FieldError: sensor, time or value cannot be used.
        """
        check_identity(sensor_id)
        check_time(time, self.arrival)
        key = (sensor_id, time)
        if isinstance(value, (bool, str)):
            text = str(value).lower() if isinstance(value, bool) else value
            if len(text) > MAX_TAG or len(name) > MAX_TAG:
                raise FieldError(name[:80], shown(text), f"is longer than {MAX_TAG} characters")
            self._tags.setdefault(key, {})[name] = text
            return
        mapping = mapped(name, unit)
        values = self._values.setdefault(key, {})
        if mapping.name in values:
            raise FieldError(name, shown(value), "comes twice for the same time")
        if len(values) >= MAX_CHANNELS:
            raise FieldError(name, shown(value), f"is one of more than {MAX_CHANNELS} channels")
        values[mapping.name] = mapping.convert(value)
        if unit:
            info = ChannelInfo(mapping.name, mapping.unit, name, unit)
            self._infos.setdefault(sensor_id, {})[mapping.name] = info

    def collected(self) -> TypedReadings:
        """Everything so far; a text without any number beside it makes no reading."""
        readings = [
            Reading(sensor_id, time, values, tags=self._tags.get((sensor_id, time), {}))
            for (sensor_id, time), values in self._values.items()
            if values
        ]
        return TypedReadings(readings, self._infos, self.errors, self.timeless)


def check_identity(sensor_id: str) -> None:
    """Whether a text can name a sensor.

    Raises:
        FieldError: it cannot.
    """
    if not sensor_id:
        raise FieldError("sensor_id", None, "is missing: say which sensor the reading is from")
    if len(sensor_id) > MAX_ID or not sensor_id.isprintable():
        reason = f"is longer than {MAX_ID} characters or not printable"
        raise FieldError("sensor_id", shown(sensor_id), reason)


def check_time(time: int, arrival: int) -> None:
    """Whether an event time in microseconds can be true.

    Raises:
        FieldError: it cannot.
    """
    if time < EARLIEST:
        raise FieldError("time", shown(time), "lies before 1990: is the sender's clock set?")
    if time > arrival + LATEST_AHEAD:
        raise FieldError("time", shown(time), "lies more than a year ahead of now")


@lru_cache(maxsize=16384)
def mapped(name: str, unit: str) -> ChannelMapping:
    """The channel of a name and a unit; without a unit, names stand for themselves."""
    if not unit:
        return ChannelMapping(channel_name(name), "", mapped=False)
    known = _UNITS.get(unit, unit)
    by_title = canonical(name, known)
    if by_title is not None:
        return by_title
    own = quantity(channel_name(name))
    if own is not None and (numbered := canonical(own.name, known)) is not None:
        return ChannelMapping(
            channel_name(name), numbered.unit, numbered.scale, numbered.offset, True
        )
    return map_channels([(name, known)])[0]
