"""Prints what a running redshank does: its address, its progress, and what it finds."""

from __future__ import annotations

import os
import sys
import webbrowser
from pathlib import Path

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

import redshank
from redshank.cli.console import complain, console
from redshank.cli.findings import print_findings
from redshank.cli.serving import Events
from redshank.core import plugins
from redshank.core.errors import RedshankError
from redshank.services.context import Context
from redshank.services.context import Progress as Step

CAUGHT_UP = 0.999
"""Part of the past from which on a source counts as live."""


class Watcher(Events):
    """Tells on the terminal what happens; elsewhere plain lines, progress at every tenth.

    Args:
        data: the data folder, to be named.
        browse: whether to open the page.
        goes_on: whether sources go on live once they have read the past.
        quiet: say nothing at all, because the output is for machines.
    """

    def __init__(
        self, data: Path, browse: bool = False, goes_on: bool = False, quiet: bool = False
    ) -> None:
        self._data = data
        self._browse = browse
        self._goes_on = goes_on
        self._quiet = quiet
        self._console = console()
        if not quiet:
            self.alerts = [plugins.load("redshank.alerts", "console")(self.say)]
        self._bar: Progress | None = None
        self._tenths: dict[str, int] = {}
        self._context: Context | None = None

    def say(self, line: str) -> None:
        """A line, above the progress bar if there is one."""
        self._console.print(Text(line), soft_wrap=True)
        self._console.file.flush()

    def opened(self, context: Context) -> None:
        """Follow how far sources get."""
        self._context = context
        if not self._quiet:
            context.progress.listen(self.step)

    def ready(self, url: str) -> None:
        """Print the address and open the page."""
        version = redshank.__version__
        self.say(f"redshank {version} is at {url} (data in {self._data}; Ctrl-C stops it)")
        if self._browse and has_desktop():
            webbrowser.open(url)

    def read(self, error: RedshankError | None) -> None:
        """Summarise what the sources brought."""
        self.close()
        if error is not None:
            complain(str(error))
        if self._context is not None and not self._quiet:
            print_findings(self._context.store)
            self._console.file.flush()

    def step(self, step: Step) -> None:
        """A source got further, or into trouble."""
        if step.error:
            complain(f"{step.source}: {step.error}")
        elif self._goes_on and (step.part is None or step.part >= CAUGHT_UP):
            self._caught_up()
        elif step.part is None:
            return
        elif self._console.is_terminal:
            self._draw(step.source, step.part, step.text)
        elif int(step.part * 10) > self._tenths.get(step.source, -1):
            self._tenths[step.source] = int(step.part * 10)
            self.say(f"{step.source}: {step.part:.0%}, {step.text}")

    def _caught_up(self) -> None:
        """The past is read: say once what was in it."""
        self._goes_on = False
        self.read(None)
        self.say("Going on live. Incidents are told here and on the page as they open and close.")

    def _draw(self, source: str, part: float, text: str) -> None:
        if self._bar is None:
            columns = (
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                TaskProgressColumn(),
                TextColumn("{task.fields[note]}", markup=False),
                TimeElapsedColumn(),
            )
            self._bar = Progress(*columns, console=self._console, transient=True)
            self._bar.start()
        for task in self._bar.tasks:
            if task.description == source:
                self._bar.update(task.id, completed=part, note=text)
                return
        added = self._bar.add_task(source, total=1.0, note=text)
        self._bar.update(added, completed=part)

    def close(self) -> None:
        """Take the progress bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def has_desktop() -> bool:
    """Whether somebody sits in front of it who wants to see a page."""
    if not sys.stdout.isatty():
        return False
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
