"""Packed bodies, unpacked piece by piece: gzip, deflate and zstd, never more at once than asked."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any, Protocol

from redshank.core.errors import FileFormatError
from redshank.services.api.problems import Problem

# In Python's own library from 3.14 on.
zstd: Any = import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")

STEP = 1024 * 1024
"""Most bytes that are unpacked at once."""
MOST_TIMES = 200
"""How many times its size a body may unpack to, beyond the limit for bodies; telemetry packs to a
tenth, seldom to a fiftieth."""
ENCODINGS = ("gzip", "deflate", "zstd")

_GZIP = 16 + zlib.MAX_WBITS
_WINDOW_LOG = 23  # RFC 8878: decoders should take 8 MiB


class _Member(Protocol):
    """One stream within a body, e.g. a gzip member or a zstd frame."""

    def decompress(self, data: bytes, max_length: int = ..., /) -> bytes: ...

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...


class Unpacker:
    """Unpacks one body; several gzip members or zstd frames one after the other are one body.

    Args:
        encoding: one of :data:`ENCODINGS`.
    """

    def __init__(self, encoding: str) -> None:
        self._encoding = encoding
        self._member: Any = None
        self.packed = 0
        self.unpacked = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The content of the next bytes, at most ``STEP`` bytes at a time.

        Raises:
            FileFormatError: they are damaged.
        """
        self.packed += len(data)
        rest = data
        while rest:
            if self._member is None:
                rest = rest.lstrip(b"\0") if self._encoding == "gzip" and self.unpacked else rest
                if not rest:
                    return
                self._member = _MEMBERS[self._encoding](rest)
            yield from self._content(rest)
            if self._member is None or not self._member.eof:
                return
            rest, self._member = self._member.unused_data, None

    def finish(self) -> None:
        """Nothing more comes.

        Raises:
            FileFormatError: the body ends early.
        """
        if self._member is not None or not self.packed:
            raise FileFormatError(self._broken("ends early"))

    def _content(self, data: bytes) -> Iterator[bytes]:
        while True:
            try:
                part = self._member.decompress(data, STEP)
            except (zlib.error, zstd.ZstdError, EOFError) as error:
                raise FileFormatError(self._broken(f"is damaged ({error})")) from error
            if part:
                self.unpacked += len(part)
                yield part
            data = getattr(self._member, "unconsumed_tail", b"")
            if self._member.eof or not (data or _has_more(self._member, part)):
                return

    def _broken(self, how: str) -> str:
        return (
            f"the {self._encoding} body {how}: {self.packed} bytes in, {self.unpacked} out; "
            "send it again"
        )


def unpack(packed: bytes, limit: int, encoding: str = "gzip") -> bytes:
    """The content of a packed body; stops as soon as it grows over ``limit`` bytes.

    Raises:
        Problem: 413 it unpacks to more.
        FileFormatError: it is damaged, or ends early.
    """
    unpacker = Unpacker(encoding)
    parts: list[bytes] = []
    for part in unpacker.feed(packed):
        parts.append(part)
        if unpacker.unpacked > limit:
            raise too_large(limit, "unpacks to more")
    unpacker.finish()
    return b"".join(parts)


def check_growth(unpacker: Unpacker, limit: int) -> None:
    """Refuse a body that unpacks to far more than any real one does.

    Raises:
        Problem: 413 it is a bomb.
    """
    if unpacker.unpacked > limit + MOST_TIMES * unpacker.packed:
        raise too_large(limit, f"unpacks to more than {MOST_TIMES} times its size")


def too_large(limit: int, how: str) -> Problem:
    """The answer to a body over the limit."""
    return Problem(
        413,
        f"the body may have {limit} bytes after unpacking and {how}; send it in parts or raise "
        "REDSHANK_MAX_BODY_BYTES",
    )


def _has_more(member: Any, part: bytes) -> bool:
    """Whether a member may have more to give without new input."""
    return len(part) == STEP or (bool(part) and not getattr(member, "needs_input", True))


def _gzip(start: bytes) -> _Member:
    return zlib.decompressobj(_GZIP)


def _deflate(start: bytes) -> _Member:
    """RFC 9110 means the zlib format; some clients send raw deflate."""
    zlib_header = len(start) > 1 and start[0] & 0x0F == 8 and (start[0] << 8 | start[1]) % 31 == 0
    return zlib.decompressobj(zlib.MAX_WBITS if zlib_header else -zlib.MAX_WBITS)


def _zstd(start: bytes) -> _Member:
    options: dict[int, int] = {zstd.DecompressionParameter.window_log_max: _WINDOW_LOG}
    member: _Member = zstd.ZstdDecompressor(options=options)
    return member


_MEMBERS: dict[str, Callable[[bytes], _Member]] = {
    "gzip": _gzip,
    "deflate": _deflate,
    "zstd": _zstd,
}
