"""The ingest role: pumps sources into the bus, as fast as they are scored and stored."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from concurrent.futures import Future
from contextlib import asynccontextmanager
from functools import partial

from redshank.core.errors import OverloadedError, SourceError, StoreError
from redshank.core.ports import AcknowledgedSource, Bus, Parcel, Receipt, Source
from redshank.core.queries import Cursor
from redshank.services.context import Context, Progress

AHEAD = 4
"""Parcels of one source that may wait in the queue, so that reading and scoring overlap."""


class Ingest:
    """One source on its way into the store.

    Args:
        context: bus, store and where progress is told.
        source: read from its stored cursor on.
        restart: for sources without an end: seconds to wait before reading on after an error.
    """

    def __init__(self, context: Context, source: Source, restart: float | None = None) -> None:
        self._context = context
        self._source = source
        self._restart = restart
        self._total = Receipt()

    @property
    def total(self) -> Receipt:
        """What became of everything so far."""
        return self._total

    async def run(self) -> None:
        """Read until the source ends.

        Raises:
            SourceError: it cannot be read, and it is not one that is tried again.
            StoreError: readings could not be kept, likewise.
        """
        while True:
            try:
                await self._read()
                return
            except (SourceError, StoreError) as error:
                self._tell(None, "cannot be read", str(error))
                self._context.telemetry.log.warning(
                    "source cannot be read", source=self._source.name, error=str(error)
                )
                if self._restart is None:
                    raise
                await asyncio.sleep(self._restart)

    async def _read(self) -> None:
        cursor = self._context.store.read(Cursor(self._source.name))
        waiting: deque[asyncio.Future[Receipt]] = deque()
        gap = asyncio.Event()
        done: Future[Receipt] | None = None
        async with _closing(self._source.parcels(cursor)) as parcels:
            async for parcel in parcels:
                done = await _published(self._context.bus, parcel, self._source.name, done)
                waiting.append(asyncio.wrap_future(done))
                waiting[-1].add_done_callback(partial(self._acknowledged, parcel, gap))
                if len(waiting) >= AHEAD:
                    await waiting.popleft()
            while waiting:
                await waiting.popleft()

    def _acknowledged(
        self, parcel: Parcel, gap: asyncio.Event, done: asyncio.Future[Receipt]
    ) -> None:
        if done.cancelled() or done.exception() is not None:
            gap.set()
        if gap.is_set():
            return  # the reader hears of it; what came after the gap comes again with it
        if isinstance(self._source, AcknowledgedSource):
            self._source.acknowledge(parcel)
        self._total = add(self._total, done.result())
        self._tell(parcel.progress, f"{self._total.stored:,} readings")

    def _tell(self, part: float | None, text: str, error: str = "") -> None:
        self._context.progress.post(Progress(self._source.name, part, text, error))


def add(a: Receipt, b: Receipt) -> Receipt:
    """Both receipts in one."""
    return Receipt(*(getattr(a, name) + getattr(b, name) for name in Receipt.__slots__))


async def deliver(bus: Bus, parcel: Parcel, source: str) -> Receipt:
    """What became of a parcel, once there is room for it and it is durable and scored."""
    return await asyncio.wrap_future(await _published(bus, parcel, source))


async def _published(
    bus: Bus, parcel: Parcel, source: str, after: Future[Receipt] | None = None
) -> Future[Receipt]:
    while True:
        try:
            return bus.publish(parcel, source, after)
        except OverloadedError as full:
            await asyncio.sleep(full.retry_after)


@asynccontextmanager
async def _closing(parcels: AsyncIterator[Parcel]) -> AsyncIterator[AsyncIterator[Parcel]]:
    """The parcels, and the end of what the source holds open for them."""
    try:
        yield parcels
    finally:
        if isinstance(parcels, AsyncGenerator):
            await parcels.aclose()


async def pump(ingests: list[Ingest]) -> None:
    """Run all sources side by side; one that fails does not stop the others.

    Raises:
        BaseException: the first failure, once all have ended.
    """
    results = await asyncio.gather(*(i.run() for i in ingests), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
