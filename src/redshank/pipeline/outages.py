"""Which sensors of one place fell silent together: what they share may be the cause."""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

import numpy as np

from redshank.core.clock import SECOND
from redshank.pipeline.timing import Attended, Place

MISSED = 1.5
"""Usual intervals after its newest reading within which a sensor fell silent."""
MOST_OF = 0.5
"""Part of those that reported until then from which on it is told of the others."""

Bools = np.ndarray[tuple[int], np.dtype[np.bool_]]


class Company(NamedTuple):
    """Others that fell silent with a sensor.

    Attributes:
        silent: how many.
        of: out of how many that reported until then.
        place: what they have in common, such as "of North".
    """

    silent: int
    of: int
    place: str

    def brief(self) -> str:
        """For a title."""
        others = "1 other" if self.silent == 1 else f"{self.silent:,} others"
        return f", as {'is' if self.silent == 1 else 'are'} {others} {self.place}"

    def told(self) -> str:
        """A sentence, with what to do."""
        if self.of == 1:
            who = f"The other sensor {self.place}"
        elif self.silent == self.of:
            who = f"{'Both' if self.of == 2 else f'All {self.of:,}'} other sensors {self.place}"
        else:
            who = f"{self.silent:,} of the {self.of:,} other sensors {self.place}"
        return f" {who} fell silent with it: look first at what they share, as power or network."


class Outages:
    """The silences of one look, by place.

    Args:
        them: how the sensors report.
        silent: (n,) which of them are silent.
    """

    def __init__(self, them: Attended, silent: Bools) -> None:
        self._silent = silent
        self._newest = them.newest
        reach = MISSED * np.nan_to_num(them.seen["interval"]) * SECOND
        self._missed = them.newest + reach.astype(np.int64)
        self._places = them.places
        members: dict[Place, list[int]] = defaultdict(list)
        for at, place in enumerate(them.places):
            members[place].append(at)
        self._members = {place: np.array(all_of_it) for place, all_of_it in members.items()}

    def company(self, at: int) -> Company | None:
        """The others of its place that fell silent with this sensor, None if few or nobody did."""
        place = self._places[at]
        others = self._members[place]
        others = others[(others != at) & (self._missed[others] >= self._newest[at])]
        along = self._silent[others] & (self._newest[others] <= self._missed[at])
        count = int(along.sum())
        if count == 0 or count < MOST_OF * len(others):
            return None
        return Company(count, len(others), _words(place))


def _words(place: Place) -> str:
    if place.site:
        return f"of {place.site}"
    return f"from {place.source}" if place.source else "without a site"
