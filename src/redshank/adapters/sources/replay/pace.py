"""When readings of a replay are handed over: at once, at a speed, or when their time has come."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from redshank.core.clock import SECOND, Clock


class Pace(Protocol):
    """When readings are handed over."""

    def step(self, time: int) -> int | None:
        """Most event time that one parcel from here on may span; None for any."""

    def progress(self, time: int, read: float | None) -> float | None:
        """Part that is done at this event time, given the part of the files that is read."""

    async def wait(self, time: int) -> None:
        """Return when readings up to this event time may be handed over."""


class Steady:
    """Holds readings back until as much time has passed as between them, or not at all."""

    def __init__(
        self, speed: float | None, clock: Clock, sleep: Callable[[float], Awaitable[None]]
    ) -> None:
        self._speed, self._clock, self._sleep = speed, clock, sleep
        self._start: tuple[int, float] | None = None

    def step(self, time: int) -> int | None:
        if self._speed is None:
            return None
        return max(SECOND // 1000, round(self._speed * SECOND / 2))

    def progress(self, time: int, read: float | None) -> float | None:
        return read

    async def wait(self, time: int) -> None:
        if self._speed is None:
            await self._sleep(0)
            return
        now = self._clock.monotonic()
        if self._start is None:
            self._start = (time, now)
        due = self._start[1] + (time - self._start[0]) / SECOND / self._speed
        await self._sleep(max(0.0, due - now))


class WhenDue:
    """Hands over the past at once and the rest, which has no end in sight, when its time comes."""

    def __init__(self, clock: Clock, sleep: Callable[[float], Awaitable[None]], shift: int) -> None:
        self._clock, self._sleep, self._shift = clock, sleep, shift
        self._began = clock.now() - shift
        self._first: int | None = None

    def step(self, time: int) -> int | None:
        self._first = time if self._first is None else self._first
        return SECOND if time > self._began else self._began - time

    def progress(self, time: int, read: float | None) -> float | None:
        if time > self._began or self._first is None:
            return None
        return (time - self._first) / max(1, self._began - self._first)

    async def wait(self, time: int) -> None:
        await self._sleep(max(0.0, (time + self._shift - self._clock.now()) / SECOND))
