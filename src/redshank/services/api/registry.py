"""The registry of sensors as a table, and the state of the whole fleet in one small answer."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import StreamingResponse

from redshank.core.queries import CountSensors, SensorStates
from redshank.services import registry
from redshank.services.api.answers import Answer
from redshank.services.api.bodies import StatusName
from redshank.services.api.body import media_type, read_body
from redshank.services.api.params import Offset, Service, responses
from redshank.services.api.problems import Problem
from redshank.services.api.schemas import Fault
from redshank.services.context import Context

router = APIRouter(tags=["sensors"])

MOST_STATES = 100_000
_TABLES = ("text/csv", "application/csv")
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "text/csv": {
                "schema": {"type": "string"},
                "example": "sensor_id,name,site,channel.humidity.maximum\na,Annex,Farm,100\n",
            }
        },
    }
}
Text = Annotated[str, Query(max_length=200, description="part of id, name or site")]
Site = Annotated[str | None, Query(max_length=256)]


class ImportedRow(BaseModel):
    """What became of one line."""

    line: int = Field(description="from 1; the header is a line, too")
    sensor_id: str
    result: registry.Result
    errors: list[Fault]


class Imported(BaseModel):
    """What became of a table of sensors."""

    created: int
    updated: int
    unchanged: int
    rejected: int
    rows: list[ImportedRow]


class States(BaseModel):
    """Columns of equal length, an entry a sensor; those that need a look first."""

    total: int
    sensor_id: list[str]
    name: list[str]
    site: list[str]
    status: list[int] = Field(description="0 learning, 1 normal, 2 warning, 3 anomaly")
    open_incidents: list[int]


@router.get(
    "/sensors/states",
    summary="The state of the whole fleet, small",
    response_model=States,
    responses=responses(422, 503),
)
def states(
    context: Service,
    text: Text = "",
    site: Site = None,
    status: StatusName | None = None,
    limit: Annotated[int, Query(ge=1, le=MOST_STATES)] = MOST_STATES,
    offset: Offset = 0,
) -> Answer:
    """As `GET /sensors` narrows and sorts, but only what a picture of all sensors needs."""
    total = context.store.read(CountSensors(text, site, status))["total"]
    found = context.store.read(SensorStates(text, site, status, limit, offset))
    columns: dict[str, Any] = {
        name: [getattr(each, name) for each in found]
        for name in ("sensor_id", "name", "site", "status", "open_incidents")
    }
    return Answer({"total": total, **columns})


@router.get(
    "/sensors.csv",
    summary="The registry as a table",
    responses={200: {"content": {"text/csv": {}}}, **responses(422, 503)},
    response_class=StreamingResponse,
)
def export_sensors(context: Service, text: Text = "", site: Site = None) -> StreamingResponse:
    """As `POST /sensors/import` takes it; text that spreadsheets would run has a `'` before it."""
    name = {"Content-Disposition": 'attachment; filename="sensors.csv"'}
    lines = registry.write_table(context.store, text, site)
    return StreamingResponse(lines, media_type="text/csv; charset=utf-8", headers=name)


@router.post(
    "/sensors/import",
    summary="Register and describe many sensors with one table",
    response_model=Imported,
    responses=responses(400, 413, 415, 422, 503),
    openapi_extra=_BODY,
)
async def import_sensors(request: Request) -> Answer:
    """Empty cells change nothing, unknown sensors are registered, good lines are kept beside bad.

    Columns: `sensor_id, name, site, latitude, longitude, exposure, timezone, owner, budget`,
    `tag.NAME` and `channel.NAME.unit|title|minimum|maximum`; only the first is needed.
    """
    context: Context = request.app.state.context
    kind = media_type(request)
    if kind not in _TABLES:
        raise Problem(415, f"Content-Type: {kind!r} is not understood; use text/csv")
    body = await read_body(request, context.config.max_body_bytes)
    lines = await asyncio.to_thread(registry.import_table, context.runner, body)
    counted = Counter(line.result for line in lines)
    counts: dict[str, Any] = {name: counted[name] for name in registry.RESULTS}
    rows = [
        {"line": each.line, "sensor_id": each.sensor_id, "result": each.result}
        | {"errors": each.errors}
        for each in lines
    ]
    if lines and counted["rejected"] == len(lines):
        fault = lines[0].errors[0]
        detail = f"line {lines[0].line}: {fault['field']}: {fault['value']!r} {fault['reason']}"
        raise Problem(422, detail, [fault], **counts, rows=rows)
    return Answer({**counts, "rows": rows})
