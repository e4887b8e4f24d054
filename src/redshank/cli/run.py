"""``redshank run``: the service."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from redshank.cli.console import settings
from redshank.core.errors import ConfigError

if TYPE_CHECKING:
    from redshank.core.config import Config, Loaded


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(run)


def run(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one.")] = None,
    data: Annotated[Path | None, typer.Option(help="Folder that holds the store.")] = None,
    demo: Annotated[bool, typer.Option("--demo", help="Replay a week of real sensors.")] = False,
    box: Annotated[
        list[str] | None, typer.Option(help="openSenseMap box to follow live; repeatable.")
    ] = None,
    near: Annotated[
        str | None,
        typer.Option(metavar="LNG,LAT[,M]", help="Follow the openSenseMap boxes around a place."),
    ] = None,
    bbox: Annotated[
        str | None, typer.Option(metavar="W,S,E,N", help="Follow those in a rectangle of degrees.")
    ] = None,
    grouptag: Annotated[
        list[str] | None, typer.Option(help="Follow those with this group tag; repeatable.")
    ] = None,
    no_open: Annotated[bool, typer.Option("--no-open", help="Do not open the page.")] = False,
) -> None:
    """Serve the page and the API, and score what comes in.

    Without --demo it follows the boxes and the MQTT topics of the configuration, if there are any,
    and takes POST /readings.
    """
    boxes = {
        "opensensemap_boxes": tuple(box) if box else None,
        "opensensemap_near": near,
        "opensensemap_bbox": bbox,
        "opensensemap_grouptags": tuple(grouptag) if grouptag else None,
    }
    if demo and any(boxes.values()):
        raise ConfigError("--demo and --box, --near, --bbox, --grouptag exclude each other")
    loaded = settings(data, host=host, port=port, **boxes)
    config = _in_its_own_folder(loaded) if demo else loaded.config
    _run(config, demo, not no_open)


def _in_its_own_folder(loaded: Loaded) -> Config:
    """The demo leaves the default data folder alone, so that real sensors stay by themselves."""
    if loaded.origins["data_dir"] != "default":
        return loaded.config
    return loaded.config.model_copy(update={"data_dir": loaded.config.data_dir / "demo"})


def _run(config: Config, demo: bool, browse: bool) -> None:
    from redshank import wiring
    from redshank.cli.serving import host, run_loop
    from redshank.cli.watching import Watcher

    sources = wiring.demo_sources() if demo else wiring.configured_sources(config)
    watcher = Watcher(config.data_dir, browse, goes_on=bool(sources))
    run_loop(host(config, sources, watcher))
