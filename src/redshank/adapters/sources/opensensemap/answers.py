"""What openSenseMap answers, read tolerantly: shapes vary with the age of rows and servers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from redshank.core.clock import format_time, parse_time
from redshank.core.errors import FieldError
from redshank.core.rows import number, shown
from redshank.core.times import parse_times


class BrokenAnswer(ValueError):  # noqa: N818
    """A body that is not what was asked for, whatever its status says; worth asking again."""


@dataclass(frozen=True, slots=True)
class BoxSensor:
    """One sensor of a box.

    Attributes:
        id: its id on the server.
        title: the owner's own, as in "rel. Luftfeuchte".
        unit: the owner's own.
        last_time: time of its newest value, microseconds; None if unknown or never.
        last_value: its newest value.
        silent: whether it never sent anything.
    """

    id: str
    title: str
    unit: str
    last_time: int | None
    last_value: float | None
    silent: bool


@dataclass(frozen=True, slots=True)
class Box:
    """A box with its sensors in order of creation."""

    id: str
    name: str
    exposure: str
    latitude: float | None
    longitude: float | None
    tags: Mapping[str, str]
    sensors: tuple[BoxSensor, ...]

    @property
    def newest(self) -> int | None:
        """Time of the newest value of any sensor, microseconds; None before any."""
        return max((s.last_time for s in self.sensors if s.last_time is not None), default=None)


@dataclass(frozen=True, slots=True)
class Measurement:
    """One value of one sensor."""

    time: int
    value: float


@dataclass(frozen=True, slots=True)
class BadMeasurement:
    """A row that is no measurement, with the reason."""

    reason: str
    raw: bytes


def parse_json(body: bytes) -> Any:
    """The JSON of a body.

    Raises:
        BrokenAnswer: it is cut off, empty, HTML or anything else.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        start = body[:40].decode("utf-8", "replace")
        raise BrokenAnswer(f"the answer is not whole JSON ({error.msg}): {start!r}") from None


def parse_box(answer: Any) -> Box:
    """A box from ``GET /boxes/:id``.

    Raises:
        BrokenAnswer: it is no box.
    """
    if not isinstance(answer, dict) or not isinstance(answer.get("sensors"), list):
        raise BrokenAnswer("the answer is not a box with sensors")
    sensors = [_sensor(one) for one in answer["sensors"] if isinstance(one, dict)]
    longitude, latitude = _coordinates(answer.get("currentLocation"))
    groups = answer.get("grouptag") or []
    words = {
        "network": "openSenseMap",
        "model": answer.get("model"),
        "grouptag": ", ".join(map(str, groups)) if isinstance(groups, list) else str(groups),
    }
    exposure = answer.get("exposure")
    return Box(
        id=str(answer.get("_id") or answer.get("id") or ""),
        name=str(answer.get("name") or ""),
        exposure=exposure if exposure in ("indoor", "outdoor", "mobile") else "",
        latitude=latitude,
        longitude=longitude,
        tags={key: str(word) for key, word in words.items() if word},
        sensors=tuple(sorted((s for s in sensors if s.id), key=lambda sensor: sensor.id)),
    )


def parse_measurements(answer: Any) -> tuple[list[Measurement], list[BadMeasurement]]:
    """Measurements from ``GET /boxes/:boxId/data/:sensorId`` in the order of the answer.

    Raises:
        BrokenAnswer: it is no list.
    """
    if not isinstance(answer, list):
        raise BrokenAnswer("the answer is not a list of measurements")
    stamps = [_stamp(row) for row in answer]
    times, known = parse_times([stamp if isinstance(stamp, str) else "" for stamp in stamps])
    good, bad = [], []
    for row, stamp, time, quick in zip(answer, stamps, times.tolist(), known.tolist(), strict=True):
        try:
            moment = time if quick else parse_time(stamp, "createdAt")
            if (value := _value(row)) is not None:
                good.append(Measurement(moment, value))
        except FieldError as error:
            bad.append(BadMeasurement(str(error), _raw(row)))
    return good, bad


def format_query_time(time: int) -> str:
    """The one form of time that the API takes: three decimals and Z."""
    return format_time(time // 1000 * 1000)


def _stamp(row: Any) -> Any:
    return (row.get("createdAt") or row.get("time")) if isinstance(row, dict) else None


def _value(row: Any) -> float | None:
    """The number of a row, None for null; hexadecimal and other texts are no numbers."""
    value = row.get("value")
    if value is None:
        return None
    if isinstance(value, str):
        spelt = number(value)
        if spelt is not None and math.isfinite(spelt):
            return spelt
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    raise FieldError("value", shown(value), "is not a number")


def _raw(row: Any) -> bytes:
    try:
        return orjson.dumps(row)[:65_536]
    except orjson.JSONEncodeError:
        return b""


def _sensor(one: Mapping[str, Any]) -> BoxSensor:
    last = one.get("lastMeasurement", False)
    time = value = None
    if isinstance(last, dict):
        try:
            time = parse_time(_stamp(last), "createdAt")
            value = _value(last)
        except FieldError:
            pass
    return BoxSensor(
        id=str(one.get("_id") or one.get("id") or ""),
        title=str(one.get("title") or ""),
        unit=str(one.get("unit") or ""),
        last_time=time,
        last_value=value,
        silent=last is False,
    )


def _coordinates(location: Any) -> Sequence[float | None]:
    found = location.get("coordinates") if isinstance(location, dict) else None
    if not isinstance(found, list) or len(found) < 2:
        return None, None
    if not all(isinstance(c, (int, float)) and not isinstance(c, bool) for c in found[:2]):
        return None, None
    return float(found[0]), float(found[1])
