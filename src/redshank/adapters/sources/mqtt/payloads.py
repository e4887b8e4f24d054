"""Messages into readings: plain numbers, JSON, SenML and Sparkplug B, told apart by themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from redshank.adapters.sources.mqtt.json_rows import Paths, json_rows, parsed, plain_number
from redshank.adapters.sources.mqtt.memory import Dates
from redshank.adapters.sources.mqtt.topics import Kind, Route, Router
from redshank.adapters.sources.mqtt.wire import Arrived
from redshank.core.batch import Batch, Reading, batches
from redshank.core.decode import decode_rows
from redshank.core.decoded import MAX_RAW
from redshank.core.errors import FieldError
from redshank.core.records import ChannelInfo, DeadLetter, SensorInfo
from redshank.core.rows import SENSOR, TIME
from redshank.core.senml import is_senml, read_senml
from redshank.core.sparkplug import NAMESPACE, Address, Births, parse_topic, read_sparkplug
from redshank.core.typed import TypedReadings

CONTENT_TYPES: Mapping[Kind, str] = {
    "number": "text/plain",
    "json": "application/json",
    "senml": "application/senml+json",
    "sparkplug": "application/x-protobuf",
}
"""How payloads of a kind that was named are called; others may be anything."""
RETAINED = "retained"
"""Detail of a dead letter that was published before somebody subscribed."""
_SENSORS_TOLD = 100_000


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
        self, router: Router, arrivals: Dates, births: Births, paths: Paths | None = None
    ) -> None:
        self._router = router
        self._arrivals = arrivals
        self._births = births
        self._paths = paths or Paths()
        self._told: dict[str, dict[str, ChannelInfo | str]] = {}
        self._whole: dict[str, bool] = {}

    def decode(self, messages: Sequence[Arrived], now: int) -> Contents:
        """Readings of these messages; what fits no template is passed over.

        Args:
            messages: in the order of their arrival.
            now: wall clock, microseconds.
        """
        work = _Work(messages, now, Contents(), self._arrivals)
        for index, message in enumerate(messages):
            route = self._router.route(message.topic)
            if route is None or not message.payload:
                continue  # an empty payload only takes a retained message back
            try:
                self._message(message, route, index, work)
            except FieldError as error:
                work.bad(index, error)
        work.finish()
        letters = [self._letter(*each, work) for each in work.errors.items()]
        work.contents.dead_letters = letters
        return work.contents

    def _message(self, message: Arrived, route: Route, index: int, work: _Work) -> None:
        kind = _kind(message, route)
        if kind == "sparkplug":
            self._sparkplug(message, index, work)
            return
        value = plain_number(message.payload) if kind == "number" else parsed(message.payload)
        if kind == "senml" or (kind == "auto" and is_senml(value)):
            self._senml(message, route, value, index, work)
        else:
            rows = json_rows(value, route, self._paths)
            if self._date(message, rows, index, work):
                work.add_rows(rows, index)
                self._tell_site(rows, route, work)

    # --- JSON and numbers ---

    def _date(self, message: Arrived, rows: Sequence[Any], index: int, work: _Work) -> bool:
        """Give rows without time that of their arrival; False if nobody knows their age."""
        bare = [row for row in rows if type(row) is dict and row.get(TIME) is None]
        if not bare:
            return True
        if message.retained:
            work.contents.retained += 1
            return False
        time = work.time(index, len(bare))
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

    def _senml(
        self, message: Arrived, route: Route, value: object, index: int, work: _Work
    ) -> None:
        found = read_senml(
            value, arrival=work.now, sensor_id=route.sensor_id, channel=route.channel
        )
        if found.timeless:
            if message.retained:
                work.contents.retained += 1
                return
            time = work.time(index)
            found = read_senml(
                value, arrival=time, sensor_id=route.sensor_id, channel=route.channel
            )
        self._typed(index, found, route.site, work)

    def _sparkplug(self, message: Arrived, index: int, work: _Work) -> None:
        births, body = self._births, message.payload
        heard = read_sparkplug(births, message.topic, body, arrival=work.now)
        if heard.typed.timeless:
            if message.retained:
                work.contents.retained += 1
                return
            time = work.time(index)
            again = read_sparkplug(births, message.topic, body, arrival=time)
            heard = replace(again, gap=heard.gap)
        for info in heard.sensors:
            work.contents.sensors[info.sensor_id] = info
            self._told.pop(info.sensor_id, None)
        work.contents.births_changed |= heard.changed
        address = parse_topic(message.topic)
        if heard.unborn or (heard.gap and self._hears_all(address)):
            work.contents.rebirths.add(address.command)
        self._typed(index, heard.typed, address.group, work)

    def _hears_all(self, address: Address) -> bool:
        """Whether all that a node counts comes to us, so that a gap means a loss."""
        if address.node_id not in self._whole:
            if len(self._whole) >= _SENSORS_TOLD:
                self._whole.clear()
            self._whole[address.node_id] = self._router.hears(address.counted)
        return self._whole[address.node_id]

    def _typed(self, index: int, found: TypedReadings, site: str, work: _Work) -> None:
        work.readings += found.readings
        for error in found.errors:
            work.bad(index, error)
        for reading in found.readings:
            channels = found.channels.get(reading.sensor_id, {})
            if site or channels:
                info = SensorInfo(reading.sensor_id, site=site, source="mqtt", channels=channels)
                self._tell(info, work)

    def _letter(self, index: int, errors: Sequence[FieldError], work: _Work) -> DeadLetter:
        """A message as it is kept; the broker may repeat it, with the same time."""
        message, time = work.messages[index], work.time(index)
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        route = self._router.route(message.topic)
        return DeadLetter(
            *(time, "mqtt", f"{errors[0]}{more}", message.payload[:MAX_RAW], None),
            topic=message.topic,
            content_type=CONTENT_TYPES.get(_kind(message, route), "") if route else "",
            details={RETAINED: "yes"} if message.retained else {},
            key=str(time),
        )

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
        dates: when messages came.
        times: number of a message to its time, where it was asked for.
        errors: number of a message to what is wrong with it.
        rows: JSON rows, read together at the end.
        origin: number of the message that each row came in.
        readings: of the typed formats.
    """

    messages: Sequence[Arrived]
    now: int
    contents: Contents
    dates: Dates
    times: dict[int, int] = field(default_factory=dict)
    errors: dict[int, list[FieldError]] = field(default_factory=dict)
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

    def time(self, index: int, rows: int = 1) -> int:
        """When a message came; the same whoever asks, or it would not be recognised again."""
        if index not in self.times:
            self.times[index] = self.dates.time(self.messages[index], rows)
        return self.times[index]

    def bad(self, index: int, error: FieldError) -> None:
        """Note what is wrong with a message."""
        self.errors.setdefault(index, []).append(error)

    def finish(self) -> None:
        decoded = decode_rows(
            self.rows, arrival=self.now, numbers=self.origin, raw=lambda i: self.messages[i].payload
        )
        self.contents.batches = [*decoded.batches, *batches(self.readings)]
        for error in decoded.errors:
            self.bad(error.index, FieldError(error.field, error.value, error.reason))


def _kind(message: Arrived, route: Route) -> Kind:
    if route.kind == "auto" and message.topic.startswith(NAMESPACE + "/"):
        return "sparkplug"
    return route.kind
