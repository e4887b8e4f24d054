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

from redshank.core.clock import DAY
from redshank.core.ports import Commit, Store
from redshank.core.queries import Incidents
from redshank.core.records import Incident, Verdicts
from redshank.pipeline import accepted
from redshank.pipeline.incidents import retracted
from redshank.pipeline.pipeline import Pipeline

RELEARN = 14 * DAY
"""How much of a sensor's past is scored again to know what is normal for it."""

SETTING = "late"
"""Key under which the store keeps which sensors have late readings that are not scored yet."""


def merged(known: Mapping[str, int], more: Mapping[str, int]) -> dict[str, int]:
    """The earliest late reading of each sensor in either."""
    both = dict(known)
    for sensor_id, since in more.items():
        both[sensor_id] = min(since, both.get(sensor_id, since))
    return both


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
    pipeline.begin_again(sensor_id)
    verdicts: list[Verdicts] = []
    incidents: dict[str, Incident] = {}
    known = accepted.load(store, sensor_id)
    for step in accepted.history(store, sensor_id, since - RELEARN, newest, known):
        if isinstance(step, accepted.Acceptance):
            incidents.update(_accepted_again(store, pipeline, sensor_id, step, incidents))
            continue
        outcome = pipeline.run([step], now)
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


def _accepted_again(
    store: Store,
    pipeline: Pipeline,
    sensor_id: str,
    acceptance: accepted.Acceptance,
    incidents: Mapping[str, Incident],
) -> dict[str, Incident]:
    """Let a change become normal at the same row again; what that makes of the incidents."""
    ended = accepted.accept(store, pipeline, sensor_id, acceptance)
    changed = {ended.id: ended} if ended else {}
    if mine := changed.get(acceptance.incident) or incidents.get(acceptance.incident):
        changed[mine.id] = accepted.said(mine)
    return changed
