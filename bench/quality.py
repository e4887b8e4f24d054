"""Quality of the score beside peers, in one run on labelled series.

    python bench/quality.py DATA [--all] [--jobs 2] [--json]

DATA is a folder with a manifest.json as described in docs/evaluation.md, which also says where
such series come from. Peers are fitted on the learning prefix (rows before `train_rows`) and score
every later row; none of them sees a label. What the shipped alarm does follows, and what other
budgets make of the same rates. Needs the extra: pip install "redshank[bench]".
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import warnings
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import orjson
from rich.console import Console
from rich.table import Table

from common import alarm_bits
from peers import PEERS, prepared
from redshank.core.errors import RedshankError
from redshank.detect.alarm import Alarm
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
from redshank.models.scoring import score_table
from redshank.models.tables import ROWS_PER_MONTH
from redshank.models.tables import Table as Readings

SOURCES = (
    "Such data: SKAB (github.com/waico/SKAB), NAB (github.com/numenta/NAB), MSL and SMAP "
    "(github.com/khundman/telemanom), SMD (github.com/NetManAIOps/OmniAnomaly); as Parquet or CSV "
    "tables with an is_anomaly column, listed in a manifest.json (docs/evaluation.md)."
)
OURS = tuple(f"redshank {mode}" for mode in MODES)
BUDGETS = (0.3, 1.0, 2.0, 3.0, 5.0, 10.0)
"""Incidents in 8,640 rows."""

Means = Mapping[str, Mapping[str, Figures]]


def run_series(series: Series) -> list[SeriesResult]:
    """Our detector in both modes and all peers on one series."""
    table = series_table(series)
    results = list(ours_of(series, table))
    values = prepared(table.values, series.train_rows)
    for name, peer in PEERS.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            results.append(compare(series, name, table, peer(values, series.train_rows)))
    return results


def ours_of(series: Series, table: Readings) -> Iterator[SeriesResult]:
    """The shipped alarm in both modes, and what other budgets make of the same rates."""
    for mode, name in zip(MODES, OURS, strict=True):
        scored = score_table(table, series.train_rows if mode == PREFIX else 0)
        yield compare(series, name, table, scored.score, scored.is_anomaly)
        for budget in BUDGETS:
            alarms = alarm_bits(scored.rate, budget) & Alarm.OPEN > 0
            yield compare(series, at_budget(name, budget), table, scored.score, alarms)


def at_budget(name: str, budget: float) -> str:
    """What our detector is called at another budget."""
    return f"{name} at {budget:g}"


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
    at_budgets = [at_budget(name, budget) for name in OURS for budget in BUDGETS]
    for method in (*OURS, *PEERS, *at_budgets):
        of_method = [result for result in results if result.mode == method]
        means = {
            family: mean_figures([r.figures for r in of_method if r.family == family])
            for family in families
        }
        out[method] = means | {"macro": mean_figures(list(means.values()))}
    return out


def lead_of_peers(means: Means) -> dict[str, dict[str, dict[str, float | str]]]:
    """How far the best peer's VUS-PR is above ours (below, if negative), and which it is.

    Our mode, then family or "macro", to {"peer": name, "lead": difference}.
    """
    out: dict[str, dict[str, dict[str, float | str]]] = {ours: {} for ours in OURS}
    for group in means[OURS[0]]:
        best = max(PEERS, key=lambda peer: means[peer][group].vus_pr)
        for ours in OURS:
            lead = means[best][group].vus_pr - means[ours][group].vus_pr
            out[ours][group] = {"peer": best, "lead": lead}
    return out


def scores_table(means: Means) -> Table:
    """VUS-PR of all methods, and the best peer minus ours."""
    groups = list(means[OURS[0]])
    table = Table("VUS-PR", *groups)
    for method in (*OURS, *PEERS):
        table.add_row(
            method,
            *(f"{means[method][group].vus_pr:.3f}" for group in groups),
            end_section=method in (OURS[-1], list(PEERS)[-1]),
        )
    leads = lead_of_peers(means)
    table.add_row("best peer", *(str(leads[OURS[0]][group]["peer"]) for group in groups))
    for ours in OURS:
        cells = (leads[ours][group]["lead"] for group in groups)
        table.add_row(f"best peer minus {ours}", *(f"{lead:+.3f}" for lead in cells))
    return table


def alarms_table(means: Means) -> Table:
    """What the shipped alarm does."""
    groups = list(means[OURS[0]])
    table = Table("shipped alarm", *groups, caption="event F1 @ false alarms per 1000 rows")
    for ours in OURS:
        cells = [means[ours][group] for group in groups]
        table.add_row(ours, *(f"{one.event_f1:.2f} @ {one.false_per_1000:.2f}" for one in cells))
        table.add_row("  recall / delay", *(f"{c.recall:.2f} / {c.delay:.2f}" for c in cells))
    return table


def budgets_table(means: Means) -> Table:
    """What the alarm does at other budgets, mean over families."""
    table = Table("budget", *map("{:g}".format, BUDGETS), caption="event F1 @ false alarms")
    promised = (1000 * budget / ROWS_PER_MONTH for budget in BUDGETS)
    table.add_row("promised false alarms per 1000 rows", *(f"{each:.2f}" for each in promised))
    for ours in OURS:
        cells = [means[at_budget(ours, budget)]["macro"] for budget in BUDGETS]
        table.add_row(ours, *(f"{one.event_f1:.2f} @ {one.false_per_1000:.2f}" for one in cells))
        table.add_row("  recall / delay", *(f"{c.recall:.2f} / {c.delay:.2f}" for c in cells))
    return table


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], epilog=SOURCES)
    parser.add_argument("data", type=Path, help="folder with manifest.json")
    parser.add_argument("--all", action="store_true", help="all series, not only the core subset")
    parser.add_argument("--jobs", type=int, default=multiprocessing.cpu_count())
    parser.add_argument("--json", action="store_true", help="JSON instead of tables")
    options = parser.parse_args()
    console = Console(stderr=options.json, width=None if sys.stdout.isatty() else 150)
    try:
        listed = [one for one in read_manifest(options.data) if one.core or options.all]
        results = run_all(listed, options.jobs, console)
    except RedshankError as error:
        console.print(f"{error}\n{SOURCES}", markup=False)
        return 2
    means = summary(results)
    if options.json:
        print(orjson.dumps({**means, "best peer minus ours": lead_of_peers(means)}).decode())
    else:
        console.print(scores_table(means))
        console.print(alarms_table(means))
        console.print(budgets_table(means))
    return 0


if __name__ == "__main__":
    sys.exit(main())
