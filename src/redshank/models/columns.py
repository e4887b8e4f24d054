"""Arrow columns of any type to the three things that a table is made of: numbers, times, labels.

Arrow converts whole columns; only the cells that it does not understand are looked at one by one.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from arro3.core import ChunkedArray, DataType
from numpy.typing import NDArray

from redshank.core.batch import Floats, Times
from redshank.core.clock import parse_time
from redshank.core.errors import FieldError, FileFormatError

Marks: TypeAlias = NDArray[np.bool_]

_MISSING = frozenset({"", "-", "?", "n/a", "na", "nan", "none", "null"})
_WORDS = {"true": 1.0, "false": 0.0}
_UNIX_UNITS = ((1e11, 1_000_000), (1e14, 1_000), (1e17, 1))


def numbers(name: str, column: ChunkedArray) -> Floats | None:
    """(n,) the column as numbers, NaN where a cell is empty; None if it does not hold numbers.

    Text counts as numbers if at least half of its filled cells are numbers; true and false, yes
    and no, on and off are 1 and 0.

    Raises:
        FileFormatError: some cells of a column of numbers are none.
    """
    if is_text(column):
        return _text_numbers(name, column)
    kind = column.type
    if DataType.is_numeric(kind) or DataType.is_boolean(kind) or DataType.is_decimal(kind):
        return _floats(column.cast(DataType.float64()))
    return None


def times(name: str, column: ChunkedArray) -> Times:
    """(n,) event times in microseconds, UTC.

    Timestamps and dates of any unit and zone (none means UTC), ISO 8601 text, and Unix time in
    seconds, milli-, micro- or nanoseconds, told apart by the size of the largest.

    Raises:
        FileFormatError: a cell is empty or is no time.
    """
    if DataType.is_temporal(column.type):
        return _temporal_times(name, column)
    if is_text(column) and not _starts_with_number(column):
        return _text_times(name, column)
    return _unix_times(name, column)


def labels(column: ChunkedArray) -> Marks | None:
    """(n,) True where the column marks an anomaly (not 0 and not false); None if it is text."""
    try:
        values = numbers("labels", column)
    except FileFormatError:
        return None
    return None if values is None else (values != 0) & ~np.isnan(values)


def is_time_like(column: ChunkedArray) -> bool:
    """Whether the first filled cells are timestamps, or text in ISO 8601."""
    if DataType.is_temporal(column.type):
        return bool(DataType.is_timestamp(column.type) or DataType.is_date(column.type))
    if not is_text(column) or _starts_with_number(column):
        return False
    cells = _first_filled(column)
    return bool(cells) and all(_micros(cell) is not None for cell in cells)


def is_text(column: ChunkedArray) -> bool:
    """Whether the cells are strings, in plain or in dictionary form."""
    kind = column.type
    if DataType.is_dictionary(kind):
        kind = kind.value_type or kind
    return bool(DataType.is_string(kind) or _is_other_text(kind))


def _is_other_text(kind: DataType) -> bool:
    return bool(DataType.is_large_string(kind) or DataType.is_string_view(kind))


# --- Numbers -----------------------------------------------------------------------------------


def _floats(column: ChunkedArray) -> Floats:
    if column.null_count:
        return np.array(column.to_pylist(), np.float64)
    return np.asarray(column.to_numpy(), np.float64)


def _text_numbers(name: str, column: ChunkedArray) -> Floats | None:
    text = column.cast(DataType.utf8())
    parsed = text.cast(DataType.float64())
    values = _floats(parsed)
    if parsed.null_count == text.null_count:
        return values
    truths = text.cast(DataType.bool())
    if truths.null_count == text.null_count:
        return _floats(truths.cast(DataType.float64()))
    cells = text.to_pylist()
    unreadable = []
    for row in np.flatnonzero(np.isnan(values)).tolist():
        number = _number(cells[row])
        values[row] = np.nan if number is None else number
        if number is None:
            unreadable.append(row)
    if not unreadable:
        return values
    readable = int(np.count_nonzero(~np.isnan(values)))
    if readable < len(unreadable):
        return None
    raise _cell_error(name, unreadable[0], cells[unreadable[0]], "is not a number")


def _number(cell: str | None) -> float | None:
    """NaN for an empty cell, None for what is no number."""
    word = (cell or "").strip().lower()
    if word in _MISSING:
        return float("nan")
    if word in _WORDS:
        return _WORDS[word]
    try:
        return None if "_" in word else float(word)
    except ValueError:
        return None


# --- Times -------------------------------------------------------------------------------------


def _temporal_times(name: str, column: ChunkedArray) -> Times:
    if not (DataType.is_timestamp(column.type) or DataType.is_date(column.type)):
        raise FileFormatError(f"column {name!r}: {column.type} is no point in time")
    zone = column.type.tz
    micros = column.cast(DataType.timestamp("us", tz=zone)).cast(DataType.int64())
    if micros.null_count:
        row = list(micros.to_pylist()).index(None)
        raise _cell_error(name, row, None, "is empty; every row needs a time")
    return np.asarray(micros.to_numpy(), np.int64)


def _text_times(name: str, column: ChunkedArray) -> Times:
    text = column.cast(DataType.utf8())
    parsed = text.cast(DataType.timestamp("us", tz="UTC")).cast(DataType.int64())
    if not parsed.null_count:
        return np.asarray(parsed.to_numpy(), np.int64)
    cells, micros = text.to_pylist(), parsed.to_pylist()
    for row, value in enumerate(micros):
        if value is None:
            micros[row] = _cell_time(name, row, cells[row])
    return np.array(micros, np.int64)


def _cell_time(name: str, row: int, cell: str | None) -> int:
    if not (cell or "").strip():
        raise _cell_error(name, row, cell, "is empty; every row needs a time")
    micros = _micros(cell)
    if micros is None:
        raise _cell_error(name, row, cell, "is not a time: use ISO 8601, e.g. 2026-01-31T12:00:00Z")
    return micros


def _micros(cell: object) -> int | None:
    try:
        return parse_time(cell)
    except FieldError:
        return None


def _unix_times(name: str, column: ChunkedArray) -> Times:
    values = numbers(name, column)
    if values is None:
        raise FileFormatError(f"column {name!r}: holds no times ({column.type})")
    wrong = np.flatnonzero(~np.isfinite(values))
    if len(wrong):
        row = int(wrong[0])
        raise _cell_error(name, row, values[row], "is not a time; every row needs one")
    largest = float(np.abs(values).max(initial=0.0))
    factor = next((factor for limit, factor in _UNIX_UNITS if largest < limit), None)
    exact = _exact_ints(column)
    if factor is not None:
        return np.rint(values * factor).astype(np.int64) if exact is None else exact * factor
    if largest >= 2**63:
        row = int(np.abs(values).argmax())
        raise _cell_error(name, row, values[row], "is not a time: it is too large for Unix time")
    return (values.astype(np.int64) if exact is None else exact) // 1000


def _exact_ints(column: ChunkedArray) -> Times | None:
    """The column as integers if it holds nothing else: a float cannot carry nanoseconds."""
    if DataType.is_floating(column.type):
        return None
    plain = column.cast(DataType.utf8()) if is_text(column) else column
    whole = plain.cast(DataType.int64())
    return None if whole.null_count else np.asarray(whole.to_numpy(), np.int64)


def _starts_with_number(column: ChunkedArray) -> bool:
    cells = _first_filled(column)
    return bool(cells) and _number(cells[0]) is not None


def _first_filled(column: ChunkedArray) -> list[Any]:
    return [cell for cell in column.slice(0, min(100, len(column))).to_pylist() if cell]


def _cell_error(name: str, row: int, value: Any, reason: str) -> FileFormatError:
    return FileFormatError(f"column {name!r}, row {row + 1}: {value!r} {reason}")
