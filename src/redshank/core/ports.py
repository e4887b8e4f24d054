"""The seams: what an adapter must be able to do, and nothing more.

Source, Bus, Store and AlertChannel. Each has an in-process
implementation that ships and is the default runtime, and a conformance suite in
:mod:`redshank.checks` that runs on every implementation.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar, runtime_checkable

from redshank.core.batch import Batch
from redshank.core.queries import Query
from redshank.core.records import (
    Checkpoint,
    Comment,
    DeadLetter,
    Feedback,
    Incident,
    SensorInfo,
    Verdicts,
)

T = TypeVar("T")


# --- Source ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Parcel:
    """What a source hands over at once; committed as one.

    Attributes:
        batches: readings.
        sensors: sensors that the source knows more about than their id.
        dead_letters: what could not become a reading.
        dead_letters_removed: ids of earlier ones that are read in this parcel.
        dead_letter_reasons: ids of earlier ones that still cannot be read to the reason now.
        cursor: how far the source has read; stored in the same transaction, None to keep the old.
        progress: part of the whole that is read with this parcel, 0 to 1; None if endless.
    """

    batches: Sequence[Batch] = ()
    sensors: Sequence[SensorInfo] = ()
    dead_letters: Sequence[DeadLetter] = ()
    dead_letters_removed: Sequence[int] = ()
    dead_letter_reasons: Mapping[int, str] = field(default_factory=dict)
    cursor: str | None = None
    progress: float | None = None


class Source(Protocol):
    """Where readings come from when redshank fetches them itself."""

    name: str
    """Stable name; the stored cursor belongs to it."""

    def parcels(self, cursor: str | None) -> AsyncIterator[Parcel]:
        """Readings from just after the cursor on, or from the beginning.

        Raises:
            SourceError: the source cannot be read at all; passing faults are retried inside.
        """


@runtime_checkable
class AcknowledgedSource(Source, Protocol):
    """A source whose sender keeps everything until it hears that it is safe.

    Where to go on is known to the sender: what was not acknowledged comes again, from the same
    source or from a later one at the stored cursor, and with the same keys.
    """

    def acknowledge(self, parcel: Parcel) -> None:
        """This parcel is durable, and so are all that were handed over before it.

        Called in the order of the parcels, in the event loop; must not block.
        """


# --- Bus ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a parcel, once it is durable and scored.

    Attributes:
        stored: readings that are new.
        duplicates: readings that were there already, with the same values.
        conflicts: readings that were there already with other values; the first stays.
        anomalies: rows that are anomalous.
        flagged: values of its sensors that carry a quality flag other than "missing".
    """

    stored: int = 0
    duplicates: int = 0
    conflicts: int = 0
    anomalies: int = 0
    flagged: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Message:
    """A parcel on its way, and the promise to its sender.

    Attributes:
        parcel: the load.
        source: name of the source, for cursors and counters.
        done: resolved with a :class:`Receipt` after the commit, or with what prevented it.
        after: the parcel before it of the same source; if that one fails, this one must too, or
            its cursor would skip what was not stored.
    """

    parcel: Parcel
    source: str
    done: Future[Receipt] = field(default_factory=Future)
    after: Future[Receipt] | None = None


class Bus(Protocol):
    """Carries parcels from those who read to the one who scores."""

    def publish(
        self, parcel: Parcel, source: str, after: Future[Receipt] | None = None
    ) -> Future[Receipt]:
        """Queue a parcel; the future resolves when it is durable and scored.

        Args:
            parcel: the load.
            source: name of the source.
            after: what :meth:`publish` returned for the source's parcel before this one, where
                their order matters.

        Raises:
            OverloadedError: the queue is full; nothing was taken.
        """

    def poll(self, limit: int, timeout: float) -> list[Message]:
        """Messages in order, up to about ``limit`` readings; empty after ``timeout`` seconds."""

    def close(self) -> None:
        """Take nothing more; what is queued can still be polled."""


# --- Store -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Commit:
    """Everything that one transaction writes.

    Attributes:
        readings: new readings as they came, in the order in which they are scored.
        verdicts: on rows of these or of earlier readings.
        incidents: inserted or replaced by id; their ``feedback`` and ``comments`` are not written,
            so that a new finding never undoes what a person said.
        incidents_removed: ids that are no longer incidents at a changed budget; what people said
            of them is kept for the day that they come back.
        marks: incident id to the user's mark; None takes a mark back.
        comments: incident id to comments that are added.
        sensors: registered or updated.
        sensors_removed: forgotten with all their data, before the rest is written.
        dead_letters: added, but those whose source, topic and key are there already.
        dead_letters_removed: ids that were replayed or purged.
        dead_letter_reasons: ids to the reason why they could not be read again.
        checkpoints: replaced by sensor.
        cursors: source name to how far it has read; None forgets it.
        settings: key to JSON-able value, None removes.
    """

    readings: Sequence[Batch] = ()
    verdicts: Sequence[Verdicts] = ()
    incidents: Sequence[Incident] = ()
    incidents_removed: Sequence[str] = ()
    marks: Mapping[str, Feedback | None] = field(default_factory=dict)
    comments: Mapping[str, Sequence[Comment]] = field(default_factory=dict)
    sensors: Sequence[SensorInfo] = ()
    sensors_removed: Sequence[str] = ()
    dead_letters: Sequence[DeadLetter] = ()
    dead_letters_removed: Sequence[int] = ()
    dead_letter_reasons: Mapping[int, str] = field(default_factory=dict)
    checkpoints: Sequence[Checkpoint] = ()
    cursors: Mapping[str, str | None] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)


class Readable(Protocol):
    """The half of a store that answers; any thread may ask, and sees whole commits only."""

    def read(self, query: Query[T]) -> T:
        """The answer as of the last commit.

        Raises:
            NotFoundError: what the query names does not exist.
            StoreError: it cannot be read.
        """


class Store(Readable, Protocol):
    """Keeps everything. One thread writes, any thread may read."""

    def write(self, commit: Commit) -> None:
        """Write all of it or nothing; durable on return.

        Raises:
            StoreError: nothing was written, and why.
        """

    def maintain(self, now: int) -> bool:
        """Do one short piece of house-keeping (compaction, retention) in the writer's thread.

        Meant to be called again and again while nothing waits to be written, as it blocks writes
        for some ten milliseconds only.

        Args:
            now: wall clock, microseconds.

        Returns:
            True while there is more to do.
        """

    def close(self) -> None:
        """Flush and release the files."""


# --- AlertChannel ------------------------------------------------------------------------------


class AlertChannel(Protocol):
    """Tells people."""

    name: str

    def send(self, incident: Incident, sensor: SensorInfo) -> None:
        """Tell of an incident that opened, grew more severe or closed."""


Listener = Callable[[Commit], None]
"""Called after each commit with what was written, for live views; must not block."""
