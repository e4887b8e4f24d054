"""What other channels did while one keeps an incident open for long.

One incident at a time: a channel that is dead for weeks keeps the sensor's alarm, and its evidence
hides that of all others. Jumps and standing still are found beside that evidence, each against
what its own channel does, so they can still be told: in the text of the incident that goes on, at
no cost to the alarm budget. What moves slowly or without a jump is not told.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np

from redshank.core.clock import DAY
from redshank.core.records import Flag, SensorInfo, Verdicts
from redshank.pipeline.explain import duration, label, moment, number

LONG = DAY
"""Event time for which an incident must have gone on; what came before then belongs to it."""

_TOLD = Flag.RATE_OF_CHANGE | Flag.SPIKE | Flag.UNIT
_WORDS = {
    "spike": "jumped to {value} and back",
    "level shift": "moved to {value}",
    "wrong unit": "came in another unit",
}


@dataclass(frozen=True, slots=True, order=True)
class Jump:
    """A channel's latest jump: event time in microseconds, the value it went to, its kind."""

    time: int
    value: float
    kind: str


Jumps = dict[str, Jump]
"""Channel to its latest jump."""
Stood = Mapping[str, tuple[float, int]]
"""Channel to how long it stood still, seconds, and the event time of the last such row."""


def note(jumps: Jumps, rows: Verdicts, part: np.ndarray, opened: int) -> bool:
    """Take the jumps of an incident's rows; whether there is news.

    Args:
        jumps: those so far; changed in place.
        rows: verdicts.
        part: numbers of the incident's rows among them, in time order.
        opened: event time of its first row.
    """
    late = part[rows.time[part] > opened + LONG]
    flags = rows.flags[late] & np.uint16(_TOLD)
    news = False
    for at, column in np.argwhere(flags).tolist():
        name, row = rows.channels[column], int(late[at])
        known = jumps.get(name)
        now = Jump(int(rows.time[row]), float(rows.values[row, column]), "")
        jump = _judged(Flag(int(flags[at, column])), known, now)
        if jump and jump != known:
            jumps[name], news = jump, True
    return news


def sentence(jumps: Jumps, stood: Stood, besides: Collection[str], info: SensorInfo) -> str:
    """What stood still and the jumps in words, oldest first; "" without any.

    Args:
        jumps: channel to its latest jump.
        stood: channels that stood still.
        besides: channels that the incident itself is about.
        info: for names and units.
    """
    still = sorted((until, name) for name, (_, until) in stood.items() if name not in besides)
    parts = [
        f"{label(name, info)} stood still for {duration(stood[name][0])} (until {moment(until)})"
        for until, name in still
    ]
    told = sorted((jump, name) for name, jump in jumps.items() if name not in besides)
    parts += [
        f"{label(name, info)} {_WORDS[jump.kind].format(value=number(jump.value, name, info))} "
        f"({moment(jump.time)})"
        for jump, name in told
    ]
    return f"While it went on, {', '.join(parts)}." if parts else ""


def _judged(flags: Flag, known: Jump | None, now: Jump) -> Jump | None:
    """The jump that a flagged value shows; None if it is none that can be told.

    A value that came back tells that the jump before was a spike.
    """
    if flags & Flag.UNIT:
        unit = known is not None and known.kind == "wrong unit"
        return known if unit else replace(now, kind="wrong unit")
    if flags & Flag.SPIKE:
        return replace(known, kind="spike") if known and known.kind == "level shift" else known
    return replace(now, kind="level shift")
