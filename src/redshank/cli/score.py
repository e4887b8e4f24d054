"""``redshank score``: a file in, the same rows with scores out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from redshank.cli.console import print_json, say, tracking


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(score)


def score(
    file: Annotated[Path, typer.Argument(help="CSV or Parquet, a row per time.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="CSV, Parquet or NDJSON to write.")],
    train_rows: Annotated[
        int, typer.Option(min=0, help="Rows to learn from before scoring; 0 starts from nothing.")
    ] = 0,
    alarm_budget: Annotated[
        float | None,
        typer.Option(help="False alarms per 30 days; without it 3 per 8,640 rows."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Score every row of a file from the rows before it; labels in it are not looked at."""
    from redshank.core.table_writer import write_table
    from redshank.models.scoring import score_table
    from redshank.models.tables import read_table

    table = read_table(file)
    with tracking(f"scoring {file.name}") as track:
        scored = score_table(table, train_rows, alarm_budget, lambda done: track(done, ""))
    write_table(out, scored.columns())
    anomalous = int(scored.is_anomaly.sum())
    if json:
        print_json(
            {"rows": len(scored), "channels": scored.channels, "anomalous_rows": anomalous,
             "ignored_columns": table.ignored, "out": str(out)}
        )  # fmt: skip
        return
    if table.ignored:
        say(f"left out, as they are no numbers or labels: {', '.join(table.ignored)}")
    channels = ", ".join(scored.channels)
    say(f"{anomalous:,} of {len(scored):,} rows are anomalous ({channels}); written to {out}")
