"""What redshank would say to readings, without taking them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Request

from redshank.core.batch import Batch, Reading, batches
from redshank.core.errors import FieldError
from redshank.core.ports import Store
from redshank.core.queries import Sensors
from redshank.core.records import Status, Verdicts
from redshank.core.rows import SENSOR, RowContext, read_row
from redshank.services.api.answers import Answer, time_text
from redshank.services.api.bodies import PREDICT_EXAMPLE
from redshank.services.api.body import JsonRoute
from redshank.services.api.params import Service, responses
from redshank.services.api.problems import Problem
from redshank.services.api.schemas import Prediction
from redshank.services.api.shapes import anomaly_score, status_name

router = APIRouter(tags=["model"], route_class=JsonRoute)

MOST_ROWS = 1000
NAMELESS = "unnamed"
"""The sensor of readings that name none, where it cannot be told which is meant."""

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
                "example": PREDICT_EXAMPLE,
            }
        },
    }
}


@router.post(
    "/predict",
    summary="Score readings without storing or learning them",
    response_model=Prediction | list[Prediction],
    responses=responses(400, 413, 415, 422, 503),
    openapi_extra=_BODY,
)
async def predict(request: Request, context: Service) -> Answer:
    """Asks what redshank would say to this reading of that sensor; a list is scored in order.

    Without `sensor_id` the reading is taken as one of the only sensor there is, or of a new one.
    """
    body = await request.json()
    rows = body if isinstance(body, list) else [body]
    if not 0 < len(rows) <= MOST_ROWS:
        raise Problem(
            422, f"body: {len(rows)} readings, but 1 to {MOST_ROWS} can be scored at once"
        )
    asked = _read(rows, RowContext(context.clock.now(), await _default_sensor(rows, context.store)))
    by_sensor = [_columns([asked[i] for i in numbers]) for numbers in _by_sensor(asked).values()]
    verdicts = await asyncio.wrap_future(context.runner.predict(by_sensor))
    answers: list[dict[str, Any]] = [{}] * len(rows)
    for numbers, judged in zip(_by_sensor(asked).values(), verdicts, strict=True):
        for row, number in enumerate(numbers):
            answers[number] = _prediction(judged, row)
    return Answer(answers if isinstance(body, list) else answers[0])


def _read(rows: Sequence[Any], context: RowContext) -> list[Reading]:
    """All rows, or a problem that names every one that cannot be used."""
    readings: list[Reading] = []
    faults: list[tuple[int, FieldError]] = []
    for index, row in enumerate(rows):
        try:
            readings.append(read_row(row, index, context))
        except FieldError as error:
            faults.append((index, error))
    if faults:
        listed = [
            {"index": index, "field": fault.field, "value": fault.value, "reason": fault.reason}
            for index, fault in faults[:100]
        ]
        raise Problem(422, str(faults[0][1]), listed)
    return readings


async def _default_sensor(rows: Sequence[Any], store: Store) -> str | None:
    """The sensor of rows that name none."""
    if all(isinstance(row, dict) and SENSOR in row for row in rows):
        return None
    known = await asyncio.to_thread(store.read, Sensors(limit=2))
    return known[0].info.sensor_id if len(known) == 1 else NAMELESS


def _by_sensor(readings: Sequence[Reading]) -> dict[str, list[int]]:
    """Numbers of the rows of each sensor."""
    numbers: dict[str, list[int]] = {}
    for number, reading in enumerate(readings):
        numbers.setdefault(reading.sensor_id, []).append(number)
    return numbers


def _columns(readings: Sequence[Reading]) -> Batch:
    """Rows of one sensor in their order, over all channels that any of them has."""
    names = sorted({name for reading in readings for name in reading.values})
    blank = dict.fromkeys(names, float("nan"))
    (batch,) = batches([replace(row, values={**blank, **row.values}) for row in readings])
    return batch


def _prediction(verdicts: Verdicts, row: int) -> dict[str, Any]:
    per_month = float(verdicts.per_month[row])
    return {
        "timestamp": time_text(int(verdicts.time[row])),
        "is_anomaly": bool(verdicts.status[row] == Status.ANOMALY),
        "anomaly_score": anomaly_score(float(verdicts.rate[row]), per_month),
        "threshold": anomaly_score(float(verdicts.budget[row]), per_month),
        "status": status_name(int(verdicts.status[row])),
        "model": {"name": verdicts.model, "version": verdicts.version},
        "contributions": dict(
            zip(verdicts.channels, verdicts.contributions[row].tolist(), strict=True)
        ),
    }
