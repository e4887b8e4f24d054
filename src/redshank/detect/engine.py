"""The detector as a whole: rows of many sensors in, judged rows out.

Alignment, rhythm, streaming score and rate on one or two time scales, flat line, extremes, profile
and decision for any number of sensors with any channels, on columns. Live data, replays, files and
benchmarks all go through :meth:`Engine.run`; there is no second path. What a sensor's rows bring
depends on that sensor's earlier rows only, never on other sensors or on how rows were batched.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from redshank.core.batch import Bytes, Floats, Ints, Singles, Times
from redshank.core.clock import MONTH, SECOND
from redshank.detect.alarm import Alarm, alarm_column, decide
from redshank.detect.channelstate import (
    Aligned,
    Alignment,
    Changes,
    Extremes,
    FlatLine,
    Profile,
    Recent,
    Rhythm,
    conversion_table,
)
from redshank.detect.coarse import Coarse
from redshank.detect.groups import Groups, GroupScores
from redshank.detect.judged import MONTH_ROWS, EngineSettings, Judged
from redshank.detect.slots import Slots
from redshank.detect.state import pack, unpack
from redshank.detect.streaming import Cause

__all__ = ["Engine", "EngineSettings", "Judged"]

_STREAM_SHARE = 0.9
"""Part of the alarm budget that the streaming score may spend.

The three parts come to more than one: flat lines and extremes keep far below theirs."""
_FLAT_SHARE = 0.15
"""Part for flat lines of all channels together."""
_EXTREME_SHARE = 0.15
"""Part for values outside everything seen, of all channels together."""
_YOUNG_DAYS = 0.5
"""Age at which rare rates are half known: the first morning is no anomaly."""


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
        self._recent = Recent()
        self._alarm = alarm_column()
        young = 0.0 if self.settings.row_months else _YOUNG_DAYS
        streaming = replace(self.settings.streaming, young_days=young)
        self._groups = Groups(streaming)
        self._coarse = Coarse(streaming, self.settings.min_effect)
        self._slots = Slots(
            of_sensors=(self._alignment.sensors, self._rhythm.sensors, self._alarm),
            of_series=(
                self._alignment.channels,
                self._flat.channels,
                self._extremes.channels,
                self._changes.channels,
                self._profile.channels,
                self._recent.channels,
            ),
        )

    # --- sensors ---

    def add(self, budget: float = 3.0) -> int:
        """Slot of a new sensor without any channel yet."""
        slot = self._slots.add(budget)
        self._coarse.add(slot)
        return slot

    def remove(self, slot: int) -> None:
        """Forget a sensor and give its memory back."""
        self._coarse.remove(slot)
        self._groups.remove(slot)
        self._slots.remove(slot)

    @property
    def budget(self) -> Singles:
        """(n,) alarm budget of each slot; may be written."""
        return self._slots.budget

    @property
    def zone(self) -> Ints:
        """(n,) number of each slot's time zone, 0 for new ones; may be written."""
        return self._slots.zone

    def channels(self, slot: int) -> tuple[str, ...]:
        """The sensor's channels, in order of appearance."""
        return self._slots.channels(slot)

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
        first = self._slots.first[slots]
        rests = self._rests(self.channels(slot))
        values = np.ascontiguousarray(values, np.float64)
        aligned = self._alignment.run(slots, first, np.ascontiguousarray(time, np.int64), values)
        interval, _ = self._rhythm.run(aligned.slots, aligned.time)
        first = self._slots.first[aligned.slots]
        self._flat.run(first, aligned.time, aligned.values, rests)
        self._extremes.run(first, aligned.values)
        units = self._units(self.channels(slot))
        self._changes.run(first, aligned.time, aligned.values, interval, units)
        learn = np.ones(len(aligned.time), np.uint8)
        local = self._local(aligned.slots, aligned.time)
        self._profile.run(first, local, aligned.values, interval, learn)
        none = np.zeros_like(learn)
        self._recent.run(first, aligned.time, aligned.values, none, none)
        self._groups.prime(slot, aligned.time, aligned.values)
        if self._two_scales:
            rows = aligned.time, aligned.values, interval
            self._coarse.prime(slot, self.channels(slot), *rows)

    def state_bytes(self) -> int:
        """Memory of all state arrays."""
        own = self._slots.nbytes() + self._groups.state_bytes()
        return own + self._coarse.state_bytes()

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
        for slot in self._slots.lacking(slots, channels):
            self._extend(slot, channels)
        layouts = self._slots.layout[slots]
        judged = []
        for number in np.unique(layouts):
            rows = slice(None) if (layouts == number).all() else np.flatnonzero(layouts == number)
            layout = self._slots.layout_channels(number)
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
                self.zone[copy] = self.zone[slot]
            self._alignment.sensors.clear(copy)
            slots = np.full(len(time), copy, np.int32)
            (judged,) = self.run(slots, time, channels, values)
        finally:
            self.remove(copy)
        return judged

    def _judge(self, layout: tuple[str, ...], slots: Ints, time: Times, values: Floats) -> Judged:
        slots = np.ascontiguousarray(slots, np.int32)
        time = np.ascontiguousarray(time, np.int64)
        rows = self._alignment.run(slots, self._slots.first[slots], time, values)
        interval, gap = self._rhythm.run(rows.slots, rows.time)
        first = self._slots.first[rows.slots]
        per_month = self._per_month(interval)
        records, gross = self._extremes.run(first, rows.values)
        scores = self._groups.score(rows.slots, rows.time, rows.values, records)
        slow = self._merge_scales(layout, rows, interval, scores)
        flat_rate, held = self._flat.run(first, rows.time, rows.values, self._rests(layout))
        flat_rate = _shared(flat_rate, _FLAT_SHARE)
        units = self._units(layout)
        change, jump = self._changes.run(first, rows.time, rows.values, interval, units)
        extreme_rate = _shared(np.minimum(gross, jump), _EXTREME_SHARE)
        rate, cause, shares = _combine(scores, flat_rate, extreme_rate)
        rate = rate * (per_month / np.float32(MONTH_ROWS))
        told = scores.forecast, cause, slow
        self._lift_small(layout, rows.values, *told, rate, per_month)
        budget = self._slots.budget[rows.slots]
        confirmation = self.settings.confirmation
        alarm = decide(
            self._alarm, rows.slots, self._alarm_time(rows.time), rate, budget, confirmation
        )
        learn = (alarm & Alarm.OPEN == 0).astype(np.uint8)
        local = self._local(rows.slots, rows.time)
        bands = self._profile.run(first, local, rows.values, interval, learn)
        chosen, skip = alarm & np.uint8(Alarm.OPENED), alarm & np.uint8(Alarm.OPEN)
        past = self._recent.run(first, rows.time, rows.values, chosen, skip)
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
            *past,
        )

    def _alarm_time(self, time: Times) -> Times:
        """Event time of the decision; standing still where a month is counted in rows."""
        return np.zeros_like(time) if self.settings.row_months else time

    @property
    def _two_scales(self) -> bool:
        return not self.settings.row_months

    def _merge_scales(
        self, layout: tuple[str, ...], rows: Aligned, interval: Singles, scores: GroupScores
    ) -> Bytes:
        """(n,) 1 where the slow scale's evidence is the rarer; it is then what ``scores`` says."""
        if not self._two_scales:
            return np.zeros(len(rows.slots), np.uint8)
        columns = rows.slots, rows.time, rows.values
        return self._coarse.merge(layout, *columns, interval, scores)

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
        slow: Bytes,
        rate: Singles,
        per_month: Singles,
    ) -> None:
        """Rows whose deviations all lie under the minimum effect count as usual; in place.

        The slow scale has judged its own deviations.
        """
        if not any(name in self.settings.min_effect for name in layout):
            return
        least = np.array([self.settings.min_effect.get(name, 0.0) for name in layout])
        small = (np.abs(values - forecast) < least) | np.isnan(values) | np.isnan(forecast)
        held = np.isin(cause, (Cause.STUCK, Cause.FREEZE, Cause.FLAT_LINE))
        slow_scale = (slow == 1) & ~np.isin(cause, (Cause.FLAT_LINE, Cause.EXTREME))
        lifted = small.all(axis=1) & ~held & ~slow_scale
        rate[lifted] = np.maximum(rate[lifted], per_month[lifted])

    def _local(self, slots: Ints, time: Times) -> Times:
        """What the clocks show where the sensors stand, as microseconds."""
        return time + self.settings.offsets(self.zone[slots], time)

    def _rests(self, layout: tuple[str, ...]) -> Bytes:
        return np.array([self.settings.rests(name) for name in layout], np.uint8)

    def _units(self, layout: tuple[str, ...]) -> Floats:
        return conversion_table([self.settings.units(name) for name in layout])

    def _extend(self, slot: int, channels: Sequence[str]) -> None:
        self._groups.extend(slot, self._slots.extend(slot, channels))

    # --- checkpoints ---

    def snapshot(self, slot: int) -> bytes:
        """The sensor's whole state, to resume bit for bit."""
        own = [*self._slots.state(slot), *self._groups.snapshot(slot)]
        parts = [self._coarse.snapshot(slot), *own]
        return pack({"channels": list(self.channels(slot))}, parts)

    def restore(self, slot: int, state: bytes) -> None:
        """Resume a sensor from its snapshot.

        Raises:
            ValueError: the state is from another version of the kernels, or damaged.
        """
        header, parts = unpack(state)
        self._groups.remove(slot)
        self._slots.strip(slot)
        self._extend(slot, header["channels"])
        self._groups.restore(slot, self._slots.put_state(slot, parts[1:]))
        self._coarse.restore(slot, parts[0])

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
