"""``redshank simulate``: labelled readings with known faults."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from redshank.cli.console import print_json, say
from redshank.cli.findings import plural
from redshank.core.clock import DAY, SECOND, parse_time
from redshank.core.errors import ConfigError, FieldError

PRESETS = "turbine, factory, office or sensebox"

Sensors = Annotated[int, typer.Option(min=1, help="How many sensors.")]
Every = Annotated[float, typer.Option(help="Seconds between two readings of a sensor.")]
Seed = Annotated[int, typer.Option(help="The same seed gives the same readings.")]
Faults = Annotated[float, typer.Option(min=0, help="Faults per sensor and day.")]
Kinds = Annotated[
    list[str] | None, typer.Option(help="Kind of fault, e.g. spike; repeatable; all without it.")
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(simulate)


def simulate(
    preset: Annotated[str, typer.Argument(help=f"{PRESETS}.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="CSV, Parquet or NDJSON to write.")],
    sensors: Sensors = 10,
    days: Annotated[float, typer.Option(help="Length, in days of event time.")] = 7.0,
    every: Every = 60.0,
    start: Annotated[str, typer.Option(help="Event time of the beginning.")] = "2026-01-05",
    seed: Seed = 0,
    faults: Faults = 0.2,
    kind: Kinds = None,
    json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Write simulated readings with an is_anomaly column, and their labels in a file beside it."""
    from redshank import wiring

    fleet = wiring.simulator(
        preset, start=_time(start), rows=rows(days, every), speed=None,
        **fleet_options(sensors, every, seed, faults, kind),
    )  # fmt: skip
    count, labelled = wiring.write_simulated(fleet, out)
    if json:
        print_json({"readings": count, "faults": labelled, "out": str(out)})
        return
    what = f"{plural(count, 'reading')} of {plural(sensors, 'sensor')}"
    say(f"{what} with {plural(labelled, 'fault')} written to {out}")


def fleet_options(
    sensors: int, every: float, seed: int, faults: float, kinds: list[str] | None
) -> dict[str, Any]:
    """What the options mean to the simulator."""
    options = {"sensors": sensors, "every": every, "seed": seed, "faults_per_day": faults}
    return {**options, "kinds": kinds} if kinds else options


def rows(days: float, every: float) -> int:
    """Rows of each sensor.

    Raises:
        ConfigError: there would be none.
    """
    if not (days > 0 and every > 0 and days * DAY >= every * SECOND):
        raise ConfigError(f"--days {days:g} --every {every:g} leaves no reading: take more days")
    return int(days * DAY // (every * SECOND))


def _time(text: str) -> int:
    try:
        return parse_time(text, "--start")
    except FieldError as error:
        raise ConfigError(str(error)) from error
