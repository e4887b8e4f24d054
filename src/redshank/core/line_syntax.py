"""One line of InfluxDB's line protocol, by the whole syntax.

Syntax: https://docs.influxdata.com/influxdb/v2/reference/syntax/line-protocol/. A line break always
ends a line, also inside a quoted text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

from redshank.core.batch import Reading
from redshank.core.decoded import too_long
from redshank.core.errors import FieldError
from redshank.core.rows import TIME, RowContext, identifier, number, shown
from redshank.core.series import Naming, Series, read_fields

MAX_HEAD = 16_384
"""Longest measurement with its tags, characters."""

_SEPARATOR = re.compile(r"(?<!\\) +")
_MEASUREMENT = re.compile(r"[^,]+(?:(?<=\\),[^,]*)*")
_NAME = r"[^,=]+(?:(?<=\\)[,=][^,=]*)*"
_TAG = re.compile(f",({_NAME})=({_NAME})")
_FIELD = re.compile(
    r"([^,= ]+(?:(?<=\\)[,= ][^,= ]*)*)="
    r'(?:"([^"\\]*(?:\\.[^"\\]*)*)"|([^," ]+))(?=[, ]|$)',
    re.DOTALL,
)
_ESCAPED = re.compile(r"\\([,= ])")
_ESCAPED_TEXT = re.compile(r"\\([\"\\])")
_TIME = re.compile(r"[+-]?[0-9]{1,20}")
_WHOLE = re.compile(r"[+-]?[0-9]+[iu]")
_TRUTHS = {
    **dict.fromkeys(("t", "T", "true", "True", "TRUE"), True),
    **dict.fromkeys(("f", "F", "false", "False", "FALSE"), False),
}


@dataclass(frozen=True, slots=True)
class LineReader:
    """What is the same for all lines of a body.

    Attributes:
        context: what a line may leave open.
        naming: how series become sensors and channels.
        unit: nanoseconds of one unit of the lines' times.
        longest: longest line, bytes.
    """

    context: RowContext
    naming: Naming
    unit: int
    longest: int


def read_line(line: str | bytes, index: int, reader: LineReader) -> Reading:
    """One line as a reading.

    Raises:
        FieldError: it cannot be used.
    """
    if len(line) > reader.longest or _bytes(line) > reader.longest:
        raise FieldError("line", _beginning(line), too_long(reader.longest))
    if isinstance(line, bytes):
        raise FieldError("line", _beginning(line), "is not UTF-8 text")
    text = line.strip(" \r\t")
    head, *rest = _SEPARATOR.split(text, 1)
    if not rest:
        raise FieldError(
            "line", shown(text), "has no fields: expected measurement,tags fields time"
        )
    series = read_series(head, reader.naming)
    fields, end = _fields(rest[0])
    time = _time(rest[0][end:].strip(" "), reader.unit)
    return read_fields(series, fields, time, index, reader.context)


def _bytes(line: str | bytes) -> int:
    return len(line) if isinstance(line, bytes) or line.isascii() else len(line.encode())


def _beginning(line: str | bytes) -> object:
    return shown(line[:80] if isinstance(line, str) else line[:80].decode("utf-8", "replace"))


def read_series(head: str, naming: Naming) -> Series:
    """The series of a line's first part.

    Raises:
        FieldError: it is not a measurement with tags, or cannot be a sensor's id.
    """
    if len(head) > MAX_HEAD:
        raise FieldError("measurement", shown(head), f"and tags are longer than {MAX_HEAD:,}")
    found = _MEASUREMENT.match(head)
    if found is None:
        raise FieldError("measurement", shown(head), "is missing")
    tags: dict[str, str] = {}
    end = found.end()
    while end < len(head):
        tag = _TAG.match(head, end)
        if tag is None:
            raise FieldError("tags", shown(head[end:]), "are not written as ,name=text")
        tags[_unescaped(tag[1])] = _unescaped(tag[2])
        end = tag.end()
    series = naming.series(_unescaped(found[0]), tags)
    return replace(series, sensor_id=identifier("sensor_id", series.sensor_id))


def _fields(text: str) -> tuple[dict[str, Any], int]:
    """Values by field name, and where the fields end."""
    fields: dict[str, Any] = {}
    end = 0
    while True:
        found = _FIELD.match(text, end)
        if found is None:
            raise FieldError("fields", shown(text[end:]), "are not written as name=value")
        fields[_unescaped(found[1])] = _value(found)
        end = found.end()
        if text[end : end + 1] != ",":
            return fields, end
        end += 1


def _value(found: re.Match[str]) -> bool | float | int | str:
    if found[3] is None:
        return _ESCAPED_TEXT.sub(r"\1", found[2])
    text = found[3]
    if text in _TRUTHS:
        return _TRUTHS[text]
    spelt = number(text[:-1] if _WHOLE.fullmatch(text) else text)
    if spelt is None:
        reason = "is no number, no boolean and no text in quotes"
        raise FieldError(_unescaped(found[1]), shown(text), reason)
    return spelt


def _time(text: str, unit: int) -> int | None:
    if not text:
        return None
    if not _TIME.fullmatch(text):
        raise FieldError(TIME, shown(text), "is not a whole number of Unix time")
    return int(text) * unit // 1000


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(r"\1", text) if "\\" in text else text
