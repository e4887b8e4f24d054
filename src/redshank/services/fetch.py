"""The past of boxes, on demand: into the store, or into a table."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Protocol, cast

from redshank.core.errors import NotFoundError, SourceError
from redshank.core.ports import Bus, Parcel, Receipt, Source, Store
from redshank.core.queries import Cursor, Sensors
from redshank.services.ingest import add, deliver
from redshank.services.ingest_report import BoxReport, Tell


class BoxSource(Source, Protocol):
    """The past of one box as a source that ends.

    Attributes:
        box_id: the box.
        box_name: what its owner calls it, "" until it was read.
        read: values that were read so far.
        unmapped: phenomena without a canonical channel.
    """

    box_id: str
    box_name: str
    read: int
    unmapped: Sequence[str]


async def store_box(
    bus: Bus, store: Store, source: BoxSource, again: bool = False, tell: Tell | None = None
) -> BoxReport:
    """Read a box, score and store what it brings, from where the last time ended.

    A parcel is handed over when the one before is durable: its cursor must not get ahead of a
    commit that failed.

    Args:
        bus: takes the readings.
        store: knows the cursor.
        source: the box; errors of it are said in the report.
        again: read everything once more, whatever the cursor says.
        tell: called after every parcel.

    Raises:
        StoreError: readings cannot be kept.
    """
    total, error = Receipt(), None
    waiting: asyncio.Task[Receipt] | None = None
    parcels = source.parcels(_cursor(store, source, again))
    try:
        async with aclosing(cast(AsyncGenerator[Parcel, None], parcels)):
            async for parcel in parcels:
                total = add(total, await waiting) if waiting else total
                waiting = asyncio.create_task(deliver(bus, parcel, source.name))
                if tell is not None and parcel.progress is not None:
                    tell(parcel.progress, f"{source.read:,} values read")
    except (SourceError, NotFoundError) as failure:
        error = str(failure)
    total = add(total, await waiting) if waiting else total
    return _report(source, total, error)


async def collect_box(source: BoxSource, tell: Tell | None = None) -> list[Parcel]:
    """Everything that a box brings, in memory.

    Raises:
        NotFoundError: there is no such box.
        SourceError: it cannot be read to the end.
    """
    found = []
    async for parcel in source.parcels(None):
        found.append(parcel)
        if tell is not None and parcel.progress is not None:
            tell(parcel.progress, f"{source.read:,} values read")
    return found


def _cursor(store: Store, source: BoxSource, again: bool) -> str | None:
    """How far the box is read; nothing of it where its readings were deleted since."""
    if again or not store.read(Sensors(sensor_ids=[source.box_id], limit=1)):
        return None
    return store.read(Cursor(source.name))


def _report(source: BoxSource, total: Receipt, error: str | None) -> BoxReport:
    return BoxReport(
        source.box_id,
        source.box_name,
        source.read,
        total.stored,
        total.duplicates,
        total.conflicts,
        total.flagged,
        total.anomalies,
        tuple(source.unmapped),
        error,
    )
