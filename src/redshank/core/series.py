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
from dataclasses import dataclass
from typing import Any

from redshank.core.errors import FieldError
from redshank.core.rows import EARLIEST, SENSOR, TIME, VALUES, shown

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


def row_of(series: Series, fields: Mapping[str, Any], time: int | None) -> dict[str, Any]:
    """A metric as a row, for :func:`redshank.core.rows.read_row`.

    Args:
        series: whose.
        fields: numbers, texts and booleans by field name.
        time: microseconds since the epoch, None for the time of arrival.

    Raises:
        FieldError: two fields are one channel, or the time lies before 1990.
    """
    if time is not None and time < EARLIEST:
        raise FieldError(TIME, time, "lies before 1990: are precision and the sender's clock set?")
    values = {series.channel(name): value for name, value in fields.items()}
    if len(values) < len(fields):
        raise FieldError(VALUE, shown(fields[VALUE]), "names the same channel as another field")
    return {SENSOR: series.sensor_id, TIME: time, VALUES: values}
