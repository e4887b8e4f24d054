"""Time zones: what a clock on the wall shows where a sensor stands.

Event time is UTC everywhere; only calendars (hours of the day and of the week, seasons) are local.
Zones come from the IANA database, never from the machine's own setting.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache

import numpy as np

from redshank.core.batch import Ints, Times
from redshank.core.clock import DAY, SECOND, from_micros, time_zone, to_micros
from redshank.core.errors import FieldError
from redshank.core.records import SensorInfo

_FIRST, _LAST = 1900, 2100
"""Years outside are taken to have the offset of the nearest of these."""


class Zone:
    """One time zone.

    Args:
        name: as in the IANA database, such as ``Europe/Berlin``.

    Raises:
        FieldError: there is no such zone.
    """

    def __init__(self, name: str = "UTC") -> None:
        self.name = name
        self._info = time_zone(name)
        self._years: dict[int, tuple[Times, Times]] = {}

    def offsets(self, time: Times) -> Times:
        """(n,) how far local time is ahead of UTC at these times (n,), all in microseconds."""
        if self.name == "UTC" or not len(time):
            return np.zeros(len(time), np.int64)
        years = _years(time)
        tables = [self._of_year(year) for year in np.unique(years).tolist()]
        starts = np.concatenate([starts for starts, _ in tables])
        offsets = np.concatenate([offsets for _, offsets in tables])
        return offsets[np.maximum(np.searchsorted(starts, time, "right") - 1, 0)]

    def offset(self, time: int) -> int:
        """How far local time is ahead of UTC, microseconds."""
        return int(self.offsets(np.array([time], np.int64))[0])

    def _of_year(self, year: int) -> tuple[Times, Times]:
        """When the offset changes in a year, its beginning first, and to what; microseconds."""
        if year not in self._years:
            self._years[year] = self._changes(year)
        return self._years[year]

    def _changes(self, year: int) -> tuple[Times, Times]:
        at = to_micros(datetime(year, 1, 1, tzinfo=UTC))
        end = to_micros(datetime(year + 1, 1, 1, tzinfo=UTC))
        starts, offsets = [at], [self._ask(at)]
        while at < end:
            day = min(at + DAY, end)
            if self._ask(day) != offsets[-1]:
                at = self._change(at, day)
                starts.append(at)
                offsets.append(self._ask(at))
            else:
                at = day
        return np.array(starts, np.int64), np.array(offsets, np.int64)

    def _change(self, before: int, after: int) -> int:
        """The first second with another offset than ``before``."""
        offset = self._ask(before)
        while after - before > SECOND:
            middle = (before + after) // (2 * SECOND) * SECOND
            if self._ask(middle) == offset:
                before = middle
            else:
                after = middle
        return after

    def _ask(self, time: int) -> int:
        offset = from_micros(time).astimezone(self._info).utcoffset() or timedelta()
        return offset // timedelta(microseconds=1)


class Zones:
    """Which zone a sensor stands in: its own, else that of its site, else the general one.

    Zones have numbers, for arrays: 0 is the general one.

    Args:
        default: name of the general zone.
        sites: site to the name of its zone.

    Raises:
        FieldError: there is no such zone.
    """

    def __init__(self, default: str = "UTC", sites: Mapping[str, str] | None = None) -> None:
        self._known = [zone(default)]
        self._sites = {site: zone(name) for site, name in (sites or {}).items()}

    def of(self, info: SensorInfo) -> Zone:
        """The sensor's zone; a name that this machine does not know counts as none."""
        try:
            return zone(info.timezone)
        except FieldError:
            return self._sites.get(info.site, self._known[0])

    def named(self, name: str) -> Zone:
        """The zone of this name, the general one where this machine does not know it."""
        try:
            return zone(name)
        except FieldError:
            return self._known[0]

    def number(self, one: Zone) -> int:
        """The number of a zone."""
        if one not in self._known:
            self._known.append(one)
        return self._known.index(one)

    def numbered(self, number: int) -> Zone:
        """The zone of this number."""
        return self._known[number]

    def offsets(self, numbers: Ints, time: Times) -> Times:
        """(n,) how far local time is ahead of UTC in zones (n,) at times (n,), microseconds."""
        if len(self._known) == 1:
            return self._known[0].offsets(time)
        found = np.zeros(len(time), np.int64)
        for number in np.unique(numbers).tolist():
            here = numbers == number
            found[here] = self._known[number].offsets(time[here])
        return found


@lru_cache(maxsize=1024)
def zone(name: str) -> Zone:
    """The zone of this name.

    Raises:
        FieldError: there is no such zone.
    """
    return Zone(name)


def _years(time: Times) -> Ints:
    """(n,) year of each time, UTC."""
    years = time.astype("datetime64[us]").astype("datetime64[Y]").astype(np.int32) + 1970
    clipped: Ints = np.clip(years, _FIRST, _LAST)
    return clipped
