"""The registry of sensors as people edit it: what may be set, and tables in and out.

A table has a line a sensor: ``sensor_id``, the plain fields, ``tag.NAME`` for tags and
``channel.NAME.unit|title|minimum|maximum`` for channels. Empty cells change nothing.
"""

from __future__ import annotations

import csv
import difflib
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from redshank.core.channels import quantity
from redshank.core.clock import known_time_zone
from redshank.core.errors import FieldError, FileFormatError
from redshank.core.ports import Store
from redshank.core.queries import Sensors
from redshank.core.records import SensorInfo
from redshank.core.registry import CHANNELS, OF_CHANNELS, patched
from redshank.core.rows import SENSOR, identifier, number, shown
from redshank.pipeline.runner import Runner

Text = Annotated[str, Field(max_length=256)]
Bound = Annotated[float, Field(allow_inf_nan=False)]
TimeZone = Annotated[str, AfterValidator(known_time_zone)]
Result = Literal["created", "updated", "unchanged", "rejected"]

RESULTS: tuple[Result, ...] = ("created", "updated", "unchanged", "rejected")
PLAIN = ("name", "site", "latitude", "longitude", "exposure", "timezone", "owner", "budget")
NUMBERS = frozenset(("latitude", "longitude", "budget", "minimum", "maximum"))
TAG, CHANNEL = "tag.", "channel."
WAIT_SECONDS = 60.0
_PAGE = 1000
_AT_ONCE = 1000
_DELIMITERS = ",;\t"
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class ChannelChanges(BaseModel):
    """What an owner may change of a channel; `null` for a bound takes that of its quantity."""

    model_config = ConfigDict(extra="forbid")
    unit: Text = ""
    title: Text = ""
    minimum: Bound | None = None
    maximum: Bound | None = None


class SensorChanges(BaseModel):
    """What an owner may change of a sensor."""

    model_config = ConfigDict(extra="forbid")
    name: Text = ""
    site: Text = ""
    latitude: float | None = Field(None, ge=-90, le=90, allow_inf_nan=False)
    longitude: float | None = Field(None, ge=-180, le=180, allow_inf_nan=False)
    exposure: Literal["", "indoor", "outdoor", "mobile"] = ""
    timezone: TimeZone = Field(
        "", description="IANA name such as `Europe/Berlin`; empty for that of the site"
    )
    owner: Text = ""
    tags: dict[Text, Annotated[str, Field(max_length=4096)]] = Field({}, max_length=256)
    budget: float | None = Field(None, gt=0, lt=100_000, allow_inf_nan=False)
    channels: dict[Text, ChannelChanges] = Field(
        {}, max_length=256, description="those that are named change, the others stay"
    )


@dataclass
class Line:
    """One line of a table.

    Attributes:
        line: its number, from 1; the header is one, too.
        sensor_id: whose; "" if it cannot be used.
        changes: fields to values.
        errors: what cannot be used, each with ``field``, ``value`` and ``reason``.
        result: what became of it.
    """

    line: int
    sensor_id: str
    changes: dict[str, Any] = field(default_factory=dict)
    errors: list[dict[str, Any]] = field(default_factory=list)
    result: Result = "rejected"

    def refuse(self, error: FieldError) -> None:
        """Note what cannot be used."""
        value = shown(error.value)
        self.errors.append({"field": error.field, "value": value, "reason": error.reason})

    def edit(self, info: SensorInfo | None) -> SensorInfo | None:
        """The sensor's record after this line, None to leave it; for the writer's thread."""
        before = info or SensorInfo(self.sensor_id)
        tags = {**before.tags, **self.changes.get("tags", {})}
        try:
            after = patched(before, {**self.changes, "tags": tags})
        except FieldError as error:
            self.refuse(error)
            return None
        self.result = "updated" if info else "created"
        if after == info:
            self.result = "unchanged"
            return None
        return after


def import_table(runner: Runner, body: bytes) -> list[Line]:
    """Take a table of sensors; good lines are kept beside bad ones.

    Raises:
        FileFormatError: it is no table, or a column is unknown.
        StoreError: it could not be written; lines before may be.
    """
    lines = read_table(body)
    good = [line for line in lines if not line.errors]
    for start in range(0, len(good), _AT_ONCE):
        some = good[start : start + _AT_ONCE]
        runner.edit_sensors({line.sensor_id: line.edit for line in some}).result(WAIT_SECONDS)
    return lines


def read_table(body: bytes) -> list[Line]:
    """The lines of a table, each with what is wrong with it.

    Raises:
        FileFormatError: it is no table, or a column is unknown.
    """
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FileFormatError(f"the table is not UTF-8 text: byte {error.start}") from None
    head = text.lstrip().partition("\n")[0]
    rows = csv.reader(io.StringIO(text), delimiter=max(_DELIMITERS, key=head.count))
    try:
        header = next((row for row in rows if any(row)), [])
        columns = _columns([name.strip() for name in header])
        seen: dict[str, int] = {}
        lines = [
            _line(rows.line_num, row, columns, seen)
            for row in rows
            if any(cell.strip() for cell in row)
        ]
    except csv.Error as error:
        raise FileFormatError(f"line {rows.line_num} is not CSV: {error}") from None
    return lines


def write_table(store: Store, text: str = "", site: str | None = None) -> Iterator[str]:
    """Lines of the table of all sensors, or of those that fit; by id."""
    infos = sorted(_all(store, text, site), key=lambda info: info.sensor_id)
    tags = sorted({name for info in infos for name in info.tags})
    channels = sorted({name for info in infos for name in info.channels})
    columns = [SENSOR, *PLAIN, *(TAG + name for name in tags)]
    columns += [f"{CHANNEL}{name}.{part}" for name in channels for part in OF_CHANNELS]
    yield _csv(columns)
    for info in infos:
        yield _csv([_cell(value) for value in _values(info, tags, channels)])


# --- reading -----------------------------------------------------------------------------------


def _columns(header: Sequence[str]) -> list[tuple[str, ...]]:
    """Each column as a path, such as ``("site",)`` or ``("channels", "humidity", "maximum")``."""
    if SENSOR not in header:
        raise FileFormatError(
            f"the header {shown(','.join(header))!r} names no sensor_id: expected a line such as "
            "sensor_id,name,site,latitude,longitude"
        )
    twice = next((name for name in header if name and header.count(name) > 1), None)
    if twice is not None:
        raise FileFormatError(f"the header names {shown(twice)!r} twice")
    return [_path(name) for name in header]


def _path(name: str) -> tuple[str, ...]:
    if name in ("", SENSOR, *PLAIN):
        return (name,)
    if name.startswith(TAG) and len(name) > len(TAG):
        return ("tags", name[len(TAG) :])
    channel, _, part = name.removeprefix(CHANNEL).rpartition(".")
    if name.startswith(CHANNEL) and channel and part in OF_CHANNELS:
        return (CHANNELS, channel, part)
    known = (SENSOR, *PLAIN, "tag.NAME", *(f"channel.NAME.{each}" for each in OF_CHANNELS))
    near = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean {near[0]!r}?" if near else f"use {', '.join(known)}"
    raise FileFormatError(f"the column {shown(name)!r} is unknown: {hint}")


def _line(
    place: int, row: Sequence[str], columns: Sequence[tuple[str, ...]], seen: dict[str, int]
) -> Line:
    line = Line(place, "")
    cells = {path: cell.strip() for path, cell in zip(columns, row, strict=False) if cell.strip()}
    try:
        line.sensor_id = _sensor(place, cells.pop((SENSOR,), ""), seen)
        if any(cell.strip() for cell in row[len(columns) :]):
            reason = f"are more cells than the header's {len(columns)}"
            raise FieldError("row", len(row), reason)
    except FieldError as error:
        line.refuse(error)
    raw: dict[str, Any] = {}
    for path, cell in cells.items():
        try:
            _put(raw, path, cell)
        except FieldError as error:
            line.refuse(error)
    try:
        line.changes = SensorChanges.model_validate(raw).model_dump(exclude_unset=True)
    except ValidationError as error:
        line.errors += map(_fault, error.errors())
    return line


def _sensor(place: int, text: str, seen: dict[str, int]) -> str:
    sensor_id = identifier(SENSOR, _unquoted(text))
    if sensor_id in seen:
        raise FieldError(SENSOR, sensor_id, f"is in line {seen[sensor_id]} already")
    seen[sensor_id] = place
    return sensor_id


def _put(raw: dict[str, Any], path: tuple[str, ...], cell: str) -> None:
    *way, last = path
    if not last:
        raise FieldError("row", shown(cell), "stands in a column without a name")
    value: Any = _unquoted(cell)
    if last in NUMBERS and path[0] != "tags":
        value = number(cell)
        if value is None:
            raise FieldError(".".join(path), shown(cell), "is not a number")
    for name in way:
        raw = raw.setdefault(name, {})
    raw[last] = value


def _fault(fault: Mapping[str, Any]) -> dict[str, Any]:
    reason = str(fault["msg"]).removeprefix("Input ")
    name = ".".join(str(part) for part in fault["loc"])
    return {"field": name, "value": shown(fault["input"]), "reason": reason}


# --- writing -----------------------------------------------------------------------------------


def _all(store: Store, text: str, site: str | None) -> Iterator[SensorInfo]:
    ask = partial(Sensors, text=text, site=site, limit=_PAGE)
    offset = 0
    while page := store.read(ask(offset=offset)):
        yield from (status.info for status in page)
        offset += len(page)


def _values(info: SensorInfo, tags: Sequence[str], channels: Sequence[str]) -> Iterator[Any]:
    yield info.sensor_id
    yield from (getattr(info, name) for name in PLAIN)
    yield from (info.tags.get(name) for name in tags)
    for name in channels:
        known = info.channels.get(name)
        canonical = quantity(name)
        if known is not None and not known.unit and canonical is not None:
            yield canonical.unit
            yield from (getattr(known, part) for part in OF_CHANNELS[1:])
        else:
            yield from (getattr(known, part, None) for part in OF_CHANNELS)


def _csv(cells: Sequence[Any]) -> str:
    out = io.StringIO()
    csv.writer(out).writerow(cells)
    return out.getvalue()


def _cell(value: Any) -> Any:
    """Text that a spreadsheet would run as a formula is quoted, after OWASP's CSV injection."""
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value


def _unquoted(cell: str) -> str:
    """A text as it was before :func:`_cell`, so that what is written can be read."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(_FORMULA) else cell
