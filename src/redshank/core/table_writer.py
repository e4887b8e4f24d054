"""Columns into CSV, Parquet and NDJSON files, at once or part by part."""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Literal, TypeAlias, cast

import numpy as np
import orjson
from arro3.core import Array, DataType, Field, RecordBatch, RecordBatchReader, Schema, Table
from arro3.io import write_csv, write_parquet
from numpy.typing import NDArray

from redshank.core.batch import Times
from redshank.core.clock import format_time
from redshank.core.errors import FileFormatError
from redshank.core.files import FORMATS, Form, form

Column: TypeAlias = NDArray[Any] | Sequence[str]
Kind: TypeAlias = Literal["time", "number", "text"]
Parts: TypeAlias = Iterable[Mapping[str, Column]]
"""Columns of some rows after another."""

_TYPES: Mapping[Kind, DataType] = {
    "time": DataType.timestamp("us", tz="UTC"),
    "number": DataType.float64(),
    "text": DataType.utf8(),
}
_PARQUET = "zstd(3)"
_ROW_GROUP = 200_000
_MILLIS, _MICROS = 3, 6
"""Decimals of seconds."""


def write_table(path: Path, columns: Mapping[str, Column]) -> None:
    """Write equally long columns as CSV, Parquet or NDJSON, by the file's ending.

    ``datetime64`` is taken as UTC: ISO 8601 text, in Parquet a timestamp of microseconds. NaN
    becomes an empty cell.

    Raises:
        FileFormatError: the ending is none of ``FORMATS``.
    """
    kind = _form(path)
    table = Table.from_pydict({name: _arrow(column) for name, column in columns.items()})
    if kind == "Parquet":
        write_parquet(table, path, compression=_PARQUET)
        return
    text = _csv_bytes(path, table, columns) if kind == "CSV" else _ndjson_bytes(columns)
    path.write_bytes(gzip.compress(text, mtime=0) if path.suffix.lower() == ".gz" else text)


def write_parts(path: Path, columns: Mapping[str, Kind], parts: Parts) -> int:
    """Write the same part by part, however many rows there are; how many there were.

    Times are written with microseconds throughout: what a part will hold is not known before.

    Args:
        path: its ending says the format.
        columns: name to kind of every column.
        parts: each with all of these columns.

    Raises:
        FileFormatError: the ending is none of ``FORMATS``.
    """
    kind, rows = _form(path), 0

    def counted() -> Iterator[Mapping[str, Column]]:
        nonlocal rows
        for part in parts:
            rows += len(next(iter(part.values())))
            yield part

    if kind == "Parquet":
        with path.open("wb") as out:
            write_parquet_parts(out, columns, counted())
        return rows
    delimiter = "\t" if path.name.lower().endswith(".tsv") else ","
    text = csv_parts(columns, counted(), delimiter) if kind == "CSV" else ndjson_parts(counted())
    opened = gzip.open if path.suffix.lower() == ".gz" else open
    with cast(IO[bytes], opened(path, "wb")) as file:
        for piece in text:
            file.write(piece)
    return rows


def csv_parts(columns: Mapping[str, Kind], parts: Parts, delimiter: str = ",") -> Iterator[bytes]:
    """CSV text piece by piece, the heading first."""
    names = RecordBatch.from_pydict({name: Array([], DataType.utf8()) for name in columns})
    yield _csv(names, delimiter, header=True)
    for part in parts:
        yield _csv(_record(columns, part), delimiter, header=False)


def ndjson_parts(parts: Parts) -> Iterator[bytes]:
    """A JSON object a row, piece by piece."""
    return map(_ndjson_bytes, parts)


def write_parquet_parts(file: IO[bytes], columns: Mapping[str, Kind], parts: Parts) -> None:
    """Write Parquet part by part; no more than a group of rows is held."""
    schema = Schema([Field(name, _TYPES[kind], nullable=True) for name, kind in columns.items()])
    batches = (_record(columns, part) for part in parts)
    reader = RecordBatchReader.from_batches(schema, batches)
    write_parquet(reader, file, compression=_PARQUET, max_row_group_size=_ROW_GROUP)


def _form(path: Path) -> Form:
    kind = form(path)
    if kind is None:
        raise FileFormatError(f"{path.name}: the ending must be one of {', '.join(FORMATS)}")
    return kind


def _record(columns: Mapping[str, Kind], part: Mapping[str, Column]) -> RecordBatch:
    return RecordBatch.from_pydict({name: _arrow(part[name]) for name in columns})


def _csv(batch: RecordBatch, delimiter: str, header: bool) -> bytes:
    buffer = io.BytesIO()
    how = f"%Y-%m-%dT%H:%M:%S%.{_MICROS}fZ"
    write_csv(batch, buffer, header=header, delimiter=delimiter, timestamp_tz_format=how)
    return buffer.getvalue()


def _micros(column: Column) -> Times | None:
    """Microseconds since the epoch of a column of times; None for other columns."""
    if not isinstance(column, np.ndarray) or column.dtype.kind != "M":
        return None
    return np.ascontiguousarray(column.astype("datetime64[us]").astype(np.int64))


def _arrow(column: Column) -> Array:
    times = _micros(column)
    if times is not None:
        return Array.from_numpy(times).cast(DataType.timestamp("us", tz="UTC"))
    if not isinstance(column, np.ndarray):
        return Array(list(column), DataType.utf8())
    array = Array.from_numpy(np.ascontiguousarray(column))
    if column.dtype.kind == "f" and np.isnan(column).any():
        return Array([None if x != x else x for x in column.tolist()], array.type)
    return array


def _csv_bytes(path: Path, table: Table, columns: Mapping[str, Column]) -> bytes:
    times = [column for column in map(_micros, columns.values()) if column is not None]
    decimals = _MICROS if any(np.any(column % 1000) for column in times) else _MILLIS
    buffer = io.BytesIO()
    write_csv(
        table,
        buffer,
        delimiter="\t" if path.name.lower().endswith(".tsv") else ",",
        timestamp_tz_format=f"%Y-%m-%dT%H:%M:%S%.{decimals}fZ",
    )
    return buffer.getvalue()


def _ndjson_bytes(columns: Mapping[str, Column]) -> bytes:
    rows = zip(*map(_plain, columns.values()), strict=True)
    lines = (orjson.dumps(dict(zip(columns, row, strict=True))) for row in rows)
    return b"".join(line + b"\n" for line in lines)


def _plain(column: Column) -> Sequence[Any]:
    """JSON values; orjson itself writes NaN as null."""
    times = _micros(column)
    if times is not None:
        return list(map(format_time, times.tolist()))
    return cast(Sequence[Any], column.tolist()) if isinstance(column, np.ndarray) else column
