"""The detector as a whole: rows of many sensors in, judged rows out.

Alignment, rhythm, streaming score and rate, flat line, extremes, profile and decision for any
number of sensors with any channels, on columns. Live data, replays, files and benchmarks all go
through :meth:`Engine.run`; there is no second path. What a sensor's rows bring depends on that
sensor's earlier rows only, never on other sensors or on how rows were batched.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from redshank.core.batch import Bytes, Floats, Ints, Singles, Times
from redshank.core.clock import MONTH, SECOND
from redshank.detect.alarm import AT_ONCE, Alarm, Confirmation, alarm_column, decide
from redshank.detect.channelstate import (
    MAX_CHANNELS,
    Alignment,
    Changes,
    Conversions,
    Extremes,
    FlatLine,
    Profile,
    Rhythm,
    conversion_table,
)
from redshank.detect.groups import Groups, GroupScores
from redshank.detect.state import pack, unpack
from redshank.detect.streaming import Cause, StreamingSettings
from redshank.detect.structs import StructColumn

MONTH_ROWS = 8640.0
"""Rows of a month at a 5-minute cadence: the detector's own unit of time."""

_STREAM_SHARE = 0.7
"""Part of the alarm budget that the streaming score may spend."""
_FLAT_SHARE = 0.15
"""Part for flat lines of all channels together."""
_EXTREME_SHARE = 0.15
"""Part for values outside everything seen, of all channels together."""


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """What may be set about detection.

    Attributes:
        streaming: settings of the streaming detector.
        rests_at_zero: tells of a channel's name whether it may stay at zero for any time.
        min_effect: channel name to the least deviation in its unit that may alarm.
        units: channel name to factor and offset from other units of its quantity to its own.
        confirmation: N of M rows within the budget before an incident opens.
        row_months: rate unit is a month of 8,640 rows instead of 30 days of event time.
    """

    streaming: StreamingSettings = field(default_factory=StreamingSettings)
    rests_at_zero: Callable[[str], bool] = lambda name: True
    min_effect: Mapping[str, float] = field(default_factory=dict)
    units: Callable[[str], Conversions] = lambda name: ()
    confirmation: Confirmation = AT_ONCE
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


class Engine:
    """State of all sensors, and the way of rows through it."""

    def __init__(self, settings: EngineSettings | None = None) -> None:
        self.settings = settings or EngineSettings()
        self._alignment = Alignment()
        self._rhythm = Rhythm()
        self._flat = FlatLine()
        self._extremes = Extremes()
        self._changes = Changes()
        self._profile = Profile()
        self._alarm = alarm_column()
        self._groups = Groups(self.settings.streaming)
        self._layouts: list[tuple[str, ...]] = [()]
        self._layout_number: dict[tuple[str, ...], int] = {(): 0}
        self._layout = np.zeros(64, np.int32)
        self._first = np.zeros(64, np.int64)
        self.budget = np.full(64, 3.0, np.float32)
        self._free_slots: list[int] = []
        self._free_series: dict[int, list[int]] = {}
        self._slots = 0
        self._series = 0

    # --- sensors ---

    def add(self, budget: float = 3.0) -> int:
        """Slot of a new sensor without any channel yet."""
        slot = self._free_slots.pop() if self._free_slots else self._new_slot()
        for column in self._sensor_columns():
            column.clear(slot)
        self._layout[slot] = 0
        self._first[slot] = 0
        self.budget[slot] = budget
        return slot

    def remove(self, slot: int) -> None:
        """Forget a sensor and give its memory back."""
        self._groups.remove(slot)
        self._release_series(slot)
        self._layout[slot] = 0
        self._free_slots.append(slot)

    def channels(self, slot: int) -> tuple[str, ...]:
        """The sensor's channels, in order of appearance."""
        return self._layouts[int(self._layout[slot])]

    def prime(self, slot: int, channels: Sequence[str], time: Times, values: Floats) -> None:
        """Learn from a history of the sensor instead of from its first rows.

        Args:
            slot: a sensor that has seen nothing yet.
            channels: the ``c`` channels.
            time: (n,) event time, rising.
            values: (n, c).
        """
        self._extend(slot, channels)
        slots = np.full(len(time), slot, np.int32)
        first = self._first[slots]
        rests = self._rests(self.channels(slot))
        values = np.ascontiguousarray(values, np.float64)
        aligned = self._alignment.run(slots, first, np.ascontiguousarray(time, np.int64), values)
        interval, _ = self._rhythm.run(aligned.slots, aligned.time)
        first = self._first[aligned.slots]
        self._flat.run(first, aligned.time, aligned.values, rests)
        self._extremes.run(first, aligned.values)
        units = self._units(self.channels(slot))
        self._changes.run(first, aligned.time, aligned.values, interval, units)
        learn = np.ones(len(aligned.time), np.uint8)
        self._profile.run(first, aligned.time, aligned.values, interval, learn)
        self._groups.prime(slot, aligned.time, aligned.values)

    def silence(self, slots: Ints, since: Times, now: int) -> tuple[Singles, Singles]:
        """How rare it is that nothing has come for so long.

        Args:
            slots: (n,) sensors.
            since: (n,) when something came the last time, microseconds.
            now: microseconds.

        Returns:
            (n,) silences at least as long per sensor and 30 days, inf while too little is known;
            and (n,) the reporting interval in seconds.
        """
        rate, interval = self._rhythm.silence(slots, since, now)
        return rate * (self._per_month(interval) / np.float32(MONTH_ROWS)), interval

    def state_bytes(self) -> int:
        """Memory of all state arrays."""
        columns = (*self._sensor_columns(), *self._series_columns())
        small = self._layout.nbytes + self._first.nbytes + self.budget.nbytes
        return sum(c.rows.nbytes for c in columns) + small + self._groups.state_bytes()

    # --- rows ---

    def run(
        self, slots: Ints, time: Times, channels: Sequence[str], values: Floats
    ) -> list[Judged]:
        """Score rows in arrival order, and learn from them; one ``Judged`` for each layout.

        A row whose channels arrive separately is judged when it is complete.

        Args:
            slots: (n,) sensors, from :meth:`add`.
            time: (n,) event time, microseconds.
            channels: the ``C`` columns of ``values``.
            values: (n, C), NaN where a row lacks the channel.
        """
        self._extend_all(slots, channels)
        layouts = self._layout[slots]
        judged = []
        for number in np.unique(layouts):
            rows = slice(None) if (layouts == number).all() else np.flatnonzero(layouts == number)
            layout = self._layouts[number]
            columns = _arranged(values[rows], channels, layout)
            judged.append(self._judge(layout, slots[rows], time[rows], columns))
        return [part for part in judged if len(part.time)]

    def run_on_copy(
        self, slot: int | None, budget: float, time: Times, channels: Sequence[str], values: Floats
    ) -> Judged:
        """Judge rows of one sensor on a copy of its state, which stays as it is.

        Every row is judged at once and taken as new, whatever its time.

        Args:
            slot: the sensor; None starts from nothing.
            budget: the alarm budget.
            time: (n,) event time, strictly rising.
            channels: the ``C`` columns of ``values``.
            values: (n, C).
        """
        copy = self.add(budget)
        try:
            if slot is not None:
                self.restore(copy, self.snapshot(slot))
            self._alignment.sensors.clear(copy)
            slots = np.full(len(time), copy, np.int32)
            (judged,) = self.run(slots, time, channels, values)
        finally:
            self.remove(copy)
        return judged

    def _judge(self, layout: tuple[str, ...], slots: Ints, time: Times, values: Floats) -> Judged:
        slots = np.ascontiguousarray(slots, np.int32)
        time = np.ascontiguousarray(time, np.int64)
        rows = self._alignment.run(slots, self._first[slots], time, values)
        interval, gap = self._rhythm.run(rows.slots, rows.time)
        first = self._first[rows.slots]
        per_month = self._per_month(interval)
        scores = self._groups.score(rows.slots, rows.time, rows.values)
        flat_rate, held = self._flat.run(first, rows.time, rows.values, self._rests(layout))
        flat_rate = _shared(flat_rate, _FLAT_SHARE)
        extreme_rate = _shared(self._extremes.run(first, rows.values), _EXTREME_SHARE)
        change = self._changes.run(first, rows.time, rows.values, interval, self._units(layout))
        rate, cause, shares = _combine(scores, flat_rate, extreme_rate)
        rate = rate * (per_month / np.float32(MONTH_ROWS))
        self._lift_small(layout, rows.values, scores.forecast, cause, rate, per_month)
        budget = self.budget[rows.slots]
        alarm = decide(self._alarm, rows.slots, rate, budget, self.settings.confirmation)
        learn = (alarm & Alarm.ANOMALOUS == 0).astype(np.uint8)
        bands = self._profile.run(first, rows.time, rows.values, interval, learn)
        clear = 5.0 * budget * (MONTH_ROWS / per_month)
        flat = flat_rate <= clear[:, None]
        return Judged(
            layout,
            rows.slots,
            rows.time,
            rows.values,
            scores.score,
            rate,
            per_month,
            budget,
            alarm,
            cause,
            gap,
            change,
            flat.astype(np.uint8),
            held,
            *bands,
            shares,
        )

    def _per_month(self, interval: Singles) -> Singles:
        if self.settings.row_months:
            return np.full(len(interval), MONTH_ROWS, np.float32)
        month = np.float32(MONTH / SECOND) / np.maximum(interval, np.float32(1e-3))
        return np.where(np.isnan(month), np.float32(MONTH_ROWS), month)

    def _lift_small(
        self,
        layout: tuple[str, ...],
        values: Floats,
        forecast: Singles,
        cause: Bytes,
        rate: Singles,
        per_month: Singles,
    ) -> None:
        """Rows whose deviations all lie under the minimum effect count as usual; in place."""
        if not any(name in self.settings.min_effect for name in layout):
            return
        least = np.array([self.settings.min_effect.get(name, 0.0) for name in layout])
        small = (np.abs(values - forecast) < least) | np.isnan(values) | np.isnan(forecast)
        held = np.isin(cause, (Cause.STUCK, Cause.FREEZE, Cause.FLAT_LINE))
        lifted = small.all(axis=1) & ~held
        rate[lifted] = np.maximum(rate[lifted], per_month[lifted])

    def _rests(self, layout: tuple[str, ...]) -> Bytes:
        return np.array([self.settings.rests_at_zero(name) for name in layout], np.uint8)

    def _units(self, layout: tuple[str, ...]) -> Floats:
        return conversion_table([self.settings.units(name) for name in layout])

    # --- layouts ---

    def _extend_all(self, slots: Ints, channels: Sequence[str]) -> None:
        """Give every sensor of a batch the channels that it has not had before."""
        wanted = frozenset(channels)
        for number in np.unique(self._layout[slots]):
            if not wanted <= frozenset(self._layouts[number]):
                for slot in np.unique(slots[self._layout[slots] == number]):
                    self._extend(int(slot), channels)

    def _extend(self, slot: int, channels: Sequence[str]) -> None:
        before = self.channels(slot)
        after = before + tuple(name for name in channels if name not in before)
        if len(after) > MAX_CHANNELS:
            raise ValueError(f"a sensor with {len(after)} channels: at most {MAX_CHANNELS}")
        number = self._layout_number.setdefault(after, len(self._layouts))
        if number == len(self._layouts):
            self._layouts.append(after)
        start = self._reserve_series(len(after))
        old = int(self._first[slot])
        for column in self._series_columns():
            column.clear(start, len(after))
            column.put(start, len(before), column.get(old, len(before)))
        self._release_series(slot)
        self._first[slot] = start
        self._layout[slot] = number
        self._groups.extend(slot, len(after))

    def _sensor_columns(self) -> tuple[StructColumn, ...]:
        return (self._alignment.sensors, self._rhythm.sensors, self._alarm)

    def _series_columns(self) -> tuple[StructColumn, ...]:
        return (
            self._alignment.channels,
            self._flat.channels,
            self._extremes.channels,
            self._changes.channels,
            self._profile.channels,
        )

    def _new_slot(self) -> int:
        slot = self._slots
        self._slots += 1
        if slot == len(self._layout):
            for name in ("_layout", "_first", "budget"):
                column = getattr(self, name)
                setattr(self, name, np.concatenate([column, np.zeros_like(column)]))
        for column in self._sensor_columns():
            column.reserve(self._slots)
        return slot

    def _reserve_series(self, count: int) -> int:
        if free := self._free_series.get(count):
            return free.pop()
        start = self._series
        self._series += count
        for column in self._series_columns():
            column.reserve(self._series)
        return start

    def _release_series(self, slot: int) -> None:
        if count := len(self.channels(slot)):
            self._free_series.setdefault(count, []).append(int(self._first[slot]))

    # --- checkpoints ---

    def snapshot(self, slot: int) -> bytes:
        """The sensor's whole state, to resume bit for bit."""
        first, count = int(self._first[slot]), len(self.channels(slot))
        parts = [
            *(column.get(slot) for column in self._sensor_columns()),
            *(column.get(first, count) for column in self._series_columns()),
            *self._groups.snapshot(slot),
        ]
        return pack({"channels": list(self.channels(slot))}, parts)

    def restore(self, slot: int, state: bytes) -> None:
        """Resume a sensor from its snapshot.

        Raises:
            ValueError: the state is from another version of the kernels, or damaged.
        """
        header, parts = unpack(state)
        self._groups.remove(slot)
        self._release_series(slot)
        self._layout[slot] = 0
        self._extend(slot, header["channels"])
        first, count = int(self._first[slot]), len(self.channels(slot))
        left = iter(parts)
        for column in self._sensor_columns():
            column.put(slot, 1, next(left))
        for column in self._series_columns():
            column.put(first, count, next(left))
        self._groups.restore(slot, list(left))

    def restore_alarm(self, slot: int, alarm_state: bytes) -> None:
        """Replace what the decision remembers of a sensor; after its budget was changed."""
        self._alarm.put(slot, 1, alarm_state)


def _arranged(values: Floats, channels: Sequence[str], layout: tuple[str, ...]) -> Floats:
    """(n, c) columns in the layout's order; NaN for channels that the rows lack."""
    if tuple(channels) == layout:
        return np.ascontiguousarray(values, np.float64)
    out = np.full((len(values), len(layout)), np.nan)
    out[:, [layout.index(name) for name in channels]] = values
    return out


def _shared(rate: Singles, share: float) -> Singles:
    """Rates per channel after all channels have divided this part of the alarm budget."""
    return rate * np.float32(rate.shape[1] / share)


def _combine(
    scores: GroupScores, flat_rate: Singles, extreme_rate: Singles
) -> tuple[Singles, Bytes, Singles]:
    """The rarest piece of evidence of each row: rate per 8,640 rows, cause, contributions."""
    rate = scores.rate * np.float32(1.0 / _STREAM_SHARE)
    cause, shares = scores.cause.copy(), scores.contributions.copy()
    rows = np.arange(len(rate))
    for other, code in ((flat_rate, Cause.FLAT_LINE), (extreme_rate, Cause.EXTREME)):
        worst = other.argmin(axis=1)
        rarer = other[rows, worst] < rate
        rate[rarer] = other[rows, worst][rarer]
        cause[rarer] = code
        shares[rarer] = 0.0
        shares[rows[rarer], worst[rarer]] = 1.0
    return rate, cause, shares
