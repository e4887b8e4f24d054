"""Questions to the store and their answers.

A :class:`Query` is what :meth:`redshank.core.ports.Store.read` takes; its type parameter is what
comes back, so that one method serves all questions and type checkers know each answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from redshank.core.batch import Batch, Floats, Singles, Times
from redshank.core.records import DeadLetter, Feedback, Incident, SensorStatus, Status, Verdicts

T_co = TypeVar("T_co", covariant=True)


class Query(Generic[T_co]):
    """A question to the store; its subclasses say what the answer is."""

    __slots__ = ()


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


@dataclass(frozen=True, slots=True)
class SensorSpan:
    """From when to when a sensor was heard.

    Attributes:
        sensor_id: the sensor.
        first_seen: event time of its oldest reading, microseconds.
        last_seen: event time of its newest one.
        per_month: rows that it brings in 30 days, None where it has no verdict yet.
    """

    sensor_id: str
    first_seen: int
    last_seen: int
    per_month: float | None


@dataclass(frozen=True, slots=True)
class SensorSpans(Query[Sequence[SensorSpan]]):
    """Sensors with a reading at or after ``since`` (event time).

    Attributes:
        since: event time, microseconds.
        sensor_ids: only these; None for all.
        fewer_rows: only those that bring fewer rows in 30 days.
        limit: at most so many.
    """

    since: int
    sensor_ids: Sequence[str] | None = None
    fewer_rows: float | None = None
    limit: int = 100_000


@dataclass(frozen=True, slots=True)
class WatchedTime:
    """How many sensors were heard of, and for how long altogether.

    Attributes:
        sensors: how many.
        time: microseconds from each one's oldest reading since then to its newest, summed up.
        slow: how many of them bring fewer rows in 30 days than asked.
    """

    sensors: int
    time: int
    slow: int


@dataclass(frozen=True, slots=True)
class CountWatched(Query[WatchedTime]):
    """The sensors of :class:`SensorSpans` counted, cheaply for many."""

    since: int
    fewer_rows: float = 0.0


@dataclass(frozen=True, slots=True)
class Sites(Query[Sequence[str]]):
    """The distinct sites of all sensors, sorted; sensors without a site have none."""


@dataclass(frozen=True, slots=True)
class NearbySensors(Query[Sequence[str]]):
    """Sensors that measure the same in the same exposure near a sensor, nearest first.

    Near is who belongs to the same site, or lies within some kilometres. Who belongs to the site
    at an unknown distance comes last. An exposure that is not known suits any.

    Attributes:
        sensor_id: the sensor; one that is not known is near to nobody.
        channel: what they must measure, too.
        km: great circle.
        limit: at most so many.
    """

    sensor_id: str
    channel: str
    km: float = 20.0
    limit: int = 8


@dataclass(frozen=True, slots=True)
class SensorState:
    """As much of a sensor as a picture of the whole fleet needs."""

    sensor_id: str
    name: str
    site: str
    status: Status
    open_incidents: int


@dataclass(frozen=True, slots=True)
class SensorStates(Query[Sequence[SensorState]]):
    """The states of many sensors, cheaper than :class:`Sensors` and in the same order."""

    text: str = ""
    site: str | None = None
    status: str | None = None
    limit: int = 100_000
    offset: int = 0


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
class StoredRow:
    """One row as it is stored, with its verdict where it has one; ``flags`` are those not 0."""

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
    flags: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LatestReadings(Query[Sequence[StoredRow]]):
    """Rows newest first; readings of one sensor and time that came separately are one row.

    Attributes:
        anomalous: only rows whose stored return rate is within the budget in force now and that
            were anomalous, with their verdicts.
        flags: only rows of which a value carries one of these flags, or-ed; 0 for all.
    """

    sensor_id: str | None = None
    start: int | None = None
    end: int | None = None
    anomalous: bool = False
    limit: int = 100
    offset: int = 0
    flags: int = 0


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
class StoredVerdicts(Query[Sequence[tuple[Batch, Verdicts]]]):
    """Readings and verdicts row by row of one sensor between two event times, ends included.

    The batches hold one row per verdict: values merged from readings that came separately.
    """

    sensor_id: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Extent:
    """What there is of some sensors in a span, and how to read it bit by bit.

    Attributes:
        spans: consecutive spans of event time, oldest first, ends included, each with about as
            many rows as was asked for; none where there is no reading.
        channels: names of stored channels, sorted.
        tags: tag name to whether all of its texts are numbers, sorted by name.
    """

    spans: Sequence[tuple[int, int]]
    channels: Sequence[str]
    tags: Mapping[str, bool]


@dataclass(frozen=True, slots=True)
class StoredExtent(Query[Extent]):
    """The extent of these sensors between two event times, ends included.

    Attributes:
        rows: about how many rows a span may hold; rows that overlap in time stay together.
    """

    sensor_ids: Sequence[str]
    start: int
    end: int
    rows: int = 50_000


@dataclass(frozen=True, slots=True)
class StoredReadings(Query[Batch]):
    """All readings of one sensor between two event times, ends included, with their tags.

    In time order, one row per time: values that came separately are merged.
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
    """How many incidents :class:`Incidents` would bring without a limit.

    ``opened_since`` leaves out those that opened before that time.
    """

    sensor_id: str | None = None
    state: str | None = None
    start: int | None = None
    end: int | None = None
    opened_since: int | None = None


@dataclass(frozen=True, slots=True)
class DeadLetters(Query[Sequence[DeadLetter]]):
    """Dead letters, newest first.

    Attributes:
        source: only of this source.
        limit: at most so many.
        offset: after leaving out so many.
        reason: only where the reason contains it, ignoring the case of plain letters.
        ids: only these; None for all.
        before: only those that came before this time, microseconds.
        after: only those with a higher id, and lowest ids first: for reading all in steps.
        topic: only where the topic contains it, ignoring the case of plain letters.
    """

    source: str | None = None
    limit: int = 100
    offset: int = 0
    reason: str = ""
    ids: Sequence[int] | None = None
    before: int | None = None
    after: int | None = None
    topic: str = ""


@dataclass(frozen=True, slots=True)
class CountDeadLetters(Query[int]):
    """How many dead letters there are; the fields narrow as those of :class:`DeadLetters` do."""

    source: str | None = None
    reason: str = ""
    ids: Sequence[int] | None = None
    before: int | None = None
    after: int | None = None
    topic: str = ""


@dataclass(frozen=True, slots=True)
class Setting(Query[Any]):
    """A stored setting; None if it was never stored."""

    key: str


@dataclass(frozen=True, slots=True)
class Cursor(Query[str | None]):
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
