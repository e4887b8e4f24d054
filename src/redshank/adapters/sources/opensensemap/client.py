"""A polite, patient HTTP client for the openSenseMap API."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import httpx

from redshank import __version__
from redshank.adapters.sources.opensensemap.answers import (
    BadMeasurement,
    Box,
    BrokenAnswer,
    Measurement,
    format_query_time,
    parse_box,
    parse_json,
    parse_measurements,
)
from redshank.core.clock import DAY, Clock, SystemClock, to_micros
from redshank.core.errors import NotFoundError, SourceError

T = TypeVar("T")

PAGE = 10_000
"""Most rows that the server returns at once; it does not say that it cut."""
MILLISECOND = 1000
LONGEST_WINDOW = 31 * DAY
_LARGEST_BODY = 64 * 1024 * 1024
_PASSING = frozenset((408, 425, 429, 500, 502, 503, 504))
_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")
_GO_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|us|µs|ns|h|m|s)")
_GO_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}


class OpenSenseMapClient:
    """Asks at most two things at a time and at least a second apart, and asks again when it fails.

    Args:
        url: the server, e.g. ``https://api.opensensemap.org``.
        contact: an address in the User-Agent, for the people who run the server.
        spacing: seconds between two requests.
        attempts: how often to ask before giving up on a request.
        first_wait: seconds before the second attempt; doubles each time up to a minute.
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
        clock: Clock | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        _check_address(url)
        agent = f"redshank/{__version__}" + (f" (+{contact})" if contact else "")
        self._url = url.rstrip("/")
        self._http = httpx.AsyncClient(
            headers={"User-Agent": agent, "Accept": "application/json"},
            timeout=httpx.Timeout(90.0, connect=10.0),
            limits=httpx.Limits(max_connections=2),
            follow_redirects=True,
        )
        self._spacing, self._attempts, self._first_wait = spacing, attempts, first_wait
        self._clock = clock or SystemClock()
        self._sleep = sleep
        self._at_once = asyncio.Semaphore(2)
        self._turn = asyncio.Lock()
        self._next = 0.0

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def box(self, box_id: str) -> Box:
        """A box with its sensors and their newest values.

        Raises:
            NotFoundError: there is no such box.
            SourceError: the server cannot be reached or refuses.
        """
        if not _ID.fullmatch(box_id):
            raise NotFoundError(f"box {box_id!r} cannot exist: an id has letters and digits only")
        return await self._get(f"/boxes/{box_id}", {}, parse_box)

    async def pages(
        self, box_id: str, sensor_id: str, start: int, end: int
    ) -> AsyncIterator[tuple[list[Measurement], list[BadMeasurement]]]:
        """One sensor's measurements between two times, ends included, newest first, page by page.

        The server cuts at 10,000 rows without saying so; a full page is followed by another one up
        to its oldest row. Rows at the seam come twice.

        Args:
            box_id: the box.
            sensor_id: the sensor's id on the server.
            start: microseconds.
            end: microseconds, at most 31 days later.

        Raises:
            SourceError: the server cannot be reached or refuses.
        """
        path = f"/boxes/{box_id}/data/{sensor_id}"
        while start <= end:
            span = {"from-date": format_query_time(start), "to-date": format_query_time(end)}
            good, bad = await self._get(path, span, parse_measurements)
            yield good, bad
            if len(good) + len(bad) < PAGE or not good:
                return
            oldest = min(measurement.time for measurement in good)
            end = oldest if oldest < end // MILLISECOND * MILLISECOND else end - MILLISECOND

    async def _get(self, path: str, query: Mapping[str, str], parse: Callable[[Any], T]) -> T:
        """The parsed answer, after as many attempts as it takes and patience allows."""
        wait = self._first_wait
        for attempt in range(1, self._attempts + 1):
            try:
                return parse(parse_json(await self._ask(path, query)))
            except (httpx.RequestError, BrokenAnswer, _PassingError) as error:
                if attempt == self._attempts:
                    why = str(error) or type(error).__name__
                    reason = f"{self._url}{path} failed {attempt} times, last: {why}"
                    raise SourceError(reason) from error
                asked = error.wait if isinstance(error, _PassingError) else None
                # Jitter, so that many clients do not come back at the same moment.
                await self._sleep(asked if asked is not None else wait * random.uniform(0.5, 1.0))
                wait = min(60.0, wait * 2)
        raise AssertionError("unreachable")

    async def _ask(self, path: str, query: Mapping[str, str]) -> bytes:
        async with self._at_once:
            await self._wait_for_turn()
            async with self._http.stream("GET", self._url + path, params=query) as answer:
                body = bytearray()
                async for part in answer.aiter_bytes():
                    body += part
                    if len(body) > _LARGEST_BODY:
                        raise SourceError(f"{self._url}{path}: the answer is larger than 64 MiB")
        if answer.status_code == 200:
            return bytes(body)
        detail = f"{answer.status_code} {bytes(body[:200]).decode('utf-8', 'replace')}"
        if answer.status_code in _PASSING or answer.status_code >= 500:
            raise _PassingError(detail, retry_after(answer.headers, self._clock.now()))
        if answer.status_code == 404:
            raise NotFoundError(f"{self._url}{path} does not exist")
        raise SourceError(f"{self._url}{path} was refused: {detail}")

    async def _wait_for_turn(self) -> None:
        async with self._turn:
            now = self._clock.monotonic()
            if now < self._next:
                await self._sleep(self._next - now)
            self._next = max(now, self._next) + self._spacing


def _check_address(url: str) -> None:
    try:
        usable = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise SourceError(f"openSenseMap address {url!r} cannot be used: {error}") from error
    if usable.scheme not in ("http", "https") or not usable.host:
        raise SourceError(f"openSenseMap address {url!r} cannot be used: begin it with https://")


class _PassingError(Exception):
    """The server asks to come back later."""

    def __init__(self, detail: str, wait: float | None) -> None:
        super().__init__(detail)
        self.wait = wait


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
