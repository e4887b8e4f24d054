"""What is registered of a sensor, from three sides: its sources, its readings and its owner.

What a person set stays as it is set, whatever sources tell later; what a source does not know
leaves what is there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from redshank.core.channels import quantity
from redshank.core.errors import FieldError
from redshank.core.records import ChannelInfo, SensorInfo

Edit = Callable[[SensorInfo | None], SensorInfo | None]
"""A sensor's new record, from the one that stands when it is written; None where there is none.

None leaves the sensor as it is; RedshankError everything.
"""

CHANNELS = "channels"
PLAIN = (
    "name",
    "site",
    "latitude",
    "longitude",
    "exposure",
    "timezone",
    "owner",
    "tags",
    "budget",
)
"""Fields that an owner may set, beside those of channels."""
OF_CHANNELS = ("unit", "title", "minimum", "maximum")
"""What an owner may set of a channel."""


def own_cursor(source: str, sensor_id: str) -> str:
    """Name of the cursor that a source keeps for one sensor alone; it goes with the sensor."""
    return f"{source} {sensor_id}"


def patched(info: SensorInfo, changes: Mapping[str, Any]) -> SensorInfo:
    """The record with an owner's changes; what changes is the owner's from then on.

    Args:
        info: as it stands.
        changes: field to value; ``channels`` maps names to fields of theirs, and what is not named
            in it stays.

    Raises:
        FieldError: a channel's unit or bounds cannot be these.
    """
    plain = {name: value for name, value in changes.items() if name != CHANNELS}
    edited = {*info.edited, *(name for name in plain if plain[name] != getattr(info, name))}
    channels = dict(info.channels)
    for name, fields in changes.get(CHANNELS, {}).items():
        before = channels.get(name) or _first(name)
        channels[name] = _channel(before, fields)
        new = (field for field in fields if fields[field] != getattr(before, field))
        edited.update(_path(name, field) for field in new)
    return replace(info, **plain, channels=channels, edited=tuple(sorted(edited)))


def completed(told: SensorInfo, stored: SensorInfo) -> SensorInfo:
    """What a source tells of a sensor; what is stored where it says nothing or a person did."""
    edited = frozenset(stored.edited)
    kept = {
        name: getattr(stored, name)
        for name in (*PLAIN, "source")
        if name != "tags" and (name in edited or getattr(told, name) in ("", None))
    }
    channels = {
        name: _kept(stored.channels.get(name), channel, edited)
        for name, channel in told.channels.items()
    }
    return replace(
        told,
        **kept,
        channels={**stored.channels, **channels},
        tags=stored.tags if "tags" in edited else {**stored.tags, **told.tags},
        edited=stored.edited,
    )


def _first(name: str) -> ChannelInfo:
    canonical = quantity(name)
    return ChannelInfo(name, canonical.unit if canonical else "")


def _channel(known: ChannelInfo, fields: Mapping[str, Any]) -> ChannelInfo:
    name, canonical = known.name, quantity(known.name)
    unit = fields.get("unit")
    if unit is not None and canonical is not None and unit != canonical.unit:
        reason = f"cannot be its unit: {name} is kept in {canonical.unit}"
        raise FieldError(_path(name, "unit"), unit, reason)
    made = replace(known, **fields)
    low, high = made.minimum, made.maximum
    if low is not None and high is not None and low > high:
        raise FieldError(_path(name, "minimum"), low, f"lies above the maximum, {high:g}")
    return made


def _kept(stored: ChannelInfo | None, told: ChannelInfo, edited: frozenset[str]) -> ChannelInfo:
    if stored is None:
        return told
    kept = {
        name: getattr(stored, name)
        for name in (*OF_CHANNELS, "source_unit", "resolution")
        if _path(told.name, name) in edited or getattr(told, name) in ("", None)
    }
    if not told.device:
        kept |= {"device": stored.device, "scale": stored.scale, "offset": stored.offset}
    return replace(told, **kept)


def _path(channel: str, field: str) -> str:
    return f"{CHANNELS}.{channel}.{field}"
