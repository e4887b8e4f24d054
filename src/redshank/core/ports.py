"""The seams: what an adapter must be able to do, and nothing more.

Source, Bus, Store and AlertChannel. Each has an in-process
implementation that ships and is the default runtime, and a conformance suite in
:mod:`redshank.checks` that runs on every implementation.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from redshank.core.batch import Batch, Floats, Singles, Times
from redshank.core.records import (
    Checkpoint,
    Comment,
    DeadLetter,
    Feedback,
    Incident,
    SensorInfo,
    SensorStatus,
    Verdicts,
)

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


# --- Source ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Parcel:
    """What a source hands over at once; committed as one.

    Attributes:
        batches: readings.
        sensors: sensors that the source knows more about than their id.
        dead_letters: what could not become a reading.
        cursor: how far the source has read; stored in the same transaction, None to keep the old.
        progress: part of the whole that is read with this parcel, 0 to 1; None if endless.
    """

    batches: Sequence[Batch] = ()
    sensors: Sequence[SensorInfo] = ()
    dead_letters: Sequence[DeadLetter] = ()
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
    """

    parcel: Parcel
    source: str
    done: Future[Receipt] = field(default_factory=Future)


class Bus(Protocol):
    """Carries parcels from those who read to the one who scores."""

    def publish(self, parcel: Parcel, source: str) -> Future[Receipt]:
        """Queue a parcel; the future resolves when it is durable and scored.

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
        dead_letters: added.
        dead_letters_removed: ids that were replayed or purged.
        checkpoints: replaced by sensor.
        cursors: source name to how far it has read.
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
    checkpoints: Sequence[Checkpoint] = ()
    cursors: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)


class Query(Generic[T_co]):
    """A question to the store; its subclasses say what the answer is."""

    __slots__ = ()


class Store(Protocol):
    """Keeps everything. One thread writes; any thread may read, and sees whole commits only."""

    def write(self, commit: Commit) -> None:
        """Write all of it or nothing; durable on return.

        Raises:
            StoreError: nothing was written, and why.
        """

    def read(self, query: Query[T]) -> T:
        """The answer as of the last commit.

        Raises:
            NotFoundError: what the query names does not exist.
            StoreError: it cannot be read.
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


@dataclass(frozen=True, slots=True)
class KnownReadings(Query[list[Floats]]):
    """The stored values at the times of these readings: per batch (n, C), NaN where nothing is.

    For telling duplicates (same value) from conflicts (other value) and from new readings.
    """

    batches: Sequence[Batch]


@dataclass(frozen=True, slots=True)
class Recovery:
    """What is needed to go on with a sensor where the last commit left it.

    Attributes:
        state: its newest checkpoint, None if it has none.
        readings: its readings committed after that, as they came, in commit order.
        newest: event time of its newest reading, None without any.
    """

    state: bytes | None
    readings: Sequence[Batch]
    newest: int | None


@dataclass(frozen=True, slots=True)
class RecoverSensors(Query[Mapping[str, Recovery]]):
    """The recovery of each of these sensors; unknown ones are left out."""

    sensor_ids: Sequence[str]


@dataclass(frozen=True, slots=True)
class Sensors(Query[Sequence[SensorStatus]]):
    """Sensors as they stand, those that need a look first, then by name.

    Attributes:
        sensor_ids: only these; None for all.
        text: only where id, name or site contains it, ignoring case.
        limit: at most so many.
        offset: after leaving out so many.
    """

    sensor_ids: Sequence[str] | None = None
    text: str = ""
    site: str | None = None
    status: str | None = None
    limit: int = 100
    offset: int = 0


@dataclass(frozen=True, slots=True)
class CountSensors(Query[Mapping[str, int]]):
    """How many sensors there are, by status name, with ``total`` and ``with_open_incidents``.

    The fields narrow as those of :class:`Sensors` do.
    """

    text: str = ""
    site: str | None = None
    status: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """Readings and verdicts of one sensor over a span, at most about ``points`` steps.

    ``m`` steps. With ``bucket`` None every step is one row and ``low`` = ``high`` = ``mean``; else
    a step covers ``bucket`` microseconds and low/high are the extreme values in it, so that no
    peak is hidden. Steps without any reading are left out.

    Attributes:
        time: (m,) start of each step, microseconds.
        bucket: width of a step, None for single rows.
        channels: names.
        low: (m, C).
        high: (m, C).
        mean: (m, C).
        flags: (m, C) all flags in the step, or-ed.
        expected: (m, C) mean over the step's verdicts, NaN without any.
        lower: (m, C).
        upper: (m, C).
        contributions: (m, C) of the step's most unusual row.
        score: (m,) highest.
        rate: (m,) lowest; inf while learning, NaN without a verdict.
        status: (m,) highest.
    """

    time: Times
    bucket: int | None
    channels: tuple[str, ...]
    low: Floats
    high: Floats
    mean: Floats
    flags: Any
    expected: Singles
    lower: Singles
    upper: Singles
    contributions: Singles
    score: Singles
    rate: Singles
    status: Any


@dataclass(frozen=True, slots=True)
class SensorSeries(Query[Series]):
    """The series of a sensor between two event times, microseconds, ends included.

    Attributes:
        channels: only these; None for all.
        points: about how many steps to return at most.
    """

    sensor_id: str
    start: int
    end: int
    points: int = 800
    channels: Sequence[str] | None = None


@dataclass(frozen=True, slots=True)
class LatestReadings(Query[Sequence["StoredRow"]]):
    """Rows newest first; readings of one sensor and time that came separately are one row.

    Attributes:
        anomalous: only rows whose stored return rate is within the budget in force now and that
            were anomalous, with their verdicts.
    """

    sensor_id: str | None = None
    start: int | None = None
    end: int | None = None
    anomalous: bool = False
    limit: int = 100
    offset: int = 0


@dataclass(frozen=True, slots=True)
class StoredRow:
    """One row as it is stored, with its verdict where it has one."""

    event_id: str
    sensor_id: str
    time: int
    values: Mapping[str, float]
    tags: Mapping[str, str]
    score: float | None
    rate: float | None
    per_month: float | None
    budget: float | None
    status: int | None
    contributions: Mapping[str, float]
    model: str | None
    version: str | None


@dataclass(frozen=True, slots=True, eq=False)
class Rates:
    """The stored return rates of one sensor in time order, for decisions at another budget."""

    sensor_id: str
    time: Times
    rate: Singles


@dataclass(frozen=True, slots=True)
class StoredRates(Query[Sequence[Rates]]):
    """Return rates since an event time, of one sensor or of all.

    Attributes:
        highest: only rows that are at least so rare.
    """

    start: int
    sensor_id: str | None = None
    highest: float = float("inf")


@dataclass(frozen=True, slots=True, eq=False)
class StoredVerdicts(Query["Sequence[tuple[Batch, Verdicts]]"]):
    """Readings and verdicts row by row of one sensor between two event times, ends included.

    The batches hold one row per verdict: values merged from readings that came separately.
    """

    sensor_id: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Incidents(Query[Sequence[Incident]]):
    """Incidents, open ones first, then newest first."""

    sensor_id: str | None = None
    state: str | None = None
    start: int | None = None
    end: int | None = None
    ids: Sequence[str] | None = None
    limit: int = 100
    offset: int = 0


@dataclass(frozen=True, slots=True)
class IncidentTotals:
    """How many incidents there are.

    Attributes:
        total: all.
        open: those that go on.
        marked: how many carry each mark.
    """

    total: int
    open: int
    marked: Mapping[Feedback, int]


@dataclass(frozen=True, slots=True)
class CountIncidents(Query[IncidentTotals]):
    """How many incidents :class:`Incidents` would bring without a limit."""

    sensor_id: str | None = None
    state: str | None = None
    start: int | None = None
    end: int | None = None


@dataclass(frozen=True, slots=True)
class DeadLetters(Query[Sequence[DeadLetter]]):
    """Dead letters, newest first."""

    source: str | None = None
    limit: int = 100
    offset: int = 0


@dataclass(frozen=True, slots=True)
class CountDeadLetters(Query[int]):
    """How many dead letters there are, of one source or of all."""

    source: str | None = None


@dataclass(frozen=True, slots=True)
class Setting(Query[Any]):
    """A stored setting; None if it was never stored."""

    key: str


@dataclass(frozen=True, slots=True)
class Cursor(Query["str | None"]):
    """How far a source has read; None if it never has."""

    source: str


@dataclass(frozen=True, slots=True)
class Totals:
    """What the store holds."""

    sensors: int
    readings: int
    verdicts: int
    incidents: int
    dead_letters: int
    bytes: int
    oldest: int | None
    newest: int | None


@dataclass(frozen=True, slots=True)
class StoreTotals(Query[Totals]):
    """Totals for health and metrics; cheap."""


# --- AlertChannel ------------------------------------------------------------------------------


class AlertChannel(Protocol):
    """Tells people."""

    name: str

    def send(self, incident: Incident, sensor: SensorInfo) -> None:
        """Tell of an incident that opened, grew more severe or closed."""



Listener = Callable[[Commit], None]
"""Called after each commit with what was written, for live views; must not block."""
