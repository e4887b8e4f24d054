"""Readings in: decoded in columns, handed to the bus as one parcel, answered when durable."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Request

from redshank.core.clock import Clock
from redshank.core.decode import Decoded, RowError, decode_json, decode_ndjson
from redshank.core.errors import FileFormatError, OverloadedError
from redshank.core.ports import Parcel, Receipt
from redshank.core.records import DeadLetter
from redshank.services.api.answers import Answer
from redshank.services.api.bodies import READING_EXAMPLE
from redshank.services.api.body import LARGE, media_type, read_body
from redshank.services.api.params import responses
from redshank.services.api.problems import Problem
from redshank.services.api.schemas import Taken
from redshank.services.context import Context

router = APIRouter(tags=["readings"])

LISTED_ERRORS = 100
MOST_RAW = 64 * 1024
_JSON = ("application/json",)
_LINES = ("application/x-ndjson", "application/ndjson", "application/jsonl")

_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "anyOf": [
                        {"$ref": "#/components/schemas/ReadingIn"},
                        {"type": "array", "items": {"$ref": "#/components/schemas/ReadingIn"}},
                    ]
                },
                "example": READING_EXAMPLE,
            },
            "application/x-ndjson": {"schema": {"type": "string"}},
        },
    }
}


@router.post(
    "/readings",
    summary="Take readings: a JSON object, an array, or one object per line",
    response_model=Taken,
    responses=responses(400, 413, 415, 422, 429, 503),
    openapi_extra=_BODY,
)
async def take_readings(request: Request) -> Answer:
    """Answers when everything accepted is durable and scored; good rows are kept beside bad ones.

    `Content-Encoding: gzip` is allowed. Sending the same request again changes nothing.
    """
    context: Context = request.app.state.context
    kind = media_type(request)
    if kind not in _JSON + _LINES:
        known = ", ".join((_JSON[0], _LINES[0]))
        raise Problem(415, f"Content-Type: {kind!r} is not understood; use one of {known}")
    body = await read_body(request, context.config.max_body_bytes)
    try:
        decoded = await _decoded(kind in _LINES, body, context.clock)
    except FileFormatError as error:
        await _bury(context, body, str(error))
        raise
    return answer(await publish(context, decoded, "http"), decoded, lines=kind in _LINES)


async def publish(context: Context, decoded: Decoded, source: str) -> Receipt:
    """Hand over what was decoded and wait until it is durable and scored.

    Raises:
        OverloadedError: the queue is full; nothing was taken.
        StoreError: it could not be written.
    """
    if not decoded.count:
        return Receipt()
    letters = dead_letters(decoded.errors, source, context.clock.now())
    parcel = Parcel(decoded.batches, dead_letters=letters)
    return await asyncio.wrap_future(context.bus.publish(parcel, source))


def dead_letters(errors: Sequence[RowError], source: str, now: int) -> list[DeadLetter]:
    """The bad rows as they are kept."""
    return [
        DeadLetter(now, source, f"{error.field}: {error.value!r} {error.reason}", error.raw)
        for error in errors
    ]


def answer(receipt: Receipt, decoded: Decoded, lines: bool = False) -> Answer:
    """What became of a request.

    Raises:
        Problem: 422 not one row could be used.
    """
    taken = counts(receipt, decoded, lines)
    if decoded.errors and len(decoded.errors) == decoded.count:
        first = decoded.errors[0]
        detail = f"{first.field}: {first.value!r} {first.reason}"
        errors = taken.pop("errors")
        raise Problem(422, detail, errors, **taken)
    return Answer(taken)


def counts(receipt: Receipt, decoded: Decoded, lines: bool = False) -> dict[str, Any]:
    """The members of an answer; at most 100 of the bad rows are listed, all are counted."""
    return {
        "accepted": receipt.stored,
        "duplicates": receipt.duplicates,
        "conflicts": receipt.conflicts,
        "rejected": len(decoded.errors),
        "anomalies": receipt.anomalies,
        "errors": [_listed(error, lines) for error in decoded.errors[:LISTED_ERRORS]],
    }


def _listed(error: RowError, lines: bool) -> dict[str, Any]:
    place = {"index": error.index, **({"line": error.index + 1} if lines else {})}
    return {**place, "field": error.field, "value": error.value, "reason": error.reason}


async def _decoded(lines: bool, body: bytes, clock: Clock) -> Decoded:
    decode = decode_ndjson if lines else decode_json
    if len(body) < LARGE:
        return decode(body, arrival=clock.now())
    return await asyncio.to_thread(decode, body, arrival=clock.now())


async def _bury(context: Context, body: bytes, reason: str) -> None:
    """Keep what was no JSON at all; a full queue has worse worries."""
    letter = DeadLetter(context.clock.now(), "http", reason, body[:MOST_RAW])
    try:
        await asyncio.wrap_future(context.bus.publish(Parcel(dead_letters=[letter]), "http"))
    except OverloadedError:
        context.telemetry.log.warning("dead letter not kept, the queue is full", reason=reason)
