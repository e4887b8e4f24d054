"""What all commands print with: tables, progress, JSON and complaints."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from redshank.core.config import Loaded, load_config

PLAIN_WIDTH = 160
"""Columns of output that goes to a file or a pipe."""

Tracker = Callable[[float, str], None]
"""Called with the share that is done, 0 to 1, and a few words."""


def console(stderr: bool = False) -> Console:
    """A console that keeps colours and cursor movements off files and pipes."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else PLAIN_WIDTH
    return Console(file=stream, width=width, highlight=False, soft_wrap=False, emoji=False)


def say(text: str) -> None:
    """A line for people on standard output, as it is."""
    console().print(Text(text), soft_wrap=True)


def tell(text: str) -> None:
    """A line for people on standard error, beside output for machines."""
    console(stderr=True).print(Text(text), soft_wrap=True)


def complain(text: str) -> None:
    """What went wrong, on standard error."""
    lines = text.splitlines() or ["failed"]
    for line in lines:
        console(stderr=True).print(Text.assemble(("error: ", "bold red"), line), soft_wrap=True)


def print_json(value: Any) -> None:
    """JSON for machines; numbers that do not exist are null."""
    sys.stdout.write(orjson.dumps(_finite(value), option=orjson.OPT_INDENT_2).decode() + "\n")


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], title: str = "") -> None:
    """A table; columns whose cells are all numbers are set right."""
    cells = [[cell if isinstance(cell, Text) else _cell(cell) for cell in row] for row in rows]
    numeric = [all(_is_number(row[i]) for row in cells) for i in range(len(columns))]
    table = Table(box=box.SIMPLE_HEAD, title=title or None, title_justify="left", pad_edge=False)
    for name, right in zip(columns, numeric, strict=True):
        table.add_column(name, justify="right" if right else "left", overflow="fold")
    for row in cells:
        table.add_row(*row)
    console().print(table)


@contextmanager
def tracking(text: str) -> Iterator[Tracker]:
    """Show progress on standard error: a bar on a terminal, elsewhere a line for each tenth."""
    if sys.stderr.isatty():
        with _bar(console(stderr=True)) as bar:
            task = bar.add_task(text, total=1.0, note="")

            def tell(done: float, note: str) -> None:
                bar.update(task, completed=done, note=note)

            yield tell
    else:
        yield _lines(text)


def settings(data: Path | None = None, **overrides: Any) -> Loaded:
    """The configuration with what the command line says on top."""
    return load_config(overrides={"data_dir": data, **overrides})


def _bar(target: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[note]}", markup=False),
        TimeRemainingColumn(),
        console=target,
    )


def _lines(text: str) -> Tracker:
    shown = -1

    def tell(done: float, note: str) -> None:
        nonlocal shown
        tenth = int(done * 10)
        if tenth > shown:
            shown = tenth
            print(f"{text} {done:4.0%} {note}".rstrip(), file=sys.stderr, flush=True)

    return tell


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "–" if math.isnan(value) else f"{value:.3f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _is_number(cell: str | Text) -> bool:
    text = str(cell).replace(",", "").removeprefix("-")
    return text == "–" or text.replace(".", "", 1).isdigit()
