"""A level that a sensor returns to is recognised: its incident says when it was there before.

Where a sensor stood between its changes of level is known from its stored incidents: each has the
level that was expected before it and the one that it brought. So nothing needs to be kept beside
them, and machines that go to and fro between a few states explain themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from redshank.core.clock import DAY, HOUR, from_micros
from redshank.core.errors import NotFoundError
from redshank.core.ports import Commit, Readable
from redshank.core.queries import Incidents
from redshank.core.records import ChannelInfo, Evidence, Incident, SensorInfo
from redshank.pipeline import explain

CHANGES = frozenset({"level shift", "drift"})
SHORTEST = HOUR
"""A stay at a level that is worth mentioning."""
LOOKED_AT = 100
"""Latest incidents of a sensor among which is looked."""
NEAR = 0.2
"""Part of a change by which the levels may differ."""


@dataclass(frozen=True, slots=True)
class Stay:
    """A level that a channel had for some time; ``start`` None where the beginning is unknown."""

    level: float
    start: int | None
    end: int


class Returns:
    """Tells of returns; used by the writer's thread only."""

    def __init__(self, store: Readable) -> None:
        self._store = store

    def complete(self, commit: Commit) -> Commit:
        """The commit with its changes of level told as returns where they are."""
        if not any(one.kind in CHANGES for one in commit.incidents):
            return commit
        return replace(commit, incidents=[self._told(one) for one in commit.incidents])

    def _told(self, incident: Incident) -> Incident:
        first = _leading(incident)
        if first is None:
            return incident
        near = [
            one for one in stays(self._past(incident), first.channel) if _same(one.level, first)
        ]
        if not near:
            return incident
        known = {first.channel: ChannelInfo(first.channel, first.unit)}
        info, when = SensorInfo(incident.sensor_id, channels=known), _when(near[-1])
        back = f"{explain.label(first.channel, info)} is back at {explain.amount(first, info)}"
        text = f"{incident.text} It has been at this level before, {when}."
        return replace(incident, title=f"{back}, where it was {when}", text=text)

    def _past(self, incident: Incident) -> list[Incident]:
        query = Incidents(sensor_id=incident.sensor_id, end=incident.opened, limit=LOOKED_AT)
        try:
            return [one for one in self._store.read(query) if one.opened < incident.opened]
        except NotFoundError:  # the sensor comes with this commit
            return []


def stays(past: Sequence[Incident], channel: str) -> Iterator[Stay]:
    """Levels of a channel between its changes, oldest first; the newest, just left, is not there.

    Args:
        past: incidents of one sensor.
        channel: the channel.
    """
    changes = sorted((one for one in past if _of(one, channel)), key=lambda one: one.opened)
    parts = [(one.opened, one.evidence[0]) for one in changes]
    if parts and (before := parts[0][1].expected) is not None:
        yield Stay(before, None, parts[0][0])
    for (start, evidence), (end, _) in pairwise(parts):
        if evidence.value is not None and end - start >= SHORTEST:
            yield Stay(evidence.value, start, end)


def _of(incident: Incident, channel: str) -> bool:
    first = _leading(incident)
    return first is not None and first.channel == channel


def _leading(incident: Incident) -> Evidence | None:
    """The channel whose level changed; None where none did."""
    if incident.kind not in CHANGES or not incident.rows or not incident.evidence:
        return None
    first = incident.evidence[0]
    return None if first.value is None or first.expected is None else first


def _same(level: float, first: Evidence) -> bool:
    """Whether a channel is back at a level, rather than where it was just now."""
    assert first.value is not None and first.expected is not None
    size = abs(first.value - first.expected)
    width = 0.0
    if first.lower is not None and first.upper is not None:
        width = min((first.upper - first.lower) / 2, size / 2)
    return abs(first.value - level) <= max(NEAR * size, width)


def _when(stay: Stay) -> str:
    end = f"{from_micros(stay.end):%d %b %Y}"
    if stay.start is None:
        return f"until {end}"
    if stay.end - stay.start < DAY:
        return f"on {end}"
    return f"from {from_micros(stay.start):%d %b %Y} to {end}"
