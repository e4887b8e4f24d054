"""``redshank doctor``: what works here, what does not, and what to do."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from redshank.cli.console import print_json, print_table, settings
from redshank.core.clock import SystemClock

if TYPE_CHECKING:
    from redshank.services.doctor import Finding

PROBLEMS = 3
MARKS = {True: "✓", False: "✗", None: "·"}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(doctor)


def doctor(
    data: Annotated[Path | None, typer.Option(help="Data folder to look at.")] = None,
    host: Annotated[str | None, typer.Option(help="Address to try.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to try.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Examine this installation; exit status 3 if something needs a look."""
    from redshank import wiring
    from redshank.services.doctor import configuration, examine

    config, sound = configuration(lambda: settings(data, host=host, port=port).config)
    findings = [sound]
    if config is not None:
        findings += examine(config, SystemClock(), wiring.check_store)
    if json:
        print_json([asdict(finding) for finding in findings])
    else:
        _print(findings)
    if any(finding.ok is False for finding in findings):
        raise typer.Exit(PROBLEMS)


def _print(findings: list[Finding]) -> None:
    print_table(
        ("", "checked", "found", "next step"),
        [(MARKS[f.ok], f.name, f.detail, f.advice if f.ok is False else "") for f in findings],
    )
