"""openSenseMap's way of posting, so that a senseBox or luftdaten device can be pointed at redshank.

A box is a sensor, and its sensors are channels. Which channel a sensor id means is known from, in
this order: ``device_channels`` of the box (``PATCH /sensors/{id}``), what openSenseMap told of the
box when it was polled or fetched, a channel that has the id as its name or title, and otherwise the
id itself, which then is told in ``X-Redshank-Unmapped``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from redshank.core import device_formats as formats
from redshank.core.batch import Reading, batches
from redshank.core.channels import ChannelMapping, channel_name, map_channels
from redshank.core.decoded import Decoded
from redshank.core.device_formats import Location, Measurement
from redshank.core.errors import FieldError, FileFormatError, RedshankError
from redshank.core.queries import Sensors, Setting
from redshank.core.records import ChannelInfo, SensorInfo
from redshank.core.rows import identifier
from redshank.services.api.answers import Answer
from redshank.services.api.body import media_type, read_body
from redshank.services.api.params import responses
from redshank.services.api.problems import Problem, of_error
from redshank.services.api.readings import begin
from redshank.services.context import Context

router = APIRouter(tags=["readings"])

SOURCE = "device"
MOST_TOLD = 20
"""Ids that a header names, written as in URLs."""
_CODES = {
    400: "BadRequest",
    401: "Unauthorized",
    413: "PayloadTooLarge",
    415: "UnsupportedMediaType",
    422: "UnprocessableEntity",
    429: "TooManyRequests",
}
_TEXT = {"schema": {"type": "string"}}
_JSON = {"schema": {}, "example": [{"sensor": "5f2b56f4263635001c1dd1fd", "value": "21.5"}]}
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": _JSON,
            "text/csv": {**_TEXT, "example": "5f2b56f4263635001c1dd1fd,21.5\n"},
            "application/sbx-bytes": {"schema": {"type": "string", "format": "binary"}},
            "application/sbx-bytes-ts": {"schema": {"type": "string", "format": "binary"}},
        },
    }
}
_ONE = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {}, "example": {"value": 21.5}}},
    }
}
_REFUSED = {"application/json": {"schema": {"$ref": "#/components/schemas/DeviceProblem"}}}
_ANSWERS: dict[int | str, dict[str, Any]] = {
    **responses(),
    **{
        status: {"description": each["description"], "content": _REFUSED}
        for status, each in responses(400, 413, 415, 422, 429, 503).items()
        if status not in (401, 403)
    },
    201: {"description": "everything is durable and scored"},
}


def mapping_setting(sensor_id: str) -> str:
    """Key of the setting that holds a box's ``device_channels``."""
    return f"device_channels.{sensor_id}"


@router.post(
    "/boxes/{box_id}/data",
    summary="Take what a senseBox, luftdaten or hackAIR device posts",
    status_code=201,
    response_model=str,
    responses=_ANSWERS,
    openapi_extra=_BODY,
)
async def post_measurements(
    request: Request,
    box_id: str,
    luftdaten: Annotated[str | None, Query(max_length=10)] = None,
    hackair: Annotated[str | None, Query(max_length=10)] = None,
) -> Response:
    """All values of a request are taken or none: one that cannot be used refuses it with 422."""
    kind = "luftdaten" if luftdaten else "hackair" if hackair else media_type(request)
    return await _answered(_take(request, box_id, kind, None), "Measurements saved in box")


@router.post(
    "/boxes/{box_id}/{device_sensor}",
    summary="Take one value of one of a box's sensors",
    status_code=201,
    response_model=str,
    responses=_ANSWERS,
    openapi_extra=_ONE,
)
async def post_measurement(request: Request, box_id: str, device_sensor: str) -> Response:
    """`{"value", "createdAt", "location"}`, the last two as wanted."""
    return await _answered(
        _take(request, box_id, media_type(request), device_sensor), "Measurement saved in box"
    )


async def _answered(taking: Any, text: str) -> Response:
    """openSenseMap's answer."""
    try:
        unmapped = await taking
    except RedshankError as error:
        return _refused(of_error(error))
    except Problem as problem:
        return _refused(problem)
    told = ", ".join(quote(name, safe=" ") for name in unmapped[:MOST_TOLD])
    headers = {"X-Redshank-Unmapped": told} if unmapped else {}
    return Answer(text, 201, headers)


def _refused(problem: Problem) -> Response:
    status = problem.status_code
    content = {"code": _CODES.get(status, "Error"), "message": str(problem.detail)}
    return Answer(content, status, dict(problem.headers or {}))


async def _take(request: Request, box_id: str, kind: str, sensor: str | None) -> list[str]:
    """Take a request; the ids that mean no known channel."""
    context: Context = request.app.state.context
    box = identifier("boxId", box_id)
    taking = begin(request, SOURCE)
    body = await read_body(request, context.config.max_body_bytes)
    found = _read(body, kind, sensor, context.clock.now())
    known = await asyncio.to_thread(_known, context, box)
    channels = known.channels(found)
    readings = [Reading(box, time, values) for time, values in formats.as_rows(found, channels)]
    told = known.told(channels, found)
    sensors = [told] if told != known.info else []
    await taking.take(Decoded(batches(readings), [], len(readings)), sensors=sensors)
    await taking.finish()
    unmapped = sorted(name for name, mapping in channels.items() if not mapping.mapped)
    if unmapped:
        context.telemetry.log.info("device sensors without a channel", box=box, ids=unmapped)
    return unmapped


def _read(body: bytes, kind: str, sensor: str | None, now: int) -> list[Measurement]:
    """The measurements of a body.

    Raises:
        Problem: 415 the content type is unknown.
        FieldError, FileFormatError: the request cannot be used.
    """
    if sensor is not None and kind in ("application/json", ""):
        return [formats.read_value(body, identifier("sensorId", sensor), now)]
    readers: dict[str, Callable[[bytes, int], list[Measurement]]] = {
        "application/json": formats.read_json,
        "": formats.read_json,
        "text/csv": formats.read_csv,
        "luftdaten": formats.read_luftdaten,
        "hackair": formats.read_hackair,
        "application/sbx-bytes": partial(formats.read_bytes, timed=False),
        "application/sbx-bytes-ts": partial(formats.read_bytes, timed=True),
    }
    if kind not in readers or sensor is not None:
        raise Problem(415, f"Unsupported content-type: {kind!r}")
    try:
        return readers[kind](body, now)
    except FileFormatError as error:
        raise FieldError("body", body[:40].decode("utf-8", "replace"), str(error)) from error


@dataclass(frozen=True, slots=True)
class _Box:
    """What is known of a box.

    Attributes:
        info: as it is registered.
        mapping: device sensor id to title and unit, as its owner has set it.
    """

    info: SensorInfo
    mapping: Mapping[str, Sequence[str]]

    def channels(self, found: Sequence[Measurement]) -> dict[str, ChannelMapping]:
        """The channel of every sensor that has measured."""
        ids = sorted({each.sensor for each in found} | set(self.mapping))
        titled = [name for name in ids if name in self.mapping]
        pairs = [(self.mapping[name][0], self.mapping[name][1] or None) for name in titled]
        mapped = dict(zip(titled, map_channels(pairs), strict=True))
        given = {each.sensor: each.channel for each in found if each.channel is not None}
        taken = {mapping.name for mapping in mapped.values()}
        for name in ids:
            if name not in mapped:
                wanted = given.get(name) or self._named(name)
                mapped[name] = replace(wanted, name=_free(wanted.name, taken))
                taken.add(mapped[name].name)
        return {each.sensor: mapped[each.sensor] for each in found}

    def _named(self, sensor: str) -> ChannelMapping:
        """The channel of this device sensor, name or title; one of its own if there is none."""
        for name, channel in self.info.channels.items():
            if sensor == channel.device:
                return ChannelMapping(name, channel.unit, channel.scale, channel.offset)
        for name, channel in self.info.channels.items():
            if sensor in (name, channel.title):
                return ChannelMapping(name, channel.unit)
        return ChannelMapping(channel_name(sensor), "", mapped=False)

    def told(
        self, channels: Mapping[str, ChannelMapping], found: Sequence[Measurement]
    ) -> SensorInfo:
        """The record with what this request says of the box."""
        info = self.info
        known = dict(info.channels)
        for sensor, mapping in channels.items():
            title, unit = self.mapping.get(sensor, (sensor, ""))[:2]
            known.setdefault(mapping.name, ChannelInfo(mapping.name, mapping.unit, title, unit))
        place = _last_place(found)
        if place is not None:
            info = replace(info, latitude=place.latitude, longitude=place.longitude)
        return replace(info, channels=known, source=info.source or SOURCE)


def _known(context: Context, box: str) -> _Box:
    found = context.store.read(Sensors(sensor_ids=[box], limit=1))
    mapping = context.store.read(Setting(mapping_setting(box))) or {}
    return _Box(found[0].info if found else SensorInfo(box), mapping)


def _last_place(found: Sequence[Measurement]) -> Location | None:
    """Where the box was last, None if it did not say."""
    placed = [each for each in found if each.location is not None]
    return max(placed, key=lambda each: each.time).location if placed else None


def _free(name: str, taken: set[str]) -> str:
    number, free = 2, name
    while free in taken:
        free, number = f"{name}_{number}", number + 1
    return free
