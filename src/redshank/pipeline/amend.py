"""Late readings: scored in their place, with everything that came after them.

A streaming state cannot go back, so the sensor's stored readings around the late ones are scored
again in event-time order, from RELEARN before the earliest late one up to the newest. Verdicts from
the late reading on are written anew; incidents that the complete record does not show any more are
retracted, unless somebody marked or commented them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from redshank.core.batch import Batch
from redshank.core.clock import DAY
from redshank.core.ports import Commit, Store
from redshank.core.queries import Incidents, SensorSeries
from redshank.core.records import Incident, Verdicts
from redshank.pipeline.incidents import retracted
from redshank.pipeline.pipeline import Pipeline

RELEARN = 14 * DAY
"""How much of a sensor's past is scored again to know what is normal for it."""

SETTING = "late"
"""Key under which the store keeps which sensors have late readings that are not scored yet."""

_PIECE = 10_000
_ALL = 1 << 40


def merged(known: Mapping[str, int], more: Mapping[str, int]) -> dict[str, int]:
    """The earliest late reading of each sensor in either."""
    both = dict(known)
    for sensor_id, since in more.items():
        both[sensor_id] = min(since, both.get(sensor_id, since))
    return both


def stored_rows(store: Store, sensor_id: str, start: int, end: int) -> list[Batch]:
    """The sensor's readings in event-time order, in pieces; what came separately is one row."""
    series = store.read(SensorSeries(sensor_id, start, end, points=_ALL))
    whole = Batch(
        (sensor_id,),
        np.zeros(len(series.time), np.int32),
        series.time,
        series.channels,
        series.mean,
    )
    cuts = range(0, len(whole), _PIECE)
    return [whole.take(np.arange(i, min(i + _PIECE, len(whole)))) for i in cuts]


def amend(store: Store, pipeline: Pipeline, sensor_id: str, since: int, now: int) -> Commit:
    """Score a sensor again around its late readings; the pipeline goes on from there.

    Args:
        store: holds the late readings already.
        pipeline: has the sensor in memory.
        sensor_id: the sensor.
        since: event time of its earliest late reading, microseconds.
        now: wall clock, microseconds.
    """
    newest = pipeline.newest_of(sensor_id)
    pipeline.forget([sensor_id])
    pipeline.adopt(sensor_id, None)
    verdicts: list[Verdicts] = []
    incidents: dict[str, Incident] = {}
    for piece in stored_rows(store, sensor_id, since - RELEARN, newest):
        outcome = pipeline.run([piece], now)
        verdicts += [part for rows in outcome.verdicts if len(part := from_time(rows, since))]
        incidents.update((incident.id, incident) for incident in outcome.incidents)
    there = store.read(Incidents(sensor_id=sensor_id, start=since, limit=1_000_000))
    told = [incident for incident in incidents.values() if incident.last >= since]
    return Commit(
        verdicts=verdicts,
        incidents=told,
        incidents_removed=retracted(there, incidents, since),
        checkpoints=pipeline.checkpoints_of([sensor_id]),
    )


def from_time(rows: Verdicts, since: int) -> Verdicts:
    """The verdicts on rows from an event time on."""
    keep = rows.time >= since
    columns = (name for name in Verdicts.__slots__ if isinstance(getattr(rows, name), np.ndarray))
    return replace(rows, **{name: getattr(rows, name)[keep] for name in columns})
