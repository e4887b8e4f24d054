"""What every endpoint needs: the running service, and a few shared shapes of parameters."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Query, Request

from redshank.core.clock import parse_time
from redshank.core.flags import FLAG_NAMES
from redshank.services.context import Context

WAIT_SECONDS = 60.0
"""How long an edit may wait for its turn in the runner."""


async def _context(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


Service = Annotated[Context, Depends(_context)]
"""The running service, as a parameter of an endpoint."""

Limit = Annotated[int, Query(ge=1, le=1000, description="at most so many")]
Offset = Annotated[int, Query(ge=0, le=2**53, description="after leaving out so many")]
SensorId = Annotated[str | None, Query(max_length=256, description="only of this sensor")]
FlagNames = Annotated[
    list[str] | None,
    Query(
        max_length=20,
        description=f"only what carries one of these quality flags: {', '.join(FLAG_NAMES)}",
    ),
]
TimeText = Annotated[str | None, Query(max_length=64, description="ISO 8601, or Unix time")]


def micros(text: str | None, field: str) -> int | None:
    """Event time of a query parameter.

    Raises:
        FieldError: it is not a time.
    """
    return None if text is None else parse_time(text, field)


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """OpenAPI's description of the problems of an endpoint, with those that every one has."""
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {
        status: {"description": _WHEN[status], "content": content}
        for status in sorted({401, 403, *statuses})
    }


_WHEN = {
    400: "the body is not what its content type says",
    401: "key missing or wrong",
    403: "calls from that host or origin are not allowed",
    404: "there is no such thing",
    409: "a request with the same idempotency key is under way",
    413: "body too large",
    415: "content type or encoding is not understood",
    422: "a field is missing or cannot be used",
    429: "the queue is full or the caller sends too much; nothing was taken",
    503: "starting or stopping, or the store cannot be written",
}
