"""What the channels of an incident did: the rows before it, its first rows, and its whole course.

From rows alone a step, a slope, a burst and a single excursion can be told apart, whatever part of
the detector spoke first. Only sensors with an incident that goes on keep a trace; it is bounded,
and the same however rows were batched.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from redshank.core.batch import Floats, Singles
from redshank.detect.channelstate import RECENT_HOURS, RECENT_ROWS

HEAD_ROWS = 32
"""First rows of an incident that are kept one by one."""
HUGE = 1e30
"""Numbers beyond this are no measurements; smaller ones are kept as the rows before are."""
COURSE_POINTS = 64
"""Most rows that are kept of its whole course, evenly spread."""

Values = dict[str, list[float]]


@dataclass(slots=True)
class Trace:
    """Channel to values, oldest first; NaN where one is missing.

    Attributes:
        before: the RECENT_ROWS rows before the incident.
        usual: how far each channel usually moved from one value to the next before it.
        levels: means of the RECENT_HOURS hours before it, and of its own until it opened.
        head: its first HEAD_ROWS rows.
        course: every ``stride``-th of its rows.
        stride: distance of the rows of ``course``.
        rows: how many rows it has seen.
    """

    before: Values = field(default_factory=dict)
    usual: dict[str, float] = field(default_factory=dict)
    levels: Values = field(default_factory=dict)
    head: Values = field(default_factory=dict)
    course: Values = field(default_factory=dict)
    stride: int = 1
    rows: int = 0

    @classmethod
    def after(
        cls, channels: tuple[str, ...], before: Singles, usual: Singles, levels: Singles
    ) -> Trace:
        """A trace without rows of its own yet.

        Args:
            channels: the ``C`` names.
            before: (RECENT_ROWS, C).
            usual: (C,) size of usual steps.
            levels: (RECENT_HOURS + 1, C) means of hours.
        """
        return cls(
            before=_of_each(channels, before),
            usual=_of_each(channels, usual),
            levels=_of_each(channels, levels),
        )

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Trace:
        """From the JSON-able form, in which missing values are None."""

        def values(part: str) -> Values:
            return {name: [_number(x) for x in column] for name, column in plain[part].items()}

        usual, stride, rows = plain["usual"], plain["stride"], plain["rows"]
        past = values("before"), usual, values("levels")
        return cls(*past, values("head"), values("course"), stride, rows)

    def take(self, channels: tuple[str, ...], values: Floats) -> None:
        """Go on by the next rows of the incident, (n, C)."""
        values = np.where(np.abs(values) < HUGE, values, np.nan).astype(np.float32).astype(float)
        numbers = np.arange(self.rows, self.rows + len(values))
        head = values[numbers < HEAD_ROWS]
        kept = values[numbers % self.stride == 0]
        for column, name in enumerate(channels):
            self._extend(self.head, name, head[:, column], min(self.rows, HEAD_ROWS))
            points = -(-self.rows // self.stride)
            self._extend(self.course, name, kept[:, column], points)
        self.rows += len(values)
        while -(-self.rows // self.stride) > COURSE_POINTS:
            self.stride *= 2
            self.course = {name: column[::2] for name, column in self.course.items()}

    def _extend(self, part: Values, name: str, values: Floats, so_far: int) -> None:
        """Add values to a column; one of a channel that is new was missing before."""
        column = part.setdefault(name, [])
        column += [float("nan")] * (so_far - len(column)) + values.tolist()

    def of(self, channel: str, rows: int) -> Course | None:
        """What one channel did up to a row of the incident; None for an unknown channel."""
        if channel not in self.head:
            return None
        unknown = float("nan")
        before = np.array(self.before.get(channel, [unknown] * RECENT_ROWS))
        levels = np.array(self.levels.get(channel, [unknown] * (RECENT_HOURS + 1)))
        head = np.array(self.head[channel][:rows])
        course = np.array(self.course[channel][: -(-rows // self.stride)])
        after = np.array(self.head[channel][rows:])
        return Course(before, head, after, course, self.usual.get(channel, 0.0), levels)


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """One channel's way through an incident.

    Attributes:
        before: (RECENT_ROWS,) rows before it.
        head: first rows of it, at most HEAD_ROWS.
        after: rows behind its latest unusual one, as far as they belong to the first HEAD_ROWS.
        course: rows all over it, evenly spread.
        usual: how far it usually moved from one value to the next.
        levels: (RECENT_HOURS + 1,) means of the hours before it, and of its own until it opened.
    """

    before: Floats
    head: Floats
    after: Floats
    course: Floats
    usual: float
    levels: Floats


def _of_each(channels: tuple[str, ...], part: Singles) -> dict[str, Any]:
    """Channel to its column, or to its number where ``part`` has one of each."""
    return dict(zip(channels, part.astype(float).T.tolist(), strict=True))


def _number(value: float | None) -> float:
    return float("nan") if value is None else value
