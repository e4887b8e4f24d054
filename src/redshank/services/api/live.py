"""What one live client has asked for, and what waits to be sent to it.

Everything that waits is conflated: a newer state of the same thing replaces the older one, and rows
of a sensor are thinned, anomalous ones last. So a slow client costs a bounded amount of memory and
slows nobody else down.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from redshank.core.records import SensorInfo
from redshank.services.api.answers import dumps

ROWS_EVERY = 0.25
"""Seconds between two messages with rows of one sensor."""
MOST_ROWS = 240
"""Rows in one message."""
MOST_WAITING = 10_000
"""Rows that may wait for one client."""
MOST_NEWS = 1000
SEVERITIES = {"low": 0, "medium": 1, "high": 2}


@dataclass(frozen=True, slots=True)
class Subscription:
    """What a client wants to hear of.

    Attributes:
        sensor_ids: only these; None for all.
        site: only sensors of this site; None for all.
        members: the sensors of that site, kept up to date by the hub.
        severity: least severity of incidents.
        readings: whether rows are wanted, not only status and incidents.
    """

    sensor_ids: frozenset[str] | None = None
    site: str | None = None
    members: set[str] = field(default_factory=set)
    severity: str = "low"
    readings: bool = False

    def wants(self, sensor_id: str) -> bool:
        """Whether this sensor is meant."""
        if self.sensor_ids is not None and sensor_id not in self.sensor_ids:
            return False
        return self.site is None or sensor_id in self.members

    def follow(self, changed: Iterable[SensorInfo]) -> None:
        """Sensors were registered or moved to another site."""
        if self.site is None:
            return
        for info in changed:
            here = info.site == self.site
            (self.members.add if here else self.members.discard)(info.sensor_id)

    def wants_incident(self, sensor_id: str, severity: str) -> bool:
        """Whether an incident of this sensor is meant."""
        return self.wants(sensor_id) and SEVERITIES[severity] >= SEVERITIES[self.severity]


@dataclass(frozen=True, slots=True)
class Row:
    """One row, encoded once for all clients."""

    anomalous: bool
    json: bytes


@dataclass(slots=True)
class Rows:
    """Rows of one sensor that wait."""

    rows: list[Row] = field(default_factory=list)
    thinned: bool = False

    def add(self, rows: Sequence[Row], most: int) -> int:
        """Add rows in time order; returns how many had to go."""
        self.rows.extend(rows)
        before = len(self.rows)
        if before > most:
            self.rows = thin(self.rows, most)
            self.thinned = True
        return before - len(self.rows)


def thin(rows: Sequence[Row], most: int) -> list[Row]:
    """At most so many rows in their order: anomalous ones first, the others evenly spread."""
    special = [i for i, row in enumerate(rows) if row.anomalous][-most:]
    normal = [i for i, row in enumerate(rows) if not row.anomalous]
    room = most - len(special)
    spread = [normal[-1 - k * len(normal) // room] for k in range(room)] if room and normal else []
    return [rows[i] for i in sorted({*special, *spread})]


class Outbox:
    """What waits to be sent to one client; used in the event loop only."""

    def __init__(self) -> None:
        self.subscription = Subscription()
        self._replies: deque[bytes] = deque()
        self._news: dict[str, bytes] = {}
        self._fleet: dict[str, orjson.Fragment] = {}
        self._rows: dict[str, Rows] = {}
        self._next_rows: dict[str, float] = {}
        self._changed = asyncio.Event()

    def reply(self, message: dict[str, Any]) -> None:
        """An answer to something that the client sent."""
        self._replies.append(dumps(message))
        self._changed.set()

    def tell(self, key: str, message: bytes) -> None:
        """News; replaces what waits under the same key."""
        self._news.pop(key, None)
        self._news[key] = message
        if len(self._news) > MOST_NEWS:
            self._news.pop(next(iter(self._news)))
        self._changed.set()

    def update(self, sensor_id: str, entry: orjson.Fragment) -> None:
        """The state of a sensor; sent together with the others."""
        self._fleet[sensor_id] = entry
        self._changed.set()

    def add_rows(self, sensor_id: str, rows: Sequence[Row], thinned: bool) -> int:
        """Rows of a sensor; returns how many had to go."""
        waiting = self._rows.setdefault(sensor_id, Rows())
        most = max(1, min(MOST_ROWS, MOST_WAITING // len(self._rows)))
        gone = waiting.add(rows, most)
        waiting.thinned |= thinned
        self._changed.set()
        return gone

    def forget_rows(self) -> None:
        """Drop waiting rows and states, for another subscription."""
        self._rows.clear()
        self._next_rows.clear()
        self._fleet.clear()

    async def wait(self, now: float) -> None:
        """Until there is something to send."""
        due = [self._next_rows.get(sensor_id, now) for sensor_id in self._rows]
        if due and min(due) <= now:
            return
        try:
            await asyncio.wait_for(self._changed.wait(), min(due) - now if due else None)
        except TimeoutError:
            return

    def due(self, now: float) -> Iterator[bytes]:
        """Messages that may be sent now, most urgent first."""
        self._changed.clear()
        while self._replies:
            yield self._replies.popleft()
        while self._news:
            yield self._news.pop(next(iter(self._news)))
        if self._fleet:
            entries, self._fleet = list(self._fleet.values()), {}
            yield dumps({"type": "sensors", "sensors": entries})
        yield from self._due_rows(now)

    def _due_rows(self, now: float) -> Iterator[bytes]:
        self._next_rows = {key: then for key, then in self._next_rows.items() if then > now}
        for sensor_id in [key for key in self._rows if key not in self._next_rows]:
            waiting = self._rows.pop(sensor_id, None)
            if waiting is None:
                continue
            self._next_rows[sensor_id] = now + ROWS_EVERY
            yield _message(sensor_id, waiting)


def _message(sensor_id: str, waiting: Rows) -> bytes:
    rows = [orjson.Fragment(row.json) for row in waiting.rows]
    message: dict[str, Any] = {"type": "verdicts", "sensor_id": sensor_id, "rows": rows}
    if waiting.thinned:
        message["thinned"] = True
    return dumps(message)
