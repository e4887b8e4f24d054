"""The past of one box, complete: read in windows, oldest first, each window once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence

import structlog

from redshank.adapters.sources.opensensemap.answers import FIRST_BOXES, Box, BoxSensor
from redshank.adapters.sources.opensensemap.archive import Archive
from redshank.adapters.sources.opensensemap.client import LONGEST_WINDOW, OpenSenseMapClient
from redshank.adapters.sources.opensensemap.http import together
from redshank.adapters.sources.opensensemap.looks import look_back
from redshank.adapters.sources.opensensemap.measurements import Measurements, joined
from redshank.adapters.sources.opensensemap.rows import (
    SOURCE,
    assembled,
    chosen,
    converted,
    day_of,
    described,
    letters,
    mappings,
    pieces,
    unmapped,
)
from redshank.adapters.sources.opensensemap.windows import Ledger, Span, Width
from redshank.core.clock import DAY, HOUR, Clock, SystemClock
from redshank.core.errors import SourceError
from redshank.core.ports import Parcel
from redshank.core.registry import own_cursor

UNSETTLED = 48 * HOUR
"""Values may come so much later than their time: this long, the past is read again by each run."""
DEFAULT_SPAN = 48 * HOUR
"""What is read where nobody says since when."""
ARCHIVE_DAYS = 7
"""Days of the archive that are read, and committed, at once."""
BEGINNING = 0
"""A start before any box: everything that there is."""


class History:
    """Readings of one box between two times; a source that ends.

    Its cursor says which windows of which sensors are complete. What was read within 48 hours of
    its own time is not taken for complete, as values may still arrive; once a day a run reads the
    last 14 days again, once a week the last 60.

    Args:
        box_id: the box.
        client: how to ask the server.
        start: microseconds; two days before the end if None, and :data:`BEGINNING` for all.
        end: microseconds, not included; just after the box's newest value if None.
        phenomena: titles or channel names; all if empty.
        archive: the daily archive, None for none.
        archive_days: only what is older than so many days is read from the archive.
        clock: for what is old and what is settled.

    Attributes:
        name: of the source; the cursor belongs to it.
        box_id: the box.
        box_name: what its owner calls it, "" until it was read.
        read: values that were read.
        unmapped: titles and units that no canonical channel is known for.
        archive_error: why the archive was not used to the end, "" if it was.
    """

    def __init__(
        self,
        box_id: str,
        client: OpenSenseMapClient,
        *,
        start: int | None = None,
        end: int | None = None,
        phenomena: Sequence[str] = (),
        archive: Archive | None = None,
        archive_days: int = 365,
        clock: Clock | None = None,
    ) -> None:
        self.name = own_cursor(SOURCE, box_id)
        self.box_id, self.box_name = box_id, ""
        self.read = 0
        self.unmapped: Sequence[str] = ()
        self.archive_error = ""
        self._client, self._archive = client, archive
        self._start, self._end = start, end
        self._phenomena = phenomena
        self._clock = clock or SystemClock()
        self._archived_until = day_of(self._clock.now() - archive_days * DAY)
        self._log = structlog.get_logger("redshank.sources").bind(source=SOURCE, box_id=box_id)

    async def parcels(self, cursor: str | None) -> AsyncIterator[Parcel]:
        """Everything between the two times that the cursor does not know, oldest first.

        Raises:
            NotFoundError: there is no such box.
            SourceError: it cannot be read to the end; what was handed over stays read.
        """
        box = await self._client.box(self.box_id)
        self.box_name, self.unmapped = box.name, unmapped(box)
        sensors = [s for s in chosen(box, self._phenomena) if not s.silent]
        ledger, width = Ledger.load(cursor), Width()
        look_back(ledger, self._clock.now())
        yield Parcel(sensors=[described(box, ledger.scales)])
        span = await self._span(box, sensors)
        at = span[0]
        while todo := ledger.next_missing([s.id for s in sensors], (at, span[1])):
            window = self._cut(todo, width.now)
            asked = [s for s in sensors if ledger.missing(s.id, window)]
            columns = await self._columns(box, asked, window)
            if window[0] >= self._archived_until:
                width.learn(window, max(map(len, columns.values())))
            at = window[1]
            done = (at - span[0]) / (span[1] - span[0])
            for parcel in self._parcels(box, asked, window, columns, ledger, done):
                yield parcel

    async def _span(self, box: Box, sensors: Sequence[BoxSensor]) -> Span:
        """From where to where: not before the first value, nor long after the newest one."""
        now, newest = self._clock.now(), box.newest
        end = self._end
        if end is None:
            end = now if newest is None else newest + 1
        elif newest is not None:
            # Newer values may come while the past is being read.
            end = min(end, max(now, newest + 1) if newest > now - UNSETTLED else newest + DAY)
        if self._start is None:
            return end - DEFAULT_SPAN, end
        return await self._first(box, sensors, self._start, end), end

    async def _first(self, box: Box, sensors: Sequence[BoxSensor], start: int, end: int) -> int:
        """The later one of the start and the box's beginning.

        Owners may bring in values from before their box was registered, so that windows before are
        looked into until one is empty.
        """
        registered = FIRST_BOXES if box.registered is None else box.registered
        if start >= registered:
            return start
        first = min(registered, end)
        while first > start:
            span = max(start, first - LONGEST_WINDOW), first
            if not any(map(len, (await self._from_api(box, sensors, span)).values())):
                break
            first = span[0]
        return first

    def _cut(self, todo: Span, width: int) -> Span:
        """The next window at the beginning of what is left."""
        start, end = todo
        if self._archive is not None and start < self._archived_until:
            return start, min(end, day_of(start) + ARCHIVE_DAYS * DAY, self._archived_until)
        return start, min(end, start + width)

    def _parcels(
        self,
        box: Box,
        sensors: Sequence[BoxSensor],
        window: Span,
        columns: Mapping[str, Measurements],
        ledger: Ledger,
        done: float,
    ) -> Iterator[Parcel]:
        """A window's readings; the cursor moves with the last of them."""
        known, now, scales = mappings(box), self._clock.now(), len(ledger.scales)
        wide = assembled(
            box,
            {
                known[s.id].name: converted(s, known[s.id], columns[s.id], ledger.scales)
                for s in sensors
            },
        )
        for sensor in sensors:
            ledger.mark(sensor.id, (window[0], min(window[1], now - UNSETTLED)))
        self.read += sum(map(len, columns.values()))
        *most, rest = pieces(wide) or [[]]
        yield from map(Parcel, most)
        bad = letters(box, columns, SOURCE, now)
        told = [described(box, ledger.scales)] if len(ledger.scales) > scales else []
        yield Parcel(rest, told, bad, cursor=ledger.dump(), progress=done)

    async def _columns(
        self, box: Box, sensors: Sequence[BoxSensor], window: Span
    ) -> dict[str, Measurements]:
        """All values of these sensors in a window, by sensor id."""
        if self._archive is None or window[1] > self._archived_until:
            return await self._from_api(box, sensors, window)
        try:
            found, missing = await self._archive.days(box, [s.id for s in sensors], window)
        except SourceError as error:
            self._archive, self.archive_error = None, str(error)
            self._log.warning("archive cannot be read, going on without", error=str(error))
            return await self._from_api(box, sensors, window)
        for span in missing:
            live = await self._from_api(box, sensors, span)
            found = {key: joined([part, live[key]]) for key, part in found.items()}
        return found

    async def _from_api(
        self, box: Box, sensors: Sequence[BoxSensor], span: Span
    ) -> dict[str, Measurements]:
        found = await together([self._client.window(box.id, s.id, *span) for s in sensors])
        return {sensor.id: part for sensor, part in zip(sensors, found, strict=True)}
