"""What kind of thing an incident is, and whether it looks like a fault of the sensor or real.

A device that sends a number in place of a value, another unit or one value for ever is at fault
whatever the world does. What several physically coupled channels show at once happened. What one
channel shows alone may be either; neighbours tell (:mod:`redshank.pipeline.neighbours`).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

from redshank.core.channels import coupled, quantity, top
from redshank.core.clock import SECOND
from redshank.core.records import Evidence, Flag, Origin, SensorInfo
from redshank.detect.streaming import Cause

SPIKE_ROWS = 3
"""An excursion of at most so many rows is called a spike."""
SPIKE_STEPS = 4
"""Sudden steps of a spike or two; more of them are noise."""
STANDS = 0.8
"""Part of an incident for which a channel must hold one value to be called stuck."""
STUCK_ROWS = 10
"""Rows that it must hold it at least."""
INVOLVED = 0.2
"""Share of the evidence from which on another channel takes part in an event."""

_STUCK = frozenset({Cause.STUCK, Cause.FREEZE, Cause.FLAT_LINE})
_NOISE = frozenset({Cause.NOISE, Cause.BURST})
_FAULTS = frozenset({"stuck", "saturation", "wrong unit", "dropout", "spike"})
_IMPOSSIBLE = Flag.GROSS_RANGE | Flag.SENTINEL | Flag.UNIT | Flag.NOT_FINITE


@dataclass(frozen=True, slots=True)
class Findings:
    """What an explanation is made from.

    Attributes:
        cause: code of the detector component that contributed most at the peak.
        opened: event time of the first row, microseconds.
        last: event time of the latest row.
        rows: how many rows.
        held: longest time for which the first channel held one value, in seconds.
        held_until: event time of the last row of that stretch.
        rate: return rate of the peak, per 30 days.
        evidence: channels that contributed, most first.
        calm: channels that stayed normal.
        flags: all quality flags of the first channel's values, one bit set.
        steps: how many of its values came with a sudden step.
    """

    cause: int
    opened: int
    last: int
    rows: int
    held: float
    held_until: int
    rate: float
    evidence: tuple[Evidence, ...]
    calm: tuple[str, ...]
    flags: int = 0
    steps: int = 0


def kind(found: Findings, info: SensorInfo) -> str:
    """The kind of incident in the field's terms."""
    first = found.evidence[0] if found.evidence else None
    if found.flags & Flag.UNIT:
        return "wrong unit"
    if first and _at_top(first, info) and (_stands(found) or found.flags & Flag.SENTINEL):
        return "saturation"
    if found.flags & Flag.SENTINEL or (first and first.value is None):
        return "dropout"
    if _stands(found):
        jumped = found.flags & Flag.RATE_OF_CHANGE
        return "saturation" if first and jumped and _far_above(first) else "stuck"
    return _of_movement(found, first)


def _of_movement(found: Findings, first: Evidence | None) -> str:
    """The kind where values go on moving."""
    if found.flags & Flag.SPIKE and found.steps <= SPIKE_STEPS:
        return "spike"
    if found.cause in _NOISE or found.steps > SPIKE_STEPS:
        return "noise"
    short = found.rows <= SPIKE_ROWS
    if found.flags & Flag.RATE_OF_CHANGE:
        return "spike" if short else "level shift"
    if first and outside(first) and not short and found.cause != Cause.EXTREME:
        return "drift"
    if found.cause == Cause.CROSS_CHANNEL:
        return "disagreement"
    if found.cause in (Cause.FORECAST, Cause.EXTREME):
        return "spike" if short else "level shift"
    return "unusual pattern"


def origin(found: Findings, kind: str) -> Origin:
    """What it looks like, judged by the sensor's own channels.

    Args:
        found: what is known of the incident.
        kind: from :func:`kind`.
    """
    if not found.evidence:
        return "unknown"
    if found.flags & _IMPOSSIBLE:
        return "sensor"
    if together(found.evidence):
        return "event"
    return "sensor" if kind in _FAULTS else "unknown"


def together(evidence: tuple[Evidence, ...]) -> tuple[str, ...]:
    """Channels that left their bands together and that one cause usually moves; () if none did."""
    moved = [e for e in evidence if e.share >= INVOLVED and outside(e)]
    if not moved or moved[0] is not evidence[0]:
        return ()
    others = [e.channel for e in moved[1:] if coupled(moved[0].channel, e.channel)]
    return (moved[0].channel, *others) if others else ()


def outside(evidence: Evidence) -> int:
    """1 where a value is above its band, -1 below, 0 inside or where nothing is known."""
    value, lower, upper = evidence.value, evidence.lower, evidence.upper
    if value is None or lower is None or upper is None:
        return 0
    return int(value > upper) - int(value < lower)


def _far_above(first: Evidence) -> bool:
    """Whether a value is above its band by more than the band is wide."""
    value, lower, upper = first.value, first.lower, first.upper
    if value is None or lower is None or upper is None:
        return False
    return value > upper + (upper - lower)


def _stands(found: Findings) -> bool:
    """Whether the first channel held one value, or nearly so, through most of the incident."""
    if found.cause in _STUCK or found.flags & Flag.FLAT_LINE:
        return True
    span = (found.last - found.opened) / SECOND
    row = span / max(1, found.rows - 1)
    return span > 0 and found.held >= max(STANDS * span, STUCK_ROWS * row)


def _at_top(first: Evidence, info: SensorInfo) -> bool:
    """Whether a value is at the end of the channel's scale."""
    known = quantity(first.channel)
    own = info.channels.get(first.channel)
    tops = [top(first.channel), known.maximum if known else None, own.maximum if own else None]
    ends = [end for end in tops if end is not None and isfinite(end)]
    return first.value is not None and any(first.value >= end for end in ends)
