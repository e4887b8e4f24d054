"""A small blocking HTTP client: one connection, opened again when it breaks, little overhead."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any
from urllib.parse import urlencode

import orjson

NDJSON = {"Content-Type": "application/x-ndjson"}
BROKEN = (OSError, http.client.HTTPException)
"""What a call raises when the other side went away."""


@dataclass(frozen=True)
class Answer:
    """An answer; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The parsed body."""
        return orjson.loads(self.body)


class Client:
    """Calls one server over one connection.

    Args:
        host: where it is.
        port: where it listens.
        timeout: seconds that it may be silent.
    """

    def __init__(self, host: str, port: int, timeout: float = 60.0) -> None:
        self._connection = http.client.HTTPConnection(host, port, timeout=timeout)

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._connection.close()

    def get(self, path: str, query: Mapping[str, Any] | None = None) -> Any:
        """The parsed answer to a GET; anything but 200 is an error."""
        target = path + ("?" + urlencode(query, doseq=True) if query else "")
        try:
            answer = self.call("GET", target)
        except http.client.RemoteDisconnected:  # the server closes what was idle for some seconds
            answer = self.call("GET", target)
        if answer.status != 200:
            raise AssertionError(f"GET {target}: {answer.status} {answer.body[:500]!r}")
        return answer.json()

    def post_lines(self, rows: Iterable[Any]) -> Answer:
        """The answer to readings sent as NDJSON."""
        return self.call("POST", "/readings", b"\n".join(map(orjson.dumps, rows)), NDJSON)

    def call(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One call.

        Raises:
            OSError, http.client.HTTPException: the other side went away; the next call connects
                anew.
        """
        try:
            if self._connection.sock is None:
                self._connection.connect()
                self._connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._connection.request(method, path, body, dict(headers or {}))
            response = self._connection.getresponse()
            content = response.read()
        except BROKEN:
            self._connection.close()
            raise
        known = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, known, content)

    def answers(self, path: str) -> bool:
        """Whether a GET is answered with 200 now."""
        try:
            return self.call("GET", path).status == 200
        except BROKEN:
            return False
