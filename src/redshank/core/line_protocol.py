"""InfluxDB's line protocol into batches: lines like ``weather,site=a temp=1.5,rain=2i 1700000000``.

Lines without quotes and backslashes, with plain numbers and a time, are nearly all of real traffic.
Their fields become JSON by a few replacements over many lines at once, and then columns; a line at
a time would cost several times as much. Any other line is read by
:mod:`redshank.core.line_syntax`, which knows all of the syntax. Both give the same result.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from redshank.core.batch import Batch, Times
from redshank.core.decoded import (
    MAX_LINE,
    MAX_RAW,
    UNDATED,
    Decoded,
    Part,
    RowError,
    in_row_order,
    read_each,
)
from redshank.core.errors import FieldError
from redshank.core.line_syntax import LineReader, read_line, read_series
from redshank.core.rows import (
    EARLIEST,
    LATEST_AHEAD,
    VALUES,
    RowContext,
    value_columns,
)
from redshank.core.series import Naming, Series

PRECISIONS: Mapping[str, int] = {
    "ns": 1,
    "n": 1,
    "us": 10**3,
    "u": 10**3,
    "µ": 10**3,
    "ms": 10**6,
    "s": 10**9,
    "m": 60 * 10**9,
    "h": 3600 * 10**9,
}
"""Nanoseconds of one unit of time, by what senders call it."""

_DEFAULT = Naming()
_ODD_WHOLE = re.compile(r"(?:[.eE][0-9+-]*|[iu])[iu][,\n]")
_WHOLE_ENDS = ("i,", "i\n", "u,", "u\n")
_ODD_START = frozenset(("", " ", "\r", "\t", "#", b"", b" ", b"\r", b"\t", b"#"))
_SHORT = 256
"""A line of so many characters is within every limit of a line's length in bytes."""
_known_series = lru_cache(maxsize=8192)(read_series)
_NUMBERED = frozenset((int, float))


def decode_lines(
    body: bytes,
    *,
    arrival: int,
    naming: Naming = _DEFAULT,
    precision: str = "ns",
    longest: int = MAX_LINE,
) -> Decoded:
    """Readings from lines of line protocol; blank lines and comments are skipped.

    Args:
        body: UTF-8 text.
        arrival: when it came, microseconds; no line can be from much later.
        naming: how series become sensors and channels.
        precision: unit of the times, one of :data:`PRECISIONS`.
        longest: longest line, bytes, at least 1024; longer ones are refused, the others kept.
    """
    reader = LineReader(
        RowContext(arrival, undated=UNDATED), naming, PRECISIONS[precision], longest
    )
    lines = _texts(body)
    used = [i for i, line in enumerate(lines) if line[:1] not in _ODD_START or _says(line)]
    look = b'"' in body or b"\\" in body or len(body) > longest
    even = not look and _is_even(body, len(used)) and set(map(type, lines)) == {str}
    numbers, plain = _even_lines(lines, used) if even else _plain_lines(lines, used, look)
    parts, odd = _columns(numbers, plain, reader)
    careful = set(used).difference(numbers) if len(numbers) < len(used) else set()
    readings, errors = read_each(
        sorted(careful.union(odd)),
        lambda i: read_line(lines[i], i, reader),
        lambda i, error: _row_error(lines[i], i, error),
    )
    found, places = in_row_order([*parts, *readings])
    return Decoded(found, errors, len(used), places)


def _texts(body: bytes) -> Sequence[str | bytes]:
    """The lines; those that are not UTF-8 stay bytes."""
    try:
        return body.decode().split("\n")
    except UnicodeDecodeError:
        return [_text(line) for line in body.split(b"\n")]


def _text(line: bytes) -> str | bytes:
    try:
        return line.decode()
    except UnicodeDecodeError:
        return line


def _says(line: str | bytes) -> bool:
    """Whether a line is neither blank nor a comment."""
    bare = line.lstrip()
    return bool(bare) and bare[0] not in ("#", ord("#"))


# --- many lines --------------------------------------------------------------------------------


_Plain = Sequence[Sequence[str]]
"""Three columns: measurement and tags, fields, times."""


def _is_even(body: bytes, lines: int) -> bool:
    """Whether the body is nothing but so many lines of three parts with single blanks between."""
    letters = np.frombuffer(body, np.uint8)
    separators = letters[(letters == ord(" ")) | (letters == ord("\n"))]
    if not body.endswith(b"\n"):
        separators = np.append(separators, np.uint8(ord("\n")))
    wanted = np.frombuffer(b"  \n", np.uint8)
    return len(separators) == 3 * lines and bool((separators.reshape(-1, 3) == wanted).all())


def _even_lines(lines: Sequence[Any], used: Sequence[int]) -> tuple[Sequence[int], _Plain]:
    """As :func:`_plain_lines`, for lines that are all plain."""
    parts = " ".join(lines[: len(used)]).split(" ")
    return used, (parts[0::3], parts[1::3], parts[2::3])


def _plain_lines(
    lines: Sequence[str | bytes], used: Sequence[int], look: bool
) -> tuple[Sequence[int], _Plain]:
    """Numbers and parts of the lines that consist of three simple parts."""
    numbers, plain = [], []
    for i in used:
        line = lines[i]
        if isinstance(line, bytes) or (look and _is_odd(line)):
            continue
        parts = line.split(" ")
        if len(parts) == 3:
            numbers.append(i)
            plain.append(parts)
    return numbers, list(zip(*plain, strict=True))


def _is_odd(line: str) -> bool:
    return '"' in line or "\\" in line or len(line) > _SHORT


def _columns(
    numbers: Sequence[int], plain: _Plain, reader: LineReader
) -> tuple[list[Part], list[int]]:
    """Batches of plain lines, and the numbers of those that turn out to need a closer look."""
    if not numbers:
        return [], []
    number_of = np.array(numbers, np.intp)
    heads, fields, stamps = plain
    times, timely = _times(stamps, reader)
    distinct, code = _coded(heads)
    series = [_series_or_none(head, reader) for head in distinct]
    known = np.array([one is not None for one in series])
    good = timely & known[code]
    parts: list[Part] = []
    odd = number_of[~good].tolist()
    for rows in _by_names(series, code, good):
        some = fields if len(rows) == len(fields) else [fields[row] for row in rows.tolist()]
        for same, table in _tables(some):
            at = rows[same]
            batch = _batch(table, times[at], code[at], series) if table else None
            if batch is None:
                odd.extend(number_of[at].tolist())
                continue
            parts.append((batch, number_of[at]))
    return parts, odd


def _coded(texts: Sequence[str]) -> tuple[list[str], NDArray[np.intp]]:
    """The distinct texts and (n,) the number of each."""
    index: dict[str, int] = {}
    code = [index.setdefault(text, len(index)) for text in texts]
    return list(index), np.array(code, np.intp)


def _times(texts: Sequence[str], reader: LineReader) -> tuple[Times, NDArray[np.bool_]]:
    """(n,) microseconds, and marks of those that are whole numbers within the allowed years."""
    none = np.zeros(len(texts), np.int64), np.zeros(len(texts), np.bool_)
    try:
        read = orjson.loads(f"[{','.join(texts)}]".replace("\r", ""))
        stamps = np.array(read, np.int64) if set(map(type, read)) == {int} else None
    except (orjson.JSONDecodeError, OverflowError):
        return none
    if stamps is None or len(stamps) != len(texts):
        return none
    first = EARLIEST * 1000 // reader.unit
    last = (reader.context.arrival + LATEST_AHEAD) * 1000 // reader.unit
    good = (stamps > first) & (stamps < last)
    stamps[~good] = 0
    if reader.unit >= 1000:
        return stamps * (reader.unit // 1000), good
    return stamps // (1000 // reader.unit), good


def _series_or_none(head: str, reader: LineReader) -> Series | None:
    try:
        read = _known_series if len(head) <= _SHORT else read_series
        return read(head, reader.naming)
    except FieldError:
        return None


def _by_names(
    series: Sequence[Series | None], code: NDArray[np.intp], good: NDArray[np.bool_]
) -> list[NDArray[np.intp]]:
    """Row numbers of the good rows, apart by how their fields become channels."""
    index: dict[tuple[str, str], int] = {}
    group = np.array(
        [
            -1 if one is None else index.setdefault((one.measurement, one.prefix), len(index))
            for one in series
        ]
    )[code]
    return [np.flatnonzero(good & (group == i)) for i in range(len(index))]


_Table = dict[str, Sequence[Any]]


def _tables(fields: Sequence[str]) -> list[tuple[NDArray[np.intp], _Table]]:
    """Columns of the rows that have the same fields; an empty table if they cannot be read."""
    rows = _objects(fields)
    if rows is None:
        return [(np.arange(len(fields)), {})]
    tables: list[tuple[NDArray[np.intp], _Table]] = []
    for keys, index in _shapes(rows).items():
        same = rows if len(index) == len(rows) else [rows[i] for i in index]
        columns = zip(*map(dict.values, same), strict=True)
        table: _Table = {} if "" in keys else dict(zip(keys, columns, strict=True))
        tables.append((np.array(index, np.intp), table))
    return tables


def _shapes(rows: Sequence[dict[str, Any]]) -> dict[tuple[str, ...], Sequence[int]]:
    """Numbers of the rows by their keys."""
    keys_of = list(map(tuple, rows))
    if len(set(keys_of)) == 1:
        return {keys_of[0]: range(len(rows))}
    shapes: dict[tuple[str, ...], list[int]] = {}
    for i, keys in enumerate(keys_of):
        shapes.setdefault(keys, []).append(i)
    return {**shapes}


def _objects(fields: Sequence[str]) -> list[dict[str, Any]] | None:
    """The fields of every row by their names, read as JSON; None if they are no plain numbers."""
    text = "\n".join(fields)
    # Of the words that begin with a letter JSON knows these, line protocol does not.
    if "null" in text or "{" in text or "[" in text:
        return None
    ended = f"{text}\n"
    if any(end in ended for end in _WHOLE_ENDS):
        if _ODD_WHOLE.search(ended):
            return None
        for end in _WHOLE_ENDS:
            ended = ended.replace(end, end[1:])
        text = ended[:-1]
    body = text.replace("=", '":').replace(",", ',"').replace("\n", '},{"')
    try:
        rows: list[dict[str, Any]] = orjson.loads('[{"' + body + "}]")
    except orjson.JSONDecodeError:
        return None
    return rows if len(rows) == len(fields) else None


def _batch(
    table: _Table, times: Times, code: NDArray[np.intp], series: Sequence[Series | None]
) -> Batch | None:
    """Rows of one shape; None if they need a closer look."""
    used, sensor = np.unique(code, return_inverse=True)
    own = [one for i in used.tolist() if (one := series[i]) is not None]
    named: _Table = {}
    for field, column in table.items():
        kinds = set(map(type, column))
        if not (kinds <= _NUMBERED or kinds == {bool}):
            return None
        named[own[0].channel(field)] = column if bool not in kinds else _spelt(column)
    columns = value_columns(named) if len(named) == len(table) else None
    if columns is None:
        return None
    channels, values, texts = columns
    ids, index = _coded([one.sensor_id for one in own])
    tags = _tags(own, sensor.tolist(), texts)
    places = index[sensor].astype(np.int32)
    return Batch(tuple(ids), places, times, channels, values, None, tags)


def _spelt(column: Sequence[bool]) -> list[str]:
    return ["true" if value else "false" for value in column]


def _tags(
    series: Sequence[Series], rows: Sequence[int], texts: Mapping[str, Sequence[str]]
) -> tuple[Mapping[str, str] | None, ...] | None:
    """The tags of each row; rows of one series share theirs."""
    own = [one.tags or None for one in series]
    if texts:
        said = zip(*texts.values(), strict=True)
        return tuple(
            {**(own[row] or {}), **dict(zip(texts, text, strict=True))}
            for row, text in zip(rows, said, strict=True)
        )
    return tuple(own[row] for row in rows) if any(own) else None


def _row_error(line: str | bytes, i: int, error: FieldError) -> RowError:
    raw = line if isinstance(line, bytes) else line.encode()
    field = error.field.removeprefix(f"{VALUES}.")
    return RowError(i, field, error.value, error.reason, raw[:MAX_RAW])
