"""Posts readings to a redshank, near or far: at a rate, patiently, and safe to repeat."""

from __future__ import annotations

import asyncio
import gzip
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import orjson

from redshank import __version__
from redshank.core.batch import Batch, rows
from redshank.core.clock import Clock, SystemClock, format_time
from redshank.core.errors import InputError, SourceError
from redshank.core.ports import Parcel

POST = 1000
"""Readings in one request, at most."""
_PASSING = frozenset((408, 425, 429, 500, 502, 503, 504))
_COUNTED = ("accepted", "duplicates", "conflicts", "rejected", "anomalies")


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of the readings sent so far.

    Attributes:
        sent: readings posted and answered.
        accepted: of these, taken by the server.
        duplicates: of the accepted, known before with the same values.
        conflicts: of the accepted, known before with other values.
        rejected: refused by the server, with a reason.
        anomalies: anomalous by the server's verdict.
        retries: requests that had to be repeated.
        seconds: since the start.
        progress: part of the source that is sent, 0 to 1; None if it is endless.
    """

    sent: int = 0
    accepted: int = 0
    duplicates: int = 0
    conflicts: int = 0
    rejected: int = 0
    anomalies: int = 0
    retries: int = 0
    seconds: float = 0.0
    progress: float | None = None


class Sender:
    """Posts parcels as gzipped NDJSON to ``POST /readings``.

    Every reading carries its event time, so that a repeated request changes nothing.

    Args:
        url: address of a redshank, e.g. ``http://127.0.0.1:8000``.
        api_key: sent as ``X-API-Key``.
        rate: readings per second; None for as fast as they are taken.
        attempts: how often to try a request before giving up.
        clock: for the pace.
        sleep: how to wait, in seconds.
    """

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        rate: float | None = None,
        attempts: int = 8,
        clock: Clock | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        _check_address(url)
        if rate is not None and not rate > 0:
            raise SourceError(f"rate {rate} cannot be used: it must be above 0")
        self._url = url.rstrip("/") + "/readings"
        self._headers = {
            "Content-Type": "application/x-ndjson",
            "Content-Encoding": "gzip",
            "User-Agent": f"redshank/{__version__}",
        } | ({"X-API-Key": api_key} if api_key else {})
        self._rate, self._attempts = rate, attempts
        self._clock = clock or SystemClock()
        self._sleep = sleep
        self._retries = 0

    async def send(
        self, parcels: AsyncIterator[Parcel], tell: Callable[[Sent], None] | None = None
    ) -> Sent:
        """Send everything; ends with the parcels.

        Args:
            parcels: from any source.
            tell: called after every request.

        Raises:
            SourceError: the server cannot be reached or refuses the requests.
        """
        begun = self._clock.monotonic()
        counts = dict.fromkeys(_COUNTED, 0)
        sent, total = 0, Sent()
        # Small requests keep a low rate smooth.
        size = POST if self._rate is None else max(1, min(POST, round(self._rate / 4)))
        timeout = httpx.Timeout(60.0, connect=10.0)
        async with httpx.AsyncClient(headers=self._headers, timeout=timeout) as http:
            async for parcel in parcels:
                for body, count in _bodies(parcel, size):
                    answer = await self._post(http, body)
                    sent += count
                    for name in _COUNTED:
                        counts[name] += int(answer.get(name, 0))
                    seconds = self._clock.monotonic() - begun
                    total = Sent(
                        sent,
                        **counts,
                        retries=self._retries,
                        seconds=seconds,
                        progress=parcel.progress,
                    )
                    if tell is not None:
                        tell(total)
                    await self._hold_back(sent, seconds)
        return total

    async def _hold_back(self, sent: int, seconds: float) -> None:
        if self._rate is not None:
            await self._sleep(max(0.0, sent / self._rate - seconds))

    async def _post(self, http: httpx.AsyncClient, body: bytes) -> Mapping[str, Any]:
        """The answer to a request, after as many attempts as it takes and patience allows."""
        wait, why = 0.5, ""
        for _ in range(self._attempts):
            asked: float | None = None
            try:
                answer = await http.post(self._url, content=body)
                if answer.status_code not in _PASSING:
                    return self._judged(answer)
                why = f"{answer.status_code} {answer.text[:200]}"
                asked = _retry_after(answer)
            except httpx.RequestError as error:
                why = str(error) or type(error).__name__
            self._retries += 1
            await self._sleep(asked if asked is not None else wait * random.uniform(0.5, 1.0))
            wait = min(30.0, wait * 2)
        raise SourceError(f"{self._url} failed {self._attempts} times, last: {why}")

    def _judged(self, answer: httpx.Response) -> Mapping[str, Any]:
        try:
            found = orjson.loads(answer.content)
        except orjson.JSONDecodeError:
            found = None
        # 422 with counts means that every single row was refused, which is an answer.
        if isinstance(found, dict) and (answer.status_code == 200 or "rejected" in found):
            return found
        detail = found.get("detail") if isinstance(found, dict) else None
        said = detail or answer.text[:200]
        if answer.status_code == 401:
            raise SourceError(f"{self._url} needs an API key, or another one: {said}")
        if answer.status_code == 200:
            raise SourceError(f"{self._url} does not answer like a redshank: {said!r}")
        if answer.status_code == 422:
            raise InputError(f"{self._url} refused the readings: {said}")
        raise SourceError(f"{self._url} answered {answer.status_code}: {said}")


def _check_address(url: str) -> None:
    try:
        usable = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise SourceError(f"address {url!r} cannot be used: {error}") from error
    if usable.scheme not in ("http", "https") or not usable.host:
        raise SourceError(f"address {url!r} cannot be used: begin it with http:// or https://")


def _bodies(parcel: Parcel, size: int) -> Iterator[tuple[bytes, int]]:
    """Gzipped NDJSON of at most ``size`` readings each."""
    for batch in parcel.batches:
        lines = [orjson.dumps(row) for row in _as_json(batch)]
        for first in range(0, len(lines), size):
            some = lines[first : first + size]
            yield gzip.compress(b"\n".join(some), compresslevel=1), len(some)


def _as_json(batch: Batch) -> Iterator[dict[str, Any]]:
    for reading in rows(batch):
        values = reading.values or dict.fromkeys(batch.channels)
        row: dict[str, Any] = {
            "sensor_id": reading.sensor_id,
            "timestamp": format_time(reading.time),
        }
        if reading.event_id is not None:
            row["event_id"] = reading.event_id
        yield {**reading.tags, **row, "values": values}


def _retry_after(answer: httpx.Response) -> float | None:
    try:
        return min(max(float(answer.headers.get("Retry-After", "")), 0.0), 600.0)
    except ValueError:
        return None
