"""``redshank export``: stored readings as one CSV, Parquet or NDJSON file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from redshank.cli.console import say, settings
from redshank.cli.given import check_format, moment


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(export)


def export(
    sensor: Annotated[list[str], typer.Argument(metavar="SENSOR…", help="Ids of sensors.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="A .csv, .parquet or .ndjson file.")
    ],
    start: Annotated[
        str | None,
        typer.Option("--from", metavar="TIME", help="ISO 8601, or 30d, 12h before now."),
    ] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="TIME", help="Likewise.")] = None,
    data: Annotated[Path | None, typer.Option(help="Folder that holds the store.")] = None,
) -> None:
    """Write stored readings to one wide file: time, sensor, and a column per channel."""
    from redshank import wiring
    from redshank.services.export import stored_table

    check_format(output)
    with wiring.open_store(settings(data).config) as store:
        table = stored_table(store, sensor, moment(start), moment(end))
    table.write(output)
    say(f"{len(table):,} readings of {', '.join(table.channels)} written to {output}")
