"""What could not become a reading: to look at, to read again, to throw away."""

from __future__ import annotations

import base64
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from redshank.core.errors import NotFoundError
from redshank.core.queries import CountDeadLetters, DeadLetters
from redshank.core.records import DeadLetter
from redshank.services import dead_letters as letters
from redshank.services.api.answers import Answer, time_text
from redshank.services.api.body import JsonRoute
from redshank.services.api.params import Limit, Offset, Service, TimeText, micros, responses
from redshank.services.api.schemas import DeadLetterList, DeadLetterOut, Purged

router = APIRouter(prefix="/dead-letters", tags=["dead letters"], route_class=JsonRoute)

_SHOWN_RAW = 4096
_LARGEST = 2**53
Source = Annotated[str | None, Query(max_length=256, description="only of this source")]
Topic = Annotated[str, Query(max_length=1024, description="only where the topic contains this")]
Reason = Annotated[str, Query(max_length=256, description="only where the reason contains this")]
Id = Annotated[int, Path(ge=1, le=_LARGEST)]
Ids = Annotated[
    list[Annotated[int, Field(ge=1, le=_LARGEST)]] | None,
    Query(alias="id", max_length=1000, description="only these; repeatable"),
]


class DeadLetterWhole(DeadLetterOut):
    """A dead letter with all its bytes."""

    bytes: int
    encoding: Literal["utf-8", "base64"]


class ReplayedOut(BaseModel):
    """What became of letters that were read again, and of the readings in them."""

    letters: int
    replayed: int = Field(description="are readings now, and gone")
    rejected: int = Field(description="stay, with the reason of today")
    skipped: int = Field(description="stay as they are: too little was kept to read them")
    accepted: int
    duplicates: int
    conflicts: int
    anomalies: int


class ReplayIn(BaseModel):
    """Which letters to read again; without any field all of them."""

    model_config = ConfigDict(extra="forbid")
    ids: list[Annotated[int, Field(ge=1, le=_LARGEST)]] | None = Field(None, max_length=10_000)
    source: str | None = Field(None, max_length=256)
    topic: str = Field("", max_length=1024, description="part of the topic")
    reason: str = Field("", max_length=256, description="part of the reason")
    before: str | None = Field(None, max_length=64, description="only those that came before")


@router.get(
    "",
    summary="What could not become a reading, newest first",
    response_model=DeadLetterList,
    responses=responses(422, 503),
)
def dead_letters(
    context: Service,
    source: Source = None,
    topic: Topic = "",
    reason: Reason = "",
    before: TimeText = None,
    limit: Limit = 100,
    offset: Offset = 0,
) -> Answer:
    """Each with the reason, which names field and value, and the first 4 KiB as they came."""
    until = micros(before, "before")
    total = context.store.read(CountDeadLetters(source, reason, before=until, topic=topic))
    wanted = DeadLetters(source, limit, offset, reason, before=until, topic=topic)
    found = context.store.read(wanted)
    return Answer({"total": total, "dead_letters": [_short(letter) for letter in found]})


@router.get(
    "/{letter_id}",
    summary="One dead letter with all its bytes",
    response_model=DeadLetterWhole,
    responses=responses(404, 422, 503),
)
def dead_letter(context: Service, letter_id: Id) -> Answer:
    """`raw` is text where the bytes are UTF-8 (`encoding` `utf-8`), else Base64 (`base64`)."""
    found = context.store.read(DeadLetters(ids=[letter_id]))
    if not found:
        raise NotFoundError(f"there is no dead letter {letter_id}; was it replayed or purged?")
    return Answer(_whole(found[0]))


@router.post(
    "/replay",
    summary="Read dead letters again",
    response_model=ReplayedOut,
    responses=responses(400, 413, 415, 422, 503),
)
async def replay(context: Service, which: ReplayIn) -> Answer:
    """Those that are rows by now become readings and are gone, the others stay with the reason.

    What MQTT, openSenseMap and files brought is read by their mapping as it is configured now.
    Asking twice changes nothing: what was stored is recognised.
    """
    until = micros(which.before, "before")
    wanted = DeadLetters(
        which.source, reason=which.reason, ids=which.ids, before=until, topic=which.topic
    )
    done = await letters.replay(context, wanted)
    return Answer(
        {
            "letters": done.letters,
            "replayed": done.replayed,
            "rejected": done.rejected,
            "skipped": done.skipped,
            "accepted": done.receipt.stored,
            "duplicates": done.receipt.duplicates,
            "conflicts": done.receipt.conflicts,
            "anomalies": done.receipt.anomalies,
        }
    )


@router.delete(
    "",
    summary="Purge the dead letters",
    response_model=Purged,
    responses=responses(422, 503),
)
def purge(
    context: Service,
    source: Source = None,
    topic: Topic = "",
    reason: Reason = "",
    before: TimeText = None,
    ids: Ids = None,
) -> Answer:
    """All of them, or those that fit everything that is said."""
    until = micros(before, "before")
    wanted = DeadLetters(source, reason=reason, ids=ids, before=until, topic=topic)
    return Answer({"removed": letters.purge(context, wanted)})


def _short(letter: DeadLetter) -> dict[str, Any]:
    raw = letter.raw[:_SHOWN_RAW].decode("utf-8", "replace")
    return {**_head(letter), "raw": raw}


def _whole(letter: DeadLetter) -> dict[str, Any]:
    size = {"bytes": len(letter.raw)}
    try:
        text = letter.raw.decode()
    except UnicodeDecodeError:
        packed = base64.b64encode(letter.raw).decode()
        return {**_head(letter), **size, "encoding": "base64", "raw": packed}
    return {**_head(letter), **size, "encoding": "utf-8", "raw": text}


def _head(letter: DeadLetter) -> dict[str, Any]:
    return {
        "id": letter.id,
        "time": time_text(letter.time),
        "source": letter.source,
        "topic": letter.topic,
        "content_type": letter.content_type,
        "details": letter.details,
        "reason": letter.reason,
    }
