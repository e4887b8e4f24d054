"""Taking readings: decoded pieces become parcels, and what became of them one answer."""

from __future__ import annotations

import asyncio
import zlib
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from redshank.core.batch import Times
from redshank.core.decoded import MAX_RAW, Decoded, RowError
from redshank.core.errors import OverloadedError
from redshank.core.ports import Parcel, Receipt
from redshank.core.records import DeadLetter, SensorInfo
from redshank.services.api.formats import Decode
from redshank.services.api.idempotency import Repeat
from redshank.services.api.limits import RateLimits
from redshank.services.api.problems import Problem
from redshank.services.context import Context
from redshank.services.ingest import add

LISTED_ERRORS = 100
MOST_DETAILS = 10_000
"""Rows for which a single answer is given."""
AHEAD = 4
"""Pieces of one body that may wait to be scored, so that reading and scoring overlap."""


@dataclass
class Taken:
    """What became of a request so far.

    Attributes:
        receipt: of the readings.
        count: rows, good and bad.
        rejected: bad rows.
        errors: the first of them, numbered through the whole body.
        details: what became of each row, where that was asked for.
    """

    receipt: Receipt = field(default_factory=Receipt)
    count: int = 0
    rejected: int = 0
    errors: list[RowError] = field(default_factory=list)
    details: list[dict[str, Any]] | None = None

    def members(self, lines: bool = False) -> dict[str, Any]:
        """The members of an answer; at most 100 of the bad rows are listed, all are counted."""
        members = {
            "accepted": self.receipt.stored,
            "duplicates": self.receipt.duplicates,
            "conflicts": self.receipt.conflicts,
            "rejected": self.rejected,
            "anomalies": self.receipt.anomalies,
            "errors": [listed(error, lines) for error in self.errors],
        }
        return members if self.details is None else {**members, "rows": self.details}

    def check_usable(self, lines: bool = False) -> None:
        """Refuse a request of which nothing could be used.

        Raises:
            Problem: 422 not one row could be used.
        """
        if self.rejected and self.rejected == self.count:
            members = self.members(lines)
            raise Problem(422, sentence(self.errors[0]), members.pop("errors"), **members)


@dataclass(frozen=True, slots=True)
class Bad:
    """What is kept with bad rows, so that they can be read again.

    Attributes:
        kind: content type.
        details: what the bytes alone do not say.
        topic: what they are filed under.
    """

    kind: str
    details: Mapping[str, str] = field(default_factory=dict)
    topic: str = ""

    @classmethod
    def of(cls, decode: Decode) -> Bad:
        """Bad rows of a body that is decoded so."""
        return cls(decode.kind, decode.details)


class Taking:
    """Takes one request's rows, piece by piece.

    Args:
        context: bus and clock.
        source: what is told as the source of its rows.
        limits: how much the caller may send.
        caller: who sends.
        repeat: what the request shares with an earlier try of it; None if it cannot be one.
    """

    def __init__(
        self,
        context: Context,
        source: str,
        limits: RateLimits,
        caller: str,
        repeat: Repeat | None = None,
    ) -> None:
        self._context = context
        self._source = source
        self._limits = limits
        self._caller = caller
        self._repeat = repeat
        self._waiting: deque[asyncio.Future[Receipt]] = deque()
        self.taken = Taken()

    @property
    def now(self) -> int:
        """Wall clock, microseconds."""
        return self._context.clock.now()

    async def times(self, count: int) -> Times:
        """(count,) microseconds for the next rows that have no time; no others get the same.

        Rows of a repeated request get those that they had before, so that they are recognised.

        Raises:
            StoreError: those of a request that may be repeated could not be written down.
        """
        if not count:
            return np.empty(0, np.int64)
        if self._repeat is not None:
            return await self._repeat.times(count)
        first = self._context.instants.take(count)
        return np.arange(first, first + count)

    async def take(
        self,
        decoded: Decoded,
        bad: Bad | None = None,
        offset: int = 0,
        patient: bool = False,
        sensors: Sequence[SensorInfo] = (),
    ) -> None:
        """Hand over what was decoded, without waiting for it.

        Args:
            decoded: the next rows.
            bad: how to read again what is bad; None if nothing can be.
            offset: added to their numbers.
            patient: wait where there is no room instead of refusing.
            sensors: of which more is known than their ids.

        Raises:
            OverloadedError: the queue is full or the caller sends too much; nothing of these rows
                was taken.
            StoreError: what went before could not be written.
        """
        if patient:
            await asyncio.sleep(self._limits.wait(self._caller))
        else:
            self._limits.check(self._caller)
        dated = decoded.dated(await self.times(decoded.undated))
        await self._hand_over(dated, bad, offset, patient, sensors)

    async def _hand_over(
        self,
        decoded: Decoded,
        bad: Bad | None,
        offset: int = 0,
        patient: bool = False,
        sensors: Sequence[SensorInfo] = (),
    ) -> None:
        if decoded.count:
            letters = [self._letter(error, bad, offset) for error in decoded.errors] if bad else []
            parcel = Parcel(decoded.batches, sensors=sensors, dead_letters=letters)
            self._waiting.append(await self._publish(parcel, patient))
            self._limits.charge(self._caller, decoded.count)
        self._note(decoded, offset)
        while len(self._waiting) >= AHEAD:
            await self._settle()

    async def bury(self, body: bytes, reason: str, bad: Bad) -> None:
        """Keep what could not be read at all; a full queue has worse worries."""
        kept = body[:MAX_RAW]
        time = int((await self.times(kept.count(b"\n") + kept.count(b",") + 1))[0])
        letter = self._letter(RowError(-1, "body", "", reason, kept, time), bad, 0)
        letter = replace(letter, reason=reason)
        try:
            await (await self._publish(Parcel(dead_letters=[letter]), patient=False))
        except OverloadedError:
            log = self._context.telemetry.log
            log.warning("dead letter not kept, the queue is full", reason=reason)

    def _letter(self, error: RowError, bad: Bad, offset: int) -> DeadLetter:
        """A bad row as it is kept; one of a repeated request has the key that it had before."""
        key = ""
        if self._repeat is not None:
            key = f"{self._repeat.name} {offset + error.index} {zlib.crc32(error.raw)}"
        return DeadLetter(
            error.time,
            self._source,
            sentence(error),
            error.raw,
            topic=bad.topic,
            content_type=bad.kind,
            details=bad.details,
            key=key,
        )

    async def take_each(self, decoded: Decoded, bad: Bad) -> None:
        """Hand over single rows, and note what became of each.

        Raises:
            OverloadedError, StoreError: as for :meth:`take`.
        """
        if decoded.count > MOST_DETAILS:
            raise Problem(
                422,
                f"details: {decoded.count} rows, but only for {MOST_DETAILS} at a time it is told "
                "what became of each; send them in parts or without details",
            )
        self._limits.check(self._caller)
        decoded = decoded.dated(await self.times(decoded.undated))
        places = [place for some in decoded.places for place in some.tolist()]
        waiting: list[asyncio.Future[Receipt]] = []
        for batch in decoded.batches:
            for row in range(len(batch)):
                parcel = Parcel([batch.take(np.array([row]))])
                waiting.append(await self._publish(parcel, patient=bool(waiting)))
        only_bad = Decoded([], decoded.errors, len(decoded.errors))
        await self._hand_over(only_bad, bad, patient=True)
        self._limits.charge(self._caller, len(places))
        receipts = await asyncio.gather(*waiting)
        for receipt in receipts:
            self.taken.receipt = add(self.taken.receipt, receipt)
        self.taken.count += len(places)
        rows = [_fate(i, receipt) for i, receipt in zip(places, receipts, strict=True)]
        rows += [{**listed(error, False), "result": "rejected"} for error in decoded.errors]
        self.taken.details = sorted(rows, key=lambda row: int(row["index"]))

    async def finish(self) -> Taken:
        """What became of all rows, once they are durable and scored.

        Raises:
            StoreError: they could not be written.
        """
        while self._waiting:
            await self._settle()
        return self.taken

    async def _settle(self) -> None:
        self.taken.receipt = add(self.taken.receipt, await self._waiting.popleft())

    async def _publish(self, parcel: Parcel, patient: bool) -> asyncio.Future[Receipt]:
        while True:
            try:
                return asyncio.wrap_future(self._context.bus.publish(parcel, self._source))
            except OverloadedError as full:
                if not patient:
                    raise
                await asyncio.sleep(full.retry_after)

    def _note(self, decoded: Decoded, offset: int) -> None:
        self.taken.count += decoded.count
        self.taken.rejected += len(decoded.errors)
        for error in decoded.errors[: LISTED_ERRORS - len(self.taken.errors)]:
            moved = RowError(error.index + offset, error.field, error.value, error.reason, b"")
            self.taken.errors.append(moved)


def sentence(error: RowError) -> str:
    """What is wrong with a row."""
    return f"{error.field}: {error.value!r} {error.reason}"


def listed(error: RowError, lines: bool) -> dict[str, Any]:
    """A bad row as it is told."""
    place = {"index": error.index, **({"line": error.index + 1} if lines else {})}
    return {**place, "field": error.field, "value": error.value, "reason": error.reason}


def _fate(index: int, receipt: Receipt) -> dict[str, Any]:
    if receipt.conflicts:
        return {"index": index, "result": "conflict"}
    return {"index": index, "result": "duplicate" if receipt.duplicates else "accepted"}
