"""One connection to a broker: keeps it alive, gathers messages, acknowledges."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import cast

from redshank.adapters.sources.mqtt import wire
from redshank.adapters.sources.mqtt.broker import Broker
from redshank.adapters.sources.mqtt.wire import Arrived, MalformedError, Packet
from redshank.core.errors import SourceError

CONNECT_SECONDS = 20.0
KEEP_ALIVE = 30
"""Seconds. The broker is called twice in that time; silent for one and a half of it, it is gone."""
MAXIMUM_PACKET = 8 * 1024 * 1024
"""A broker does not send longer messages."""
MOST_WAITING = 32 * 1024 * 1024
"""Bytes that may wait to be taken before no more is read from the socket."""
_SUBSCRIPTION, _FAREWELL = 1, 2


class ConnectionLostError(Exception):
    """The connection is gone or was never made; trying again may help."""


@dataclass(frozen=True, slots=True)
class Session:
    """How to present ourselves.

    Attributes:
        client_id: names the session at the broker.
        filters: topic filters.
        receive_maximum: messages that may be on their way without acknowledgement.
        expiry: seconds that the broker keeps the session without us; 0 for no session.
        qos: 1 to have every message until it is acknowledged, 0 to listen only.
        keep_alive: seconds within which broker and client must hear of one another.
        former: topic filters of earlier settings, which the session shall lose.
    """

    client_id: str
    filters: Sequence[str]
    receive_maximum: int
    expiry: int
    qos: int = 1
    keep_alive: int = KEEP_ALIVE
    former: Sequence[str] = ()


class Connection(asyncio.Protocol):
    """Made by :func:`open_connection`.

    Attributes:
        resumed: whether the broker still had the session.
    """

    def __init__(self) -> None:
        self.resumed = False
        self._transport: asyncio.Transport | None = None
        self._stream = wire.Stream(MAXIMUM_PACKET)
        self._inbox: deque[Arrived] = deque()
        self._waiting = 0
        self._paused = False
        self._changed = asyncio.Event()
        self._answers: asyncio.Queue[Packet] = asyncio.Queue()
        self._lost: str | None = None
        self._loop = asyncio.get_running_loop()
        self._heard = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None

    # --- what the source does with it ---

    async def take(self, most: int, most_bytes: int, within: float) -> list[Arrived]:
        """The next messages in order, at least one; waits ``within`` seconds for more of them.

        Raises:
            ConnectionLostError: there are none left and no more will come.
        """
        while not self._inbox:
            if self._lost is not None:
                raise ConnectionLostError(self._lost)
            self._changed.clear()
            await self._changed.wait()
        if len(self._inbox) < most:
            await asyncio.sleep(within)
        taken: list[Arrived] = []
        size = 0
        while self._inbox and len(taken) < most and (not taken or size < most_bytes):
            taken.append(self._inbox.popleft())
            size += len(taken[-1].payload)
        self._waiting -= size
        if self._paused and self._waiting <= MOST_WAITING // 2:
            self._resume()
        return taken

    def acknowledge(self, mids: Iterable[int]) -> None:
        """Tell the broker that these messages are safe; nothing if the connection is gone."""
        if self._lost is None and (packets := wire.acknowledge(mids)):
            self._write(packets)

    def publish(self, topic: str, payload: bytes) -> None:
        """Send a message, at most once."""
        if self._lost is None:
            self._write(wire.publish(topic, payload))

    async def close(self) -> None:
        """Leave in order; the broker keeps the session."""
        if self._lost is None:
            self._write(wire.GOODBYE)
        if self._transport is not None:
            self._transport.close()
        self._end("closed")

    # --- opening ---

    async def login(self, broker: Broker, session: Session) -> None:
        """Connect and subscribe on an open transport.

        Raises:
            ConnectionLostError: it did not work this time.
            SourceError: the broker refuses, and will again.
        """
        packet = wire.connect(
            session.client_id,
            user=broker.user,
            password=broker.password,
            keep_alive=session.keep_alive,
            receive_maximum=session.receive_maximum,
            maximum_packet=MAXIMUM_PACKET,
            session_expiry=session.expiry,
        )
        self._write(packet)
        accepted = wire.read_accepted((await self._answer(wire.CONNACK)).body)
        if accepted.reason:
            why = wire.reason(accepted.reason, accepted.text)
            if accepted.reason in wire.FOR_GOOD:
                raise SourceError(f"{broker} refuses the connection: {why}")
            raise ConnectionLostError(why)
        self.resumed = accepted.session
        # A broker that wants none (0) is still called, or a dead network would not be noticed.
        self._keep_alive(accepted.keep_alive or session.keep_alive)
        self._write(wire.subscribe(_SUBSCRIPTION, session.filters, session.qos))
        if session.former:
            self._write(wire.unsubscribe(_FAREWELL, session.former))
        codes = wire.read_subscribed((await self._answer(wire.SUBACK)).body)
        for topic, code in zip(session.filters, codes, strict=False):
            if code >= 0x80:
                raise SourceError(f"{broker} refuses topic {topic!r}: {wire.reason(code)}")

    async def _answer(self, kind: int) -> Packet:
        packet = await self._answers.get()
        if packet.kind != kind:
            raise ConnectionLostError(self._lost or f"packet {packet.kind} instead of {kind}")
        return packet

    # --- what the event loop tells ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is open."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        self._heard = self._loop.time()
        try:
            packets = self._stream.feed(data)
        except MalformedError as error:
            self._abort(f"the broker sent {error}")
            return
        for packet in packets:
            if isinstance(packet, Arrived):
                self._inbox.append(packet)
                self._waiting += len(packet.payload)
            elif packet.kind == wire.DISCONNECT:
                self._abort(f"the broker hung up: {wire.reason(wire.read_goodbye(packet.body))}")
            elif packet.kind in (wire.CONNACK, wire.SUBACK):
                self._answers.put_nowait(packet)
        if self._waiting > MOST_WAITING and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()
        self._changed.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is closed."""
        self._end(str(exc) if exc else "the connection was closed")

    # --- inside ---

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def _resume(self) -> None:
        self._paused = False
        self._heard = self._loop.time()
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def _keep_alive(self, seconds: float) -> None:
        """Call the broker now and then, and notice when it does not answer."""
        if self._lost is None:
            self._timer = self._loop.call_later(seconds / 2, self._call, seconds)

    def _call(self, seconds: float) -> None:
        silent = self._loop.time() - self._heard
        if silent > 1.5 * seconds and not self._paused:
            self._abort(f"the broker is silent for {silent:.0f} s")
            return
        self._write(wire.PINGREQ)
        self._keep_alive(seconds)

    def _abort(self, why: str) -> None:
        self._end(why)
        if self._transport is not None:
            self._transport.abort()

    def _end(self, why: str) -> None:
        if self._lost is None:
            self._lost = why
        if self._timer is not None:
            self._timer.cancel()
        self._answers.put_nowait(Packet(0, b""))
        self._changed.set()


async def open_connection(broker: Broker, session: Session) -> Connection:
    """A connection that is subscribed.

    Raises:
        ConnectionLostError: it did not work this time.
        SourceError: it cannot work: refused login, topics that are not allowed.
        ConfigError: certificates cannot be read.
    """
    loop = asyncio.get_running_loop()
    context = broker.context()
    try:
        async with AsyncExitStack() as failed, asyncio.timeout(CONNECT_SECONDS):
            _, connection = await loop.create_connection(
                Connection, broker.host, broker.port, ssl=context
            )
            failed.push_async_callback(connection.close)
            await connection.login(broker, session)
            failed.pop_all()
    except TimeoutError as error:
        raise ConnectionLostError(f"no answer within {CONNECT_SECONDS:.0f} s") from error
    except (OSError, MalformedError) as error:
        raise ConnectionLostError(str(error) or type(error).__name__) from error
    return connection
