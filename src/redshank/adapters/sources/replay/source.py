"""Replay of files: what was once recorded, in time order, at any speed.

Understood are *wide* files (a row per reading: sensor, time, a column per channel) and the *long*
form of openSenseMap exports (a row per value: ``createdAt``, ``phenomenon``, ``value``).
A folder may hold ``sensors.json`` beside its files::

    {"file-name": {"sensor_id": "…", "name": "…", "site": "…", "exposure": "outdoor",
                   "units": {"Luftdruck": "Pa"}, "tags": {}}}
"""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from redshank.adapters.sources.replay.letters import details, why
from redshank.adapters.sources.replay.pace import Pace, Steady, WhenDue
from redshank.core.batch import Batch, concat
from redshank.core.clock import DAY, Clock, SystemClock
from redshank.core.decode import RowError
from redshank.core.errors import FileFormatError, SourceError
from redshank.core.files import find_tables, stem
from redshank.core.media import JSON
from redshank.core.ports import Parcel
from redshank.core.recording import Recording, described_by
from redshank.core.records import DeadLetter, SensorInfo

PARCEL = 5000
"""Readings in one parcel, about."""
HELD = 500_000
"""Readings held in memory at once, over all files; a file that is smaller is sorted as a whole."""


class FileReplay:
    """Readings from files, merged over all of them in event-time order.

    Args:
        paths: files or folders; CSV, Parquet, NDJSON.
        name: the source's name; its cursor belongs to it.
        speed: event seconds per second; None for as fast as they are taken.
        live: move all times by whole days, so that the newest reading is from the coming 24 hours;
            what is from the past comes at once, the rest when its time has come.
        sensors: what is known of sensors besides what files say, by sensor id.
        clock: where "now" and the pace come from.
        sleep: how to wait, in seconds.
    """

    def __init__(
        self,
        paths: Path | Iterable[Path],
        *,
        name: str = "replay",
        speed: float | None = None,
        live: bool = False,
        sensors: Iterable[SensorInfo] = (),
        clock: Clock | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        if speed is not None and not speed > 0:
            raise SourceError(f"replay speed {speed} cannot be used: it must be above 0")
        self.name = name
        self._paths = [paths] if isinstance(paths, Path) else list(paths)
        self._speed = speed
        self._live = live
        self._sensors = {sensor.sensor_id: sensor for sensor in sensors}
        self._clock = clock or SystemClock()
        self._sleep = sleep

    async def parcels(self, cursor: str | None) -> AsyncIterator[Parcel]:
        """Parcels of about 5,000 readings in time order; ends with the files.

        Raises:
            SourceError: a file cannot be read.
        """
        try:
            async for parcel in self._parcels(cursor):
                yield parcel
        except FileFormatError as error:
            raise SourceError(str(error)) from error

    async def _parcels(self, cursor: str | None) -> AsyncIterator[Parcel]:
        state = json.loads(cursor) if cursor else {"shift": None, "rows": {}}
        if state["shift"] is None:
            state["shift"] = await asyncio.to_thread(self._shift)
        streams = self._streams(state["rows"])
        pace = self._pace(state["shift"])
        while True:
            await asyncio.to_thread(_fill, streams)
            waiting = [stream for stream in streams if stream.held]
            if not waiting:
                break
            horizon = min((s.newest for s in streams if not s.finished), default=None)
            for until in _cuts(waiting, horizon, pace):
                parcel = self._parcel(streams, until, state["shift"])
                await pace.wait(until)
                yield replace(parcel, progress=pace.progress(until, parcel.progress))
        leftover = self._parcel(streams, 0, state["shift"])
        if leftover.dead_letters:
            yield leftover

    def _shift(self) -> int:
        """Whole days between the files' time and ours."""
        if not self._live:
            return 0
        newest = max((batch.time.max() for s in self._streams({}) for batch in s.rest()), default=0)
        return -(int(newest - self._clock.now()) // DAY) * DAY

    def _pace(self, shift: int) -> Pace:
        if self._live:
            return WhenDue(self._clock, self._sleep, shift)
        return Steady(self._speed, self._clock, self._sleep)

    def _streams(self, rows: Mapping[str, int]) -> list[_Stream]:
        tables = [(path, file) for path in self._paths for file in find_tables(path)]
        held = max(PARCEL, HELD // len(tables))
        metadata = {path: described_by(path) for path in self._paths}
        now = self._clock.now()
        return [
            _Stream(file, metadata[path].get(stem(file), {}), now, held, rows.get(file.name, 0))
            for path, file in tables
        ]

    def _parcel(self, streams: list[_Stream], until: int, shift: int) -> Parcel:
        parts = [batch for stream in streams for batch in stream.take(until)]
        moved = [replace(batch, time=batch.time + shift) for batch in parts]
        found = [info for stream in streams for info in stream.new_sensors(self.name)]
        return Parcel(
            batches=[batch.sorted_by_time() for batch in concat(moved)],
            sensors=[self._known(info) for info in found],
            dead_letters=[
                self._letter(stream, error, shift)
                for stream in streams
                for error in stream.new_errors()
            ],
            cursor=json.dumps({"shift": shift, "rows": {s.path.name: s.taken for s in streams}}),
            progress=sum(stream.progress for stream in streams) / len(streams),
        )

    def _letter(self, stream: _Stream, error: RowError, shift: int) -> DeadLetter:
        """A bad row as it is kept; one that is read from the same file again is kept once."""
        return DeadLetter(
            *(self._clock.now(), self.name, _why(error), error.raw, None),
            topic=str(stream.path.absolute()),
            content_type=JSON[0],
            details=details(stream.metadata, shift),
            key=f"{error.index} {zlib.crc32(error.raw)}",
        )

    def _known(self, info: SensorInfo) -> SensorInfo:
        """The sensor as its owner described it, with the channels that were found."""
        known = self._sensors.get(info.sensor_id)
        if known is None:
            return info
        return replace(known, channels={**info.channels, **known.channels}, source=self.name)


class _Stream:
    """One file's readings in time order, held piece by piece.

    Attributes:
        path: the file.
        metadata: what ``sensors.json`` says of it.
        newest: newest event time that is held.
        taken: readings taken so far, those skipped at the start included.
    """

    def __init__(
        self, path: Path, metadata: Mapping[str, Any], now: int, held: int, skip: int
    ) -> None:
        self.path, self.metadata = path, metadata
        self.newest = 0
        self.taken = skip
        self.finished = False
        self._recording = Recording(path, metadata, now)
        self._pieces = self._sorted_pieces(held)
        self._skip = skip
        self._loaded = 0
        self._held: list[Batch] = []
        self._errors: list[RowError] = []

    @property
    def held(self) -> int:
        """Readings in memory."""
        return sum(map(len, self._held))

    @property
    def progress(self) -> float:
        """Part of the file that is taken, 0 to 1."""
        return self._recording.progress * self.taken / self._loaded if self._loaded else 1.0

    def fill(self) -> None:
        """Hold at least one reading, unless the file has ended."""
        while not self._held and not self.finished:
            piece = next(self._pieces, None)
            if piece is None:
                self.finished = True
                return
            batches, errors = piece
            before, self._loaded = self._loaded, self._loaded + sum(map(len, batches))
            if self._loaded > self._skip or before >= self._skip:
                # Errors of a piece that was begun before a restart are known already.
                self._errors += errors if before >= self._skip else []
                self._held = _without_first(batches, max(0, self._skip - before))
            self.newest = max((int(b.time[-1]) for b in self._held), default=self.newest)

    def take(self, until: int) -> list[Batch]:
        """The held readings up to an event time, ends included."""
        taken, kept = [], []
        for batch in self._held:
            cut = int(np.searchsorted(batch.time, until, side="right"))
            taken += [batch.take(np.arange(cut))] if cut else []
            kept += [batch.take(np.arange(cut, len(batch)))] if cut < len(batch) else []
        self._held = kept
        self.taken += sum(map(len, taken))
        return taken

    def times(self) -> list[Any]:
        """Event times of what is held."""
        return [batch.time for batch in self._held]

    def rest(self) -> Iterator[Batch]:
        """All batches of the file, without holding them."""
        for batches, _ in self._pieces:
            yield from batches

    def new_errors(self) -> list[RowError]:
        """Rows that could not be read since the last call."""
        errors, self._errors = self._errors, []
        return errors

    def new_sensors(self, source: str) -> list[SensorInfo]:
        """Sensors that were found, or found to have more channels, since the last call."""
        return self._recording.new_sensors(source)

    def _sorted_pieces(self, held: int) -> Iterator[tuple[list[Batch], list[RowError]]]:
        """Pieces of up to ``held`` readings, each in time order."""
        batches: list[Batch] = []
        errors: list[RowError] = []
        for more, wrong in self._recording.pieces(PARCEL):
            batches += more
            errors += wrong
            if sum(map(len, batches)) >= held:
                yield [batch.sorted_by_time() for batch in concat(batches)], errors
                batches, errors = [], []
        if batches or errors:
            yield [batch.sorted_by_time() for batch in concat(batches)], errors


def _fill(streams: list[_Stream]) -> None:
    for stream in streams:
        stream.fill()


def _cuts(streams: list[_Stream], horizon: int | None, pace: Pace) -> Iterator[int]:
    """Event times that cut what is held up to the horizon into parcels; equal times stay together.

    Beyond the horizon a file that is not read to its end may still bring earlier readings.
    """
    times = np.sort(np.concatenate([part for stream in streams for part in stream.times()]))
    times = times if horizon is None else times[times <= horizon]
    at = 0
    while at < len(times):
        until = times[min(at + PARCEL, len(times)) - 1]
        step = pace.step(int(times[at]))
        if step is not None:
            until = min(until, times[at] + step)
        at = int(np.searchsorted(times, until, side="right"))
        yield int(times[at - 1])


def _without_first(batches: list[Batch], n: int) -> list[Batch]:
    """The batches without their ``n`` earliest readings, as :meth:`_Stream.take` counts them."""
    if n == 0:
        return batches
    # Readings of one time are always taken together, so the time of the n-th decides.
    last = np.sort(np.concatenate([batch.time for batch in batches]))[n - 1]
    kept = [batch.take(batch.time > last) for batch in batches]
    return [batch for batch in kept if len(batch)]


def _why(error: RowError) -> str:
    return f"row {error.index + 1}: {why(error)}"


def demo_source(
    *, speed: float | None = None, live: bool = True, clock: Clock | None = None
) -> FileReplay:
    """The bundled week of four real boxes, with its real gaps and faults."""
    folder = Path(str(files("redshank.demo")))
    return FileReplay(folder, name="demo", speed=speed, live=live, clock=clock)
