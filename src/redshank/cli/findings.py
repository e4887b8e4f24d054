"""What was found, in words and as a table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rich.text import Text

from redshank.cli.console import console, print_table, say
from redshank.core.clock import DAY, HOUR, MINUTE, format_time, from_micros
from redshank.core.ports import Store
from redshank.core.queries import CountIncidents, Incidents, Sensors, StoreTotals
from redshank.core.records import Incident

MOST = 50
"""Rows of the table."""
TABLE_WIDTH = 120
COLOURS = {"high": "bold red", "medium": "yellow", "low": "cyan"}


def found(store: Store, limit: int = MOST) -> list[tuple[str, Incident]]:
    """Sensor names and incidents, oldest first; the newest ``limit``."""
    incidents = store.read(Incidents(limit=limit))
    ids = sorted({incident.sensor_id for incident in incidents})
    statuses = store.read(Sensors(sensor_ids=ids, limit=len(ids))) if ids else ()
    names = {s.info.sensor_id: s.info.name or s.info.sensor_id for s in statuses}
    named = [(names.get(i.sensor_id, i.sensor_id), i) for i in incidents]
    return sorted(named, key=lambda pair: pair[1].opened)


def print_findings(store: Store) -> None:
    """The incidents, as a table where there is room for one, and one sentence on everything."""
    rows = found(store)
    if console().width < TABLE_WIDTH:
        for name, incident in rows:
            _print_lines(name, incident)
    elif rows:
        columns = ("sensor", "what", "since (UTC)", "lasted", "severity", "as rare as")
        print_table(columns, map(_row, rows), "Incidents")
    say(summary(store))


def summary(store: Store) -> str:
    """Everything in one sentence."""
    totals = store.read(StoreTotals())
    if totals.oldest is None or totals.newest is None:
        return "No readings yet."
    count = store.read(CountIncidents())
    return (
        f"{totals.readings:,} readings of {plural(totals.sensors, 'sensor')} from "
        f"{day(totals.oldest)} to {day(totals.newest)}: "
        f"{plural(count.total, 'incident')}, {count.open} still open."
    )


def as_json(store: Store) -> list[dict[str, Any]]:
    """The incidents for machines."""
    return [
        {
            "id": incident.id,
            "sensor_id": incident.sensor_id,
            "sensor_name": name,
            "state": incident.state,
            "opened": format_time(incident.opened),
            "last": format_time(incident.last),
            "severity": incident.severity,
            "kind": incident.kind,
            "title": incident.title,
            "text": incident.text,
            "rate": incident.rate,
        }
        for name, incident in found(store, limit=100_000)
    ]


def plural(count: int, noun: str) -> str:
    """``1 sensor``, ``2 sensors``."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def day(micros: int) -> str:
    """A day as people write it."""
    return f"{from_micros(micros):%d %b %Y}"


def lasting(micros: int) -> str:
    """A duration in its two largest units."""
    if micros < MINUTE:
        return f"{micros // 1_000_000} s"
    units: Iterable[tuple[int, str]] = ((DAY, "d"), (HOUR, "h"), (MINUTE, "min"))
    parts = []
    for size, unit in units:
        amount, micros = divmod(micros, size)
        if amount:
            parts.append(f"{amount} {unit}")
    return " ".join(parts[:2])


def rarity(rate: float) -> str:
    """How often a normal sensor would show as much, from a rate per 30 days.

    What breaks a rule, as a clock that is ahead does, has the rate 0.
    """
    if rate <= 0:
        return "not by chance"
    days = 30 / rate
    if days > 3650:
        return "less than once in 10 years"
    if days >= 2:
        return f"once in {days:,.0f} days"
    return f"{30 / days:,.0f} times a month"


def _print_lines(name: str, incident: Incident) -> None:
    since = f"since {from_micros(incident.opened):%a %d %b %H:%M} UTC"
    mark = (f"{incident.severity:>6}  ", COLOURS[incident.severity])
    console().print(Text.assemble(mark, f"{name}: {incident.title}"))
    console().print(
        f"        {since}, for {_lasted(incident)}, {rarity(incident.rate)}", style="dim"
    )


def _lasted(incident: Incident) -> str:
    return lasting(incident.lasted) + ("" if incident.closed else " so far")


def _row(named: tuple[str, Incident]) -> Sequence[object]:
    name, incident = named
    return (
        name,
        incident.title,
        f"{from_micros(incident.opened):%a %d %b %H:%M}",
        _lasted(incident),
        Text(incident.severity, style=COLOURS[incident.severity]),
        rarity(incident.rate),
    )
