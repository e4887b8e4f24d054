"""Dead letters of openSenseMap, read again by what is known of their boxes now."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from redshank.adapters.sources.opensensemap.answers import Box, BoxSensor, parse_json
from redshank.adapters.sources.opensensemap.http import BrokenAnswer
from redshank.adapters.sources.opensensemap.measurements import Measurements, parse_measurements
from redshank.adapters.sources.opensensemap.rows import assembled, converted
from redshank.core.channels import map_channels, scaled
from redshank.core.letters import Reread
from redshank.core.records import ChannelInfo, DeadLetter, SensorInfo


class OpenSenseMapLetters:
    """Reads letters again; see :data:`redshank.core.letters.ReadLetter`.

    A letter is one measurement of one sensor of a box. Its channel is the one that the registry
    has for the sensor's id, and otherwise the one that title and unit stand for.

    Args:
        known: what the registry has of a box.
    """

    def __init__(self, known: Callable[[str], SensorInfo]) -> None:
        self._known = known

    def __call__(self, letter: DeadLetter) -> Reread | None:
        """What a letter holds now; None if an earlier version did not say of which sensor it is."""
        box_id, _, sensor_id = letter.topic.partition("/")
        if not sensor_id:
            return None
        found = _measured(letter.raw)
        if found.bad:
            return Reread(reason=found.bad[0].reason)
        if not len(found):
            return Reread(reason="value: None is no number")
        info = self._known(box_id)
        name, values = _converted(letter, sensor_id, info, found)
        return Reread(assembled(_box(info), {name: values}))


def _measured(raw: bytes) -> Measurements:
    try:
        row: Any = parse_json(raw)
    except BrokenAnswer:
        row = None
    if isinstance(row, dict) and "longitude" in row and "location" not in row:
        row["location"] = [row["longitude"], row.get("latitude")]
    return parse_measurements([row])


def _converted(
    letter: DeadLetter, sensor_id: str, info: SensorInfo, found: Measurements
) -> tuple[str, Measurements]:
    """The channel, and the values in its unit."""
    channel = next((one for one in info.channels.values() if one.device == sensor_id), None)
    if channel is not None:
        return channel.name, _scaled(channel, found)
    title, unit = letter.details.get("title", ""), letter.details.get("unit", "")
    sensor = BoxSensor(sensor_id, title, unit, None, None, silent=False)
    [mapping] = map_channels([(title, unit)])
    return mapping.name, converted(sensor, mapping, found, {})


def _scaled(channel: ChannelInfo, found: Measurements) -> Measurements:
    value = scaled(found.value, channel.scale, channel.offset)
    return Measurements(found.time, value, found.place, found.bad, found.rows)


def _box(info: SensorInfo) -> Box:
    place = None
    if info.latitude is not None and info.longitude is not None:
        place = (info.longitude, info.latitude, None)
    return Box(info.sensor_id, info.name, info.exposure, place, info.tags, ())
