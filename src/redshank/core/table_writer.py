"""Columns into CSV, Parquet and NDJSON files."""

from __future__ import annotations

import gzip
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias, cast

import numpy as np
import orjson
from arro3.core import Array, DataType, Table
from arro3.io import write_csv, write_parquet
from numpy.typing import NDArray

from redshank.core.batch import Times
from redshank.core.clock import format_time
from redshank.core.errors import FileFormatError
from redshank.core.files import FORMATS, form

Column: TypeAlias = NDArray[Any] | Sequence[str]


def write_table(path: Path, columns: Mapping[str, Column]) -> None:
    """Write equally long columns as CSV, Parquet or NDJSON, by the file's ending.

    ``datetime64`` is taken as UTC: ISO 8601 text, in Parquet a timestamp of microseconds. NaN
    becomes an empty cell.

    Raises:
        FileFormatError: the ending is none of ``FORMATS``.
    """
    kind = form(path)
    if kind is None:
        raise FileFormatError(f"{path.name}: the ending must be one of {', '.join(FORMATS)}")
    table = Table.from_pydict({name: _arrow(column) for name, column in columns.items()})
    if kind == "Parquet":
        write_parquet(table, path, compression="zstd(3)")
        return
    text = _csv_bytes(path, table, columns) if kind == "CSV" else _ndjson_bytes(columns)
    path.write_bytes(gzip.compress(text, mtime=0) if path.suffix.lower() == ".gz" else text)


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
    decimals = 6 if any(np.any(column % 1000) for column in times) else 3
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
