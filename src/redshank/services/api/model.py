"""The model in service, and scoring of tables that belong to no sensor."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
from fastapi import APIRouter

from redshank.core.batch import Floats
from redshank.core.clock import Clock
from redshank.models.scoring import score_table
from redshank.models.tables import ROWS_PER_MONTH, Table
from redshank.services.api.answers import Answer
from redshank.services.api.bodies import TableIn
from redshank.services.api.body import JsonRoute
from redshank.services.api.params import Service, responses
from redshank.services.api.problems import field_problem
from redshank.services.api.schemas import ModelInfo, TableScores
from redshank.services.api.shapes import anomaly_score, anomaly_scores

router = APIRouter(prefix="/model", tags=["model"], route_class=JsonRoute)

MOST_COLUMNS = 64
MOST_VALUES = 1_000_000


@router.get(
    "/info", summary="The model in service", response_model=ModelInfo, responses=responses()
)
def model_info(context: Service) -> Answer:
    """Name, version, type, channels, features, parameters, when it was trained, and metrics."""
    return Answer(dict(context.runner.describe()))


@router.post(
    "/predict",
    summary="Score a table of numbers",
    response_model=TableScores,
    responses=responses(400, 413, 415, 422),
)
@router.post(
    "/predict/batch",
    summary="Score a table of numbers",
    response_model=TableScores,
    responses=responses(400, 413, 415, 422),
)
async def predict_table(table: TableIn, context: Service) -> Answer:
    """Rows in time order, a column a channel; from nothing, or learned on the first rows."""
    values = _values(table)
    if table.window_size > len(values):
        reason = f"is more than the {len(values)} rows of data"
        raise field_problem("window_size", table.window_size, reason)
    budget = context.config.alarm_budget
    return Answer(await asyncio.to_thread(_score, table, values, budget, context.clock))


def _score(table: TableIn, values: Floats, budget: float, clock: Clock) -> dict[str, Any]:
    """Score in a worker thread; rows that were learned from are not judged and score 0."""
    began = clock.monotonic()
    names = tuple(f"column_{i}" for i in range(values.shape[1]))
    scored = score_table(Table(None, names, values), table.window_size)
    scores = anomaly_scores(scored.rate, ROWS_PER_MONTH)
    threshold = min(1.0, table.threshold_factor * anomaly_score(budget, ROWS_PER_MONTH))
    return {
        "anomaly_scores": scores,
        "is_anomaly": scores >= threshold,
        "threshold": threshold,
        "processing_time_ms": (clock.monotonic() - began) * 1000.0,
        "window_count": len(values) - table.window_size,
    }


def _values(table: TableIn) -> Floats:
    """(n, c) the table; missing numbers are NaN."""
    width = len(table.data[0])
    if not 0 < width <= MOST_COLUMNS:
        raise field_problem("data.0", width, f"columns; 1 to {MOST_COLUMNS} can be scored")
    if width * len(table.data) > MOST_VALUES:
        size = width * len(table.data)
        raise field_problem("data", size, f"numbers; at most {MOST_VALUES} can be scored at once")
    for number, row in enumerate(table.data):
        if len(row) != width:
            raise field_problem(f"data.{number}", len(row), f"numbers where row 0 has {width}")
    values = np.array(table.data, np.float64)
    return np.where(np.isfinite(values), values, np.nan)
