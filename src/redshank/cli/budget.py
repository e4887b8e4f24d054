"""``redshank budget``: what is promised, what came, and what another budget would have brought."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from redshank.cli.console import print_json, print_table, say
from redshank.cli.options import Data, Json, Url, given
from redshank.core.clock import from_micros, parse_time
from redshank.core.errors import ConfigError

if TYPE_CHECKING:
    from redshank.cli.calls import Calls

PATH = "/budget"
_SHOWN = 50
_VERDICTS = {
    "kept": "The promise is kept: no more false alarms than chance makes of the budget.",
    "unclear": "More incidents without a mark than promised: mark those that are real or expected, "
    "and what is left shows whether the promise is kept.",
    "exceeded": "More false alarms than promised, beyond chance; a lower budget is quieter.",
    "unknown": "Nothing was watched in these days.",
}
_COUNTED = {"false": "marked false", "false_or_unmarked": "marked false or without a mark"}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("budget")(budget)


def budget(
    preview: Annotated[
        float | None, typer.Option(metavar="N", help="List what a budget of N would have brought.")
    ] = None,
    new: Annotated[
        float | None,
        typer.Option(
            "--set", metavar="N", help="Make N the budget; with --sensor 0 for the general one."
        ),
    ] = None,
    fleet_day: Annotated[
        bool,
        typer.Option("--fleet-day", help="N is for all sensors and a day, not for each and 30."),
    ] = False,
    days: Annotated[
        float, typer.Option(min=0.01, max=3660, help="Days up to the newest reading to list.")
    ] = 30.0,
    sensor: Annotated[str | None, typer.Option(metavar="ID", help="Only of this sensor.")] = None,
    url: Url = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Show the alarm budget's promise and what came; preview or set another one."""
    from redshank.cli.calls import ask, part

    if preview is not None and new is not None:
        raise ConfigError("--preview and --set exclude each other: preview first, then set")
    if fleet_day and sensor is not None:
        raise ConfigError("--fleet-day is for all sensors; leave --sensor out")
    unit = "per_fleet_day" if fleet_day else "per_sensor_month"

    async def work(calls: Calls) -> Any:
        if preview is not None:
            query = given(days=days, sensor_id=sensor) | {unit: preview}
            return await calls.json("GET", f"{PATH}/preview", params=query)
        if new is not None and sensor is not None:
            path = f"/sensors/{part(sensor)}"
            await calls.json("PATCH", path, json={"budget": new or None})
        elif new is not None:
            await calls.json("PUT", PATH, json={unit: new})
        return await calls.json("GET", PATH, params=given(sensor_id=sensor))

    answer = ask(work, url, data)
    if json:
        print_json(answer)
    elif preview is not None:
        _print_preview(answer)
    else:
        _print_kept(answer, sensor)


def _print_kept(found: Any, sensor: str | None) -> None:
    own = found["sensors_with_own"]
    applied = own.get(sensor, found["per_sensor_month"])
    say(f"Alarm budget: {applied:.3g} false alarms per sensor and 30 days")
    if sensor is None:
        _print_fleet(found)
    promised, measured = found["promised"], found["measured"]
    say(
        f"\nThe {promised['days']:g} days up to the newest reading: {promised['incidents']:.3g} "
        f"false alarms promised for {promised['sensor_months']:.3g} sensor-months; "
        f"incidents that opened: {measured['incidents']:,}; marked real "
        f"{measured['marked_real']:,}, expected {measured['marked_expected']:,}, false "
        f"{measured['marked_false']:,}, without a mark {measured['unmarked']:,}"
    )
    if promised["sensor_months"]:
        heads = ("counted as false alarms", "incidents", "per sensor and 30 days", "95 % interval")
        print_table(heads, [_rate(words, measured[name]) for name, words in _COUNTED.items()])
    say(_VERDICTS[found["verdict"]])
    if slow := found["too_slow"]["count"]:
        named = ", ".join(found["too_slow"]["sensors"][:5])
        say(f"Reporting too seldom to bring as many incidents: {slow:,} ({named})")


def _print_fleet(found: Any) -> None:
    shared = "" if found["per_fleet_day"] is None else f" (chosen: {found['per_fleet_day']:g})"
    say(f"All sensors together ({found['sensors']:,}): {found['fleet_per_day']:.3g} a day{shared}")
    own = found["sensors_with_own"]
    for sensor_id, value in list(own.items())[:_SHOWN]:
        say(f"  {sensor_id}: its own, {value:g}")


def _rate(words: str, rate: Any) -> tuple[object, ...]:
    interval = f"{rate['low']:.3g} to {rate['high']:.3g}"
    return words, rate["count"], f"{rate['per_sensor_month']:.3g}", interval


def _print_preview(found: Any) -> None:
    say(
        f"With a budget of {found['per_sensor_month']:.3g} per sensor and 30 days, the last "
        f"{found['days']:g} days would have brought incidents: {found['count']:,} "
        f"({found['count_now']:,} at the budget in force)"
    )
    heads = ("opened (UTC)", "sensor", "what", "by chance once in days")
    rows = [
        (_minute(i["opened"]), i["sensor_name"], i["title"] or "(would be new)", _days(i["rate"]))
        for i in found["incidents"][:_SHOWN]
    ]
    if rows:
        print_table(heads, rows)
    if found["count"] > _SHOWN:
        say(f"and {found['count'] - _SHOWN:,} more; --json lists all")


def _minute(time: str) -> str:
    return f"{from_micros(parse_time(time)):%a %d %b %H:%M}"


def _days(rate: float | None) -> str:
    return f"{30 / rate:.3g}" if rate else "never"
