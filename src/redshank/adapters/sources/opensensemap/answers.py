"""Boxes as openSenseMap tells of them, read tolerantly: shapes vary with age and with servers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from redshank.adapters.sources.opensensemap.http import BrokenAnswer
from redshank.adapters.sources.opensensemap.measurements import stamp, value_of
from redshank.core.clock import SECOND, format_time, parse_time
from redshank.core.errors import FieldError

FIRST_BOXES = parse_time("2014-01-01T00:00:00Z")
"""openSenseMap took its first boxes in 2014; an id that says otherwise holds no time."""


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
        kind: the chip, as in "HDC1080"; "" if unknown.
    """

    id: str
    title: str
    unit: str
    last_time: int | None
    last_value: float | None
    silent: bool
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Box:
    """A box with its sensors in order of creation.

    Attributes:
        id: its id on the server.
        name: what its owner calls it.
        exposure: "indoor", "outdoor", "mobile" or "".
        place: longitude, latitude and height in metres where it is now; None if unknown.
        tags: what else is known of it.
        sensors: in order of their ids, which is that of creation.
        registered: when it was registered, microseconds; None if nobody knows.
        last_time: time of its newest value of any sensor as the box tells it, microseconds.
    """

    id: str
    name: str
    exposure: str
    place: tuple[float, float, float | None] | None
    tags: Mapping[str, str]
    sensors: tuple[BoxSensor, ...]
    registered: int | None = None
    last_time: int | None = None

    @property
    def newest(self) -> int | None:
        """Time of the newest value of any sensor, microseconds; None before any."""
        times = (*(sensor.last_time for sensor in self.sensors), self.last_time)
        return max((time for time in times if time is not None), default=None)


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
    return _box(answer)


def parse_boxes(answer: Any) -> list[Box]:
    """Boxes from ``GET /boxes``, of its minimal form too, which tells of no sensors.

    Raises:
        BrokenAnswer: it is no list of boxes.
    """
    if isinstance(answer, dict):
        answer = answer.get("data", answer.get("boxes", answer.get("devices")))
    if not isinstance(answer, list):
        raise BrokenAnswer("the answer is not a list of boxes")
    boxes = [_box(one) for one in answer if isinstance(one, dict)]
    return [box for box in boxes if box.id]


def format_query_time(time: int) -> str:
    """The one form of time that the API takes: three decimals and Z."""
    return format_time(time // 1000 * 1000)


def registered_at(box_id: str, created: Any = None) -> int | None:
    """When a box was registered: its id says it, ``createdAt`` often is that of a migration.

    Args:
        box_id: an ObjectId of 24 hexadecimal digits begins with Unix seconds.
        created: what the box tells, for ids of another form.
    """
    try:
        told = int(box_id[:8], 16) * SECOND if len(box_id) == 24 else 0
    except ValueError:
        told = 0
    return told if told >= FIRST_BOXES else _time_or_none(created)


def _box(answer: Mapping[str, Any]) -> Box:
    found = [_sensor(one) for one in answer.get("sensors") or () if isinstance(one, dict)]
    sensors = tuple(sorted((s for s in found if s.id), key=lambda sensor: sensor.id))
    if sensors and all(sensor.silent for sensor in sensors):
        # A server that tells newest values of no sensor at all does not tell who is silent.
        sensors = tuple(_not_silent(sensor) for sensor in sensors)
    box_id = str(answer.get("_id") or answer.get("id") or "")
    exposure = answer.get("exposure")
    place = _place(answer)
    return Box(
        id=box_id,
        name=str(answer.get("name") or ""),
        exposure=exposure if exposure in ("indoor", "outdoor", "mobile") else "",
        place=place,
        tags=_tags(answer, sensors, place),
        sensors=sensors,
        registered=registered_at(box_id, answer.get("createdAt")),
        last_time=_time_or_none(answer.get("lastMeasurementAt")),
    )


def _not_silent(sensor: BoxSensor) -> BoxSensor:
    return BoxSensor(sensor.id, sensor.title, sensor.unit, None, None, False, sensor.kind)


def _tags(
    answer: Mapping[str, Any],
    sensors: Sequence[BoxSensor],
    place: tuple[float, float, float | None] | None,
) -> dict[str, str]:
    groups = answer.get("grouptag") or answer.get("tags") or []
    words = {
        "network": "openSenseMap",
        "model": answer.get("model"),
        "grouptag": ", ".join(map(str, groups)) if isinstance(groups, list) else str(groups),
        "hardware": ", ".join(dict.fromkeys(s.kind for s in sensors if s.kind)),
        "height": None if place is None or place[2] is None else f"{place[2]:g}",
    }
    return {key: str(word) for key, word in words.items() if word}


def _sensor(one: Mapping[str, Any]) -> BoxSensor:
    last = one.get("lastMeasurement", False)
    time = value = None
    if isinstance(last, dict):
        time = _time_or_none(stamp(last))
        try:
            value = value_of(last.get("value"))
        except FieldError:
            value = None
    return BoxSensor(
        id=str(one.get("_id") or one.get("id") or ""),
        title=str(one.get("title") or ""),
        unit=str(one.get("unit") or ""),
        last_time=time,
        last_value=value,
        silent=last is False,
        kind=str(one.get("sensorType") or one.get("sensor_type") or ""),
    )


def _time_or_none(value: Any) -> int | None:
    try:
        return parse_time(value)
    except FieldError:
        return None


def _place(answer: Mapping[str, Any]) -> tuple[float, float, float | None] | None:
    location = answer.get("currentLocation")
    found = location.get("coordinates") if isinstance(location, dict) else None
    if not isinstance(found, list):
        found = [answer.get(key) for key in ("longitude", "latitude", "height")]
    numbers = [
        float(one) if isinstance(one, (int, float)) and not isinstance(one, bool) else None
        for one in [*found, None][:3]
    ]
    if len(numbers) < 2 or numbers[0] is None or numbers[1] is None:
        return None
    return numbers[0], numbers[1], numbers[2] if len(numbers) > 2 else None
