"""When sensors report: what is learned of it, each on the clocks of its own time zone and place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from redshank.core.batch import Ints, Singles, Times
from redshank.core.records import SensorInfo
from redshank.core.zones import Zone, Zones
from redshank.detect.cadence import Attendance, Cadence
from redshank.detect.engine import Engine


class Place(NamedTuple):
    """What sensors have in common: a site, or the source of those without one."""

    site: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Attended:
    """How it stands with each sensor in memory; all arrays (n,).

    Attributes:
        sensor_ids: the sensors.
        since: when a reading came the last time, wall clock or event time, whichever is later.
        newest: event time of the newest reading.
        budget: the alarm budget.
        place: number of where each belongs, for :meth:`Timing.place_of`.
        seen: rows of :data:`redshank.detect.cadence.ATTENDANCE`.
    """

    sensor_ids: Sequence[str]
    since: Times
    newest: Times
    budget: Singles
    place: Ints
    seen: Attendance


class Timing:
    """Cadence and time zone of each slot of the pipeline.

    Args:
        zones: tells a sensor's zone.
        engine: has the slots, and goes by their zones, too.
    """

    def __init__(self, zones: Zones, engine: Engine) -> None:
        self._zones = zones
        self._engine = engine
        self._cadence = Cadence()
        self._places = [Place()]
        self._number = {Place(): 0}
        self._place = np.zeros(64, np.int32)

    def enter(self, slot: int) -> None:
        """A sensor of which nothing is learned yet."""
        self._cadence.sensors.reserve(slot + 1)
        self._cadence.sensors.clear(slot)
        while slot >= len(self._place):
            self._place = np.concatenate([self._place, np.zeros_like(self._place)])
        self._place[slot] = 0

    def place(self, slot: int, info: SensorInfo) -> None:
        """Go by what is registered of a sensor; in another zone its hours are learned anew."""
        number = self._zones.number(self._zones.of(info))
        if number != self._engine.zone[slot]:
            self._engine.zone[slot] = number
            self._cadence.forget_calendar(np.array([slot], np.int32))
        place = Place(info.site) if info.site else Place(source=info.source)
        self._place[slot] = self._number.setdefault(place, len(self._places))
        if len(self._number) > len(self._places):
            self._places.append(place)

    def places(self, slots: Ints) -> Ints:
        """(n,) numbers of where these sensors belong."""
        return self._place[slots]

    def place_of(self, number: int) -> Place:
        """The place of this number."""
        return self._places[number]

    def zone_of(self, slot: int) -> Zone:
        """A sensor's time zone."""
        return self._zones.numbered(int(self._engine.zone[slot]))

    def run(self, slots: Ints, time: Times) -> None:
        """Learn from rows, in event-time order for each sensor."""
        shift = self._zones.offsets(self._engine.zone[slots], time)
        self._cadence.run(slots, time, shift)

    def attendance(self, slots: Ints, quiet: Times, now: int) -> Attendance:
        """How it stands with these sensors.

        Args:
            slots: (n,).
            quiet: (n,) since when nothing came from them, microseconds.
            now: microseconds.
        """
        at = np.full(len(slots), now, np.int64)
        shift = self._zones.offsets(self._engine.zone[slots], at)
        return self._cadence.attendance(slots, quiet, at, shift)

    def state(self, slot: int) -> bytes:
        """What was learned of a sensor, to resume bit for bit."""
        return self._cadence.sensors.get(slot)

    def restore(self, slot: int, state: bytes, zone: Zone) -> None:
        """Resume a sensor from its state, which was learned in this zone.

        Raises:
            ValueError: the state is damaged.
        """
        self._engine.zone[slot] = self._zones.number(zone)
        self._cadence.sensors.put(slot, 1, state)

    def nbytes(self) -> int:
        """Memory of the state."""
        return self._cadence.sensors.rows.nbytes
