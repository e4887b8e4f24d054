"""The formats in which readings come, by content type."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from redshank.core.config import Config
from redshank.core.csv_readings import CsvDecoder
from redshank.core.decode import decode_json, decode_ndjson
from redshank.core.decoded import Decoded
from redshank.core.line_protocol import decode_lines
from redshank.core.media import CSV, JSON, LINES, NDJSON, PLAIN
from redshank.core.series import Naming
from redshank.services.api.pieces import Piece
from redshank.services.api.problems import Problem


class Decode(Protocol):
    """Decodes one body, piece by piece.

    Attributes:
        kind: content type of what it reads.
        details: what the bytes alone do not say.
    """

    @property
    def kind(self) -> str: ...

    @property
    def details(self) -> Mapping[str, str]: ...

    def __call__(self, piece: Piece, arrival: int) -> Decoded:
        """The rows of the next piece; ``arrival`` is when it came, microseconds."""


@dataclass(frozen=True, slots=True)
class Form:
    """How one body is read; see :class:`Decode`."""

    kind: str
    read: Callable[[Piece, int], Decoded]
    details: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, piece: Piece, arrival: int) -> Decoded:
        """The rows of the next piece."""
        return self.read(piece, arrival)


def naming(config: Config) -> Naming:
    """How metrics become sensors and channels."""
    return Naming(config.line_sensor_tags, frozenset(config.line_containers))


def decoder(kind: str, config: Config) -> Decode:
    """A decoder for one body of a content type.

    Raises:
        Problem: 415 it is unknown.
    """
    if kind in JSON:
        return Form(JSON[0], partial(_json, naming(config)))
    if kind in NDJSON:
        return Form(NDJSON[0], partial(_ndjson, naming(config), config.max_line_bytes))
    if kind in CSV:
        return Form(CSV[0], partial(_csv, CsvDecoder(config.max_line_bytes)))
    if kind in LINES:
        return line_decoder(config)
    if kind in PLAIN:
        return _Plain(config)
    known = ", ".join((JSON[0], NDJSON[0], CSV[0], LINES[0], PLAIN[0]))
    raise Problem(415, f"Content-Type: {kind!r} is not understood; use one of {known}")


def line_decoder(config: Config, precision: str = "ns") -> Decode:
    """A decoder of line protocol."""
    read = partial(_lines, naming(config), precision, config.max_line_bytes)
    return Form(LINES[0], read, {"precision": precision})


def _json(naming: Naming, piece: Piece, arrival: int) -> Decoded:
    return decode_json(piece.content, arrival=arrival, naming=naming)


def _ndjson(naming: Naming, longest: int, piece: Piece, arrival: int) -> Decoded:
    return decode_ndjson(
        piece.content, arrival=arrival, naming=naming, longest=longest, whole=piece.first
    )


def _csv(decoder: CsvDecoder, piece: Piece, arrival: int) -> Decoded:
    return decoder.decode(piece.content, arrival=arrival)


def _lines(naming: Naming, precision: str, longest: int, piece: Piece, arrival: int) -> Decoded:
    return decode_lines(
        piece.content, arrival=arrival, naming=naming, precision=precision, longest=longest
    )


class _Plain:
    """Plain text is line protocol, or JSON where it begins as JSON does."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._decode: Decode | None = None

    @property
    def kind(self) -> str:
        """What it turned out to be."""
        return self._decode.kind if self._decode else PLAIN[0]

    @property
    def details(self) -> Mapping[str, str]:
        """Those of what it turned out to be."""
        return self._decode.details if self._decode else {}

    def __call__(self, piece: Piece, arrival: int) -> Decoded:
        """The rows of the next piece."""
        if self._decode is None:
            self._decode = decoder(self._kind(piece), self._config)
        return self._decode(piece, arrival)

    def _kind(self, piece: Piece) -> str:
        start = piece.content[:1000].lstrip()[:1]
        if start == b"[" and piece.whole:
            return JSON[0]
        return NDJSON[0] if start in (b"{", b"[") else LINES[0]
