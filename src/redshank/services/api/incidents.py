"""Incidents: the list, one story, marks and comments, and an export."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path
from starlette.responses import StreamingResponse

from redshank.core.errors import NotFoundError
from redshank.core.ports import Commit, Store
from redshank.core.queries import CountIncidents, Incidents
from redshank.core.records import Comment, Incident
from redshank.services.api.answers import Answer
from redshank.services.api.bodies import CommentIn, FeedbackIn
from redshank.services.api.body import JsonRoute
from redshank.services.api.params import (
    WAIT_SECONDS,
    Limit,
    Offset,
    SensorId,
    Service,
    TimeText,
    micros,
    responses,
)
from redshank.services.api.schemas import IncidentList, IncidentOut
from redshank.services.api.shapes import incident_json, sensor_names

router = APIRouter(tags=["incidents"], route_class=JsonRoute)

State = Literal["open", "closed"]
IncidentId = Annotated[str, Path(max_length=256)]

COLUMNS = (
    "id",
    "sensor_id",
    "sensor_name",
    "state",
    "opened",
    "last",
    "closed",
    "duration_seconds",
    "severity",
    "kind",
    "origin",
    "title",
    "text",
    "rate",
    "once_in_days",
    "score",
    "peak",
    "rows",
    "budget",
    "feedback",
)
_PAGE = 1000


@router.get(
    "/incidents",
    summary="Incidents, open ones first",
    response_model=IncidentList,
    responses=responses(404, 422, 503),
)
def list_incidents(
    context: Service,
    sensor_id: SensorId = None,
    state: State | None = None,
    start_time: TimeText = None,
    end_time: TimeText = None,
    limit: Limit = 100,
    offset: Offset = 0,
) -> Answer:
    """`total` and `open` count all that match, `incidents` is one page of them."""
    span = micros(start_time, "start_time"), micros(end_time, "end_time")
    count = context.store.read(CountIncidents(sensor_id, state, *span))
    query = Incidents(sensor_id, state, *span, limit=limit, offset=offset)
    page = told(context.store, context.store.read(query))
    return Answer({"total": count.total, "open": count.open, "incidents": page})


@router.get(
    "/incidents.csv",
    summary="Incidents as CSV",
    responses={200: {"content": {"text/csv": {}}}, **responses(404, 422, 503)},
    response_class=StreamingResponse,
)
def export_incidents(
    context: Service,
    sensor_id: SensorId = None,
    state: State | None = None,
    start_time: TimeText = None,
    end_time: TimeText = None,
) -> StreamingResponse:
    """Every incident that matches, one a line."""
    span = micros(start_time, "start_time"), micros(end_time, "end_time")
    query = Incidents(sensor_id, state, *span, limit=_PAGE)
    first = _page(context.store, query, 0)  # what is wrong with the question shows here
    lines = _csv(context.store, query, first)
    name = {"Content-Disposition": 'attachment; filename="incidents.csv"'}
    return StreamingResponse(lines, media_type="text/csv; charset=utf-8", headers=name)


@router.get(
    "/incidents/{incident_id}",
    summary="One incident and its story",
    response_model=IncidentOut,
    responses=responses(404, 422, 503),
)
def get_incident(context: Service, incident_id: IncidentId) -> Answer:
    """A browser gets its screen of the page."""
    return Answer(_one(context.store, incident_id))


@router.put(
    "/incidents/{incident_id}/feedback",
    summary="Mark an incident as real, false or expected",
    response_model=IncidentOut,
    responses=responses(400, 404, 413, 415, 422, 503),
)
def mark_incident(context: Service, incident_id: IncidentId, mark: FeedbackIn) -> Answer:
    """`null` takes the mark back.

    A lasting change that is marked as expected becomes the new normal at once: the incident is
    closed, and what came after the change is what the sensor is judged by from now on. Another mark
    undoes that.
    """
    _one(context.store, incident_id)
    context.runner.mark(incident_id, mark.feedback).result(WAIT_SECONDS)
    return Answer(_one(context.store, incident_id))


@router.post(
    "/incidents/{incident_id}/comments",
    summary="Add a comment",
    response_model=IncidentOut,
    responses=responses(400, 404, 413, 415, 422, 503),
)
def comment_incident(context: Service, incident_id: IncidentId, said: CommentIn) -> Answer:
    """Comments stay with the incident in the order in which they came."""
    _one(context.store, incident_id)
    comment = Comment(context.clock.now(), said.text, said.author)
    context.runner.write(Commit(comments={incident_id: [comment]})).result(WAIT_SECONDS)
    return Answer(_one(context.store, incident_id))


def told(store: Store, incidents: Sequence[Incident]) -> list[dict[str, Any]]:
    """Incidents in JSON, with their sensors' names."""
    names = sensor_names(store, [incident.sensor_id for incident in incidents])
    return [incident_json(incident, names.get(incident.sensor_id)) for incident in incidents]


def _one(store: Store, incident_id: str) -> dict[str, Any]:
    found = told(store, store.read(Incidents(ids=[incident_id], limit=1)))
    if not found:
        raise NotFoundError(f"there is no incident {incident_id!r}; a changed budget removes some")
    return found[0]


def _csv(store: Store, query: Incidents, page: list[dict[str, Any]]) -> Iterator[str]:
    """The lines, from the first page on."""
    yield _line(COLUMNS)
    offset = 0
    while page:
        for incident in page:
            yield _line([_cell(incident[column]) for column in COLUMNS])
        offset += len(page)
        page = _page(store, query, offset) if len(page) == _PAGE else []


def _page(store: Store, query: Incidents, offset: int) -> list[dict[str, Any]]:
    page = Incidents(
        query.sensor_id, query.state, query.start, query.end, limit=_PAGE, offset=offset
    )
    return told(store, store.read(page))


def _line(cells: Sequence[Any]) -> str:
    out = io.StringIO()
    csv.writer(out).writerow(cells)
    return out.getvalue()


def _cell(value: Any) -> Any:
    """Text that a spreadsheet would run as a formula is quoted, after OWASP's CSV injection."""
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")):
        return f"'{value}"
    return value
