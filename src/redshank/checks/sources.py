"""What every source must do; run on each one by discovery.

Each check takes a maker: called, it opens a source over the same finite readings every time. It
raises AssertionError with the law that was broken.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import cast

from redshank.core.batch import Reading, rows
from redshank.core.ports import AcknowledgedSource, Parcel, Source

MakeSource = Callable[[], Source]
MOST = 1000
"""A source must have handed over its sample within so many parcels."""
MOST_READINGS = 50_000
"""More in one parcel would not pass through a queue."""


def check_it_has_a_name(make: MakeSource) -> None:
    """The cursor belongs to the name, so it is there and always the same."""
    assert make().name, "the source has no name"
    assert make().name == make().name, "the name changes"


def check_it_brings_readings(make: MakeSource) -> None:
    """A sample with readings brings some, in parcels of a size that a queue takes."""
    parcels = take(make())
    assert readings(parcels), "no readings"
    largest = max(sum(len(batch) for batch in parcel.batches) for parcel in parcels)
    assert largest <= MOST_READINGS, f"a parcel of {largest} readings"


def check_batches_are_well_formed(make: MakeSource) -> None:
    """Channels are sorted and distinct, columns fit together, sensors have ids."""
    for parcel in take(make()):
        for batch in parcel.batches:
            n = len(batch)
            assert n > 0, "an empty batch"
            assert batch.channels == tuple(sorted(set(batch.channels))), batch.channels
            assert batch.values.shape == (n, len(batch.channels)), batch.values.shape
            assert batch.sensor.shape == batch.time.shape == (n,)
            assert all(batch.sensor_ids), "a sensor without id"
            assert 0 <= batch.sensor.min() <= batch.sensor.max() < len(batch.sensor_ids)


def check_each_sensor_comes_in_time_order(make: MakeSource) -> None:
    """What lies behind a sensor's newest reading would be late data."""
    newest: dict[str, int] = {}
    for parcel in take(make()):
        for reading in sorted(readings([parcel]), key=lambda reading: reading.time):
            assert reading.time >= newest.get(reading.sensor_id, reading.time), reading
            newest[reading.sensor_id] = reading.time


def check_it_is_the_same_twice(make: MakeSource) -> None:
    """Two sources over the same readings hand over the same readings."""
    assert _keys(take(make())) == _keys(take(make())), "two runs differ"


def check_it_goes_on_at_any_cursor(make: MakeSource) -> None:
    """After a stop at any parcel, the parcels before and after make up the whole: none lost."""
    whole = take(make())
    stops = [i for i, parcel in enumerate(whole) if parcel.cursor is not None]
    for stop in (stops[0], stops[len(stops) // 2], stops[-1]):
        source = make()
        kept_there = isinstance(source, AcknowledgedSource)
        before = take(source, most=stop + 1) if kept_there else whole[: stop + 1]
        after = take(source, _cursor(before))
        assert set(_keys(before)) | set(_keys(after)) == set(_keys(whole)), f"after parcel {stop}"
        assert not set(_keys(before)) & set(_keys(after)), f"read twice after parcel {stop}"


def check_what_was_not_acknowledged_comes_again(make: MakeSource) -> None:
    """Readings that were handed over and stored, but not acknowledged, come again as the same."""
    source = make()
    if not isinstance(source, AcknowledgedSource):
        return
    before: list[Parcel] = []
    for _ in range(MOST):
        before = take(source, _cursor(before), most=1, acknowledge=False)
        if readings(before):
            break
    after = take(source, _cursor(before))
    assert set(_keys(before)) <= set(_keys(after)), "lost, or with another key"
    assert len(_keys(after)) == len(set(_keys(after))), "acknowledged readings come twice"


def check_progress_only_grows(make: MakeSource) -> None:
    """Progress is a part of the whole and never goes back."""
    parts = [parcel.progress for parcel in take(make()) if parcel.progress is not None]
    assert all(0 <= part <= 1 for part in parts), parts
    assert parts == sorted(parts), parts


CHECKS: tuple[Callable[[MakeSource], None], ...] = (
    check_it_has_a_name,
    check_it_brings_readings,
    check_batches_are_well_formed,
    check_each_sensor_comes_in_time_order,
    check_it_is_the_same_twice,
    check_it_goes_on_at_any_cursor,
    check_what_was_not_acknowledged_comes_again,
    check_progress_only_grows,
)
"""All of them."""


class Done(Exception):  # noqa: N818
    """Raised by a sample's waiting once all is handed over; ends an endless source."""


def take(
    source: Source, cursor: str | None = None, most: int | None = None, acknowledge: bool = True
) -> list[Parcel]:
    """The parcels of a sample; a source that goes on for ever ends by raising :class:`Done`.

    Args:
        source: what to read.
        cursor: where to begin.
        most: stop after so many parcels; all of them if None.
        acknowledge: whether to tell the source that each parcel is safe.
    """

    async def collect() -> list[Parcel]:
        found: list[Parcel] = []
        parcels = cast(AsyncGenerator[Parcel, None], source.parcels(cursor))
        try:
            async with aclosing(parcels):
                async for parcel in parcels:
                    found.append(parcel)
                    if acknowledge and isinstance(source, AcknowledgedSource):
                        source.acknowledge(parcel)
                    if len(found) == most:
                        break
                    assert len(found) <= MOST, "the sample does not end"
        except Done:
            pass
        finally:
            if (close := getattr(source, "aclose", None)) is not None:
                await close()
        return found

    return asyncio.run(collect())


def readings(parcels: Sequence[Parcel]) -> list[Reading]:
    """All readings in the order in which they were handed over."""
    return [r for parcel in parcels for batch in parcel.batches for r in rows(batch)]


def _cursor(parcels: Sequence[Parcel]) -> str | None:
    """The newest cursor; a parcel without one keeps what was stored."""
    return next((p.cursor for p in reversed(parcels) if p.cursor is not None), None)


def _keys(parcels: Sequence[Parcel]) -> list[tuple[str, int, tuple[tuple[str, float], ...]]]:
    return [
        (reading.sensor_id, reading.time, tuple(sorted(reading.values.items())))
        for reading in readings(parcels)
    ]
