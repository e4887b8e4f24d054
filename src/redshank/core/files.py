"""Table files as bytes: their formats, compression, encodings and dialects, and what breaks them.

The readers of whole columns (:mod:`redshank.core.columns`) and of rows in pieces
(:mod:`redshank.core.tabular`) both stand on this, so that a file means the same to both.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, TypeAlias, cast

from arro3.core import ChunkedArray, DataType, RecordBatchReader
from arro3.io import read_parquet

from redshank.core.errors import FileFormatError

Form: TypeAlias = Literal["CSV", "Parquet", "NDJSON"]

_ENDINGS: Mapping[str, Form] = {
    ".csv": "CSV",
    ".tsv": "CSV",
    ".csv.gz": "CSV",
    ".parquet": "Parquet",
    ".pq": "Parquet",
    ".ndjson": "NDJSON",
    ".jsonl": "NDJSON",
    ".ndjson.gz": "NDJSON",
    ".jsonl.gz": "NDJSON",
}
FORMATS = tuple(_ENDINGS)
"""File name endings that can be read and written."""

SAMPLE = 1 << 16
"""So many bytes, at most, tell what a text is."""

_DELIMITERS = ",;\t|"
_PARQUET_MAGIC = b"PAR1"
_GZIP_MAGIC = b"\x1f\x8b"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+([eE][+-]?\d+)?")
_RAGGED = re.compile(r"for line (\d+), expected (\d+) got (\d+)")


def form(path: Path) -> Form | None:
    """The format that the file's ending promises; None if it is an unknown one."""
    return _ENDINGS.get(_ending(path))


def stem(path: Path) -> str:
    """The file's name without any of its endings."""
    ending = _ending(path)
    return path.name[: -len(ending)] if ending else path.stem


def _ending(path: Path) -> str:
    fitting = (ending for ending in FORMATS if path.name.lower().endswith(ending))
    return max(fitting, key=len, default="")


def find_tables(path: Path) -> list[Path]:
    """The readable files at a path, which may be a folder; sorted by name.

    In a folder, ``*.labels.csv`` are left out: they hold the labels of a simulation, no readings.

    Raises:
        FileFormatError: there is none.
    """
    if path.is_dir():
        found = [file for file in sorted(path.iterdir()) if form(file)]
        found = [file for file in found if not file.name.lower().endswith(".labels.csv")]
        if not found:
            raise FileFormatError(f"{path} holds no readable file: expected {', '.join(FORMATS)}")
        return found
    if form(path) is None:
        raise FileFormatError(f"{path} has no known ending: expected {', '.join(FORMATS)}")
    if not path.is_file():
        raise FileFormatError(f"{path} does not exist")
    return [path]


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn whatever readers raise into one error that names the file.

    Raises:
        FileFormatError: the file cannot be opened, is damaged, or is of another format.
    """
    try:
        yield
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise FileFormatError(f"{path.name}: the gzip stream is damaged ({error})") from None
    except (OSError, UnicodeError, csv.Error) as error:
        raise FileFormatError(f"{path.name}: cannot be read ({error})") from None
    except BaseException as error:
        # Arrow's readers raise bare Exceptions, and Rust panics, which are not even that.
        if type(error) is not Exception and type(error).__name__ != "PanicException":
            raise
        raise FileFormatError(f"{path.name}: {_reason(str(error))}") from None


def _reason(message: str) -> str:
    ragged = _RAGGED.search(message)
    if ragged:
        line, expected, got = ragged.groups()
        return f"line {line} has {got} fields, but the header has {expected}"
    return f"cannot be read ({message})"


def open_bytes(path: Path) -> BinaryIO:
    """The file's bytes, unzipped if they are zipped, whatever the file is called."""
    with path.open("rb") as file:
        zipped = file.read(2) == _GZIP_MAGIC
    return cast(BinaryIO, gzip.open(path, "rb")) if zipped else path.open("rb")


# --- Parquet -----------------------------------------------------------------------------------


def is_parquet(path: Path) -> bool:
    """Whether the file begins as Parquet does."""
    with path.open("rb") as file:
        return file.read(4) == _PARQUET_MAGIC


def open_parquet(path: Path, batch_size: int | None = None) -> RecordBatchReader:
    """Record batches of a Parquet file.

    Raises:
        FileFormatError: the file does not begin and end as Parquet does.
    """
    # The reader aborts with a Rust panic on a file cut short, so the frame is checked first.
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(4)
        file.seek(max(0, size - 4))
        if size < 12 or start != _PARQUET_MAGIC or file.read(4) != _PARQUET_MAGIC:
            raise FileFormatError(f"{path.name}: is not a complete Parquet file")
    return read_parquet(path) if batch_size is None else read_parquet(path, batch_size=batch_size)


def is_moment(kind: DataType) -> bool:
    """Whether an Arrow type is a point in time."""
    return bool(DataType.is_timestamp(kind) or DataType.is_date(kind))


def micros(column: ChunkedArray) -> ChunkedArray:
    """Integers of microseconds since the epoch from Arrow timestamps or dates of any unit."""
    return column.cast(DataType.timestamp("us", tz=column.type.tz)).cast(DataType.int64())


# --- CSV ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a CSV file writes its cells.

    Attributes:
        delimiter: what parts them.
        decimal_comma: whether numbers are written like 1,5.
    """

    delimiter: str
    decimal_comma: bool

    @classmethod
    def of(cls, header: str, lines: Iterable[str]) -> Dialect:
        """The dialect of a header line and the first lines below it."""
        unquoted = re.sub(r'"[^"]*"', "", header)
        delimiter = max(_DELIMITERS, key=unquoted.count)
        cells = (cell.strip(' "\r\n') for line in lines for cell in line.split(delimiter))
        return cls(delimiter, delimiter != "," and any(map(_DECIMAL_COMMA.fullmatch, cells)))

    def cells(self, line: str) -> list[str]:
        """The cells of a header line, without the blanks around them."""
        return [cell.strip() for cell in next(csv.reader([line], delimiter=self.delimiter), [])]


def encoding(text: bytes) -> str:
    """UTF-16 by its mark, else UTF-8, else the Windows code page of Western Europe."""
    if text[:2] in _UTF16_MARKS:
        return "utf-16"
    try:
        codecs.getincrementaldecoder("utf-8")().decode(text)
    except UnicodeDecodeError:
        # Spreadsheets write "°C" in one byte; a stray byte among good UTF-8 is damage.
        lenient = text.decode(errors="replace")
        foreign = len(lenient) - len(lenient.encode("ascii", "ignore"))
        return "cp1252" if lenient.count("\ufffd") * 2 >= foreign else "utf-8-sig"
    return "utf-8-sig"


def open_text(file: BinaryIO, sample: bytes) -> io.TextIOWrapper:
    """The text of an open file, of which ``sample`` is the beginning."""
    code = encoding(sample)
    errors = "surrogateescape" if code == "utf-8-sig" else "replace"
    return io.TextIOWrapper(file, encoding=code, errors=errors, newline="")
