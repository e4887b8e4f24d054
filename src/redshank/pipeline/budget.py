"""The alarm budget: the one threshold, in false alarms per sensor and 30 days of event time.

Every verdict stores its return rate on the same scale, so that a changed budget can be applied to
the past: the decision is a function of stored rates and the budget only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from redshank.core.batch import Bytes, Floats, Singles, Times
from redshank.core.clock import DAY, HOUR
from redshank.core.errors import FieldError
from redshank.core.ports import Store
from redshank.core.queries import (
    Incidents,
    Rates,
    Setting,
    StoredRates,
    StoredVerdicts,
    StoreTotals,
)
from redshank.core.records import Incident, SensorInfo, Verdicts
from redshank.detect.alarm import (
    AT_ONCE,
    Alarm,
    Confirmation,
    alarm_column,
    decide_one,
    decide_series,
)
from redshank.detect.channelstate import RECENT_HOURS, Recent
from redshank.pipeline.incidents import Tracker, incident_id, retracted, span_rows
from redshank.pipeline.running import Running, Seen

SETTING = "budget"
"""Key under which the store keeps it."""

PAST_ROWS = 1000
"""Rows before an incident that tell how far its channels usually move."""
PAST = (RECENT_HOURS + 1) * HOUR
"""Event time before it that tells what its channels did for hours."""

REACH_DAYS = 30.0
"""How far back a changed budget is applied."""

LIMIT = 100_000.0
"""Budgets of a sensor and 30 days are below this."""


@dataclass(frozen=True, slots=True)
class Budget:
    """False alarms that are accepted.

    Attributes:
        per_sensor_month: per sensor and 30 days of event time.
        own: sensors with a budget of their own, same unit.
        confirmation: how many of the latest rows must be within the budget before an incident
            opens; from the configuration, not stored.
        per_fleet_day: false alarms of all sensors together in a day, where that was chosen;
            ``per_sensor_month`` is then everybody's share (:mod:`redshank.pipeline.sharing`).
    """

    per_sensor_month: float = 3.0
    own: Mapping[str, float] = field(default_factory=dict)
    confirmation: Confirmation = AT_ONCE
    per_fleet_day: float | None = None

    def __post_init__(self) -> None:
        for name, value in (("per_sensor_month", self.per_sensor_month), *self.own.items()):
            if not 0 < value < LIMIT:
                raise FieldError(name, value, "is not an alarm budget: use more than 0, e.g. 3")

    def for_sensor(self, sensor_id: str) -> float:
        """The budget of one sensor."""
        return self.own.get(sensor_id, self.per_sensor_month)

    def with_own(self, infos: Iterable[SensorInfo]) -> Budget:
        """The same with these sensors' budgets of their own."""
        own = dict(self.own)
        for info in infos:
            own.pop(info.sensor_id, None)
            if info.budget is not None:
                own[info.sensor_id] = info.budget
        return replace(self, own=own)

    def to_setting(self) -> dict[str, Any]:
        """JSON-able form, as it is stored."""
        stored: dict[str, Any] = {
            "per_sensor_month": self.per_sensor_month,
            "own": dict(self.own),
        }
        if self.per_fleet_day is not None:
            stored["per_fleet_day"] = self.per_fleet_day
        return stored

    @classmethod
    def from_setting(cls, stored: Mapping[str, Any], confirmation: Confirmation) -> Budget:
        """From its stored form."""
        return cls(
            stored["per_sensor_month"],
            stored.get("own", {}),
            confirmation,
            stored.get("per_fleet_day"),
        )


def load(store: Store, default: float, confirmation: Confirmation = AT_ONCE) -> Budget:
    """The budget in force: the stored one, or the default if none was ever stored."""
    stored = store.read(Setting(SETTING)) or {"per_sensor_month": default}
    return Budget.from_setting(stored, confirmation)


@dataclass(frozen=True, slots=True)
class PreviewIncident:
    """An incident that another budget would have brought."""

    sensor_id: str
    opened: int
    last: int
    rate: float
    id: str


def preview(
    store: Store, budget: Budget, days: float = REACH_DAYS, sensor_id: str | None = None
) -> list[PreviewIncident]:
    """The incidents that this budget would have brought in the days up to the newest reading."""
    found: list[PreviewIncident] = []
    for rates in _stored_rates(store, days, sensor_id):
        own = budget.for_sensor(rates.sensor_id)
        alarm = decide_series(rates.time, rates.rate, own, budget.confirmation)
        for first, last in span_rows(alarm):
            opened = int(rates.time[first])
            rarest = float(rates.rate[first : last + 1].min())
            identity = incident_id(rates.sensor_id, opened)
            ended = int(rates.time[last])
            found.append(PreviewIncident(rates.sensor_id, opened, ended, rarest, identity))
    return sorted(found, key=lambda incident: -incident.opened)


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """The incidents of the past under a changed budget.

    Attributes:
        incidents: new or changed.
        removed: ids that are no longer incidents.
        alarms: sensor to what its decision remembers after its newest row.
        running: sensors whose incident goes on.
    """

    incidents: Sequence[Incident]
    removed: Sequence[str]
    alarms: Mapping[str, bytes]
    running: Mapping[str, Running]


def rebuild(store: Store, budget: Budget, describe: Callable[[str], SensorInfo]) -> Rebuilt:
    """Apply a budget to the last 30 days; marked and commented incidents stay in any case."""
    incidents: list[Incident] = []
    wanted: set[str] = set()
    alarms: dict[str, bytes] = {}
    running: dict[str, Running] = {}
    for rates in _stored_rates(store, REACH_DAYS, None):
        states = alarm_column()
        own = budget.for_sensor(rates.sensor_id)
        alarm = decide_one(states, rates.time, rates.rate, own, budget.confirmation)
        alarms[rates.sensor_id] = states.get(0)
        tracker = Tracker(describe)
        for first, end in _windows(alarm):
            hours = int(np.searchsorted(rates.time, rates.time[first] - PAST))
            past = max(0, min(hours, first - PAST_ROWS))
            bounds = int(rates.time[past]), int(rates.time[end])
            bits = alarm[past : end + 1]
            incidents += _retell(store, tracker, rates.sensor_id, bounds, (bits, first - past), own)
        running.update(tracker.running)
        wanted |= {incident_id(rates.sensor_id, int(rates.time[i])) for i, _ in span_rows(alarm)}
    final = {incident.id: incident for incident in incidents}
    return Rebuilt(tuple(final.values()), _no_longer(store, wanted), alarms, running)


def _stored_rates(store: Store, days: float, sensor_id: str | None) -> Sequence[Rates]:
    newest = store.read(StoreTotals()).newest
    if newest is None:
        return ()
    return store.read(StoredRates(newest - round(days * DAY), sensor_id))


def _windows(alarm: np.ndarray[Any, np.dtype[np.uint8]]) -> Iterator[tuple[int, int]]:
    """First row of each incident, and the row at which it was over or the last row."""
    for first in np.flatnonzero(alarm & Alarm.OPENED).tolist():
        over = np.flatnonzero(alarm[first + 1 :] & Alarm.CLOSED)
        yield first, first + 1 + int(over[0]) if len(over) else len(alarm) - 1


def _retell(
    store: Store,
    tracker: Tracker,
    sensor_id: str,
    bounds: tuple[int, int],
    alarm: tuple[Bytes, int],
    own: float,
) -> list[Incident]:
    """Follow the stored rows of one incident again, and those before it that tell of its past.

    Args:
        store: has the rows.
        tracker: follows them.
        sensor_id: whose incident.
        bounds: first and last event time.
        alarm: bits of :class:`Alarm` of the rows, and the number of the one that opens it.
        own: the sensor's budget.
    """
    told: list[Incident] = []
    done = 0
    bits_of_all, opening = alarm
    followed = bits_of_all.copy()
    followed[:opening] = 0
    recent = Recent()
    channels: tuple[str, ...] = ()
    for batch, rows in store.read(StoredVerdicts(sensor_id, *bounds)):
        values = batch.select(rows.channels)
        budget = np.full(len(rows), own, np.float32)
        judged: Verdicts = replace(rows, values=values, budget=budget)
        part = slice(done, done + len(rows))
        bits, skip = followed[part], bits_of_all[part] & np.uint8(Alarm.OPEN)
        if rows.channels != channels:
            recent, channels = Recent(), rows.channels
            recent.channels.reserve(len(channels))
        first = np.zeros(len(rows), np.int64)
        past = recent.run(first, rows.time, values, bits & np.uint8(Alarm.OPENED), skip)
        told += tracker.follow(judged, Seen(bits, held(rows.time, values), *past))
        done += len(rows)
    return told


def _no_longer(store: Store, wanted: set[str]) -> list[str]:
    newest = store.read(StoreTotals()).newest
    if newest is None:
        return []
    start = newest - round(REACH_DAYS * DAY)
    there = store.read(Incidents(start=start, limit=1_000_000))
    return retracted(there, wanted, start)


def held(time: Times, values: Floats) -> Singles:
    """(n, C) seconds for which each channel of one sensor has held its value."""
    n = len(time)
    rows = np.arange(n)[:, None]
    changed = np.ones(values.shape, np.bool_)
    changed[1:] = values[1:] != values[:-1]
    start = np.maximum.accumulate(np.where(changed, rows, 0), axis=0)
    return ((time[:, None] - time[start]) / 1e6).astype(np.float32)
