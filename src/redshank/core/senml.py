"""SenML, the Sensor Measurement Lists of RFC 8428, in their JSON form.

A pack is an array of records. Base fields (``bn bt bu bv``) count from their record on; a record is
resolved by joining them with its own fields. Times below 2**28 are relative to now.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from redshank.core.clock import SECOND
from redshank.core.errors import FieldError
from redshank.core.rows import shown
from redshank.core.typed import Collector, TypedReadings

VERSION = 10
RELATIVE = 2**28
"""Times below are seconds before or after now (RFC 8428, section 4.5.3)."""
_VALUES = ("v", "vs", "vb", "vd")
_KNOWN_BASES = frozenset({"bn", "bt", "bu", "bv", "bs", "bver"})
_SEPARATORS = ":/._-"


@dataclass
class _Base:
    name: str = ""
    time: float = 0.0
    unit: str = ""
    value: float = 0.0
    total: float = 0.0


def is_senml(value: object) -> bool:
    """Whether decoded JSON looks like a SenML pack: its first record has SenML's short names."""
    if not isinstance(value, list) or not value or not isinstance(value[0], dict):
        return False
    first = value[0].keys()
    named = "n" in first or "bn" in first
    return named and (not _KNOWN_BASES.isdisjoint(first) or not {*_VALUES, "s"}.isdisjoint(first))


def read_senml(
    pack: object, *, arrival: int, sensor_id: str | None = None, channel: str | None = None
) -> TypedReadings:
    """Readings of a pack.

    A record's name is sensor and channel in one. With ``sensor_id`` given, the part after the base
    name is the channel; otherwise the base name is the sensor, or what stands before the last
    separator (``urn:dev:ow:10e2073a01080063:temp``).

    Args:
        pack: decoded JSON.
        arrival: when it came, microseconds; "now" of relative times.
        sensor_id: the sensor, where the sender told it otherwise.
        channel: the channel of records without a name of their own.
    """
    collector = Collector(arrival)
    if not isinstance(pack, list):
        collector.errors.append(FieldError("pack", shown(pack), "is not an array of records"))
        return collector.collected()
    base = _Base()
    for record in pack:
        try:
            _add(record, base, collector, sensor_id, channel)
        except FieldError as error:
            collector.errors.append(error)
    return collector.collected()


def _add(
    record: object, base: _Base, collector: Collector, sensor_id: str | None, channel: str | None
) -> None:
    if not isinstance(record, dict):
        raise FieldError("record", shown(record), "is not an object")
    _take_base(record, base)
    found = _value(record, base)
    if found is None:
        return
    sensor, name = _names(base.name, _text(record, "n"), sensor_id, channel)
    unit = _text(record, "u") or base.unit
    time = _time(record, base, collector)
    value, suffix = found
    collector.add(sensor, time, name + suffix, value, "" if suffix else unit)


def _take_base(record: dict[str, Any], base: _Base) -> None:
    for key in record:
        if key.endswith("_"):
            raise FieldError(key, shown(record[key]), "must be understood and is not known")
    if _number(record, "bver", VERSION) > VERSION:
        raise FieldError("bver", shown(record["bver"]), f"is newer than {VERSION}")
    if "bn" in record:
        base.name = _text(record, "bn")
    if "bu" in record:
        base.unit = _text(record, "bu")
    base.time = _number(record, "bt", base.time)
    base.value = _number(record, "bv", base.value)
    base.total = _number(record, "bs", base.total)


def _value(record: dict[str, Any], base: _Base) -> tuple[float | bool | str, str] | None:
    """The value, and what its channel's name ends in; None if the record has only base fields."""
    held = [key for key in _VALUES if key in record]
    if len(held) > 1:
        raise FieldError(held[1], shown(record[held[1]]), f"is a second value beside {held[0]!r}")
    if held == ["v"]:
        return base.value + _number(record, "v", 0.0), ""
    if held == ["vb"]:
        if not isinstance(record["vb"], bool):
            raise FieldError("vb", shown(record["vb"]), "is not true or false")
        return record["vb"], ""
    if held:
        return _text(record, held[0]), ""
    if "s" in record:
        return base.total + _number(record, "s", 0.0), "_sum"
    if "n" in record and _KNOWN_BASES.isdisjoint(record):
        raise FieldError("v", None, f"is missing in the record of {shown(record['n'])!r}")
    return None


def _names(base: str, own: str, sensor_id: str | None, channel: str | None) -> tuple[str, str]:
    """Sensor and channel of a record."""
    if sensor_id is not None:
        sensor, name = sensor_id, own if base and own else channel or _split(base + own)[1]
    elif base and own:
        sensor, name = base.rstrip(_SEPARATORS), own
    elif channel is not None and not own:
        sensor, name = base.rstrip(_SEPARATORS), channel
    else:
        sensor, name = _split(base + own)
    if not sensor or not name:
        what = "sensor: a base name or topic must" if not sensor else "channel"
        raise FieldError("n", shown(base + own), f"names no {what}")
    return sensor, name


def _split(name: str) -> tuple[str, str]:
    """What stands before and after the last ``/`` or ``:``."""
    at = max(name.rfind("/"), name.rfind(":"))
    return (name[:at], name[at + 1 :]) if at >= 0 else ("", name)


def _time(record: dict[str, Any], base: _Base, collector: Collector) -> int:
    seconds = base.time + _number(record, "t", 0.0)
    if not math.isfinite(seconds) or abs(seconds) >= 2**53:
        raise FieldError("t", str(seconds), "is not a time")
    if seconds >= RELATIVE:
        return round(seconds * SECOND)
    collector.timeless = True
    return collector.arrival + round(seconds * SECOND)


def _number(record: dict[str, Any], key: str, default: float) -> float:
    value = record.get(key, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise FieldError(key, shown(value), "is not a number")
    try:
        return float(value)
    except OverflowError:
        raise FieldError(key, shown(value), "is not a finite number") from None


def _text(record: dict[str, Any], key: str) -> str:
    value = record.get(key, "")
    if not isinstance(value, str):
        raise FieldError(key, shown(value), "is not text")
    return value.encode("utf-8", "replace").decode()
