"""Fetch from openSenseMap now, instead of at the next poll; also for ``redshank fetch``."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query
from starlette.responses import Response, StreamingResponse

from redshank.core.errors import RedshankError
from redshank.services.api.answers import Answer, dumps
from redshank.services.api.params import Service, TimeText, micros, responses
from redshank.services.api.problems import field_problem
from redshank.services.api.schemas import IngestOut
from redshank.services.context import Context
from redshank.services.ingest_report import FetchOrder

router = APIRouter(tags=["sources"])

MOST_BOXES = 50
LINES = "application/x-ndjson"
ALIVE_SECONDS = 10.0
"""A line at least so often, so that nobody on the way takes the call for dead."""
_BOX_ID = re.compile(r"[0-9a-f]{24}", re.IGNORECASE)


@router.get(
    "/ingest",
    summary="Fetch boxes from openSenseMap now",
    response_model=IngestOut,
    responses=responses(422, 429, 503),
)
@router.post(
    "/ingest",
    summary="Fetch boxes from openSenseMap now",
    response_model=IngestOut,
    responses=responses(422, 429, 503),
)
async def ingest(
    context: Service,
    box_id: Annotated[list[str] | None, Query(max_length=MOST_BOXES)] = None,
    phenomenon: Annotated[list[str] | None, Query(max_length=100)] = None,
    since: TimeText = None,
    until: TimeText = None,
    again: Annotated[bool, Query(description="also what is known to be read")] = False,
    accept: Annotated[str, Header(include_in_schema=False)] = "",
) -> Response:
    """Without `box_id` the configured boxes; what could not be read is said box by box.

    With `Accept: application/x-ndjson` lines `{"progress", "text"}` come before the answer, and
    the fetch ends with the call; the next one goes on from there.
    """
    boxes = tuple(box_id or context.config.opensensemap_boxes)
    if not boxes:
        raise field_problem("box_id", None, "is missing and no boxes are configured")
    for box in boxes:
        if not _BOX_ID.fullmatch(box):
            raise field_problem("box_id", box, "is not a box id of 24 hexadecimal digits")
    start, end = micros(since, "since"), micros(until, "until")
    if start is not None and end is not None and start >= end:
        raise field_problem("since", since, f"is not before until, {until}")
    order = FetchOrder(boxes, tuple(phenomenon or ()), start, end, again)
    if LINES in accept:
        return StreamingResponse(_lines(context, order), media_type=LINES)
    return Answer(await _fetched(context, order))


async def _fetched(context: Context, order: FetchOrder, tell: Any = None) -> dict[str, Any]:
    return {"boxes": [asdict(one) for one in await context.fetch_boxes(order, tell)]}


async def _lines(context: Context, order: FetchOrder) -> AsyncIterator[bytes]:
    """Progress as it is made, and the answer as the last line."""
    said: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    latest = {"progress": 0.0, "text": ""}

    def tell(progress: float, text: str) -> None:
        said.put_nowait({"progress": progress, "text": text})

    async def work() -> None:
        try:
            said.put_nowait(await _fetched(context, order, tell))
        except RedshankError as error:
            said.put_nowait({"error": str(error)})

    working = asyncio.create_task(work())
    try:
        while "progress" in latest:
            try:
                latest = await asyncio.wait_for(said.get(), ALIVE_SECONDS)
            except TimeoutError:
                if working.done():
                    working.result()
            yield dumps(latest) + b"\n"
    finally:
        working.cancel()
