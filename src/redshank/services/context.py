"""What the roles of one process share."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from redshank.core.clock import Clock, Instants
from redshank.core.config import Config
from redshank.core.letters import LetterReaders, ReadLetter
from redshank.core.ports import Bus, Store
from redshank.core.telemetry import Telemetry
from redshank.pipeline.runner import Runner
from redshank.services.ingest_report import BoxReport, FetchOrder, Tell

FetchBoxes = Callable[[FetchOrder, "Tell | None"], Awaitable[Sequence[BoxReport]]]
"""``await fetch(order, tell)``: fetch now, store and score, tell on the way, and report."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a source has got.

    Attributes:
        source: its name.
        part: 0 to 1, None if it has no end.
        text: in words.
        error: what is wrong with it, "" if nothing.
    """

    source: str
    part: float | None
    text: str
    error: str = ""


class ProgressBoard:
    """The latest progress of each source, and whoever wants to hear of changes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._latest: dict[str, Progress] = {}
        self._listeners: list[Callable[[Progress], None]] = []

    def post(self, progress: Progress) -> None:
        """Tell of a change."""
        with self._lock:
            self._latest[progress.source] = progress
        for listener in tuple(self._listeners):
            listener(progress)

    def latest(self) -> list[Progress]:
        """One line a source."""
        with self._lock:
            return list(self._latest.values())

    def listen(self, listener: Callable[[Progress], None]) -> None:
        """Hear of every change; must not block."""
        self._listeners.append(listener)


def _no_reader(source: str) -> ReadLetter | None:
    return None


@dataclass(frozen=True, slots=True)
class Context:
    """What the roles of one process share."""

    config: Config
    clock: Clock
    store: Store
    bus: Bus
    runner: Runner
    telemetry: Telemetry
    fetch_boxes: FetchBoxes
    instants: Instants
    letter_readers: LetterReaders = _no_reader
    progress: ProgressBoard = field(default_factory=ProgressBoard)
