"""When messages without a time of their own came, kept until no broker can repeat them.

Such a message gets the time of its arrival. If its acknowledgement is lost, it comes again, perhaps
to another process, and must get the same time to be recognised as the same reading. The broker can
repeat only what it has sent without acknowledgement: at most the last ``receive maximum`` messages.
"""

from __future__ import annotations

import base64
import struct
import zlib
from collections import deque
from collections.abc import Iterator
from typing import Protocol

from redshank.adapters.sources.mqtt.wire import Arrived
from redshank.core.clock import Clock, Instants

_ENTRY = struct.Struct("<HIQ")


class Dates(Protocol):
    """Knows when messages came."""

    def time(self, message: Arrived, rows: int = 1) -> int:
        """Microseconds at which a message with so many rows without a time came."""


class Arrivals:
    """Gives messages their times of arrival.

    Args:
        clock: wall clock.
        most: messages to remember.
        held: what :meth:`dump` gave.
    """

    def __init__(self, clock: Clock, most: int, held: str = "") -> None:
        self._most = most
        self._parts: deque[bytes] = deque()
        self._count = 0
        self._fresh: list[bytes] = []
        self._known: dict[int, tuple[int, int]] = {}
        for mid, digest, time in _entries(held):
            self._known[mid] = (digest, time)
            self._fresh.append(_ENTRY.pack(mid, digest, time))
        self._instants = Instants(clock, max((time for _, time in self._known.values()), default=0))

    def time(self, message: Arrived, rows: int = 1) -> int:
        """Microseconds at which a message came; no two are the same.

        Args:
            message: one without a time of its own.
            rows: readings in it, which take a microsecond each.
        """
        if not message.mid:
            return self._instants.take(rows)
        digest = zlib.crc32(message.payload, zlib.crc32(message.topic.encode()))
        if message.duplicate:
            known = self._known.get(message.mid)
            if known is not None and known[0] == digest:
                return known[1]
        time = self._instants.take(rows)
        self._known[message.mid] = (digest, time)
        self._fresh.append(_ENTRY.pack(message.mid, digest, time))
        return time

    @property
    def changed(self) -> bool:
        """Whether there is anything that was not dumped yet."""
        return bool(self._fresh)

    def dump(self) -> str:
        """All that must be remembered."""
        if self._fresh:
            self._parts.append(b"".join(self._fresh))
            self._count += len(self._fresh)
            self._fresh = []
        while self._count - len(self._parts[0]) // _ENTRY.size >= self._most if self._parts else 0:
            self._count -= len(self._parts.popleft()) // _ENTRY.size
        return base64.b64encode(b"".join(self._parts)).decode()


def _entries(held: str) -> Iterator[tuple[int, int, int]]:
    raw = base64.b64decode(held)
    whole = len(raw) - len(raw) % _ENTRY.size
    return _ENTRY.iter_unpack(raw[:whole])
