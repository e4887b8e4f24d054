"""What goes into the detector as a whole and what comes out of it: settings and judged rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from redshank.core.batch import Bytes, Floats, Ints, Singles, Times
from redshank.detect.alarm import AT_ONCE, Confirmation
from redshank.detect.channelstate import Conversions, Rests
from redshank.detect.streaming import StreamingSettings

MONTH_ROWS = 8640.0
"""Rows of a month at a 5-minute cadence: the detector's own unit of time."""


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """What may be set about detection.

    Attributes:
        streaming: settings of the streaming detector.
        rests: tells of a channel's name where it may stay for any time.
        min_effect: channel name to the least deviation in its unit that may alarm.
        units: channel name to factor and offset from other units of its quantity to its own.
        confirmation: N of M rows within the budget before an incident opens.
        offsets: how far local time is ahead of UTC, microseconds, from numbers of time zones and
            from times; for what is normal at an hour of the day.
        row_months: rate unit is a month of 8,640 rows instead of 30 days of event time.
    """

    streaming: StreamingSettings = field(default_factory=StreamingSettings)
    rests: Callable[[str], Rests] = lambda name: Rests.ANYWHERE
    min_effect: Mapping[str, float] = field(default_factory=dict)
    units: Callable[[str], Conversions] = lambda name: ()
    confirmation: Confirmation = AT_ONCE
    offsets: Callable[[Ints, Times], Times] = lambda zones, time: np.zeros_like(time)
    row_months: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """Rows of sensors that share a layout, in the order in which they were scored.

    Attributes:
        channels: the ``c`` channel names.
        slots: (m,) sensors.
        time: (m,) event time, microseconds.
        values: (m, c).
        score: (m,) raw evidence, higher = more unusual.
        rate: (m,) normal incidents at least this extreme per sensor and 30 days; inf if unknown.
        per_month: (m,) rows that the sensor brings in 30 days.
        budget: (m,) the alarm budget in force.
        alarm: (m,) bits of :class:`redshank.detect.alarm.Alarm`.
        cause: (m,) code of :class:`redshank.detect.streaming.Cause`.
        gap: (m,) 1 after a silence of many intervals.
        change: (m, c) bits of :class:`redshank.detect.channelstate.Change`.
        flat: (m, c) 1 where the channel's flat line is itself within five times the budget.
        held: (m, c) seconds for which the channel has held its value.
        expected: (m, c) normal value at this hour, NaN if unknown.
        lower: (m, c) lower edge of the 90 % band.
        upper: (m, c) upper edge.
        contributions: (m, c) shares of the evidence.
        before: (k, RECENT_ROWS, c) values before each row at which an incident opened, oldest
            first; NaN where there are none.
        usual: (k, c) how far each channel usually moved from one value to the next before it.
        levels: (k, RECENT_HOURS + 1, c) means of the hours before and of the row's hour until
            then, oldest first, NaN where there are none.
    """

    channels: tuple[str, ...]
    slots: Ints
    time: Times
    values: Floats
    score: Singles
    rate: Singles
    per_month: Singles
    budget: Singles
    alarm: Bytes
    cause: Bytes
    gap: Bytes
    change: Bytes
    flat: Bytes
    held: Singles
    expected: Singles
    lower: Singles
    upper: Singles
    contributions: Singles
    before: Singles
    usual: Singles
    levels: Singles
