"""What answers look like, for OpenAPI."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from redshank.services.api.bodies import Mark, Severity, StatusName


class Fault(BaseModel):
    """One thing that is wrong."""

    field: str
    value: Any = None
    reason: str
    index: int | None = None
    line: int | None = None


class Problem(BaseModel):
    """Problem details after RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[Fault] = []


class DeviceProblem(BaseModel):
    """What is wrong, in openSenseMap's form."""

    code: str
    message: str


class RowFault(Fault):
    """A row that could not be used."""

    index: int


class RowResult(BaseModel):
    """What became of one row; refused ones with what is wrong."""

    index: int
    result: Literal["accepted", "duplicate", "conflict", "rejected"]
    field: str | None = None
    value: Any = None
    reason: str | None = None


class Taken(BaseModel):
    """What became of a request; every row counts in exactly one of the first four."""

    accepted: int = Field(examples=[2])
    duplicates: int
    conflicts: int
    rejected: int
    anomalies: int
    errors: list[RowFault]
    rows: list[RowResult] | None = Field(None, description="with `details=1`")


class Event(BaseModel):
    """A stored row; its channels stand beside these fields."""

    model_config = ConfigDict(extra="allow")
    event_id: str
    sensor_id: str
    timestamp: str
    flags: dict[str, list[str]] | None = Field(
        None, description="quality flags by channel; absent where there are none"
    )


class Anomaly(Event):
    """An anomalous row."""

    anomaly_score: float | None
    model_name: str | None
    model_version: str | None
    created_at: str


class ModelName(BaseModel):
    """Which model said it."""

    name: str
    version: str


class Prediction(BaseModel):
    """What redshank says to a reading."""

    timestamp: str
    is_anomaly: bool
    anomaly_score: float = Field(ge=0, le=1)
    threshold: float = Field(ge=0, le=1)
    status: Literal["normal", "warning", "anomaly"]
    model: ModelName
    contributions: dict[str, float]


class ModelInfo(BaseModel):
    """The model in service."""

    name: str
    version: str
    type: str
    channels: Any
    features: Any
    parameters: dict[str, Any]
    trained_at: str | None
    metrics: dict[str, Any]


class TableScores(BaseModel):
    """One score and one decision per row."""

    anomaly_scores: list[float]
    is_anomaly: list[bool]
    threshold: float
    processing_time_ms: float
    window_count: int


class ChannelOut(BaseModel):
    """A channel of a sensor and its newest value."""

    unit: str
    title: str
    resolution: float | None
    minimum: float | None = Field(description="set by the owner")
    maximum: float | None
    value: float | None


class SensorOut(BaseModel):
    """A sensor as it stands."""

    sensor_id: str
    name: str
    site: str
    latitude: float | None
    longitude: float | None
    exposure: str
    timezone: str
    owner: str
    source: str
    tags: dict[str, str]
    status: StatusName
    rate: float | None
    open_incidents: int
    first_seen: str | None
    last_seen: str | None
    rhythm_seconds: float | None
    readings: int
    budget: float | None
    channels: dict[str, ChannelOut]


class SensorList(BaseModel):
    """One page of the fleet."""

    total: int
    counts: dict[str, int]
    newest: str | None
    sites: list[str]
    sensors: list[SensorOut]


class SeriesChannel(BaseModel):
    """Columns of one channel, one entry a step."""

    unit: str
    resolution: float | None
    low: list[float | None]
    high: list[float | None]
    mean: list[float | None]
    expected: list[float | None]
    lower: list[float | None]
    upper: list[float | None]
    contribution: list[float | None]
    flags: list[int]


class SeriesIncident(BaseModel):
    """An incident as a span of a chart."""

    id: str
    start: str
    end: str | None
    severity: str
    channels: list[str]


class SeriesOut(BaseModel):
    """A sensor over a span of time."""

    sensor_id: str
    start: str
    end: str
    bucket_seconds: float | None
    gap_seconds: float | None
    time: list[int]
    channels: dict[str, SeriesChannel]
    score: list[float | None]
    rate: list[float | None]
    status: list[int]
    incidents: list[SeriesIncident]


class Sparkline(BaseModel):
    """Means of equal steps."""

    start: str
    step_seconds: float
    channels: dict[str, list[float | None]]


class Sparklines(BaseModel):
    """By sensor."""

    sensors: dict[str, Sparkline]


class EvidenceOut(BaseModel):
    """One channel's part in an incident."""

    channel: str
    unit: str
    share: float
    value: float | None
    expected: float | None
    lower: float | None
    upper: float | None


class CommentOut(BaseModel):
    """What a person wrote."""

    time: str
    text: str
    author: str


class IncidentOut(BaseModel):
    """An incident and its story."""

    id: str
    sensor_id: str
    sensor_name: str
    state: Literal["open", "closed"]
    opened: str
    last: str
    closed: str | None
    duration_seconds: float
    severity: Severity
    kind: str
    origin: Literal["sensor", "event", "unknown"]
    title: str
    text: str
    rate: float | None
    once_in_days: float | None
    score: float | None
    peak: str
    rows: int
    budget: float
    evidence: list[EvidenceOut]
    calm: list[str]
    feedback: Mark | None
    comments: list[CommentOut]
    notifications: list[dict[str, Any]]


class IncidentList(BaseModel):
    """One page of incidents."""

    total: int
    open: int
    incidents: list[IncidentOut]


class Promised(BaseModel):
    """What the budget allows."""

    days: float
    sensor_months: float
    incidents: float


class RateOut(BaseModel):
    """A count of incidents per sensor and 30 days, with its exact 95 % Poisson interval."""

    count: int
    per_sensor_month: float | None
    low: float | None
    high: float | None


class Measured(BaseModel):
    """Incidents that opened in these days; `false` are those marked so."""

    incidents: int
    marked_false: int
    marked_real: int
    marked_expected: int
    unmarked: int
    false: RateOut
    false_or_unmarked: RateOut


class TooSlow(BaseModel):
    """Sensors that report too seldom to bring as many incidents as their budget allows."""

    count: int
    sensors: list[str]


class BudgetOut(BaseModel):
    """The alarm budget in force."""

    per_sensor_month: float
    per_fleet_day: float | None
    sensors_with_own: dict[str, float]
    sensors: int
    sensors_sharing: int
    fleet_per_day: float
    promised: Promised
    measured: Measured
    verdict: Literal["kept", "unclear", "exceeded", "unknown"]
    too_slow: TooSlow


class PreviewIncident(BaseModel):
    """An incident that a budget would have brought."""

    sensor_id: str
    sensor_name: str
    opened: str
    last: str
    rate: float | None
    id: str
    title: str | None


class PreviewOut(BaseModel):
    """What a budget would have brought."""

    per_sensor_month: float
    per_fleet_day: float | None
    days: float
    count: int
    count_now: int
    incidents: list[PreviewIncident]


class Dependency(BaseModel):
    """How one part is."""

    status: Literal["healthy", "degraded"]
    detail: str


class Dependencies(BaseModel):
    """How the parts are."""

    store: Dependency
    pipeline: Dependency
    sources: dict[str, Dependency]


class Health(BaseModel):
    """How redshank is."""

    status: Literal["healthy", "degraded"]
    version: str
    uptime_seconds: float
    model_loaded: bool
    dependencies: Dependencies


class DeadLetterOut(BaseModel):
    """Something that could not become a reading."""

    id: int
    time: str
    source: str
    topic: str = Field(description="MQTT topic, box and sensor, file; empty where there is none")
    content_type: str
    details: dict[str, str] = Field(description="what its bytes alone do not say")
    reason: str
    raw: str


class DeadLetterList(BaseModel):
    """One page of dead letters."""

    total: int
    dead_letters: list[DeadLetterOut]


class Purged(BaseModel):
    """How many are gone."""

    removed: int


class BoxOut(BaseModel):
    """What became of one box."""

    box_id: str
    name: str
    read: int
    stored: int
    duplicates: int
    conflicts: int
    flagged: int
    anomalies: int
    unmapped: list[str]
    error: str | None


class IngestOut(BaseModel):
    """By box."""

    boxes: list[BoxOut]
