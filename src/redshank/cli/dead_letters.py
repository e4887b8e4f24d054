"""``redshank dead-letters``: what could not become a reading, and what to do with it."""

from __future__ import annotations

import base64
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from redshank.cli.console import print_json, print_table, say
from redshank.cli.options import Data, Json, Url, given
from redshank.core.errors import ConfigError

if TYPE_CHECKING:
    from redshank.cli.calls import Calls

PATH = "/dead-letters"
_SHOWN = 60
Source = Annotated[str | None, typer.Option(help="Only of this source, e.g. http.")]
Topic = Annotated[str, typer.Option(help="Only where the topic (or box, or file) contains this.")]
Reason = Annotated[str, typer.Option(help="Only where the reason contains this.")]
Before = Annotated[str | None, typer.Option(help="Only those that came before this time.")]
Ids = Annotated[list[int] | None, typer.Argument(metavar="[ID]…", help="Only these.")]


def group() -> typer.Typer:
    """The group with its commands."""
    app = typer.Typer(no_args_is_help=True, help="Look at, read again or purge bad rows.")
    app.command("list")(list_)
    app.command("show")(show)
    app.command("replay")(replay)
    app.command("purge")(purge)
    return app


def list_(
    source: Source = None,
    topic: Topic = "",
    reason: Reason = "",
    before: Before = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 50,
    offset: Annotated[int, typer.Option(min=0, help="After leaving out so many.")] = 0,
    url: Url = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """List what could not become a reading, newest first."""
    from redshank.cli.calls import ask

    query = given(
        source=source, topic=topic, reason=reason, before=before, limit=limit, offset=offset
    )

    async def work(calls: Calls) -> Any:
        return await calls.json("GET", PATH, params=query)

    found = ask(work, url, data)
    if json:
        print_json(found)
        return
    letters = found["dead_letters"]
    if letters:
        head = ("id", "came", "source", "topic", "reason", "raw")
        print_table(head, [(str(a["id"]), *_cells(a)) for a in letters])
    say(f"{len(letters):,} of {found['total']:,} dead letters")


def show(
    letter_id: Annotated[int, typer.Argument(metavar="ID", min=1, help="Its number.")],
    url: Url = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Print one with its very bytes, the reason on standard error."""
    from redshank.cli.calls import ask

    async def work(calls: Calls) -> Any:
        return await calls.json("GET", f"{PATH}/{letter_id}")

    letter = ask(work, url, data)
    if json:
        print_json(letter)
        return
    raw = letter["raw"]
    content = base64.b64decode(raw) if letter["encoding"] == "base64" else raw.encode()
    print(_headline(letter), file=sys.stderr, flush=True)
    sys.stdout.flush()
    typer.echo(content, nl=sys.stdout.isatty())


def replay(
    ids: Ids = None,
    source: Source = None,
    topic: Topic = "",
    reason: Reason = "",
    before: Before = None,
    url: Url = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Read dead letters again; those that are rows by now become readings, the others stay.

    By the mapping that is configured now: correct mqtt_topics, or sensors.json, and try again.
    """
    from redshank.cli.calls import ask

    which = given(ids=ids, source=source, topic=topic, reason=reason, before=before)

    async def work(calls: Calls) -> Any:
        return await calls.json("POST", f"{PATH}/replay", json=which)

    done = ask(work, url, data)
    if json:
        print_json(done)
        return
    say(
        f"{done['letters']:,} dead letters read again: {done['replayed']:,} replayed "
        f"({done['accepted']:,} new readings, {done['duplicates']:,} known, "
        f"{done['conflicts']:,} in conflict), {done['rejected']:,} still refused, "
        f"{done['skipped']:,} left as they are"
    )


def purge(
    ids: Ids = None,
    source: Source = None,
    topic: Topic = "",
    reason: Reason = "",
    before: Before = None,
    every: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
    url: Url = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Throw dead letters away."""
    from redshank.cli.calls import ask

    query = given(id=ids, source=source, topic=topic, reason=reason, before=before)
    if bool(query) == every:
        raise ConfigError(
            "say which to throw away: ids, --source, --topic, --reason, --before, or --all"
        )

    async def work(calls: Calls) -> Any:
        return await calls.json("DELETE", PATH, params=query)

    done = ask(work, url, data)
    if json:
        print_json(done)
    else:
        say(f"{done['removed']:,} dead letters are gone")


def _cells(letter: dict[str, Any]) -> tuple[str, ...]:
    return (*(letter[key] for key in ("time", "source", "topic", "reason")), _short(letter["raw"]))


def _headline(letter: dict[str, Any]) -> str:
    """All but the bytes: when, from where, what was wrong and how it is read."""
    told = [letter["content_type"], *(f"{key}={text}" for key, text in letter["details"].items())]
    form = "; ".join(filter(None, told))
    where = " ".join(filter(None, (letter["source"], letter["topic"])))
    return f"{letter['time']} {where}: {letter['reason']}" + (f" ({form})" if form else "")


def _short(raw: str) -> str:
    line = " ".join(raw.split())
    return line if len(line) <= _SHOWN else line[: _SHOWN - 1] + "…"
