"""Measurements of a box's sensors put together again: what was sent at once is one reading."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from redshank.adapters.sources.opensensemap.answers import Box, BoxSensor
from redshank.adapters.sources.opensensemap.measurements import Measurements
from redshank.core.batch import Batch, Floats, Times
from redshank.core.channels import ChannelMapping, map_channels, scaled
from redshank.core.clock import DAY
from redshank.core.media import JSON
from redshank.core.records import ChannelInfo, DeadLetter, SensorInfo

PARCEL = 10_000
"""Readings that are handed over at once, at most."""
SOURCE = "opensensemap"
_SURELY_PASCAL = 20_000.0
"""No air pressure is this high in hPa, none on a mountain this low in Pa."""
_SAME_PLACE = 1e-6
"""Degrees; the server rounds to a tenth of this."""
_PLACE_TAGS = ("longitude", "latitude", "height")


def mappings(box: Box) -> dict[str, ChannelMapping]:
    """The channel of each sensor of a box, by the sensor's id."""
    mapped = map_channels((sensor.title, sensor.unit) for sensor in box.sensors)
    return {sensor.id: mapping for sensor, mapping in zip(box.sensors, mapped, strict=True)}


def chosen(box: Box, phenomena: Sequence[str]) -> list[BoxSensor]:
    """Sensors with one of these titles or channel names; all if none is named."""
    if not phenomena:
        return list(box.sensors)
    known, names = mappings(box), {name.casefold() for name in phenomena}
    return [s for s in box.sensors if s.title.casefold() in names or known[s.id].name in names]


def unmapped(box: Box) -> list[str]:
    """Titles and units that no canonical channel is known for."""
    known = mappings(box)
    return [f"{s.title} [{s.unit}]" for s in box.sensors if not known[s.id].mapped]


def described(box: Box, scales: Mapping[str, float] | None = None) -> SensorInfo:
    """What is known of a box as of a sensor; a mobile one is where it was last.

    Args:
        box: the box.
        scales: further factors as of :func:`converted`. Where one is needed and not decided yet,
            the sensor's id is not told: what the device itself posts could not be converted.
    """
    known, decided = mappings(box), scales or {}
    channels = {known[s.id].name: _channel(s, known[s.id], decided) for s in box.sensors}
    longitude, latitude = box.place[:2] if box.place else (None, None)
    return SensorInfo(
        box.id,
        name=box.name or box.id,
        latitude=latitude,
        longitude=longitude,
        exposure=box.exposure,
        source=SOURCE,
        channels=channels,
        tags=box.tags,
    )


def _channel(
    sensor: BoxSensor, mapping: ChannelMapping, scales: Mapping[str, float]
) -> ChannelInfo:
    info = ChannelInfo(mapping.name, mapping.unit, sensor.title, sensor.unit)
    factor = scales.get(sensor.id) if _may_be_pascal(mapping) else 1.0
    if factor is None:
        return info
    scale, offset = mapping.scale * factor, mapping.offset * factor
    return replace(info, device=sensor.id, scale=scale, offset=offset)


def _may_be_pascal(mapping: ChannelMapping) -> bool:
    return mapping.mapped and mapping.name.startswith("pressure")


def converted(
    sensor: BoxSensor, mapping: ChannelMapping, found: Measurements, scales: dict[str, float]
) -> Measurements:
    """Values in the channel's unit.

    Args:
        sensor: the sensor.
        mapping: its channel.
        found: its measurements.
        scales: sensor id to a further factor, decided once and kept: 0.01 where a pressure is
            labelled hPa and sent in Pa.
    """
    value = mapping.convert(found.value)
    if _may_be_pascal(mapping) and len(value):
        guess = 0.01 if np.median(value) > _SURELY_PASCAL else 1.0
        value = scaled(value, scales.setdefault(sensor.id, guess))
    return Measurements(found.time, value, found.place, found.bad, found.rows)


def assembled(box: Box, columns: Mapping[str, Measurements]) -> list[Batch]:
    """Readings from the values of each channel, in time order.

    Values of one time are one reading. A second value of a channel at one time goes into a further
    batch, where the store sees and counts the conflict. Where a reading was taken elsewhere than
    the box is now, and always for mobile boxes, its place stands in its tags.

    Args:
        box: the box.
        columns: channel name to values in time order, equal ones once.
    """
    filled = {name: found for name, found in sorted(columns.items()) if len(found)}
    copies = {name: _copy_numbers(found.time) for name, found in filled.items()}
    most = max((int(numbers.max()) for numbers in copies.values()), default=-1)
    batches = []
    for copy in range(most + 1):
        masks = {name: numbers == copy for name, numbers in copies.items()}
        level = {name: filled[name].where(mask) for name, mask in masks.items() if mask.any()}
        batches.append(_wide(box, level))
    return batches


def pieces(batches: Sequence[Batch]) -> list[list[Batch]]:
    """The same rows in groups of a size that a queue takes."""
    groups: list[list[Batch]] = []
    room = 0
    for batch in batches:
        for first in range(0, len(batch), PARCEL):
            part = batch.take(np.arange(first, min(first + PARCEL, len(batch))))
            if len(part) > room:
                groups.append([])
                room = PARCEL
            groups[-1].append(part)
            room -= len(part)
    return groups


def letters(box: Box, found: Mapping[str, Measurements], source: str, now: int) -> list[DeadLetter]:
    """What could not be read, for the dead letters; what is read again every hour is kept once.

    Args:
        box: the box.
        found: sensor id to what was read of it.
        source: name of the source.
        now: wall clock, microseconds.
    """
    named = {sensor.id: {"title": sensor.title, "unit": sensor.unit} for sensor in box.sensors}
    return [
        DeadLetter(
            *(now, source, one.reason, one.raw, None),
            topic=f"{box.id}/{sensor_id}",
            content_type=JSON[0],
            details=named.get(sensor_id, {}),
            key=hashlib.blake2b(one.raw, digest_size=8).hexdigest(),
        )
        for sensor_id, part in found.items()
        for one in dict.fromkeys(part.bad)
    ]


def _copy_numbers(time: Times) -> Times:
    """(n,) how many earlier values have the same time, for sorted times."""
    first = np.searchsorted(time, time, side="left")
    return np.arange(len(time)) - first


def _wide(box: Box, level: Mapping[str, Measurements]) -> Batch:
    """One batch of values that are all at different times within their channel."""
    time = np.unique(np.concatenate([found.time for found in level.values()]))
    values = np.full((len(time), len(level)), np.nan)
    place = np.full((len(time), 3), np.nan)
    for column, found in enumerate(level.values()):
        at = np.searchsorted(time, found.time)
        values[at, column] = found.value
        if found.place is not None:
            known = ~np.isnan(found.place[:, 0])
            place[at[known]] = found.place[known]
    sensor = np.zeros(len(time), np.int32)
    return Batch((box.id,), sensor, time, tuple(level), values, None, _place_tags(box, place))


def _place_tags(box: Box, place: Floats) -> tuple[Mapping[str, str] | None, ...] | None:
    told = ~np.isnan(place[:, 0])
    if box.exposure != "mobile" and box.place is not None:
        home = np.array(box.place[:2])
        told &= np.abs(place[:, :2] - home).max(axis=1) > _SAME_PLACE
    if not told.any():
        return None
    return tuple(
        {
            name: f"{number:.10g}"
            for name, number in zip(_PLACE_TAGS, row, strict=True)
            if number == number
        }
        if known
        else None
        for row, known in zip(place.tolist(), told.tolist(), strict=True)
    )


def day_of(time: int) -> int:
    """The beginning of a time's day, UTC."""
    return time // DAY * DAY
