"""MQTT as a source: every message is acknowledged when what it brought is durable, not before."""

from __future__ import annotations

import asyncio
import random
import secrets
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import orjson
import structlog

from redshank.adapters.sources.mqtt import connection as connections
from redshank.adapters.sources.mqtt.broker import Broker
from redshank.adapters.sources.mqtt.connection import (
    KEEP_ALIVE,
    Connection,
    ConnectionLostError,
    Session,
)
from redshank.adapters.sources.mqtt.json_rows import Paths
from redshank.adapters.sources.mqtt.memory import Arrivals
from redshank.adapters.sources.mqtt.payloads import Contents, Decoder
from redshank.adapters.sources.mqtt.rebirths import Rebirths
from redshank.adapters.sources.mqtt.topics import Kind, Router
from redshank.adapters.sources.mqtt.wire import Arrived
from redshank.core.clock import DAY, SECOND, Clock, SystemClock
from redshank.core.ports import Parcel
from redshank.core.sparkplug import Births
from redshank.core.sparkplug_wire import rebirth_command

RECEIVE_MAXIMUM = 8192
"""Messages without acknowledgement on their way to us: enough for a second of waiting for commits
at the rate that one core can take, and a bound on memory when the store is slow."""
SESSION_SECONDS = 7 * DAY // SECOND
"""So long does the broker keep messages for us while we are away."""
PARCEL_MESSAGES = 5000
PARCEL_BYTES = 4 * 1024 * 1024
GATHER_SECONDS = 0.02
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 60.0


class Mqtt:
    """Readings from an MQTT 5 broker, QoS 1, in a session that survives both sides.

    Args:
        broker: where to connect.
        topics: templates; see :mod:`redshank.adapters.sources.mqtt.topics`.
        client_id: name of the session; made up once and kept with the cursor if empty.
        payload: kind of payload of topics that name none.
        value_path: where the number or channels lie in nested JSON, dotted.
        time_path: where the time lies in nested JSON, dotted.
        keep_alive: seconds after which a silent connection is looked into.
        rebirth: whether Sparkplug nodes are asked for births that are missing.
        clock: for times of arrival.
        sleep: how to wait, in seconds.

    Raises:
        ConfigError: a template cannot be used, or a certificate cannot be read.
    """

    name = "mqtt"

    def __init__(
        self,
        broker: Broker,
        topics: Sequence[str],
        *,
        client_id: str = "",
        payload: Kind = "auto",
        value_path: str = "",
        time_path: str = "",
        keep_alive: int = KEEP_ALIVE,
        rebirth: bool = True,
        clock: Clock | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        broker.context()
        self._broker = broker
        self._router = Router(topics, payload)
        self._client_id = client_id
        self._paths = Paths(value_path, time_path)
        self._clock = clock or SystemClock()
        self._sleep = sleep
        self._waiting: deque[tuple[Parcel, Connection, list[int]]] = deque()
        self._keep_alive = keep_alive
        self._rebirth, self._rebirths = rebirth, Rebirths(self._clock)
        self._log = structlog.get_logger("redshank.sources").bind(source=self.name)

    async def parcels(self, cursor: str | None) -> AsyncIterator[Parcel]:
        """Readings for ever, some thousand messages or what 20 milliseconds bring at a time.

        Raises:
            SourceError: the broker refuses the login or a topic.
        """
        position = _Position(cursor, self._client_id, self._broker, self._clock)
        self._waiting.clear()
        if position.subscribes(self._router.filters) or position.is_new:
            yield Parcel(cursor=position.dump())
        decoder = Decoder(self._router, position.arrivals, position.births, self._paths)
        pause = FIRST_PAUSE
        while True:
            try:
                connection = await self._open(position)
                pause = FIRST_PAUSE
                try:
                    if position.subscribed_only(self._router.filters):
                        yield Parcel(cursor=position.dump())
                    while True:
                        yield await self._parcel(connection, decoder, position)
                finally:
                    await connection.close()
            except ConnectionLostError as error:
                wait = pause * random.uniform(0.5, 1.0)
                pause = min(2 * pause, LONGEST_PAUSE)
                self._log.warning(
                    "broker is gone", broker=str(self._broker), error=str(error), again_in=wait
                )
                await self._sleep(wait)

    def acknowledge(self, parcel: Parcel) -> None:
        """The parcel is durable: the broker may forget its messages."""
        for i, (waiting, connection, mids) in enumerate(self._waiting):
            if waiting is parcel:
                del self._waiting[i]
                connection.acknowledge(mids)
                return

    async def _open(self, position: _Position) -> Connection:
        session = Session(
            position.client_id,
            self._router.filters,
            RECEIVE_MAXIMUM,
            SESSION_SECONDS,
            keep_alive=self._keep_alive,
            former=[one for one in position.filters if one not in self._router.filters],
        )
        connection = await connections.open_connection(self._broker, session)
        self._log.info("connected", broker=str(self._broker), resumed=connection.resumed)
        if position.connected and not connection.resumed:
            self._log.warning(
                "the broker forgot the session: messages since the last connection may be missing",
                broker=str(self._broker),
            )
        position.connected = True
        return connection

    async def _parcel(
        self, connection: Connection, decoder: Decoder, position: _Position
    ) -> Parcel:
        messages = await connection.take(PARCEL_MESSAGES, PARCEL_BYTES, GATHER_SECONDS)
        # In a thread, so that calls of the interface are answered between the rows.
        contents = await asyncio.to_thread(decoder.decode, messages, self._clock.now())
        self._notice(contents, connection)
        changed = contents.births_changed or position.arrivals.changed
        parcel = Parcel(
            batches=contents.batches,
            sensors=list(contents.sensors.values()),
            dead_letters=contents.dead_letters,
            cursor=position.dump() if changed else None,
        )
        self._waiting.append((parcel, connection, _mids(messages)))
        return parcel

    def _notice(self, contents: Contents, connection: Connection) -> None:
        """Log what does not end up in the store, and ask for births that are missing."""
        if contents.retained:
            self._log.info("retained messages without a time left out", count=contents.retained)
        for info in contents.sensors.values():
            if text := info.tags.get("sparkplug"):
                self._log.info("sparkplug", sensor_id=info.sensor_id, state=text)
        for topic in filter(self._rebirths.due, sorted(contents.rebirths)):
            if self._rebirth:
                self._log.info("asking for births", topic=topic)
                connection.publish(topic, rebirth_command(self._clock.now() // 1000))
            else:
                remedy = "set mqtt_sparkplug_rebirth, or restart the node"
                self._log.warning("births are missing", topic=topic, remedy=remedy)


class _Position:
    """What must be known to go on after a restart; the rest is with the broker.

    Args:
        cursor: what :meth:`dump` gave, None at first.
        client_id: as configured, "" to make one up.
        broker: a position belongs to one broker and one session.
        clock: for times of arrival.
    """

    def __init__(self, cursor: str | None, client_id: str, broker: Broker, clock: Clock) -> None:
        held: dict[str, Any] = orjson.loads(cursor) if cursor else {}
        same = held.get("broker") == str(broker)
        same = same and client_id in ("", held.get("client_id"))
        self.is_new = not same
        self.connected = same
        self.client_id = client_id or (
            held["client_id"] if same else f"redshank-{secrets.token_hex(6)}"
        )
        self.arrivals = Arrivals(clock, RECEIVE_MAXIMUM, held.get("arrivals", "") if same else "")
        self.births = Births.load(held.get("births", {}) if same else {})
        self.filters: list[str] = held.get("filters", []) if same else []
        self._broker = str(broker)

    def subscribes(self, filters: Sequence[str]) -> bool:
        """The session will have these topic filters, too; whether it had not."""
        more = [one for one in filters if one not in self.filters]
        self.filters += more
        return bool(more)

    def subscribed_only(self, filters: Sequence[str]) -> bool:
        """The session has no other topic filters any more; whether it had."""
        others = len(self.filters) > len(filters)
        self.filters = list(filters)
        return others

    def dump(self) -> str:
        """The cursor."""
        return orjson.dumps(
            {
                "broker": self._broker,
                "client_id": self.client_id,
                "arrivals": self.arrivals.dump(),
                "births": self.births.dump(),
                "filters": self.filters,
            }
        ).decode()


def _mids(messages: Sequence[Arrived]) -> list[int]:
    return [message.mid for message in messages if message.mid]
