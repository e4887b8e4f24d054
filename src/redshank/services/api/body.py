"""Bodies in: read and unpacked under one size limit, whatever a client claims or packs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import orjson
from fastapi import Request, Response
from fastapi.routing import APIRoute

from redshank.core.errors import FileFormatError
from redshank.services.api.problems import Problem
from redshank.services.api.unpacking import ENCODINGS, too_large, unpack

LARGE = 64 * 1024
"""Bodies from this size on are unpacked and decoded in a worker thread."""


async def read_body(request: Request, limit: int) -> bytes:
    """The body as the client meant it, at most ``limit`` bytes packed and unpacked.

    Raises:
        Problem: 413 it is larger, 415 its encoding is unknown.
        FileFormatError: what is packed is broken or ends early.
    """
    packed = await _received(request, limit)
    encoding = content_encoding(request)
    if encoding is None:
        return packed
    if len(packed) < LARGE // 8:
        return unpack(packed, limit, encoding)
    return await asyncio.to_thread(unpack, packed, limit, encoding)


def content_encoding(request: Request) -> str | None:
    """How the body is packed, None if it is not.

    Raises:
        Problem: 415 it is unknown.
    """
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding in ("identity", ""):
        return None
    encoding = encoding.removeprefix("x-")
    if encoding not in ENCODINGS:
        known = ", ".join(ENCODINGS)
        raise Problem(
            415, f"Content-Encoding: {encoding!r} is not understood; use one of {known} or none"
        )
    return encoding


def media_type(request: Request) -> str:
    """The content type without its parameters, in lower case.

    Raises:
        Problem: 415 the text is not in UTF-8.
    """
    name, *parameters = request.headers.get("content-type", "").lower().split(";")
    for parameter in parameters:
        key, _, value = parameter.strip().partition("=")
        if key == "charset" and value.strip('"') not in ("utf-8", "utf8", "us-ascii"):
            raise Problem(415, f"charset: {value!r} is not understood; send UTF-8")
    return name.strip()


class JsonRequest(Request):
    """A request whose JSON body is read under the limit and parsed by a fast, strict parser."""

    async def body(self) -> bytes:
        """The unpacked body."""
        if not hasattr(self, "_body"):
            if (kind := media_type(self)) != "application/json":
                raise Problem(
                    415, f"Content-Type: {kind!r} is not understood; use application/json"
                )
            try:
                limit: int = self.app.state.context.config.max_body_bytes
                self._body = await read_body(self, limit)
            except FileFormatError as error:
                raise Problem(400, str(error)) from error
            if not self._body.strip():
                raise Problem(400, "the body is not JSON: it is empty")
        return self._body

    async def json(self) -> Any:
        """The parsed body.

        Raises:
            Problem: 400 it is not JSON.
        """
        body = await self.body()
        try:
            if len(body) < LARGE:
                return orjson.loads(body)
            return await asyncio.to_thread(orjson.loads, body)
        except orjson.JSONDecodeError as error:
            where = f"at line {error.lineno} column {error.colno}"
            fault = {"line": error.lineno, "field": "body", "reason": error.msg}
            raise Problem(400, f"the body is not JSON: {error.msg} {where}", [fault]) from None


class JsonRoute(APIRoute):
    """A route whose body, if it has one, is read as a :class:`JsonRequest`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's hook for requests of one's own."""
        handle = super().get_route_handler()

        async def handler(request: Request) -> Response:
            return await handle(JsonRequest(request.scope, request.receive))

        return handler


async def _received(request: Request, limit: int) -> bytes:
    claimed = request.headers.get("content-length", "")
    if claimed.isdigit() and int(claimed) > limit:
        raise too_large(limit, f"has {int(claimed)}")
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise too_large(limit, "has more")
        chunks.append(chunk)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)
