"""Options of all commands that work with a running redshank or on its data folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

Url = Annotated[
    str | None,
    typer.Option(
        help="A running redshank, e.g. http://127.0.0.1:8000; the key is REDSHANK_API_KEY."
    ),
]
Data = Annotated[
    Path | None, typer.Option(help="Folder that holds the store, where none is running.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def given(**values: Any) -> dict[str, Any]:
    """Parameters without those that say nothing."""
    return {name: value for name, value in values.items() if value not in (None, "", [], {})}
