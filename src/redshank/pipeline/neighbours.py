"""What the neighbours say of an incident: they show it too, or this sensor is alone with it.

Neighbours are sensors of the same site or within 20 km that measure the same channel in the same
exposure. How far a sensor usually is from the median of its neighbours is learned from the day
before the incident (median and median absolute deviation of the difference), so a sensor in the
sun or a badly chosen site only makes the test weaker. After the neighbour tests of quality control
in meteorology (WMO-No. 8, Guide to Instruments and Methods of Observation, volume V).

Other sensors may report later than this one, so nothing of this enters a verdict on arrival: an
incident is judged whenever it is told, by what is there then, and for the last time when it is
over. Only then the values of a sensor that stands alone are flagged, which therefore depends on
what had come by then and not on how readings were batched.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from redshank.core.batch import Batch, Floats, Times
from redshank.core.clock import DAY, HOUR, MINUTE
from redshank.core.ports import Commit, Store
from redshank.core.queries import Incidents, NearbySensors, SensorSeries, StoredVerdicts
from redshank.core.records import BY_RHYTHM, CLOCK, Flag, Incident, SensorInfo, Status, Verdicts
from redshank.pipeline import explain
from redshank.pipeline.shared import Series, Span, shared

NEAR_KM = 20.0
MOST = 8
"""Nearest neighbours that are asked."""
FEWEST = 2
"""Neighbours with a value at that time that a judgement needs."""
ALONE = 6.0
"""Usual deviations from the neighbours from which on a sensor stands alone."""
TOGETHER = 3.0
"""Usual deviations within which it agrees with them."""
CLEAR = 4.0
"""Usual deviations that a change must have for agreement in it to mean anything."""
MOST_OF = 0.5
"""Part of a change that neighbours must lack for the sensor to stand alone."""
LITTLE_OF = 0.2
"""Part of it that they may lack and still share it."""
SHARED, NOT_SHARED = 0.55, 0.4
"""Part of its change that neighbours show from which on it is theirs too, up to which it is not."""
LEAST_ROWS = 20
LATER = 30
"""Looks, ten seconds apart, after which an incident that nobody could judge is looked at again."""
AT_ONCE = 10
"""Incidents that are judged again at one look."""

_POINTS = 400
_REASON = re.compile(r" Looks like a [^:]+: .+?\.(?= [A-Z]|$)")
_BRIEF = frozenset({"spike", "noise"})
"""Kinds of which a single moment says little: neighbours are compared over the whole change."""
_FIXED = frozenset({"wrong unit", "dropout", CLOCK, *BY_RHYTHM})


@dataclass(frozen=True, slots=True, eq=False)
class _Site:
    """Readings of one channel from a day before an incident on.

    Attributes:
        own: the sensor's.
        near: those of its neighbours.
        reach: how far apart in time readings may be to be of one moment, microseconds.
    """

    own: Series
    near: Sequence[Series]
    reach: int

    def part(self, incident: Incident) -> float | None:
        """Part of the sensor's change that its neighbours show; None where nothing can be said."""
        if len(self.own[0]) < LEAST_ROWS:
            return None
        span = Span(incident.opened, incident.last, incident.peak)
        return shared(incident.kind, self.own, self.near, span, self.reach)


@dataclass(frozen=True, slots=True)
class _Apart:
    """How far a value is from where its neighbours let one expect it.

    Attributes:
        deviation: that far.
        spread: how far it usually is.
        there: where they let one expect it.
        size: how far it is from what the sensor itself let expect.
    """

    deviation: float
    spread: float
    there: float
    size: float

    @property
    def alone(self) -> bool:
        """Whether it is clearly elsewhere."""
        return self.deviation >= max(ALONE * self.spread, MOST_OF * self.size)

    @property
    def together(self) -> bool:
        """Whether it is where they are, after a change that is clear between them."""
        near = max(TOGETHER * self.spread, LITTLE_OF * self.size)
        return self.deviation <= near and self.size >= CLEAR * self.spread


class Neighbours:
    """Judges incidents by other sensors' stored readings; used by the writer's thread only."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._coming: Sequence[Batch] = ()
        self._waiting: dict[str, int] = {}

    def complete(self, commit: Commit) -> Commit:
        """The commit with its incidents judged, and values of lone sensors flagged."""
        self._coming = commit.readings
        incidents, flagged = [], []
        verdicts = list(commit.verdicts)
        for incident in commit.incidents:
            judged, alone = self._judged(incident)
            incidents.append(judged)
            self._wait(judged)
            if alone and judged.closed is not None:
                flagged += self._stored(judged)
                verdicts = [_flagged(rows, judged) for rows in verdicts]
        return replace(commit, incidents=incidents, verdicts=[*flagged, *verdicts])

    def remembered(self, incidents: Sequence[Incident]) -> list[Incident]:
        """Incidents that were told again unchanged, with what was found of them before."""
        wanted = [incident.id for incident in incidents]
        there = self._store.read(Incidents(ids=wanted, limit=max(1, len(wanted))))
        before = {incident.id: incident for incident in there}
        out = []
        for incident in incidents:
            old = before.get(incident.id)
            if old and _span(old) == _span(incident):
                incident = replace(incident, kind=old.kind, origin=old.origin, text=old.text)
            else:
                self._waiting[incident.id] = 0
            out.append(incident)
        return out

    def again(self) -> Commit:
        """Judge some incidents that could not be judged when they were told last.

        Neighbours may report later, or incidents may come from a changed budget. Each gets one more
        look: what its neighbours have sent by then is what there is.
        """
        self._coming = ()
        due = [identity for identity, left in self._waiting.items() if left <= 0][:AT_ONCE]
        self._waiting = {
            identity: left - 1 for identity, left in self._waiting.items() if identity not in due
        }
        if not due:
            return Commit()
        changed, flagged = [], []
        for incident in self._store.read(Incidents(ids=due, limit=len(due))):
            judged, alone = self._judged(incident)
            if judged != incident:
                changed.append(judged)
            if alone and judged.closed is not None:
                flagged += self._stored(judged)
        return Commit(incidents=changed, verdicts=flagged)

    def _wait(self, incident: Incident) -> None:
        """Look at it again later if it is over and neighbours have said nothing of it."""
        silent = incident.kind not in _FIXED and "neighbours" not in incident.text
        if incident.closed is not None and silent:
            self._waiting[incident.id] = LATER
        else:
            self._waiting.pop(incident.id, None)

    # --- judgement ---

    def _judged(self, incident: Incident) -> tuple[Incident, bool]:
        """The incident with what its neighbours say, and whether it stands alone.

        What neighbours did says more than where they are: they may have changed by more than this
        sensor, and be far from it for that.
        """
        if incident.kind in _FIXED or not incident.evidence or incident.evidence[0].value is None:
            return incident, False
        near = self.near(incident.sensor_id, incident.evidence[0].channel)
        if len(near) < FEWEST:
            return incident, False
        site = self._site(incident, near)
        part = site.part(incident)
        if part is not None and part >= SHARED:
            return _shared(incident), False
        own = part is not None and part <= NOT_SHARED
        if incident.kind not in _BRIEF or (part is None and incident.kind == "spike"):
            found = self._compared(incident, near, site)
            if found is not None and found.alone:
                return _apart(incident, found), True
            if found is not None and found.together and (part is None or part > LITTLE_OF):
                return _shared(incident), False
        if own:
            said = "Looks like a fault of the sensor: its neighbours did not change like that."
            return _told(replace(incident, origin="sensor"), said), False
        return self._as_before(incident), False

    def _site(self, incident: Incident, near: Sequence[str]) -> _Site:
        """What the sensor and its neighbours reported from a day before the incident on."""
        channel = incident.evidence[0].channel
        start, end = incident.opened - DAY - HOUR, max(incident.last, incident.peak)
        own = self._series(incident.sensor_id, channel, start, end)
        reach = _reach(own[0])
        return _Site(own, [self._series(one, channel, start, end + reach) for one in near], reach)

    def _as_before(self, incident: Incident) -> Incident:
        """What was found when it was told the last time, where its peak says nothing now.

        So it is where the way back to normal turns out to be more unusual than the change was.
        """
        if incident.origin != "unknown":
            return incident
        before = self._store.read(Incidents(ids=[incident.id], limit=1))
        if not before or before[0].origin == "unknown":
            return incident
        said = _REASON.search(before[0].text)
        told = replace(incident, origin=before[0].origin)
        return _told(told, said.group().strip()) if said else told

    def _compared(self, incident: Incident, near: Sequence[str], site: _Site) -> _Apart | None:
        """How far the peak is from the neighbours; None where too little is known."""
        first, reach = incident.evidence[0], site.reach
        time, own = site.own
        day = (time >= incident.opened - DAY) & (time < incident.opened)
        time, own = time[day], own[day]
        if len(time) < LEAST_ROWS or first.value is None:
            return None
        before = [_nearest(*series, time, reach) for series in site.near]
        moment, span = np.array([incident.peak]), (incident.peak - reach, incident.peak + reach)
        now = [_nearest(*self._series(one, first.channel, *span), moment, reach) for one in near]
        others = np.concatenate([before, now], axis=1)
        enough = np.count_nonzero(~np.isnan(others), axis=0) >= FEWEST
        if not enough[-1] or np.count_nonzero(enough[:-1]) < LEAST_ROWS:
            return None
        middle = np.nanmedian(others[:, enough], axis=0)
        apart = own[enough[:-1]] - middle[:-1]
        usual = float(np.median(apart))
        spread = 1.4826 * float(np.median(np.abs(apart - usual)))
        there = float(middle[-1])
        floor = 0.05 * _width(first.lower, first.upper) + 1e-9 * abs(there)
        size = abs(first.value - first.expected) if first.expected is not None else 0.0
        deviation = abs(first.value - there - usual)
        return _Apart(deviation, max(spread, floor), there + usual, size)

    def _series(self, sensor_id: str, channel: str, start: int, end: int) -> tuple[Times, Floats]:
        """Times and values of one channel without gaps, those that are being written included."""
        query = SensorSeries(sensor_id, start, end, points=_POINTS, channels=[channel])
        series = self._store.read(query)
        times, values = [np.empty(0, np.int64)], [np.empty(0)]
        if channel in series.channels:
            times.append(series.time)
            values.append(series.mean[:, series.channels.index(channel)])
        for batch in self._coming:
            if sensor_id in batch.sensor_ids:
                rows = batch.sensor == batch.sensor_ids.index(sensor_id)
                rows &= (batch.time >= start) & (batch.time <= end)
                times.append(batch.time[rows])
                values.append(batch.select([channel])[rows, 0])
        time, value = np.concatenate(times), np.concatenate(values)
        order = np.argsort(time, kind="stable")
        order = order[~np.isnan(value[order])]
        return time[order], value[order]

    def _stored(self, incident: Incident) -> list[Verdicts]:
        """Stored verdicts on the incident's rows, flagged."""
        query = StoredVerdicts(incident.sensor_id, incident.opened, incident.last)
        parts = []
        for batch, rows in self._store.read(query):
            whole: Verdicts = replace(rows, values=batch.select(rows.channels))
            parts.append(_flagged(whole, incident))
        return parts

    # --- who is near ---

    def near(self, sensor_id: str, channel: str) -> list[str]:
        """The nearest neighbours that measure a channel, nearest first."""
        query = NearbySensors(sensor_id, channel, NEAR_KM, MOST)
        return list(self._store.read(query))


def _nearest(time: Times, values: Floats, at: Times, reach: int) -> Floats:
    """(m,) the value closest to each time, NaN where none is within reach."""
    if not len(time):
        return np.full(len(at), np.nan)
    after = np.clip(np.searchsorted(time, at), 1, max(1, len(time) - 1))
    before = after - 1
    after = np.minimum(after, len(time) - 1)
    best = np.where(np.abs(time[after] - at) < np.abs(time[before] - at), after, before)
    return np.where(np.abs(time[best] - at) <= reach, values[best], np.nan)


def _reach(time: Times) -> int:
    """How far apart readings may be to be of one moment."""
    return max(15 * MINUTE, 3 * int(np.median(np.diff(time))))


def _apart(incident: Incident, found: _Apart) -> Incident:
    """The incident of a sensor that stands alone."""
    usual = explain.number(
        found.there, incident.evidence[0].channel, SensorInfo(incident.sensor_id)
    )
    said = f"Looks like a fault of the sensor: its neighbours are at {usual}."
    kind = "disagreement" if incident.kind == "unusual pattern" else incident.kind
    return _told(replace(incident, kind=kind, origin="sensor"), said)


def _shared(incident: Incident) -> Incident:
    said = "Looks like a real event: its neighbours changed in the same way."
    return _told(replace(incident, origin="event"), said)


def _span(incident: Incident) -> tuple[int, int, int | None]:
    return incident.last, incident.peak, incident.closed


def _width(lower: float | None, upper: float | None) -> float:
    return 0.0 if lower is None or upper is None else upper - lower


def _told(incident: Incident, said: str) -> Incident:
    """The incident with another guess at what it is."""
    before, _, _ = incident.text.partition(" Looks like a ")
    odds = explain.odds(incident.rate)
    return replace(incident, text=f"{before.removesuffix(' ' + odds)} {said} {odds}")


def _flagged(rows: Verdicts, incident: Incident) -> Verdicts:
    """Verdicts in which the unusual values of an incident's first channel disagree."""
    channel = incident.evidence[0].channel
    if incident.sensor_id not in rows.sensor_ids or channel not in rows.channels:
        return rows
    concerned = rows.sensor == rows.sensor_ids.index(incident.sensor_id)
    concerned &= (rows.time >= incident.opened) & (rows.time <= incident.last)
    concerned &= rows.status >= Status.WARNING
    flags = rows.flags.copy()
    flags[concerned, rows.channels.index(channel)] |= np.uint16(Flag.DISAGREES)
    return replace(rows, flags=flags)
