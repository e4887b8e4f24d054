"""Errors out: problem details after RFC 9457, for every error that a call can meet."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from redshank.core.errors import (
    FieldError,
    InputError,
    NotFoundError,
    OverloadedError,
    RedshankError,
    SourceError,
    StoreError,
)
from redshank.core.rows import shown
from redshank.services.api.answers import dumps

BASE = "https://redshank.dev/problems/"

_KINDS = {
    400: ("unreadable-body", "The body cannot be read"),
    401: ("key-required", "An API key is required"),
    403: ("forbidden-origin", "Calls from there are not allowed"),
    404: ("not-found", "There is no such thing"),
    405: ("method-not-allowed", "The method is not allowed here"),
    409: ("under-way", "The same request is under way"),
    413: ("too-large", "The body is too large"),
    415: ("unsupported-type", "The content type or encoding is not understood"),
    422: ("invalid-field", "A field cannot be used"),
    429: ("queue-full", "Too many readings are waiting"),
    499: ("client-gone", "The client went away"),
    500: ("internal", "Something went wrong inside"),
    503: ("unavailable", "Not available now"),
}


class Problem(HTTPException):
    """An answer that says what is wrong.

    Args:
        status: HTTP status.
        detail: one sentence with the offending value and the next step.
        errors: single faults, each with ``field``, ``value`` and ``reason``.
        headers: sent along.
        more: further members of the answer.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        errors: Sequence[Mapping[str, Any]] = (),
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(status, detail, dict(headers or {}))
        self.errors = list(errors)
        self.more = more

    def body(self) -> dict[str, Any]:
        """The members of the answer."""
        kind, title = _KINDS.get(self.status_code, ("error", "The call failed"))
        members = {"type": BASE + kind, "title": title, "status": self.status_code}
        errors = {"errors": self.errors} if self.errors else {}
        return {**members, "detail": self.detail, **errors, **self.more}

    def response(self) -> Response:
        """The answer."""
        return Response(
            dumps(self.body()), self.status_code, self.headers, "application/problem+json"
        )


def field_problem(field: str, value: object, reason: str) -> Problem:
    """One field of a call cannot be used."""
    return of_error(FieldError(field, value, reason))


def of_error(error: RedshankError) -> Problem:
    """The answer to an error of ours."""
    if isinstance(error, FieldError):
        fault = {"field": error.field, "value": shown(error.value), "reason": error.reason}
        return Problem(422, str(error), [fault])
    if isinstance(error, InputError):
        return Problem(400, str(error))
    if isinstance(error, NotFoundError):
        return Problem(404, str(error))
    if isinstance(error, OverloadedError):
        wait = str(max(1, math.ceil(error.retry_after)))
        return Problem(429, str(error), headers={"Retry-After": wait})
    if isinstance(error, (StoreError, SourceError)):
        return Problem(503, str(error), headers={"Retry-After": "5"})
    return Problem(500, str(error))


def install(app: FastAPI) -> None:
    """Answer every error with problem details."""
    app.add_exception_handler(RedshankError, _ours)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_exception_handler(TimeoutError, _late)
    app.add_exception_handler(Exception, _unexpected)


async def _ours(request: Request, error: Exception) -> Response:
    assert isinstance(error, RedshankError)
    return of_error(error).response()


async def _http(request: Request, error: Exception) -> Response:
    if isinstance(error, Problem):
        return error.response()
    assert isinstance(error, HTTPException)
    detail = str(error.detail)
    if error.status_code == 404:
        detail = f"there is nothing at {shown(request.url.path)}; /docs lists what there is"
    return Problem(error.status_code, detail, headers=error.headers).response()


async def _gone(request: Request, error: Exception) -> Response:
    return Problem(499, "the client closed the connection before its body was complete").response()


async def _late(request: Request, error: Exception) -> Response:
    return Problem(503, "the change waits for too long; look again whether it came").response()


async def _unexpected(request: Request, error: Exception) -> Response:
    return Problem(500, "the log of redshank says more; please report it").response()


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return _of_validation(error.errors()).response()


def _of_validation(found: Sequence[Any]) -> Problem:
    if found[0]["type"] == "json_invalid":
        return Problem(400, f"the body is not JSON: {found[0]['ctx']['error']}")
    faults = [_fault(fault) for fault in found[:100]]
    first = faults[0]
    value = "" if first["reason"] == "is missing" else f" {first['value']!r}"
    return Problem(422, f"{first['field']}:{value} {first['reason']}", faults)


def _fault(fault: Mapping[str, Any]) -> dict[str, Any]:
    where = [str(part) for part in fault["loc"][1:]]
    field = ".".join(where) or "body"
    if fault["type"] == "missing":
        return {"field": field, "value": None, "reason": "is missing"}
    reason = str(fault["msg"]).removeprefix("Input ").removeprefix("Value error, ")
    return {"field": field, "value": shown(fault.get("input")), "reason": reason}
