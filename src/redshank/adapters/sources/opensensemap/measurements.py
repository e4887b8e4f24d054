"""Measurements of one sensor as columns, from the API's JSON and from the archive's CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from redshank.adapters.sources.opensensemap.http import BrokenAnswer
from redshank.core.batch import Floats, Times
from redshank.core.clock import parse_time
from redshank.core.errors import FieldError
from redshank.core.rows import number, shown
from redshank.core.times import parse_times

NOWHERE = (math.nan, math.nan, math.nan)
_MOST_RAW = 65_536


@dataclass(frozen=True, slots=True)
class BadMeasurement:
    """A row that is no measurement, with the reason."""

    reason: str
    raw: bytes


@dataclass(frozen=True, slots=True, eq=False)
class Measurements:
    """Values of one sensor, ``n`` of them.

    Attributes:
        time: (n,) microseconds since the epoch, UTC.
        value: (n,) as the owner's unit has it.
        place: (n, 3) longitude, latitude, height; NaN where unknown. None if nowhere known.
        bad: rows that are no measurements.
        rows: rows of the answer that they were read from, good and bad and empty ones.
    """

    time: Times
    value: Floats
    place: Floats | None = None
    bad: tuple[BadMeasurement, ...] = ()
    rows: int = 0

    def __len__(self) -> int:
        return len(self.time)

    def where(self, mask: NDArray[np.bool_]) -> Measurements:
        """Those under a mask."""
        place = None if self.place is None else self.place[mask]
        return Measurements(self.time[mask], self.value[mask], place, self.bad, self.rows)


NONE = Measurements(np.zeros(0, np.int64), np.zeros(0))


def joined(parts: Sequence[Measurements]) -> Measurements:
    """All of them in time order, equal ones once.

    Values at one time stand in the order of their size, so that the first of them is the same one
    wherever pages and windows were cut.
    """
    if not parts:
        return NONE
    time = np.concatenate([part.time for part in parts])
    value = np.concatenate([part.value for part in parts])
    place = None
    if any(part.place is not None for part in parts):
        place = np.concatenate([_places(part) for part in parts])
    order = np.lexsort((value, time))
    time, value = time[order], value[order]
    first = np.ones(len(time), np.bool_)
    first[1:] = (np.diff(time) != 0) | (np.diff(value) != 0)
    bad = tuple(dict.fromkeys(one for part in parts for one in part.bad))
    rows = sum(part.rows for part in parts)
    kept = None if place is None else place[order][first]
    return Measurements(time[first], value[first], kept, bad, rows)


def parse_measurements(answer: Any) -> Measurements:
    """Measurements from ``GET /boxes/:boxId/data/:sensorId`` in the order of the answer.

    Raises:
        BrokenAnswer: it is no list.
    """
    if isinstance(answer, dict):
        answer = answer.get("data", answer.get("measurements"))
    if not isinstance(answer, list):
        raise BrokenAnswer("the answer is not a list of measurements")
    if not all(isinstance(row, dict) for row in answer):
        answer = [row if isinstance(row, dict) else {"row": row} for row in answer]
    places = [row.get("location") for row in answer]
    return _measurements(
        answer,
        [stamp(row) for row in answer],
        [row.get("value") for row in answer],
        [_place(place) for place in places] if any(places) else None,
    )


def parse_archived(body: bytes) -> Measurements:
    """Measurements from a day's file of the archive: ``createdAt,value[,longitude,latitude]``.

    Raises:
        BrokenAnswer: it is no such file, or only the beginning of one.
    """
    text = body.decode("utf-8-sig", "replace")
    if not text.endswith("\n"):
        raise BrokenAnswer("the file of the archive is cut off")
    table = csv.DictReader(io.StringIO(text))
    try:
        names, rows = table.fieldnames or (), list(table)
    except csv.Error as error:
        raise BrokenAnswer(f"the file of the archive is no table: {error}") from None
    if not {"createdAt", "value"} <= set(names):
        raise BrokenAnswer(f"the file of the archive is no table: {text[:40]!r}")
    places = None
    if rows and "longitude" in rows[0]:
        places = [_place([row.get("longitude"), row.get("latitude")]) for row in rows]
    return _measurements(rows, [r["createdAt"] for r in rows], [r["value"] for r in rows], places)


def stamp(row: Mapping[str, Any]) -> Any:
    """The time of a row as it is written; the rewritten server calls it otherwise."""
    return row.get("createdAt") or row.get("time") or row.get("timestamp")


def value_of(value: Any) -> float | None:
    """The number of a row, None for null; hexadecimal and other texts are no numbers.

    Raises:
        FieldError: it is none.
    """
    if value is None:
        return None
    if isinstance(value, str):
        spelt = number(value)
        if spelt is not None and math.isfinite(spelt):
            return spelt
    elif isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    raise FieldError("value", shown(value), "is not a number")


def _measurements(
    rows: Sequence[Any],
    stamps: Sequence[Any],
    values: Sequence[Any],
    places: Sequence[tuple[float, float, float]] | None,
) -> Measurements:
    times, good = parse_times([one if isinstance(one, str) else "" for one in stamps])
    numbers, spelt = _numbers(values)
    bad = []
    for i in np.flatnonzero(~(good & spelt)).tolist():
        good[i] = False
        try:
            times[i] = parse_time(stamps[i], "createdAt")
            if (found := value_of(values[i])) is not None:
                numbers[i], good[i] = found, True
        except FieldError as error:
            bad.append(BadMeasurement(str(error), _raw(rows[i])))
    place = None if places is None else np.array(places, np.float64).reshape(-1, 3)
    return Measurements(times, numbers, place, tuple(bad), len(rows)).where(good)


def _numbers(values: Sequence[Any]) -> tuple[Floats, NDArray[np.bool_]]:
    """Numbers of a column at once, and which are surely right; the others need a closer look."""
    doubt = np.zeros(len(values), np.bool_)
    texts = [one for one in values if isinstance(one, str)]
    joint = "".join(texts)
    # Python reads 1_000 and digits of other scripts as numbers, too.
    plain = joint.isascii() and "_" not in joint
    if not plain or not {type(one) for one in values} <= {str, float, int}:
        return np.zeros(len(values)), doubt
    try:
        numbers = np.array([float(one) for one in values])
    except (ValueError, OverflowError):
        return np.zeros(len(values)), doubt
    return numbers, np.isfinite(numbers)


def _place(location: Any) -> tuple[float, float, float]:
    """Longitude, latitude and height of a row; NaN for what is not told."""
    if isinstance(location, dict):
        location = location.get("coordinates") or [
            location.get(key) for key in ("lng", "lat", "height")
        ]
    try:
        longitude, latitude = float(location[0]), float(location[1])
        height = float(location[2]) if len(location) > 2 and location[2] is not None else math.nan
    except (TypeError, ValueError, IndexError, KeyError):
        return NOWHERE
    return longitude, latitude, height


def _places(part: Measurements) -> Floats:
    return np.full((len(part), 3), np.nan) if part.place is None else part.place


def _raw(row: Any) -> bytes:
    try:
        return orjson.dumps(row)[:_MOST_RAW]
    except orjson.JSONEncodeError:
        return b""
