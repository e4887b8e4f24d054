"""``redshank replay``: recorded files into a store, by the way that live readings take."""

from __future__ import annotations

import asyncio
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from redshank.cli.console import print_json, settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redshank.cli.watching import Watcher
    from redshank.core.config import Config
    from redshank.core.ports import Source


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(replay)


def replay(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE…", help="CSV, Parquet or NDJSON files or folders.")
    ],
    speed: Annotated[
        float | None,
        typer.Option(help="Event seconds per second: 1 is real time; without it flat out."),
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Folder that holds the store.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the incidents as JSON.")] = False,
) -> None:
    """Replay recorded readings into the store and print the incidents."""
    from redshank import wiring
    from redshank.cli.serving import run_loop
    from redshank.cli.watching import Watcher

    config = settings(data).config
    sources = wiring.file_sources(files, speed)
    report = run_loop(_replay(config, sources, Watcher(config.data_dir, quiet=json)))
    if json:
        print_json(report)


async def _replay(config: Config, sources: Sequence[Source], watcher: Watcher) -> dict[str, Any]:
    """Everything in, scored and committed; a signal ends it early, and the next replay goes on."""
    from redshank import wiring
    from redshank.cli.findings import as_json
    from redshank.cli.serving import stopping_signals
    from redshank.services.ingest import pump

    async with wiring.open_service(config, sources, watcher.alerts) as service:
        watcher.opened(service.context)
        reading = asyncio.create_task(pump(service.ingests))
        with stopping_signals(reading.cancel), closing(watcher):
            await reading
        watcher.read(None)
        (ingest,) = service.ingests
        return {**asdict(ingest.total), "incidents": as_json(service.context.store)}
