"""Dead letters as their sources read them again: by the rules and the mapping of now."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from redshank.core.batch import Batch
from redshank.core.records import DeadLetter, SensorInfo


@dataclass(frozen=True, slots=True)
class Reread:
    """What a letter holds now.

    Attributes:
        batches: its readings.
        sensors: what it says of sensors.
        reason: why it still cannot be read, "" if it can; then nothing else counts.
    """

    batches: Sequence[Batch] = ()
    sensors: Sequence[SensorInfo] = ()
    reason: str = ""


ReadLetter = Callable[[DeadLetter], Reread | None]
"""Reads a letter again; None where too little was kept with it. Reading it twice gives the same."""

LetterReaders = Callable[[str], ReadLetter | None]
"""What reads the letters of a source; None where nobody does."""
