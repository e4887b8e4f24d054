"""Table files as typed columns: each of any type in, numbers, times or labels out.

Arrow converts whole columns; only the cells that it does not understand are looked at one by one.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from arro3.core import ChunkedArray, DataType, Field, Schema
from arro3.io import infer_json_schema, read_csv, read_json
from numpy.typing import NDArray

from redshank.core import rows
from redshank.core.batch import Floats, Times
from redshank.core.clock import UNIX_UNITS, parse_time
from redshank.core.errors import FieldError, FileFormatError, NotFoundError
from redshank.core.files import (
    SAMPLE,
    Dialect,
    encoding,
    form,
    is_moment,
    is_parquet,
    micros,
    open_bytes,
    open_parquet,
    readable,
)
from redshank.core.times import parse_times

Column: TypeAlias = ChunkedArray
Columns: TypeAlias = dict[str, ChunkedArray]
Marks: TypeAlias = NDArray[np.bool_]

_MISSING = frozenset({"", "-", "?", "n/a", "na", "nan", "none", "null"})
_WORDS = {"true": 1.0, "false": 0.0}


def read_columns(path: Path) -> Columns:
    """All columns of a file by name, in file order; CSV columns are text, the others typed.

    What is in the file decides, not its name. Columns without a name are left out.

    Raises:
        NotFoundError: there is no such file.
        FileFormatError: it is neither CSV with a header nor Parquet nor NDJSON, is damaged, or
            has no rows.
    """
    if not path.is_file():
        raise NotFoundError(f"{path}: there is no such file")
    with readable(path):
        if is_parquet(path) or form(path) == "Parquet":
            columns = _parquet_columns(path)
        elif form(path) == "NDJSON":
            columns = _ndjson_columns(path)
        else:
            columns = _csv_columns(path)
    if not any(map(len, columns.values())):
        raise FileFormatError(f"{path.name}: there is a header but no rows")
    return columns


def _parquet_columns(path: Path) -> Columns:
    table = open_parquet(path).read_all()
    return {name: table.column(name) for name in table.column_names if name.strip()}


def _ndjson_columns(path: Path) -> Columns:
    with open_bytes(path) as file:
        text = io.BytesIO(file.read())
    schema = infer_json_schema(text)
    text.seek(0)
    table = read_json(text, schema).read_all()
    return {name: table.column(name) for name in table.column_names if name.strip()}


def _csv_columns(path: Path) -> Columns:
    with open_bytes(path) as file:
        text = _utf8(path.name, file.read())
    head, _, body = text.partition(b"\n")
    header = head.decode().rstrip("\r")
    dialect = Dialect.of(header, body[:SAMPLE].decode(errors="replace").splitlines()[:200])
    names = _header_names(path.name, header, dialect)
    if dialect.decimal_comma:
        body = body.replace(b",", b".")
    schema = Schema([Field(str(i), DataType.utf8(), nullable=True) for i in range(len(names))])
    source = io.BytesIO(head + b"\n" + body)
    table = read_csv(source, schema, has_header=True, delimiter=dialect.delimiter).read_all()
    return {column: table.column(i) for i, column in enumerate(names) if column}


def _utf8(name: str, data: bytes) -> bytes:
    """The text as UTF-8 without byte-order mark and leading empty lines."""
    code = encoding(data)
    if b"\0" in data[:SAMPLE] and code != "utf-16":
        raise FileFormatError(f"{name}: is neither text (CSV) nor Parquet")
    text = data.decode(code, errors="replace").lstrip("\ufeff\r\n")
    if not text.strip():
        raise FileFormatError(f"{name}: the file is empty")
    return text.encode()


def _header_names(file: str, header: str, dialect: Dialect) -> list[str]:
    names = dialect.cells(header)
    if all(rows.number(cell) is not None for cell in names):
        raise FileFormatError(
            f"{file}: the first line is {header[:80]!r}, which has no column names; add a header"
        )
    twice = next((cell for cell in names if cell and names.count(cell) > 1), None)
    if twice:
        raise FileFormatError(f"{file}: the column {twice!r} is there twice; rename one")
    return names


# --- What a column holds -----------------------------------------------------------------------


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
        return is_moment(column.type)
    if not is_text(column) or _starts_with_number(column):
        return False
    cells = _first_filled(column)
    return bool(cells) and all(_moment(cell) is not None for cell in cells)


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
    return rows.number(word)


# --- Times -------------------------------------------------------------------------------------


def _temporal_times(name: str, column: ChunkedArray) -> Times:
    if not is_moment(column.type):
        raise FileFormatError(f"column {name!r}: {column.type} is no point in time")
    moments = micros(column)
    if moments.null_count:
        row = list(moments.to_pylist()).index(None)
        raise _cell_error(name, row, None, "is empty; every row needs a time")
    return np.asarray(moments.to_numpy(), np.int64)


def _text_times(name: str, column: ChunkedArray) -> Times:
    cells = column.cast(DataType.utf8()).to_pylist()
    parsed, known = parse_times([cell or "" for cell in cells])
    for row in np.flatnonzero(~known).tolist():
        parsed[row] = _cell_time(name, row, cells[row])
    return parsed


def _cell_time(name: str, row: int, cell: str | None) -> int:
    if not (cell or "").strip():
        raise _cell_error(name, row, cell, "is empty; every row needs a time")
    moment = _moment(cell)
    if moment is None:
        raise _cell_error(name, row, cell, "is not a time: use ISO 8601, e.g. 2026-01-31T12:00:00Z")
    return moment


def _moment(cell: object) -> int | None:
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
    factor = next((factor for limit, factor in UNIX_UNITS if largest < limit), None)
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
