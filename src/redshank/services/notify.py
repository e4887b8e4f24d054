"""Tells alert channels what is news: the one place that decides it, whoever is told."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from redshank.core.clock import HOUR, Clock
from redshank.core.ports import AlertChannel, Commit
from redshank.core.records import Incident, SensorInfo
from redshank.pipeline import amend, budget

REMEMBERED = 100_000
"""Incidents of which is known what was told; the oldest are forgotten first."""
RECENT = HOUR
"""How old, in event time, an incident's newest row may be to be told of again while it is open."""

_RANKS = {"low": 0, "medium": 1, "high": 2}
_OVER = 3


class Notifier:
    """Hears every commit and sends incidents that opened, grew more severe or closed.

    An incident of the past, as a replay brings it, is told when it opens and when it closes only.
    What a changed budget or late readings make of the past is for the page, not for channels.

    Args:
        channels: who tells people.
        describe: what is registered of a sensor.
        clock: what "the past" is measured by.
    """

    def __init__(
        self,
        channels: Sequence[AlertChannel],
        describe: Callable[[str], SensorInfo],
        clock: Clock,
    ) -> None:
        self._channels = channels
        self._describe = describe
        self._clock = clock
        self._told: dict[str, int] = {}

    def __call__(self, commit: Commit) -> None:
        """Send what is news in a commit."""
        again = _judges_again(commit)
        for incident in commit.incidents:
            if self._is_news(incident) and not again:
                for channel in self._channels:
                    channel.send(incident, self._describe(incident.sensor_id))

    def _is_news(self, incident: Incident) -> bool:
        rank = _OVER if incident.closed is not None else _RANKS[incident.severity]
        before = self._told.pop(incident.id, None)
        if before is not None and not self._is_step(incident, before, rank):
            self._told[incident.id] = before
            return False
        self._told[incident.id] = rank
        if len(self._told) > REMEMBERED:
            del self._told[next(iter(self._told))]
        return True

    def _is_step(self, incident: Incident, before: int, rank: int) -> bool:
        if _OVER in (before, rank):
            return before != rank
        return rank > before and incident.last >= self._clock.now() - RECENT


def _judges_again(commit: Commit) -> bool:
    """Whether a commit brings another view of the past instead of new readings."""
    return not commit.readings and not commit.settings.keys().isdisjoint(
        (budget.SETTING, amend.SETTING)
    )
