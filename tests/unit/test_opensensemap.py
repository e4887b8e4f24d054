"""openSenseMap as it behaves, quirks included, over real HTTP."""

import asyncio
import importlib.util
import json
from contextlib import aclosing
from itertools import pairwise
from pathlib import Path

import pytest

from redshank import __version__
from redshank.adapters.sources.opensensemap import OpenSenseMap, OpenSenseMapClient
from redshank.adapters.sources.opensensemap.answers import parse_box
from redshank.adapters.sources.opensensemap.http import retry_after
from redshank.adapters.sources.opensensemap.looks import Plan
from redshank.adapters.sources.opensensemap.measurements import parse_measurements
from redshank.core.batch import rows
from redshank.core.clock import DAY, HOUR, MINUTE, SECOND, FakeClock, parse_time
from redshank.core.errors import NotFoundError, SourceError

_spec = importlib.util.spec_from_file_location(
    "opensensemap_server", Path(__file__).with_name("opensensemap_server.py")
)
server_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(server_module)

NOW = parse_time("2026-11-20T16:00:00Z")
BOX = "57000b8745fd40c8196ad04c"
TEMPERATURE, HUMIDITY, PRESSURE, AIR = (f"57000b8745fd40c8196ad05{i}" for i in "1234")


@pytest.fixture
def server():
    with server_module.Server() as running:
        running.add_box(
            BOX,
            [
                (TEMPERATURE, "Temperatur", "°C"),
                (HUMIDITY, "rel. Luftfeuchte", "%"),
                (PRESSURE, "Luftdruck", "Pa"),
                (AIR, "Luftqualität", "IAQ"),
            ],
        )
        yield running


class World:
    """A source with a clock that moves only when somebody waits."""

    def __init__(self, server, boxes=(BOX,), **options):
        self.clock = FakeClock(NOW)
        self.waits = []
        self.client = OpenSenseMapClient(server.url, clock=self.clock, sleep=self.sleep, **options)
        self.source = self.follow(boxes)

    def follow(self, boxes, **options):
        return OpenSenseMap(boxes, self.client, clock=self.clock, sleep=self.sleep, **options)

    async def sleep(self, seconds):
        self.waits.append(seconds)
        self.clock.advance(seconds)
        await asyncio.sleep(0)

    def collect(self, n, cursor=None, between=lambda: None):
        """The first n parcels; ``between`` happens after each of them."""

        async def first():
            found = []
            async with aclosing(self.source.parcels(cursor)) as parcels:
                async for parcel in parcels:
                    found.append(parcel)
                    if len(found) == n:
                        break
                    between()
            return found

        return self.run(first())

    def run(self, work):
        async def both():
            try:
                return await work
            finally:
                await self.source.aclose()

        return asyncio.run(both())


def readings(*parcels):
    return [r for parcel in parcels for batch in parcel.batches for r in rows(batch)]


def test_first_contact_brings_two_days_of_wide_readings(server):
    for hours in (60, 30, 1):
        for sensor, value in ((TEMPERATURE, 7.1), (HUMIDITY, 80), (PRESSURE, 101_325)):
            server.upload(sensor, NOW - hours * HOUR, value)
    [parcel] = World(server).collect(1)
    found = readings(parcel)
    assert [reading.time for reading in found] == [NOW - 30 * HOUR, NOW - HOUR]
    assert found[0].values == {"temperature": 7.1, "humidity": 80.0, "pressure": 1013.25}
    [info] = parcel.sensors
    assert (info.sensor_id, info.name, info.exposure) == (BOX, f"Box {BOX}", "outdoor")
    assert (info.latitude, info.longitude) == (51.96, 7.64)
    assert info.channels["pressure"].source_unit == "Pa"
    assert info.channels["luftqualitaet"].unit == "IAQ", "kept, although nobody knows it"


def test_nothing_between_two_polls_is_lost_and_nothing_comes_twice(server):
    server.upload(TEMPERATURE, NOW - MINUTE, 1)
    world = World(server)
    arriving = iter(range(10))

    def upload_three():
        for _ in range(3):
            step = next(arriving)
            server.upload(TEMPERATURE, NOW + step * 10 * SECOND, step)
            server.upload(HUMIDITY, NOW + step * 10 * SECOND, 50 + step)

    first, second = world.collect(2, between=upload_three)
    assert [r.values for r in readings(first)] == [{"temperature": 1.0}]
    assert [r.values["temperature"] for r in readings(second)] == [0.0, 1.0, 2.0]
    assert [r.values["humidity"] for r in readings(second)] == [50.0, 51.0, 52.0]
    assert not second.sensors, "the box is known by now"


def test_a_new_start_goes_on_at_the_cursor(server):
    server.upload(TEMPERATURE, NOW - 2 * HOUR, 1)
    [first] = World(server).collect(1)
    server.upload(TEMPERATURE, NOW - HOUR, 2)
    [second] = World(server).collect(1, cursor=first.cursor)
    assert [r.values for r in readings(second)] == [{"temperature": 2.0}]


def test_a_long_pause_is_made_up_for_in_windows(server):
    server.upload(TEMPERATURE, NOW - 6 * DAY, 0)
    cursor = json.dumps({"last": {TEMPERATURE: NOW - 6 * DAY}, "scale": {}})
    for days in (5, 3, 1, 0):
        server.upload(TEMPERATURE, NOW - days * DAY, days)
    parcels = World(server).collect(3, cursor=cursor)
    assert [r.values["temperature"] for r in readings(*parcels)] == [5.0, 3.0, 1.0, 0.0]
    assert json.loads(parcels[-1].cursor)["last"][TEMPERATURE] == NOW


def test_two_values_at_one_time_are_both_handed_over(server):
    server.upload(TEMPERATURE, NOW, 1)
    server.upload(TEMPERATURE, NOW, 1)
    server.upload(TEMPERATURE, NOW, 2)
    found = readings(*World(server).collect(1))
    assert sorted(r.values["temperature"] for r in found) == [1.0, 2.0]


def test_values_that_are_no_numbers_become_dead_letters_once(server):
    for value in ("0x15", " 3 ", "1e1", "warm"):
        server.upload(TEMPERATURE, NOW, value)
    server.upload(HUMIDITY, NOW + SECOND, 50)
    world = World(server)
    first, second = world.collect(2, between=lambda: server.upload(HUMIDITY, NOW + MINUTE, 51))
    warm = [r.values["temperature"] for r in readings(first) if "temperature" in r.values]
    assert warm == [3.0, 10.0]
    assert sorted(letter.reason for letter in first.dead_letters) == [
        "value: '0x15' is not a number",
        "value: 'warm' is not a number",
    ]
    assert {letter.topic for letter in first.dead_letters} == {f"{BOX}/{TEMPERATURE}"}
    assert not second.dead_letters


def test_pressure_in_pascal_that_is_labelled_hectopascal(server):
    server.boxes[BOX]["sensors"][2]["unit"] = "hPa"
    server.upload(PRESSURE, NOW, 101_325)
    [parcel] = World(server).collect(1)
    assert readings(parcel)[0].values == {"pressure": pytest.approx(1013.25)}
    told = parcel.sensors[0].channels
    assert (told["pressure"].device, told["pressure"].scale) == (PRESSURE, 0.01)
    assert told["temperature"].device == TEMPERATURE
    server.upload(PRESSURE, NOW + MINUTE, 10.0)
    [later] = World(server).collect(1, cursor=parcel.cursor)
    assert readings(later)[0].values == {"pressure": pytest.approx(0.1)}, "decided once"


@pytest.mark.parametrize(
    "failure",
    [
        (429, {"X-RateLimit-RetryAfter": "2.5s"}, b"Too Many Requests"),
        (502, {}, b"<html>Bad Gateway</html>"),
        (200, {"Content-Type": "text/html"}, b"<html>maintenance</html>"),
        (200, {}, b'[{"createdAt":"2026-11-'),
        (200, {}, b""),
        (200, {"Content-Encoding": "gzip"}, b"not gzip at all"),
    ],
)
def test_passing_faults_are_tried_again(server, failure):
    server.upload(TEMPERATURE, NOW, 1)
    server.failures = [failure, failure]
    world = World(server)
    assert len(readings(*world.collect(1))) == 1
    if failure[0] == 429:
        assert world.waits.count(2.5) == 2


def test_patience_ends(server):
    server.failures = [(503, {}, b"")] * 10
    world = World(server, attempts=3)
    with pytest.raises(SourceError, match="failed 3 times"):
        world.run(world.client.box(BOX))


def test_patience_over_many_requests_ends_too(server):
    server.failures = [(429, {"Retry-After": "4"}, b"")] * 10
    world = World(server, attempts=100, patience=10.0)
    with pytest.raises(SourceError, match="failed 3 times"):
        world.run(world.client.box(BOX))


def test_errors_say_what_the_server_said_whatever_its_form(server):
    forms = {
        b'{"code":"BadRequest","message":"no"}': "400 BadRequest: no$",
        b'{"code":"Bad Request","message":"no","error":"no"}': "400 Bad Request: no$",
        b"<html><body><h1>Sorry</h1></body></html>": "400 Sorry$",
    }
    for body, said in forms.items():
        server.failures = [(400, {}, body)]
        world = World(server)
        with pytest.raises(SourceError, match=said):
            world.run(world.client.box(BOX))


def test_a_box_that_does_not_exist_says_so(server):
    with pytest.raises(SourceError, match="does not exist"):
        World(server, boxes=["nobody"]).collect(1)
    world = World(server)
    with pytest.raises(NotFoundError):
        world.run(world.client.box("../users/me"))


def test_one_dead_box_does_not_stop_the_others(server):
    server.upload(TEMPERATURE, NOW, 1)
    world = World(server, boxes=["000000000000000000000000", BOX])
    assert len(readings(*world.collect(1))) == 1
    assert set(world.source.errors) == {"000000000000000000000000"}


def test_values_that_came_late_are_found_within_the_hour(server):
    """A device that was cut off sends a fresh value first and its backlog afterwards."""
    server.upload(TEMPERATURE, NOW - 5 * HOUR, 1)
    server.upload(TEMPERATURE, NOW, 2)
    world = World(server)
    world.source = world.follow([BOX], poll_seconds=1200.0)
    first, second = world.collect(2, between=lambda: server.upload(TEMPERATURE, NOW - HOUR, 99))
    assert [r.values["temperature"] for r in readings(first)] == [1.0, 2.0]
    assert [r.values["temperature"] for r in readings(second)] == [1.0, 99.0, 2.0]
    assert HOUR <= world.clock.now() - NOW < HOUR + 1300 * SECOND


def test_values_that_came_days_late_are_found_by_looking_back_now_and_then(server):
    """A window of the last 60 days in each round; nothing from before the box was followed."""
    server.upload(TEMPERATURE, NOW, 1)
    [first] = World(server).collect(1)
    cursor = json.loads(first.cursor)
    cursor["plans"][BOX] = {"since": NOW - 58 * DAY, "looked": [0, 0], "left": []}
    for days in (10, 50, 59):
        server.upload(TEMPERATURE, NOW - days * DAY, days)
    world = World(server)
    parcels = world.collect(10, cursor=json.dumps(cursor))
    assert [r.values["temperature"] for r in readings(*parcels)] == [50.0, 10.0]
    assert world.clock.now() - NOW >= 9 * MINUTE, "one window in each round"
    plan = json.loads(parcels[-1].cursor)["plans"][BOX]
    assert plan["looked"] == [NOW, NOW]
    assert plan["left"] == [[NOW - 4 * DAY, NOW - 2 * DAY]], "it counts when it is stored"


def test_looking_back_goes_on_after_a_restart_and_leaves_others_their_turn(server):
    plan = Plan.first(BOX, NOW - 60 * DAY, NOW)
    for look in range(2):
        plan.looked[look] = NOW - 8 * DAY
    spans = []
    while span := plan.next(NOW):
        spans.append(span)
        plan.done(span)
        plan = Plan.load(json.loads(json.dumps(plan.dump())))
    assert spans[0][0] == NOW - 60 * DAY
    assert spans[-1][1] == NOW - 2 * DAY
    assert [begin for begin, _ in spans[1:]] == [end for _, end in spans[:-1]]
    assert max(end - begin for begin, end in spans) == 6 * DAY
    assert plan.next(NOW + DAY - 1) is None
    assert plan.next(NOW + DAY) == (NOW - 13 * DAY, NOW - 7 * DAY)
    turns = {Plan.first(f"{i:024x}", NOW, NOW).looked[1] for i in range(50)}
    assert len(turns) > 30, "boxes are not all due at once"


def test_looking_for_late_values_goes_on_after_a_restart(server):
    server.upload(TEMPERATURE, NOW - HOUR, 1)
    [first] = World(server).collect(1)
    cursor = json.loads(first.cursor)
    cursor["again"][BOX] -= 2 * HOUR
    server.upload(TEMPERATURE, NOW - 2 * HOUR, 99)
    [second] = World(server).collect(1, cursor=json.dumps(cursor))
    assert [r.values["temperature"] for r in readings(second)] == [99.0, 1.0]


def test_boxes_that_a_search_finds_are_followed_and_searched_for_again(server):
    """What was found last stays where a search fails."""
    other = "5" * 24
    server.add_box(other, [("51" * 12, "Temperatur", "°C")])
    server.upload(TEMPERATURE, NOW, 1)
    server.upload("51" * 12, NOW, 1)
    world, asked = World(server), []
    answers = [[BOX], SourceError("overloaded"), [BOX, other]]

    async def find():
        asked.append(world.clock.now())
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    world.source = world.follow([], find=find, poll_seconds=1200.0)
    parcels = world.collect(4)
    assert [info.sensor_id for parcel in parcels for info in parcel.sensors] == [BOX, other]
    assert min(b - a for a, b in pairwise(asked)) >= HOUR


def test_a_mobile_box_keeps_its_track_and_is_where_it_was_last(server):
    server.boxes[BOX]["exposure"] = "mobile"
    server.upload(TEMPERATURE, NOW - MINUTE, 1, (7.5, 51.5))
    server.upload(TEMPERATURE, NOW, 2, (7.64, 51.96))
    [parcel] = World(server).collect(1)
    assert [r.tags["longitude"] for r in readings(parcel)] == ["7.5", "7.64"]
    assert (parcel.sensors[0].longitude, parcel.sensors[0].tags["height"]) == (7.64, "66.6")


def test_many_readings_of_a_busy_box_comes_in_parcels_of_a_size(server):
    times = list(range(NOW - 30 * HOUR, NOW, 5 * SECOND))
    server.fill(TEMPERATURE, times, [1.0] * len(times))
    parcels = World(server).collect(3)
    assert [sum(map(len, parcel.batches)) for parcel in parcels] == [10_000, 10_000, 1600]
    assert [parcel.cursor is None for parcel in parcels] == [True, True, False]


def test_requests_are_polite(server):
    server.upload(TEMPERATURE, NOW, 1)
    world = World(server, contact="ops@example.org")
    world.collect(1)
    assert [w for w in world.waits if 0 < w <= 1.0], "at least a second between two requests"
    headers = server.requests[0][2]
    assert headers["User-Agent"] == f"redshank/{__version__} (+ops@example.org)"
    assert "gzip" in headers["Accept-Encoding"]


def test_sensors_that_never_sent_are_not_asked_for(server):
    server.upload(TEMPERATURE, NOW, 1)
    World(server).collect(1)
    assert not server.asked(f"/data/{HUMIDITY}")


def test_three_states_of_the_newest_value_and_odd_boxes():
    box = parse_box(
        {
            "_id": BOX,
            "sensors": [
                {"_id": "3", "title": "a", "lastMeasurement": None},
                {"_id": "2", "title": "b"},
                {
                    "_id": "1",
                    "lastMeasurement": {"createdAt": "2026-11-20T16:00:00.675Z", "value": "7.10"},
                },
                "junk",
            ],
            "currentLocation": {"coordinates": ["x"]},
        }
    )
    assert [(s.id, s.silent, s.last_value) for s in box.sensors] == [
        ("1", False, 7.1),
        ("2", True, None),
        ("3", False, None),
    ]
    assert (box.name, box.place) == ("", None)


def test_the_rewritten_server_answers_in_other_words():
    found = parse_measurements(
        [
            {"sensor_id": "a", "time": "2025-11-06 23:59:57.189+00", "value": 4.78},
            {"sensorId": "a", "time": "2025-11-06T23:59:58.189Z", "value": None},
            {"value": "1"},
            7,
        ]
    )
    assert found.time.tolist() == [parse_time("2025-11-06T23:59:57.189Z")]
    assert found.value.tolist() == [4.78]
    assert (len(found.bad), found.rows) == (2, 4)


def test_all_ways_to_be_asked_to_wait():
    assert retry_after({"Retry-After": "7"}, NOW) == 7
    assert retry_after({"Retry-After": "Fri, 20 Nov 2026 16:01:00 GMT"}, NOW) == 60
    assert retry_after({"X-RateLimit-RetryAfter": "1m2.5s"}, NOW) == 62.5
    assert retry_after({"X-RateLimit-RetryAfter": "300ms"}, NOW) == pytest.approx(0.3)
    assert retry_after({"Retry-After": "soon"}, NOW) is None
    assert retry_after({}, NOW) is None
    assert retry_after({"Retry-After": "99999"}, NOW) == 600


@pytest.mark.parametrize("url", ["api.opensensemap.org", "https://", "ftp://x", "http://[::1"])
def test_addresses_that_cannot_work_are_refused_at_once(url):
    with pytest.raises(SourceError, match="cannot be used"):
        OpenSenseMapClient(url)
