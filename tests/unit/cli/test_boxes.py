"""openSenseMap at the command line, and ``fetch_from_box`` in Python."""

import asyncio
import csv
import json
from datetime import UTC, datetime

import numpy as np
import pytest

import redshank as package
from redshank import wiring
from redshank.core.clock import DAY, HOUR, parse_time
from redshank.core.config import Config
from redshank.core.tabular import TableFile
from support.opensensemap import Server

START = parse_time("2026-05-01T00:00:00Z")
BOX = "57000b8745fd40c8196ad04c"
TEMPERATURE, PRESSURE = "57000b8745fd40c8196ad051", "57000b8745fd40c8196ad052"
SPAN = ("--from", "2026-05-01", "--to", "2026-05-11T00:00:00Z")
ROWS = 10 * 24


@pytest.fixture
def osm(monkeypatch, redshank):
    """A server with ten days of one box, which all commands ask."""
    with Server() as server:
        server.add_box(BOX, [(TEMPERATURE, "Temperatur", "°C"), (PRESSURE, "Luftdruck", "Pa")])
        times = list(range(START, START + 10 * DAY, HOUR))
        assert len(times) == ROWS
        server.fill(TEMPERATURE, times, np.linspace(10, 20, ROWS).tolist())
        server.fill(PRESSURE, times, np.full(ROWS, 101_325.0).tolist())
        monkeypatch.setenv("REDSHANK_OPENSENSEMAP_URL", server.url)
        monkeypatch.setenv("REDSHANK_OPENSENSEMAP_ARCHIVE_URL", "none")
        monkeypatch.setenv("REDSHANK_OPENSENSEMAP_SPACING_SECONDS", "0")
        yield server


def test_boxes_are_listed_and_registered(redshank, osm):
    answer = redshank("boxes", "--near", "7.64,51.96,2000", "--phenomenon", "pressure")
    assert answer.status == 0, answer.err
    assert BOX in answer.out
    assert "1 box found" in answer.out
    (box,) = redshank("boxes", "--bbox", "7,51,8,52", "--json", "--register").json["boxes"]
    assert (box["box_id"], box["longitude"], box["height"]) == (BOX, 7.64, 66.6)
    assert box["sensors"][1] == {"id": PRESSURE, "title": "Luftdruck", "unit": "Pa"}
    wrong = redshank("boxes", "--bbox", "8,51,7,52")
    assert (wrong.status, "west < east" in wrong.err) == (2, True)


def test_fetching_into_the_store_twice_and_exporting_it(redshank, osm, tmp_path):
    first = redshank("fetch", BOX, *SPAN, "--json")
    (report,) = first.json["boxes"]
    assert (report["read"], report["stored"], report["error"]) == (2 * ROWS, ROWS, None)
    assert "fetching 100%" in first.err
    (again,) = redshank("fetch", BOX, *SPAN, "--json").json["boxes"]
    assert (again["read"], again["stored"]) == (0, 0)

    said = redshank("export", BOX, "--from", "2026-05-02", "-o", "out.csv")
    assert said.status == 0, said.err
    with (tmp_path / "out.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == ROWS - 24
    assert rows[0]["timestamp"].startswith("2026-05-02T00:00:00")
    assert float(rows[0]["pressure"]) == 1013.25
    assert redshank("export", "nobody", "-o", "out.csv").status == 1
    assert redshank("export", BOX, "-o", "out.xls").status == 2


def test_exporting_beside_whoever_holds_the_store(redshank, osm, tmp_path):
    redshank("fetch", BOX, *SPAN)
    with wiring.open_store(Config(data_dir=tmp_path / "redshank-data")):
        assert redshank("export", BOX, "-o", "out.csv", "--units").status == 0
        taken = redshank("fetch", BOX, *SPAN)
        assert (taken.status, "another redshank" in taken.err) == (1, True)
    assert (
        (tmp_path / "out.csv")
        .read_text()
        .startswith("timestamp,sensor_id,pressure [hPa],temperature [°C]\n")
    )


def test_fetching_into_one_file(redshank, osm, tmp_path):
    other = "57000b8745fd40c8196ad0ff"
    osm.add_box(other, [("57000b8745fd40c8196ad0f1", "Humidity", "%")])
    osm.upload("57000b8745fd40c8196ad0f1", START + HOUR, 55)
    said = redshank("fetch", BOX, other, *SPAN, "-o", "out.parquet", "--json")
    assert said.json == {
        "file": "out.parquet",
        "rows": ROWS + 1,
        "channels": ["humidity", "pressure", "temperature"],
    }
    rows = [row for piece in TableFile(tmp_path / "out.parquet").pieces() for row in piece]
    assert [row["timestamp"] for row in rows] == sorted(row["timestamp"] for row in rows)
    assert {row["sensor_id"] for row in rows} == {BOX, other}


def test_the_track_of_a_mobile_box_is_stored_and_exported(redshank, osm, tmp_path):
    rover, sensor = "57000b8745fd40c8196ad0aa", "57000b8745fd40c8196ad0ab"
    osm.add_box(rover, [(sensor, "Temperatur", "°C")], exposure="mobile")
    for minute in range(3):
        osm.upload(sensor, START + minute * 60_000_000, 20, (7.0 + minute / 100, 51.5))
    redshank("fetch", rover, *SPAN)
    redshank("export", rover, "-o", "track.csv")
    with (tmp_path / "track.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["longitude"]) for row in rows] == [7.0, 7.01, 7.02]


def test_a_box_that_does_not_exist_and_times_that_are_none(redshank, osm):
    answer = redshank("fetch", "f" * 24, BOX, *SPAN)
    assert answer.status == 1
    assert "does not exist" in answer.err
    assert f"{ROWS}" in answer.out, "the other box was fetched"
    assert redshank("fetch", BOX, "--from", "yesterday").status == 2
    assert redshank("fetch", BOX, "--from", "2026-05-02", "--to", "2026-05-01").status == 2


def test_python_programs_get_a_table(osm):
    table = package.fetch_from_box(BOX, "2026-05-01", datetime(2026, 5, 3, tzinfo=UTC))
    assert len(table) == 48
    assert table.channels == ("pressure", "temperature")
    assert table.columns["pressure"].tolist() == [1013.25] * 48
    assert next(table.rows()) == {
        "timestamp": "2026-05-01T00:00:00.000Z",
        "sensor_id": BOX,
        "pressure": 1013.25,
        "temperature": 10.0,
    }
    json.dumps(list(table.rows()))


def test_it_works_where_a_loop_runs_already(osm):
    async def notebook():
        same = package.fetch_from_box(BOX, "2026-05-01", "2026-05-03")
        other = await package.fetch_from_box_async(BOX, "2026-05-01", "2026-05-03")
        return len(same), len(other)

    assert asyncio.run(notebook()) == (48, 48)
