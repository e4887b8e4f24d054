"""JSON bodies into batches: good rows as columns, bad ones with field, value and reason.

Rows of one shape (the same keys in the same order, numbers where numbers belong) become columns
together; that is nearly all of real traffic. A row that does not fit goes through
:func:`redshank.core.rows.read_row`, which knows every rule. Both give the same result. Rows
without a time wait for one: see :meth:`redshank.core.decoded.Decoded.dated`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, partial
from typing import Any

import numpy as np
import orjson

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
from redshank.core.rows import RESERVED, VALUES, RowContext, read_columns, read_row, shown
from redshank.core.series import Naming, is_metric, read_metric

__all__ = ["Decoded", "RowError", "decode_json", "decode_ndjson", "decode_rows"]

_FEW = 8
"""Below this many rows, columns cost more than they save."""


def decode_json(
    body: bytes, *, arrival: int, sensor_id: str | None = None, naming: Naming | None = None
) -> Decoded:
    """Readings from a JSON object or an array of objects.

    With ``naming`` Telegraf's metrics are understood too, one or several of them as they are, or a
    list of them under ``metrics``.

    Args:
        body: UTF-8 JSON. The literals NaN and Infinity are understood.
        arrival: when it came, microseconds; no row can be from much later.
        sensor_id: the sensor of rows that name none; None if every row must.
        naming: how metrics become sensors and channels.

    Raises:
        FileFormatError: the body is not JSON, or neither an object nor an array.
    """
    parsed = _parse_body(body)
    if not isinstance(parsed, (dict, list)):
        raise FileFormatError("the body is neither a JSON object nor an array of objects")
    if naming and isinstance(parsed, dict) and isinstance(parsed.get("metrics"), list):
        parsed = parsed["metrics"]
    rows = parsed if isinstance(parsed, list) else [parsed]
    return decode_rows(rows, arrival=arrival, sensor_id=sensor_id, naming=naming)


def decode_ndjson(
    body: bytes,
    *,
    arrival: int,
    sensor_id: str | None = None,
    naming: Naming | None = None,
    longest: int = MAX_LINE,
    whole: bool = True,
) -> Decoded:
    """Readings from lines that hold one JSON object each; blank lines are skipped.

    Args:
        body: UTF-8 text.
        arrival: when it came, microseconds; no row can be from much later.
        sensor_id: the sensor of rows that name none; None if every row must.
        naming: how Telegraf's metrics become sensors and channels; None if they are not understood.
        longest: longest line, bytes; longer ones are refused, the others kept.
        whole: False if this is only a piece of the lines; it may be without any that is JSON.

    Raises:
        FileFormatError: there is no line, or not one line is JSON.
    """
    split = cache(lambda: body.split(b"\n"))
    decode = partial(
        decode_rows,
        arrival=arrival,
        sensor_id=sensor_id,
        naming=naming,
        raw=lambda i: split()[i],
    )
    together = _parse_lines_together(body, longest)
    if together is not None and not (naming and _holds_metrics(together)):
        return decode(together)
    numbers, rows, broken = _parse_lines(split(), longest)
    if whole and not rows:
        raise FileFormatError(_no_line(broken))
    if naming:
        numbers, rows = _metrics_apart(numbers, rows)
    decoded = decode(rows, numbers=numbers)
    errors = sorted([*broken, *decoded.errors], key=lambda error: error.index)
    return replace(decoded, errors=errors, count=decoded.count + len(broken))


def decode_rows(
    rows: Sequence[Any],
    *,
    arrival: int,
    sensor_id: str | None = None,
    naming: Naming | None = None,
    numbers: Sequence[int] | None = None,
    raw: Callable[[int], bytes] | None = None,
) -> Decoded:
    """Readings from decoded JSON values.

    Args:
        rows: one value per row; what is not an object is an error of its row.
        arrival: when they came, microseconds; none can be from much later.
        sensor_id: the sensor of rows that name none; None if every row must.
        naming: how Telegraf's metrics become sensors and channels; None if they are not understood.
        numbers: the rows' numbers for error messages, 0, 1, 2… if None.
        raw: the bytes of the row of a number; the row as JSON if None.
    """
    context = RowContext(arrival, sensor_id, UNDATED)
    parts: list[Part] = []
    careful: list[int] = []
    for keys, (index, same) in _by_shape(rows).items():
        place = np.array(index)
        columns = read_columns(keys, same, place, context) if len(same) >= _FEW else None
        if columns is None:
            careful.extend(index)
            continue
        batch, good = columns
        parts.append((batch, place) if good.all() else (batch.take(good), place[good]))
        careful.extend(place[~good].tolist())
    readings, errors = read_each(
        sorted(careful),
        lambda i: _read(rows[i], i, context, naming),
        lambda i, error: _row_error(rows, i, error, numbers, raw),
    )
    found, places = in_row_order([*parts, *readings])
    if numbers is not None:
        places = [np.asarray(numbers)[place] for place in places]
    return Decoded(found, errors, len(rows), places)


# --- bytes to rows -----------------------------------------------------------------------------


def _parse_body(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        if not body.strip():
            raise FileFormatError("the body is empty: expected JSON") from None
        place = f"{error.msg} at line {error.lineno} column {error.colno}"
    try:
        return _parse_tolerantly(body)
    except RecursionError:
        raise FileFormatError("the body is not usable JSON: it is nested too deeply") from None
    except ValueError:
        raise FileFormatError(f"the body is not JSON: {place}") from None


def _parse_tolerantly(body: bytes) -> Any:
    """JSON as Python writes it: with NaN, Infinity and a byte order mark."""
    return json.loads(body.decode("utf-8-sig"))


def _parse_lines_together(body: bytes, longest: int) -> list[Any] | None:
    """All lines with one call of the parser, None if any of them needs a closer look."""
    text = body.rstrip()
    if len(body) > longest and _longest_line(body) > longest:
        return None
    try:
        rows = orjson.loads(b"".join((b"[", text.replace(b"\n", b","), b"]")))
    except orjson.JSONDecodeError:
        return None
    return rows if text and len(rows) == text.count(b"\n") + 1 else None


def _holds_metrics(rows: Sequence[Any]) -> bool:
    return any(type(row) is dict and type(row.get("metrics")) is list for row in rows)


def _metrics_apart(numbers: Sequence[int], rows: Sequence[Any]) -> tuple[list[int], list[Any]]:
    """The same rows, with lists of metrics taken apart."""
    apart: list[tuple[int, Any]] = []
    for i, row in zip(numbers, rows, strict=True):
        inner = row["metrics"] if _holds_metrics([row]) else [row]
        apart.extend((i, each) for each in inner)
    return [i for i, _ in apart], [each for _, each in apart]


def _longest_line(body: bytes) -> int:
    ends = np.flatnonzero(np.frombuffer(body, np.uint8) == ord("\n"))
    return int(np.diff(ends, prepend=-1, append=len(body)).max()) - 1


def _parse_lines(
    lines: Sequence[bytes], longest: int
) -> tuple[list[int], list[Any], list[RowError]]:
    """Line numbers and values of the lines that are JSON, and errors for the others."""
    numbers, rows, errors = [], [], []
    for i, line in enumerate(lines):
        if not line.strip():
            continue
        try:
            rows.append(_parse_line(line, longest))
            numbers.append(i)
        except (ValueError, RecursionError) as error:
            shown_line = shown(line[:80].decode("utf-8", "replace"))
            errors.append(RowError(i, "row", shown_line, _why_broken(error), line[:MAX_RAW]))
    return numbers, rows, errors


def _parse_line(line: bytes, longest: int) -> Any:
    if len(line) > longest:
        raise ValueError(too_long(longest))
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        return _parse_tolerantly(line)


def _why_broken(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"is not JSON: {error.msg} at column {error.colno}"
    if isinstance(error, UnicodeDecodeError):
        return f"is not UTF-8 text: byte {error.start}"
    if isinstance(error, RecursionError):
        return "is nested too deeply"
    return str(error) if str(error).startswith("is ") else "is not JSON"


def _no_line(errors: Sequence[RowError]) -> str:
    if not errors:
        return "the body is empty: expected one JSON object per line"
    first = errors[0]
    return f"the body is not NDJSON: line {first.index + 1} {first.reason}"


# --- rows to batches ---------------------------------------------------------------------------


def _by_shape(rows: Sequence[Any]) -> dict[tuple[str, ...], tuple[list[int], list[Any]]]:
    """Row numbers and rows by their keys, ``values`` unfolded; odd rows under no keys at all."""
    shapes: dict[tuple[str, ...], tuple[list[int], list[Any]]] = {}
    for i, row in enumerate(rows):
        flat = row if type(row) is dict else {}
        if VALUES in flat:
            flat = _unfold(flat)
        index, same = shapes.setdefault(tuple(flat), ([], []))
        index.append(i)
        same.append(flat)
    return shapes


def _unfold(row: dict[str, Any]) -> dict[str, Any]:
    """The row with its ``values`` beside the other keys; empty if that needs a closer look."""
    inner = row[VALUES]
    if type(inner) is not dict:
        return {}
    flat = {key: value for key, value in row.items() if key != VALUES} | inner
    clash = len(flat) < len(row) - 1 + len(inner) or not RESERVED.isdisjoint(inner)
    return {} if clash else flat


def _read(row: Any, index: int, context: RowContext, naming: Naming | None) -> Reading:
    if naming is not None and is_metric(row):
        return read_metric(row, index, context, naming)
    return read_row(row, index, context)


def _row_error(
    rows: Sequence[Any],
    i: int,
    error: FieldError,
    numbers: Sequence[int] | None,
    raw: Callable[[int], bytes] | None,
) -> RowError:
    index = i if numbers is None else numbers[i]
    original = _as_json(rows[i]) if raw is None else raw(index)
    return RowError(index, error.field, error.value, error.reason, original[:MAX_RAW])


def _as_json(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        pass
    try:
        return json.dumps(value).encode()
    except RecursionError:
        return b""
