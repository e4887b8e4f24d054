"""The WebSocket: live news out, readings in."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
from fastapi import APIRouter
from pydantic import BaseModel, Field, ValidationError
from starlette.websockets import WebSocket, WebSocketDisconnect

from redshank import __version__
from redshank.core.decode import decode_rows
from redshank.core.errors import RedshankError
from redshank.core.media import JSON
from redshank.core.queries import Sensors
from redshank.core.rows import shown
from redshank.services.api.answers import time_text
from redshank.services.api.bodies import Severity
from redshank.services.api.gate import Access
from redshank.services.api.hub import Hub
from redshank.services.api.live import Outbox, Subscription
from redshank.services.api.taking import Bad, Taking
from redshank.services.context import Context

router = APIRouter()

AUTH_SECONDS = 10.0
MOST_IN_FLIGHT = 8
"""Requests of one client that may wait for room and receipts; then no more is read from it."""
UNAUTHORISED = 4401
"""Close code for a missing or wrong key."""
_PAGE = 1000


class Wanted(BaseModel):
    """A subscription as it comes."""

    sensor_id: list[str] | None = Field(None, max_length=10_000)
    site: str | None = None
    severity: Severity = "low"
    readings: bool = False


@router.websocket("/ws")
async def live(socket: WebSocket) -> None:
    """See docs/http.md for the messages."""
    state = socket.app.state
    await socket.accept()
    if not await _known(socket, state.access):
        await socket.close(UNAUTHORISED, "the first message must be auth with the API key")
        return
    await Conversation(socket, state.context, state.hub).run()


class Conversation:
    """One client, from hello to goodbye."""

    def __init__(self, socket: WebSocket, context: Context, hub: Hub) -> None:
        self._socket = socket
        self._context = context
        self._hub = hub
        self._out = Outbox()
        self._slots = asyncio.Semaphore(MOST_IN_FLIGHT)
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Talk until the client goes."""
        now = time_text(self._context.clock.now())
        self._out.reply({"type": "hello", "version": __version__, "time": now})
        self._hub.join(self._out)
        writer = asyncio.create_task(self._write())
        try:
            while True:
                await self._hear(await _received(self._socket))
        except WebSocketDisconnect:
            pass
        finally:
            self._hub.leave(self._out)
            for task in (writer, *self._tasks):
                task.cancel()

    async def _write(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._out.wait(loop.time())
            for message in self._out.due(loop.time()):
                await self._socket.send_text(message.decode())

    async def _hear(self, text: str | bytes) -> None:
        try:
            message = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            self._complain(f"the message is not JSON: {error.msg}")
            return
        kind = message.get("type") if isinstance(message, dict) else None
        if kind == "subscribe":
            await self._subscribe(message)
        elif kind == "readings":
            await self._slots.acquire()
            task = asyncio.create_task(self._take(message))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif kind != "auth":
            known = "subscribe, readings or auth"
            self._complain(f"type: {shown(kind)!r} is no message; use {known}")

    async def _subscribe(self, message: dict[str, Any]) -> None:
        try:
            wanted = Wanted.model_validate(message)
        except ValidationError as error:
            fault = error.errors()[0]
            field = ".".join(str(part) for part in fault["loc"])
            self._complain(f"{field}: {shown(fault['input'])!r} {fault['msg']}")
            return
        only = None if wanted.sensor_id is None else frozenset(wanted.sensor_id)
        new = Subscription(only, wanted.site, severity=wanted.severity, readings=wanted.readings)
        self._out.subscription = new
        self._out.forget_rows()
        if new.site is not None:
            new.members.update(await asyncio.to_thread(self._of_site, new.site))

    def _of_site(self, site: str) -> set[str]:
        found: set[str] = set()
        while page := self._context.store.read(Sensors(site=site, limit=_PAGE, offset=len(found))):
            found |= {status.info.sensor_id for status in page}
            if len(page) < _PAGE:
                break
        return found

    async def _take(self, message: dict[str, Any]) -> None:
        name = {"id": message["id"]} if "id" in message else {}
        try:
            receipt = await self._published(message.get("readings"))
            self._out.reply({"type": "receipt", **name, **receipt})
        except RedshankError as error:
            self._complain(str(error), **name)
        finally:
            self._slots.release()

    async def _published(self, readings: Any) -> dict[str, Any]:
        rows = readings if isinstance(readings, list) else [readings]
        state = self._socket.app.state
        caller = state.access.caller(self._socket.scope)
        taking = Taking(self._context, "websocket", state.limits, caller)
        decoded = await asyncio.to_thread(decode_rows, rows, arrival=taking.now)
        await taking.take(decoded, Bad(JSON[0]), patient=True)
        return (await taking.finish()).members()

    def _complain(self, detail: str, **more: Any) -> None:
        self._out.reply({"type": "error", "detail": detail, **more})


async def _known(socket: WebSocket, access: Access) -> bool:
    """Whether the client has shown the key, where one is set."""
    if not access.needs_key:
        return True
    try:
        first = orjson.loads(await asyncio.wait_for(_received(socket), AUTH_SECONDS))
    except (TimeoutError, orjson.JSONDecodeError, WebSocketDisconnect):
        return False
    if not isinstance(first, dict) or first.get("type") != "auth":
        return False
    return access.key_fits(str(first.get("key", "")))


async def _received(socket: WebSocket) -> str | bytes:
    message = await socket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1005))
    text: str | bytes = message.get("text") or message.get("bytes") or ""
    return text
