"""Politeness and patience towards one host: few requests, far enough apart, repeated with care."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import httpx
import orjson

from redshank import __version__
from redshank.core.clock import Clock, SystemClock, to_micros
from redshank.core.errors import NotFoundError, SourceError

T = TypeVar("T")

_LARGEST_BODY = 64 * 1024 * 1024
_PASSING = frozenset((408, 425, 429, 500, 502, 503, 504))
_GO_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|us|µs|ns|h|m|s)")
_GO_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_MARKUP = re.compile(r"<[^>]*>")


class BrokenAnswer(ValueError):  # noqa: N818
    """A body that is not what was asked for, whatever its status says; worth asking again."""


class PoliteHttp:
    """Asks at most two things at a time and at least a second apart, and asks again when it fails.

    Args:
        url: the server, e.g. ``https://api.opensensemap.org``.
        contact: an address in the User-Agent, for the people who run the server.
        spacing: seconds between two requests.
        attempts: how often to ask before giving up on a request.
        first_wait: seconds before the second attempt; doubles each time up to a minute.
        patience: seconds that may be waited for failing requests over the whole life of this
            object; None for ever, as for a source that never ends.
        clock: for spacing.
        sleep: how to wait, in seconds.
    """

    def __init__(
        self,
        url: str,
        *,
        contact: str = "",
        spacing: float = 1.0,
        attempts: int = 5,
        first_wait: float = 2.0,
        patience: float | None = None,
        clock: Clock | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        _check_address(url)
        agent = f"redshank/{__version__}" + (f" (+{contact})" if contact else "")
        self.url = url.rstrip("/")
        self._agent = agent
        self._opened: httpx.AsyncClient | None = None
        self._spacing, self._attempts, self._first_wait = spacing, attempts, first_wait
        self._patience = patience
        self._clock = clock or SystemClock()
        self._sleep = sleep
        self._at_once = asyncio.Semaphore(2)
        self._turn = asyncio.Lock()
        self._next = 0.0

    async def aclose(self) -> None:
        """Close the connections; a later question opens new ones."""
        opened, self._opened = self._opened, None
        if opened is not None:
            await opened.aclose()

    @property
    def _http(self) -> httpx.AsyncClient:
        """The connections; made at the first question, as loading certificates takes its time."""
        if self._opened is None:
            self._opened = httpx.AsyncClient(
                headers={"User-Agent": self._agent},
                timeout=httpx.Timeout(90.0, connect=10.0),
                limits=httpx.Limits(max_connections=2),
                follow_redirects=True,
            )
        return self._opened

    async def get(
        self,
        path: str,
        query: Mapping[str, str],
        parse: Callable[[bytes], T],
        accept: str = "application/json",
    ) -> T:
        """The parsed answer, after as many attempts as it takes and patience allows.

        Args:
            path: below the server's address.
            query: its parameters.
            parse: raises :class:`BrokenAnswer` where the body is not what was asked for.
            accept: media type that is asked for.

        Raises:
            NotFoundError: there is no such thing.
            SourceError: the server cannot be reached or refuses.
        """
        wait = self._first_wait
        for attempt in range(1, self._attempts + 1):
            try:
                return parse(await self._ask(path, query, accept))
            except (httpx.RequestError, BrokenAnswer, _PassingError) as error:
                asked = error.wait if isinstance(error, _PassingError) else None
                # Jitter, so that many clients do not come back at the same moment.
                pause = asked if asked is not None else wait * random.uniform(0.5, 1.0)
                if attempt == self._attempts or not self._affords(pause):
                    why = str(error) or type(error).__name__
                    times = "once" if attempt == 1 else f"{attempt} times"
                    raise SourceError(f"{self.url}{path} failed {times}, last: {why}") from error
                await self._sleep(pause)
                wait = min(60.0, wait * 2)
        raise AssertionError("unreachable")

    def _affords(self, pause: float) -> bool:
        """Take the pause out of what may be waited altogether."""
        if self._patience is None:
            return True
        self._patience -= pause
        return self._patience >= 0

    async def _ask(self, path: str, query: Mapping[str, str], accept: str) -> bytes:
        headers = {"Accept": accept}
        async with self._at_once:
            await self._wait_for_turn()
            url = self.url + path
            async with self._http.stream("GET", url, params=query, headers=headers) as answer:
                body = bytearray()
                async for part in answer.aiter_bytes():
                    body += part
                    if len(body) > _LARGEST_BODY:
                        raise SourceError(f"{url}: the answer is larger than 64 MiB")
        if answer.status_code == 200:
            return bytes(body)
        detail = f"{answer.status_code} {_said(bytes(body))}".strip()
        if answer.status_code in _PASSING or answer.status_code >= 500:
            raise _PassingError(detail, self._told_to_wait(answer.headers))
        if answer.status_code == 404:
            raise NotFoundError(f"{self.url}{path} does not exist")
        raise SourceError(f"{self.url}{path} was refused: {detail}")

    def _told_to_wait(self, headers: Mapping[str, str]) -> float | None:
        """What the server asks for holds for all requests, not only for the one that it refused."""
        seconds = retry_after(headers, self._clock.now())
        if seconds is not None:
            self._next = max(self._next, self._clock.monotonic() + seconds)
        return seconds

    async def _wait_for_turn(self) -> None:
        async with self._turn:
            now = self._clock.monotonic()
            if now < self._next:
                await self._sleep(self._next - now)
            self._next = max(now, self._next) + self._spacing


class _PassingError(Exception):
    """The server asks to come back later."""

    def __init__(self, detail: str, wait: float | None) -> None:
        super().__init__(detail)
        self.wait = wait


async def together(work: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """All results; the first failure ends all."""
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


def retry_after(headers: Mapping[str, str], now: int) -> float | None:
    """Seconds to wait that an answer asks for, at most ten minutes; None if it does not say.

    Understood are ``Retry-After`` (seconds or a date) and the ``X-RateLimit-RetryAfter`` of the
    Caddy proxy in front of openSenseMap (a Go duration, e.g. ``1m2.5s``).
    """
    plain, proxy = headers.get("Retry-After"), headers.get("X-RateLimit-RetryAfter")
    seconds: float | None = None
    if plain is not None:
        try:
            seconds = float(plain)
        except ValueError:
            seconds = _until_date(plain, now)
    elif proxy is not None and (parts := _GO_DURATION.findall(proxy)):
        seconds = sum(float(amount) * _GO_UNITS[unit] for amount, unit in parts)
    return None if seconds is None or seconds != seconds else min(max(seconds, 0.0), 600.0)


def _until_date(text: str, now: int) -> float | None:
    try:
        return (to_micros(parsedate_to_datetime(text)) - now) / 1e6
    except ValueError:
        return None


def _said(body: bytes) -> str:
    """What an error's body says to people, whether JSON of the API or a proxy's page."""
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        text = _MARKUP.sub(" ", body[:2000].decode("utf-8", "replace"))
        return " ".join(text.split())[:200]
    if isinstance(found, dict):
        words = [found.get(key) for key in ("code", "message", "error")]
        return ": ".join(dict.fromkeys(str(word) for word in words if word))[:200]
    return str(found)[:200]


def _check_address(url: str) -> None:
    try:
        usable = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise SourceError(f"openSenseMap address {url!r} cannot be used: {error}") from error
    if usable.scheme not in ("http", "https") or not usable.host:
        raise SourceError(f"openSenseMap address {url!r} cannot be used: begin it with https://")
