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
    channel: Annotated[
        list[str] | None, typer.Option(help="Only this channel; repeatable.")
    ] = None,
    flags: Annotated[bool, typer.Option("--flags", help="With quality flags.")] = False,
    verdicts: Annotated[
        bool, typer.Option("--verdicts", help="With status, score and return rate.")
    ] = False,
    units: Annotated[bool, typer.Option("--units", help="With units in the heading.")] = False,
    flag: Annotated[
        list[str] | None, typer.Option(help="Only rows with such a quality flag; repeatable.")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Folder that holds the store.")] = None,
) -> None:
    """Write stored readings to one wide file: time, sensor, and a column per channel.

    It works beside a running redshank, and sees what that one has committed.
    """
    from redshank import wiring
    from redshank.core.flags import flag_bits
    from redshank.core.table_writer import write_parts
    from redshank.services import export as service

    check_format(output)
    wanted = service.Wanted(
        tuple(dict.fromkeys(sensor)),
        moment(start),
        moment(end),
        tuple(channel or ()),
        flags=flags,
        verdicts=verdicts,
        units=units,
        flagged=flag_bits(flag or ()),
    )
    with wiring.open_reader(settings(data).config) as store:
        table = service.export(store, wanted)
        rows = write_parts(output, table.columns, table.parts)
    names = ", ".join(table.channels) or "no channels"
    say(f"{rows:,} readings of {names} written to {output}")
