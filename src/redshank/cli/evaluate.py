"""``redshank evaluate``: how good the detector is on labelled series."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from redshank.cli.console import print_json, print_table, tracking
from redshank.core.errors import ConfigError

if TYPE_CHECKING:
    from redshank.models.evaluate import Evaluation, Figures

COLUMNS = ("VUS-PR", "AUC-PR", "ROC-AUC", "event F1", "recall", "delay", "false/1000 rows")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(evaluate)


def evaluate(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder with a manifest.json.")],
    alarm_budget: Annotated[
        float | None,
        typer.Option(help="False alarms per 30 days; without it 3 per 8,640 rows."),
    ] = None,
    mode: Annotated[
        list[str] | None, typer.Option(help="prefix or self-start; both without it.")
    ] = None,
    core_only: Annotated[
        bool, typer.Option("--core-only", help="Leave out series that are not core.")
    ] = False,
    jobs: Annotated[int, typer.Option(min=0, help="Processes; 0 takes one for each CPU.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Score labelled series and compare with their labels: per series, family and macro."""
    from redshank.models import evaluate as models

    unknown = next((name for name in mode or () if name not in models.MODES), None)
    if unknown:
        raise ConfigError(f"--mode {unknown!r} is unknown: use {' or '.join(models.MODES)}")
    with tracking("evaluating") as track:
        found = models.evaluate(
            folder,
            modes=tuple(mode or models.MODES),
            alarm_budget=alarm_budget,
            core_only=core_only,
            jobs=jobs or os.cpu_count() or 1,
            progress=lambda done, total, name: track(done / total, name),
        )
    if json:
        print_json(asdict(found))
    else:
        _print(found)


def _print(found: Evaluation) -> None:
    for name, families in found.families.items():
        series = [one for one in found.series if one.mode == name]
        rows = ((s.name, s.family, s.rows, *_figures(s.figures)) for s in series)
        print_table(("series", "family", "rows", *COLUMNS), rows, f"{name}: series")
        means = [(family, *_figures(figures)) for family, figures in families.items()]
        means.append(("macro (mean of the families)", *_figures(found.macro[name])))
        print_table(("family", *COLUMNS), means, f"{name}: families")


def _figures(one: Figures) -> tuple[float, ...]:
    return (
        one.vus_pr,
        one.auc_pr,
        one.roc_auc,
        one.event_f1,
        one.recall,
        one.delay,
        one.false_per_1000,
    )
