"""Readings in: decoded in columns, handed to the bus in parcels, answered when durable."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from redshank.core.decoded import Decoded
from redshank.core.errors import FileFormatError
from redshank.core.media import CSV, JSON, LINES, NDJSON, PLAIN
from redshank.services.api.answers import Answer
from redshank.services.api.bodies import READING_EXAMPLE
from redshank.services.api.body import LARGE, media_type, read_body
from redshank.services.api.formats import Decode, decoder
from redshank.services.api.idempotency import HEADER, HashedRequest, Repeat
from redshank.services.api.params import responses
from redshank.services.api.pieces import Piece, pieces
from redshank.services.api.schemas import Taken as TakenOut
from redshank.services.api.taking import Bad, Taken, Taking
from redshank.services.context import Context

router = APIRouter(tags=["readings"])

_TEXT = {"schema": {"type": "string"}}
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            JSON[0]: {
                "schema": {
                    "anyOf": [
                        {"$ref": "#/components/schemas/ReadingIn"},
                        {"type": "array", "items": {"$ref": "#/components/schemas/ReadingIn"}},
                    ]
                },
                "example": READING_EXAMPLE,
            },
            NDJSON[0]: _TEXT,
            CSV[0]: {**_TEXT, "example": "sensor_id,timestamp,temperature\na,1769860800,21.5\n"},
            LINES[0]: {**_TEXT, "example": "sensor,device=a temperature=21.5"},
            PLAIN[0]: {**_TEXT, "example": "sensor,device=a temperature=21.5"},
        },
    },
    "parameters": [
        {
            "name": "Idempotency-Key",
            "in": "header",
            "required": False,
            "schema": {"type": "string", "minLength": 1, "maxLength": 255},
        }
    ],
}


@router.post(
    "/readings",
    summary="Take readings: JSON, one object per line, CSV or line protocol",
    response_model=TakenOut,
    responses=responses(400, 409, 413, 415, 422, 429, 503),
    openapi_extra=_BODY,
)
async def take_readings(
    request: Request, details: Annotated[bool, Query(description="a result for each row")] = False
) -> Answer:
    """Answers when everything accepted is durable and scored; good rows are kept beside bad ones.

    `Content-Encoding` may be `gzip`, `deflate` or `zstd`. Sending the same request again changes
    nothing; with an `Idempotency-Key` it also gets the same answer.
    """
    key = request.headers.get(HEADER)
    if key is None:
        return Answer(await _take(request, details, None))
    known = request.app.state.idempotency
    hashed = HashedRequest(request)
    known.begin(key)
    try:
        stored = await known.known(key, hashed)
        if stored is not None:
            return Answer(stored, headers={"Idempotent-Replayed": "true"})
        answer = await _take(hashed, details, await known.first(key))
        await known.keep(key, hashed, answer)
        return Answer(answer)
    finally:
        known.end(key)


async def _take(request: Request, details: bool, repeat: Repeat | None) -> dict[str, Any]:
    context: Context = request.app.state.context
    kind = media_type(request)
    decode = decoder(kind, context.config)
    taking = begin(request, "http", repeat)
    if kind in JSON or details:
        content = await read_body(request, context.config.max_body_bytes)
        decoded, bad = await decoded_piece(taking, decode, Piece(content, True, True))
        await (taking.take_each(decoded, bad) if details else taking.take(decoded, bad))
    else:
        await take_pieces(request, decode, taking)
    taken = await taking.finish()
    taken.check_usable(lines=kind not in JSON)
    return taken.members(lines=kind not in JSON)


def begin(request: Request, source: str, repeat: Repeat | None = None) -> Taking:
    """Begin to take a request's rows.

    Raises:
        OverloadedError: the caller sends more than it may.
    """
    state = request.app.state
    caller = state.access.caller(request.scope)
    state.limits.check(caller)
    return Taking(state.context, source, state.limits, caller, repeat)


async def take_pieces(request: Request, decode: Decode, taking: Taking) -> Taken:
    """Take the rows of a body of lines, whatever its size, as they come.

    Raises:
        FileFormatError: the body, or a later part of it, is not what it says it is.
        OverloadedError: there is no room for the first piece; nothing was taken.
    """
    context: Context = request.app.state.context
    config = context.config
    offset = 0
    async for piece in _pieces(request, config.max_body_bytes, config.max_line_bytes):
        decoded, bad = await decoded_piece(taking, decode, piece)
        await taking.take(decoded, bad, offset, patient=not piece.first)
        offset += piece.content.count(b"\n")
    return await taking.finish()


async def _pieces(request: Request, limit: int, longest: int) -> AsyncIterator[Piece]:
    async for piece in pieces(request, limit, longest):
        if piece.content or piece.first:
            yield piece


async def decoded_piece(taking: Taking, decode: Decode, piece: Piece) -> tuple[Decoded, Bad]:
    """The rows of a piece, and how to read bad ones again.

    Large pieces are decoded in a worker thread.

    Raises:
        FileFormatError: it cannot be read; it is kept as a dead letter.
    """
    now = taking.now
    try:
        if len(piece.content) < LARGE:
            decoded = decode(piece, now)
        else:
            decoded = await asyncio.to_thread(decode, piece, now)
    except FileFormatError as error:
        await taking.bury(piece.content, str(error), Bad.of(decode))
        raise
    return decoded, Bad.of(decode)
