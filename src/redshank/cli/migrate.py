"""``redshank migrate``: bring a store to the layout that this version uses."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from redshank.cli.console import print_json, say, settings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(migrate)


def migrate(
    data: Annotated[Path | None, typer.Option(help="Data folder.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Bring the store up to date; ``redshank run`` does it at every start, too."""
    from redshank import wiring

    config = settings(data).config
    done = wiring.migrate_store(config)
    if json:
        print_json({"store": str(wiring.store_path(config)), "migrations": done})
        return
    say(f"{wiring.store_path(config)}: {', '.join(done) or 'is up to date already'}")
