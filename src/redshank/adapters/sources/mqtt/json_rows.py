"""Numbers and JSON of any shape as rows, with what the topic says of them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import orjson

from redshank.adapters.sources.mqtt.topics import Route
from redshank.core.errors import FieldError
from redshank.core.rows import SENSOR, TIME, VALUES, number, shown

VALUE_KEY = "value"
"""Key of an object's number where the topic already names the channel."""
MOST_DEEP = 8
"""Objects in one another that become names."""
_NOT_NESTED = frozenset({SENSOR, TIME, VALUES})


@dataclass(frozen=True, slots=True)
class Paths:
    """Where readings lie in nested JSON; keys joined by dots, whole numbers for list items.

    Attributes:
        value: of the number or of the object with the channels; "" for the whole payload.
        time: of the time; "" for ``timestamp`` beside the channels.
    """

    value: str = ""
    time: str = ""


def plain_number(payload: bytes) -> float:
    """The number that a payload is.

    Raises:
        FieldError: it is none.
    """
    text = payload.decode("utf-8", "replace").strip("\0 \t\r\n")
    found = number(text)
    if found is None:
        raise FieldError("payload", shown(text), "is not a number")
    return found


def parsed(payload: bytes) -> Any:
    """The JSON value of a payload; a number may be written as Python would.

    Raises:
        FieldError: it is neither.
    """
    try:
        return orjson.loads(payload)
    except orjson.JSONDecodeError:
        pass
    text = payload.decode("utf-8", "replace").strip("\0\ufeff \t\r\n")
    found = number(text)
    if found is not None:
        return found
    try:
        return json.loads(text)
    except RecursionError:
        raise FieldError("payload", shown(text), "is nested too deeply") from None
    except ValueError:
        raise FieldError("payload", shown(text), "is neither a number nor JSON") from None


def json_rows(value: Any, route: Route, paths: Paths) -> list[Any]:
    """JSON rows as :func:`redshank.core.decode.decode_rows` wants them.

    Raises:
        FieldError: sensor, channel or a path is missing.
    """
    if isinstance(value, list):
        return [row for item in value for row in json_rows(item, route, paths)]
    if isinstance(value, dict):
        return _object(value, route, paths)
    if isinstance(value, str):
        value = number(value)
    if value is None or isinstance(value, bool):
        raise FieldError("payload", shown(value), "is not a number")
    channel, sensor_id = route.channel, route.sensor_id or route.number_id
    if channel is None:
        channel = route.number_channel
    if channel is None or sensor_id is None:
        what = "channel" if channel is None else SENSOR
        raise FieldError(
            what, None, "is missing: the topic template must name it for plain numbers"
        )
    return [{SENSOR: sensor_id, channel: value}]


def _object(value: dict[str, Any], route: Route, paths: Paths) -> list[Any]:
    time = _at(value, paths.time, "mqtt_time_path") if paths.time else value.get(TIME)
    if paths.value:
        inner = _at(value, paths.value, "mqtt_value_path")
        if isinstance(inner, list):
            rows = [row for item in inner for row in json_rows(item, route, Paths())]
        elif isinstance(inner, dict):
            rows = [inner]
        else:
            rows = [{route.channel or paths.value.rpartition(".")[2]: inner}]
        named = {SENSOR: value[SENSOR]} if SENSOR in value else {}
    else:
        rows, named = [value], {}
    return [_named({**named, **_flat(row)}, route, time) for row in rows]


def _flat(row: Any, above: str = "", depth: int = 0) -> Any:
    """A row with ``a_b`` for what stands as ``b`` in an object ``a``."""
    if not isinstance(row, dict):
        return row
    flat: dict[str, Any] = {}
    for key, value in row.items():
        name = f"{above}_{key}" if above else key
        inner = {name: value}
        if isinstance(value, dict) and name not in _NOT_NESTED and depth < MOST_DEEP:
            inner = _flat(value, name, depth + 1)
        if twice := flat.keys() & inner.keys():
            raise FieldError(min(twice), shown(value), "comes twice")
        flat |= inner
    return flat


def _named(row: dict[str, Any], route: Route, time: Any) -> dict[str, Any]:
    """A row with what the topic says; a sensor that the template names beats the payload's."""
    if route.sensor_id is not None:
        row[SENSOR] = route.sensor_id
    elif row.get(SENSOR) is None:
        row[SENSOR] = route.own_id
    if time is not None and row.get(TIME) is None:
        row[TIME] = time
    channel = route.channel
    if channel is not None and VALUE_KEY in row and channel not in row:
        row[channel] = row.pop(VALUE_KEY)
    if VALUES in row and not isinstance(row[VALUES], dict):
        raise FieldError(VALUES, shown(row[VALUES]), "is not an object")
    return row


def _at(value: Any, path: str, setting: str) -> Any:
    for key in path.split("."):
        if isinstance(value, dict) and key in value:
            value = value[key]
        elif isinstance(value, list) and key.isdecimal() and int(key) < len(value):
            value = value[int(key)]
        else:
            raise FieldError(path, None, f"is missing; {setting} says that it is there")
    return value
