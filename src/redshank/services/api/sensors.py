"""Sensors: the fleet, one of them, and its readings over time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Query
from starlette.responses import Response

from redshank.core.batch import Floats
from redshank.core.clock import DAY, HOUR, SECOND
from redshank.core.flags import flag_bits
from redshank.core.ports import Commit, Store
from redshank.core.queries import (
    CountSensors,
    Incidents,
    Sensors,
    SensorSeries,
    Series,
    Sites,
    StoreTotals,
)
from redshank.core.records import SensorInfo, SensorStatus
from redshank.core.registry import own_cursor, patched
from redshank.services.api.answers import Answer, time_text
from redshank.services.api.bodies import DeviceChannel, SensorEdit, StatusName
from redshank.services.api.body import JsonRoute
from redshank.services.api.params import (
    WAIT_SECONDS,
    FlagNames,
    Limit,
    Offset,
    Service,
    TimeText,
    micros,
    responses,
)
from redshank.services.api.problems import field_problem
from redshank.services.api.schemas import SensorList, SensorOut, SeriesOut, Sparklines
from redshank.services.api.shapes import (
    gap_seconds,
    only_flagged,
    sensor_json,
    sensor_status,
    series_json,
)
from redshank.services.posts import mapping_setting

router = APIRouter(prefix="/sensors", tags=["sensors"], route_class=JsonRoute)

MOST_SPARKLINES = 100


@router.get(
    "",
    summary="The fleet, those that need a look first",
    response_model=SensorList,
    responses=responses(422, 503),
)
def list_sensors(
    context: Service,
    text: Annotated[str, Query(max_length=200, description="part of id, name or site")] = "",
    site: Annotated[str | None, Query(max_length=256)] = None,
    status: StatusName | None = None,
    limit: Limit = 100,
    offset: Offset = 0,
) -> Answer:
    """`total` and `counts` are of all that match, `sensors` is one page of them.

    `sites` are those of the whole fleet.
    """
    read = context.store.read
    counts = dict(read(CountSensors(text=text, site=site, status=status)))
    query = Sensors(text=text, site=site, status=status, limit=limit, offset=offset)
    return Answer(
        {
            "total": counts.pop("total"),
            "counts": counts,
            "newest": time_text(read(StoreTotals()).newest),
            "sites": list(read(Sites())),
            "sensors": [sensor_json(found) for found in read(query)],
        }
    )


@router.get(
    "/sparklines",
    summary="Small pictures of the last hours of many sensors",
    response_model=Sparklines,
    responses=responses(422, 503),
)
def sparklines(
    context: Service,
    sensor_id: Annotated[list[str], Query(max_length=MOST_SPARKLINES)],
    hours: Annotated[float, Query(gt=0, le=24 * 366)] = 24.0,
    points: Annotated[int, Query(ge=2, le=500)] = 48,
) -> Answer:
    """Means of equal steps up to each sensor's newest reading; `null` where there is none."""
    found = context.store.read(Sensors(sensor_ids=sensor_id, limit=len(sensor_id)))
    lines = {
        status.info.sensor_id: _sparkline(context.store, status, round(hours * HOUR), points)
        for status in found
        if status.last_seen is not None
    }
    return Answer({"sensors": lines})


@router.get(
    "/{sensor_id:path}/series",
    summary="Readings, expected bands, scores and incidents of a span",
    response_model=SeriesOut,
    responses=responses(404, 422, 503),
)
def series(
    context: Service,
    sensor_id: str,
    start: TimeText = None,
    end: TimeText = None,
    points: Annotated[int, Query(ge=1, le=5000)] = 800,
    channel: Annotated[list[str] | None, Query(max_length=256)] = None,
    flag: FlagNames = None,
) -> Answer:
    """At most about `points` steps; `low` and `high` are the extremes of a step.

    With `flag` only steps in which a value carries one of these flags.
    """
    status = sensor_status(context.store, sensor_id)
    first, last = _span(status, micros(start, "start"), micros(end, "end"))
    _check_channels(status, channel)
    query = SensorSeries(sensor_id, first, last, points, channel)
    return Answer(_series(context.store, status, query, flag_bits(flag or ())))


@router.get(
    "/{sensor_id:path}",
    summary="One sensor",
    response_model=SensorOut,
    responses=responses(404, 422, 503),
)
def get_sensor(context: Service, sensor_id: str) -> Answer:
    """The sensor as it stands; a browser gets its screen of the page."""
    return Answer(sensor_json(sensor_status(context.store, sensor_id)))


@router.patch(
    "/{sensor_id:path}",
    summary="Name a sensor, place it, tag it, give it a budget of its own",
    response_model=SensorOut,
    responses=responses(400, 404, 413, 415, 422, 503),
)
def edit_sensor(context: Service, sensor_id: str, edit: SensorEdit) -> Answer:
    """Only what is sent changes; `null` for `budget` takes the general one again."""
    changes = edit.model_dump(exclude_unset=True)
    devices = changes.pop("device_channels", None)

    def patch(info: SensorInfo | None) -> SensorInfo:
        return patched(info or sensor_status(context.store, sensor_id).info, changes)

    context.runner.edit_sensors({sensor_id: patch}).result(WAIT_SECONDS)
    if devices is not None:
        mapping = {mapping_setting(sensor_id): _pairs(edit.device_channels)}
        context.runner.write(Commit(settings=mapping)).result(WAIT_SECONDS)
    return Answer(sensor_json(sensor_status(context.store, sensor_id)))


@router.delete(
    "/{sensor_id:path}",
    summary="Forget a sensor with all its data",
    status_code=204,
    responses=responses(404, 422, 503),
)
def forget_sensor(context: Service, sensor_id: str) -> Response:
    """Its readings, verdicts and incidents are gone after this, and how far it was fetched."""
    info = sensor_status(context.store, sensor_id).info
    commit = Commit(
        sensors_removed=[sensor_id],
        settings={mapping_setting(sensor_id): None},
        cursors={own_cursor(info.source, sensor_id): None},
    )
    context.runner.write(commit).result(WAIT_SECONDS)
    return Response(status_code=204)


def _pairs(devices: Mapping[str, DeviceChannel]) -> dict[str, list[str]] | None:
    """Title and unit by device sensor, as they are stored."""
    return {name: [each.title, each.unit] for name, each in devices.items()} or None


def _span(status: SensorStatus, start: int | None, end: int | None) -> tuple[int, int]:
    """The span asked for; by default the last 24 hours up to the newest reading."""
    newest = status.last_seen or 0
    last = end if end is not None else max(newest, start or newest)
    first = start if start is not None else last - DAY
    if first > last:
        raise field_problem("start", time_text(first), f"lies after the end, {time_text(last)}")
    return first, last


def _check_channels(status: SensorStatus, channels: list[str] | None) -> None:
    known = {*status.info.channels, *status.latest}
    for name in channels or ():
        if name not in known:
            reason = f"is no channel of this sensor; it has {', '.join(sorted(known))}"
            raise field_problem("channel", name, reason)


def _series(store: Store, status: SensorStatus, query: SensorSeries, flags: int) -> dict[str, Any]:
    steps = only_flagged(store.read(query), flags)
    incidents = store.read(
        Incidents(sensor_id=query.sensor_id, start=query.start, end=query.end, limit=1000)
    )
    return {
        "sensor_id": query.sensor_id,
        "start": time_text(query.start),
        "end": time_text(query.end),
        "bucket_seconds": None if steps.bucket is None else steps.bucket / SECOND,
        "gap_seconds": gap_seconds(status.rhythm, steps.bucket),
        **series_json(steps, status.info),
        "incidents": [
            {
                "id": incident.id,
                "start": time_text(incident.opened),
                "end": time_text(incident.closed),
                "severity": incident.severity,
                "channels": [evidence.channel for evidence in incident.evidence],
            }
            for incident in incidents
        ],
    }


def _sparkline(store: Store, status: SensorStatus, span: int, points: int) -> dict[str, Any]:
    end = status.last_seen or 0
    step = max(1, span // points)
    start = end - step * points + 1
    query = SensorSeries(status.info.sensor_id, start, end, points * 4)
    steps = store.read(query)
    means = resampled(steps, start, step, points)
    return {
        "start": time_text(end - step * points),
        "step_seconds": step / SECOND,
        "channels": {name: means[i] for i, name in enumerate(steps.channels)},
    }


def resampled(steps: Series, start: int, step: int, points: int) -> Floats:
    """(C, points) means of a series over equal steps; NaN where it has nothing."""
    place = np.clip((steps.time - start) // step, 0, points - 1)
    out = np.full((len(steps.channels), points), np.nan)
    for channel in range(len(steps.channels)):
        values = steps.mean[:, channel]
        there = ~np.isnan(values)
        count = np.bincount(place[there], minlength=points)
        total = np.bincount(place[there], values[there], minlength=points)
        np.divide(total, count, out=out[channel], where=count > 0)
    return out
