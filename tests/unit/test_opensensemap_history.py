"""The past of boxes: complete, each window once, and whatever interrupts it."""

import asyncio
import random
from concurrent.futures import Future
from contextlib import aclosing

import numpy as np
import pytest

from redshank.adapters.bus.memory import MemoryBus
from redshank.adapters.sources.opensensemap import Archive, History, OpenSenseMapClient
from redshank.adapters.sources.opensensemap.windows import Ledger, Width
from redshank.adapters.store.sqlite import SqliteStore
from redshank.core.batch import rows
from redshank.core.clock import DAY, HOUR, MINUTE, FakeClock, parse_time
from redshank.core.errors import SourceError, StoreError
from redshank.core.ports import Commit, Parcel
from redshank.core.queries import StoreTotals
from redshank.core.records import SensorInfo
from redshank.core.telemetry import Telemetry, make_logger
from redshank.core.wide import wide_table
from redshank.pipeline.budget import Budget
from redshank.pipeline.pipeline import Pipeline
from redshank.pipeline.runner import Runner
from redshank.services.fetch import store_box
from support.opensensemap import Server

NOW = parse_time("2026-11-20T16:00:00Z")
REGISTERED = parse_time("2016-04-02T18:20:53Z")
BOX = "57000b8745fd40c8196ad04c"
"""Its first eight digits are 2016-04-02T18:20:53Z."""
TITLES = (
    ("Temperatur", "°C"),
    ("rel. Luftfeuchte", "%"),
    ("Luftdruck", "hPa"),
    ("PM10", "µg/m³"),
    ("PM2.5", "µg/m³"),
    ("Beleuchtungsstärke", "lx"),
    ("UV-Intensität", "μW/cm²"),
)
SENSORS = [f"57000b8745fd40c8196ad05{i}" for i in range(1, 8)]
TEMPERATURE, HUMIDITY = SENSORS[:2]


@pytest.fixture
def server():
    with Server() as running:
        running.add_box(BOX, [(i, *pair) for i, pair in zip(SENSORS, TITLES, strict=True)])
        yield running


def fill(server, start, end, step=MINUTE, sensors=SENSORS[:2]):
    """Values of so many sensors; returns the times."""
    times = list(range(start, end, step))
    for number, sensor in enumerate(sensors):
        values = 20 + 10 * number + np.sin(np.arange(len(times)) / 300)
        server.fill(sensor, times, values.tolist())
    return times


class World:
    """A history with a clock that moves only when somebody waits."""

    def __init__(self, server, archive_days=365, **what):
        self.clock = FakeClock(NOW)
        manners = {"clock": self.clock, "sleep": self.sleep, "spacing": 0.0}
        self.client = OpenSenseMapClient(f"{server.url}{what.pop('below', '')}", **manners)
        archive = Archive(f"{server.url}/archive", **manners) if server.archived else None
        self.archive = archive
        self.history = History(
            BOX, self.client, archive=archive, archive_days=archive_days, clock=self.clock, **what
        )

    async def sleep(self, seconds):
        self.clock.advance(seconds)
        await asyncio.sleep(0)

    async def aclose(self):
        await self.client.aclose()
        if self.archive:
            await self.archive.aclose()


def fetched(world, cursor=None):
    """All parcels."""

    async def work():
        async with aclosing(world):
            return [parcel async for parcel in world.history.parcels(cursor)]

    return asyncio.run(work())


def readings(parcels):
    return [r for parcel in parcels for batch in parcel.batches for r in rows(batch)]


def times(parcels):
    return [time for parcel in parcels for batch in parcel.batches for time in batch.time.tolist()]


def test_a_month_of_seven_channels_is_complete_and_in_order(server):
    sent = fill(server, NOW - 30 * DAY, NOW, sensors=SENSORS)
    world = World(server, start=NOW - 30 * DAY, end=NOW)
    parcels = fetched(world)
    assert times(parcels) == sent
    assert world.history.read == 7 * len(sent) == 302_400
    assert parcels[-1].progress == 1.0
    asked = len(server.asked("/data/"))
    assert asked <= 7 * 6, "windows are as long as a page allows"


def test_full_pages_are_followed_to_the_end(server):
    """The server cuts at 10,000 rows and says nothing; equal times may stand at the seam."""
    for i in range(10_500):
        server.upload(TEMPERATURE, NOW - i // 3 * 1_000_000, i)
    found = readings(fetched(World(server, start=NOW - DAY)))
    assert len(found) == 10_500
    assert len({(r.time, r.values["temperature"]) for r in found}) == 10_500


def test_a_gap_of_months_is_not_the_end(server):
    early = fill(server, NOW - 300 * DAY, NOW - 299 * DAY, HOUR)
    late = fill(server, NOW - DAY, NOW, HOUR)
    assert times(fetched(World(server, start=NOW - 301 * DAY))) == early + late


def test_everything_begins_at_the_registration_or_at_what_was_brought_in_before(server):
    server.upload(TEMPERATURE, NOW, 1)
    fetched(World(server, start=0, end=REGISTERED + 20 * DAY))
    first = min(query["from-date"] for query in server.asked("/data/"))
    assert first.startswith("2016-03-02"), "one window before the registration, found empty"

    brought_in = REGISTERED - 40 * DAY
    server.upload(TEMPERATURE, brought_in, 2)
    server.upload(TEMPERATURE, REGISTERED - 10 * DAY, 3)
    found = readings(fetched(World(server, start=0, end=REGISTERED + DAY)))
    assert [r.values["temperature"] for r in found] == [2.0, 3.0]


def test_known_windows_are_not_read_again_but_unsettled_ones_are(server):
    fill(server, NOW - 20 * DAY, NOW, HOUR)
    first = fetched(World(server, start=NOW - 20 * DAY, end=NOW))
    before = len(server.asked("/data/"))
    server.upload(TEMPERATURE, NOW - 30 * HOUR + 1_000_000, 5)  # a day late
    again = fetched(World(server, start=NOW - 20 * DAY, end=NOW), first[-1].cursor)
    assert len(server.asked("/data/")) - before == 2
    assert min(times(again)) >= NOW - 48 * HOUR
    assert NOW - 30 * HOUR + 1_000_000 in times(again)


def test_further_phenomena_and_longer_spans_read_only_what_is_missing(server):
    fill(server, NOW - 30 * DAY, NOW - 5 * DAY, HOUR)
    server.upload(HUMIDITY, NOW, 1)
    span = {"start": NOW - 20 * DAY, "end": NOW - 10 * DAY}
    first = fetched(World(server, phenomena=["temperatur"], **span))
    assert {name for r in readings(first) for name in r.values} == {"temperature"}
    both = fetched(World(server, **span), first[-1].cursor)
    assert {name for r in readings(both) for name in r.values} == {"humidity"}
    longer = fetched(World(server, start=NOW - 30 * DAY, end=NOW - 10 * DAY), both[-1].cursor)
    assert max(times(longer)) < NOW - 20 * DAY


def test_equal_rows_come_once_and_conflicts_are_seen(server):
    for value in (1, 1, 2):
        server.upload(TEMPERATURE, NOW - HOUR, value)
    found = readings(fetched(World(server)))
    assert [r.values["temperature"] for r in found] == [1.0, 2.0]
    parcels = fetched(World(server))
    table = wide_table([batch for parcel in parcels for batch in parcel.batches])
    assert (len(table), table.conflicts) == (1, 1)


def test_a_mobile_box_keeps_its_track(server):
    server.boxes[BOX]["exposure"] = "mobile"
    server.upload(TEMPERATURE, NOW - HOUR, 1, (7.1, 51.5))
    server.upload(TEMPERATURE, NOW, 2, (7.2, 51.6, 88.5))
    parcels = fetched(World(server))
    assert [dict(r.tags) for r in readings(parcels)] == [
        {"longitude": "7.1", "latitude": "51.5"},
        {"longitude": "7.2", "latitude": "51.6", "height": "88.5"},
    ]
    table = wide_table([batch for parcel in parcels for batch in parcel.batches])
    assert table.columns["latitude"].tolist() == [51.5, 51.6]


def test_a_fixed_box_has_a_place_in_its_readings_only_where_it_was_another_one(server):
    server.upload(TEMPERATURE, NOW - HOUR, 1, (8.0, 50.0))
    server.upload(TEMPERATURE, NOW, 2, (7.64, 51.96, 66.6))
    found = readings(fetched(World(server)))
    assert [bool(r.tags) for r in found] == [True, False]


def test_what_lies_far_back_comes_from_the_archive(server):
    sent = fill(server, NOW - 20 * DAY, NOW, HOUR)
    server.archived = NOW - 8 * DAY
    parcels = fetched(World(server, archive_days=10, start=NOW - 20 * DAY))
    assert times(parcels) == sent
    asked = [query["from-date"] for query in server.asked("/data/")]
    assert min(asked) >= "2026-11-10", "nothing of the archived days is asked of the server"


def test_days_that_the_archive_lacks_are_asked_of_the_server(server):
    sent = fill(server, NOW - 20 * DAY, NOW, HOUR)
    server.archived = NOW - 14 * DAY
    assert times(fetched(World(server, archive_days=10, start=NOW - 20 * DAY))) == sent


def test_a_box_that_had_another_name_is_found_in_the_archive(server):
    sent = fill(server, NOW - 20 * DAY, NOW - 12 * DAY, HOUR)
    server.boxes[BOX]["old_name"] = "Straße"
    server.archived = NOW - 10 * DAY
    world = World(server, archive_days=10, start=NOW - 20 * DAY, end=NOW - 12 * DAY)
    assert times(fetched(world)) == sent
    assert not server.asked("/data/")


def test_an_archive_that_is_down_is_no_reason_to_stop(server):
    sent = fill(server, NOW - 20 * DAY, NOW, HOUR)
    server.archived = NOW
    world = World(server, archive_days=10, start=NOW - 20 * DAY)
    get = server._answer
    server._answer = lambda path, q: (503, {}) if path.startswith("/archive") else get(path, q)
    assert times(fetched(world)) == sent
    assert "503" in world.history.archive_error


def test_the_rewritten_server_is_read_too(server):
    sent = fill(server, NOW - 2 * DAY, NOW, HOUR)
    server.rewritten = True
    assert times(fetched(World(server, below="/api", start=NOW - 2 * DAY, end=NOW))) == sent


def test_faults_in_the_middle_change_nothing(server):
    sent = fill(server, NOW - 30 * DAY, NOW)
    broken = [
        (429, {"Retry-After": "3"}, b""),
        (429, {"X-RateLimit-RetryAfter": "1m"}, b""),
        (200, {}, b'[{"createdAt":"2026-11-01T'),
        (200, {"Content-Type": "text/html"}, b"<html>maintenance</html>"),
        (502, {}, b"<html>Bad Gateway</html>"),
        (500, {}, b'{"code":"Internal"}'),
    ]
    world = World(server, start=NOW - 30 * DAY, end=NOW)
    plain = server._answer
    left = random.Random(1).sample(broken * 3, 18)

    def sometimes(path, query):
        if left and len(server.requests) % 3 == 0:
            server.failures.append(left.pop())
        return plain(path, query)

    server._answer = sometimes
    assert times(fetched(world)) == sent


def test_a_box_that_was_deleted_and_one_that_refuses(server):
    with pytest.raises(SourceError, match=r"405.*GET is not allowed"):
        server.failures = [(405, {"Allow": "POST"}, b'{"message":"GET is not allowed"}')]
        fetched(World(server))


# --- into the store ------------------------------------------------------------------------------


class Keeping:
    """A store with its pipeline, as ``redshank fetch`` opens it."""

    def __init__(self):
        self.store = SqliteStore(None)

    def __enter__(self):
        telemetry = Telemetry(make_logger("ERROR", "text"))
        self.bus = MemoryBus()
        pipeline = Pipeline(Budget(3.0), lambda one: SensorInfo(one))
        self.runner = Runner(self.bus, self.store, pipeline, FakeClock(NOW), telemetry)
        self.runner.start()
        return self

    def __exit__(self, *_):
        self.runner.stop()

    async def take(self, world, **how):
        async with aclosing(world):
            return await store_box(self.bus, self.store, world.history, **how)


def test_an_interrupted_fetch_goes_on_without_loss(server):
    """Cancelled at random points, again and again; what is stored is what one run stores."""
    sent = fill(server, NOW - 30 * DAY, NOW, 2 * MINUTE, SENSORS[:3])
    keeping, chance = Keeping(), random.Random(7)
    for _ in range(12):
        with keeping:

            async def some():
                stop = len(server.requests) + chance.randrange(1, 12)
                world = World(server, start=NOW - 30 * DAY, end=NOW)
                work = asyncio.create_task(keeping.take(world))
                while not work.done() and len(server.requests) < stop:
                    await asyncio.sleep(0)
                work.cancel()
                await asyncio.gather(work, return_exceptions=True)

            asyncio.run(some())
    with keeping:
        report = asyncio.run(keeping.take(World(server, start=NOW - 30 * DAY, end=NOW)))
    assert report.error is None and report.conflicts == 0
    totals = keeping.store.read(StoreTotals())
    assert totals.readings == len(sent)
    assert report.stored < len(sent), "windows of earlier runs were not read again"


def test_a_server_that_fails_for_long_leaves_the_rest_for_the_next_run(server):
    sent = fill(server, NOW - 30 * DAY, NOW, 2 * MINUTE)
    keeping = Keeping()
    plain = server._answer
    server._answer = lambda path, q: (503, {}) if len(server.requests) > 6 else plain(path, q)
    with keeping:
        report = asyncio.run(keeping.take(World(server, start=NOW - 30 * DAY, end=NOW)))
        assert "503" in report.error
        assert 0 < report.stored < len(sent)
        server._answer = plain
        rest = asyncio.run(keeping.take(World(server, start=NOW - 30 * DAY, end=NOW)))
    assert report.stored + rest.stored == len(sent)
    assert rest.duplicates == 0


def test_reading_again_stores_nothing_twice(server):
    sent = fill(server, NOW - 10 * DAY, NOW - 5 * DAY, HOUR)
    with Keeping() as keeping:
        span = {"start": NOW - 10 * DAY, "end": NOW - 5 * DAY}
        first = asyncio.run(keeping.take(World(server, **span)))
        nothing = asyncio.run(keeping.take(World(server, **span)))
        again = asyncio.run(keeping.take(World(server, **span), again=True))
    assert (first.stored, nothing.read) == (len(sent), 0)
    assert (again.stored, again.duplicates) == (0, len(sent))


def test_the_past_is_looked_at_again_daily_and_weekly(server):
    """What came late is stored, what is known is not, and what contradicts is counted."""
    fill(server, NOW - 80 * DAY, NOW - 3 * DAY, HOUR)
    span = {"start": NOW - 80 * DAY, "end": NOW}
    with Keeping() as keeping:

        def take(days):
            world = World(server, **span)
            world.clock.advance(days * DAY / 1e6)
            return asyncio.run(keeping.take(world))

        take(0)
        for days in (10, 50, 70):
            server.upload(TEMPERATURE, NOW - days * DAY + MINUTE, days)
        server.upload(TEMPERATURE, NOW - 10 * DAY, -1)
        assert take(0.9).stored == 0
        daily = take(1.1)
        assert (daily.stored, daily.conflicts, daily.error) == (1, 1, None)
        assert take(1.2).stored == 0
        weekly = take(7.1)
        assert (weekly.stored, weekly.duplicates > 1000) == (1, True)
        assert take(7.2).read == 0


def test_a_sensor_that_was_deleted_is_fetched_anew(server):
    sent = fill(server, NOW - 10 * DAY, NOW - 5 * DAY, HOUR)
    with Keeping() as keeping:
        span = {"start": NOW - 10 * DAY, "end": NOW - 5 * DAY}
        asyncio.run(keeping.take(World(server, **span)))
        keeping.runner.write(Commit(sensors_removed=[BOX])).result()
        assert asyncio.run(keeping.take(World(server, **span))).stored == len(sent)


def test_the_cursor_never_gets_ahead_of_a_commit_that_failed():
    """A parcel is handed over only when the one before is durable."""
    taken = []

    class Source:
        name, box_id, box_name, read, unmapped = "opensensemap b", "b", "", 0, ()

        async def parcels(self, cursor):
            for number in range(3):
                yield Parcel(cursor=str(number))

    class FullDisk:
        def publish(self, parcel, source, after=None):
            taken.append(parcel)
            done = Future()
            done.set_exception(StoreError("the disk is full"))
            return done

    with pytest.raises(StoreError):
        asyncio.run(store_box(FullDisk(), SqliteStore(None), Source()))
    assert len(taken) == 1


# --- windows -------------------------------------------------------------------------------------


def test_the_ledger_knows_what_is_missing():
    ledger = Ledger()
    ledger.mark("a", (10, 20))
    ledger.mark("a", (30, 40))
    ledger.mark("a", (50, 50))
    assert ledger.missing("a", (0, 60)) == [(0, 10), (20, 30), (40, 60)]
    assert ledger.missing("a", (12, 18)) == []
    assert ledger.missing("b", (0, 5)) == [(0, 5)]
    ledger.mark("a", (20, 30))
    assert Ledger.load(ledger.dump()).done == {"a": [(10, 40)]}
    assert ledger.next_missing(["a", "b"], (10, 60)) == (10, 60)
    assert ledger.next_missing(["a"], (10, 60)) == (40, 60)
    assert ledger.next_missing(["a"], (10, 40)) is None


def test_windows_follow_the_density():
    width = Width()
    width.learn((0, 6 * DAY), 51_840)  # every ten seconds
    assert width.now == pytest.approx(9000 * 10 * 1_000_000, rel=0.01)
    for _ in range(10):
        width.learn((0, width.now), 0)
    assert width.now == 31 * DAY
