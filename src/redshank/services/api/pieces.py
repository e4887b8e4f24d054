"""Bodies of lines, read in pieces of whole lines, so that their size does not matter."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

from fastapi import Request

from redshank.services.api.body import LARGE, content_encoding
from redshank.services.api.unpacking import Unpacker, check_growth

PIECE = 1024 * 1024
"""About so many bytes are decoded and handed over at once."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Some lines of a body.

    Attributes:
        content: whole lines; one that was longer than allowed is cut a byte after that length.
        first: whether it begins the body.
        last: whether it ends the body.
    """

    content: bytes
    first: bool
    last: bool

    @property
    def whole(self) -> bool:
        """Whether it is all of the body."""
        return self.first and self.last


async def pieces(request: Request, limit: int, longest: int) -> AsyncIterator[Piece]:
    """The pieces of a request's body, unpacked; always at least one.

    Args:
        request: its body has not been read.
        limit: bytes to which a body may unpack whatever its size.
        longest: longest line, bytes.

    Raises:
        Problem: 413 it is a bomb, 415 its encoding is unknown.
        FileFormatError: what is packed is damaged or ends early.
    """
    cutter = Cutter(longest)
    first = True
    async for data in _unpacked(request, limit):
        for ready in cutter.add(data):
            yield Piece(ready, first, False)
            first = False
    yield Piece(cutter.rest(), first, True)


class Cutter:
    """Cuts bytes into pieces of whole lines, and lines that are too long down to size."""

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._parts: list[bytes] = []
        self._size = 0
        self._line = 0

    def add(self, data: bytes) -> Iterator[bytes]:
        """The pieces that are ready with these bytes."""
        end = data.rfind(b"\n") + 1
        self._keep(data[:end])
        if end and self._size >= PIECE:
            yield self.rest()
        self._keep(data[end:])

    def rest(self) -> bytes:
        """All that has not been given out."""
        content = b"".join(self._parts)
        self._parts.clear()
        self._size = 0
        return content

    def _keep(self, data: bytes) -> None:
        """Keep whole lines or the beginning of one, without what is over a line's length."""
        start = data.find(b"\n")
        head = data if start < 0 else data[:start]
        room = max(0, self._longest + 1 - self._line)
        self._line = self._line + len(head) if start < 0 else 0
        if len(head) <= room:
            self._append(data)
            return
        self._append(head[:room])
        self._append(data[len(head) :])

    def _append(self, data: bytes) -> None:
        if data:
            self._parts.append(data)
            self._size += len(data)


async def _unpacked(request: Request, limit: int) -> AsyncIterator[bytes]:
    """The body's bytes as they come, unpacked."""
    encoding = content_encoding(request)
    if encoding is None:
        async for data in request.stream():
            yield data
        return
    unpacker = Unpacker(encoding)
    async for data in request.stream():
        content = unpacker.feed(data)
        small = len(data) < LARGE // 8
        while part := next(content, b"") if small else await asyncio.to_thread(next, content, b""):
            check_growth(unpacker, limit)
            yield part
    unpacker.finish()
