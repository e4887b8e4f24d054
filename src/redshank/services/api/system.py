"""The service itself: health, metrics and settings."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector
from starlette.responses import Response

from redshank import __version__
from redshank.core.config import shown
from redshank.core.errors import StoreError
from redshank.core.queries import StoreTotals
from redshank.services.api.answers import Answer
from redshank.services.api.budget_metrics import EverythingMeasured
from redshank.services.api.params import Service, responses
from redshank.services.api.schemas import Health
from redshank.services.context import Context

router = APIRouter(tags=["system"])


@router.get("/health", summary="How redshank is", response_model=Health)
def health(request: Request, context: Service) -> Answer:
    """Always 200 while the process answers; `degraded` says that something does not work."""
    return Answer(_health(context, request.app.state.started))


@router.get(
    "/ready",
    summary="Whether redshank takes readings now",
    response_model=Health,
    responses={503: {"model": Health, "description": "not ready"}},
)
def ready(request: Request, context: Service) -> Answer:
    """200 when the store and the pipeline work, else 503."""
    state = _health(context, request.app.state.started)
    needed = (state["dependencies"][name]["status"] for name in ("store", "pipeline"))
    return Answer(state, 200 if all(status == "healthy" for status in needed) else 503)


@router.get(
    "/metrics",
    summary="Metrics for Prometheus, or JSON with Accept: application/json",
    responses={
        200: {"content": {"text/plain": {}, "application/json": {"schema": {"type": "object"}}}},
        **responses(),
    },
    response_class=Response,
)
def metrics(request: Request, context: Service) -> Response:
    """Counters, gauges and histograms of everything redshank does, and of its process; and what the
    alarm budget promises and brought in the last 30 days."""
    everything = EverythingMeasured(context)
    vary = {"Vary": "Accept"}
    if "application/json" in request.headers.get("accept", ""):
        return Answer(metrics_json(everything), headers=vary)
    text = generate_latest(everything)
    return Response(text, headers=vary, media_type=CONTENT_TYPE_LATEST)


@router.get(
    "/settings",
    summary="The configuration in force, secrets masked",
    response_model=dict[str, Any],
    responses=responses(),
)
def settings(context: Service) -> Answer:
    """As it was read from files and environment at the start."""
    return Answer(shown(context.config))


def metrics_json(registry: Collector) -> dict[str, Any]:
    """Metric name to its value, or to a list of values with their labels."""
    found: dict[str, Any] = {}
    for family in registry.collect():
        for sample in family.samples:
            if sample.labels:
                line = {"labels": dict(sample.labels), "value": sample.value}
                found.setdefault(sample.name, []).append(line)
            else:
                found[sample.name] = sample.value
    return found


def _health(context: Context, started: float) -> dict[str, Any]:
    alive = context.runner.alive()
    store, sources = _store(context), _sources(context)
    pipeline = _state(alive, "" if alive else "the pipeline has stopped; restart redshank")
    well = all(part["status"] == "healthy" for part in (store, pipeline, *sources.values()))
    return {
        "status": "healthy" if well else "degraded",
        "version": __version__,
        "uptime_seconds": context.clock.monotonic() - started,
        "model_loaded": alive,
        "dependencies": {"store": store, "pipeline": pipeline, "sources": sources},
    }


def _store(context: Context) -> dict[str, str]:
    try:
        totals = context.store.read(StoreTotals())
    except StoreError as error:
        return _state(False, str(error))
    return _state(True, f"{totals.sensors} sensors, {totals.readings} readings")


def _sources(context: Context) -> dict[str, dict[str, str]]:
    latest = context.progress.latest()
    return {each.source: _state(not each.error, each.error or each.text) for each in latest}


def _state(well: bool, detail: str) -> dict[str, str]:
    return {"status": "healthy" if well else "degraded", "detail": detail}
