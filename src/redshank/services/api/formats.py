"""The formats in which readings come, by content type."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from redshank.core.config import Config
from redshank.core.csv_readings import CsvDecoder
from redshank.core.decode import decode_json, decode_ndjson
from redshank.core.decoded import Decoded
from redshank.core.line_protocol import decode_lines
from redshank.core.series import Naming
from redshank.services.api.pieces import Piece
from redshank.services.api.problems import Problem

Decode = Callable[[Piece, int], Decoded]
"""``decode(piece, arrival)``: the rows of the next piece of one body."""

JSON = ("application/json",)
NDJSON = ("application/x-ndjson", "application/ndjson", "application/jsonl")
CSV = ("text/csv", "application/csv")
LINES = ("application/vnd.influx.line", "application/x-influx-line")
PLAIN = ("text/plain",)


def naming(config: Config) -> Naming:
    """How metrics become sensors and channels."""
    return Naming(config.line_sensor_tags, frozenset(config.line_containers))


def decoder(kind: str, config: Config) -> Decode:
    """A decoder for one body of a content type.

    Raises:
        Problem: 415 it is unknown.
    """
    if kind in JSON:
        return partial(_json, naming(config))
    if kind in NDJSON:
        return partial(_ndjson, naming(config), config.max_line_bytes)
    if kind in CSV:
        return partial(_csv, CsvDecoder(config.max_line_bytes))
    if kind in LINES:
        return line_decoder(config)
    if kind in PLAIN:
        return _Plain(config).decode
    known = ", ".join((JSON[0], NDJSON[0], CSV[0], LINES[0], PLAIN[0]))
    raise Problem(415, f"Content-Type: {kind!r} is not understood; use one of {known}")


def line_decoder(config: Config, precision: str = "ns") -> Decode:
    """A decoder of line protocol."""
    return partial(_lines, naming(config), precision, config.max_line_bytes)


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

    def decode(self, piece: Piece, arrival: int) -> Decoded:
        """The rows of the next piece."""
        if self._decode is None:
            self._decode = decoder(self._kind(piece), self._config)
        return self._decode(piece, arrival)

    def _kind(self, piece: Piece) -> str:
        start = piece.content[:1000].lstrip()[:1]
        if start == b"[" and piece.whole:
            return JSON[0]
        return NDJSON[0] if start in (b"{", b"[") else LINES[0]
