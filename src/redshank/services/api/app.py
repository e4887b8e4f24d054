"""The application: routers, the gate in front of them, and what runs beside them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi.openapi.utils import get_openapi

from redshank import __version__
from redshank.services.api import (
    bodies,
    boxes,
    budget,
    dead_letters,
    events,
    export,
    guide,
    incidents,
    influx,
    ingest,
    model,
    predict,
    problems,
    readings,
    registry,
    schemas,
    sensors,
    system,
    ws,
)
from redshank.services.api.answers import Answer
from redshank.services.api.gate import Access, Gate
from redshank.services.api.hub import Hub
from redshank.services.api.idempotency import Idempotency
from redshank.services.api.limits import RateLimits
from redshank.services.api.measures import Measured, Measures
from redshank.services.api.page import Page, PageFaces
from redshank.services.context import Context

_PARTS = (
    readings,
    influx,
    boxes,
    predict,
    model,
    events,
    registry,
    export,
    sensors,
    incidents,
    budget,
    ingest,
    dead_letters,
    system,
    ws,
    guide,
)
_EXTRA_SCHEMAS = (schemas.Problem, schemas.DeviceProblem, bodies.ReadingIn)


def create_app(context: Context) -> FastAPI:
    """The HTTP and WebSocket interface of a running service, as described in docs/http.md.

    The runner and the sources are started and stopped by whoever made the context.
    """
    app = FastAPI(
        title="redshank",
        version=__version__,
        summary="Watches sensors and says what is wrong, why, and since when.",
        default_response_class=Answer,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        lifespan=_lifespan,
        redirect_slashes=False,
    )
    measures = Measures(context.telemetry)
    app.state.context = context
    app.state.started = context.clock.monotonic()
    app.state.access = Access(context.config)
    app.state.hub = Hub(context, measures)
    app.state.limits = RateLimits(context.config.rate_limit_readings, context.clock)
    app.state.idempotency = Idempotency(context)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    problems.install(app)
    for part in _PARTS:
        app.include_router(part.router)
    _add_layers(app, measures)
    return app


def _add_layers(app: FastAPI, measures: Measures) -> None:
    """What every call passes; the last one added is the outermost."""
    origins = list(app.state.context.config.cors_origins)
    app.add_middleware(PageFaces, page=Page.shipped())
    app.add_middleware(Gate, access=app.state.access)
    if origins:
        app.add_middleware(
            CORSMiddleware, allow_origins=origins, allow_methods=["*"], allow_headers=["*"]
        )
    app.add_middleware(Measured, measures=measures)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    spreading = asyncio.create_task(app.state.hub.run())
    try:
        yield
    finally:
        spreading.cancel()
        with suppress(asyncio.CancelledError):
            await spreading


def _openapi(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        made = get_openapi(
            title=app.title, version=app.version, summary=app.summary, routes=app.routes
        )
        known = made.setdefault("components", {}).setdefault("schemas", {})
        for schema in _EXTRA_SCHEMAS:
            described = schema.model_json_schema(ref_template="#/components/schemas/{model}")
            known.update(described.pop("$defs", {}))
            known[schema.__name__] = described
        known.pop("HTTPValidationError", None)
        known.pop("ValidationError", None)
        key = {"type": "apiKey", "in": "header", "name": "X-API-Key"}
        made["components"]["securitySchemes"] = {"key": key}
        made["security"] = [{"key": []}, {}]
        app.openapi_schema = made
    return app.openapi_schema
