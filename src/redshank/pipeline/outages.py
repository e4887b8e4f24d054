"""Which sensors of one place fell silent together: what they share may be the cause."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from redshank.core.batch import Times
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
        place_of: the place of a number.
    """

    def __init__(self, them: Attended, silent: Bools, place_of: Callable[[int], Place]) -> None:
        reach = MISSED * np.nan_to_num(them.seen["interval"]) * SECOND
        self._them = them
        self._silent = silent
        self._missed = them.newest + reach.astype(np.int64)
        self._place_of = place_of
        self._known: dict[int, tuple[Times, Times, Times]] = {}

    def company(self, at: int) -> Company | None:
        """The others of its place that fell silent with this silent sensor; None if few did.

        A sensor fell silent between its newest reading and the next one that it missed; together
        are those of whom these times overlap.
        """
        place = int(self._them.place[at])
        if place not in self._known:
            self._known[place] = self._times(place)
        missed, missed_silent, newest_silent = self._known[place]
        before = int(np.searchsorted(missed, self._them.newest[at]))
        silent_before = int(np.searchsorted(missed_silent, self._them.newest[at]))
        silent_up_to = int(np.searchsorted(newest_silent, self._missed[at], "right"))
        others, along = len(missed) - before - 1, silent_up_to - silent_before - 1
        if along == 0 or along < MOST_OF * others:
            return None
        return Company(along, others, _words(self._place_of(place)))

    def _times(self, place: int) -> tuple[Times, Times, Times]:
        """When those of a place missed a reading, and the silent ones did and sent their last."""
        here = self._them.place == place
        silent = here & self._silent
        missed, newest = self._missed, self._them.newest
        return np.sort(missed[here]), np.sort(missed[silent]), np.sort(newest[silent])


def _words(place: Place) -> str:
    if place.site:
        return f"of {place.site}"
    return f"from {place.source}" if place.source else "without a site"
