"""Bytes of a table file to named Arrow columns and back: CSV (also gzipped) and Parquet."""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from arro3.core import Array, ChunkedArray, DataType, Field, Schema, Table
from arro3.io import read_csv, read_parquet, write_csv, write_parquet
from numpy.typing import NDArray

from redshank.core.errors import FileFormatError, NotFoundError

Column: TypeAlias = ChunkedArray
Columns: TypeAlias = dict[str, ChunkedArray]

_DELIMITERS = (",", ";", "\t", "|")
_PARQUET_MAGIC = b"PAR1"
_GZIP_MAGIC = b"\x1f\x8b"
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+([eE][+-]?\d+)?")
_RAGGED = re.compile(r"for line (\d+), expected (\d+) got (\d+)")
_SAMPLE = 1 << 16


def read_columns(path: Path) -> Columns:
    """All columns of a file by name, in file order; CSV columns are text, Parquet ones typed.

    What is in the file decides, not its name. Columns without a name are left out.

    Raises:
        NotFoundError: there is no such file.
        FileFormatError: it is neither CSV with a header nor Parquet, is damaged, or has no rows.
    """
    if not path.is_file():
        raise NotFoundError(f"{path}: there is no such file")
    data = _unzipped(path)
    if data.startswith(_PARQUET_MAGIC) or path.suffix in (".parquet", ".pq"):
        columns = _parquet_columns(path.name, data)
    else:
        columns = _csv_columns(path.name, data)
    if not any(map(len, columns.values())):
        raise FileFormatError(f"{path.name}: there is a header but no rows")
    return columns


def write_columns(path: Path, columns: Mapping[str, NDArray[Any]]) -> None:
    """Write equally long arrays as ``.csv``, ``.csv.gz`` or ``.parquet``, by the file's ending.

    ``datetime64`` is taken as UTC: ISO 8601 text in CSV, a timestamp of microseconds in Parquet.

    Raises:
        FileFormatError: the ending is another one.
    """
    table = Table.from_pydict({name: _arrow(values) for name, values in columns.items()})
    if path.suffix in (".parquet", ".pq"):
        write_parquet(table, path, compression="zstd(3)")
    elif path.suffix == ".csv":
        path.write_bytes(_csv_bytes(table, columns))
    elif path.name.endswith(".csv.gz"):
        path.write_bytes(gzip.compress(_csv_bytes(table, columns), mtime=0))
    else:
        raise FileFormatError(f"{path.name}: the ending must be .csv, .csv.gz or .parquet")


def _csv_bytes(table: Table, columns: Mapping[str, NDArray[Any]]) -> bytes:
    times = [values for values in columns.values() if values.dtype.kind == "M"]
    whole = all(not np.any(t.astype("datetime64[us]").astype(np.int64) % 1000) for t in times)
    buffer = io.BytesIO()
    write_csv(table, buffer, timestamp_tz_format=f"%Y-%m-%dT%H:%M:%S%.{3 if whole else 6}fZ")
    return buffer.getvalue()


def _arrow(values: NDArray[Any]) -> Array:
    if values.dtype.kind == "M":
        micros = np.ascontiguousarray(values.astype("datetime64[us]").astype(np.int64))
        return Array.from_numpy(micros).cast(DataType.timestamp("us", tz="UTC"))
    return Array.from_numpy(np.ascontiguousarray(values))


def _unzipped(path: Path) -> bytes:
    data = path.read_bytes()
    if not data.startswith(_GZIP_MAGIC):
        return data
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise FileFormatError(f"{path.name}: the gzip stream is damaged ({error})") from None


# --- Parquet -----------------------------------------------------------------------------------


def _parquet_columns(name: str, data: bytes) -> Columns:
    # The reader aborts with a Rust panic on a file cut short, so the frame is checked first.
    if len(data) < 12 or not data.startswith(_PARQUET_MAGIC) or data[-4:] != _PARQUET_MAGIC:
        raise FileFormatError(f"{name}: is not a complete Parquet file")
    with _readable(name, "Parquet"):
        table = read_parquet(io.BytesIO(data)).read_all()
    return {column: table.column(column) for column in table.column_names if column.strip()}


# --- CSV ---------------------------------------------------------------------------------------


def _csv_columns(name: str, data: bytes) -> Columns:
    text = _utf8(name, data)
    head, _, body = text.partition(b"\n")
    header = head.decode().rstrip("\r")
    delimiter = max(_DELIMITERS, key=_outside_quotes(header).count)
    names = _header_names(name, header, delimiter)
    if delimiter != "," and _has_decimal_comma(body[:_SAMPLE], delimiter):
        body = body.replace(b",", b".")
    fields = [Field(str(i), DataType.utf8(), nullable=True) for i in range(len(names))]
    with _readable(name, "CSV"):
        reader = read_csv(
            io.BytesIO(head + b"\n" + body), Schema(fields), has_header=True, delimiter=delimiter
        )
        table = reader.read_all()
    return {column: table.column(i) for i, column in enumerate(names) if column}


def _utf8(name: str, data: bytes) -> bytes:
    """The text as UTF-8 without byte-order mark and leading empty lines."""
    if b"\0" in data[:_SAMPLE] and data[:2] not in (b"\xff\xfe", b"\xfe\xff"):
        raise FileFormatError(f"{name}: is neither text (CSV) nor Parquet")
    text = _decoded(data).lstrip("\ufeff\r\n")
    if not text.strip():
        raise FileFormatError(f"{name}: the file is empty")
    return text.encode()


def _decoded(data: bytes) -> str:
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", errors="replace")
    try:
        return data.decode()
    except UnicodeDecodeError:
        # Spreadsheets of Western Europe: "°C" in one byte.
        return data.decode("cp1252", errors="replace")


def _header_names(file: str, header: str, delimiter: str) -> list[str]:
    names = [cell.strip() for cell in next(csv.reader([header], delimiter=delimiter))]
    if all(_is_number(cell) for cell in names):
        raise FileFormatError(
            f"{file}: the first line is {header[:80]!r}, which has no column names; add a header"
        )
    twice = next((cell for cell in names if cell and names.count(cell) > 1), None)
    if twice:
        raise FileFormatError(f"{file}: the column {twice!r} is there twice; rename one")
    return names


def _outside_quotes(header: str) -> str:
    return re.sub(r'"[^"]*"', "", header)


def _has_decimal_comma(body: bytes, delimiter: str) -> bool:
    lines = body.decode(errors="replace").splitlines()[:200]
    cells = (cell.strip(' "') for line in lines for cell in line.split(delimiter))
    return any(_DECIMAL_COMMA.fullmatch(cell) for cell in cells)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


# --- Errors ------------------------------------------------------------------------------------


@contextmanager
def _readable(name: str, form: str) -> Iterator[None]:
    """Turn what the Arrow readers raise into one error that names the file."""
    try:
        yield
    except BaseException as error:
        # The readers raise bare Exceptions, and Rust panics, which are not even that.
        if type(error) is not Exception and type(error).__name__ != "PanicException":
            raise
        raise FileFormatError(f"{name}: {_reason(str(error), form)}") from None


def _reason(message: str, form: str) -> str:
    ragged = _RAGGED.search(message)
    if ragged:
        line, expected, got = ragged.groups()
        return f"line {line} has {got} fields, but the header has {expected}"
    return f"cannot be read as {form} ({message})"
