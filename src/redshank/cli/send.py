"""``redshank send``: recorded or simulated readings to a redshank, near or far."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from redshank.cli.console import Tracker, print_json, say, settings, tracking
from redshank.cli.simulate import PRESETS, Every, Faults, Kinds, Seed, Sensors, fleet_options, rows
from redshank.core.clock import DAY, SystemClock
from redshank.core.errors import ConfigError

if TYPE_CHECKING:
    from redshank.core.ports import Source
    from redshank.services.send import Sender, Sent


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(send)


def send(
    url: Annotated[str, typer.Argument(help="Where it is, e.g. http://127.0.0.1:8000.")],
    file: Annotated[
        Path | None, typer.Argument(help="CSV, Parquet or NDJSON file, or a folder.")
    ] = None,
    preset: Annotated[str | None, typer.Option(help=f"Simulate instead: {PRESETS}.")] = None,
    rate: Annotated[
        float | None,
        typer.Option(help="Readings per second; without it files flat out, simulations live."),
    ] = None,
    sensors: Sensors = 10,
    days: Annotated[
        float | None, typer.Option(help="Length of a simulation; endless without it.")
    ] = None,
    every: Every = 60.0,
    seed: Seed = 0,
    faults: Faults = 0.2,
    kind: Kinds = None,
    json: Annotated[bool, typer.Option("--json", help="Print the counts as JSON.")] = False,
) -> None:
    """Post readings to POST /readings, again where need be; the key is REDSHANK_API_KEY."""
    from redshank.cli.serving import run_loop
    from redshank.services.send import Sender

    if (file is None) == (preset is None):
        raise ConfigError("say what to send: a FILE, or --preset NAME")
    fleet = fleet_options(sensors, every, seed, faults, kind)
    source = _recorded(file) if file else _simulated(str(preset), rate, days, every, fleet)
    key = settings().config.api_key
    sender = Sender(url, api_key=key.get_secret_value() if key else None, rate=rate)
    with tracking("sending") as track:
        total = run_loop(_send(sender, source, track))
    if json:
        print_json(asdict(total))
    else:
        say(_summary(total))


def _recorded(file: Path) -> Source:
    from redshank import wiring

    return wiring.file_sources([file])[0]


def _simulated(
    preset: str, rate: float | None, days: float | None, every: float, fleet: dict[str, object]
) -> Source:
    """Live pace; or, at a rate, the last days (thirty without an end) up to now."""
    from redshank import wiring

    length = None if days is None else rows(days, every)
    if rate is None:
        return wiring.simulator(preset, rows=length, **fleet)
    start = SystemClock().now() - round((days or 30) * DAY)
    return wiring.simulator(preset, rows=length, speed=None, start=start, **fleet)


async def _send(sender: Sender, source: Source, track: Tracker) -> Sent:
    """Send to the end, or until a signal; what was answered is counted either way."""
    from redshank.cli.serving import stopping_signals
    from redshank.services.send import Sent

    latest = Sent()

    def tell(sent: Sent) -> None:
        nonlocal latest
        latest = sent
        track(sent.progress or 0.0, f"{sent.sent:,} readings, {_rate(sent)}")

    sending = asyncio.create_task(sender.send(source.parcels(None), tell))
    with stopping_signals(sending.cancel), suppress(asyncio.CancelledError):
        return await sending
    return latest


def _summary(total: Sent) -> str:
    counts = asdict(total)
    parts = [f"{total.sent:,} readings sent in {total.seconds:.1f} s ({_rate(total)})"]
    names = ("accepted", "duplicates", "conflicts", "rejected", "retries")
    parts += [f"{counts[name]:,} {name}" for name in names if counts[name] or name == "accepted"]
    return ", ".join([*parts, f"{total.anomalies:,} anomalous"])


def _rate(sent: Sent) -> str:
    return f"{sent.sent / sent.seconds:,.0f}/s" if sent.seconds else "starting"
