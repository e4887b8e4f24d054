"""Sensors that fall silent, stutter or report out of season become incidents, without a setting.

What is usual is learned from each sensor's own times; every deviation gets a return rate on the
scale of the alarm budget. Wall-clock time moves a silence, so all of it is looked at from time to
time and not with readings.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from redshank.core.clock import DAY, HOUR, MINUTE, SECOND, from_micros
from redshank.core.records import BY_RHYTHM, OUT_OF_SEASON, SILENT, STUTTERING, Incident
from redshank.core.sparkplug import OFFLINE, STATUS_TAG
from redshank.pipeline import explain
from redshank.pipeline.incidents import incident_id
from redshank.pipeline.outages import Bools, Outages
from redshank.pipeline.pipeline import Pipeline
from redshank.pipeline.running import severity
from redshank.pipeline.timing import Attended

SILENCE_SHARE = 0.10
"""Part of the alarm budget that silences may spend."""
STUTTER_SHARE = 0.03
ODD_SHARE = 0.02
FORGOTTEN = 30 * DAY
"""A sensor that was silent for so long before anybody looked is history, not news."""
LIVE_INTERVALS = 50
"""A stutter is news while the newest reading is no older than so many intervals, or an hour."""
WHOLE = 0.85
"""From this part of the usual readings on, they came, but in bursts."""

_RATES = {
    SILENT: ("silence", SILENCE_SHARE),
    STUTTERING: ("stutter", STUTTER_SHARE),
    OUT_OF_SEASON: ("odd", ODD_SHARE),
}


@dataclass(frozen=True, slots=True)
class _Story:
    """What there is to say of a sensor; fields as in :class:`Incident`."""

    opened: int
    rows: int
    title: str
    text: str


class Rhythms:
    """Which sensors are silent, stutter or report out of season.

    Args:
        pipeline: knows how each sensor reports.
        started: before this nobody listened, wall clock, microseconds.
        open_now: incidents that were open when the store was closed.
    """

    def __init__(self, pipeline: Pipeline, started: int, open_now: Iterable[Incident] = ()) -> None:
        self._pipeline = pipeline
        self._started = started
        self._open = {(i.kind, i.sensor_id): i for i in open_now if i.kind in BY_RHYTHM}

    def look(self, now: int) -> list[Incident]:
        """Incidents that began, went on notably or ended up to now.

        Args:
            now: wall clock, microseconds.
        """
        them = self._pipeline.attended(self._started, now)
        changed = list(self._ended(them, now))
        silent = self._silent(them, now)
        news = [one for one in _found(them, silent, now) if self._is_news(them, *one, now)]
        told = any(kind == SILENT for kind, _ in news)
        outages = Outages(them, silent, self._pipeline.place_of) if told else None
        for kind, at in news:
            last = _last(kind, them, at, now)
            story = self._story(kind, them, at, last, outages)
            incident = _incident(kind, them, at, last, story)
            self._open[kind, incident.sensor_id] = incident
            changed.append(incident)
        return changed

    def _silent(self, them: Attended, now: int) -> Bools:
        """(n,) which sensors are silent; one that was told stays so however long it lasts."""
        silent = _within(them, SILENT)
        for at in np.flatnonzero(silent & (now - them.newest >= FORGOTTEN)).tolist():
            silent[at] = (SILENT, them.sensor_ids[at]) in self._open
        return silent

    def _is_news(self, them: Attended, kind: str, at: int, now: int) -> bool:
        """Whether it began, or has gone on for long enough to be told again."""
        before = self._open.get((kind, them.sensor_ids[at]))
        if before is None:
            return True
        more = _last(kind, them, at, now) - before.last
        return more >= max(MINUTE, (before.last - before.opened) // 5)

    def _story(
        self, kind: str, them: Attended, at: int, last: int, outages: Outages | None
    ) -> _Story:
        if kind == SILENT:
            return self._silence(them, at, last, outages)
        return self._stutter(them, at) if kind == STUTTERING else self._odd(them, at)

    def _silence(self, them: Attended, at: int, now: int, outages: Outages | None) -> _Story:
        before = self._open.get((SILENT, them.sensor_ids[at]))
        since = before.opened if before else int(them.since[at])
        title = f"silent for {explain.duration((now - since) / SECOND)}"
        text = f"{self._usual(them, at)}; {title}, since {explain.moment(since)}."
        text += self._death(them.sensor_ids[at])
        company = outages.company(at) if outages else None
        if company is None:
            return _Story(since, 0, title, text)
        return _Story(since, 0, title + company.brief(), text + company.told())

    def _death(self, sensor_id: str) -> str:
        """What the sensor's own network says of its end."""
        status = self._pipeline.describe(sensor_id).tags.get(STATUS_TAG, "")
        return f" Sparkplug told of it: {status}." if status.startswith(OFFLINE) else ""

    def _stutter(self, them: Attended, at: int) -> _Story:
        row, newest = them.seen[at], int(them.newest[at])
        since, came = int(row["since"]), int(row["came"])
        span = explain.duration((newest - since) / SECOND)
        if came < WHOLE * row["expected"]:
            what = f"only {came:,} of {round(float(row['expected'])):,} readings came"
            title, told = f"{what} in {span}", f"in the {span} since {explain.moment(since)} {what}"
        else:
            pause = explain.duration(float(row["pause"]))
            title = f"readings come in bursts, up to {pause} apart"
            told = f"since {explain.moment(since)} its {title}"
        return _Story(since, came, title, f"{self._usual(them, at)}; {told}.")

    def _odd(self, them: Attended, at: int) -> _Story:
        row, sensor_id = them.seen[at], them.sensor_ids[at]
        since, count = int(row["odd_since"]), int(row["odd_rows"])
        zone = self._pipeline.zone_of(sensor_id)
        local = from_micros(since + zone.offset(since))
        if row["odd_season"]:
            title = f"reports in {local:%B}, out of its season"
            when = f"since {explain.moment(since)}; it sent nothing in {local:%B} in other years"
        else:
            title = f"reports on {local:%A} at {local:%H:%M}, out of its usual hours"
            when = f"on {local:%A} from {local:%H:%M} ({zone.name}) on, when it usually sends none"
        text = f"{self._name(sensor_id)} sent {count:,} readings {when}."
        return _Story(since, count, title, text)

    def _name(self, sensor_id: str) -> str:
        return self._pipeline.describe(sensor_id).name or sensor_id

    def _usual(self, them: Attended, at: int) -> str:
        interval = float(them.seen["interval"][at])
        every = explain.duration(interval) if interval >= 1 else f"{interval:.2g} s"
        hours = " at its usual hours" if them.seen["usual"][at] else ""
        return f"{self._name(them.sensor_ids[at])} usually reports every {every}{hours}"

    def _ended(self, them: Attended, now: int) -> Iterator[Incident]:
        """Incidents of sensors that report as usual again."""
        if not self._open:
            return
        place = {sensor_id: at for at, sensor_id in enumerate(them.sensor_ids)}
        for key, incident in list(self._open.items()):
            at = place.get(incident.sensor_id)
            end = None if at is None else _end(incident, them, at, now)
            if end is not None:
                del self._open[key]
                yield _over(incident, end)


def _within(them: Attended, kind: str) -> Bools:
    """(n,) of which sensors such an incident is within the alarm budget."""
    name, share = _RATES[kind]
    within: Bools = them.seen[name] / np.float32(share) <= them.budget
    return within


def _found(them: Attended, silent: Bools, now: int) -> Iterator[tuple[str, int]]:
    """Kind and number of each sensor that does not report as usual."""
    quiet = now - them.newest
    reach = np.maximum(LIVE_INTERVALS * np.nan_to_num(them.seen["interval"]) * SECOND, HOUR)
    live = ~silent & (quiet < reach)
    for kind in (SILENT, STUTTERING, OUT_OF_SEASON):
        here = silent if kind == SILENT else live & _within(them, kind)
        yield from ((kind, at) for at in np.flatnonzero(here).tolist())


def _end(incident: Incident, them: Attended, at: int, now: int) -> int | None:
    """When an incident ended, None while it goes on."""
    row, newest = them.seen[at], int(them.newest[at])
    if incident.kind == SILENT:
        return newest if newest > incident.opened else None
    if row["silence"] / np.float32(SILENCE_SHARE) <= them.budget[at]:
        return max(newest, incident.opened)  # now it is silent
    if incident.kind == STUTTERING:
        return newest if row["since"] != incident.opened else None
    over = row["odd_since"] != incident.opened or not row["odd_rows"]
    return incident.last if over or now - int(row["odd_last"]) > DAY else None


def _last(kind: str, them: Attended, at: int, now: int) -> int:
    """Up to when it is known to go on."""
    if kind == SILENT:
        return now
    return int(them.newest[at] if kind == STUTTERING else them.seen["odd_last"][at])


def _over(incident: Incident, end: int) -> Incident:
    """The incident as it ended; a silence says how long it was in all."""
    over = replace(incident, closed=end, last=max(incident.last, end))
    if incident.kind != SILENT:
        return over
    told, whole = (f"silent for {explain.duration(i.lasted / SECOND)}" for i in (incident, over))
    return replace(
        over, title=over.title.replace(told, whole, 1), text=over.text.replace(told, whole, 1)
    )


def _incident(kind: str, them: Attended, at: int, last: int, story: _Story) -> Incident:
    name, share = _RATES[kind]
    sensor_id, budget = them.sensor_ids[at], float(them.budget[at])
    rate = float(them.seen[name][at] / np.float32(share))
    return Incident(
        id=incident_id(f"{sensor_id}\0{kind}", story.opened),
        sensor_id=sensor_id,
        opened=story.opened,
        last=last,
        closed=None,
        severity=severity(rate, budget),
        kind=kind,
        rate=rate,
        score=0.0,
        peak=last,
        rows=story.rows,
        budget=budget,
        evidence=(),
        calm=(),
        title=story.title,
        text=f"{story.text} {explain.odds(rate)}",
    )
