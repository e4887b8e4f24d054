"""Injected faults: when, where, of what kind, and what they do to healthy values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np

from redshank.adapters.sources.simulator.presets import ChannelModel
from redshank.core.batch import Floats
from redshank.core.clock import DAY, HOUR, MINUTE

KINDS = (
    "spike",
    "level_shift",
    "drift",
    "noise_burst",
    "stuck",
    "dropout",
    "saturation",
    "phase_shift",
    "wrong_unit",
)
"""All kinds of fault that can be injected."""

# Shortest and longest duration in microseconds; spikes last for rows, not for a time.
_DURATION: Mapping[str, tuple[int, int]] = {
    "level_shift": (2 * HOUR, 12 * HOUR),
    "drift": (6 * HOUR, 24 * HOUR),
    "noise_burst": (30 * MINUTE, 3 * HOUR),
    "stuck": (HOUR, 8 * HOUR),
    "dropout": (10 * MINUTE, 2 * HOUR),
    "saturation": (HOUR, 4 * HOUR),
    "phase_shift": (12 * HOUR, 24 * HOUR),
    "wrong_unit": (2 * HOUR, 12 * HOUR),
}
_AHEAD = 6 * HOUR
"""A phase shift makes the pattern run this much ahead."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One injected fault.

    Attributes:
        sensor: the sensor's number.
        channel: the channel's number.
        kind: one of :data:`KINDS`.
        start: first event time, microseconds.
        end: last event time.
        size: strength, in the channel's unit or as a factor.
    """

    sensor: int
    channel: int
    kind: str
    start: int
    end: int
    size: float


class FaultPlan:
    """Faults of all sensors on any day, the same for the same seed.

    Args:
        models: the channels.
        sensors: how many sensors.
        per_day: mean number of faults per sensor and day.
        kinds: which kinds.
        every: event time between rows, microseconds.
        seed: of everything random.
        begin: no fault starts before this event time.
    """

    def __init__(
        self,
        models: Sequence[ChannelModel],
        sensors: int,
        per_day: float,
        kinds: Sequence[str],
        every: int,
        seed: int,
        begin: int,
    ) -> None:
        self._models, self._sensors, self._per_day = models, sensors, per_day
        self._kinds, self._every, self._seed, self._begin = tuple(kinds), every, seed, begin
        self._days: dict[int, list[Fault]] = {}

    def between(self, start: int, end: int) -> list[Fault]:
        """Faults that touch this span of event time."""
        days = range(start // DAY - 1, end // DAY + 1)
        self._days = {day: self._days.get(day) or self._drawn(day) for day in days}
        found = (fault for faults in self._days.values() for fault in faults)
        return [fault for fault in found if fault.start <= end and fault.end >= start]

    def _drawn(self, day: int) -> list[Fault]:
        """The day's faults; none lasts longer than a day. One at a time per channel."""
        rng = np.random.default_rng([self._seed, 2, max(day, 0)])
        drawn = [self._fault(rng, day) for _ in range(rng.poisson(self._per_day * self._sensors))]
        free: dict[tuple[int, int], int] = {}
        kept = []
        for fault in sorted(drawn, key=lambda fault: fault.start):
            place = (fault.sensor, fault.channel)
            if fault.start >= max(self._begin, free.get(place, 0)):
                kept.append(fault)
                free[place] = fault.end + 1
        return kept

    def _fault(self, rng: np.random.Generator, day: int) -> Fault:
        sensor = int(rng.integers(self._sensors))
        channel = int(rng.integers(len(self._models)))
        kind = self._kinds[int(rng.integers(len(self._kinds)))]
        model = self._models[channel]
        start = day * DAY + int(rng.integers(DAY))
        if kind == "spike":
            length = self._every * int(rng.integers(1, 4)) - 1
        else:
            length = int(rng.integers(*_DURATION[kind]))
        sign = rng.choice((-1.0, 1.0))
        size = {
            "spike": sign * rng.uniform(6, 12) * model.spread,
            "level_shift": sign * rng.uniform(4, 8) * model.spread,
            "drift": sign * rng.uniform(5, 10) * model.spread,
            "noise_burst": rng.uniform(6, 10) * max(model.noise, model.spread / 4),
        }.get(kind, 0.0)
        return Fault(sensor, channel, kind, start, start + length, float(size))


def ahead(faults: Sequence[Fault], time: np.ndarray, channels: int) -> Floats | None:
    """(S, C) microseconds by which patterns run ahead in rows at these times; None for nowhere."""
    shifted = [f for f in faults if f.kind == "phase_shift" and f.start <= time[f.sensor] <= f.end]
    if not shifted:
        return None
    shift = np.zeros((len(time), channels))
    for fault in shifted:
        shift[fault.sensor, fault.channel] = _AHEAD
    return shift


def apply(
    fault: Fault,
    values: Floats,
    time: int,
    step: int,
    model: ChannelModel,
    healthy_at_start: Callable[[Fault], float],
) -> None:
    """Change the faulty sensor's value in one row of (S, C) values.

    Args:
        fault: what goes wrong; the row lies within it.
        values: the row, changed in place.
        time: the sensor's event time.
        step: number of the row.
        model: of the channel.
        healthy_at_start: the value a stuck sensor is stuck at.
    """
    place = (fault.sensor, fault.channel)
    value = values[place]
    if fault.kind in ("spike", "level_shift"):
        value += fault.size
    elif fault.kind == "drift":
        value += fault.size * (time - fault.start) / (fault.end - fault.start)
    elif fault.kind == "noise_burst":
        value += fault.size * np.random.default_rng([abs(fault.start), step]).normal()
    elif fault.kind == "stuck":
        value = healthy_at_start(fault)
    elif fault.kind == "dropout":
        value = np.nan
    elif fault.kind == "saturation":
        value = model.maximum if isfinite(model.maximum) else model.mean + 8 * model.spread
    elif fault.kind == "wrong_unit":
        value = _in_wrong_unit(value, model.unit)
    values[place] = _as_reported(value, model)


def _in_wrong_unit(value: float, unit: str) -> float:
    """The classic mix-ups: Fahrenheit, pascal, a fraction for a percentage, a thousandth."""
    if unit == "°C":
        return value * 1.8 + 32
    return value * {"hPa": 100.0, "%": 0.01}.get(unit, 0.001)


def _as_reported(value: float, model: ChannelModel) -> float:
    if not model.resolution:
        return value
    return float(np.round(value, max(0, round(-np.log10(model.resolution)))))
