"""Idempotency keys: a repeated request gets the answer of the first.

After the IETF draft "The Idempotency-Key HTTP Header Field". Answers are kept for a day in the
store's settings, spread over many slots, so that old ones go when a slot is written again and no
slot grows large. Before rows without a time are taken, those that they get are kept: a repetition
after a crash gives them the same ones again, and so they are recognised.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import numpy as np
from fastapi import Request
from starlette.types import Message

from redshank.core.batch import Times
from redshank.core.clock import DAY, Instants
from redshank.core.ports import Commit
from redshank.core.queries import Setting
from redshank.services.api.problems import Problem
from redshank.services.context import Context

HEADER = "idempotency-key"
KEPT = DAY
"""Microseconds for which an answer is kept."""
LONGEST = 255
_SLOTS = 65_536

Entry = dict[str, Any]
Span = tuple[int, int]
"""The first of consecutive microseconds, and how many they are."""


class Repeat:
    """What all tries of one request share: its name, and the times of rows that have none.

    Args:
        name: of the request.
        spans: times that earlier tries got.
        instants: where more come from.
        keep: writes them down.
    """

    def __init__(
        self,
        name: str,
        spans: Sequence[Span],
        instants: Instants,
        keep: Callable[[Sequence[Span]], Awaitable[None]],
    ) -> None:
        self.name = name
        self._spans = spans
        self._instants = instants
        self._keep = keep
        self._used = 0

    async def times(self, count: int) -> Times:
        """The next of them: (count,) microseconds, the same for every try.

        Raises:
            StoreError: they could not be written down.
        """
        start, end = self._used, self._used + count
        known = sum(size for _, size in self._spans)
        if end > known:
            # As many again as there are: a body in many pieces needs few writes.
            more = max(end - known, known)
            spans = [*self._spans, (self._instants.take(more), more)]
            await self._keep(spans)
            self._spans = spans
        self._used = end
        parts = []
        for first, size in self._spans:
            parts.append(np.arange(first + max(start, 0), first + min(size, end)))
            start, end = start - size, end - size
        return np.concatenate(parts)


class HashedRequest(Request):
    """A request that takes the fingerprint of its body as it is read."""

    def __init__(self, request: Request) -> None:
        self._digest = hashlib.sha256()
        for name in ("content-type", "content-encoding"):
            self._digest.update(f"{name}:{request.headers.get(name, '')}\n".encode())
        inner = request.receive

        async def receive() -> Message:
            message = await inner()
            if message["type"] == "http.request":
                self._digest.update(message.get("body", b""))
            return message

        super().__init__(request.scope, receive)

    async def fingerprint(self) -> str:
        """The fingerprint of all of the body; reads what has not been read."""
        if not self._stream_consumed:
            async for _ in self.stream():
                pass
        return self._digest.hexdigest()


class Idempotency:
    """The answers that are kept."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._busy: set[str] = set()
        self._writing = asyncio.Lock()

    def begin(self, key: str) -> None:
        """A request with this key begins.

        Raises:
            Problem: 409 another one is under way, 422 it is no key.
        """
        if not 0 < len(key) <= LONGEST:
            raise Problem(422, f"Idempotency-Key: has {len(key)} characters, not 1 to {LONGEST}")
        if key in self._busy:
            detail = "a request with the same Idempotency-Key is under way; wait for its answer"
            raise Problem(409, detail, headers={"Retry-After": "1"})
        self._busy.add(key)

    def end(self, key: str) -> None:
        """A request with this key has ended."""
        self._busy.discard(key)

    async def known(self, key: str, request: HashedRequest) -> dict[str, Any] | None:
        """The answer that was given to this request before, None if it is a new one.

        Raises:
            Problem: 422 another body came with the same key.
        """
        entries = await self._entries(_slot(key))
        entry = entries.get(_name(key))
        if entry is None or "answer" not in entry or self._is_old(entry):
            return None
        if entry["body"] != await request.fingerprint():
            raise Problem(
                422, "Idempotency-Key: was used for another body; a new request needs a new key"
            )
        answer: dict[str, Any] = entry["answer"]
        return answer

    async def keep(self, key: str, request: HashedRequest, answer: dict[str, Any]) -> None:
        """Remember an answer, on the disk too."""
        now, body = self._context.clock.now(), await request.fingerprint()
        await self._write(key, {"time": now, "body": body, "answer": answer})

    async def first(self, key: str) -> Repeat:
        """What this request shares with earlier tries that were not answered."""
        entry = (await self._entries(_slot(key))).get(_name(key))
        held = [] if entry is None or self._is_old(entry) else entry.get("spans", [])
        spans = [(int(first), int(size)) for first, size in held]

        async def keep(spans: Sequence[Span]) -> None:
            await self._write(key, {"time": self._context.clock.now(), "spans": spans})

        return Repeat(_name(key), spans, self._context.instants, keep)

    async def _write(self, key: str, entry: Entry) -> None:
        slot = _slot(key)
        async with self._writing:
            entries = await self._entries(slot)
            kept = {name: one for name, one in entries.items() if not self._is_old(one)}
            commit = Commit(settings={slot: {**kept, _name(key): entry}})
            await asyncio.wrap_future(self._context.runner.write(commit))

    def _is_old(self, entry: Entry) -> bool:
        return self._context.clock.now() - int(entry["time"]) > KEPT

    async def _entries(self, slot: str) -> dict[str, Entry]:
        found = await asyncio.to_thread(self._context.store.read, Setting(slot))
        entries: dict[str, Entry] = found or {}
        return entries


def _name(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()


def _slot(key: str) -> str:
    return f"idempotency.{int(_name(key)[:8], 16) % _SLOTS}"
