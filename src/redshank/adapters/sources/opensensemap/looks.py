"""When the past of a box is looked at again: values may come long after their time.

Devices send what they kept while they were offline, and owners bring in rows by hand. What lies two
days back is read again all the time; further back less and less often.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from redshank.adapters.sources.opensensemap.windows import Ledger, Span, merged, without
from redshank.core.clock import DAY, HOUR

NEAR = 48 * HOUR
"""What is younger is read again by every run and every hour, whatever is planned here."""
WIDTH = 6 * DAY
"""What is read at once: a page of a sensor that sends every minute."""


@dataclass(frozen=True, slots=True)
class Look:
    """So often, so far back, microseconds."""

    every: int
    reach: int


LOOKS = (Look(DAY, 14 * DAY), Look(7 * DAY, 60 * DAY))


@dataclass
class Plan:
    """What of one box is to be read again.

    Attributes:
        since: from when on the box was read at all; nothing before is looked at.
        looked: when each of :data:`LOOKS` was last planned, wall clock, microseconds.
        left: what of them is not read yet, apart and in order.
    """

    since: int
    looked: list[int] = field(default_factory=list)
    left: list[Span] = field(default_factory=list)

    @classmethod
    def first(cls, box_id: str, since: int, now: int) -> Plan:
        """The plan of a box that is new: boxes take turns, so that not all are due at once."""
        turn = zlib.crc32(box_id.encode())
        return cls(since, [now - turn * HOUR % look.every for look in LOOKS])

    @classmethod
    def load(cls, held: Any) -> Plan:
        """The plan as it was dumped."""
        return cls(held["since"], held["looked"], [(a, b) for a, b in held["left"]])

    def dump(self) -> dict[str, Any]:
        """JSON-able form."""
        return {"since": self.since, "looked": self.looked, "left": self.left}

    def next(self, now: int) -> Span | None:
        """What to read now, oldest first; None if nothing is due."""
        for look in _due(self.looked, now):
            span = max(self.since, now - look.reach), now - NEAR
            self.left = merged([*self.left, span]) if span[0] < span[1] else self.left
        if not self.left:
            return None
        start, end = self.left[0]
        return start, min(end, start + WIDTH)

    def done(self, span: Span) -> None:
        """This is read."""
        self.left = without(self.left, span)


def look_back(ledger: Ledger, now: int) -> None:
    """Take what is to be read again by now for unread."""
    ledger.looked = ledger.looked or [0] * len(LOOKS)
    for look in _due(ledger.looked, now):
        span = now - look.reach, now
        ledger.done = {key: without(kept, span) for key, kept in ledger.done.items()}


def _due(looked: list[int], now: int) -> Iterator[Look]:
    """The looks that are due; they are taken with this."""
    for number, look in enumerate(LOOKS):
        if now - looked[number] >= look.every:
            looked[number] = now
            yield look
