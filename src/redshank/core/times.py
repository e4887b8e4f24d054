"""Event times from columns of ISO 8601 text, many at once.

Parsing one text at a time costs more than everything else that is done to a reading, so the usual
forms are read as columns of digits. Whatever is not in a usual form is left to
:func:`redshank.core.clock.parse_time`, which decides.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from redshank.core.batch import Times
from redshank.core.clock import DAY, HOUR, MINUTE, SECOND

Marks = NDArray[np.bool_]

_SECONDS_LENGTH = len("2026-01-31T12:00:00")
_OFFSET_LENGTH = len("+01:00")
_DIGITS = [0, 1, 2, 3, 5, 6, 8, 9, 11, 12, 14, 15, 17, 18]
_MONTH_DAYS = np.array([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])


def parse_times(texts: Sequence[str]) -> tuple[Times, Marks]:
    """Event times of ISO 8601 texts like ``2026-01-31T12:00:00.000Z``.

    Understood: seconds with up to six decimals, ``T`` or a blank between date and time, and
    ``Z``, an offset like ``+01:00`` or nothing at the end.

    Returns:
        (n,) microseconds since the epoch and (n,) marks of the texts that were understood.
    """
    times, known = np.zeros(len(texts), np.int64), np.zeros(len(texts), np.bool_)
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    for length in np.unique(lengths):
        rows = np.flatnonzero(lengths == length)
        same = texts if len(rows) == len(texts) else [texts[i] for i in rows.tolist()]
        joined = "".join(same)
        if _SECONDS_LENGTH <= length <= _SECONDS_LENGTH + 13 and joined.isascii():
            letters = np.frombuffer(joined.encode(), np.uint8).reshape(len(rows), int(length))
            times[rows], known[rows] = _parse_table(letters)
    return times, known


def _parse_table(letters: NDArray[np.uint8]) -> tuple[Times, Marks]:
    """Times of texts of one length as (n, length) ASCII codes, and which are well formed."""
    zone = _zone_length(letters)
    decimals = letters.shape[1] - _SECONDS_LENGTH - zone - 1
    if decimals == 0 or decimals > 6:
        return np.zeros(len(letters), np.int64), np.zeros(len(letters), np.bool_)
    columns = np.ascontiguousarray(letters.T)
    digits = columns[[*_DIGITS, *range(20, 20 + decimals)]] - np.uint8(ord("0"))
    good = (digits.max(axis=0) <= 9) & _has_separators(columns, decimals, zone)
    parts = (slice(0, 4), slice(4, 6), slice(6, 8), slice(8, 10), slice(10, 12), slice(12, 14))
    year, month, day, hour, minute, second = (_number(digits[part]) for part in parts)
    good &= _in_calendar(year, month, day) & (hour < 24) & (minute < 60) & (second < 60)
    times = _days(year, month, day) * DAY + hour * HOUR + minute * MINUTE + second * SECOND
    times += _number(digits[14:]) * 10 ** (6 - max(decimals, 0))
    if zone != _OFFSET_LENGTH:
        return times, good
    offset, known = _offset(columns[-_OFFSET_LENGTH:])
    return times - offset, good & known


def _offset(columns: NDArray[np.uint8]) -> tuple[Times, Marks]:
    """Microseconds ahead of UTC of (6, n) offsets like ``+01:00``, and which are well formed."""
    digits = columns[[1, 2, 4, 5]] - np.uint8(ord("0"))
    hour, minute = _number(digits[:2]), _number(digits[2:])
    east, west = columns[0] == ord("+"), columns[0] == ord("-")
    good = (digits.max(axis=0) <= 9) & (hour < 24) & (minute < 60) & (east | west)
    good &= columns[3] == ord(":")
    return np.where(west, -1, 1) * (hour * HOUR + minute * MINUTE), good


def _number(digits: NDArray[np.uint8]) -> Times:
    """(n,) numbers whose decimal digits are the rows of (k, n)."""
    total = np.zeros(digits.shape[1], np.int64)
    for row in digits:
        total = total * 10 + row
    return total


def _zone_length(letters: NDArray[np.uint8]) -> int:
    tail = letters[0, _SECONDS_LENGTH:].tobytes()
    if tail.endswith(b"Z"):
        return 1
    return _OFFSET_LENGTH if tail[-_OFFSET_LENGTH:][:1] in (b"+", b"-") else 0


def _has_separators(columns: NDArray[np.uint8], decimals: int, zone: int) -> Marks:
    expected = {4: b"-", 7: b"-", 13: b":", 16: b":"}
    if decimals > 0:
        expected[_SECONDS_LENGTH] = b"."
    if zone == 1:
        expected[len(columns) - 1] = b"Z"
    good: Marks = (columns[10] == ord("T")) | (columns[10] == ord(" "))
    for column, letter in expected.items():
        good &= columns[column] == letter[0]
    return good


def _in_calendar(year: Times, month: Times, day: Times) -> Marks:
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    longest = _MONTH_DAYS[np.clip(month, 1, 12) - 1] + (leap & (month == 2))
    good: Marks = (year >= 1) & (month >= 1) & (month <= 12) & (day >= 1) & (day <= longest)
    return good


def _days(year: Times, month: Times, day: Times) -> Times:
    """Days since the epoch in the Gregorian calendar (Howard Hinnant, "chrono-compatible
    low-level date algorithms")."""
    shifted = year - (month <= 2)
    era, of_era = shifted // 400, shifted % 400
    of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    total: Times = era * 146_097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719_468
    return total
