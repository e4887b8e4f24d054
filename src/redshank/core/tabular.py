"""CSV, Parquet and NDJSON files as rows of named cells.

Files are read in pieces, so that their size does not matter. A row is what a JSON object would be:
the same rules (:mod:`redshank.core.rows`) then decide what it means, whatever file it came from.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any, BinaryIO, cast

import orjson

from redshank.core.errors import FileFormatError
from redshank.core.files import (
    SAMPLE,
    Dialect,
    Form,
    find_tables,
    form,
    is_moment,
    micros,
    open_bytes,
    open_parquet,
    open_text,
    readable,
)

Cells = dict[str, Any]

_Pieces = Iterator[tuple[list[Any], float]]


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
        find_tables(self.path)
        read = _READERS[cast(Form, form(self.path))]
        with readable(self.path):
            for rows, progress in read(self.path, size):
                self.progress = progress
                if rows:
                    yield rows
        self.progress = 1.0


# --- Parquet -----------------------------------------------------------------------------------


def _read_parquet(path: Path, size: int) -> _Pieces:
    total = sum(batch.num_rows for batch in open_parquet(path, 65_536))
    done = 0
    for batch in open_parquet(path, size):
        names = batch.schema.names
        columns = [_cells(batch.column(name)) for name in names]
        done += batch.num_rows
        rows = [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
        yield rows, done / total


def _cells(column: Any) -> list[Any]:
    """Python values of an Arrow column; times as microseconds."""
    plain = micros(column) if is_moment(column.type) else column
    return cast(list[Any], plain.to_pylist())


# --- CSV ---------------------------------------------------------------------------------------


def _read_csv(path: Path, size: int) -> _Pieces:
    whole = path.stat().st_size
    with open_bytes(path) as file:
        sample = file.read(SAMPLE)
        file.seek(0)
        text = open_text(file, sample)
        first = next((line for line in text if line.strip()), "")
        below = list(islice(text, 200))
        dialect = Dialect.of(first, below)
        header = _header(dialect.cells(first), path)
        lines = chain(below, text)
        dotted = (line.replace(",", ".") for line in lines) if dialect.decimal_comma else lines
        reader = csv.reader(dotted, delimiter=dialect.delimiter)
        while cells := list(islice(reader, size)):
            yield [_named(header, row) for row in cells if row], _part(file, whole)


def _header(names: Sequence[str], path: Path) -> list[str]:
    if not any(names):
        raise FileFormatError(f"{path.name}: has no header line with column names")
    header: list[str] = []
    for number, written in enumerate(names, start=1):
        name = written or f"column_{number}"
        header.append(name if name not in header else f"{name}_{number}")
    return header


def _named(header: Sequence[str], row: Sequence[str]) -> Any:
    """Cells by column name; a row with more cells than columns stays a list, which is no row."""
    if len(row) > len(header):
        return list(row)
    return {name: cell or None for name, cell in zip(header, row, strict=False)}


# --- NDJSON ------------------------------------------------------------------------------------


def _read_ndjson(path: Path, size: int) -> _Pieces:
    whole = path.stat().st_size
    with open_bytes(path) as file:
        while lines := list(islice(file, size)):
            yield [_json_or_text(line) for line in lines if line.strip()], _part(file, whole)


def _json_or_text(line: bytes) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        pass
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return line.decode("utf-8", "replace")


def _part(file: BinaryIO, whole: int) -> float:
    """Part of the file on disk that is read, also below a decompressor."""
    below = getattr(file, "fileobj", None)
    return min(1.0, (below or file).tell() / whole)


_READERS: Mapping[Form, Callable[[Path, int], _Pieces]] = {
    "CSV": _read_csv,
    "Parquet": _read_parquet,
    "NDJSON": _read_ndjson,
}
