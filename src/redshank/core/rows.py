"""The rules by which one decoded row becomes a reading, and the same rules for whole columns.

Validation flags, it does not refuse: any number is taken, infinite ones too. Only what cannot be
understood is an error, and it names field and value.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, nan
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from redshank.core.batch import Batch, Floats, Reading, Times
from redshank.core.channels import channel_name, quantity
from redshank.core.clock import DAY, SECOND, parse_time
from redshank.core.errors import FieldError
from redshank.core.times import parse_times

SENSOR, TIME, EVENT, VALUES = "sensor_id", "timestamp", "event_id", "values"
RESERVED = frozenset((SENSOR, TIME, EVENT, VALUES))
MAX_CHANNELS = 256
MAX_ID = 256
MAX_TAG = 4096
EARLIEST = 631_152_000 * SECOND
"""1990-01-01: no sensor of today measured before; such a clock was never set."""
LATEST_AHEAD = 365 * DAY
"""How far a sender's clock may run ahead before its time is meaningless."""

Row = Mapping[str, Any]
Marks = NDArray[np.bool_]

_NUMBER = re.compile(
    r"\s*[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|inf(?:inity)?|nan)\s*",
    re.IGNORECASE,
)
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_NUMBERS = frozenset((float, int, type(None)))
_TEXTS = frozenset((str, type(None)))
_DECIMAL = frozenset("0123456789.+-eE ")


@dataclass(frozen=True, slots=True)
class RowContext:
    """What a row may leave open.

    Attributes:
        arrival: when the rows came, microseconds.
        sensor_id: the sensor of rows that name none; None if every row must.
        undated: the time of the first row if it has none; None if that of arrival.
    """

    arrival: int
    sensor_id: str | None = None
    undated: int | None = None

    @property
    def first(self) -> int:
        """The time of the first row if it has none; later ones add their numbers."""
        return self.arrival if self.undated is None else self.undated


def read_row(row: object, index: int, context: RowContext) -> Reading:
    """One row as a reading.

    Args:
        row: a decoded JSON object.
        index: its place among its companions; rows without time arrive that many microseconds
            after the first, so that two of one sensor stay two.
        context: what the row may leave open.

    Raises:
        FieldError: the row cannot be used; names the field and its value.
    """
    if not isinstance(row, dict):
        raise FieldError("row", shown(row), "is not an object with named fields")
    sensor_id = _sensor_id(row.get(SENSOR), context)
    time = _time(row.get(TIME), index, context)
    values, tags = _channels_and_tags(row)
    return Reading(sensor_id, time, values, _event_id(row.get(EVENT)), tags)


def number(text: str) -> float | None:
    """The number that a text spells, None if it spells none (``0x15`` and ``1_000`` do not)."""
    return float(text.strip()) if _NUMBER.fullmatch(text) else None


def shown(value: object) -> object:
    """A value that is safe to show and to send on as JSON: short, no nesting, valid Unicode."""
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value[:200])
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, (int, float)):
        return value if abs(value) < 2**53 else str(value)[:40]
    try:
        return orjson.dumps(value)[:200].decode("utf-8", "replace")
    except orjson.JSONEncodeError:
        return "[…]" if isinstance(value, list) else "{…}"


# --- one row -----------------------------------------------------------------------------------


def _sensor_id(value: object, context: RowContext) -> str:
    if value is None and context.sensor_id is not None:
        return context.sensor_id
    if value is None:
        raise FieldError(SENSOR, None, "is missing: say which sensor the reading is from")
    return identifier(SENSOR, value)


def _event_id(value: object) -> str | None:
    return None if value is None or value == "" else identifier(EVENT, value)


def identifier(name: str, value: object) -> str:
    """A sensor's or event's id as it is kept.

    Raises:
        FieldError: it is no text, empty, too long or holds control characters.
    """
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise FieldError(name, shown(value), "is not text")
    text = value.strip() if isinstance(value, str) else str(shown(value))
    if not text:
        raise FieldError(name, shown(value), "is empty")
    if len(text) > MAX_ID:
        raise FieldError(name, shown(value), f"is longer than {MAX_ID} characters")
    if _UNPRINTABLE.search(text):
        raise FieldError(name, shown(value), "contains control characters")
    return text


def _time(value: object, index: int, context: RowContext) -> int:
    if value is None:
        return context.first + index
    if isinstance(value, (dict, list)):
        raise FieldError(TIME, shown(value), "is not a time: use ISO 8601 text or Unix time")
    if isinstance(value, float) and value != value:
        raise FieldError(TIME, "NaN", "is not a time: use ISO 8601, e.g. 2026-01-31T12:00:00Z")
    try:
        time = parse_time(value, TIME)
    except (FieldError, OverflowError) as error:
        reason = getattr(error, "reason", "is not a time: it is not a finite Unix time")
        raise FieldError(TIME, shown(value), reason) from None
    if time < EARLIEST:
        raise FieldError(TIME, shown(value), "lies before 1990: is the sender's clock set?")
    if time > context.arrival + LATEST_AHEAD:
        raise FieldError(TIME, shown(value), "lies more than a year ahead of now")
    return time


def _channels_and_tags(row: Row) -> tuple[dict[str, float], dict[str, str]]:
    found = _Fields()
    for name, value in row.items():
        if name == VALUES and isinstance(value, dict):
            for inner, inner_value in value.items():
                found.add(inner, inner_value, f"{VALUES}.{inner}")
        elif name not in (SENSOR, TIME, EVENT) and not (name == VALUES and value is None):
            found.add(name, value, name)
    return found.channels(), found.tags


class _Fields:
    """Sorts a row's fields into channels, tags and missing values."""

    def __init__(self) -> None:
        self.tags: dict[str, str] = {}
        self._values: dict[str, float] = {}
        self._missing: set[str] = set()
        self._spelt: dict[str, str] = {}

    def add(self, name: str, value: object, path: str) -> None:
        known = isinstance(value, (bool, str)) and quantity(channel_name(name)) is not None
        if value is None or (known and value == ""):
            self._missing.add(self._channel(name, value, path))
        elif known and not (isinstance(value, str) and _NUMBER.fullmatch(value)):
            raise FieldError(_safe(path), shown(value), "is not a number")
        elif isinstance(value, bool):
            self._tag(name, "true" if value else "false", path)
        elif isinstance(value, (int, float)):
            self._values[self._channel(name, value, path)] = _float(value)
        elif not isinstance(value, str):
            raise FieldError(_safe(path), shown(value), "is nested: a channel takes one number")
        elif (spelt := number(value)) is not None:
            self._values[self._channel(name, value, path)] = spelt
        else:
            self._tag(name, value, path)

    def channels(self) -> dict[str, float]:
        """Channel values; missing ones count only where the row has nothing else to say."""
        values = self._values or dict.fromkeys(self._missing, nan)
        if not values:
            raise FieldError(VALUES, None, "holds no channel: at least one number is needed")
        if len(values) > MAX_CHANNELS:
            raise FieldError(VALUES, len(values), f"are more than {MAX_CHANNELS} channels")
        return values

    def _channel(self, name: str, value: object, path: str) -> str:
        channel = channel_name(name)
        other = self._spelt.setdefault(channel, path)
        if other != path:
            reason = f"names the same channel as {_safe(other)!r} ({channel})"
            raise FieldError(_safe(path), shown(value), reason)
        return channel

    def _tag(self, name: str, text: str, path: str) -> None:
        if len(text) > MAX_TAG or len(name) > MAX_TAG:
            raise FieldError(_safe(path), shown(text), f"is longer than {MAX_TAG} characters")
        if _SURROGATE.search(text) or _SURROGATE.search(name):
            raise FieldError(_safe(path), shown(text), "is not valid Unicode text")
        self.tags[name] = text


def _float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return inf if value > 0 else -inf


def _safe(name: str) -> str:
    return str(shown(name))


# --- many rows of one shape --------------------------------------------------------------------


def read_columns(
    keys: tuple[str, ...], rows: Sequence[Row], index: NDArray[np.intp], context: RowContext
) -> tuple[Batch, Marks] | None:
    """Rows that all have these keys in this order, as columns; None if they need a closer look.

    Args:
        keys: the keys of every row; ``values`` is already unfolded.
        rows: n rows.
        index: (n,) place of each row among all.
        context: what the rows may leave open.

    Returns:
        The batch and (n,) marks of its rows that are good; the others need a closer look.
    """
    columns = zip(*(row.values() for row in rows), strict=True)
    return read_table(dict(zip(keys, columns, strict=True)), index, context)


def read_table(
    table: dict[str, Sequence[Any]], index: NDArray[np.intp], context: RowContext
) -> tuple[Batch, Marks] | None:
    """As :func:`read_columns`, from columns of n values each by their keys; takes them out."""
    rows = len(index)
    sensors = _sensor_column(table.pop(SENSOR, None), rows, context)
    times = _time_column(table.pop(TIME, None), index, context)
    given = table.pop(EVENT, None)
    events = None if given is None else tuple(given)
    sorted_out = value_columns(table)
    if sensors is None or times is None or sorted_out is None or _odd_events(events):
        return None
    channels, values, tags = sorted_out
    sensor_ids, sensor = sensors
    return (
        Batch(sensor_ids, sensor, times[0], channels, values, events, _tag_rows(tags, rows)),
        times[1] & ~np.isnan(values).all(axis=1),
    )


def _sensor_column(
    column: Sequence[Any] | None, n: int, context: RowContext
) -> tuple[tuple[str, ...], NDArray[np.int32]] | None:
    if column is None:
        known = context.sensor_id
        return None if known is None else ((known,), np.zeros(n, np.int32))
    if set(map(type, column)) != {str}:
        return None
    index = {sensor_id: i for i, sensor_id in enumerate(dict.fromkeys(column))}
    for sensor_id in index:
        if sensor_id.strip() != sensor_id or not 0 < len(sensor_id) <= MAX_ID:
            return None
        if _UNPRINTABLE.search(sensor_id):
            return None
    return tuple(index), np.fromiter(map(index.__getitem__, column), np.int32, n)


def _time_column(
    column: Sequence[Any] | None, index: NDArray[np.intp], context: RowContext
) -> tuple[Times, Marks] | None:
    if column is None:
        return context.first + index.astype(np.int64), np.ones(len(index), np.bool_)
    kinds = set(map(type, column))
    if kinds == {str}:
        times, good = parse_times(column)
    elif kinds == {int}:
        try:
            times, good = _unix_times(np.array(column, np.int64))
        except OverflowError:
            return None
    else:
        return None
    return times, good & (times >= EARLIEST) & (times <= context.arrival + LATEST_AHEAD)


def _unix_times(numbers: Times) -> tuple[Times, Marks]:
    """Microseconds of whole Unix times in seconds, milliseconds or microseconds."""
    size = np.abs(numbers)
    factor = np.select([size < 10**11, size < 10**14], [10**6, 10**3], 1)
    return numbers * factor, size < 10**17


def _odd_events(column: Sequence[Any] | None) -> bool:
    if column is None:
        return False
    if set(map(type, column)) != {str}:
        return True
    return not all(0 < len(t) <= MAX_ID and t.isprintable() and t == t.strip() for t in column)


def value_columns(
    table: Mapping[str, Sequence[Any]],
) -> tuple[tuple[str, ...], Floats, dict[str, Sequence[Any]]] | None:
    """Columns of one name each, sorted out; None if they need a closer look.

    Returns:
        Sorted channel names, their (n, C) values, and the tag columns.
    """
    columns: dict[str, Floats] = {}
    tags = {}
    for key, column in table.items():
        kinds = set(map(type, column))
        if kinds == {str} and _all_tags(key, column):
            tags[key] = column
            continue
        name = channel_name(key)
        values = _float_column(column, kinds)
        if values is None or name in columns:
            return None
        columns[name] = values
    if not 0 < len(columns) <= MAX_CHANNELS:
        return None
    heard = {name: column for name, column in columns.items() if not np.isnan(column).all()}
    names = tuple(sorted(heard or columns))
    return names, np.column_stack([columns[name] for name in names]), tags


def _float_column(column: Sequence[Any], kinds: set[type]) -> Floats | None:
    """Numbers, plain decimal texts and None as floats; None if there is anything else."""
    try:
        if kinds <= _NUMBERS:
            return np.array(column, np.float64)
        if kinds <= _TEXTS and _DECIMAL.issuperset("".join(filter(None, column))):
            return np.array([nan if text is None else float(text) for text in column])
    except (OverflowError, ValueError):
        pass
    return None


def _all_tags(key: str, column: Sequence[str]) -> bool:
    """Whether the field is a tag in every row: text that is fit to keep and no number."""
    return (
        is_tag_text(key)
        and quantity(channel_name(key)) is None
        and all(is_tag_text(text) and number(text) is None for text in set(column))
    )


def is_tag_text(text: str) -> bool:
    """Whether a text can be kept as a tag's name or value."""
    return len(text) <= MAX_TAG and not _SURROGATE.search(text)


def _tag_rows(
    tags: Mapping[str, Sequence[str]], n: int
) -> tuple[Mapping[str, str] | None, ...] | None:
    if not tags:
        return None
    return tuple(dict(zip(tags, row, strict=True)) for row in zip(*tags.values(), strict=True))
