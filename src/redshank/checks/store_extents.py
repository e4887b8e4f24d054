"""What every store must do for those who read a lot, part by part."""

from __future__ import annotations

import numpy as np

from redshank.checks.store_samples import START, MakeStore, readings, settle, verdicts
from redshank.core.batch import Reading, batches
from redshank.core.clock import HOUR, MINUTE
from redshank.core.ports import Commit, Store
from redshank.core.queries import Extent, LatestReadings, StoredExtent, StoredReadings
from redshank.core.records import Flag

_ALWAYS = (-(2**62), 2**62)


def check_spans_hold_every_reading_once(make: MakeStore) -> None:
    """Spans follow one another; what is read in them is everything, in order, tidied up or not."""
    store = make("a")
    rng = np.random.default_rng(3)
    for commit in range(80):
        start = START + (commit - 30 * (commit % 9 == 0)) * 20 * MINUTE + commit % 7
        values = {"h": rng.normal(size=25).tolist(), "t": rng.normal(size=25).tolist()}
        parts = [readings("a", values, start), readings("a", {"p": [1.0, 2.0]}, start)]
        store.write(Commit(readings=[*parts, readings("b", {"x": [1.0]}, start)]))
    for _ in range(2):
        for rows in (1, 100, 10**6):
            extent = store.read(StoredExtent(["a", "b"], *_ALWAYS, rows))
            assert (extent.channels, extent.tags) == (["h", "p", "t", "x"], {})
            for name in "ab":
                _check_all(store, name, extent)
        assert len(store.read(StoredExtent(["a"], *_ALWAYS, 10**6)).spans) == 1
        settle(store)
    store.close()


def check_spans_are_bounded(make: MakeStore) -> None:
    """A span holds about as many rows as were asked for, even at house-keeping's largest chunks."""
    store = make("a")
    for day in range(70):
        start = START + day * 300 * MINUTE
        store.write(Commit(readings=[readings("a", {"t": [0.0] * 300}, start)]))
    settle(store)
    extent = store.read(StoredExtent(["a"], *_ALWAYS, 3000))
    counts = [len(store.read(StoredReadings("a", *span))) for span in extent.spans]
    assert sum(counts) == 21_000
    assert max(counts) <= 6000
    store.close()


def check_extents_know_tags(make: MakeStore) -> None:
    """The names of tags and whether they are numbers; readings come with them."""
    store = make("a")
    place = [{"latitude": "51.5", "room": "north"}, {"latitude": ""}, {}]
    rows = [Reading("a", START + i, {"t": 1.0}, f"id-{i}", tags) for i, tags in enumerate(place)]
    store.write(Commit(readings=batches(rows)))
    store.write(Commit(readings=batches([Reading("a", START + HOUR, {"t": 1.0}, "own-id")])))
    extent = store.read(StoredExtent(["a"], *_ALWAYS))
    assert extent.tags == {"latitude": True, "room": False}
    first = store.read(StoredReadings("a", START, START + MINUTE))
    assert first.tags == (place[0], place[1], None)
    assert store.read(StoredReadings("a", START + HOUR, START + HOUR)).tags is None
    nothing = store.read(StoredExtent(["a"], START + 2 * HOUR, START + 3 * HOUR))
    assert nothing == Extent([], [], {})
    store.close()


def check_flagged_readings(make: MakeStore) -> None:
    """Rows with a flag, newest first, by their newest verdicts, tidied up or not."""
    store = make("a")
    for hour in range(80):
        batch = readings("a", {"h": [1, 2], "t": [3, 4]}, START + hour * HOUR)
        judged = verdicts(batch)
        judged.flags[1] = (Flag.SPIKE if hour % 10 == 3 else 0, Flag.GAP if hour == 5 else 0)
        again = verdicts(batch.take(np.array([1]))) if hour == 13 else None
        late = [judged, again] if again else [judged]
        store.write(Commit(readings=[batch, readings("b", {"x": [0]})], verdicts=late))
    for _ in range(2):
        spikes = store.read(LatestReadings("a", flags=Flag.SPIKE))
        hours = [(row.time - START) // HOUR for row in spikes]
        assert hours == [73, 63, 53, 43, 33, 23, 3], "the verdict of hour 13 is another one by now"
        assert spikes[0].flags == {"h": Flag.SPIKE}
        some = LatestReadings(flags=Flag.SPIKE | Flag.GAP, end=START + 30 * HOUR, limit=2, offset=1)
        assert [row.flags for row in store.read(some)] == [{"t": Flag.GAP}, {"h": Flag.SPIKE}]
        assert store.read(LatestReadings("a", flags=Flag.UNIT)) == []
        assert store.read(LatestReadings("a", flags=Flag.SPIKE, anomalous=True)) == []
        settle(store)
    store.close()


def _check_all(store: Store, name: str, extent: Extent) -> None:
    ends = [end for _, end in extent.spans]
    assert [begin for begin, _ in extent.spans][1:] == [end + 1 for end in ends[:-1]]
    found = {}
    for span in extent.spans:
        batch = store.read(StoredReadings(name, *span))
        for time, row in zip(batch.time.tolist(), batch.values.tolist(), strict=True):
            assert time not in found
            pairs = zip(batch.channels, row, strict=True)
            found[time] = {channel: value for channel, value in pairs if value == value}
    assert list(found) == sorted(found)
    every = store.read(LatestReadings(name, limit=10**6))
    assert found == {row.time: row.values for row in every}
