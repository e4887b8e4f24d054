"""What a fetch on demand is asked for and brings back, one report per openSenseMap box."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Tell = Callable[[float, str], None]
"""Called with the share that is done, 0 to 1, and a few words."""


@dataclass(frozen=True, slots=True)
class FetchOrder:
    """What is to be fetched.

    Attributes:
        box_ids: of these boxes; none for the configured ones.
        phenomena: titles or channels; none for all.
        start: event time, microseconds; None for two days before the end.
        end: likewise, not included; None for the newest value.
        again: also what is known to be read.
    """

    box_ids: tuple[str, ...] = ()
    phenomena: tuple[str, ...] = ()
    start: int | None = None
    end: int | None = None
    again: bool = False


@dataclass(frozen=True, slots=True)
class BoxReport:
    """What became of one box.

    Attributes:
        box_id: openSenseMap's id, 24 hexadecimal digits.
        name: what its owner calls it, "" if it could not be read.
        read: readings that openSenseMap returned.
        stored: new ones.
        duplicates: known ones.
        conflicts: known times with other values; the first stays.
        flagged: values that carry a quality flag.
        anomalies: rows that are anomalous.
        unmapped: phenomena without a canonical channel; they are kept under their own name.
        error: why the box could not be read, None if it could; nothing is raised for it.
    """

    box_id: str
    name: str = ""
    read: int = 0
    stored: int = 0
    duplicates: int = 0
    conflicts: int = 0
    flagged: int = 0
    anomalies: int = 0
    unmapped: tuple[str, ...] = ()
    error: str | None = None
