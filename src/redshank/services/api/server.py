"""Serving the application: bind first, serve, and stop in order."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from redshank.core.errors import ConfigError

STOP_SECONDS = 10
"""How long running requests may take after the stop."""
_BACKLOG = 2048


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals belong to the process, not to one of its roles."""
        yield


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes any that is free.

    Raises:
        ConfigError: the address cannot be used, and what to do.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server(
            (host, port), family=family, backlog=_BACKLOG, reuse_port=False
        )
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigError(
            f"cannot listen on {host} port {port}: {reason}; choose another with --port"
        ) from error
    listener.setblocking(False)
    return listener


async def serve(
    app: ASGIApp,
    listener: socket.socket,
    stop: asyncio.Event,
    max_message_bytes: int = 16 * 1024 * 1024,
    on_ready: Callable[[], None] = lambda: None,
) -> None:
    """Answer calls until ``stop`` is set.

    Then, in this order: take no new connections, finish running requests (for at most
    ``STOP_SECONDS``), close WebSockets, and end what runs beside the requests.

    Args:
        app: the application.
        listener: from :func:`bind`; closed at the end.
        stop: set by whoever wants it to end.
        max_message_bytes: largest WebSocket message.
        on_ready: called once calls are answered.
    """
    server = _Server(_settings(app, max_message_bytes))
    serving = asyncio.create_task(server.serve([listener]))
    stopping = asyncio.create_task(stop.wait())
    try:
        while not server.started and not serving.done():
            await asyncio.sleep(0.005)
        if server.started:
            on_ready()
        await asyncio.wait((serving, stopping), return_when=asyncio.FIRST_COMPLETED)
        server.should_exit = True
        await serving
    finally:
        stopping.cancel()
        listener.close()


def _settings(app: ASGIApp, max_message_bytes: int) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http="httptools",
        ws="websockets-sansio",
        ws_max_size=max_message_bytes,
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=STOP_SECONDS,
        backlog=_BACKLOG,
    )
