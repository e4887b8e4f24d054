"""Other people's detectors, as their libraries ship them, and what a score for nothing gives.

A peer gets the prepared values of a series, (n, c), and how many rows come before those that
count. It is fitted on these first rows and scores all rows; none of them sees a label and none is
tuned. Needs the extra: pip install "redshank[bench]".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Peer = Callable[[Floats, int], Floats]


def isolation_forest(values: Floats, train_rows: int) -> Floats:
    """Liu, Ting and Zhou 2008, as in scikit-learn, one row at a time as a point."""
    from sklearn.ensemble import IsolationForest

    forest = IsolationForest(n_estimators=100, random_state=0).fit(values[:train_rows])
    scores: Floats = -forest.score_samples(values)
    return scores


def pyod_knn(values: Floats, train_rows: int) -> Floats:
    """Distance to the fifth nearest row of the prefix (Ramaswamy et al. 2000)."""
    from pyod.models.knn import KNN

    return _pyod(KNN(), values, train_rows)


def pyod_copod(values: Floats, train_rows: int) -> Floats:
    """Tails of the empirical copula (Li et al. 2020); has no settings."""
    from pyod.models.copod import COPOD

    return _pyod(COPOD(), values, train_rows)


def pyod_cblof(values: Floats, train_rows: int) -> Floats:
    """Distance to the nearest large cluster (He, Xu and Deng 2003)."""
    from pyod.models.cblof import CBLOF

    return _pyod(CBLOF(random_state=0), values, train_rows)


def pyod_gmm(values: Floats, train_rows: int) -> Floats:
    """Likelihood under a Gaussian with all covariances."""
    from pyod.models.gmm import GMM

    return _pyod(GMM(random_state=0), values, train_rows)


def _pyod(detector: Any, values: Floats, train_rows: int) -> Floats:
    scores: Floats = detector.fit(values[:train_rows]).decision_function(values)
    return np.nan_to_num(scores, posinf=1e30, neginf=-1e30)


def half_space_trees(values: Floats, train_rows: int) -> Floats:
    """Tan, Ting and Liu 2011, as in river: scores each row, then learns it."""
    from river.anomaly import HalfSpaceTrees

    low, high = values[:train_rows].min(axis=0), values[:train_rows].max(axis=0)
    unit = np.clip((values - low + 1e-9) / (high - low + 2e-9), 0, 1)
    trees: Any = HalfSpaceTrees(n_trees=10, height=8, window_size=min(250, train_rows), seed=0)
    scores = np.zeros(len(values))
    for row, cells in enumerate(unit.tolist()):
        reading = dict(enumerate(cells))
        if row >= train_rows:
            scores[row] = trees.score_one(reading)
        trees.learn_one(reading)
    return scores


def ridge_var(values: Floats, train_rows: int, lags: int = 5, penalty: float = 10.0) -> Floats:
    """One-step forecast of all channels from all channels' last rows; smoothed residual."""
    n = len(values)
    past = np.hstack([values[lags - 1 - k : n - 1 - k] for k in range(lags)])
    past = np.hstack((past, np.ones((len(past), 1))))
    target, known = values[lags:], max(train_rows - lags, 1)
    gram = past[:known].T @ past[:known] + penalty * np.eye(past.shape[1])
    residual = target - past @ np.linalg.solve(gram, past[:known].T @ target[:known])
    residual /= residual[:known].std(axis=0) + 1e-2
    return smoothed(np.append(np.zeros(lags), np.sqrt((residual**2).mean(axis=1))))


def robust_z(values: Floats, train_rows: int) -> Floats:
    """Largest distance from the prefix's median, in units of its median absolute deviation."""
    middle = np.median(values[:train_rows], axis=0)
    spread = 1.4826 * np.median(np.abs(values[:train_rows] - middle), axis=0)
    worst: Floats = (np.abs(values - middle) / np.maximum(spread, 1e-2)).max(axis=1)
    return worst


def random_score(values: Floats, train_rows: int) -> Floats:
    """What a metric gives for nothing."""
    return np.random.default_rng(0).random(len(values))


PEERS: dict[str, Peer] = {
    "isolation forest": isolation_forest,
    "PyOD KNN": pyod_knn,
    "PyOD COPOD": pyod_copod,
    "PyOD CBLOF": pyod_cblof,
    "PyOD GMM": pyod_gmm,
    "half-space trees": half_space_trees,
    "ridge VAR": ridge_var,
    "robust z": robust_z,
    "random": random_score,
}


def smoothed(scores: Floats, share: float = 0.1) -> Floats:
    """Exponentially weighted mean."""
    level, out = scores[0], np.empty_like(scores)
    for row, value in enumerate(scores):
        level += share * (value - level)
        out[row] = level
    return out


def prepared(values: Floats, train_rows: int) -> Floats:
    """Gaps filled with the last value, channels in units of the prefix's standard deviation."""
    known = np.where(np.isnan(values), 0, np.arange(len(values))[:, None])
    filled = np.take_along_axis(values, np.maximum.accumulate(known, axis=0), axis=0)
    filled = np.nan_to_num(filled)
    mean, spread = filled[:train_rows].mean(axis=0), filled[:train_rows].std(axis=0)
    unit: Floats = (filled - mean) / np.where(spread < 1e-9, 1.0, spread)
    return unit.clip(-1e3, 1e3)
