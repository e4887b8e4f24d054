"""What dirty learning data and missing cells cost.

    python bench/robustness.py DATA [--seeds 1 2] [--all] [--jobs 2] [--json]

DATA is a folder with a manifest.json (docs/evaluation.md). Each series is scored as it is, and
 - with 2 % and 5 % of the rows before `train_rows` overwritten by copies of rows of its later
   anomalies (stretches of events chosen by chance, at places chosen by chance), which is the worst
   that can be learned from: what will have to be found counts as normal;
 - with 10 % and 30 % of all cells missing, each by chance of its own.
Prints VUS-PR and the shipped alarm, and how far VUS-PR is from that of the unchanged series, with
95 % intervals (bootstrap of series within families). About a minute for 42 series and two seeds.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table as Shown

from common import options, show_tables
from redshank.models.evaluate import (
    MODES,
    PREFIX,
    Figures,
    SeriesResult,
    compare,
    mean_figures,
    series_table,
)
from redshank.models.manifest import Series, read_manifest
from redshank.models.metrics import event_bounds
from redshank.models.scoring import score_table
from redshank.models.tables import Table

CLEAN = "as it is"
DIRTY = {"2 % of the prefix anomalous": 0.02, "5 % of the prefix anomalous": 0.05}
MISSING = {"10 % of the cells missing": 0.1, "30 % of the cells missing": 0.3}
CONDITIONS = (CLEAN, *DIRTY, *MISSING)

Rng = np.random.Generator
Results = Mapping[str, Sequence[SeriesResult]]
"""Condition to results, one for each series and seed, in the same order in all conditions."""


def dirtied(table: Table, train_rows: int, share: float, rng: Rng) -> Table:
    """The table with so much of its prefix overwritten by rows of later anomalies."""
    labels = np.asarray(table.labels, np.bool_)
    events = event_bounds(labels[train_rows:]) + train_rows
    values, left = table.values.copy(), round(share * train_rows)
    while left > 0 and len(events):
        first, last = events[rng.integers(len(events))]
        length = min(int(last - first) + 1, left)
        source = int(rng.integers(first, last - length + 2))
        target = int(rng.integers(0, train_rows - length + 1))
        values[target : target + length] = table.values[source : source + length]
        left -= length
    return replace(table, values=values)


def with_gaps(table: Table, share: float, rng: Rng) -> Table:
    """The table with so many of its cells missing."""
    gone = rng.random(table.values.shape) < share
    return replace(table, values=np.where(gone, np.nan, table.values))


def changed(table: Table, train_rows: int, condition: str, rng: Rng) -> Table:
    """The table in one of `CONDITIONS`."""
    if condition in DIRTY:
        return dirtied(table, train_rows, DIRTY[condition], rng)
    return with_gaps(table, MISSING[condition], rng) if condition in MISSING else table


def run_series(series: Series, seed: int) -> dict[tuple[str, str], SeriesResult]:
    """Mode and condition to the result of one series."""
    table, out = series_table(series), {}
    for number, condition in enumerate(CONDITIONS):
        rng = np.random.default_rng([seed, number, len(table)])
        made = changed(table, series.train_rows, condition, rng)
        for mode in MODES:
            scored = score_table(made, series.train_rows if mode == PREFIX else 0)
            result = compare(series, condition, table, scored.score, scored.is_anomaly)
            out[mode, condition] = result
    return out


def run_all(listed: Sequence[Series], seeds: Sequence[int], jobs: int) -> dict[str, Results]:
    """Mode to condition to results."""
    tasks = [(series, seed) for series in listed for seed in seeds]
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        found = list(pool.map(run_series, *zip(*tasks, strict=True)))
    return {
        mode: {condition: [one[mode, condition] for one in found] for condition in CONDITIONS}
        for mode in MODES
    }


def macro(results: Sequence[SeriesResult]) -> Figures:
    """Mean over series of a family, then over families."""
    return mean_figures(list(by_family(results).values()))


def by_family(results: Sequence[SeriesResult]) -> dict[str, Figures]:
    """Mean over the series of each family."""
    families = sorted({result.family for result in results})
    return {
        family: mean_figures([r.figures for r in results if r.family == family])
        for family in families
    }


def interval(
    results: Sequence[SeriesResult], clean: Sequence[SeriesResult], resamples: int = 2000
) -> tuple[float, float]:
    """95 % interval of the macro change of VUS-PR; series are drawn anew within families."""
    rng, means = np.random.default_rng(0), np.zeros(resamples)
    families = changes(results, clean)
    for of_family in families.values():
        change = np.array([np.mean(seeds) for seeds in of_family.values()])
        drawn = rng.integers(0, len(change), (resamples, len(change)))
        means += change[drawn].mean(axis=1) / len(families)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def changes(
    results: Sequence[SeriesResult], clean: Sequence[SeriesResult]
) -> dict[str, dict[str, list[float]]]:
    """Family, then series, to the changes of its VUS-PR, one for each seed."""
    out: dict[str, dict[str, list[float]]] = {}
    for after, before in zip(results, clean, strict=True):
        change = after.figures.vus_pr - before.figures.vus_pr
        if not np.isnan(change):
            out.setdefault(after.family, {}).setdefault(after.name, []).append(change)
    return out


def tables(results: Mapping[str, Results]) -> Iterator[Shown]:
    """One for each mode: macro and families."""
    for mode, by_condition in results.items():
        clean = by_condition[CLEAN]
        families = list(by_family(clean))
        table = Shown("VUS-PR", "macro", "change", "95 %", *families, "alarm F1 @ FA", title=mode)
        for condition, found in by_condition.items():
            mean, low_high = macro(found), interval(found, clean)
            cells = (one.vus_pr for one in by_family(found).values())
            table.add_row(
                condition,
                f"{mean.vus_pr:.3f}",
                f"{mean.vus_pr - macro(clean).vus_pr:+.3f}",
                "" if condition == CLEAN else f"{low_high[0]:+.3f} to {low_high[1]:+.3f}",
                *(f"{cell:.2f}" for cell in cells),
                f"{mean.event_f1:.2f} @ {mean.false_per_1000:.2f}",
            )
        yield table


def figures(results: Mapping[str, Results]) -> dict[str, Any]:
    """The same as numbers."""
    return {
        mode: {
            condition: {
                "macro": asdict(macro(found)),
                "families": {name: asdict(one) for name, one in by_family(found).items()},
                "change": macro(found).vus_pr - macro(by_condition[CLEAN]).vus_pr,
                "interval": interval(found, by_condition[CLEAN]),
            }
            for condition, found in by_condition.items()
        }
        for mode, by_condition in results.items()
    }


def main() -> None:
    """Measure and print."""
    parser = options(__doc__)
    parser.add_argument("data", type=Path, help="folder with manifest.json")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--all", action="store_true", help="all series, not only the core subset")
    parser.add_argument("--jobs", type=int, default=multiprocessing.cpu_count())
    args = parser.parse_args()
    listed = [one for one in read_manifest(args.data) if one.core or args.all]
    results = run_all(listed, args.seeds, args.jobs)
    show_tables(args, tables(results), figures(results))


if __name__ == "__main__":
    main()
