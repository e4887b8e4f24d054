"""What the streaming detector is told and what it says."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from redshank.core.batch import Bytes, Singles


class Cause(IntEnum):
    """The component that adds most to the evidence of a row."""

    NONE = 0
    FORECAST = 1
    """The value is far from its one-step forecast."""
    SHAPE = 2
    """The last rows do not have the shape that the history had."""
    NOISE = 3
    """More variation over 30 rows than usual."""
    STUCK = 4
    """Less variation over 30 rows than usual."""
    BURST = 5
    """More variation over 10 rows than usual."""
    FREEZE = 6
    """Less variation over 10 rows than usual."""
    CROSS_CHANNEL = 7
    """A channel does not follow from the others as it did."""
    MEMORY = 8
    """The last rows are like nothing remembered."""
    FLAT_LINE = 9
    """A channel has held one value for too long; found beside the streaming score."""
    EXTREME = 10
    """A channel is outside everything seen."""
    LEVEL = 11
    """The level is outside the range that it had."""
    ACTIVE = 12
    """The values move more from row to row than they ever did."""
    CALM = 13
    """The values move less from row to row than they ever did."""


@dataclass(frozen=True, slots=True)
class StreamingSettings:
    """How models are fitted; the defaults are those that the figures in the docs belong to.

    Attributes:
        ridge: penalty of the forecaster, in rows.
        energy: part of the variance of the windows that their subspace keeps, 0 to 1.
        long_run: rows of raised evidence after which a run is left out of later fits.
        most_masked: part of the history that may be left out, 0 to 1.
        most_outstanding: part of a history that may be anomalous, 0 to 1.
        outstanding: evidence from which rows of a first one are taken to be so, in units of the
            evidence that the other rows stay below.
        outstanding_later: the same in later fits, for rows that a model has looked through
            already.
        around: rows on both sides of them that are left out as well.
        young_days: age at which rare rates are half known: who has not seen a day cannot know what
            a day brings. 0 where only rows count.
    """

    ridge: float = 10.0
    energy: float = 0.9
    long_run: int = 300
    most_masked: float = 0.75
    most_outstanding: float = 0.1
    outstanding: float = 1.5
    outstanding_later: float = 2.5
    around: int = 10
    young_days: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """One line for each row that was scored; ``n`` rows, ``c`` channels.

    Attributes:
        score: (n,) evidence, higher = worse; 0 while learning.
        rate: (n,) normal incidents at least this extreme per 8,640 rows; inf while learning.
        contributions: (n, c) each channel's share of the evidence: >= 0, sum 1, or all 0 while
            learning.
        forecast: (n, c) one-step forecast in the channel's own unit; NaN while learning.
        cause: (n,) code of the component that adds most, see :class:`Cause`.
    """

    score: Singles
    rate: Singles
    contributions: Singles
    forecast: Singles
    cause: Bytes
