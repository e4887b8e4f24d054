"""A second, slower scale for sensors that report fast (``native/coarse.c``).

A 1-second sensor has 2.6 million rows a month: to keep a budget of a few alarms a month, the score
of a few rows would have to be rarer than once in a million, which nobody can learn in weeks. A
fault that lasts is plain in averages over minutes, of which a month has thousands. So the rows of
sensors with up to 75 seconds between them are averaged over buckets of 5 or 10 minutes, and the
buckets are scored by the same detector as rows are. Sensors that are slower have no such state.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from redshank.core.batch import Bytes, Floats, Ints, Singles, Times
from redshank.detect.channelstate import NEVER
from redshank.detect.groups import Groups, GroupScores
from redshank.detect.judged import MONTH_ROWS
from redshank.detect.native import call
from redshank.detect.slots import Slots
from redshank.detect.state import pack, unpack
from redshank.detect.streaming import Cause, StreamingSettings
from redshank.detect.structs import StructColumn

FASTEST_SLOW = 75.0
"""Seconds between rows up to which a sensor has the slow scale."""
FAST_PART = 0.4
"""Part of the streaming score's budget that the fast scale keeps where there are two."""
LITTLE, MUCH = 0.1, 1.25
"""Parts of a channel's usual movement from which on it is called stuck, or noise."""
WIDEST = 32
"""Most columns that are scored jointly: 16 channels. A fit of more would hold up the rows."""
_OF_AVERAGES = (Cause.NOISE, Cause.STUCK, Cause.BURST, Cause.FREEZE, Cause.ACTIVE, Cause.CALM)
_NO_PLACE = -1


@dataclass(frozen=True, slots=True, eq=False)
class Buckets:
    """Complete buckets of rows.

    Attributes:
        places: (m,) whose.
        time: (m,) where each begins, event time.
        values: (m, 2c) each channel's mean and its movement from row to row, in turn.
        ratio: (m, c) movement in parts of the usual one, NaN if unknown.
        in_force: (n,) for each row, which bucket it completed; below 0 for none.
    """

    places: Ints
    time: Times
    values: Floats
    ratio: Singles
    in_force: Times


class Coarse:
    """The slow scale of all sensors that have one.

    Args:
        settings: of the detector that scores the buckets.
        min_effect: channel name to the least deviation in its unit that may alarm.
    """

    def __init__(self, settings: StreamingSettings, min_effect: Mapping[str, float]) -> None:
        self._min_effect = min_effect
        self._groups = Groups(settings, WIDEST)
        self._sensors = StructColumn("coarse_sensor", (NEVER,))
        self._channels = StructColumn("coarse_channel")
        self._places = Slots(of_sensors=(self._sensors,), of_series=(self._channels,))
        self._place = np.full(64, _NO_PLACE, np.int32)

    # --- sensors ---

    def add(self, slot: int) -> None:
        """Make room for a new sensor."""
        while slot >= len(self._place):
            self._place = np.concatenate([self._place, np.full_like(self._place, _NO_PLACE)])

    def remove(self, slot: int) -> None:
        """Forget a sensor."""
        place = int(self._place[slot])
        if place != _NO_PLACE:
            self._groups.remove(place)
            self._places.remove(place)
            self._place[slot] = _NO_PLACE

    def state_bytes(self) -> int:
        """Memory of all state arrays."""
        return self._places.nbytes() + self._groups.state_bytes() + self._place.nbytes

    def snapshot(self, slot: int) -> bytes:
        """The sensor's state, empty where it has no slow scale."""
        place = int(self._place[slot])
        if place == _NO_PLACE:
            return b""
        parts = [*self._places.state(place), *self._groups.snapshot(place)]
        return pack({"channels": list(self._places.channels(place))}, parts)

    def restore(self, slot: int, state: bytes) -> None:
        """Replace a sensor's state by that of a snapshot.

        Raises:
            ValueError: the state is from another version of the kernels, or damaged.
        """
        self.remove(slot)
        if not state:
            return
        header, parts = unpack(state)
        place = self._enter(slot)
        self._extend(place, header["channels"])
        self._groups.restore(place, self._places.put_state(place, parts))

    def _enter(self, slot: int) -> int:
        place = self._places.add(0.0)
        self._place[slot] = place
        return place

    def _extend(self, place: int, channels: Sequence[str]) -> None:
        self._groups.extend(place, 2 * self._places.extend(place, channels))

    # --- rows ---

    def prime(
        self, slot: int, layout: tuple[str, ...], time: Times, values: Floats, interval: Singles
    ) -> None:
        """Learn from a history of a sensor: (n,), (n, c) and (n,)."""
        places = self._places_of(np.full(len(time), slot, np.int32), layout, interval)
        if places is None:
            return
        told = self._fill(places, time, values, interval)
        if len(told.time):
            self._groups.prime(int(self._place[slot]), told.time, told.values)

    def merge(
        self,
        layout: tuple[str, ...],
        slots: Ints,
        time: Times,
        values: Floats,
        interval: Singles,
        scores: GroupScores,
    ) -> Bytes:
        """Put the slow scale beside the fast one's scores of rows, and learn from the rows.

        Args:
            layout: the ``c`` channels of all these sensors.
            slots: (n,) sensors.
            time: (n,) event time.
            values: (n, c).
            interval: (n,) reporting intervals in seconds.
            scores: of the fast scale; changed in place to those of both.

        Returns:
            (n,) 1 where the slow scale's evidence is the rarer.
        """
        places = self._places_of(slots, layout, interval)
        slow = np.zeros(len(slots), np.uint8)
        if places is None:
            return slow
        told = self._fill(places, time, values, interval)
        found = self._score(layout, told)
        n, c = values.shape
        call(
            "rs_coarse_merge",
            ctypes.c_int64(n),
            ctypes.c_int32(c),
            ctypes.c_float(FAST_PART),
            places,
            self._places.first[places],
            told.in_force,
            interval,
            found.rate,
            found.score,
            found.cause,
            found.contributions,
            self._sensors.rows,
            self._channels.rows,
            scores.rate,
            scores.score,
            scores.cause,
            scores.contributions,
            slow,
        )
        return slow

    def _places_of(self, slots: Ints, layout: tuple[str, ...], interval: Singles) -> Ints | None:
        """(n,) places of sensors, new ones for those that report fast; None if none has one."""
        places = self._place[slots]
        fresh = (places == _NO_PLACE) & (interval <= FASTEST_SLOW)
        if fresh.any():
            for slot in np.unique(slots[fresh]).tolist():
                self._enter(slot)
            places = self._place[slots]
        known = places[places != _NO_PLACE]
        if not len(known):
            return None
        if not self._all_have(known, layout):
            for place in self._places.lacking(known, layout):
                self._extend(place, layout)
        return places

    def _all_have(self, places: Ints, layout: tuple[str, ...]) -> bool:
        """Whether these already have just these channels, as nearly always."""
        numbers = self._places.layout[places]
        number = int(numbers[0])
        return self._places.layout_channels(number) == layout and bool((numbers == number).all())

    def _fill(self, places: Ints, time: Times, values: Floats, interval: Singles) -> Buckets:
        n, c = values.shape
        of, begin = np.empty(n, np.int32), np.empty(n, np.int64)
        means, ratio = np.empty((n, 2 * c)), np.empty((n, c), np.float32)
        in_force = np.empty(n, np.int64)
        m = call(
            "rs_coarse",
            ctypes.c_int64(n),
            ctypes.c_int32(c),
            places,
            self._places.first[places],
            time,
            values,
            interval,
            self._sensors.rows,
            self._channels.rows,
            of,
            begin,
            means,
            ratio,
            in_force,
        )
        return Buckets(of[:m], begin[:m], means[:m], ratio[:m], in_force)

    def _score(self, layout: tuple[str, ...], buckets: Buckets) -> GroupScores:
        """What the detector says of buckets; contributions (m, c)."""
        m, columns = buckets.values.shape
        if not m:
            return _nothing(columns // 2)
        records = np.full((m, columns), np.inf, np.float32)
        scores = self._groups.score(buckets.places, buckets.time, buckets.values, records)
        cause = _named(scores, buckets.ratio)
        rate = self._lifted(layout, buckets.values, scores, cause)
        shares = np.ascontiguousarray(scores.contributions[:, ::2] + scores.contributions[:, 1::2])
        return GroupScores(scores.score, rate, shares, scores.forecast, cause)

    def _lifted(
        self, layout: tuple[str, ...], values: Floats, scores: GroupScores, cause: Bytes
    ) -> Singles:
        """Rates; buckets whose deviations all lie under the minimum effect count as usual."""
        if not any(name in self._min_effect for name in layout):
            return scores.rate
        least = np.repeat([self._min_effect.get(name, 0.0) for name in layout], 2)
        away = np.abs(values - scores.forecast)
        small = ((away < least) | np.isnan(away)).all(axis=1) & (cause != Cause.STUCK)
        return np.where(small, np.maximum(scores.rate, np.float32(MONTH_ROWS)), scores.rate)


def _named(scores: GroupScores, ratio: Singles) -> Bytes:
    """(m,) causes in terms of rows: who moves more or less than usual is noisy, or stuck.

    What the detector calls so are the averages, which is a shape in terms of rows.
    """
    worst = scores.contributions.argmax(axis=1)
    moved = np.where(worst % 2, ratio[np.arange(len(ratio)), worst // 2], np.nan)
    cause = np.where(np.isin(scores.cause, _OF_AVERAGES), Cause.SHAPE, scores.cause)
    cause[(moved < LITTLE) & (cause != Cause.NONE)] = Cause.STUCK
    cause[(moved > MUCH) & (cause != Cause.NONE)] = Cause.NOISE
    return cause.astype(np.uint8)


def _nothing(channels: int) -> GroupScores:
    none, wide = np.zeros(0, np.float32), np.zeros((0, channels), np.float32)
    return GroupScores(none, none, wide, wide, np.zeros(0, np.uint8))
