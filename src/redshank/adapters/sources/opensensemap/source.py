"""Follows openSenseMap boxes: the last two days at first contact, then whatever is new."""

from __future__ import annotations

import asyncio
import json
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from dataclasses import dataclass, field
from itertools import chain

import structlog

from redshank.adapters.sources.opensensemap.answers import Box, BoxSensor
from redshank.adapters.sources.opensensemap.client import OpenSenseMapClient
from redshank.adapters.sources.opensensemap.http import together
from redshank.adapters.sources.opensensemap.looks import Plan
from redshank.adapters.sources.opensensemap.measurements import Measurements
from redshank.adapters.sources.opensensemap.rows import (
    SOURCE,
    assembled,
    converted,
    described,
    letters,
    mappings,
    pieces,
)
from redshank.adapters.sources.opensensemap.windows import Span
from redshank.core.clock import DAY, HOUR, SECOND, Clock, SystemClock
from redshank.core.errors import NotFoundError, SourceError
from redshank.core.ports import Parcel
from redshank.core.records import SensorInfo

FIRST_CONTACT = 48 * HOUR
"""How far back the first contact with a box reads, and every later look for late values."""
LOOK_AGAIN = HOUR
"""How often values are looked for that came later than newer ones."""
FIND_AGAIN = HOUR
"""How often boxes are searched for, where a search says which ones to follow."""
WINDOW = 2 * DAY
"""Event time fetched, and committed, at once."""
BOXES_PER_LOOK = 50
"""For so many boxes, one window of the past is looked at again in each round."""

_HELD = ("last", "scale", "again", "plans")


@dataclass
class _State:
    """How far each sensor is read; the cursor.

    Attributes:
        last: sensor id on the server to time of its newest value that was handed over.
        scale: sensor id to a factor found at first contact, where the owner's unit cannot be true.
        again: box id to when late values were looked for, wall clock, microseconds.
        plans: box id to what is looked at again further back.
    """

    last: dict[str, int] = field(default_factory=dict)
    scale: dict[str, float] = field(default_factory=dict)
    again: dict[str, int] = field(default_factory=dict)
    plans: dict[str, Plan] = field(default_factory=dict)

    @classmethod
    def load(cls, cursor: str | None) -> _State:
        held = json.loads(cursor) if cursor else {}
        last, scale, again, plans = (dict(held.get(name, {})) for name in _HELD)
        return cls(last, scale, again, {box: Plan.load(plan) for box, plan in plans.items()})

    def dump(self) -> str:
        plans = {box: plan.dump() for box, plan in self.plans.items()}
        plain = {"last": self.last, "scale": self.scale, "again": self.again}
        return json.dumps(plain | {"plans": plans})


class OpenSenseMap:
    """Live readings of openSenseMap boxes; a box is a sensor, its sensors are channels.

    Args:
        boxes: ids of boxes.
        client: how to ask the server.
        poll_seconds: seconds from one round over all boxes to the next.
        find: searches for further boxes to follow; asked once an hour.
        clock: for "the last two days" and the pace.
        sleep: how to wait, in seconds.

    Attributes:
        errors: box id to what went wrong in its last round; for health checks.
        client: how it asks the server; whoever asks the same one shares it.
    """

    name = SOURCE

    def __init__(
        self,
        boxes: Iterable[str],
        client: OpenSenseMapClient,
        *,
        poll_seconds: float = 60.0,
        find: Callable[[], Awaitable[Sequence[str]]] | None = None,
        clock: Clock | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.errors: dict[str, str] = {}
        self._named = tuple(dict.fromkeys(boxes))
        self._boxes = self._named
        self.client = client
        self._poll_seconds = poll_seconds
        self._find, self._found_at = find, float("-inf")
        self._clock = clock or SystemClock()
        self._sleep = sleep
        self._told: dict[str, SensorInfo] = {}
        self._looks = 0
        self._log = structlog.get_logger("redshank.sources").bind(source=self.name)

    async def parcels(self, cursor: str | None) -> AsyncIterator[Parcel]:
        """New readings for ever, a parcel per box and two days at most.

        Raises:
            SourceError: not one of the boxes exists.
        """
        state, missing = _State.load(cursor), set[str]()
        while True:
            started = self._clock.monotonic()
            await self._search()
            self._looks = max(1, len(self._boxes) // BOXES_PER_LOOK)
            for box_id in self._boxes:
                try:
                    async for parcel in self._news(box_id, state):
                        yield parcel
                    self.errors.pop(box_id, None)
                except NotFoundError as error:
                    missing.add(box_id)
                    self._failed(box_id, error)
                except SourceError as error:
                    self._failed(box_id, error)
            if self._find is None and missing.issuperset(self._boxes) and not state.last:
                raise SourceError("; ".join(self.errors.values()) or "no boxes are configured")
            passed = self._clock.monotonic() - started
            await self._sleep(max(0.0, self._poll_seconds - passed))

    async def aclose(self) -> None:
        """Close the connections."""
        await self.client.aclose()

    async def _search(self) -> None:
        """Look which boxes there are now; a search that fails leaves those of the last one."""
        now = self._clock.monotonic()
        if self._find is None or now < self._found_at + FIND_AGAIN / SECOND:
            return
        self._found_at = now
        try:
            self._boxes = tuple(dict.fromkeys([*self._named, *await self._find()]))
            self.errors.pop("search", None)
        except (SourceError, NotFoundError) as error:
            self._failed("search", error)

    async def _news(self, box_id: str, state: _State) -> AsyncIterator[Parcel]:
        """What came since the last round, or in the last two days."""
        box = await self.client.box(box_id)
        if box.newest is None:
            if told := self._tell(box, state):
                yield Parcel(sensors=told)
            return
        for window, behind in chain(self._new(box, state), self._past(box, state)):
            for parcel in await self._window(box, window, state, behind):
                yield parcel

    def _new(self, box: Box, state: _State) -> Iterator[tuple[Span, Mapping[str, int]]]:
        """Windows of what is new, and from where on each sensor is to be read in them."""
        behind = self._behind(box, state)
        if not behind or box.newest is None:
            return
        since = min(behind.values())
        state.plans.setdefault(box.id, Plan.first(box.id, since, self._clock.now()))
        # Up to the newest value that the box showed, so that all sensors of an upload are there.
        for window in _windows(since, box.newest + 1):
            yield window, behind

    def _past(self, box: Box, state: _State) -> Iterator[tuple[Span, Mapping[str, int]]]:
        """One window of what is looked at again, if it is this box's turn."""
        plan = state.plans.get(box.id)
        window = plan.next(self._clock.now()) if plan and self._looks else None
        if plan is None or window is None:
            return
        self._looks -= 1
        yield window, {sensor.id: window[0] for sensor in box.sensors if not sensor.silent}
        plan.done(window)

    def _behind(self, box: Box, state: _State) -> dict[str, int]:
        """From where on each sensor is to be read; sensors with nothing new are left out."""
        newest, now = box.newest or 0, self._clock.now()
        earliest = min(newest, now) - FIRST_CONTACT
        if now - state.again.setdefault(box.id, now) >= LOOK_AGAIN:
            state.again[box.id] = now
            talking = (s.id for s in box.sensors if not s.silent)
            return {one: min(state.last.get(one, earliest - 1) + 1, earliest) for one in talking}
        return {
            sensor.id: state.last.get(sensor.id, earliest - 1) + 1
            for sensor in box.sensors
            if not sensor.silent and _may_have_more(sensor, state)
        }

    async def _window(
        self, box: Box, window: tuple[int, int], state: _State, behind: Mapping[str, int]
    ) -> list[Parcel]:
        """All readings in a window; the cursor moves with the last of them."""
        start, end = window
        sensors = [sensor for sensor in box.sensors if sensor.id in behind]
        found = await together(
            [self.client.window(box.id, s.id, max(start, behind[s.id]), end) for s in sensors]
        )
        known = mappings(box)
        by_id = {sensor.id: values for sensor, values in zip(sensors, found, strict=True)}
        columns: dict[str, Measurements] = {}
        for sensor in sensors:
            values, mapping = by_id[sensor.id], known[sensor.id]
            columns[mapping.name] = converted(sensor, mapping, values, state.scale)
            reached = end - 1 if sensor.last_time is None else min(end - 1, sensor.last_time)
            newest = int(values.time[-1]) if len(values) else 0
            state.last[sensor.id] = max(state.last.get(sensor.id, 0), newest, reached)
        *most, rest = pieces(assembled(box, columns)) or [[]]
        last = Parcel(
            rest,
            sensors=self._tell(box, state),
            dead_letters=letters(box, by_id, self.name, self._clock.now()),
            cursor=state.dump(),
        )
        return [*map(Parcel, most), last]

    def _tell(self, box: Box, state: _State) -> list[SensorInfo]:
        """The sensor's description if it is new or has changed since it was last handed over."""
        info = described(box, state.scale)
        if self._told.get(box.id) == info:
            return []
        self._told[box.id] = info
        return [info]

    def _failed(self, box_id: str, error: Exception) -> None:
        self.errors[box_id] = str(error)
        self._log.warning("box cannot be read", box_id=box_id, error=str(error))


def _may_have_more(sensor: BoxSensor, state: _State) -> bool:
    if sensor.last_time is None:
        # Its newest value was deleted: older ones may be there, but they do not change any more.
        return sensor.id not in state.last
    return sensor.last_time > state.last.get(sensor.id, -1)


def _windows(start: int, end: int) -> Iterable[tuple[int, int]]:
    """Spans of two days or hardly more, the end of each not included."""
    while start < end:
        last = end if end - start <= WINDOW + HOUR else start + WINDOW
        yield start, last
        start = last
