"""InfluxDB's way of writing, so that its clients and Telegraf can be pointed at redshank.

Answers are those of InfluxDB: 204 when everything was taken, else JSON with a code and a message.
The good lines of a request are kept beside bad ones, as InfluxDB does with a partial write.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from redshank import __version__
from redshank.core.errors import RedshankError
from redshank.core.line_protocol import PRECISIONS
from redshank.services.api.answers import Answer
from redshank.services.api.formats import line_decoder
from redshank.services.api.problems import Problem, of_error
from redshank.services.api.readings import begin, take_pieces
from redshank.services.api.taking import Taken, sentence

router = APIRouter(tags=["readings"])

SOURCE = "influx"
_CODES = {
    400: "invalid",
    401: "unauthorized",
    413: "request too large",
    415: "unsupported media type",
    422: "unprocessable entity",
    429: "too many requests",
    503: "unavailable",
}
_TEXT_ONLY = "holds no channel"
_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "text/plain": {
                "schema": {"type": "string"},
                "example": "weather,device=roof temperature=21.5,humidity=61i 1769860800000000000",
            }
        },
    }
}
_ANSWERS: dict[int | str, dict[str, Any]] = {
    204: {"description": "everything was taken"},
    **{status: {"description": text} for status, text in _CODES.items()},
}

Text = Annotated[str, Query(max_length=256)]


@router.post(
    "/api/v2/write",
    summary="Take line protocol as InfluxDB 2 does",
    status_code=204,
    responses=_ANSWERS,
    openapi_extra=_BODY,
)
async def write(
    request: Request, bucket: Text = "", org: Text = "", precision: Text = "ns"
) -> Response:
    """`bucket` and `org` are not used. Lines that hold only texts and booleans are no readings:
    they go to the dead letters and are no error of the sender."""
    return await _write(request, precision, _v2_error)


@router.post(
    "/write",
    summary="Take line protocol as InfluxDB 1 does",
    status_code=204,
    responses=_ANSWERS,
    openapi_extra=_BODY,
)
async def write_v1(
    request: Request, db: Text = "", rp: Text = "", precision: Text = "ns"
) -> Response:
    """`db` and `rp` are not used; user and password may come as basic authorisation.

    A full queue is 503 here: clients of version 1 throw away what got a 429."""
    answer = await _write(request, precision, _v1_error)
    if answer.status_code == 429:
        answer.status_code = 503
    return answer


@router.get("/ping", summary="Answer InfluxDB's clients that look for it", status_code=204)
@router.head("/ping", summary="Answer InfluxDB's clients that look for it", status_code=204)
async def ping() -> Response:
    """The version is redshank's."""
    return Response(status_code=204, headers={"X-Influxdb-Version": f"redshank-{__version__}"})


async def _write(request: Request, precision: str, told: Any) -> Response:
    try:
        taken = await _taken(request, precision)
    except RedshankError as error:
        problem = of_error(error)
        return _error(told, problem.status_code, str(problem.detail), problem.headers)
    except Problem as problem:
        return _error(told, problem.status_code, str(problem.detail), problem.headers)
    first = next((e for e in taken.errors if not e.reason.startswith(_TEXT_ONLY)), None)
    if first is None:
        return Response(status_code=204)
    line, good = first.index + 1, taken.count - taken.rejected
    message = (
        f"partial write: {taken.rejected} of {taken.count} lines cannot be used, "
        f"{good} were taken; line {line}: {sentence(first)}"
    )
    return _error(told, 400, message, None, line)


async def _taken(request: Request, precision: str) -> Taken:
    if precision not in PRECISIONS:
        known = ", ".join(PRECISIONS)
        raise Problem(400, f"precision: {precision!r} is not known; use one of {known}")
    context = request.app.state.context
    return await take_pieces(
        request, line_decoder(context.config, precision), begin(request, SOURCE)
    )


def _error(
    told: Any, status: int, message: str, headers: Any = None, line: int | None = None
) -> Response:
    return Answer(told(status, message, line), status, dict(headers or {}))


def _v2_error(status: int, message: str, line: int | None) -> dict[str, Any]:
    place = {} if line is None else {"line": line}
    return {"code": _CODES.get(status, "internal error"), "message": message, **place}


def _v1_error(status: int, message: str, line: int | None) -> dict[str, Any]:
    return {"error": message}
