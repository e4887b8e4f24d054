"""Stored rows, newest first, and those of them that are anomalous."""

from __future__ import annotations

from fastapi import APIRouter

from redshank.core.flags import flag_bits
from redshank.core.queries import LatestReadings
from redshank.services.api.answers import Answer
from redshank.services.api.params import (
    FlagNames,
    Limit,
    Offset,
    SensorId,
    Service,
    TimeText,
    micros,
    responses,
)
from redshank.services.api.schemas import Anomaly, Event
from redshank.services.api.shapes import anomaly_json, event_json

router = APIRouter(tags=["readings"])


@router.get(
    "/events/latest",
    summary="The newest readings",
    response_model=list[Event],
    responses=responses(404, 422, 503),
)
def latest_events(
    context: Service,
    sensor_id: SensorId = None,
    flag: FlagNames = None,
    limit: Limit = 100,
    offset: Offset = 0,
) -> Answer:
    """Rows with their channels, newest first; `flags` where a value has any."""
    flags = flag_bits(flag or ())
    query = LatestReadings(sensor_id=sensor_id, limit=limit, offset=offset, flags=flags)
    return Answer([event_json(row) for row in context.store.read(query)])


@router.get(
    "/anomalies/latest",
    summary="The newest anomalous readings",
    response_model=list[Anomaly],
    responses=responses(404, 422, 503),
)
@router.get(
    "/anomalies",
    summary="Anomalous readings of a span",
    response_model=list[Anomaly],
    responses=responses(404, 422, 503),
)
def anomalies(
    context: Service,
    sensor_id: SensorId = None,
    start_time: TimeText = None,
    end_time: TimeText = None,
    flag: FlagNames = None,
    limit: Limit = 100,
    offset: Offset = 0,
) -> Answer:
    """Rows that were anomalous and are within the alarm budget in force now, newest first."""
    start, end = micros(start_time, "start_time"), micros(end_time, "end_time")
    flags = flag_bits(flag or ())
    query = LatestReadings(sensor_id, start, end, True, limit, offset, flags)
    return Answer([anomaly_json(row) for row in context.store.read(query)])
