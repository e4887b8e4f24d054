"""Score a table of one sensor: the very path that live readings take, on a file's rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from redshank.core.batch import Floats, Times
from redshank.core.clock import MONTH
from redshank.core.errors import FieldError
from redshank.detect.alarm import Alarm
from redshank.detect.channelstate import MAX_CHANNELS
from redshank.detect.engine import Engine, EngineSettings, Judged
from redshank.models.tables import ROWS_PER_MONTH, Table

Marks: TypeAlias = NDArray[np.bool_]
Rows: TypeAlias = NDArray[np.intp]
Progress: TypeAlias = Callable[[float], None]

DEFAULT_BUDGET = 3.0
"""Normal incidents in a month of 8,640 rows at which alarms are raised without a budget given."""
_CHUNK = 1 << 14


@dataclass(frozen=True, slots=True, eq=False)
class ScoredTable:
    """What the detector says about each row of a table, in the table's row order.

    Attributes:
        time: (n,) event time in microseconds, UTC; None if the table has none.
        channels: names of the c channels.
        score: (n,) raw score, higher is worse; 0 while the detector learns.
        rate: (n,) normal incidents a month at least this extreme, at most one per row.
        tail_probability: (n,) `rate` over the rows of a month, 0 to 1.
        threshold: (n,) alarm budget: the `rate` at or below which a row can open an incident.
        is_anomaly: (n,) whether the row is in alarm.
        contributions: (n, c) share of each channel in the score.
    """

    time: Times | None
    channels: tuple[str, ...]
    score: Floats
    rate: Floats
    tail_probability: Floats
    threshold: Floats
    is_anomaly: Marks
    contributions: Floats

    def __len__(self) -> int:
        return len(self.score)

    def columns(self) -> dict[str, NDArray[Any]]:
        """Named (n,) columns as they are written to a file; row numbers where there is no time."""
        times = self.time
        stamp = np.arange(len(self)) if times is None else times.view("datetime64[us]")
        return {
            "timestamp": stamp,
            "score": self.score,
            "rate": self.rate,
            "tail_probability": self.tail_probability,
            "threshold": self.threshold,
            "is_anomaly": self.is_anomaly,
        } | {
            f"contribution_{name}": self.contributions[:, column]
            for column, name in enumerate(self.channels)
        }


def score_table(
    table: Table,
    train_rows: int = 0,
    alarm_budget: float | None = None,
    progress: Progress = lambda done: None,
) -> ScoredTable:
    """Score every row from the rows before it. Labels are not looked at.

    Rows are taken in the order of their times and given back in the order of the table. The
    first `train_rows` of them (in time) are history that the detector learns from before it
    scores the rest; with 0 it starts from nothing and learns as it goes: until it has learned, the
    score is 0 and only a value far outside everything seen can alarm. History has score 0, the
    rate of an everyday row, and no alarm. Rows with the same time are one row.

    Args:
        table: rows of one sensor.
        train_rows: rows to learn from first.
        alarm_budget: false alarms per 30 days of event time that are acceptable; `rate` and
            `threshold` are then per 30 days. None for 3 in a month of 8,640 rows, whatever the
            cadence; so it is for a table without times, too.
        progress: called with the share of rows done, 0 to 1.

    Raises:
        FieldError: `train_rows` or `alarm_budget` is out of range, or there are too many channels.
    """
    _check(table, train_rows, alarm_budget)
    budget = DEFAULT_BUDGET if alarm_budget is None else alarm_budget
    by_rows = alarm_budget is None or table.time is None
    time = table.event_time()
    order = np.argsort(time, kind="stable")
    judged = _judge(table, time, order, train_rows, budget, by_rows, progress)
    # A row that is not judged on its own repeats the time of one that is.
    source = np.full(len(table), -1)
    if len(judged.time):
        rest = order[train_rows:]
        source[rest] = np.searchsorted(judged.time, time[rest], side="right") - 1
    per_month = ROWS_PER_MONTH if by_rows else _rows_per_month(time[order])
    return _scored(table, judged, source, budget, per_month)


@dataclass(frozen=True, slots=True, eq=False)
class _Judgements:
    """Judged rows of one sensor over all chunks, in order of time."""

    time: Times
    score: Floats
    rate: Floats
    per_month: Floats
    anomalous: Marks
    contributions: Floats


def _judge(
    table: Table,
    time: Times,
    order: Rows,
    train_rows: int,
    budget: float,
    by_rows: bool,
    progress: Progress,
) -> _Judgements:
    """Run the rows through the engine, history first."""
    engine = Engine(EngineSettings(row_months=by_rows))
    slot = engine.add(budget)
    values = np.where(np.isfinite(table.values), table.values, np.nan)
    history, rest = order[:train_rows], order[train_rows:]
    if len(history):
        engine.prime(slot, table.channels, time[history], values[history])
    parts: list[Judged] = []
    for start in range(0, len(rest), _CHUNK):
        rows = rest[start : start + _CHUNK]
        slots = np.full(len(rows), slot, np.int32)
        parts += engine.run(slots, time[rows], table.channels, values[rows])
        progress(min(1.0, (start + _CHUNK) / len(rest)))
    return _joined(parts, len(table.channels))


def _joined(parts: Sequence[Judged], channels: int) -> _Judgements:
    def joined(column: Callable[[Judged], NDArray[Any]]) -> Floats:
        return np.concatenate([np.empty(0), *map(column, parts)])

    return _Judgements(
        time=np.concatenate([np.empty(0, np.int64), *(part.time for part in parts)]),
        score=joined(lambda part: part.score),
        rate=joined(lambda part: part.rate),
        per_month=joined(lambda part: part.per_month),
        anomalous=joined(lambda part: part.alarm & Alarm.OPEN).astype(np.bool_),
        contributions=np.concatenate(
            [np.empty((0, channels)), *(part.contributions for part in parts)]
        ),
    )


def _scored(
    table: Table, judged: _Judgements, source: Rows, budget: float, per_month: float
) -> ScoredTable:
    """Judgements in table order; `source` is (n,) their number for each row, -1 for none."""

    def placed(column: NDArray[Any], otherwise: float) -> Floats:
        """Row -1 of the extended column is what unjudged rows get."""
        return np.append(column, otherwise)[source]

    most = placed(judged.per_month, per_month)
    rate = np.minimum(placed(judged.rate, np.inf), most)
    contributions = np.vstack((judged.contributions, np.zeros(len(table.channels))))
    return ScoredTable(
        time=table.time,
        channels=table.channels,
        score=placed(judged.score, 0.0),
        rate=rate,
        tail_probability=rate / most,
        threshold=np.full(len(table), budget),
        is_anomaly=placed(judged.anomalous, 0.0).astype(np.bool_),
        contributions=contributions[source],
    )


def _rows_per_month(time: Times) -> float:
    """Rows in 30 days at the table's usual spacing (the median, over rising times)."""
    spacing = np.diff(time)
    spacing = spacing[spacing > 0]
    return MONTH / float(np.median(spacing)) if len(spacing) else float(ROWS_PER_MONTH)


def _check(table: Table, train_rows: int, alarm_budget: float | None) -> None:
    if not 0 <= train_rows <= len(table):
        raise FieldError("train_rows", train_rows, f"is not between 0 and the {len(table)} rows")
    if alarm_budget is not None and not 0 < alarm_budget < float("inf"):
        raise FieldError("alarm_budget", alarm_budget, "is not a positive number")
    if len(table.channels) > MAX_CHANNELS:
        raise FieldError(
            "channels", len(table.channels), f"are too many: at most {MAX_CHANNELS} are scored"
        )
