"""``redshank sensors``: the registry of sensors, to look at and to edit."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from redshank.cli.console import complain, print_json, print_table, say
from redshank.cli.options import Data, Json, Url, given
from redshank.core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redshank.cli.calls import Calls

PROBLEMS = 3
_SHOWN_ERRORS = 100
Id = Annotated[str, typer.Argument(metavar="ID", help="The sensor's id.")]
Site = Annotated[str | None, typer.Option(help="Only of this site.")]
Words = Annotated[str, typer.Option(help="Only where id, name or site contains this.")]
_FIELDS = (
    "name",
    "site",
    "owner",
    "exposure",
    "timezone",
    "latitude",
    "longitude",
    "source",
    "budget",
)


def group() -> typer.Typer:
    """The group with its commands."""
    app = typer.Typer(no_args_is_help=True, help="Look at and edit the registry of sensors.")
    app.command("list")(list_)
    app.command("show")(show)
    app.command("edit")(edit)
    app.command("import")(import_)
    app.command("export")(export)
    app.command("delete")(delete)
    return app


def list_(
    text: Words = "",
    site: Site = None,
    status: Annotated[
        str | None, typer.Option(help="learning, normal, warning or anomaly.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 100,
    offset: Annotated[int, typer.Option(min=0, help="After leaving out so many.")] = 0,
    url: Url = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """List sensors, those that need a look first."""
    from redshank.cli.calls import ask

    query = given(text=text, site=site, status=status, limit=limit, offset=offset)

    async def work(calls: Calls) -> Any:
        return await calls.json("GET", "/sensors", params=query)

    found = ask(work, url, data)
    if json:
        print_json(found)
        return
    columns = ("sensor_id", "name", "site", "status", "open_incidents", "readings", "last_seen")
    rows = [[each[name] or "" for name in columns] for each in found["sensors"]]
    if rows:
        heads = ("sensor", "name", "site", "status", "incidents", "readings", "newest (UTC)")
        print_table(heads, rows)
    say(f"{len(rows):,} of {found['total']:,} sensors")


def show(sensor_id: Id, url: Url = None, data: Data = None, json: Json = False) -> None:
    """Print what is registered of a sensor."""
    from redshank.cli.calls import ask, part

    async def work(calls: Calls) -> Any:
        return await calls.json("GET", f"/sensors/{part(sensor_id)}")

    found = ask(work, url, data)
    if json:
        print_json(found)
    else:
        _print(found)


def edit(
    sensor_id: Id,
    name: Annotated[str | None, typer.Option(help="What people call it.")] = None,
    site: Annotated[str | None, typer.Option(help="Where it belongs.")] = None,
    owner: Annotated[str | None, typer.Option(help="Who looks after it.")] = None,
    latitude: Annotated[float | None, typer.Option(help="Degrees, WGS 84.")] = None,
    longitude: Annotated[float | None, typer.Option(help="Degrees, WGS 84.")] = None,
    exposure: Annotated[str | None, typer.Option(help="indoor, outdoor or mobile.")] = None,
    timezone: Annotated[
        str | None, typer.Option(help="Zone of its clocks, e.g. Europe/Berlin.")
    ] = None,
    budget: Annotated[
        float | None, typer.Option(help="False alarms per 30 days; 0 for the general budget.")
    ] = None,
    tag: Annotated[
        list[str] | None, typer.Option(help="KEY=VALUE, or KEY= to remove it; repeatable.")
    ] = None,
    unit: Annotated[list[str] | None, typer.Option(help="CHANNEL=UNIT; repeatable.")] = None,
    minimum: Annotated[
        list[str] | None,
        typer.Option(help="CHANNEL=VALUE, the least possible; CHANNEL= for none; repeatable."),
    ] = None,
    maximum: Annotated[
        list[str] | None,
        typer.Option(help="CHANNEL=VALUE, the most possible; CHANNEL= for none; repeatable."),
    ] = None,
    url: Url = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Change what is registered of a sensor; what is not named stays."""
    from redshank.cli.calls import ask, part

    changes = given(name=name, site=site, owner=owner, exposure=exposure, timezone=timezone)
    changes |= given(latitude=latitude, longitude=longitude, budget=budget or None)
    if budget == 0:
        changes["budget"] = None
    changes |= given(channels=_channels(unit or (), minimum or (), maximum or ()))
    tags = dict(_pair("--tag", each) for each in tag or ())
    if not changes and not tags:
        raise ConfigError("say what to change, e.g. --name or --site")
    path = f"/sensors/{part(sensor_id)}"

    async def work(calls: Calls) -> Any:
        if tags:
            kept = (await calls.json("GET", path))["tags"] | tags
            changes["tags"] = {key: value for key, value in kept.items() if value}
        return await calls.json("PATCH", path, json=changes)

    found = ask(work, url, data)
    if json:
        print_json(found)
    else:
        _print(found)


def import_(
    file: Annotated[Path, typer.Argument(help="CSV with a line a sensor; - for standard input.")],
    url: Url = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Register and describe sensors; empty cells change nothing.

    Columns: sensor_id, name, site, latitude, longitude, exposure, owner, budget, tag.NAME and
    channel.NAME.unit|title|minimum|maximum. Exit status 3 if lines were refused.
    """
    from redshank.cli.calls import ask

    body = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()

    async def work(calls: Calls) -> Any:
        kind = {"Content-Type": "text/csv"}
        return await calls.judged("/sensors/import", "rows", content=body, headers=kind)

    done = ask(work, url, data, new=True)
    if json:
        print_json(done)
    else:
        _print_imported(done)
    if done["rejected"]:
        raise typer.Exit(PROBLEMS)


def export(
    file: Annotated[Path | None, typer.Argument(help="CSV to write; else it is printed.")] = None,
    text: Words = "",
    site: Site = None,
    url: Url = None,
    data: Data = None,
) -> None:
    """Write the registry as a table that import takes."""
    from redshank.cli.calls import ask

    async def work(calls: Calls) -> str:
        return await calls.text("/sensors.csv", params=given(text=text, site=site))

    table = ask(work, url, data)
    if file is None:
        sys.stdout.write(table.replace("\r\n", "\n"))
    else:
        file.write_text(table, "utf-8", newline="")
        say(f"{file} is written")


def delete(
    sensor_id: Id,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    url: Url = None,
    data: Data = None,
) -> None:
    """Forget a sensor with all its readings, verdicts and incidents."""
    from redshank.cli.calls import ask, part

    if not yes and not typer.confirm(f"Forget {sensor_id} with all its data?"):
        raise typer.Exit(1)

    async def work(calls: Calls) -> None:
        await calls.json("DELETE", f"/sensors/{part(sensor_id)}")

    ask(work, url, data)
    say(f"{sensor_id} is forgotten")


# --- arguments ---------------------------------------------------------------------------------


def _pair(option: str, text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise ConfigError(f"{option} {text!r} cannot be used: write it as NAME=VALUE")
    return name, value


def _channels(
    units: Sequence[str], minima: Sequence[str], maxima: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """What is said of channels, by their names."""
    found: dict[str, dict[str, Any]] = {}
    for text in units:
        name, unit = _pair("--unit", text)
        found.setdefault(name, {})["unit"] = unit
    for field, some in (("minimum", minima), ("maximum", maxima)):
        for text in some:
            name, value = _pair(f"--{field}", text)
            found.setdefault(name, {})[field] = _bound(f"--{field} {text!r}", value)
    return found


def _bound(said: str, text: str) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        raise ConfigError(f"{said} cannot be used: {text!r} is not a number") from None


# --- printing ----------------------------------------------------------------------------------


def _print(found: dict[str, Any]) -> None:
    say(found["sensor_id"])
    fields = [(name, found[name]) for name in _FIELDS if found[name] not in (None, "")]
    fields += [(f"tag {key}", value) for key, value in sorted(found["tags"].items())]
    fields += [("status", found["status"]), ("readings", f"{found['readings']:,}")]
    print_table(("", ""), [(name, str(value)) for name, value in fields])
    columns = ("unit", "title", "minimum", "maximum", "value")
    rows = [
        (name, *("" if each[column] is None else str(each[column]) for column in columns))
        for name, each in found["channels"].items()
    ]
    if rows:
        print_table(("channel", *columns), rows)


def _print_imported(done: dict[str, Any]) -> None:
    faults = [(row, fault) for row in done["rows"] for fault in row["errors"]]
    for row, fault in faults[:_SHOWN_ERRORS]:
        complain(f"line {row['line']}: {fault['field']}: {fault['value']!r} {fault['reason']}")
    names = ("created", "updated", "unchanged", "rejected")
    say(", ".join(f"{done[name]:,} {name}" for name in names))
