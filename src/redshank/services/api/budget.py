"""The alarm budget: what is promised, what came, and what another budget would have brought."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Annotated, Any

from fastapi import APIRouter, Query

from redshank.core.ports import Store
from redshank.core.queries import Incidents
from redshank.pipeline.budget import LIMIT, Budget
from redshank.pipeline.sharing import shared_out
from redshank.services.api.answers import Answer, finite, time_text
from redshank.services.api.bodies import BudgetIn
from redshank.services.api.body import JsonRoute
from redshank.services.api.params import WAIT_SECONDS, SensorId, Service, responses
from redshank.services.api.problems import Problem
from redshank.services.api.schemas import BudgetOut, PreviewOut
from redshank.services.api.shapes import MONTH_DAYS, sensor_names, sensor_status
from redshank.services.context import Context
from redshank.services.promise import Kept, kept, would_have_come

router = APIRouter(prefix="/budget", tags=["alarm budget"], route_class=JsonRoute)

PerMonth = Annotated[float | None, Query(gt=0, lt=LIMIT, allow_inf_nan=False)]
PerDay = Annotated[float | None, Query(gt=0, lt=1e9, allow_inf_nan=False)]
Days = Annotated[float, Query(gt=0, le=3660)]


@router.get(
    "",
    summary="The alarm budget in force",
    response_model=BudgetOut,
    responses=responses(404, 422, 503),
)
def get_budget(context: Service, sensor_id: SensorId = None) -> Answer:
    """What was promised for the last 30 days up to the newest reading, and what came.

    Counted are incidents that opened in these days. Those marked `false` are false alarms for sure,
    those without a mark may be; the rate of false alarms lies between the two that are given.
    """
    now = _in_force(context)
    if sensor_id is not None:
        sensor_status(context.store, sensor_id)
    return Answer(_told(now, kept(context.store, now, sensor_id)))


@router.put(
    "",
    summary="Change the alarm budget, for the last 30 days too",
    response_model=PreviewOut,
    responses=responses(400, 413, 415, 422, 503),
)
def put_budget(context: Service, wanted: BudgetIn) -> Answer:
    """Per sensor and 30 days, or for the whole fleet and a day; answers like a preview."""
    count = len(would_have_come(context.store, _in_force(context), MONTH_DAYS))
    new = context.runner.set_budget(wanted.per_sensor_month, wanted.per_fleet_day).result(
        WAIT_SECONDS
    )
    return Answer(_previewed(context.store, new, MONTH_DAYS, None, count))


@router.get(
    "/preview",
    summary="What another budget would have brought",
    response_model=PreviewOut,
    responses=responses(404, 422, 503),
)
def preview(
    context: Service,
    per_sensor_month: PerMonth = None,
    per_fleet_day: PerDay = None,
    days: Days = MONTH_DAYS,
    sensor_id: SensorId = None,
) -> Answer:
    """The incidents that the stored return rates would have brought, newest first.

    Exactly one of `per_sensor_month` and `per_fleet_day`; with `sensor_id`, the first.
    """
    now = _in_force(context)
    count = len(would_have_come(context.store, now, days, sensor_id))
    wanted = _wanted(context.store, now, per_sensor_month, per_fleet_day, sensor_id)
    return Answer(_previewed(context.store, wanted, days, sensor_id, count))


def _wanted(
    store: Store,
    now: Budget,
    per_sensor_month: float | None,
    per_fleet_day: float | None,
    sensor_id: str | None,
) -> Budget:
    if (per_sensor_month is None) == (per_fleet_day is None):
        raise Problem(422, "say exactly one of per_sensor_month and per_fleet_day")
    if per_sensor_month is None:
        if sensor_id is not None:
            raise Problem(422, "per_fleet_day is for all sensors; leave sensor_id out")
        return shared_out(store, replace(now, per_fleet_day=per_fleet_day))
    own = {} if sensor_id is not None else now.own
    return replace(now, per_sensor_month=per_sensor_month, own=own, per_fleet_day=None)


def _in_force(context: Context) -> Budget:
    return context.runner.budget


def _previewed(
    store: Store, wanted: Budget, days: float, sensor_id: str | None, count_now: int
) -> dict[str, Any]:
    found = would_have_come(store, wanted, days, sensor_id)
    names = sensor_names(store, [incident.sensor_id for incident in found])
    known = store.read(Incidents(ids=[incident.id for incident in found], limit=len(found) or 1))
    titles = {incident.id: incident.title for incident in known}
    return {
        "per_sensor_month": wanted.per_sensor_month,
        "per_fleet_day": wanted.per_fleet_day,
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


def _told(now: Budget, found: Kept) -> dict[str, Any]:
    watch = found.watch
    return {
        "per_sensor_month": now.per_sensor_month,
        "per_fleet_day": now.per_fleet_day,
        "sensors_with_own": dict(now.own),
        "sensors": watch.sensors,
        "sensors_sharing": watch.sharing,
        "fleet_per_day": watch.per_day,
        "promised": {
            "days": MONTH_DAYS,
            "sensor_months": watch.sensor_months,
            "incidents": watch.promised,
        },
        "measured": {
            "incidents": found.incidents,
            "marked_false": found.marked["false"],
            "marked_real": found.marked["real"],
            "marked_expected": found.marked["expected"],
            "unmarked": found.unmarked,
            "false": asdict(found.marked_false),
            "false_or_unmarked": asdict(found.false_or_unmarked),
        },
        "verdict": found.verdict,
        "too_slow": {"count": watch.too_slow, "sensors": watch.slow_ones},
    }
