"""Run the detector over labelled series and say how good its score and its alarms are.

The protocol is that of use: one pass, every row scored from rows before it, the shipped alarm
at a budget chosen beforehand. No threshold is tuned on labels. Two modes: `prefix` (the rows
before `train_rows` are learned from first) and `self-start` (nothing is known at the first
row). Rows before `train_rows` are compared with labels in neither.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, fields, replace
from multiprocessing import get_context
from pathlib import Path
from typing import TypeAlias

import numpy as np

from redshank.core.batch import Floats
from redshank.core.columns import Marks
from redshank.core.errors import FileFormatError, InputError
from redshank.models.manifest import Series, read_manifest
from redshank.models.metrics import EventMetrics, auc_pr, event_metrics, roc_auc, vus_pr
from redshank.models.scoring import score_table
from redshank.models.tables import Table, read_table

PREFIX = "prefix"
SELF_START = "self-start"
MODES = (PREFIX, SELF_START)

Progress: TypeAlias = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of a series, or their means over several. NaN where labels define none.

    Attributes:
        vus_pr: volume under the precision-recall surface of the score.
        auc_pr: average precision of the score.
        roc_auc: area under the score's ROC curve.
        event_f1: F1 of events found and false-alarm episodes.
        recall: share of events found.
        delay: mean share of an event that passes before the alarm; a miss counts 1.
        false_per_1000: false-alarm episodes per 1000 normal rows.
        false_row_share: share of normal rows in alarm.
    """

    vus_pr: float
    auc_pr: float
    roc_auc: float
    event_f1: float
    recall: float
    delay: float
    false_per_1000: float
    false_row_share: float


@dataclass(frozen=True, slots=True)
class SeriesResult:
    """One series in one mode.

    Attributes:
        name: the series.
        family: its family.
        core: whether it counts in families and macro.
        mode: one of `MODES`.
        rows: rows that were compared with labels.
        events: counts of events and alarms.
        figures: the figures.
    """

    name: str
    family: str
    core: bool
    mode: str
    rows: int
    events: EventMetrics
    figures: Figures


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Everything that `evaluate` found.

    Attributes:
        alarm_budget: false alarms per 30 days of event time; None for 3 in 8,640 rows.
        series: results in the order of the manifest, all modes.
        families: mode, then family, to the mean over its core series.
        macro: mode to the mean over families.
    """

    alarm_budget: float | None
    series: tuple[SeriesResult, ...]
    families: Mapping[str, Mapping[str, Figures]]
    macro: Mapping[str, Figures]


def evaluate(
    folder: Path | str,
    *,
    modes: Sequence[str] = MODES,
    alarm_budget: float | None = None,
    core_only: bool = False,
    jobs: int = 1,
    progress: Progress = lambda done, total, name: None,
) -> Evaluation:
    """Score all series of a folder that has a ``manifest.json`` and compare with their labels.

    Figures of a family are means over its core series, `macro` is the mean over families, so
    that no family counts more for being larger. Without any core series all of them count.

    Args:
        folder: as described in `redshank.models.manifest`.
        modes: which of `MODES` to run.
        alarm_budget: false alarms per 30 days of event time; None for 3 in 8,640 rows.
        core_only: leave out series that are not core.
        jobs: processes to spread the series over.
        progress: called after each series with series done, series in all, and its name.

    Raises:
        NotFoundError: the manifest or a table is missing.
        FileFormatError: the manifest or a table cannot be used; names series and field.
        InputError: a mode is unknown.
    """
    unknown = next((mode for mode in modes if mode not in MODES), None)
    if unknown is not None:
        raise InputError(f"mode {unknown!r} is unknown; there are {' and '.join(MODES)}")
    listed = [series for series in read_manifest(folder) if series.core or not core_only]
    found: dict[str, list[SeriesResult]] = {}
    for results in _run(listed, tuple(modes), alarm_budget, jobs):
        found[results[0].name] = results
        progress(len(found), len(listed), results[0].name)
    ordered = [result for series in listed for result in found[series.name]]
    families = {mode: _by_family(ordered, mode) for mode in modes}
    macro = {mode: mean_figures(list(families[mode].values())) for mode in modes}
    return Evaluation(alarm_budget, tuple(ordered), families, macro)


def evaluate_series(
    series: Series, modes: Sequence[str] = MODES, alarm_budget: float | None = None
) -> list[SeriesResult]:
    """Results of one series, one for each mode.

    Raises:
        FileFormatError: its table cannot be used; names the series.
    """
    table = series_table(series)
    results = []
    for mode in modes:
        train_rows = series.train_rows if mode == PREFIX else 0
        scored = score_table(table, train_rows, alarm_budget)
        results.append(compare(series, mode, table, scored.score, scored.is_anomaly))
    return results


def series_table(series: Series) -> Table:
    """The table of a series, with the channels that the manifest names.

    Raises:
        NotFoundError: there is no such file.
        FileFormatError: it lacks labels, named channels, or rows to score; names the series.
    """
    table = read_table(series.file)
    _check(series, table)
    if series.channels:
        columns = [table.channels.index(name) for name in series.channels]
        table = replace(table, channels=series.channels, values=table.values[:, columns])
    # Without a cadence the times are row numbers in disguise.
    return table if series.cadence_seconds else replace(table, time=None)


def compare(
    series: Series, mode: str, table: Table, score: Floats, alarms: Marks | None = None
) -> SeriesResult:
    """Figures of a score, and of alarms if there are any, over the rows that count.

    Args:
        series: the series; rows before its `train_rows` do not count.
        mode: what to call the result.
        table: its table, with labels.
        score: (n,) higher is worse.
        alarms: (n,) rows in alarm; None for none.
    """
    start = series.train_rows
    labels = np.zeros(0, np.bool_) if table.labels is None else table.labels[start:]
    shown = np.zeros(len(labels), np.bool_) if alarms is None else alarms[start:]
    events = event_metrics(labels, shown)
    figures = Figures(
        vus_pr=vus_pr(labels, score[start:], series.vus_window),
        auc_pr=auc_pr(labels, score[start:]),
        roc_auc=roc_auc(labels, score[start:]),
        event_f1=events.f1,
        recall=events.recall,
        delay=events.delay,
        false_per_1000=events.false_per_1000,
        false_row_share=events.false_row_share,
    )
    return SeriesResult(series.name, series.family, series.core, mode, len(labels), events, figures)


def mean_figures(figures: Sequence[Figures]) -> Figures:
    """Mean of each figure over those that define it; NaN if none does."""

    def mean(field: str) -> float:
        values = np.array([getattr(one, field) for one in figures])
        defined = values[~np.isnan(values)]
        return float(defined.mean()) if len(defined) else float("nan")

    return Figures(*(mean(field.name) for field in fields(Figures)))


def _run(
    listed: Sequence[Series], modes: tuple[str, ...], alarm_budget: float | None, jobs: int
) -> Iterator[list[SeriesResult]]:
    if jobs <= 1:
        yield from (evaluate_series(series, modes, alarm_budget) for series in listed)
        return
    # Not forked: the caller may draw its progress from a thread.
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        # The longest first, so that no process is left alone with it at the end.
        longest_first = sorted(listed, key=_size, reverse=True)
        waiting = [pool.submit(evaluate_series, one, modes, alarm_budget) for one in longest_first]
        try:
            yield from (future.result() for future in as_completed(waiting))
        finally:
            pool.shutdown(cancel_futures=True)


def _size(series: Series) -> int:
    return series.file.stat().st_size if series.file.is_file() else 0


def _by_family(results: Sequence[SeriesResult], mode: str) -> dict[str, Figures]:
    of_mode = [result for result in results if result.mode == mode]
    counted = [result for result in of_mode if result.core] or of_mode
    return {
        family: mean_figures([r.figures for r in counted if r.family == family])
        for family in dict.fromkeys(result.family for result in counted)
    }


def _check(series: Series, table: Table) -> None:
    where = f"{series.file}: series {series.name!r}"
    if table.labels is None:
        raise FileFormatError(f"{where} has no label column (is_anomaly)")
    missing = next((name for name in series.channels if name not in table.channels), None)
    if missing is not None:
        raise FileFormatError(f"{where}, field 'channels': {missing!r} is no column of numbers")
    if series.train_rows >= len(table):
        raise FileFormatError(
            f"{where}, field 'train_rows': {series.train_rows} leaves none of {len(table)} rows"
        )
