"""All commands in one tree, and what happens when one of them fails.

Exit status: 0 done, 1 failed, 2 wrong usage or configuration, 3 a check found problems, 130 Ctrl-C.
"""

from __future__ import annotations

import sys
from typing import Annotated, Any, TextIO

import typer
from typer.core import TyperGroup

import redshank
from redshank.cli import (
    boxes,
    budget,
    config,
    dead_letters,
    doctor,
    evaluate,
    export,
    fetch,
    mark,
    migrate,
    mqtt,
    reference,
    replay,
    run,
    score,
    send,
    sensors,
    simulate,
)
from redshank.cli.console import complain
from redshank.core.errors import ConfigError, MissingExtraError, RedshankError

FAILED, MISUSED, INTERRUPTED = 1, 2, 130


class Commands(TyperGroup):
    """A group whose errors are one clear line instead of a traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; errors that are meant for people end it with their status."""
        try:
            return super().invoke(ctx)
        except RedshankError as error:
            complain(str(error))
            wrong = isinstance(error, (ConfigError, MissingExtraError))
            raise typer.Exit(MISUSED if wrong else FAILED) from error
        except OSError as error:
            complain(f"{error.filename}: {error.strerror}" if error.filename else str(error))
            raise typer.Exit(FAILED) from error
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"redshank {redshank.__version__}")
        raise typer.Exit


def build() -> typer.Typer:
    """The tree of commands."""
    app = typer.Typer(
        cls=Commands,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        help="Watches sensors and says what is wrong, why, and since when.",
    )

    @app.callback()
    def redshank_(
        version: Annotated[
            bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")
        ] = False,
    ) -> None:
        """Watches sensors and says what is wrong, why, and since when."""

    for group in (
        run,
        boxes,
        fetch,
        export,
        replay,
        simulate,
        send,
        score,
        evaluate,
        mark,
        budget,
        doctor,
        migrate,
        reference,
    ):
        group.register(app)
    app.add_typer(sensors.group(), name="sensors")
    app.add_typer(dead_letters.group(), name="dead-letters")
    app.add_typer(config.group(), name="config")
    app.add_typer(mqtt.group(), name="mqtt")
    return app


def main() -> None:
    """Entry point of ``redshank``."""
    for stream in (sys.stdout, sys.stderr):
        _tolerant(stream)
    build()()


def _tolerant(stream: TextIO) -> None:
    """Print a substitute for what a narrow terminal encoding cannot show."""
    if hasattr(stream, "reconfigure"):
        stream.reconfigure(errors="replace")
