"""SKAB and NAB by the protocols of their own leaderboards.

    python bench/protocols.py DATA [--jobs 2] [--json]

DATA is a folder with a manifest.json (docs/evaluation.md) whose families "skab" and "nab" are
series of these benchmarks; all of them count, not only the core subset.

SKAB: F1, false alarm rate (FAR) and missed alarm rate (MAR) of rows, added up over all files. The
first 400 rows of each are learned from. On its leaderboard all rows of a file count, these 400 too:
they are normal and here never in alarm, so they only lower FAR; beside it, the rows after them.
What the score could give is shown by the one threshold for all files that is best for F1, chosen by
the labels.

NAB: standard profile, its scorer (redshank.models.protocols), the labels are its windows. A
detection is the row at which an alarm opens (what a user is told) or each row of the alarm. The
leaderboard gives each detector the one threshold that is best for all files: so it is done for
the budget of our alarm, and for the score, at the rows where it rises to the threshold and at all
rows above it.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from common import alarm_bits, options, show_tables
from redshank.core.columns import Marks
from redshank.detect.alarm import Alarm
from redshank.models.evaluate import MODES, PREFIX, series_table
from redshank.models.manifest import Series, read_manifest
from redshank.models.protocols import (
    NabScore,
    RowCounts,
    nab_best_threshold,
    nab_score,
    row_counts,
)
from redshank.models.scoring import score_table

LEVELS = 1 - np.geomspace(1e-5, 0.5, 200)
"""Shares of all rows below the thresholds that are tried."""
PERCENTS = np.linspace(0.01, 0.99, 99)
BUDGETS = tuple(np.geomspace(0.1, 100, 31).tolist())
"""Tried for the best one, in incidents per 8,640 rows."""


@dataclass(frozen=True)
class Run:
    """What the detector says of one series.

    Attributes:
        family: skab or nab.
        mode: one of `MODES`.
        start: rows before this one were learned from (prefix) or are the protocol's probation.
        labels: (n,) True on anomalous rows.
        alarms: (n,) True on rows of the shipped alarm.
        score: (n,) higher is worse.
        rate: (n,) normal incidents in 8,640 rows at least this extreme.
    """

    family: str
    mode: str
    start: int
    labels: Marks
    alarms: Marks
    score: np.ndarray
    rate: np.ndarray


def run_series(series: Series) -> list[Run]:
    """One series in both modes."""
    table, runs = series_table(series), []
    for mode in MODES:
        learned = series.train_rows if mode == PREFIX else 0
        scored = score_table(table, learned)
        labels = np.asarray(table.labels, np.bool_)
        runs.append(
            Run(
                series.family,
                mode,
                series.train_rows,
                labels,
                scored.is_anomaly,
                scored.score,
                scored.rate,
            )
        )
    return runs


def opened(alarms: Marks) -> Marks:
    """Rows at which an alarm begins."""
    first: Marks = alarms & ~np.append(False, alarms[:-1])
    return first


def skab_counts(runs: Sequence[Run]) -> dict[str, RowCounts]:
    """Rows by label and alarm: of whole files, and after what is learned from."""
    out = {}
    told = [run.alarms for run in runs]
    out["alarms, all rows"] = counted(runs, told)
    out["alarms, rows after 400"] = counted(runs, told, whole=False)
    levels = np.quantile(np.concatenate([run.score[run.start :] for run in runs]), PERCENTS)
    above = [counted(runs, [run.score >= level for run in runs]) for level in levels]
    out["score over its best threshold, all rows"] = max(above, key=lambda one: one.f1)
    return out


def counted(runs: Sequence[Run], told: Sequence[Marks], whole: bool = True) -> RowCounts:
    """Rows over all files; those that are learned from are never in alarm, or do not count."""
    total = RowCounts()
    for run, marks in zip(runs, told, strict=True):
        after = row_counts(run.labels[run.start :], marks[run.start :])
        before = run.labels[: run.start] if whole else run.labels[:0]
        total += after + row_counts(before, np.zeros_like(before))
    return total


def nab_scores(runs: list[Run]) -> dict[str, NabScore]:
    """The shipped alarm, and what the best threshold for all files gives."""
    rows = [(run.labels, run.score) for run in runs]
    return {
        "shipped alarm, where it opens": nab_score((r.labels, opened(r.alarms)) for r in runs),
        "shipped alarm, all its rows": nab_score((r.labels, r.alarms) for r in runs),
        "best budget, where it opens": best_budget(runs),
        "best threshold of the score, where it rises": best_rising(rows),
        "best threshold of the score, all rows": nab_best_threshold(rows),
        "no detection": nab_score((r.labels, np.zeros_like(r.labels)) for r in runs),
    }


def best_budget(runs: list[Run]) -> NabScore:
    """The alarm at the budget that is best for all files together."""

    def at(budget: float) -> list[tuple[Marks, Marks]]:
        return [(run.labels, alarm_bits(run.rate, budget) & Alarm.OPENED > 0) for run in runs]

    return best_of({budget: nab_score(at(budget)) for budget in BUDGETS})


def best_rising(rows: Sequence[tuple[Marks, np.ndarray]]) -> NabScore:
    """One of 200 thresholds for all files; a detection is where the score rises to it."""
    thresholds = np.quantile(np.concatenate([score for _, score in rows]), LEVELS)
    return best_of(
        {
            float(level): nab_score((labels, opened(score >= level)) for labels, score in rows)
            for level in thresholds
        }
    )


def best_of(found: Mapping[float, NabScore]) -> NabScore:
    """The best figure, with the threshold that gave it."""
    level, best = max(found.items(), key=lambda item: item[1].raw)
    return replace(best, threshold=level)


def skab_table(runs: list[Run]) -> tuple[Table, dict[str, Any]]:
    """F1, FAR and MAR in both modes."""
    files = sum(run.mode == PREFIX for run in runs)
    table = Table(
        "mode",
        "rows taken and counted",
        "F1",
        "FAR",
        "MAR",
        title=f"SKAB, {files} files, shipped alarm",
    )
    figures: dict[str, Any] = {}
    for mode in MODES:
        for rows, counts in skab_counts([run for run in runs if run.mode == mode]).items():
            far, mar = counts.false_alarm_rate, counts.missed_alarm_rate
            table.add_row(mode, rows, f"{counts.f1:.3f}", f"{far:.2%}", f"{mar:.2%}")
            figures.setdefault(mode, {})[rows] = {"f1": counts.f1, "far": far, "mar": mar}
    return table, figures


def nab_table(runs: list[Run]) -> tuple[Table, dict[str, Any]]:
    """Normalised figures in both modes."""
    files = sum(run.mode == PREFIX for run in runs)
    table = Table("detections", title=f"NAB, {files} files, standard profile, 0 to 100")
    figures = {mode: nab_scores([run for run in runs if run.mode == mode]) for mode in MODES}
    for mode in MODES:
        table.add_column(mode, justify="right")
    for name in figures[PREFIX]:
        table.add_row(name, *(_cell(figures[mode][name]) for mode in MODES))
    return table, {
        mode: {
            name: {"score": one.normalised, "threshold": one.threshold}
            for name, one in by_name.items()
        }
        for mode, by_name in figures.items()
    }


def _cell(one: NabScore) -> str:
    chosen = "" if one.threshold is None else f" (at {abs(one.threshold):.3g})"
    return f"{one.normalised:.1f}{chosen}"


def tables(runs: list[Run]) -> Iterator[tuple[str, Table, dict[str, Any]]]:
    """For each benchmark that there are series of."""
    for family, made in (("skab", skab_table), ("nab", nab_table)):
        of_family = [run for run in runs if run.family == family]
        if of_family:
            yield (family, *made(of_family))


def main() -> None:
    """Measure and print."""
    parser = options(__doc__)
    parser.add_argument("data", type=Path, help="folder with manifest.json")
    parser.add_argument("--jobs", type=int, default=multiprocessing.cpu_count())
    args = parser.parse_args()
    listed = [one for one in read_manifest(args.data) if one.family in ("skab", "nab")]
    if not listed:
        parser.error(f"{args.data}: no series of the families skab and nab")
    with ProcessPoolExecutor(args.jobs, multiprocessing.get_context("spawn")) as pool:
        runs = [run for runs in pool.map(run_series, listed) for run in runs]
    shown = list(tables(runs))
    figures = {family: numbers for family, _, numbers in shown}
    show_tables(args, (table for _, table, _ in shown), figures)


if __name__ == "__main__":
    main()
