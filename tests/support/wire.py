"""Bytes on a bare socket, for what no HTTP client would send."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

WAIT = 30.0


@contextmanager
def connected(port: int) -> Iterator[socket.socket]:
    """A connection to the server."""
    with socket.create_connection(("127.0.0.1", port), WAIT) as wire:
        yield wire


def exchange(port: int, sent: bytes) -> bytes:
    """All that comes back until the server closes; empty if it only closes."""
    with connected(port) as wire:
        try:
            wire.sendall(sent)
            wire.shutdown(socket.SHUT_WR)
        except OSError:  # refused before all was sent; the answer may be there all the same
            pass
        return b"".join(received(wire))


def received(wire: socket.socket) -> Iterator[bytes]:
    """What comes, until the other side closes."""
    try:
        while part := wire.recv(65536):
            yield part
    except ConnectionError:
        return


def head(body_length: int | str, *more: str, kind: str = "application/x-ndjson") -> bytes:
    """The head of a ``POST /readings`` that claims so many bytes."""
    lines = [
        "POST /readings HTTP/1.1",
        "Host: 127.0.0.1",
        f"Content-Type: {kind}",
        f"Content-Length: {body_length}",
        "Connection: close",
        *more,
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def chunked(*chunks: bytes) -> bytes:
    """A chunked ``POST /readings`` with these bytes after its head, as they are."""
    lines = (
        "POST /readings HTTP/1.1",
        "Host: 127.0.0.1",
        "Content-Type: application/x-ndjson",
        "Transfer-Encoding: chunked",
        "Connection: close",
    )
    return "\r\n".join([*lines, "", ""]).encode() + b"".join(chunks)


def status(answer: bytes) -> int:
    """The status of an answer, 0 if there is none."""
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else 0
