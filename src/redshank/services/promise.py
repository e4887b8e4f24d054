"""The alarm budget's promise against what came, for whoever shows it: HTTP, metrics, commands.

What is counted: incidents that opened within the 30 days (event time) up to the newest reading, of
all kinds. An incident is a false alarm for sure when somebody marked it so; those without
a mark may be. So the rate of false alarms lies between that of the first and that of both together.
Incidents marked "real" or "expected" are none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from redshank.core.clock import DAY, MONTH
from redshank.core.counts import poisson_interval
from redshank.core.ports import Readable, Store
from redshank.core.queries import (
    CountIncidents,
    CountWatched,
    Incidents,
    SensorSpan,
    SensorSpans,
    StoreTotals,
)
from redshank.core.records import Feedback, Incident
from redshank.pipeline.budget import Budget, PreviewIncident, preview
from redshank.pipeline.incidents import incident_id

Verdict = Literal["kept", "unclear", "exceeded", "unknown"]

MONTH_DAYS = MONTH / DAY
_ALL = 1_000_000
ROWS_PER_INCIDENT = 100.0
"""A sensor with fewer rows for each incident of its budget cannot spend it: an incident needs rows
to open, to end and to be told from the next one. Found by ``bench/budget.py`` at hourly cadence."""
NAMED = 20
"""Sensors that report too seldom are named up to so many."""


@dataclass(frozen=True, slots=True)
class Rate:
    """A count of incidents as a rate per sensor and 30 days.

    Attributes:
        count: how many.
        per_sensor_month: the rate; None where nothing was watched.
        low: lower end of its exact 95 % Poisson interval.
        high: upper end.
    """

    count: int
    per_sensor_month: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Watch:
    """What was watched, and what may come of it.

    Attributes:
        sensor_months: how long all sensors together were watched, in 30 days.
        promised: false alarms that the budgets in force allow in that time.
        sensors: how many sensors were heard of in that time.
        sharing: how many of them have no budget of their own.
        per_day: false alarms that these together may bring in a day.
        too_slow: how many report too seldom to spend their budget.
        slow_ones: some of these.
    """

    sensor_months: float
    promised: float
    sensors: int
    sharing: int
    per_day: float
    too_slow: int
    slow_ones: Sequence[str]


@dataclass(frozen=True, slots=True)
class Kept:
    """How well the promise was kept.

    Attributes:
        watch: what was watched.
        incidents: how many opened.
        marked: how many of them carry each mark.
        unmarked: how many carry none.
        marked_false: rate of those marked false.
        false_or_unmarked: rate of these and those without a mark.
        verdict: "exceeded" if those marked false are more than chance makes of the promise,
            "unclear" if only together with the unmarked ones they are, else "kept"; "unknown"
            while nothing was watched.
    """

    watch: Watch
    incidents: int
    marked: Mapping[Feedback, int]
    unmarked: int
    marked_false: Rate
    false_or_unmarked: Rate
    verdict: Verdict


def kept(store: Readable, budget: Budget, sensor_id: str | None = None) -> Kept:
    """The last 30 days of all sensors, or of one."""
    newest = store.read(StoreTotals()).newest
    start = 0 if newest is None else newest - MONTH
    watch = _watch(store, budget, start, sensor_id)
    came = store.read(CountIncidents(sensor_id, end=newest, opened_since=start))
    unmarked = came.total - sum(came.marked.values())
    surely, maybe = came.marked["false"], came.marked["false"] + unmarked
    return Kept(
        watch=watch,
        incidents=came.total,
        marked=came.marked,
        unmarked=unmarked,
        marked_false=rate(surely, watch.sensor_months),
        false_or_unmarked=rate(maybe, watch.sensor_months),
        verdict=verdict(surely, maybe, watch.promised),
    )


def _watch(store: Readable, budget: Budget, start: int, sensor_id: str | None) -> Watch:
    """Sensors with a budget of their own are looked at one by one, the others counted."""
    if sensor_id is not None:
        return _summed(store.read(SensorSpans(start, [sensor_id])), budget, start)
    own = _summed(store.read(SensorSpans(start, list(budget.own))), budget, start)
    general = budget.per_sensor_month
    few = ROWS_PER_INCIDENT * general
    every = store.read(CountWatched(start, few))
    slow = store.read(SensorSpans(start, fewer_rows=few, limit=NAMED + len(budget.own)))
    others = [span.sensor_id for span in slow if span.sensor_id not in budget.own]
    months = every.time / MONTH
    return Watch(
        sensor_months=months,
        promised=own.promised + (months - own.sensor_months) * general,
        sensors=every.sensors,
        sharing=every.sensors - own.sensors,
        per_day=own.per_day + (every.sensors - own.sensors) * general / MONTH_DAYS,
        too_slow=own.too_slow + every.slow - (len(slow) - len(others)),
        slow_ones=[*own.slow_ones, *others][:NAMED],
    )


def _summed(spans: Sequence[SensorSpan], budget: Budget, start: int) -> Watch:
    months = [(span.last_seen - max(start, span.first_seen)) / MONTH for span in spans]
    budgets = [budget.for_sensor(span.sensor_id) for span in spans]
    slow = [
        span.sensor_id
        for span, own in zip(spans, budgets, strict=True)
        if span.per_month is not None and span.per_month < ROWS_PER_INCIDENT * own
    ]
    return Watch(
        sensor_months=sum(months),
        promised=sum(time * own for time, own in zip(months, budgets, strict=True)),
        sensors=len(spans),
        sharing=sum(span.sensor_id not in budget.own for span in spans),
        per_day=sum(budgets) / MONTH_DAYS,
        too_slow=len(slow),
        slow_ones=slow,
    )


def would_have_come(
    store: Store, budget: Budget, days: float, sensor_id: str | None = None
) -> list[PreviewIncident]:
    """The incidents of the days up to the newest reading at another budget, newest first.

    Those in rows follow from the stored return rates exactly. What is not in rows (silences, slow
    drifts and the like) is what was told and is rare enough: how rare lesser ones were, is not
    stored.
    """
    newest = store.read(StoreTotals()).newest
    if newest is None:
        return []
    start = newest - round(days * DAY)
    told = store.read(Incidents(sensor_id, start=start, end=newest, limit=_ALL))
    others = [
        PreviewIncident(i.sensor_id, i.opened, i.last, i.rate, i.id)
        for i in told
        if not _in_rows(i) and i.opened >= start and i.rate <= budget.for_sensor(i.sensor_id)
    ]
    found = [*preview(store, budget, days, sensor_id), *others]
    return sorted(found, key=lambda incident: -incident.opened)


def _in_rows(incident: Incident) -> bool:
    return incident.id == incident_id(incident.sensor_id, incident.opened)


def rate(count: int, sensor_months: float) -> Rate:
    """A count over a time, with its interval."""
    if sensor_months <= 0:
        return Rate(count, None, None, None)
    low, high = poisson_interval(count)
    return Rate(count, count / sensor_months, low / sensor_months, high / sensor_months)


def verdict(surely: int, maybe: int, promised: float) -> Verdict:
    """Whether counts are more than chance makes of a promised number, with 97.5 % confidence.

    Args:
        surely: false alarms for sure.
        maybe: these and those that nobody has judged.
        promised: how many were allowed.
    """
    if promised <= 0:
        return "unknown"
    if poisson_interval(surely)[0] > promised:
        return "exceeded"
    return "unclear" if poisson_interval(maybe)[0] > promised else "kept"
