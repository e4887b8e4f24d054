"""What kind of thing an incident is, and whether it looks like a fault of the sensor or real.

A device that sends a number in place of a value, another unit or one value for ever is at fault
whatever the world does. What several physically coupled channels show at once happened. What one
channel shows alone may be either; neighbours tell (:mod:`redshank.pipeline.neighbours`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf, isfinite

from redshank.core.channels import coupled, other_units, quantity, top
from redshank.core.clock import SECOND
from redshank.core.records import Evidence, Flag, Origin, SensorInfo
from redshank.detect.streaming import Cause
from redshank.pipeline.movement import (
    SPIKE_ROWS,
    Movement,
    in_unit,
    in_unit_of_old,
    movement,
    rest,
    suddenness,
    was_in_unit,
)
from redshank.pipeline.trace import Course

UNIT_PART = 0.5
"""Part of an incident's rows that must fit another unit for it to be called so."""
STANDS = 0.8
"""Part of an incident for which a channel must hold one value to be called stuck."""
STUCK_ROWS = 10
"""Rows that it must hold it at least."""
LEAST_MOVE, MOST_MOVE = 0.05, 2.0
"""Widths of its band, at least and at most, that a channel's own move counts."""
JUMPED = 4.0
"""Usual steps of a jump to the end of the scale."""
INVOLVED = 0.2
"""Share of the evidence from which on another channel takes part in an event."""

_STUCK = frozenset({Cause.STUCK, Cause.FREEZE, Cause.CALM, Cause.FLAT_LINE})
_NOISE = frozenset({Cause.NOISE, Cause.BURST, Cause.ACTIVE})
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
        flags: how many of the first channel's values came with each quality flag.
        course: what the first channel did; None where nothing is known of it.
        meanwhile: sentence on what other channels did while it went on; "" without any.
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
    flags: Mapping[Flag, int] = field(default_factory=dict)
    course: Course | None = None
    meanwhile: str = ""

    def any(self, flags: Flag) -> bool:
        """Whether any value of the first channel came with any of these flags."""
        return any(count and flag & flags for flag, count in self.flags.items())


def kind(found: Findings, info: SensorInfo) -> str:
    """The kind of incident in the field's terms."""
    first = found.evidence[0] if found.evidence else None
    moved = movement(found.course, _width(first)) if found.course else "none"
    holds = moved != "spike" and _holds(found)
    if not holds and _in_other_unit(found, first, moved):
        return "wrong unit"
    stands = holds or (moved != "spike" and found.cause in _STUCK)
    if first and _at_top(first, info) and (stands or found.any(Flag.SENTINEL)):
        return "saturation"
    if found.any(Flag.SENTINEL) or (first and first.value is None):
        return "dropout"
    if stands:
        return "saturation" if first and _saturated(found, first) else "stuck"
    return moved if moved != "none" else _by_cause(found, first)


def _in_other_unit(found: Findings, first: Evidence | None, moved: Movement) -> bool:
    """Whether the first channel goes on where it was, but in another unit."""
    if found.flags.get(Flag.UNIT, 0) >= UNIT_PART * found.rows:
        return found.rows > SPIKE_ROWS or not found.any(Flag.SPIKE)
    if first is None or found.course is None:
        return False
    course, units = found.course, other_units(first.channel)
    if moved == "level shift":
        return any(in_unit(course, *unit) or was_in_unit(course, *unit) for unit in units)
    if first.lower is None or first.upper is None or not outside(first):
        return False
    band = first.lower, first.upper
    return any(in_unit_of_old(course, *unit, band) for unit in units)


def _by_cause(found: Findings, first: Evidence | None) -> str:
    """The kind where the first channel hardly moved."""
    if found.cause in _NOISE:
        return "noise"
    if found.cause == Cause.CROSS_CHANNEL:
        return "disagreement"
    return "drift" if first and outside(first) else "unusual pattern"


def origin(found: Findings, kind: str) -> Origin:
    """What it looks like, judged by the sensor's own channels.

    Args:
        found: what is known of the incident.
        kind: from :func:`kind`.
    """
    if not found.evidence:
        return "unknown"
    if found.any(_IMPOSSIBLE):
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


def moved(evidence: Evidence, course: Course | None) -> float:
    """How much a channel of itself shows, LEAST_MOVE to MOST_MOVE widths of its band.

    A sudden move counts, and a way out of the band. What depends on a faulty channel gets part of
    the evidence although it is as ever.
    """
    width = _width(evidence)
    if course is None or not 0 < width < inf:
        return 1.0
    sudden = suddenness(course)
    value, lower, upper = evidence.value, evidence.lower, evidence.upper
    if sudden and value is not None and lower is not None and upper is not None:
        sudden = max(sudden, lower - value, value - upper)
    return min(MOST_MOVE, max(LEAST_MOVE, sudden / width))


def outside(evidence: Evidence) -> int:
    """1 where a value is above its band, -1 below, 0 inside or where nothing is known."""
    value, lower, upper = evidence.value, evidence.lower, evidence.upper
    if value is None or lower is None or upper is None:
        return 0
    return int(value > upper) - int(value < lower)


def _saturated(found: Findings, first: Evidence) -> bool:
    """Whether a channel that stands still jumped to where it stands, above its band.

    Where the jump is out of sight, it must stand far above: a channel that got stuck by day may
    well be somewhat above what is normal at night.
    """
    where = rest(found.course) if found.course else None
    if first.upper is None or first.lower is None:
        return False
    if where is None:
        return first.value is not None and first.value > first.upper + _width(first)
    if where.jump is None:
        return where.value > first.upper + _width(first)
    return where.jump > JUMPED and where.value > first.upper


def _width(first: Evidence | None) -> float:
    if first is None or first.lower is None or first.upper is None:
        return inf
    return first.upper - first.lower


def _holds(found: Findings) -> bool:
    """Whether the first channel held one value through most of the incident."""
    if found.any(Flag.FLAT_LINE):
        return True
    where = rest(found.course) if found.course else None
    if where and where.settled and where.jump is not None and where.jump > JUMPED:
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
