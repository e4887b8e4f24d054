"""Which spans of which sensors are read, and how large the next one should be."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from redshank.adapters.sources.opensensemap.client import LONGEST_WINDOW, PAGE
from redshank.core.clock import DAY, MINUTE

Span = tuple[int, int]
"""From a time to before another one, microseconds."""

FIRST_WIDTH = 6 * DAY
"""A page of a sensor that sends every minute holds a little more."""
_NARROWEST = 10 * MINUTE
_FILLED = 0.9
"""How full a page should be: more would often need a second one."""
_GROWTH = 4.0


@dataclass
class Ledger:
    """What is read of one box; the cursor.

    Attributes:
        done: sensor id on the server to the spans that need not be read again, sorted and apart.
        scales: sensor id to a factor of its values, decided once.
        looked: when each of the looks back was last taken, wall clock, microseconds;
            empty before the first.
    """

    done: dict[str, list[Span]] = field(default_factory=dict)
    scales: dict[str, float] = field(default_factory=dict)
    looked: list[int] = field(default_factory=list)

    @classmethod
    def load(cls, cursor: str | None) -> Ledger:
        """The ledger of a cursor, an empty one without."""
        held = json.loads(cursor) if cursor else {}
        done = {key: [(a, b) for a, b in spans] for key, spans in held.get("done", {}).items()}
        return cls(done, dict(held.get("scales", {})), list(held.get("looked", [])))

    def dump(self) -> str:
        """The cursor."""
        return json.dumps({"done": self.done, "scales": self.scales, "looked": self.looked})

    def mark(self, sensor_id: str, span: Span) -> None:
        """A span is read."""
        if span[0] < span[1]:
            self.done[sensor_id] = merged([*self.done.get(sensor_id, []), span])

    def missing(self, sensor_id: str, span: Span) -> list[Span]:
        """The parts of a span that are not read yet."""
        start, left = span[0], []
        for begin, end in self.done.get(sensor_id, []):
            if start < begin and start < span[1]:
                left.append((start, min(begin, span[1])))
            start = max(start, end)
        return [*left, (start, span[1])] if start < span[1] else left

    def next_missing(self, sensor_ids: Iterable[str], span: Span) -> Span | None:
        """The first part of a span that is not read of all of these sensors; None if all is."""
        parts = [part for one in sensor_ids for part in self.missing(one, span)]
        return merged(parts)[0] if parts else None


class Width:
    """A span of time that fills most of a page of the busiest sensor."""

    def __init__(self) -> None:
        self.now = FIRST_WIDTH

    def learn(self, span: Span, rows: int) -> None:
        """A window of that span brought so many rows of the busiest sensor."""
        width = span[1] - span[0]
        fitting = width * _FILLED * PAGE / rows if rows else width * _GROWTH
        # A quiet stretch does not promise that the next one is quiet, too.
        grown = min(fitting, self.now * _GROWTH, LONGEST_WINDOW)
        self.now = max(int(grown), _NARROWEST)


def merged(spans: Sequence[Span]) -> list[Span]:
    """Sorted spans without overlaps; neighbours joined."""
    out: list[Span] = []
    for begin, end in sorted(spans):
        if out and begin <= out[-1][1]:
            out[-1] = (out[-1][0], max(out[-1][1], end))
        else:
            out.append((begin, end))
    return out


def without(spans: Sequence[Span], gone: Span) -> list[Span]:
    """What remains of spans, apart and in order, without another one."""
    before = [(start, min(end, gone[0])) for start, end in spans]
    after = [(max(start, gone[1]), end) for start, end in spans]
    return merged([(start, end) for start, end in before + after if start < end])
