"""The alarm budget: what is promised, what came, and what another budget would have brought."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Query

from redshank.core.clock import DAY
from redshank.core.ports import Store
from redshank.core.queries import CountIncidents, CountSensors, Incidents, Sensors, StoreTotals
from redshank.core.records import SensorStatus
from redshank.pipeline import budget as budgets
from redshank.pipeline.budget import Budget
from redshank.services.api.answers import Answer, finite, time_text
from redshank.services.api.bodies import BudgetIn
from redshank.services.api.body import JsonRoute
from redshank.services.api.params import WAIT_SECONDS, SensorId, Service, responses
from redshank.services.api.problems import Problem
from redshank.services.api.schemas import BudgetOut, PreviewOut
from redshank.services.api.shapes import MONTH_DAYS, months, sensor_names
from redshank.services.context import Context

router = APIRouter(prefix="/budget", tags=["alarm budget"], route_class=JsonRoute)

PerMonth = Annotated[float, Query(gt=0, lt=100_000, allow_inf_nan=False)]
Days = Annotated[float, Query(gt=0, le=3660)]
_PAGE = 1000


@router.get(
    "", summary="The alarm budget in force", response_model=BudgetOut, responses=responses(503)
)
def get_budget(context: Service) -> Answer:
    """What was promised for the last 30 days up to the newest reading, and what came."""
    now = _in_force(context)
    newest = context.store.read(StoreTotals()).newest
    start = None if newest is None else newest - round(MONTH_DAYS * DAY)
    came = context.store.read(CountIncidents(start=start, end=newest))
    return Answer(
        {
            "per_sensor_month": now.per_sensor_month,
            "sensors_with_own": dict(now.own),
            "promised": _promised(context.store, now, newest),
            "measured": {
                "incidents": came.total,
                "marked_false": came.marked.get("false", 0),
                "marked_real": came.marked.get("real", 0),
                "marked_expected": came.marked.get("expected", 0),
            },
        }
    )


@router.put(
    "",
    summary="Change the alarm budget, for the last 30 days too",
    response_model=PreviewOut,
    responses=responses(400, 413, 415, 422, 503),
)
def put_budget(context: Service, wanted: BudgetIn) -> Answer:
    """Per sensor and 30 days, or for the whole fleet and a day; answers like a preview."""
    count = len(budgets.preview(context.store, _in_force(context)))
    per_month = _per_sensor_month(context.store, wanted)
    new = context.runner.set_budget(per_month).result(WAIT_SECONDS)
    return Answer(_previewed(context.store, new, MONTH_DAYS, None, count))


@router.get(
    "/preview",
    summary="What another budget would have brought",
    response_model=PreviewOut,
    responses=responses(404, 422, 503),
)
def preview(
    context: Service,
    per_sensor_month: PerMonth,
    days: Days = MONTH_DAYS,
    sensor_id: SensorId = None,
) -> Answer:
    """The incidents that the stored return rates would have brought, newest first."""
    now = _in_force(context)
    own = {} if sensor_id is not None else now.own
    count = len(budgets.preview(context.store, now, days, sensor_id))
    wanted = replace(now, per_sensor_month=per_sensor_month, own=own)
    return Answer(_previewed(context.store, wanted, days, sensor_id, count))


def _in_force(context: Context) -> Budget:
    return context.runner.budget


def _previewed(
    store: Store, wanted: Budget, days: float, sensor_id: str | None, count_now: int
) -> dict[str, Any]:
    found = budgets.preview(store, wanted, days, sensor_id)
    names = sensor_names(store, [incident.sensor_id for incident in found])
    known = store.read(Incidents(ids=[incident.id for incident in found], limit=len(found) or 1))
    titles = {incident.id: incident.title for incident in known}
    return {
        "per_sensor_month": wanted.per_sensor_month,
        "days": days,
        "count": len(found),
        "count_now": count_now,
        "incidents": [
            {
                "sensor_id": incident.sensor_id,
                "sensor_name": names.get(incident.sensor_id, incident.sensor_id),
                "opened": time_text(incident.opened),
                "last": time_text(incident.last),
                "rate": finite(incident.rate),
                "id": incident.id,
                "title": titles.get(incident.id),
            }
            for incident in found
        ],
    }


def _per_sensor_month(store: Store, wanted: BudgetIn) -> float:
    if wanted.per_sensor_month is not None:
        return wanted.per_sensor_month
    sensors = store.read(CountSensors())["total"]
    if not sensors:
        raise Problem(422, "per_fleet_day: there is no sensor yet; set per_sensor_month")
    return (wanted.per_fleet_day or 0.0) * MONTH_DAYS / sensors


def _promised(store: Store, budget: Budget, newest: int | None) -> dict[str, Any]:
    """Sensor months of the last 30 days, and the false alarms that they may bring."""
    sensor_months = incidents = 0.0
    if newest is not None:
        start = newest - round(MONTH_DAYS * DAY)
        for status in _all_sensors(store):
            if status.first_seen is None or status.last_seen is None:
                continue
            watched = months(max(start, status.first_seen), min(newest, status.last_seen))
            sensor_months += watched
            incidents += watched * budget.for_sensor(status.info.sensor_id)
    return {"days": MONTH_DAYS, "sensor_months": sensor_months, "incidents": incidents}


def _all_sensors(store: Store) -> Iterator[SensorStatus]:
    offset = 0
    while page := store.read(Sensors(limit=_PAGE, offset=offset)):
        yield from page
        offset += len(page)
        if len(page) < _PAGE:
            return
