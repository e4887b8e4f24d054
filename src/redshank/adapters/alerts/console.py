"""Tells of incidents on the terminal."""

from __future__ import annotations

from collections.abc import Callable

from redshank.core.clock import from_micros
from redshank.core.records import Incident, SensorInfo


class ConsoleChannel:
    """Writes one line for each incident.

    Args:
        write: takes a line; ``print`` by default.
    """

    name = "console"

    def __init__(self, write: Callable[[str], object] = print) -> None:
        self._write = write

    def send(self, incident: Incident, sensor: SensorInfo) -> None:
        """Write the sentence of an incident that opened, grew more severe or closed."""
        self._write(line(incident, sensor))


def line(incident: Incident, sensor: SensorInfo) -> str:
    """The sentence: sensor, what happened, since when or until when."""
    since = f"{from_micros(incident.opened):%a %d %b, %H:%M} UTC"
    state = "since" if incident.closed is None else "over; began"
    name = sensor.name or sensor.sensor_id
    return f"{name}: {incident.title} ({incident.severity}, {state} {since})"
