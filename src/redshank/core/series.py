"""Which sensor and which channels a metric of measurement, tags and fields stands for.

InfluxDB's line protocol and Telegraf's JSON speak of measurements with tags and fields, redshank of
sensors with channels. The rules here never let two series become one channel of one sensor:

1. The first of the configured tags that a series has names its sensor. ``host``, which agents add
   to everything they send, names it only where the series has no other tag. Without such a tag
   the whole series is the sensor: the measurement and its tags in order.
2. A field is a channel: ``measurement_field`` where the sensor was named by a tag, so that two
   measurements of one sensor stay apart, and ``field`` where the measurement is only a container
   (``sensor``, ``readings``…) or part of the sensor's name already.
3. A field called ``value`` is a channel named like its measurement.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from redshank.core.batch import Reading
from redshank.core.clock import parse_time
from redshank.core.errors import FieldError
from redshank.core.rows import (
    EARLIEST,
    SENSOR,
    TIME,
    VALUES,
    RowContext,
    is_tag_text,
    read_row,
    shown,
)

HOST = "host"
VALUE = "value"


@dataclass(frozen=True, slots=True)
class Series:
    """What all metrics of one measurement and tags have in common.

    Attributes:
        sensor_id: the sensor.
        measurement: name of a field called ``value``.
        prefix: stands before the names of the other fields.
        tags: those that are not in the sensor's id.
    """

    sensor_id: str
    measurement: str
    prefix: str
    tags: Mapping[str, str]

    def channel(self, field: str) -> str:
        """The channel's name before it is written as channel names are."""
        return self.measurement if field == VALUE else self.prefix + field


@dataclass(frozen=True, slots=True)
class Naming:
    """The rules of one configuration.

    Attributes:
        sensor_tags: tags that name a sensor, the strongest first.
        containers: measurements that say nothing about what is measured.
    """

    sensor_tags: tuple[str, ...] = ("sensor_id", "sensor", "device")
    containers: frozenset[str] = frozenset(
        ("sensor", "sensors", "reading", "readings", "measurement", "measurements", "data")
    )

    def series(self, measurement: str, tags: Mapping[str, str]) -> Series:
        """The series of a measurement and its tags."""
        name = next((tag for tag in self.sensor_tags if tags.get(tag)), None)
        if name is None and tags.get(HOST) and len(tags) == 1:
            name = HOST
        if name is None:
            ordered = [f"{key}={value}" for key, value in sorted(tags.items())]
            return Series(",".join((measurement, *ordered)), measurement, "", tags)
        rest = {key: value for key, value in tags.items() if key != name}
        prefix = "" if measurement in self.containers else f"{measurement}_"
        return Series(tags[name], measurement, prefix, rest)


def read_fields(
    series: Series, fields: Mapping[str, Any], time: int | None, index: int, context: RowContext
) -> Reading:
    """A metric as a reading.

    Args:
        series: whose.
        fields: numbers, texts and booleans by field name.
        time: microseconds since the epoch, None for the time of arrival.
        index: its place among its companions.
        context: what it may leave open.

    Raises:
        FieldError: it cannot be used; names the field and its value.
    """
    if time is not None and time < EARLIEST:
        raise FieldError(TIME, time, "lies before 1990: are precision and the sender's clock set?")
    values = {series.channel(name): value for name, value in fields.items()}
    if len(values) < len(fields):
        raise FieldError(VALUE, shown(fields[VALUE]), "names the same channel as another field")
    row = {SENSOR: series.sensor_id, TIME: time, VALUES: values}
    reading = read_row(row, index, context)
    return replace(reading, tags={**series.tags, **reading.tags})


# --- Telegraf's JSON ---------------------------------------------------------------------------


def _is_tag(name: str, value: object) -> bool:
    return isinstance(value, str) and is_tag_text(name) and is_tag_text(value)


def is_metric(row: object) -> bool:
    """Whether a decoded JSON value is a metric: ``{"name", "tags", "fields", "timestamp"}``."""
    return (
        isinstance(row, dict)
        and isinstance(row.get("name"), str)
        and isinstance(row.get("fields"), dict)
    )


def read_metric(row: Mapping[str, Any], index: int, context: RowContext, naming: Naming) -> Reading:
    """A metric of Telegraf's ``data_format = "json"`` as a reading.

    Raises:
        FieldError: it cannot be used; names the field and its value.
    """
    tags = row.get("tags") or {}
    if not isinstance(tags, dict) or not all(map(_is_tag, tags, tags.values())):
        raise FieldError("tags", shown(tags), "are not texts by name")
    written = row.get("timestamp")
    time = None if written is None else parse_time(written)
    return read_fields(naming.series(row["name"], tags), row["fields"], time, index, context)
