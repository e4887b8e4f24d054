"""Messages into readings: plain numbers, JSON, SenML and Sparkplug B, told apart by themselves."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from redshank.adapters.sources.mqtt.memory import Arrivals
from redshank.adapters.sources.mqtt.topics import Route, Router
from redshank.adapters.sources.mqtt.wire import Arrived
from redshank.core.batch import Batch, Reading, batches
from redshank.core.decode import decode_rows
from redshank.core.decoded import MAX_RAW
from redshank.core.errors import FieldError
from redshank.core.records import ChannelInfo, DeadLetter, SensorInfo
from redshank.core.rows import SENSOR, TIME, VALUES, number, shown
from redshank.core.senml import is_senml, read_senml
from redshank.core.sparkplug import NAMESPACE, Births, parse_topic, read_sparkplug
from redshank.core.typed import TypedReadings

VALUE_KEY = "value"
"""Key of an object's number where the topic already names the channel."""
_SENSORS_TOLD = 100_000


@dataclass(frozen=True, slots=True)
class Paths:
    """Where readings lie in nested JSON; keys joined by dots, whole numbers for list items.

    Attributes:
        value: of the number or of the object with the channels; "" for the whole payload.
        time: of the time; "" for ``timestamp`` beside the channels.
    """

    value: str = ""
    time: str = ""


@dataclass
class Contents:
    """What a number of messages held.

    Attributes:
        batches: readings.
        sensors: what became known of sensors.
        dead_letters: what could not be read.
        rebirths: topics of commands that ask Sparkplug nodes for their births.
        births_changed: whether Sparkplug births or deaths were among them.
        retained: retained messages without a time, which are left out.
    """

    batches: list[Batch] = field(default_factory=list)
    sensors: dict[str, SensorInfo] = field(default_factory=dict)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    rebirths: set[str] = field(default_factory=set)
    births_changed: bool = False
    retained: int = 0


class Decoder:
    """Reads messages; remembers what it has already told of sensors.

    Args:
        router: what topics say.
        arrivals: times of messages that have none.
        births: Sparkplug births so far.
        paths: where readings lie in nested JSON.
    """

    def __init__(
        self, router: Router, arrivals: Arrivals, births: Births, paths: Paths | None = None
    ) -> None:
        self._router = router
        self._arrivals = arrivals
        self._births = births
        self._paths = paths or Paths()
        self._told: dict[str, dict[str, ChannelInfo | str]] = {}

    def decode(self, messages: Sequence[Arrived], now: int) -> Contents:
        """Readings of these messages; what fits no template is passed over.

        Args:
            messages: in the order of their arrival.
            now: wall clock, microseconds.
        """
        work = _Work(messages, now, Contents())
        for number_, message in enumerate(messages):
            route = self._router.route(message.topic)
            if route is None or not message.payload:
                continue  # an empty payload only takes a retained message back
            try:
                self._message(message, route, number_, work)
            except FieldError as error:
                work.bad(message, error)
        work.finish()
        return work.contents

    def _message(self, message: Arrived, route: Route, index: int, work: _Work) -> None:
        kind = route.kind
        if kind == "sparkplug" or (kind == "auto" and message.topic.startswith(NAMESPACE + "/")):
            self._sparkplug(message, work)
            return
        value = _number(message.payload) if kind == "number" else parsed(message.payload)
        if kind == "senml" or (kind == "auto" and is_senml(value)):
            self._senml(message, route, value, work)
        else:
            rows = _rows(value, route, self._paths)
            if self._date(message, rows, work):
                work.add_rows(rows, index)
                self._tell_site(rows, route, work)

    # --- JSON and numbers ---

    def _date(self, message: Arrived, rows: Sequence[Any], work: _Work) -> bool:
        """Give rows without time that of their arrival; False if nobody knows their age."""
        bare = [row for row in rows if type(row) is dict and row.get(TIME) is None]
        if not bare:
            return True
        if message.retained:
            work.contents.retained += 1
            return False
        time = self._arrivals.time(message, len(bare))
        for i, row in enumerate(bare):
            row[TIME] = time + i
        return True

    def _tell_site(self, rows: Sequence[Any], route: Route, work: _Work) -> None:
        if not route.site:
            return
        for row in rows:
            if isinstance(row, dict) and isinstance(sensor_id := row.get(SENSOR), str):
                self._tell(SensorInfo(sensor_id, site=route.site, source="mqtt"), work)

    # --- typed formats ---

    def _senml(self, message: Arrived, route: Route, value: object, work: _Work) -> None:
        found = read_senml(
            value, arrival=work.now, sensor_id=route.sensor_id, channel=route.channel
        )
        if found.timeless:
            if message.retained:
                work.contents.retained += 1
                return
            time = self._arrivals.time(message)
            found = read_senml(
                value, arrival=time, sensor_id=route.sensor_id, channel=route.channel
            )
        self._typed(message, found, route.site, work)

    def _sparkplug(self, message: Arrived, work: _Work) -> None:
        births, body = self._births, message.payload
        heard = read_sparkplug(births, message.topic, body, arrival=work.now)
        if heard.typed.timeless:
            if message.retained:
                work.contents.retained += 1
                return
            time = self._arrivals.time(message)
            heard = read_sparkplug(births, message.topic, body, arrival=time)
        for info in heard.sensors:
            work.contents.sensors[info.sensor_id] = info
            self._told.pop(info.sensor_id, None)
        work.contents.births_changed |= heard.changed
        if heard.rebirth:
            work.contents.rebirths.add(heard.rebirth)
        self._typed(message, heard.typed, parse_topic(message.topic).group, work)

    def _typed(self, message: Arrived, found: TypedReadings, site: str, work: _Work) -> None:
        work.readings += found.readings
        for error in found.errors:
            work.bad(message, error)
        for reading in found.readings:
            channels = found.channels.get(reading.sensor_id, {})
            if site or channels:
                info = SensorInfo(reading.sensor_id, site=site, source="mqtt", channels=channels)
                self._tell(info, work)

    def _tell(self, info: SensorInfo, work: _Work) -> None:
        """Hand a description over, if it says what was not said before."""
        told = self._told.get(info.sensor_id, {})
        news = {
            name: channel for name, channel in info.channels.items() if told.get(name) != channel
        }
        if not news and told.get("") == info.site:
            return
        if len(self._told) >= _SENSORS_TOLD:
            self._told.clear()
        self._told[info.sensor_id] = {**told, **news, "": info.site}
        work.describe(SensorInfo(info.sensor_id, site=info.site, source="mqtt", channels=news))


@dataclass
class _Work:
    """One call of the decoder.

    Attributes:
        messages: all messages.
        now: wall clock, microseconds.
        contents: what was found so far.
        rows: JSON rows, read together at the end.
        origin: number of the message that each row came in.
        readings: of the typed formats.
    """

    messages: Sequence[Arrived]
    now: int
    contents: Contents
    rows: list[Any] = field(default_factory=list)
    origin: list[int] = field(default_factory=list)
    readings: list[Reading] = field(default_factory=list)

    def add_rows(self, rows: Sequence[Any], index: int) -> None:
        self.rows += rows
        self.origin += [index] * len(rows)

    def describe(self, info: SensorInfo) -> None:
        there = self.contents.sensors.get(info.sensor_id)
        if there is not None:
            channels = {**there.channels, **info.channels}
            info = SensorInfo(
                info.sensor_id,
                site=info.site or there.site,
                source="mqtt",
                channels=channels,
                tags=there.tags,
            )
        self.contents.sensors[info.sensor_id] = info

    def bad(self, message: Arrived, error: FieldError) -> None:
        """Keep a message that could not be read, with its topic and the reason."""
        topic = str(shown(message.topic))
        letter = DeadLetter(self.now, "mqtt", f"{topic}: {error}", message.payload[:MAX_RAW])
        self.contents.dead_letters.append(letter)

    def finish(self) -> None:
        decoded = decode_rows(
            self.rows, arrival=self.now, numbers=self.origin, raw=lambda i: self.messages[i].payload
        )
        self.contents.batches = [*decoded.batches, *batches(self.readings)]
        for error in decoded.errors:
            message = self.messages[error.index]
            self.bad(message, FieldError(error.field, error.value, error.reason))


# --- payloads to rows --------------------------------------------------------------------------


def _number(payload: bytes) -> float:
    text = payload.decode("utf-8", "replace").strip("\0 \t\r\n")
    found = number(text)
    if found is None:
        raise FieldError("payload", shown(text), "is not a number")
    return found


def parsed(payload: bytes) -> Any:
    """The JSON value of a payload; a number may be written as Python would."""
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


def _rows(value: Any, route: Route, paths: Paths) -> list[Any]:
    """JSON rows as :func:`redshank.core.decode.decode_rows` wants them."""
    if isinstance(value, list):
        return [row for item in value for row in _rows(item, route, paths)]
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
            rows = [row for item in inner for row in _rows(item, route, Paths())]
        elif isinstance(inner, dict):
            rows = [inner]
        else:
            rows = [{route.channel or paths.value.rpartition(".")[2]: inner}]
        named = {SENSOR: value[SENSOR]} if SENSOR in value else {}
    else:
        rows, named = [value], {}
    return [_named({**named, **row}, route, time) for row in rows]


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
