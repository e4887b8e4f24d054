"""A whole redshank in memory, and clients that call it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from redshank.adapters.bus.memory import MemoryBus
from redshank.adapters.store.sqlite.store import SqliteStore
from redshank.core.clock import DAY, MINUTE, SECOND, FakeClock, Instants, parse_time
from redshank.core.config import Config
from redshank.core.records import SensorInfo
from redshank.core.telemetry import Telemetry
from redshank.pipeline.budget import Budget
from redshank.pipeline.pipeline import Pipeline
from redshank.pipeline.runner import Runner
from redshank.services.api import create_app
from redshank.services.context import Context
from redshank.services.ingest_report import BoxReport, FetchOrder, Tell

NOW = parse_time("2026-02-01T00:00:00Z")


class Caller:
    """Calls an application from an ordinary function."""

    def __init__(self, portal: BlockingPortal, client: httpx.AsyncClient) -> None:
        self._portal = portal
        self._client = client

    def __call__(self, method: str, path: str, **how: Any) -> httpx.Response:
        return self._portal.call(lambda: self._client.request(method, path, **how))

    def get(self, path: str, **how: Any) -> httpx.Response:
        return self("GET", path, **how)

    def post(self, path: str, **how: Any) -> httpx.Response:
        return self("POST", path, **how)

    def put(self, path: str, **how: Any) -> httpx.Response:
        return self("PUT", path, **how)


@dataclass
class Service:
    """A running redshank."""

    app: Any
    context: Context
    call: Caller
    clock: FakeClock
    fetched: list[Any]


def make_context(**settings: Any) -> tuple[Context, FakeClock, list[Any]]:
    store, clock, fetched = SqliteStore(None), FakeClock(NOW), []
    bus, telemetry = MemoryBus(settings.get("queue_readings", 200_000)), Telemetry()
    pipeline = Pipeline(Budget(settings.get("alarm_budget", 3.0)), SensorInfo)
    runner = Runner(bus, store, pipeline, clock, telemetry)

    async def fetch(order: FetchOrder, tell: Tell | None = None) -> list[BoxReport]:
        fetched.append(order)
        if tell is not None:
            tell(0.5, "1 value read")
        return [BoxReport(box, "Schnus", read=2, stored=2) for box in order.box_ids]

    config = Config(**settings)
    instants = Instants(clock)
    return Context(config, clock, store, bus, runner, telemetry, fetch, instants), clock, fetched


@pytest.fixture
def start() -> Iterator[Callable[..., Service]]:
    """Starts a redshank with the settings that a test wants."""
    closing: list[Callable[[], Any]] = []
    with start_blocking_portal() as portal:

        def begin(**settings: Any) -> Service:
            context, clock, fetched = make_context(**settings)
            app = create_app(context)
            context.runner.start()
            closing.append(context.store.close)
            closing.append(context.runner.stop)
            life = portal.wrap_async_context_manager(app.router.lifespan_context(app))
            life.__enter__()
            closing.append(lambda: life.__exit__(None, None, None))
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            client = httpx.AsyncClient(transport=transport, base_url="http://localhost")
            return Service(app, context, Caller(portal, client), clock, fetched)

        yield begin
        for close in reversed(closing):
            close()


@pytest.fixture
def service(start: Callable[..., Service]) -> Service:
    """A redshank with default settings."""
    return start()


@pytest.fixture
def call(service: Service) -> Caller:
    """Calls it."""
    return service.call


@pytest.fixture
def watched(service: Service) -> Service:
    """A redshank that has watched a sensor for two days, with a jump near the end."""
    start = NOW - 2 * DAY
    rows = [_row("greenhouse-1", start + i * 5 * MINUTE, i) for i in range(560)]
    for row in rows[540:552]:
        row["humidity"] = 99.0
        row["temperature"] += 25.0
    answer = service.call.post("/readings", json=rows)
    assert answer.json()["accepted"] == len(rows), answer.text
    return service


def _row(sensor_id: str, time: int, i: int) -> dict[str, Any]:
    return {
        "sensor_id": sensor_id,
        "timestamp": time // SECOND,
        "temperature": round(20 + (i * 7919 % 97) / 97, 2),
        "humidity": round(60 + (i * 104729 % 89) / 89, 2),
    }
