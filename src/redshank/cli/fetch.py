"""``redshank fetch``: the past of openSenseMap boxes, into the store or into a file."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from redshank.cli.console import (
    Tracker,
    complain,
    print_json,
    print_table,
    say,
    settings,
    tell,
    tracking,
)
from redshank.cli.given import check_format, moment
from redshank.core.clock import format_time
from redshank.core.errors import ConfigError, StoreError

if TYPE_CHECKING:
    from redshank.cli.calls import Calls
    from redshank.core.config import Config
    from redshank.services.ingest_report import BoxReport

FAILED = 1
_COLUMNS = (
    "box", "name", "values read", "readings stored", "known", "in conflict", "anomalous", "",
)  # fmt: skip

From = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="TIME",
        help="ISO 8601, or 30d, 12h before now, or begin; two days before the end without it.",
    ),
]
To = Annotated[
    str | None, typer.Option("--to", metavar="TIME", help="Likewise; the newest without it.")
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(fetch)


def fetch(
    box: Annotated[list[str], typer.Argument(metavar="BOX…", help="Ids of openSenseMap boxes.")],
    start: From = None,
    end: To = None,
    phenomenon: Annotated[
        list[str] | None, typer.Option(help="Title or channel to fetch; repeatable; else all.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Write one .csv, .parquet or .ndjson file instead."),
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Read known windows once more.")] = False,
    data: Annotated[Path | None, typer.Option(help="Folder that holds the store.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Fetch the past of boxes: into the store, scored in time order, or into one wide file.

    An interrupted fetch goes on where it ended when it is started again. Where a redshank is
    running on the data folder, that one fetches.
    """
    what = {"start": moment(start), "end": moment(end), "phenomena": tuple(phenomenon or ())}
    if None not in (what["start"], what["end"]) and what["start"] >= what["end"]:  # type: ignore[operator]
        raise ConfigError(f"--from {start} is not before --to {end}")
    config = settings(data).config
    if output is not None:
        check_format(output)
        _into_file(config, box, what, output, json)
        return
    from redshank.cli.serving import run_loop

    with tracking("fetching") as track:
        reports = run_loop(_into_store(config, box, what, again, track))
    _print(reports, json)
    if any(report.error for report in reports):
        raise typer.Exit(FAILED)


async def _into_store(
    config: Config, boxes: Sequence[str], what: dict[str, Any], again: bool, track: Tracker
) -> list[BoxReport]:
    from redshank import wiring
    from redshank.cli.calls import calling, running

    async with AsyncExitStack() as stack:
        try:
            service = await stack.enter_async_context(wiring.open_service(config))
        except StoreError:
            url = await running(config)
            if url is None:
                raise
            tell(f"the redshank at {url} is using {config.data_dir}: it fetches into its store")
            calls = await stack.enter_async_context(calling(config, url))
            return await _by_running(calls, boxes, what, again, track)
        bus, store = service.context.bus, service.context.store
        return await wiring.fetch_boxes(config, bus, store, boxes, track, again, **what)


async def _by_running(
    calls: Calls, boxes: Sequence[str], what: dict[str, Any], again: bool, track: Tracker
) -> list[BoxReport]:
    """Have the running redshank fetch, box by box; it ends with this command, and goes on later."""
    from redshank.services.ingest_report import BoxReport

    span = {"since": what["start"], "until": what["end"]}
    query = {name: format_time(time) for name, time in span.items() if time is not None}
    reports: list[BoxReport] = []
    for number, box in enumerate(boxes):
        asked = {**query, "box_id": box, "phenomenon": what["phenomena"], "again": again}
        async for line in calls.lines("/ingest", params=asked):
            if "error" in line:
                raise StoreError(line["error"])
            if "progress" in line:
                track((number + line["progress"]) / len(boxes), line["text"])
            else:
                reports += (BoxReport(**report) for report in line["boxes"])
    return reports


def _into_file(
    config: Config, boxes: Sequence[str], what: dict[str, Any], path: Path, json: bool
) -> None:
    from redshank import wiring
    from redshank.cli.serving import run_loop

    with tracking("fetching") as track:
        table, _ = run_loop(wiring.collect_boxes(config, boxes, track, **what))
    table.write(path)
    if json:
        print_json({"file": str(path), "rows": len(table), "channels": table.channels})
    else:
        channels = ", ".join(table.channels) or "no channels"
        say(f"{len(table):,} readings of {channels} written to {path}")


def _print(reports: Sequence[BoxReport], json: bool) -> None:
    if json:
        print_json({"boxes": [asdict(report) for report in reports]})
        return
    print_table(_COLUMNS, map(_row, reports))
    for report in reports:
        if report.unmapped:
            say(f"{report.box_id}: kept under their own names: {', '.join(report.unmapped)}")
        if report.error:
            complain(f"{report.box_id}: {report.error}")


def _row(one: BoxReport) -> Sequence[object]:
    state = "incomplete" if one.error else ""
    counts = (one.read, one.stored, one.duplicates, one.conflicts, one.anomalies)
    return (one.box_id, one.name, *counts, state)
