"""Changes that a person called expected become the new normal at once.

Left alone, the detector gets used to a change by itself, over some hundred rows. When somebody says
that a change is expected, its sensor goes on as one that has known the new state for two weeks: its
past is carried over to where it stands since the change (:mod:`redshank.detect.transfer`) and lived
through once more. Where that does not make the newest rows normal, the sensor learns from the rows
since the change alone. A return to the former state is then a change like any other.

What was accepted is stored beside the checkpoint in one transaction. Whenever a sensor's readings
are scored again (late readings, another version), the acceptance takes place at the same row again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from redshank.core.batch import Batch, concat
from redshank.core.clock import DAY
from redshank.core.ports import Commit, Store
from redshank.core.queries import Setting
from redshank.core.records import STUTTERING, Incident
from redshank.detect.transfer import Transfer, transfer
from redshank.pipeline.ageing import DRIFT
from redshank.pipeline.pipeline import Pipeline
from redshank.pipeline.stored import latest_rows, pieces_of, rows_of

PAST = 14 * DAY
"""How much of the time before a change is carried over."""
MOST_ROWS = 4096
"""Rows of it at most; as many rows since the change need no past."""
MOST_AFTER = 20_000
"""Rows since the change that are lived through at most."""
LONG_ROWS = 20
"""Unusual for so many rows up to now, it lasts, even if neither level nor movement differ."""
MOST_KEPT = 16
"""Acceptances of one sensor that are remembered."""
SAID = " Accepted as expected: what came after it is the new normal."


@dataclass(frozen=True, slots=True)
class Acceptance:
    """A change that is the new normal.

    Attributes:
        incident: its incident's id.
        since: event time of the first row that is the new normal, microseconds.
        until: event time of the newest row when it was accepted.
    """

    incident: str
    since: int
    until: int


def setting(sensor_id: str) -> str:
    """Key under which the store keeps what was accepted of a sensor."""
    return f"accepted {sensor_id}"


def load(store: Store, sensor_id: str) -> list[Acceptance]:
    """What was accepted of a sensor, oldest first."""
    return [Acceptance(**each) for each in store.read(Setting(setting(sensor_id))) or ()]


def stored(sensor_id: str, acceptances: Sequence[Acceptance]) -> dict[str, Any]:
    """The settings to write."""
    kept = sorted(acceptances, key=lambda one: one.until)[-MOST_KEPT:]
    return {setting(sensor_id): [asdict(each) for each in kept] or None}


def marked(store: Store, pipeline: Pipeline, incident: Incident, expected: bool) -> Commit:
    """What a mark changes of a sensor in memory, and what of that must be written with it."""
    if expected and incident.kind == DRIFT and not incident.rows:
        return Commit(incidents=[_ended(incident, pipeline)] if incident.closed is None else ())
    if expected and incident.kind == STUTTERING:
        return _new_rhythm(store, pipeline, incident)
    sensor_id = incident.sensor_id
    known = load(store, sensor_id)
    others = [one for one in known if one.incident != incident.id]
    until = pipeline.newest_of(sensor_id)
    if expected and known == others and lasting(store, pipeline, incident):
        acceptance = Acceptance(incident.id, incident.opened, until)
        ended = accept(store, pipeline, sensor_id, acceptance)
        over = replace(incident, closed=incident.closed or until)
        told = {one.id: said(one) for one in (over, ended) if one}
        return _written(pipeline, sensor_id, [*others, acceptance], tuple(told.values()))
    if not expected and known != others:
        relearn(store, pipeline, sensor_id, until, others)
        return _written(pipeline, sensor_id, others)
    return Commit()


def relearn(
    store: Store,
    pipeline: Pipeline,
    sensor_id: str,
    newest: int | None,
    known: Sequence[Acceptance],
) -> None:
    """Score a sensor's latest readings again, for its state only."""
    past = () if newest is None else history(store, sensor_id, newest - PAST, newest, known)
    pipeline.relive(sensor_id, ())
    for step in past:
        if isinstance(step, Batch):
            pipeline.replay([step])
        else:
            accept(store, pipeline, sensor_id, step)


def lasting(store: Store, pipeline: Pipeline, incident: Incident) -> bool:
    """Whether there is a change that could be accepted: one that has not gone away again."""
    if not incident.rows:
        return False
    if incident.rows >= LONG_ROWS and pipeline.unusual_now(incident.sensor_id):
        return True
    until = pipeline.newest_of(incident.sensor_id)
    before, after = _parts(store, incident.sensor_id, incident.opened, until)
    if not len(before) or not len(after):
        return False
    latest = after.take(np.arange(max(0, len(after) - MOST_ROWS // 16), len(after)))
    seen = _compared(before, latest)
    names = {part.channel for part in incident.evidence}
    return any(seen.changed[k] for k, name in enumerate(before.channels) if name in names)


def accept(
    store: Store, pipeline: Pipeline, sensor_id: str, acceptance: Acceptance
) -> Incident | None:
    """Make the rows since a change normal for a sensor in memory; its incident, if one goes on."""
    ended = pipeline.end_incident(sensor_id, acceptance.until)
    before, after = _parts(store, sensor_id, acceptance.since, acceptance.until)
    calm = len(before) > 0 and pipeline.relive(sensor_id, _carried_over(before, after))
    if not calm:
        pipeline.relive(sensor_id, [after])
    pipeline.calm(sensor_id)
    return said(ended) if ended else None


def said(incident: Incident) -> Incident:
    """The incident with the sentence that its change is the new normal."""
    return replace(incident, text=incident.text.removesuffix(SAID) + SAID)


def history(
    store: Store, sensor_id: str, start: int, end: int, acceptances: Sequence[Acceptance]
) -> Iterator[Batch | Acceptance]:
    """A sensor's rows, and after the row at which it took place each acceptance."""
    for one in acceptances:
        if start <= one.until <= end:
            yield from pieces_of(store, sensor_id, start, one.until)
            yield one
            start = one.until + 1
    yield from pieces_of(store, sensor_id, start, end)


def _new_rhythm(store: Store, pipeline: Pipeline, incident: Incident) -> Commit:
    """A sensor that reports in another rhythm from now on."""
    sensor_id, newest = incident.sensor_id, pipeline.newest_of(incident.sensor_id)
    since = rows_of(store, sensor_id, incident.opened, newest)
    pipeline.relearn_rhythm(sensor_id, since.time)
    return Commit(
        incidents=[said(replace(incident, closed=incident.closed or newest))],
        checkpoints=pipeline.checkpoints_of([sensor_id]),
    )


def _ended(drift: Incident, pipeline: Pipeline) -> Incident:
    """A slow drift whose end is the new normal; the next one is looked for from here on."""
    return replace(drift, closed=max(drift.last, pipeline.newest_of(drift.sensor_id)))


def _written(
    pipeline: Pipeline,
    sensor_id: str,
    acceptances: Sequence[Acceptance],
    incidents: Sequence[Incident] = (),
) -> Commit:
    return Commit(
        incidents=incidents,
        checkpoints=pipeline.checkpoints_of([sensor_id]),
        settings=stored(sensor_id, acceptances),
    )


def _parts(store: Store, sensor_id: str, since: int, until: int) -> tuple[Batch, Batch]:
    """The latest rows before a change and those after it."""
    after = latest_rows(store, sensor_id, since, until, MOST_AFTER)
    lacking = max(0, MOST_ROWS - len(after))
    return latest_rows(store, sensor_id, since - PAST, since - 1, lacking), after


def _carried_over(before: Batch, after: Batch) -> list[Batch]:
    """The past as it would have been, had the change taken place before it; then the rest."""
    mapped = replace(before, values=_compared(before, after).apply(before.time, before.values))
    return concat([mapped, after])


def _compared(before: Batch, after: Batch) -> Transfer:
    return transfer(before.time, before.values, after.time, after.values)
