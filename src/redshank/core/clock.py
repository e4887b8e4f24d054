"""Time: the clock that is passed in, and the one representation of event time.

Event time is an ``int`` of microseconds since 1970-01-01T00:00:00Z everywhere below the edges.
"""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from redshank.core.errors import FieldError

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
MONTH = 30 * DAY
"""The month of the alarm budget: 30 days of event time."""

UNIX_UNITS = ((1e11, 1_000_000), (1e14, 1_000), (1e17, 1))
"""Unix times below the first number count units of so many microseconds; larger ones are in ns."""

_MOST_AHEAD = MINUTE
_OF_THE_MACHINE = frozenset({"localtime", "posixrules", "Factory"})
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = datetime(9999, 12, 31, tzinfo=UTC)


class Clock(Protocol):
    """Where services get the time from."""

    def now(self) -> int:
        """Wall-clock time in microseconds since the epoch, UTC."""

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back, for measuring durations."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> int:
        """Microseconds since the epoch, UTC."""
        return time.time_ns() // 1000

    def monotonic(self) -> float:
        """Seconds of the machine's monotonic clock."""
        return time.monotonic()


class FakeClock:
    """A clock that stands still until it is moved; for tests and replays."""

    def __init__(self, start: int = 1_700_000_000 * SECOND) -> None:
        self._now = start

    def now(self) -> int:
        """Microseconds since the epoch, UTC."""
        return self._now

    def monotonic(self) -> float:
        """Seconds since the epoch of the fake time."""
        return self._now / SECOND

    def advance(self, seconds: float) -> None:
        """Move the clock forward."""
        self._now += round(seconds * SECOND)


class Instants:
    """Gives out microseconds of now, each of them once: readings that come without a time stay
    apart, however many come at one moment. For all threads.

    Args:
        clock: wall clock.
        after: the last one that was given out before.
    """

    def __init__(self, clock: Clock, after: int = 0) -> None:
        self._clock = clock
        self._next = after + 1
        self._lock = threading.Lock()

    def take(self, count: int = 1) -> int:
        """The first of so many consecutive microseconds.

        They run ahead of the clock while more than a million a second are taken, and follow it
        where it was set back by more than a minute.
        """
        with self._lock:
            now = self._clock.now()
            first = self._next if now < self._next <= now + _MOST_AHEAD else now
            self._next = first + count
            return first


def to_micros(moment: datetime) -> int:
    """Microseconds since the epoch of an aware (or, if naive, UTC) datetime; exact."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (aware - _EPOCH) // timedelta(microseconds=1)


def from_micros(micros: int) -> datetime:
    """The aware UTC datetime of microseconds since the epoch."""
    return _EPOCH + timedelta(microseconds=int(micros))


def parse_time(value: object, field: str = "timestamp") -> int:
    """Event time from what senders write.

    Accepted: ISO 8601 / RFC 3339 text (no offset means UTC), and numbers as Unix time in seconds,
    milliseconds, microseconds or nanoseconds, told apart by their size.

    Raises:
        FieldError: the value is none of these or lies outside the years 1 to 9999.
    """
    if isinstance(value, bool) or value is None:
        raise FieldError(field, value, "is not a time: use ISO 8601, e.g. 2026-01-31T12:00:00Z")
    if isinstance(value, (int, float)):
        return _unix_micros(value, field)
    if isinstance(value, str):
        return _text_micros(value, field)
    raise FieldError(field, value, "is not a time: use ISO 8601, e.g. 2026-01-31T12:00:00Z")


def time_zone(name: str) -> ZoneInfo:
    """A time zone of the IANA database.

    Raises:
        FieldError: there is none of this name.
    """
    try:
        if name not in _OF_THE_MACHINE:
            return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        pass
    raise FieldError("timezone", name, "is not a time zone: use a name such as Europe/Berlin")


def known_time_zone(name: str) -> str:
    """The name, if there is such a zone; "" stays. For settings and forms.

    Raises:
        ValueError: there is none.
    """
    try:
        return time_zone(name).key if name else ""
    except FieldError as error:
        raise ValueError(error.reason) from None


def format_time(micros: int) -> str:
    """ISO 8601 text in UTC with milliseconds (microseconds where there are any)."""
    moment = from_micros(micros)
    precision = "milliseconds" if micros % 1000 == 0 else "microseconds"
    return moment.replace(tzinfo=None).isoformat(timespec=precision) + "Z"


def _text_micros(text: str, field: str) -> int:
    try:
        return to_micros(datetime.fromisoformat(text.strip()))
    except (ValueError, OverflowError):
        pass
    try:
        number = float(text)
    except ValueError:
        reason = "is not a time: use ISO 8601, e.g. 2026-01-31T12:00:00Z"
        raise FieldError(field, text, reason) from None
    return _unix_micros(number, field)


def _unix_micros(number: float, field: str) -> int:
    size = abs(number)
    if not size < 1e20:
        raise FieldError(field, number, "is not a time: it is not a finite Unix time")
    for limit, factor in UNIX_UNITS:
        if size < limit:
            return _within_calendar(round(number * factor), field, number)
    return _within_calendar(round(number / 1000), field, number)


def _within_calendar(micros: int, field: str, value: object) -> int:
    if not to_micros(datetime.min) <= micros <= to_micros(_LATEST):
        raise FieldError(field, value, "lies outside the years 1 to 9999")
    return micros
