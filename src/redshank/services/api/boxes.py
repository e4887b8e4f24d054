"""openSenseMap's way of posting, so that a senseBox or luftdaten device can be pointed at redshank.

A box is a sensor, and its sensors are channels. Which channel a sensor id means is known from, in
this order: ``device_channels`` of the box (``PATCH /sensors/{id}``), what openSenseMap told of the
box when it was polled or fetched, a channel that has the id as its name or title, and otherwise the
id itself, which then is told in ``X-Redshank-Unmapped``.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from redshank.core.decoded import Decoded
from redshank.core.errors import FieldError, RedshankError
from redshank.core.rows import identifier
from redshank.services import posts
from redshank.services.api.answers import Answer
from redshank.services.api.body import media_type, read_body
from redshank.services.api.params import responses
from redshank.services.api.problems import Problem, of_error
from redshank.services.api.readings import begin
from redshank.services.api.taking import Bad
from redshank.services.context import Context

router = APIRouter(tags=["readings"])

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
    """All values of a request are taken or none: one that cannot be used refuses it with 422, and
    it is kept as a dead letter."""
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
    taking = begin(request, posts.SOURCE)
    if not posts.understood(kind, sensor):
        raise Problem(415, f"Unsupported content-type: {kind!r}")
    body = await read_body(request, context.config.max_body_bytes)
    [arrival] = (await taking.times(1)).tolist()
    try:
        found = posts.read(kind, body, sensor, arrival)
    except FieldError as error:
        details = {posts.DEVICE_SENSOR: sensor} if sensor is not None else {}
        await taking.bury(body, str(error), Bad(kind, details, box))
        raise
    known = await asyncio.to_thread(posts.known_box, context.store, box)
    post = known.post(found)
    sensors = [post.told] if post.told != known.info else []
    count = sum(map(len, post.batches))
    await taking.take(Decoded(post.batches, [], count), sensors=sensors)
    await taking.finish()
    if post.unmapped:
        log = context.telemetry.log
        log.info("device sensors without a channel", box=box, ids=post.unmapped)
    return post.unmapped
