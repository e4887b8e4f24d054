"""Spreads what is committed to the live clients.

Commits come in the runner's thread and must not hold it up: they are put into an inbox, and
everything else happens in the event loop. When the loop cannot follow, rows are left out; states
and incidents never are, because they are read from the store when it is their turn.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import orjson

from redshank.core.errors import StoreError
from redshank.core.ports import Commit
from redshank.core.queries import Incidents, Sensors
from redshank.core.records import Incident, SensorInfo, Verdicts
from redshank.pipeline import budget as budgets
from redshank.services.api.answers import dumps
from redshank.services.api.encoding import chosen, encoded, fleet_entry
from redshank.services.api.live import Outbox, Row
from redshank.services.api.measures import Measures
from redshank.services.api.shapes import incident_json, sensor_names
from redshank.services.context import Context, Progress

FLEET_EVERY = 1.0
"""Seconds between two messages about the fleet."""
MOST_SENSORS = 1000
"""Sensors in one such message; the others wait for the next."""
MOST_BLOCKS = 64
"""Blocks of verdicts that may wait for the loop."""
_MOST_OPEN = 100_000


class Hub:
    """All live clients of one service.

    Args:
        context: the running service.
        measures: counts clients and rows left out.
    """

    def __init__(self, context: Context, measures: Measures) -> None:
        self._context = context
        self._measures = measures
        self._clients: set[Outbox] = set()
        self._lock = threading.Lock()
        self._blocks: deque[Verdicts] = deque(maxlen=MOST_BLOCKS)
        self._moved: dict[str, None] = {}
        self._registered: dict[str, SensorInfo] = {}
        self._budget: Any = None
        self._scheduled = False
        self._stories: dict[str, str] = {}
        self._open: set[str] = set()
        self._fleet_changed = asyncio.Event()
        self._stories_changed = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    # --- life ---

    async def run(self) -> None:
        """Spread until cancelled."""
        self._loop = asyncio.get_running_loop()
        self._scheduled = False
        unlisten = self._context.runner.listen(self.hear)
        self._context.progress.listen(self.hear_progress)
        try:
            await self._know_open()
            await asyncio.gather(self._tell_fleet(), self._tell_stories())
        finally:
            unlisten()
            self._loop = None

    def join(self, client: Outbox) -> None:
        """A client wants to hear."""
        self._clients.add(client)
        self._measures.sockets.inc()

    def leave(self, client: Outbox) -> None:
        """It has gone."""
        self._clients.discard(client)
        self._measures.sockets.dec()

    # --- any thread ---

    def hear(self, commit: Commit) -> None:
        """Take a commit; called in the runner's thread."""
        with self._lock:
            if self._clients:
                for rows in commit.verdicts:
                    self._moved.update(dict.fromkeys(rows.sensor_ids))
                self._blocks.extend(commit.verdicts)
                self._registered.update((info.sensor_id, info) for info in commit.sensors)
            self._note_stories(commit)
            self._budget = commit.settings.get(budgets.SETTING, self._budget)
            scheduled, self._scheduled = self._scheduled, True
        if not scheduled:
            self._soon(self._take)

    def hear_progress(self, progress: Progress) -> None:
        """Take news of a source; any thread."""
        self._soon(self._spread_progress, progress)

    def _note_stories(self, commit: Commit) -> None:
        for incident in commit.incidents:
            self._note(incident.id, self._change(incident))
            self._moved[incident.sensor_id] = None
        for incident_id in (*commit.marks, *commit.comments):
            self._note(incident_id, "updated")
        for incident_id in commit.incidents_removed:
            self._open.discard(incident_id)
            self._note(incident_id, "removed")

    def _change(self, incident: Incident) -> str:
        if incident.closed is not None:
            self._open.discard(incident.id)
            return "closed"
        if incident.id in self._open:
            return "updated"
        self._open.add(incident.id)
        return "opened"

    def _note(self, incident_id: str, change: str) -> None:
        fresh = change == "updated" and incident_id in self._stories
        self._stories[incident_id] = self._stories[incident_id] if fresh else change

    def _soon(self, call: Any, *args: Any) -> None:
        loop = self._loop
        if loop is not None:
            with suppress(RuntimeError):  # the loop has just been closed
                loop.call_soon_threadsafe(call, *args)

    # --- event loop ---

    async def _know_open(self) -> None:
        """Learn what goes on already, so that it is not told as news."""
        try:
            going_on = await self._read(Incidents(state="open", limit=_MOST_OPEN))
        except StoreError as error:
            self._context.telemetry.log.warning("open incidents unknown", reason=str(error))
            return
        with self._lock:
            self._open |= {incident.id for incident in going_on}

    def _take(self) -> None:
        """Empty the inbox."""
        with self._lock:
            self._scheduled = False
            blocks = list(self._blocks)
            self._blocks.clear()
            registered, self._registered = self._registered, {}
            budget, self._budget = self._budget, None
            if self._stories:
                self._stories_changed.set()
            if self._moved:
                self._fleet_changed.set()
        for client in self._clients:
            client.subscription.follow(registered.values())
        if budget is not None:
            per_month = budget["per_sensor_month"]
            self._spread("budget", {"type": "budget", "per_sensor_month": per_month})
        for block in blocks:
            self._spread_rows(block)

    def _spread(self, key: str, message: dict[str, Any]) -> None:
        encoded = dumps(message)
        for client in self._clients:
            client.tell(key, encoded)

    def _spread_progress(self, progress: Progress) -> None:
        message = {
            "type": "progress",
            "source": progress.source,
            "progress": progress.part,
            "text": progress.error or progress.text,
        }
        self._spread(f"progress {progress.source}", message)

    def _spread_rows(self, block: Verdicts) -> None:
        watchers = [client for client in self._clients if client.subscription.readings]
        if not watchers:
            return
        wanted = {
            number: watching
            for number, sensor_id in enumerate(block.sensor_ids)
            if (watching := [c for c in watchers if c.subscription.wants(sensor_id)])
        }
        rows = np.flatnonzero(np.isin(block.sensor, list(wanted)))
        kept = chosen(rows, block.status)
        self._measures.thinned.inc(len(rows) - len(kept))
        by_sensor: dict[int, list[Row]] = {}
        for number, row in zip(block.sensor[kept].tolist(), encoded(block, kept), strict=True):
            by_sensor.setdefault(number, []).append(row)
        thinned = len(kept) < len(rows)
        for number, of_sensor in by_sensor.items():
            for client in wanted[number]:
                gone = client.add_rows(block.sensor_ids[number], of_sensor, thinned)
                self._measures.thinned.inc(gone)

    async def _tell_fleet(self) -> None:
        while True:
            await self._fleet_changed.wait()
            with self._lock:
                some = [key for key, _ in zip(self._moved, range(MOST_SENSORS), strict=False)]
                for sensor_id in some:
                    del self._moved[sensor_id]
                if not self._moved:
                    self._fleet_changed.clear()
            if some and self._clients:
                await self._spread_fleet(some)
            await asyncio.sleep(FLEET_EVERY)

    async def _spread_fleet(self, sensor_ids: Sequence[str]) -> None:
        try:
            fleet = await self._read(Sensors(sensor_ids=sensor_ids, limit=len(sensor_ids)))
        except StoreError as error:
            self._context.telemetry.log.warning("live states not sent", reason=str(error))
            return
        for status in fleet:
            entry = orjson.Fragment(dumps(fleet_entry(status)))
            for client in self._clients:
                if client.subscription.wants(status.info.sensor_id):
                    client.update(status.info.sensor_id, entry)

    async def _tell_stories(self) -> None:
        while True:
            await self._stories_changed.wait()
            with self._lock:
                changes, self._stories = self._stories, {}
                self._stories_changed.clear()
            if changes and self._clients:
                try:
                    await self._spread_stories(changes)
                except StoreError as error:
                    self._context.telemetry.log.warning("news not sent", reason=str(error))

    async def _spread_stories(self, changes: Mapping[str, str]) -> None:
        """Tell of incidents as they stand now, not as they stood when they changed."""
        ids = [key for key, change in changes.items() if change != "removed"]
        found = await self._read(Incidents(ids=ids, limit=len(ids))) if ids else ()
        touched = [incident.sensor_id for incident in found]
        names = await asyncio.to_thread(sensor_names, self._context.store, touched)
        for incident in found:
            body = incident_json(incident, names.get(incident.sensor_id))
            message = {"type": "incident", "change": changes[incident.id], "incident": body}
            encoded = dumps(message)
            for client in self._clients:
                if client.subscription.wants_incident(incident.sensor_id, incident.severity):
                    client.tell(f"incident {incident.id}", encoded)
        for incident_id in (key for key, change in changes.items() if change == "removed"):
            message = {"type": "incident", "change": "removed", "incident": {"id": incident_id}}
            self._spread(f"incident {incident_id}", message)

    async def _read(self, query: Any) -> Any:
        return await asyncio.to_thread(self._context.store.read, query)
