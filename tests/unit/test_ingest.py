"""The ingest role: what a source is told, and when it is read again."""

import asyncio
from types import SimpleNamespace

import pytest

from redshank.adapters.bus.memory import MemoryBus
from redshank.core.errors import SourceError, StoreError
from redshank.core.ports import Parcel, Receipt
from redshank.core.telemetry import Telemetry, make_logger
from redshank.services.context import ProgressBoard
from redshank.services.ingest import Ingest

PARCELS = [Parcel(cursor=str(i)) for i in range(6)]


class Kept:
    """A source whose sender keeps parcels until they are acknowledged."""

    name = "kept"

    def __init__(self, failures=0):
        self.acknowledged = []
        self.closed = 0
        self.started = 0
        self._failures = failures

    async def parcels(self, cursor):
        self.started += 1
        if self.started <= self._failures:
            raise SourceError("refused")
        try:
            for parcel in PARCELS:
                yield parcel
        finally:
            self.closed += 1

    def acknowledge(self, parcel):
        self.acknowledged.append(parcel.cursor)


class Bus(MemoryBus):
    """Answers each parcel at once; those of these cursors fail."""

    def __init__(self, broken=()):
        super().__init__()
        self.broken = set(broken)

    def publish(self, parcel, source, after=None):
        done = super().publish(parcel, source)
        if parcel.cursor in self.broken:
            self.broken.remove(parcel.cursor)
            done.set_exception(StoreError("disk full"))
        else:
            done.set_result(Receipt(stored=1))
        return done


def ingest(source, bus, restart=None):
    context = SimpleNamespace(
        bus=bus,
        store=SimpleNamespace(read=lambda query: None),
        telemetry=Telemetry(make_logger("ERROR", "text")),
        progress=ProgressBoard(),
    )
    return Ingest(context, source, restart)


def test_every_durable_parcel_is_acknowledged_in_order():
    source = Kept()
    role = ingest(source, Bus())
    asyncio.run(role.run())
    assert source.acknowledged == [parcel.cursor for parcel in PARCELS]
    assert role.total.stored == len(PARCELS)
    assert source.closed == 1


def test_nothing_behind_a_parcel_that_was_not_kept_is_acknowledged():
    source = Kept()
    with pytest.raises(StoreError, match="disk full"):
        asyncio.run(ingest(source, Bus(broken="2")).run())
    assert source.acknowledged == ["0", "1"]
    assert source.closed == 1


def test_a_live_source_is_read_again_after_the_store_failed():
    source = Kept()
    asyncio.run(ingest(source, Bus(broken="2"), restart=0.0).run())
    assert source.acknowledged == ["0", "1", *(parcel.cursor for parcel in PARCELS)]
    assert source.started == source.closed == 2


def test_a_live_source_that_is_refused_is_tried_again():
    source = Kept(failures=2)
    role = ingest(source, Bus(), restart=0.0)
    asyncio.run(role.run())
    assert source.started == 3
    assert role.total.stored == len(PARCELS)


def test_other_sources_fail_at_once():
    with pytest.raises(SourceError, match="refused"):
        asyncio.run(ingest(Kept(failures=1), Bus()).run())
