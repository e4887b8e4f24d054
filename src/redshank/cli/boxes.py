"""``redshank boxes``: which openSenseMap boxes there are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from redshank.cli.console import print_json, print_table, say, settings
from redshank.cli.findings import plural
from redshank.core.clock import format_time

if TYPE_CHECKING:
    from redshank.wiring import Found


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(boxes)


def boxes(
    near: Annotated[
        str, typer.Option(metavar="LNG,LAT[,M]", help="Around a place, metres (1000 without).")
    ] = "",
    bbox: Annotated[str, typer.Option(metavar="W,S,E,N", help="In a rectangle of degrees.")] = "",
    grouptag: Annotated[
        list[str] | None, typer.Option(help="With this group tag; repeatable: with all.")
    ] = None,
    ids: Annotated[list[str] | None, typer.Option(help="This box; repeatable.")] = None,
    exposure: Annotated[
        list[str] | None, typer.Option(help="indoor, outdoor, mobile or unknown; repeatable.")
    ] = None,
    phenomenon: Annotated[
        list[str] | None, typer.Option(help="Only with this title or channel; repeatable.")
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Ask even if a list is younger than an hour.")
    ] = False,
    enter: Annotated[
        bool, typer.Option("--register", help="Enter the boxes into the registry of sensors.")
    ] = False,
    data: Annotated[Path | None, typer.Option(help="Folder that holds the store.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Find openSenseMap boxes by place, group, exposure and what they measure."""
    from redshank import wiring
    from redshank.cli.serving import run_loop

    config = settings(data).config
    wanted = {
        "near": near,
        "bbox": bbox,
        "grouptags": grouptag or (),
        "ids": ids or (),
        "exposure": exposure or (),
        "phenomena": phenomenon or (),
    }
    found = run_loop(wiring.find_boxes(config, fresh, **wanted))
    if enter:
        run_loop(wiring.register_boxes(config, found))
    if json:
        print_json({"boxes": [_as_json(one) for one in found]})
        return
    print_table(("box", "name", "exposure", "newest (UTC)", "km", "measures"), map(_row, found))
    say(f"{plural(len(found), 'box').replace('boxs', 'boxes')} found.")


def _row(one: Found) -> Sequence[object]:
    box = one.box
    newest = "never" if box.newest is None else format_time(box.newest)[:16].replace("T", " ")
    distance = "" if one.metres is None else f"{one.metres / 1000:.1f}"
    titles = ", ".join(dict.fromkeys(sensor.title for sensor in box.sensors))
    return (box.id, box.name, box.exposure or "unknown", newest, distance, titles)


def _as_json(one: Found) -> dict[str, Any]:
    box = one.box
    longitude, latitude, height = box.place or (None, None, None)
    return {
        "box_id": box.id,
        "name": box.name,
        "exposure": box.exposure or "unknown",
        "longitude": longitude,
        "latitude": latitude,
        "height": height,
        "metres": one.metres,
        "registered": None if box.registered is None else format_time(box.registered),
        "newest": None if box.newest is None else format_time(box.newest),
        "tags": dict(box.tags),
        "sensors": [{"id": s.id, "title": s.title, "unit": s.unit} for s in box.sensors],
    }
