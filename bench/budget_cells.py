"""What the bench of the alarm budget finds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from redshank.core.counts import poisson_interval


@dataclass(frozen=True)
class Cell:
    """Incidents of one kind of stream at one cadence in one period of a sensor's life.

    Attributes:
        kind: of stream.
        interval: seconds between readings.
        promise: incidents per sensor and 30 days.
        period: of ``PERIODS``.
        incidents: how many there were.
        sensor_months: how long was watched, all sensors together.
        per_sensor: incidents of each sensor.
        by: what spoke -> incidents.
        learning: share of the time that the sensors had no rates yet.
    """

    kind: str
    interval: float
    promise: float
    period: str
    incidents: int
    sensor_months: float
    per_sensor: tuple[int, ...]
    by: Mapping[str, int]
    learning: float

    @property
    def rate(self) -> float:
        """Per sensor and 30 days."""
        return self.incidents / self.sensor_months

    @property
    def interval_95(self) -> tuple[float, float]:
        """Of the rate, exact for a Poisson count."""
        low, high = poisson_interval(self.incidents)
        return low / self.sensor_months, high / self.sensor_months


@dataclass(frozen=True)
class Found:
    """How injected faults of one type and size were found.

    Attributes:
        fault: its type.
        size: see :class:`injected.Fault`.
        interval: seconds between readings.
        age: days that the sensor had been watched.
        promise: the budget.
        events: how many were injected.
        recall: share that was alarmed.
        delay: mean share of the event until the alarm; 1 for a miss.
    """

    fault: str
    size: float
    interval: float
    age: float
    promise: float
    events: int
    recall: float
    delay: float


@dataclass
class Measured:
    """Everything that ``measure`` found."""

    cells: list[Cell] = field(default_factory=list)
    found: list[Found] = field(default_factory=list)
    rows: int = 0
