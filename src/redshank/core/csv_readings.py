"""CSV bodies into batches: a header with ``sensor_id``, ``timestamp`` and channels, then rows.

A row means what a JSON object with the header's names as keys would mean; an empty cell is a
missing value. Rows that fit become columns together, the others are read one by one.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from typing import Any

import numpy as np

from redshank.core.batch import Reading
from redshank.core.decoded import (
    MAX_LINE,
    MAX_RAW,
    UNDATED,
    Decoded,
    Part,
    RowError,
    in_row_order,
    read_each,
    too_long,
)
from redshank.core.errors import FieldError, FileFormatError
from redshank.core.rows import SENSOR, TIME, RowContext, read_row, read_table, shown

_DELIMITERS = ",;\t|"
_HEADED = "expected a header line such as sensor_id,timestamp,temperature"
_Cells = list[str]


class CsvDecoder:
    """Decodes one body, whole or in pieces of whole lines; the first line is the header.

    Commas, semicolons, tabs or bars part the cells, whichever the header has most of. Cells may be
    quoted but hold no line breaks.

    Args:
        longest: longest line, bytes; longer ones are refused, the others kept.
    """

    def __init__(self, longest: int = MAX_LINE) -> None:
        self._longest = longest
        self._header: list[str] | None = None
        self._head = b""
        self._delimiter = ","

    def decode(self, piece: bytes, *, arrival: int) -> Decoded:
        """Readings of the next lines; the header counts as a line, but not as a row.

        Args:
            piece: UTF-8 text.
            arrival: when it came, microseconds; no row can be from much later.

        Raises:
            FileFormatError: there is no usable header.
        """
        lines = piece.split(b"\n")
        used = [i for i, line in enumerate(lines) if line.strip()]
        if self._header is None and used:
            self._read_header(lines[used.pop(0)])
        if self._header is None:
            raise FileFormatError(f"the body is empty: {_HEADED}")
        return self._rows(lines, used, self._header, RowContext(arrival, undated=UNDATED))

    def _read_header(self, line: bytes) -> None:
        try:
            text = line[: self._longest].decode("utf-8-sig").strip("\r\n")
        except UnicodeDecodeError as error:
            raise FileFormatError(f"the header is not UTF-8 text: byte {error.start}") from None
        self._delimiter = max(_DELIMITERS, key=text.count)
        names = [name.strip() for name in self._split(text)]
        if SENSOR not in names:
            raise FileFormatError(f"the header {shown(text)!r} names no sensor_id: {_HEADED}")
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise FileFormatError(f"the header names {shown(twice)!r} twice")
        self._header = names
        self._head = line.rstrip(b"\r") + b"\n"

    def _split(self, text: str) -> _Cells:
        if '"' not in text:
            return text.split(self._delimiter)
        try:
            return next(csv.reader([text], delimiter=self._delimiter))
        except csv.Error:
            return [text]

    def _rows(
        self,
        lines: Sequence[bytes],
        used: Sequence[int],
        header: Sequence[str],
        context: RowContext,
    ) -> Decoded:
        rows = {i: self._cells(lines[i]) for i in used}
        fitting = [i for i, cells in rows.items() if cells and len(cells) == len(header)]
        parts, odd = _columns(header, [rows[i] or [] for i in fitting], fitting, context)
        careful = sorted(
            odd + [i for i in used if not rows[i] or len(rows[i] or []) != len(header)]
        )
        readings, errors = read_each(
            careful,
            lambda i: self._read(lines[i], rows[i], header, i, context),
            lambda i, error: RowError(
                i, error.field, error.value, error.reason, self._raw(lines[i])
            ),
        )
        found, places = in_row_order([*parts, *readings])
        return Decoded(found, errors, len(used), places)

    def _raw(self, line: bytes) -> bytes:
        """A line below its header, so that it can be read again by itself."""
        return (self._head + line.rstrip(b"\r"))[:MAX_RAW]

    def _cells(self, line: bytes) -> _Cells | None:
        """The cells of a line, None if it cannot be split."""
        if len(line) > self._longest:
            return None
        try:
            return self._split(line.decode().rstrip("\r"))
        except UnicodeDecodeError:
            return None

    def _read(
        self,
        line: bytes,
        cells: _Cells | None,
        header: Sequence[str],
        index: int,
        context: RowContext,
    ) -> Reading:
        if cells is None:
            why = too_long(self._longest) if len(line) > self._longest else "is not UTF-8 text"
            raise FieldError("row", shown(line[:80].decode("utf-8", "replace")), why)
        if len(cells) > len(header):
            reason = f"are more cells than the header's {len(header)}"
            raise FieldError("row", len(cells), reason)
        row = {name: cell or None for name, cell in zip(header, cells, strict=False)}
        return read_row(_with_time(row), index, context)


def _with_time(row: dict[str, Any]) -> dict[str, Any]:
    """The row with a Unix time as a number."""
    time = row.get(TIME)
    if time and time.isascii() and time.isdigit():
        row[TIME] = int(time[:25])
    return row


def _columns(
    header: Sequence[str], rows: Sequence[_Cells], index: Sequence[int], context: RowContext
) -> tuple[list[Part], list[int]]:
    """A batch of rows that all fit, and the numbers of those that need a closer look."""
    if not rows:
        return [], []
    columns = zip(*rows, strict=True)
    table: dict[str, Sequence[Any]] = dict(zip(header, map(_plain, columns), strict=True))
    if TIME in table:
        table[TIME] = _times(table[TIME])
    place = np.array(index, np.intp)
    read = read_table(table, place, context)
    if read is None:
        return [], list(index)
    batch, good = read
    if good.all():
        return [(batch, place)], []
    return [(batch.take(good), place[good])], place[~good].tolist()


def _plain(column: Sequence[str]) -> Sequence[str | None]:
    return [cell or None for cell in column] if "" in column else column


def _times(column: Sequence[Any]) -> Sequence[Any]:
    if all(cell and cell.isascii() and cell.isdigit() and len(cell) < 19 for cell in column):
        return list(map(int, column))
    return column
