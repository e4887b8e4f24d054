"""Fetch from openSenseMap now, instead of at the next poll."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Query

from redshank.services.api.answers import Answer
from redshank.services.api.params import Service, TimeText, micros, responses
from redshank.services.api.problems import field_problem
from redshank.services.api.schemas import IngestOut

router = APIRouter(tags=["sources"])

MOST_BOXES = 50
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
) -> Answer:
    """Without `box_id` the configured boxes; what could not be read is said box by box."""
    boxes = tuple(box_id or context.config.opensensemap_boxes)
    if not boxes:
        raise field_problem("box_id", None, "is missing and no boxes are configured")
    for box in boxes:
        if not _BOX_ID.fullmatch(box):
            raise field_problem("box_id", box, "is not a box id of 24 hexadecimal digits")
    reports = await context.fetch_boxes(boxes, tuple(phenomenon or ()), micros(since, "since"))
    return Answer({"boxes": [asdict(report) for report in reports]})
