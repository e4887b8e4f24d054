"""``redshank config``: what is in force, whether it is sound, and what there is to set."""

from __future__ import annotations

from typing import Annotated

import typer

from redshank.cli.console import complain, print_json, print_table, say, settings
from redshank.core.config import shown
from redshank.core.errors import ConfigError

PROBLEMS = 3


def group() -> typer.Typer:
    """The group with its commands."""
    app = typer.Typer(no_args_is_help=True, help="Show and check the settings.")
    app.command("show")(show)
    app.command("check")(check)
    return app


def show(json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Print the settings in force and where each came from; secrets are masked."""
    loaded = settings()
    values = shown(loaded.config)
    if json:
        rows = {key: {"value": values[key], "origin": loaded.origins[key]} for key in values}
        print_json(rows)
        return
    print_table(
        ("setting", "value", "from"),
        [(key, _text(value), loaded.origins[key]) for key, value in values.items()],
    )


def check() -> None:
    """Say whether the settings can be used; exit status 3 if not."""
    try:
        loaded = settings()
    except ConfigError as error:
        complain(str(error))
        raise typer.Exit(PROBLEMS) from None
    changed = sum(origin != "default" for origin in loaded.origins.values())
    say(f"the configuration is sound: {changed} settings are set, the others have their defaults")


def _text(value: object) -> str:
    if value in (None, [], {}, ""):
        return ""
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
