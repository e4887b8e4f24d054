"""Which function answers which question."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from redshank.adapters.store.sqlite import extent, history, latest, nearby, queries, series
from redshank.adapters.store.sqlite.chunks import View
from redshank.core import queries as asked
from redshank.core.errors import StoreError

T = TypeVar("T")

_ANSWERS: Mapping[type[asked.Query[Any]], Callable[[View, Any], Any]] = {
    asked.CountDeadLetters: queries.count_dead_letters,
    asked.CountIncidents: queries.count_incidents,
    asked.CountSensors: queries.count_sensors,
    asked.CountWatched: queries.count_watched,
    asked.Cursor: queries.cursor,
    asked.DeadLetters: queries.dead_letters,
    asked.Incidents: queries.incidents,
    asked.KnownReadings: history.known_readings,
    asked.LatestReadings: latest.latest_readings,
    asked.NearbySensors: nearby.nearby_sensors,
    asked.RecoverSensors: history.recover_sensors,
    asked.SensorSeries: series.sensor_series,
    asked.SensorSpans: queries.sensor_spans,
    asked.SensorStates: queries.sensor_states,
    asked.Sensors: queries.sensors,
    asked.Setting: queries.setting,
    asked.Sites: queries.sites,
    asked.StoredExtent: extent.stored_extent,
    asked.StoredRates: history.stored_rates,
    asked.StoredReadings: extent.stored_readings,
    asked.StoredVerdicts: history.stored_verdicts,
    asked.StoreTotals: queries.totals,
}


def answered(view: View, query: asked.Query[T]) -> T:
    """The answer to a question.

    Raises:
        StoreError: nobody knows how to answer it.
    """
    answer = _ANSWERS.get(type(query))
    if answer is None:
        raise StoreError(f"the SQLite store has no answer to {type(query).__name__}")
    found: T = answer(view, query)
    return found
