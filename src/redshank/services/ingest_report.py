"""What a fetch on demand brings back, one report per openSenseMap box."""

from __future__ import annotations

from dataclasses import dataclass


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
