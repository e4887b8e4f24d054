"""Tells alert channels what changed; one message a change, however often an incident is written."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from redshank.core.ports import AlertChannel, Commit
from redshank.core.records import Incident, SensorInfo

_ORDER = {"low": 0, "medium": 1, "high": 2}


class Notifier:
    """Hears every commit and sends incidents that opened, grew more severe or closed.

    Args:
        channels: who tells people.
        describe: what is registered of a sensor.
    """

    def __init__(
        self, channels: Sequence[AlertChannel], describe: Callable[[str], SensorInfo]
    ) -> None:
        self._channels = channels
        self._describe = describe
        self._told: dict[str, int] = {}

    def __call__(self, commit: Commit) -> None:
        """Send what is news in a commit."""
        for incident in commit.incidents:
            if self._is_news(incident):
                for channel in self._channels:
                    channel.send(incident, self._describe(incident.sensor_id))

    def _is_news(self, incident: Incident) -> bool:
        if incident.closed is not None:
            return self._told.pop(incident.id, None) is not None
        rank = _ORDER[incident.severity]
        news = rank > self._told.get(incident.id, -1)
        self._told[incident.id] = max(rank, self._told.get(incident.id, -1))
        return news
