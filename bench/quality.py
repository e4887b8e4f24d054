"""Quality of the score beside peers, in one run on labelled series.

    python bench/quality.py DATA [--all] [--jobs 2] [--json]

DATA is a folder with a manifest.json as described in docs/evaluation.md, which also says where
such series come from. Peers are fitted on the learning prefix (rows before `train_rows`) and score
every later row; none of them sees a label. Needs the extra: pip install "redshank[bench]".
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import numpy as np
import orjson
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from redshank.core.errors import RedshankError
from redshank.models.evaluate import (
    MODES,
    Figures,
    SeriesResult,
    compare,
    evaluate_series,
    mean_figures,
    series_table,
)
from redshank.models.manifest import Series, read_manifest

Floats = NDArray[np.float64]
Peer = Callable[[Floats, int], Floats]

SOURCES = (
    "Such data: SKAB (github.com/waico/SKAB), NAB (github.com/numenta/NAB), MSL and SMAP "
    "(github.com/khundman/telemanom), SMD (github.com/NetManAIOps/OmniAnomaly); as Parquet or CSV "
    "tables with an is_anomaly column, listed in a manifest.json (docs/evaluation.md)."
)


def isolation_forest(values: Floats, train_rows: int) -> Floats:
    """Liu, Ting and Zhou 2008, as in scikit-learn, one row at a time as a point."""
    from sklearn.ensemble import IsolationForest

    forest = IsolationForest(n_estimators=100, random_state=0).fit(values[:train_rows])
    return -forest.score_samples(values)


def nearest_neighbours(values: Floats, train_rows: int) -> Floats:
    """Distance to the fifth nearest row of the prefix (Ramaswamy et al. 2000)."""
    from sklearn.neighbors import NearestNeighbors

    model = NearestNeighbors(n_neighbors=5).fit(values[:train_rows])
    return model.kneighbors(values)[0][:, -1]


def half_space_trees(values: Floats, train_rows: int) -> Floats:
    """Tan, Ting and Liu 2011, as in river: scores each row, then learns it."""
    from river.anomaly import HalfSpaceTrees

    low, high = values[:train_rows].min(axis=0), values[:train_rows].max(axis=0)
    unit = np.clip((values - low + 1e-9) / (high - low + 2e-9), 0, 1)
    trees = HalfSpaceTrees(n_trees=10, height=8, window_size=min(250, train_rows), seed=0)
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
    return (np.abs(values - middle) / np.maximum(spread, 1e-2)).max(axis=1)


def random_score(values: Floats, train_rows: int) -> Floats:
    """What a metric gives for nothing."""
    return np.random.default_rng(0).random(len(values))


PEERS: dict[str, Peer] = {
    "isolation forest": isolation_forest,
    "5 nearest neighbours": nearest_neighbours,
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
    return np.clip((filled - mean) / np.where(spread < 1e-9, 1.0, spread), -1e3, 1e3)


def run_series(series: Series) -> list[SeriesResult]:
    """Our detector in both modes and all peers on one series."""
    results = [
        SeriesResult(r.name, r.family, r.core, f"redshank {r.mode}", r.rows, r.events, r.figures)
        for r in evaluate_series(series, MODES)
    ]
    table = series_table(series)
    values = prepared(table.values, series.train_rows)
    for name, peer in PEERS.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            results.append(compare(series, name, table, peer(values, series.train_rows)))
    return results


def run_all(listed: list[Series], jobs: int, console: Console) -> list[SeriesResult]:
    """Results of all series, over processes."""
    results: list[SeriesResult] = []
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context) as pool, console.status("") as status:
        longest_first = sorted(listed, key=lambda one: -one.file.stat().st_size)
        waiting = [pool.submit(run_series, series) for series in longest_first]
        for done, future in enumerate(as_completed(waiting), 1):
            results += future.result()
            status.update(f"{done} of {len(listed)} series")
    return results


def summary(results: list[SeriesResult]) -> dict[str, dict[str, Figures]]:
    """Method, then family or "macro", to mean figures."""
    families = sorted({result.family for result in results})
    out: dict[str, dict[str, Figures]] = {}
    for method in (*(f"redshank {mode}" for mode in MODES), *PEERS):
        of_method = [result for result in results if result.mode == method]
        means = {
            family: mean_figures([r.figures for r in of_method if r.family == family])
            for family in families
        }
        out[method] = means | {"macro": mean_figures(list(means.values()))}
    return out


def print_tables(means: dict[str, dict[str, Figures]], console: Console) -> None:
    """VUS-PR of all methods, and the alarms of ours."""
    groups = list(next(iter(means.values())))
    scores = Table("VUS-PR", *groups)
    alarms = Table("shipped alarm", *groups, caption="event F1 @ false alarms per 1000 rows")
    for method, by_group in means.items():
        scores.add_row(method, *(f"{by_group[group].vus_pr:.3f}" for group in groups))
        if method.startswith("redshank"):
            cells = [by_group[group] for group in groups]
            alarms.add_row(
                method, *(f"{one.event_f1:.2f} @ {one.false_per_1000:.2f}" for one in cells)
            )
            alarms.add_row(
                "  recall / delay", *(f"{one.recall:.2f} / {one.delay:.2f}" for one in cells)
            )
    console.print(scores)
    console.print(alarms)


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], epilog=SOURCES)
    parser.add_argument("data", type=Path, help="folder with manifest.json")
    parser.add_argument("--all", action="store_true", help="all series, not only the core subset")
    parser.add_argument("--jobs", type=int, default=multiprocessing.cpu_count())
    parser.add_argument("--json", action="store_true", help="JSON instead of tables")
    options = parser.parse_args()
    console = Console(stderr=options.json, width=None if sys.stdout.isatty() else 140)
    try:
        listed = [one for one in read_manifest(options.data) if one.core or options.all]
        results = run_all(listed, options.jobs, console)
    except RedshankError as error:
        console.print(f"{error}\n{SOURCES}", markup=False)
        return 2
    means = summary(results)
    if options.json:
        print(orjson.dumps(means).decode())
    else:
        print_tables(means, console)
    return 0


if __name__ == "__main__":
    sys.exit(main())
