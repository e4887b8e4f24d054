"""Sensors that age, foul or lose their calibration drift for weeks; that becomes an incident.

No single row of a slow drift is unusual, and a detector that gets used to changes gets used to it
too. So once a week of event time each sensor's daily levels of the last year are looked at as a
whole (:mod:`redshank.detect.drift`), from the store, in house-keeping. Where enough neighbours
measure the same, it is the difference to their median that is looked at: seasons and weather are
shared, ageing is not. Without them a drift is told against the sensor's own past, and says so.

What was looked at is stored with what was found, so that a restart goes on where it stopped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from math import inf
from zlib import crc32

import numpy as np

from redshank.core.batch import Floats
from redshank.core.channels import quantity
from redshank.core.clock import DAY
from redshank.core.ports import Commit, Store
from redshank.core.queries import Incidents, Sensors, SensorSeries, Series, Setting
from redshank.core.records import Evidence, Incident, SensorInfo
from redshank.detect.drift import LEAST_DAYS, PARTS, WEEK_DAYS, Drift, days_of, slow_drift
from redshank.pipeline import explain
from redshank.pipeline.incidents import incident_id
from redshank.pipeline.neighbours import Neighbours
from redshank.pipeline.pipeline import Pipeline
from redshank.pipeline.running import severity

DRIFT = "drift"
SHARE = 0.05
"""Part of the alarm budget that drifts of all channels together may spend."""
WEEK = WEEK_DAYS * DAY
PAST_DAYS = 364
"""Days that are looked at."""
MOST_WEEKS = 60
"""Ends of weeks that are caught up with at most."""
FEWEST = 3
"""Neighbours that make a reference; the median of two would blame both for either's drift."""
LEAST_OF_RANGE = 0.02
"""Part of a channel's range below which nobody wants to hear of a drift."""
OVER = 0.5
"""Part of its largest speed under which a drift is over."""
LONGEST = 90 * DAY
"""After so long a drift that goes on is the new normal."""
SENSORS_AT_ONCE = 1
MET_AT_ONCE = 100
"""Sensors of which it is asked at once how far they were looked at; a start meets all of them."""
MOST_NEIGHBOURS = 5

INDOORS = 0.5
"""Part of a season that is felt indoors."""

_SEASONS = {
    "temperature": 8.0,
    "soil_temperature": 6.0,
    "dew_point": 6.0,
    "humidity": 15.0,
    "soil_moisture": 15.0,
    "pressure": 6.0,
}
"""What a season alone may change in four weeks, in the channel's unit, where no neighbours tell."""
_KEY = "drift "


@dataclass(frozen=True, slots=True, eq=False)
class _Channel:
    """A channel's year: quarters of days (days, 4), the reference's, and its range."""

    name: str
    parts: Floats
    reference: Floats | None
    range: float


class Ageing:
    """Looks for slow drifts; used by the writer's thread only.

    Args:
        store: has the readings.
        pipeline: knows which sensors there are and how far each has got.
        neighbours: know who is near whom.
    """

    def __init__(self, store: Store, pipeline: Pipeline, neighbours: Neighbours) -> None:
        self._store = store
        self._pipeline = pipeline
        self._neighbours = neighbours
        self._looked: dict[str, int] = {}

    def look(self) -> Commit | None:
        """What some of the sensors bring whose week is over; None if there are none."""
        due = list(islice(self._due(), SENSORS_AT_ONCE))
        if not due:
            return None
        incidents: list[Incident] = []
        for sensor_id, first, last in due:
            incidents += self._look_at(sensor_id, first, last)
        settings = {setting(sensor_id): last for sensor_id, _, last in due}
        return Commit(incidents=incidents, settings=settings)

    def looked(self, commit: Commit) -> None:
        """What :meth:`look` gave is stored."""
        for key, week in commit.settings.items():
            self._looked[key.removeprefix(_KEY)] = week

    def forget(self, sensor_ids: Iterable[str]) -> None:
        """These sensors are new if they ever come again."""
        for sensor_id in sensor_ids:
            self._looked.pop(sensor_id, None)

    def _due(self) -> Iterator[tuple[str, int, int]]:
        """Sensors with the first and last week to look at."""
        met = 0
        for sensor_id, newest in self._pipeline.newest_of_all():
            week = _week(sensor_id, newest)
            if sensor_id not in self._looked:
                met += 1
                if met > MET_AT_ONCE:
                    return
                self._looked[sensor_id] = self._looked_before(sensor_id)
            if week > self._looked[sensor_id]:
                yield sensor_id, max(self._looked[sensor_id] + 1, week - MOST_WEEKS + 1), week

    def _looked_before(self, sensor_id: str) -> int:
        stored: int | None = self._store.read(Setting(setting(sensor_id)))
        if stored is not None:
            return stored
        (status,) = self._store.read(Sensors(sensor_ids=[sensor_id])) or (None,)
        first = status.first_seen if status else None
        return 0 if first is None else _week(sensor_id, first)

    # --- one sensor ---

    def _look_at(self, sensor_id: str, first: int, last: int) -> list[Incident]:
        """Drifts that began, went on or ended up to the ends of these weeks."""
        info = self._pipeline.describe(sensor_id)
        start = _end(sensor_id, first) - PAST_DAYS * DAY
        known = self._store.read(Incidents(sensor_id=sensor_id, limit=10_000))
        own = [one for one in known if one.kind == DRIFT and not one.rows]
        changed: dict[str, Incident] = {}
        channels = list(self._channels(sensor_id, info, start, _end(sensor_id, last)))
        for channel in channels:
            mine = [one for one in own if one.evidence[0].channel == channel.name]
            story = _Story(info, channel, len(channels), mine, self._budget(sensor_id))
            for week in range(first, last + 1):
                if told := story.judge(start, _end(sensor_id, week)):
                    changed[told.id] = told
        return list(changed.values())

    def _budget(self, sensor_id: str) -> float:
        return self._pipeline.budget.for_sensor(sensor_id)

    def _channels(
        self, sensor_id: str, info: SensorInfo, start: int, end: int
    ) -> Iterator[_Channel]:
        series = self._series(sensor_id, start, end)
        days = (end - start) // DAY
        others: dict[str, Series] = {}
        for column, name in enumerate(series.channels):
            parts = days_of(series.time, series.mean[:, column], start, days)
            if np.count_nonzero(~np.isnan(parts).all(axis=1)) < LEAST_DAYS:
                continue
            near = self._neighbours.near(sensor_id, name)[:MOST_NEIGHBOURS]
            for one in near if len(near) >= FEWEST else ():
                if one not in others:
                    others[one] = self._series(one, start, end)
            asked = [others[one] for one in near if one in others]
            reference = _reference(asked, name, start, days)
            low, high = series.low[:, column], series.high[:, column]
            spread = float(np.nanpercentile(high, 99) - np.nanpercentile(low, 1))
            yield _Channel(name, parts, reference, spread)

    def _series(self, sensor_id: str, start: int, end: int) -> Series:
        points = (end - start) // DAY * PARTS + 1
        return self._store.read(SensorSeries(sensor_id, start, end - 1, points=points))


def setting(sensor_id: str) -> str:
    """Key under which the store keeps up to which week a sensor was looked at."""
    return _KEY + sensor_id


class _Story:
    """The drifts of one channel, week by week."""

    def __init__(
        self,
        info: SensorInfo,
        channel: _Channel,
        channels: int,
        told: Sequence[Incident],
        budget: float,
    ) -> None:
        self._info, self._channel, self._channels = info, channel, channels
        self._budget = budget
        self._open = next((one for one in told if one.closed is None), None)
        self._base = max((one.closed or 0 for one in told), default=0)

    def judge(self, start: int, end: int) -> Incident | None:
        """The drift that begins, goes on or ends with a week; None where nothing changes.

        Args:
            start: event time of the channel's first day.
            end: event time of the week's end.
        """
        days = (end - start) // DAY
        first = max(0, days - PAST_DAYS)
        since = max(0, -(-(self._base - start) // DAY) - first)
        own, reference = self._channel.parts[first:days], self._channel.reference
        compared = None if reference is None else own - reference[first:days]
        shared = compared is not None and _enough(compared)
        parts = compared if shared and compared is not None else own
        usual = 0.0 if shared else _season(self._channel.name, self._info)
        drift = slow_drift(parts, usual, since) if _enough(own) else None
        if self._open:
            return self._goes_on(drift, end)
        if drift is None or not self._beyond(drift):
            return None
        self._open = self._incident(drift, own, start + first * DAY, end, shared)
        return self._open

    def _beyond(self, drift: Drift) -> bool:
        large = abs(drift.change) >= LEAST_OF_RANGE * self._channel.range
        return large and self._rate(drift) <= self._budget

    def _rate(self, drift: Drift) -> float:
        """Drifts at least as clear per 30 days by chance, shared out over channels."""
        return drift.rate * 30 / WEEK_DAYS * self._channels / SHARE

    def _goes_on(self, drift: Drift | None, end: int) -> Incident | None:
        told = self._open
        assert told is not None
        speed = abs(drift.change) if drift else 0.0
        up = (told.evidence[0].value or 0.0) > (told.evidence[0].expected or 0.0)
        same = drift is not None and (drift.change > 0) == up
        if same and speed >= OVER * told.score and end - told.peak < LONGEST:
            self._open = replace(told, last=end, score=max(told.score, speed))
            return self._open
        self._open, self._base = None, end
        return replace(told, closed=end)

    def _incident(self, drift: Drift, own: Floats, first: int, end: int, shared: bool) -> Incident:
        name, info = self._channel.name, self._info
        total = drift.now - drift.before
        value = float(np.nanmean(own[-WEEK_DAYS:]))
        known = quantity(name)
        unit = info.channels[name].unit if name in info.channels else ""
        evidence = Evidence(
            name, unit or (known.unit if known else ""), 1.0, value, value - total, None, None
        )
        rate, opened = self._rate(drift), first + drift.start * DAY
        words = Words(info, name, total, end - opened, value, shared, rate)
        return Incident(
            id=incident_id(f"{info.sensor_id}\0{DRIFT}\0{name}", end),
            sensor_id=info.sensor_id,
            opened=opened,
            last=end,
            closed=None,
            severity=severity(rate, self._budget),
            kind=DRIFT,
            rate=rate,
            score=abs(drift.change),
            peak=end,
            rows=0,
            budget=self._budget,
            evidence=(evidence,),
            calm=(),
            title=words.title(),
            text=words.text(opened),
            origin="sensor" if shared else "unknown",
        )


@dataclass(frozen=True, slots=True)
class Words:
    """A drift in sentences.

    Attributes:
        info: the sensor.
        channel: which channel.
        total: how far it went.
        lasted: microseconds for which it has gone.
        value: its level now.
        shared: whether neighbours were the reference.
        rate: return rate.
    """

    info: SensorInfo
    channel: str
    total: float
    lasted: int
    value: float
    shared: bool
    rate: float

    def title(self) -> str:
        """What happened."""
        way = "up" if self.total > 0 else "down"
        name = explain.label(self.channel, self.info)
        moved = explain.number(abs(self.total), self.channel, self.info)
        against = "its neighbours" if self.shared else "its own past"
        return f"{name} has crept {way} by {moved} in {self.lasted // DAY} days against {against}"

    def text(self, opened: int) -> str:
        """What happened, what it may be, and how sure that is."""
        title = self.title()
        now = explain.number(self.value, self.channel, self.info)
        guess = (
            "Looks like a fault of the sensor: ageing, dirt or lost calibration, as its neighbours "
            "did not move with it."
            if self.shared
            else f"It may be ageing of the sensor or a season: fewer than {FEWEST} neighbours that "
            "measure the same could tell."
        )
        since = f"since {explain.moment(opened)}; it is at {now} now, as a mean of the last week"
        return f"{title[:1].upper()}{title[1:]}, {since}. {guess} {explain.odds(self.rate)}"


def _season(name: str, info: SensorInfo) -> float:
    """What a season may change in four weeks; inf for what comes and goes, as light and rain."""
    known = quantity(name)
    if known is not None and known.rests_at_zero:
        return inf
    return _SEASONS.get(name, 0.0) * (INDOORS if info.exposure == "indoor" else 1.0)


def _reference(others: Sequence[Series], name: str, start: int, days: int) -> Floats | None:
    """(days, 4) medians of the neighbours, NaN where fewer than ``FEWEST`` have a value."""
    if len(others) < FEWEST:
        return None
    parts = np.stack(
        [
            days_of(one.time, one.mean[:, one.channels.index(name)], start, days)
            for one in others
            if name in one.channels
        ]
    )
    enough = np.count_nonzero(~np.isnan(parts), axis=0) >= FEWEST
    middle = np.full(enough.shape, np.nan)
    middle[enough] = np.nanmedian(parts[:, enough], axis=0)
    return middle


def _enough(parts: Floats) -> bool:
    """Whether there are values on enough days, and in the latest week."""
    there = np.count_nonzero(~np.isnan(parts), axis=1) > 0
    return bool(there.sum() >= LEAST_DAYS and there[-WEEK_DAYS:].any())


def _offset(sensor_id: str) -> int:
    """Weeks end on another day for each sensor, so that not all are due at once."""
    return crc32(sensor_id.encode()) % WEEK_DAYS * DAY


def _week(sensor_id: str, time: int) -> int:
    """The newest week that is over."""
    return (time - _offset(sensor_id)) // WEEK


def _end(sensor_id: str, week: int) -> int:
    return week * WEEK + _offset(sensor_id)
