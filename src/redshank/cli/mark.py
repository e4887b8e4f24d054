"""``redshank mark``: say of an incident whether it was real, false or expected."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from redshank.cli.console import print_json, say
from redshank.cli.options import Data, Json, Url

if TYPE_CHECKING:
    from redshank.cli.calls import Calls


class Said(StrEnum):
    """What can be said."""

    REAL = "real"
    FALSE = "false"
    EXPECTED = "expected"
    NOTHING = "nothing"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(mark)


def mark(
    incident_id: Annotated[str, typer.Argument(metavar="INCIDENT", help="The incident's id.")],
    said: Annotated[
        Said, typer.Argument(metavar="MARK", help="real, false, expected; nothing to undo.")
    ],
    url: Url = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Say what an incident was; a lasting change that is expected is the new normal at once."""
    from redshank.cli.calls import ask, part

    feedback = None if said is Said.NOTHING else said.value

    async def work(calls: Calls) -> Any:
        path = f"/incidents/{part(incident_id)}/feedback"
        return await calls.json("PUT", path, json={"feedback": feedback})

    told = ask(work, url, data)
    if json:
        print_json(told)
    else:
        say(f"{told['title']}: marked {feedback or 'as nothing'}. {told['text']}")
