"""A network between two parties that can be cut, go silent, or be slow."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

_CHUNK = 65_536
_AT_ONCE = struct.pack("ii", 1, 0)
"""SO_LINGER of no seconds: closing resets the connection."""
_Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Proxy:
    """Forwards TCP connections to a port on this machine, as well as it is told to.

    Args:
        target: the port to forward to.

    Attributes:
        port: where it listens.
        connections: how many were made so far.
    """

    def __init__(self, target: int) -> None:
        self.connections = 0
        self.port = 0
        self._target = target
        self._delay = 0.0
        self._open: dict[_Connection, asyncio.Task[Any] | None] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Proxy:
        self._thread.start()
        self._call(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def cut(self) -> None:
        """Reset all connections: both sides learn of it, what was under way is lost."""
        self._call(self._reset())

    def silence(self) -> None:
        """Forward nothing any more over the connections of now, and close none of them.

        As a router that forgot them; new connections work.
        """
        for connection in tuple(self._open):
            connection.silent = True

    def delay(self, seconds: float) -> None:
        """From now on let everything take so much longer, in each direction."""
        self._delay = seconds

    def _call(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _reset(self) -> None:
        for connection in tuple(self._open):
            connection.reset()

    async def _close(self) -> None:
        self._server.close()
        await self._reset()
        await asyncio.gather(*filter(None, self._open.values()))

    async def _accept(self, *near: Any) -> None:
        try:
            far = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            near[1].transport.abort()
            return
        self.connections += 1
        connection = _Connection(near, far, lambda: self._delay)
        self._open[connection] = asyncio.current_task()
        await connection.run()
        del self._open[connection]


class _Connection:
    """Both halves of one forwarded connection.

    Attributes:
        silent: whether nothing is forwarded any more, not even the end.
    """

    def __init__(self, near: _Stream, far: _Stream, delay: Callable[[], float]) -> None:
        self.silent = False
        self._near, self._far = near, far
        self._delay = delay

    async def run(self) -> None:
        """Forward until both sides have ended."""
        await asyncio.gather(
            self._forward(self._near[0], self._far[1]), self._forward(self._far[0], self._near[1])
        )
        for _, writer in (self._near, self._far):
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    def reset(self) -> None:
        """End both sides at once and in disorder."""
        for _, writer in (self._near, self._far):
            raw: socket.socket | None = writer.get_extra_info("socket")
            if raw is not None and raw.fileno() >= 0:
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
            writer.transport.abort()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One direction; what is read keeps its order however long it takes."""
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(64)
        sender = asyncio.create_task(self._send(queue, writer))
        loop = asyncio.get_running_loop()
        with suppress(OSError):
            while data := await reader.read(_CHUNK):
                await queue.put((loop.time() + self._delay(), data))
        await queue.put((0.0, b""))
        await sender

    async def _send(
        self, queue: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter
    ) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due, data = await queue.get()
            await asyncio.sleep(max(0.0, due - loop.time()))
            if not data:
                break
            with suppress(OSError):
                if not self.silent:
                    writer.write(data)
                    await writer.drain()
        if not self.silent:
            writer.close()
