"""What a count of rare events says about their rate."""

from __future__ import annotations

from collections.abc import Callable
from statistics import NormalDist

import numpy as np

_HALVINGS = 60
_LARGE = 1000


def poisson_interval(count: int, level: float = 0.95) -> tuple[float, float]:
    """Exact confidence interval of a Poisson mean of which ``count`` events were seen.

    Never covers less than ``level`` (Garwood 1936, Biometrika 28: 437-442); for more than 1,000
    events from Wilson and Hilferty's approximation (1931, PNAS 17: 684-688), which is off by less
    than a millionth there. Both ends are in events, as the count is; divide by the exposure for a
    rate.
    """
    if count < 0 or not 0 < level < 1:
        raise ValueError(f"no interval for a count of {count} at level {level}")
    outside = (1 - level) / 2
    if count > _LARGE:
        z = NormalDist().inv_cdf(1 - outside)
        return _approximate(count, -z), _approximate(count + 1, z)
    top = count + 10.0 + 10.0 * (count + 1) ** 0.5
    below = 0.0 if count == 0 else _mean_where(lambda mean: 1 - _at_most(count - 1, mean), outside)
    above = _mean_where(lambda mean: 1 - _at_most(count, mean), 1 - outside, top)
    return below, above


def _approximate(shape: int, z: float) -> float:
    """A quantile of the gamma distribution of this shape, at a quantile of the normal one."""
    return float(shape * (1 - 1 / (9 * shape) + z / (3 * shape**0.5)) ** 3)


def _mean_where(rising: Callable[[float], float], wanted: float, top: float = 0.0) -> float:
    """Where a function that rises with the mean reaches a value."""
    low, high = 0.0, top or 1.0
    while rising(high) < wanted:
        high *= 2
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < wanted else (low, middle)
    return (low + high) / 2


def _at_most(count: int, mean: float) -> float:
    """Probability of at most so many events."""
    if mean <= 0:
        return 1.0
    steps = np.log(mean) - np.log(np.arange(1, count + 1))
    logs = np.concatenate([[0.0], np.cumsum(steps)]) - mean
    return float(np.exp(logs).sum())
