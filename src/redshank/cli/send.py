"""``redshank send``: files or simulated readings to a redshank."""

from __future__ import annotations

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""
