"""CSV, Parquet and NDJSON files as rows of named cells, and columns back into files.

Files are read in pieces, so that their size does not matter. A row is what a JSON object would be:
the same rules (:mod:`redshank.core.rows`) then decide what it means, whatever file it came from.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, TextIO, cast

import numpy as np
import orjson
from arro3.core import Array, DataType, RecordBatch, Table
from arro3.io import read_parquet, write_parquet
from numpy.typing import NDArray

from redshank.core.clock import format_time
from redshank.core.errors import FileFormatError

Cells = dict[str, Any]
Column = NDArray[Any] | Sequence[str]

FORMATS = (".csv", ".tsv", ".parquet", ".ndjson", ".jsonl", ".csv.gz", ".ndjson.gz", ".jsonl.gz")
"""File name endings that can be read."""

_DELIMITERS = ",;\t|"


class TableFile:
    """A table that is read once, from front to back, in pieces.

    Attributes:
        path: the file.
        progress: the part of the file that has been read, 0 to 1.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.progress = 0.0

    def pieces(self, size: int = 5000) -> Iterator[list[Any]]:
        """Up to ``size`` rows at a time: dicts by column name, or raw text where a line is broken.

        Empty CSV cells are None; Parquet timestamps are microseconds since the epoch.

        Raises:
            FileFormatError: the file does not exist or is not of the format that its name says.
        """
        reader = _reader(self.path)
        try:
            for rows, progress in reader(self.path, size):
                self.progress = progress
                yield rows
        except (OSError, EOFError, csv.Error, UnicodeError) as error:
            raise FileFormatError(f"{self.path} cannot be read: {error}") from error
        self.progress = 1.0


def find_tables(path: Path) -> list[Path]:
    """The readable files at a path, which may be a folder; sorted by name.

    In a folder, ``*.labels.csv`` are left out: they hold the labels of a simulation, no readings.

    Raises:
        FileFormatError: there is none.
    """
    if path.is_dir():
        names = {file: file.name.lower() for file in path.iterdir()}
        found = sorted(
            file
            for file, name in names.items()
            if name.endswith(FORMATS) and not name.endswith(".labels.csv")
        )
        if not found:
            raise FileFormatError(f"{path} holds no readable file: expected {', '.join(FORMATS)}")
        return found
    _reader(path)
    if not path.is_file():
        raise FileFormatError(f"{path} does not exist")
    return [path]


def stem(path: Path) -> str:
    """The file's name without any of its endings."""
    name = path.name
    for ending in sorted(FORMATS, key=len, reverse=True):
        if name.lower().endswith(ending):
            return name[: -len(ending)]
    return path.stem


def write_table(path: Path, columns: Mapping[str, Column]) -> None:
    """Write columns of equal length to a CSV, Parquet or NDJSON file.

    Args:
        path: its ending says the format.
        columns: by name. int64 columns named ``timestamp`` are microseconds since the epoch and
            become ISO 8601 text (timestamps in Parquet); NaN becomes an empty cell, in NDJSON null.

    Raises:
        FileFormatError: the ending is not one of the three.
    """
    name = path.name.lower()
    if name.endswith(".parquet"):
        arrays = {key: _arrow(key, column) for key, column in columns.items()}
        write_parquet(Table.from_pydict(arrays), path, compression="zstd(9)")
    elif name.endswith((".csv", ".csv.gz")):
        with _open_text(path, "wt") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(columns)
            writer.writerows(_plain_rows(columns))
    elif name.endswith((".ndjson", ".jsonl", ".ndjson.gz", ".jsonl.gz")):
        with _open_binary(path, "wb") as file:
            for row in _plain_rows(columns):
                file.write(orjson.dumps(dict(zip(columns, row, strict=True))) + b"\n")
    else:
        raise FileFormatError(f"{path} cannot be written: use .csv, .parquet or .ndjson")


# --- reading -----------------------------------------------------------------------------------

_Pieces = Iterator[tuple[list[Any], float]]


def _reader(path: Path) -> Callable[[Path, int], _Pieces]:
    name = path.name.lower()
    if name.endswith(".parquet"):
        return _read_parquet
    if name.endswith((".csv", ".tsv", ".csv.gz")):
        return _read_csv
    if name.endswith((".ndjson", ".jsonl", ".ndjson.gz", ".jsonl.gz")):
        return _read_ndjson
    raise FileFormatError(f"{path} has no known ending: expected {', '.join(FORMATS)}")


def _read_parquet(path: Path, size: int) -> _Pieces:
    _check_parquet(path)
    total = sum(batch.num_rows for batch in _arrow_batches(path, 65_536))
    done = 0
    for batch in _arrow_batches(path, size):
        names = batch.schema.names
        columns = [_cells(batch.column(name)) for name in names]
        done += batch.num_rows
        rows = [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
        yield rows, done / total


def _check_parquet(path: Path) -> None:
    """Raise unless the file begins and ends as Parquet does: arro3 panics on others."""
    with path.open("rb") as file:
        start = file.read(4)
        file.seek(max(0, path.stat().st_size - 4))
        if start != b"PAR1" or file.read(4) != b"PAR1":
            raise FileFormatError(f"{path} is not a Parquet file, or only part of one")


def _arrow_batches(path: Path, size: int) -> Iterator[RecordBatch]:
    try:
        yield from read_parquet(path, batch_size=size)
    except (GeneratorExit, KeyboardInterrupt, SystemExit):
        raise
    # arro3 raises bare Exception for broken files, and panics are only BaseException.
    except BaseException as error:
        raise FileFormatError(f"{path} is not a readable Parquet file: {error}") from error


def _cells(column: Any) -> list[Any]:
    """Python values of an Arrow column; times as microseconds."""
    if DataType.is_timestamp(column.type) or DataType.is_date(column.type):
        column = column.cast(DataType.timestamp("us")).cast(DataType.int64())
    return cast(list[Any], column.to_pylist())


def _read_csv(path: Path, size: int) -> _Pieces:
    whole = path.stat().st_size
    with _open_binary(path, "rb") as binary:
        text = io.TextIOWrapper(binary, encoding="utf-8-sig", errors="surrogateescape", newline="")
        first = text.readline()
        delimiter = max(_DELIMITERS, key=first.count)
        header = _header(next(csv.reader([first], delimiter=delimiter), []), path)
        reader = csv.reader(text, delimiter=delimiter)
        while rows := [_named(header, row) for row in islice(reader, size) if row]:
            yield rows, min(1.0, _position(binary) / whole)


def _header(names: Sequence[str], path: Path) -> list[str]:
    if not any(name.strip() for name in names):
        raise FileFormatError(f"{path} has no header line with column names")
    header: list[str] = []
    for number, written in enumerate(names, start=1):
        name = written.strip() or f"column_{number}"
        header.append(name if name not in header else f"{name}_{number}")
    return header


def _named(header: Sequence[str], row: Sequence[str]) -> Any:
    """Cells by column name; a row with more cells than columns stays a list, which is no row."""
    if len(row) > len(header):
        return list(row)
    return {name: cell or None for name, cell in zip(header, row, strict=False)}


def _read_ndjson(path: Path, size: int) -> _Pieces:
    whole = path.stat().st_size
    with _open_binary(path, "rb") as file:
        while lines := list(islice(file, size)):
            rows = [_json_or_text(line) for line in lines if line.strip()]
            if rows:
                yield rows, min(1.0, _position(file) / whole)


def _json_or_text(line: bytes) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        pass
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return line.decode("utf-8", "replace")


def _position(file: BinaryIO) -> int:
    """How far the file on disk is read, also below a decompressor."""
    below = getattr(file, "fileobj", None)
    return int((below or file).tell())


def _open_binary(path: Path, mode: str) -> BinaryIO:
    if path.name.lower().endswith(".gz"):
        return cast(BinaryIO, gzip.open(path, mode))
    return cast(BinaryIO, path.open(mode))


def _open_text(path: Path, mode: str) -> TextIO:
    opener = gzip.open if path.name.lower().endswith(".gz") else open
    return cast(TextIO, opener(path, mode, encoding="utf-8", newline=""))


# --- writing -----------------------------------------------------------------------------------


def _arrow(name: str, column: Column) -> Any:
    if not isinstance(column, np.ndarray):
        return Array(list(column), DataType.string())
    if name == "timestamp" and column.dtype == np.int64:
        return Array.from_numpy(column).cast(DataType.timestamp("us", tz="UTC"))
    return Array.from_numpy(np.ascontiguousarray(column))


def _plain_rows(columns: Mapping[str, Column]) -> Iterator[tuple[Any, ...]]:
    return zip(*(_plain(name, column) for name, column in columns.items()), strict=True)


def _plain(name: str, column: Column) -> Sequence[Any]:
    if not isinstance(column, np.ndarray):
        return column
    if name == "timestamp" and column.dtype == np.int64:
        return [format_time(time) for time in column.tolist()]
    if column.dtype.kind == "f":
        return [None if value != value else value for value in column.tolist()]
    return cast(Sequence[Any], column.tolist())
