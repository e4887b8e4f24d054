"""Boxes found by place, group, exposure and phenomenon; lists are kept for an hour."""

import asyncio
import time
from contextlib import aclosing

import pytest

from redshank.adapters.sources.opensensemap import (
    Lists,
    OpenSenseMapClient,
    find,
    followed,
    search,
)
from redshank.adapters.sources.opensensemap.answers import parse_boxes, registered_at
from redshank.core.clock import DAY, parse_time
from redshank.core.errors import ConfigError
from support.opensensemap import Server

NOW = parse_time("2026-11-20T16:00:00Z")
NEAR, FAR, INDOOR = "57000b8745fd40c8196ad0a1", "57000b8745fd40c8196ad0a2", "5" * 24


@pytest.fixture
def server():
    with Server() as running:
        for box, place, more in (
            (FAR, [7.66, 51.97], {"grouptag": ["ifgi", "edu"]}),
            (NEAR, [7.641, 51.961], {"grouptag": ["edu"]}),
            (INDOOR, [13.4, 52.5], {"exposure": "indoor"}),
        ):
            sensors = [(f"{box[:-1]}{i}", *pair) for i, pair in enumerate(PAIRS[box])]
            where = {"type": "Point", "coordinates": place}
            running.add_box(box, sensors, currentLocation=where, **more)
        yield running


PAIRS = {
    NEAR: [("Temperatur", "°C")],
    FAR: [("Temperature", "°C"), ("PM10", "µg/m³")],
    INDOOR: [("Luftdruck", "Pa")],
}


def found(server, kept=None, **wanted):
    async def work():
        async with aclosing(OpenSenseMapClient(server.url, spacing=0.0)) as client:
            return await find(client, search(**wanted), kept)

    return asyncio.run(work())


def ids(boxes):
    return [one.box.id for one in boxes]


def test_near_a_place_the_nearest_first(server):
    boxes = found(server, near="7.64,51.96,5000")
    assert ids(boxes) == [NEAR, FAR]
    assert boxes[0].metres == pytest.approx(130, abs=5)
    assert server.asked("/boxes") == [{"near": "7.64,51.96", "maxDistance": "5000"}]


def test_by_rectangle_group_exposure_phenomenon_and_id(server):
    assert set(ids(found(server, bbox="7,51,8,52"))) == {NEAR, FAR}
    assert ids(found(server, grouptags=["edu", "ifgi"])) == [FAR]
    assert ids(found(server, bbox="-10,40,20,60", exposure=["indoor"])) == [INDOOR]
    assert set(ids(found(server, bbox="7,51,8,52", phenomena=["temperature"]))) == {NEAR, FAR}
    assert ids(found(server, bbox="7,51,8,52", phenomena=["pm10"])) == [FAR]
    assert ids(found(server, ids=[INDOOR, "f" * 24])) == [INDOOR]


def test_a_list_is_used_again_for_an_hour(server, tmp_path):
    now = time.time()
    kept = Lists(tmp_path / "cache", server.url, lambda: now)
    assert set(ids(found(server, kept, bbox="7,51,8,52"))) == {NEAR, FAR}
    found(server, kept, bbox="7,51,8,52")
    assert len(server.requests) == 1
    found(server, kept, bbox="7,51,8,53")
    assert len(server.requests) == 2, "another question"
    now += 3700
    found(server, kept, bbox="7,51,8,52")
    assert len(server.requests) == 3, "too old"
    for file in (tmp_path / "cache").iterdir():
        file.write_bytes(b"[{")
    now -= 3700
    assert set(ids(found(server, kept, bbox="7,51,8,52"))) == {NEAR, FAR}


def test_of_too_many_the_nearest_or_the_liveliest_are_followed(server):
    server.upload(f"{FAR[:-1]}0", NOW, 1)
    server.upload(f"{NEAR[:-1]}0", NOW - DAY, 1)
    assert followed(found(server, near="7.64,51.96,5000"), 1) == [NEAR]
    everywhere = found(server, bbox="-10,40,20,60")
    assert followed(everywhere, 9) == [FAR, NEAR], "one never sent anything"


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        ({}, "say which boxes"),
        ({"bbox": "8,51,7,52"}, "west < east"),
        ({"bbox": "7,51,8"}, "west,south,east,north"),
        ({"bbox": "7,51,8,nan"}, "west,south,east,north"),
        ({"near": "51.96"}, "longitude,latitude"),
        ({"near": "7,91"}, "longitude first"),
        ({"near": "7,51,0"}, "metres"),
        ({"near": "7,51", "exposure": ["outside"]}, "outside"),
    ],
)
def test_searches_that_make_no_sense(wanted, says):
    with pytest.raises(ConfigError, match=says):
        search(**wanted)


def test_when_a_box_was_registered():
    """The id tells it; what the box tells is the day of a migration for most old ones."""
    assert registered_at(NEAR, "2022-03-30T11:25:43.000Z") == parse_time("2016-04-02T18:12:23Z")
    assert registered_at("0a" * 12, "2026-01-01T00:00:00Z") == parse_time("2026-01-01T00:00:00Z")
    assert registered_at("clx9-another-form-of-id1", None) is None


def test_lists_in_all_their_forms():
    minimal = {"_id": NEAR, "name": "x", "exposure": "unknown", "lastMeasurementAt": "junk"}
    other = {"id": "clx9", "name": "y", "latitude": 51.9, "longitude": 7.6, "sensors": []}
    (box, new) = parse_boxes({"data": [minimal, other, "junk", {"name": "no id"}]})
    assert (box.exposure, box.sensors, box.newest) == ("", (), None)
    assert new.place == (7.6, 51.9, None)
