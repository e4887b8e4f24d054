"""Counts and times calls by route template, and logs those that fail inside."""

from __future__ import annotations

import time
from functools import lru_cache
from typing import Any

from prometheus_client import (
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from redshank.core.telemetry import Telemetry

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class Measures:
    """The metrics of the interface itself, in the registry of ``telemetry``."""

    def __init__(self, telemetry: Telemetry) -> None:
        own: Any = {"namespace": "redshank", "registry": telemetry.registry}
        self.requests = Counter(
            "http_requests", "Calls answered.", ["method", "route", "status"], **own
        )
        self.seconds = Histogram(
            "http_seconds", "Time from call to answer.", ["route"], buckets=_SECONDS, **own
        )
        self.in_flight = Gauge("http_in_flight", "Calls being answered.", **own)
        self.sockets = Gauge("websocket_connections", "Open WebSockets.", **own)
        self.thinned = Counter(
            "websocket_thinned_rows", "Rows left out for clients that cannot keep up.", **own
        )
        ProcessCollector(registry=telemetry.registry)
        PlatformCollector(registry=telemetry.registry)
        GCCollector(registry=telemetry.registry)
        self._request = lru_cache(1024)(self.requests.labels)
        self._second = lru_cache(256)(self.seconds.labels)

    def answered(self, scope: Scope, status: int, seconds: float) -> None:
        """Count one call."""
        route = getattr(scope.get("route"), "path_format", None) or _other(scope)
        self._request(scope["method"], route, str(status)).inc()
        self._second(route).observe(seconds)


class Measured:
    """Measures every call that passes."""

    def __init__(self, app: ASGIApp, measures: Measures) -> None:
        self._app = app
        self._measures = measures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500
        started = time.perf_counter()

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        self._measures.in_flight.inc()
        try:
            await self._app(scope, receive, noted)
        finally:
            self._measures.in_flight.dec()
            self._measures.answered(scope, status, time.perf_counter() - started)


def _other(scope: Scope) -> str:
    return "page" if scope.get("redshank.page") else "other"
