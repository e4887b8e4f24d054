"""What is kept besides readings: verdicts, incidents, sensors, dead letters, checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, IntFlag
from typing import Literal

from redshank.core.batch import Bytes, Flags, Floats, Ints, Singles, Times

IncidentState = Literal["open", "closed"]
Severity = Literal["low", "medium", "high"]
Feedback = Literal["real", "false", "expected"]


Origin = Literal["sensor", "event", "unknown"]
"""What an incident looks like: a fault of the sensor, or something that really happened."""

SILENT = "silent"
"""Kind of an incident that consists of missing readings, not of unusual ones."""
STUTTERING = "stuttering"
"""Kind: readings come, but with gaps or in bursts that the sensor's rhythm does not have."""
OUT_OF_SEASON = "out of season"
"""Kind: readings at hours of the week, or in a season, in which there are usually none."""
BY_RHYTHM = frozenset({SILENT, STUTTERING, OUT_OF_SEASON})
"""Kinds that come from the times of readings, not from their values."""

CLOCK = "clock"
"""Kind: readings that are stamped with a time that has not come yet."""


class Flag(IntFlag):
    """Quality flags of one value, after the QARTOD tests of IOOS; a flag never drops a reading."""

    NONE = 0
    MISSING = 1
    """The reading lacks this channel although the sensor has it."""
    GROSS_RANGE = 2
    """Outside what the channel's quantity can be in its canonical unit."""
    FLAT_LINE = 4
    """The same value for far longer than this channel is known to rest."""
    GAP = 8
    """First value after a silence of many reporting intervals."""
    FUTURE = 16
    """The sender's clock is ahead of ours."""
    NOT_FINITE = 32
    """Came as infinity; kept as missing for the detector."""
    RATE_OF_CHANGE = 64
    """The step from the value before is far larger than the channel has shown."""
    SPIKE = 128
    """It takes such a step back: the values just before, three at most, were a spike."""
    ATTENUATED = 256
    """Moves far less than usual without standing still."""
    UNIT = 512
    """Fits another unit of the quantity, such as °F for °C or Pa for hPa."""
    SENTINEL = 1024
    """A number that devices of this kind send in place of a value, such as -127 °C."""
    DISAGREES = 2048
    """Far off its neighbours, compared with how far it usually is; known when an incident ends."""
    ABSENT = 4096
    """Missing for far longer than this channel ever was."""


class Status(IntEnum):
    """What a verdict says of its row."""

    LEARNING = 0
    NORMAL = 1
    WARNING = 2
    """Unusual: within five times the alarm budget's return rate."""
    ANOMALY = 3


@dataclass(frozen=True, slots=True, eq=False)
class Verdicts:
    """Verdicts on ``n`` rows of ``C`` channels, as columns beside a batch.

    Attributes:
        sensor_ids: the distinct sensors.
        sensor: (n,) index into ``sensor_ids``.
        time: (n,) event time of the row, microseconds since the epoch, UTC.
        channels: the ``C`` channel names.
        values: (n, C) the row as it was scored; stored with the readings, not again.
        score: (n,) raw evidence, higher = more unusual.
        rate: (n,) return rate: normal incidents at least this extreme per sensor and 30 days of
            event time; ``inf`` while nothing is known yet.
        per_month: (n,) rows that the sensor brings in 30 days; ``rate / per_month`` is the tail
            probability.
        budget: (n,) the alarm budget in force, same scale as ``rate``.
        status: (n,) :class:`Status`.
        cause: (n,) code of the detector component that contributed most
            (:class:`redshank.detect.streaming.Cause`).
        flags: (n, C) :class:`Flag` of each value.
        expected: (n, C) what is normal for the channel now, in its unit; NaN while unknown.
        lower: (n, C) lower edge of the band that holds 90 % of normal readings.
        upper: (n, C) upper edge of that band.
        contributions: (n, C) share of the evidence, summing to 1, or all 0.
        model: name of the detector.
        version: its version.
    """

    sensor_ids: tuple[str, ...]
    sensor: Ints
    time: Times
    channels: tuple[str, ...]
    values: Floats
    score: Singles
    rate: Singles
    per_month: Singles
    budget: Singles
    status: Bytes
    cause: Bytes
    flags: Flags
    expected: Singles
    lower: Singles
    upper: Singles
    contributions: Singles
    model: str
    version: str

    def __len__(self) -> int:
        return len(self.time)


@dataclass(frozen=True, slots=True)
class Evidence:
    """One channel's part in an incident, at the incident's most unusual row.

    Attributes:
        channel: its name.
        unit: its canonical unit, "" if unknown.
        share: part of the evidence, 0 to 1.
        value: the reading, None if missing.
        expected: what is normal then, None if unknown.
        lower: lower edge of the 90 % band.
        upper: upper edge of the 90 % band.
    """

    channel: str
    unit: str
    share: float
    value: float | None
    expected: float | None
    lower: float | None
    upper: float | None


@dataclass(frozen=True, slots=True)
class Comment:
    """What a person wrote about an incident."""

    time: int
    text: str
    author: str = ""


@dataclass(frozen=True, slots=True)
class Incident:
    """Anomalous rows of one sensor that belong together.

    Attributes:
        id: derived from sensor and opening time, so that the same incident found twice is one.
        sensor_id: the sensor.
        opened: event time of the first anomalous row, microseconds.
        last: event time of the latest row that belonged to it, microseconds.
        closed: event time at which it ended; None while it goes on.
        severity: from the return rate against the budget.
        kind: what happened: "spike", "stuck", "level shift", "drift", "noise", "dropout",
            "saturation", "clock", "wrong unit", "disagreement", "unusual pattern", "silent",
            "stuttering" or "out of season".
        rate: return rate of its most unusual row, per sensor and 30 days.
        score: score of that row.
        peak: event time of that row.
        rows: number of rows from opening to last.
        budget: alarm budget when it opened.
        evidence: channels that contributed, most first.
        calm: channels that stayed normal throughout.
        title: one sentence without the sensor's name: what and how much.
        text: the explanation in plain words.
        origin: whether it looks like a fault of the sensor or like a real event, as of the latest
            change of the incident.
        feedback: the user's mark, None without one.
        comments: what people wrote, oldest first.
    """

    id: str
    sensor_id: str
    opened: int
    last: int
    closed: int | None
    severity: Severity
    kind: str
    rate: float
    score: float
    peak: int
    rows: int
    budget: float
    evidence: tuple[Evidence, ...]
    calm: tuple[str, ...]
    title: str
    text: str
    origin: Origin = "unknown"
    feedback: Feedback | None = None
    comments: tuple[Comment, ...] = ()

    @property
    def state(self) -> IncidentState:
        """``open`` while it goes on, else ``closed``."""
        return "open" if self.closed is None else "closed"

    @property
    def lasted(self) -> int:
        """Microseconds from the first to the latest row that belonged to it."""
        return self.last - self.opened


@dataclass(frozen=True, slots=True)
class ChannelInfo:
    """What is known of one channel of one sensor.

    Attributes:
        name: canonical name, or the sender's own where none fits.
        unit: canonical unit, "" if unknown.
        title: the sender's own title.
        source_unit: the sender's own unit, before conversion.
        resolution: smallest step between values seen, None if unknown; for rounding.
        minimum: least value that its owner holds for possible, in the canonical unit; None for
            what its quantity allows.
        maximum: largest such value.
        device: id by which the device itself calls what measures it, "" if unknown.
        scale: ``value * scale + offset`` is the device's value in the channel's unit.
        offset: likewise.
    """

    name: str
    unit: str = ""
    title: str = ""
    source_unit: str = ""
    resolution: float | None = None
    minimum: float | None = None
    maximum: float | None = None
    device: str = ""
    scale: float = 1.0
    offset: float = 0.0


@dataclass(frozen=True, slots=True)
class SensorInfo:
    """A registered sensor; what only its owner knows.

    Attributes:
        sensor_id: its id.
        name: what people call it; the id where nobody named it.
        site: where it belongs, "" if unknown.
        latitude: degrees, WGS 84.
        longitude: degrees, WGS 84.
        exposure: "indoor", "outdoor", "mobile" or "".
        source: where its readings come from.
        channels: by name.
        tags: free key-value pairs.
        budget: alarm budget of its own, None for the general one.
        owner: who looks after it.
        timezone: IANA name of the zone whose clocks and calendar apply there, "" for that of its
            site or the general one.
        edited: names of the fields that a person set; sources leave these alone.
    """

    sensor_id: str
    name: str = ""
    site: str = ""
    latitude: float | None = None
    longitude: float | None = None
    exposure: str = ""
    source: str = ""
    channels: Mapping[str, ChannelInfo] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    budget: float | None = None
    owner: str = ""
    timezone: str = ""
    edited: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SensorStatus:
    """A sensor as it stands, for lists.

    Attributes:
        info: the registered part.
        first_seen: event time of its first reading, microseconds; None before any.
        last_seen: event time of its newest reading, microseconds.
        rhythm: median interval between readings in seconds, None if unknown.
        readings: how many are stored.
        status: status of the newest verdict.
        rate: its return rate.
        latest: channel name to newest value.
        open_incidents: how many go on.
    """

    info: SensorInfo
    first_seen: int | None
    last_seen: int | None
    rhythm: float | None
    readings: int
    status: Status
    rate: float | None
    latest: Mapping[str, float]
    open_incidents: int


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Something that could not become a reading, and what it takes to read it again.

    Attributes:
        time: when it came, microseconds, wall clock; the time of its rows that have none.
        source: where from.
        reason: what was wrong, naming field and value.
        raw: the bytes as they came (cut to 64 KiB).
        id: given by the store.
        topic: what the source files it under: topic, box and sensor, file; "" for none.
        content_type: how the bytes are to be read, "" if nobody knows.
        details: what else its bytes do not say, such as the precision of times.
        key: tells it from others of its source and topic, so that one that comes again is
            recognised; "" for letters that are always new.
    """

    time: int
    source: str
    reason: str
    raw: bytes
    id: int | None = None
    topic: str = ""
    content_type: str = ""
    details: Mapping[str, str] = field(default_factory=dict)
    key: str = ""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The pipeline's state of one sensor after all of its rows, this commit's included."""

    sensor_id: str
    state: bytes
