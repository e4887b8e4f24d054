"""The manifest of a folder of labelled series: what to read, what to learn from, what to score."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import orjson

from redshank.core.errors import FileFormatError, NotFoundError

T = TypeVar("T")

FILE_NAME = "manifest.json"
DEFAULT_WINDOW = 100
"""Buffer of VUS-PR where the manifest gives none; TSB-AD's default."""

_MISSING = object()
_KINDS = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    list: "a list",
}


@dataclass(frozen=True, slots=True)
class Series:
    """One labelled series.

    Attributes:
        name: unique in the folder.
        file: table with a label column.
        family: group over whose series figures are averaged first.
        train_rows: rows before this one may be learned from and are not compared with labels.
        channels: columns to score; empty for all columns of numbers.
        cadence_seconds: usual spacing of rows; None if the times mean nothing.
        vus_window: widest buffer of VUS-PR, in rows.
        core: whether the series counts in the figures of families and of the whole.
    """

    name: str
    file: Path
    family: str = "all"
    train_rows: int = 0
    channels: tuple[str, ...] = ()
    cadence_seconds: float | None = None
    vus_window: int = DEFAULT_WINDOW
    core: bool = True


def read_manifest(folder: Path | str) -> list[Series]:
    """The series of a folder, as its ``manifest.json`` lists them.

    The file holds ``{"series": [...]}`` or the list alone. Only ``file`` is needed in an entry;
    the rest defaults as in `Series` (``name`` to the file's stem). Unknown fields are left alone.

    Raises:
        NotFoundError: there is no manifest.
        FileFormatError: it is not JSON, or a field has the wrong type; names series and field.
    """
    path = Path(folder) / FILE_NAME
    if not path.is_file():
        raise NotFoundError(f"{path}: there is no such file; evaluation needs a manifest")
    try:
        content = orjson.loads(path.read_bytes())
    except orjson.JSONDecodeError as error:
        raise FileFormatError(f"{path}: is not JSON ({error})") from None
    entries = content.get("series") if isinstance(content, dict) else content
    if not isinstance(entries, list) or not entries:
        raise FileFormatError(f'{path}: lists no series; it must hold {{"series": [...]}}')
    found = [_series(path, number, entry) for number, entry in enumerate(entries)]
    names = [series.name for series in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise FileFormatError(f"{path}: series {twice!r} is there twice")
    return found


def _series(path: Path, number: int, entry: object) -> Series:
    if not isinstance(entry, dict):
        raise FileFormatError(f"{path}: series {number + 1} is {entry!r}, not an object")
    fields = _Fields(path, number, entry)
    file = fields.get("file", str)
    cadence = fields.get("cadence_seconds", float, None)
    return Series(
        name=fields.get("name", str, Path(file).stem),
        file=path.parent / file,
        family=fields.get("family", str, "all"),
        train_rows=fields.count("train_rows", 0),
        channels=tuple(fields.get("channels", list, [])),
        cadence_seconds=cadence,
        vus_window=fields.count("vus_window", DEFAULT_WINDOW),
        core=fields.get("core", bool, True),
    )


class _Fields:
    """Typed access to one entry, with errors that say whose field it is."""

    def __init__(self, path: Path, number: int, entry: Mapping[str, Any]) -> None:
        self._path = path
        self._entry = entry
        self._label = entry.get("name") or entry.get("file") or f"number {number + 1}"

    def get(self, field: str, kind: type[T], default: Any = _MISSING) -> T | Any:
        """The field; null counts as not given."""
        value = self._entry.get(field)
        if value is None:
            if default is _MISSING:
                raise self._error(field, "is missing")
            return default
        if kind is float and type(value) is int:
            return float(value)
        if type(value) is not kind:
            raise self._error(field, f"is {value!r}, not {_KINDS[kind]}")
        return value

    def count(self, field: str, default: int) -> int:
        """A whole number that is not negative."""
        value = self.get(field, int, default)
        if value < 0:
            raise self._error(field, f"is {value}, which is negative")
        return int(value)

    def _error(self, field: str, reason: str) -> FileFormatError:
        return FileFormatError(f"{self._path}: series {self._label!r}, field {field!r}: {reason}")
