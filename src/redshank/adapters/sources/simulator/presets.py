"""What simulated machines and boxes measure when nothing is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf

import numpy as np
from numpy.typing import NDArray

from redshank.core.batch import Floats
from redshank.core.clock import DAY, HOUR

_SLOW_PERIODS = np.array([3.1 * HOUR, 7.7 * HOUR, 55.0 * HOUR])
"""Incommensurate, so that the sum does not repeat."""


@dataclass(frozen=True, slots=True)
class ChannelModel:
    """One channel of a healthy sensor, as a function of time.

    Attributes:
        name: channel name.
        unit: unit of everything below.
        mean: centre.
        daily: amplitude of the daily wave, highest at ``peak``.
        peak: hour of the day (UTC) of its highest point.
        weekly: how much lower weekends are.
        sun: amplitude of daylight, zero at night.
        wander: amplitude of slow irregular change.
        noise: standard deviation from row to row.
        follows: other channels whose deviation from their mean adds to this one, times a factor.
        differs: standard deviation between sensors.
        resolution: step of the output, 0 for none.
        minimum: lowest output.
        maximum: highest output; where it is infinite a saturated sensor shows a high value.
    """

    name: str
    unit: str
    mean: float
    daily: float = 0.0
    peak: float = 14.0
    weekly: float = 0.0
    sun: float = 0.0
    wander: float = 0.0
    noise: float = 0.0
    follows: Mapping[str, float] | None = None
    differs: float = 0.0
    resolution: float = 0.0
    minimum: float = -inf
    maximum: float = inf

    @property
    def spread(self) -> float:
        """How far values usually are from the mean; the measure of injected faults."""
        parts = (self.daily, self.weekly, self.sun / 2, self.wander, self.noise)
        return float(np.sqrt(np.sum(np.square(parts))))


PRESETS: Mapping[str, tuple[ChannelModel, ...]] = {
    # Centres and ranges are those of the demonstrations that users of the forerunners know.
    "turbine": (
        ChannelModel("temperature", "°C", 25, daily=2.2, wander=0.8, noise=0.2, resolution=0.01),
        ChannelModel(
            "humidity",
            "%",
            60,
            wander=3,
            noise=0.6,
            follows={"temperature": -1.8},
            resolution=0.01,
            minimum=0,
            maximum=100,
        ),
        ChannelModel(
            "sound", "", 0.5, daily=0.05, wander=0.03, noise=0.02, resolution=0.001, minimum=0
        ),
    ),
    "factory": (
        ChannelModel(
            "temperature",
            "°C",
            75,
            daily=4,
            weekly=2,
            wander=2,
            noise=0.4,
            resolution=0.1,
            minimum=0,
        ),
        ChannelModel(
            "pressure",
            "hPa",
            102.5,
            wander=2.2,
            noise=0.5,
            follows={"temperature": 0.3},
            resolution=0.1,
            minimum=0,
        ),
        ChannelModel(
            "vibration",
            "mm/s",
            0.03,
            daily=0.005,
            weekly=0.004,
            wander=0.004,
            noise=0.0018,
            resolution=0.0001,
            minimum=0,
        ),
    ),
    "office": (
        ChannelModel(
            "temperature", "°C", 22, daily=1.2, peak=16, wander=0.4, noise=0.05, resolution=0.01
        ),
        ChannelModel(
            "humidity",
            "%",
            45,
            wander=4,
            noise=0.2,
            follows={"temperature": -1.5},
            resolution=0.1,
            minimum=0,
            maximum=100,
        ),
        ChannelModel(
            "co2",
            "ppm",
            720,
            daily=160,
            peak=13,
            weekly=120,
            wander=40,
            noise=8,
            resolution=1,
            minimum=380,
        ),
    ),
    "sensebox": (
        ChannelModel(
            "temperature",
            "°C",
            11,
            daily=4.5,
            peak=14,
            wander=2,
            noise=0.08,
            differs=1,
            resolution=0.01,
        ),
        ChannelModel(
            "humidity",
            "%",
            72,
            wander=5,
            noise=0.3,
            follows={"temperature": -3},
            differs=3,
            resolution=0.01,
            minimum=0,
            maximum=100,
        ),
        ChannelModel("pressure", "hPa", 1012, wander=6, noise=0.05, differs=2, resolution=0.01),
        ChannelModel(
            "sound_level",
            "dB(A)",
            44,
            daily=4,
            weekly=2,
            wander=2,
            noise=1.5,
            differs=3,
            resolution=0.1,
            minimum=28,
        ),
        ChannelModel("illuminance", "lx", 0, sun=22_000, noise=5, resolution=1, minimum=0),
        ChannelModel("uv_intensity", "µW/cm²", 0, sun=140, noise=0.5, resolution=0.1, minimum=0),
        ChannelModel(
            "pm10",
            "µg/m³",
            14,
            wander=6,
            noise=0.8,
            differs=2,
            resolution=0.1,
            minimum=0.5,
        ),
        ChannelModel(
            "pm25",
            "µg/m³",
            6,
            noise=0.4,
            follows={"pm10": 0.5},
            differs=1,
            resolution=0.1,
            minimum=0.2,
        ),
    ),
}
"""Channels by preset name."""


class HealthyFleet:
    """Values of ``S`` sensors with ``C`` channels at any time, the same for the same seed.

    Args:
        models: the channels.
        sensors: how many sensors.
        seed: of everything random.
    """

    def __init__(self, models: tuple[ChannelModel, ...], sensors: int, seed: int) -> None:
        rng = np.random.default_rng([seed, 0])
        self.models = models
        self.sensors = sensors
        self._seed = seed
        differs = np.array([model.differs for model in models])
        self._offset = rng.normal(size=(sensors, len(models))) * differs
        self._phase = rng.uniform(0, 2 * np.pi, (len(_SLOW_PERIODS), sensors, len(models)))
        self._sky = rng.uniform(0, 2 * np.pi, (len(_SLOW_PERIODS), 1, 1))

    def values(self, time: NDArray[np.int64], step: int, shift: Floats | None = None) -> Floats:
        """(S, C) healthy values.

        Args:
            time: (S,) event time of each sensor's row, microseconds.
            step: number of the row; noise depends on it, so that any part can be made alone.
            shift: (S, C) microseconds by which the pattern runs ahead; None for nowhere.
        """
        there = np.repeat(time[:, None].astype(np.float64), len(self.models), axis=1)
        values = self._at(there, step)
        # What follows a shifted channel follows the quantity, not the faulty sensor.
        return values if shift is None else np.where(shift, self._at(there + shift, step), values)

    def _at(self, moment: Floats, step: int) -> Floats:
        deviation = self._pattern(moment) + self._offset
        noise = np.random.default_rng([self._seed, 1, step]).normal(size=deviation.shape)
        deviation += noise * [model.noise for model in self.models]
        return self._finished(self._by("mean") + self._with_followers(deviation))

    def _pattern(self, moment: Floats) -> Floats:
        waves = 2 * np.pi * moment / _SLOW_PERIODS[:, None, None]
        wander = np.sin(waves + self._phase).sum(axis=0) / np.sqrt(len(_SLOW_PERIODS))
        clouds = 0.65 + 0.35 * np.sin(waves + self._sky).mean(axis=0)
        peak = np.array([model.peak for model in self.models])
        day = np.cos(2 * np.pi * (moment / DAY - peak / 24))
        sun = np.clip(np.cos(2 * np.pi * (moment / DAY - 0.5)), 0, None) ** 1.3 * clouds
        # 1970-01-01 was a Thursday: days 2 and 3 of each week are the weekend.
        weekend = np.isin(moment // DAY % 7, (2, 3))
        pattern: Floats = (
            self._by("daily") * day + self._by("sun") * sun + self._by("wander") * wander
        )
        return pattern - self._by("weekly") * weekend

    def _with_followers(self, deviation: Floats) -> Floats:
        index = {model.name: i for i, model in enumerate(self.models)}
        total = deviation.copy()
        for i, model in enumerate(self.models):
            for other, factor in (model.follows or {}).items():
                total[:, i] += factor * deviation[:, index[other]]
        return total

    def _finished(self, values: Floats) -> Floats:
        for i, model in enumerate(self.models):
            if model.resolution:
                digits = max(0, round(-np.log10(model.resolution)))
                values[:, i] = np.round(values[:, i], digits)
        clipped: Floats = np.clip(values, self._by("minimum"), self._by("maximum"))
        return clipped

    def _by(self, attribute: str) -> Floats:
        """(C,) this attribute of every channel."""
        return np.array([getattr(model, attribute) for model in self.models], np.float64)
