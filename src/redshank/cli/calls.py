"""The HTTP interface for commands: of a running service, or of one in this very process.

A command that edits what is stored makes the same calls either way, so that there is one
implementation of everything and one writer.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import httpx

from redshank import wiring
from redshank.cli.console import settings
from redshank.cli.serving import run_loop
from redshank.core.config import Config
from redshank.core.errors import (
    InputError,
    NotFoundError,
    RedshankError,
    SourceError,
    StoreError,
)
from redshank.services.api import create_app

T = TypeVar("T")

SECONDS = 600.0
"""How long a call may take."""
_INSIDE = "http://localhost"


class Calls:
    """Calls one interface; what it refuses is raised.

    Args:
        client: with the address and the key.
    """

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def json(self, method: str, path: str, **how: Any) -> Any:
        """The parsed answer; None where there is none."""
        answer = await self._call(method, path, **how)
        return answer.json() if answer.content else None

    async def judged(self, path: str, member: str, **how: Any) -> Any:
        """The parsed answer to a POST, also one that refuses all and says why in ``member``."""
        answer = await self._sent("POST", path, **how)
        if answer.status_code == 422 and member in answer.json():
            return answer.json()
        return _good(answer).json()

    async def text(self, path: str, **how: Any) -> str:
        """The answer as text."""
        return (await self._call("GET", path, **how)).text

    async def lines(self, path: str, **how: Any) -> AsyncIterator[Any]:
        """Parsed lines of the answer to a POST, as they come."""
        accept = {"Accept": "application/x-ndjson"}
        try:
            async with self._client.stream("POST", path, headers=accept, **how) as answer:
                if not answer.is_success:
                    await answer.aread()
                    raise _refusal(answer)
                async for line in answer.aiter_lines():
                    yield json.loads(line)
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise self._unreachable(error) from error

    async def _call(self, method: str, path: str, **how: Any) -> httpx.Response:
        return _good(await self._sent(method, path, **how))

    async def _sent(self, method: str, path: str, **how: Any) -> httpx.Response:
        try:
            return await self._client.request(method, path, **how)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._unreachable(error) from error

    def _unreachable(self, error: Exception) -> SourceError:
        why = str(error) or type(error).__name__
        return SourceError(f"{self._client.base_url} cannot be reached: {why}")


def ask(
    work: Callable[[Calls], Awaitable[T]],
    url: str | None,
    data: Path | None,
    new: bool = False,
) -> T:
    """What ``work`` answers, with the service at ``url`` or on the store of the configuration.

    Args:
        work: makes the calls.
        url: None to work on the data folder, or with the redshank that is using it.
        data: the data folder; None for that of the configuration.
        new: make a store where there is none.

    Raises:
        RedshankError: it cannot be reached, opened or done.
    """

    async def main() -> T:
        async with _calling(url, data, new) as calls:
            return await work(calls)

    return run_loop(main())


def part(name: str) -> str:
    """A name as part of a path."""
    return quote(name, safe="/")


@asynccontextmanager
async def _calling(url: str | None, data: Path | None, new: bool) -> AsyncIterator[Calls]:
    config = settings(data).config
    async with AsyncExitStack() as stack:
        inside = None
        if url is None:
            _check_store(config, new)
            try:
                service = await stack.enter_async_context(wiring.open_service(config))
            except StoreError:
                url = await running(config)
                if url is None:
                    raise
            else:
                inside = httpx.ASGITransport(create_app(service.context))
        yield Calls(await stack.enter_async_context(_client(config, url or _INSIDE, inside)))


@asynccontextmanager
async def calling(config: Config, url: str) -> AsyncIterator[Calls]:
    """Calls of the service at this address, with the key of the configuration."""
    async with _client(config, url) as client:
        yield Calls(client)


async def running(config: Config) -> str | None:
    """The address of the redshank that uses the data folder; None if it answers no calls."""
    url = wiring.noted_address(config)
    return url if url and await _answers(config, url) else None


def _check_store(config: Config, new: bool) -> None:
    if not new and not wiring.store_path(config).exists():
        raise StoreError(
            f"there is no store in {config.data_dir}: name its folder with --data, or a running "
            "redshank with --url"
        )


def _client(
    config: Config, url: str, transport: httpx.AsyncBaseTransport | None = None
) -> httpx.AsyncClient:
    key = config.api_key.get_secret_value() if config.api_key else ""
    headers = {"X-API-Key": key} if key else {}
    try:
        return httpx.AsyncClient(
            base_url=url, headers=headers, transport=transport, timeout=SECONDS
        )
    except httpx.InvalidURL as error:
        raise SourceError(f"address {url!r} cannot be used: {error}") from error


async def _answers(config: Config, url: str) -> bool:
    async with _client(config, url) as client:
        try:
            return (await client.get("/health", timeout=5.0)).is_success
        except httpx.HTTPError:
            return False


def _good(answer: httpx.Response) -> httpx.Response:
    """The answer, if it is a good one.

    Raises:
        NotFoundError, InputError: it refuses.
        StoreError: it cannot be done now.
        SourceError: another key is wanted.
    """
    if answer.is_success:
        return answer
    raise _refusal(answer)


def _refusal(answer: httpx.Response) -> RedshankError:
    try:
        detail = str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        detail = f"{answer.url} answered {answer.status_code}: {answer.text[:200]!r}"
    if answer.status_code == 401:
        return SourceError(f"{detail}; commands take it from REDSHANK_API_KEY")
    if answer.status_code == 404:
        return NotFoundError(detail)
    return InputError(detail) if answer.status_code < 500 else StoreError(detail)
