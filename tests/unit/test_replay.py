"""Recorded files come back as readings: merged, mapped, paced, and resumable."""

import asyncio
import json

import numpy as np
import pytest

from redshank.adapters.sources.replay import FileReplay, demo_source
from redshank.core.batch import rows
from redshank.core.clock import DAY, HOUR, MINUTE, SECOND, FakeClock, parse_time
from redshank.core.errors import SourceError
from redshank.core.records import SensorInfo
from redshank.core.table_writer import write_table

START = parse_time("2026-01-05T00:00:00Z")
NOW = parse_time("2026-02-01T12:00:00Z")


def collect(source, cursor=None):
    async def run():
        return [parcel async for parcel in source.parcels(cursor)]

    return asyncio.run(run())


def readings(*parcels):
    return [r for parcel in parcels for batch in parcel.batches for r in rows(batch)]


def replay(*paths, **options):
    return FileReplay(list(paths), **{"clock": FakeClock(NOW), **options})


def test_a_wide_csv_file(tmp_path):
    path = tmp_path / "all.csv"
    path.write_text(
        "sensor_id,timestamp,Temperatur,room,is_anomaly\n"
        "a,2026-01-05T00:00:00Z,21.5,north,1\n"
        "b,2026-01-05T00:00:10Z,,north,0\n"
        "b,2026-01-05T00:00:20Z,19,,0\n"
    )
    [parcel] = collect(replay(path))
    first, *_, last = readings(parcel)
    assert (first.sensor_id, first.time, first.values) == ("a", START, {"temperature": 21.5})
    assert first.tags == {"room": "north"}, "labels never reach a detector"
    assert last.values == {"temperature": 19.0}
    assert parcel.progress == 1.0
    info = parcel.sensors[0].channels["temperature"]
    assert (info.title, info.unit) == ("Temperatur", "°C")


def test_the_long_form_of_opensensemap_exports(tmp_path):
    (tmp_path / "box.csv").write_text(
        "createdAt,phenomenon,value,unit\n"
        "2026-01-05T00:00:00.000Z,Temperatur,21.5,°C\n"
        "2026-01-05T00:00:00.000Z,Luftdruck,101325,Pa\n"
        "2026-01-05T00:00:00.000Z,Luftdruck,1,Pa\n"
        "2026-01-05T00:01:00.000Z,Luftqualität,3,IAQ\n"
        "2026-01-05T00:02:00.000Z,Temperatur,warm,°C\n"
    )
    [parcel] = collect(replay(tmp_path))
    found = {(r.time - START, tuple(r.values.items())) for r in readings(parcel)}
    assert found == {
        (0, (("pressure", 1013.25), ("temperature", 21.5))),
        (0, (("pressure", 0.01),)),
        (MINUTE, (("luftqualitaet", 3.0),)),
    }
    [letter] = parcel.dead_letters
    assert letter.topic == str(tmp_path / "box.csv")
    assert "'warm' is not a number" in letter.reason


def test_a_folder_may_say_what_its_boxes_are(tmp_path):
    write_table(
        tmp_path / "box.csv", {"time": [f"{2026}-01-05T00:00:00Z"], "Luftdruck": ["101325"]}
    )
    about = {
        "sensor_id": "b-1",
        "name": "Roof",
        "exposure": "outdoor",
        "units": {"Luftdruck": "Pa"},
    }
    (tmp_path / "sensors.json").write_text(json.dumps({"box": about}))
    [parcel] = collect(replay(tmp_path))
    assert readings(parcel)[0].values == {"pressure": 1013.25}
    [info] = parcel.sensors
    assert (info.sensor_id, info.name, info.exposure) == ("b-1", "Roof", "outdoor")


def test_the_caller_knows_sensors_better(tmp_path):
    write_table(tmp_path / "a.csv", {"timestamp": np.array([START]), "x": np.array([1.0])})
    [parcel] = collect(replay(tmp_path, sensors=[SensorInfo("a", name="Annex", site="North")]))
    [info] = parcel.sensors
    assert (info.name, info.site, list(info.channels)) == ("Annex", "North", ["x"])


def two_files(folder, n=7000):
    for name, offset in (("a.csv", 0), ("b.ndjson", 30 * SECOND)):
        time = START + offset + np.arange(n) * MINUTE
        write_table(folder / name, {"timestamp": time, "x": np.arange(n) * 1.0})
    return folder


def test_files_are_merged_in_time_order(tmp_path):
    parcels = collect(replay(two_files(tmp_path)))
    times = [reading.time for parcel in parcels for reading in readings(parcel)]
    assert len(times) == 14_000
    assert times == sorted(times)
    assert max(sum(map(len, parcel.batches)) for parcel in parcels) == 5000


def test_an_unsorted_file_is_sorted(tmp_path):
    time = START + np.array([3, 1, 2]) * MINUTE
    write_table(tmp_path / "a.csv", {"timestamp": time, "x": np.array([3.0, 1.0, 2.0])})
    assert [r.values["x"] for r in readings(*collect(replay(tmp_path)))] == [1.0, 2.0, 3.0]


def test_it_goes_on_where_it_was(tmp_path):
    two_files(tmp_path)
    whole = collect(replay(tmp_path))
    again = collect(replay(tmp_path), whole[0].cursor)
    assert [r.time for r in readings(*whole[1:])] == [r.time for r in readings(*again)]
    assert collect(replay(tmp_path), whole[-1].cursor) == []


def test_speed_is_kept(tmp_path):
    write_table(
        tmp_path / "a.csv",
        {"timestamp": START + np.arange(5) * MINUTE, "x": np.arange(5.0)},
    )
    clock = FakeClock(NOW)
    waits = []

    async def sleep(seconds):
        waits.append(seconds)
        clock.advance(seconds)

    assert len(collect(replay(tmp_path, speed=60, clock=clock, sleep=sleep))) == 5
    assert waits == pytest.approx([0, 1, 1, 1, 1])
    with pytest.raises(SourceError, match="above 0"):
        replay(tmp_path, speed=0)


def test_bad_rows_do_not_stop_a_file_and_are_told_once(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("timestamp,x\n2026-01-05T00:00:00Z,1\nyesterday,2\n,3\n1,2,3\n")
    [parcel] = collect(replay(path))
    assert len(readings(parcel)) == 1
    assert [letter.reason.split(": ")[0] for letter in parcel.dead_letters] == [
        "row 2",
        "row 3",
        "row 4",
    ]
    assert collect(replay(path), parcel.cursor) == []


def test_a_file_of_nothing_but_bad_rows_still_tells(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("timestamp,x\nyesterday,2\n")
    [parcel] = collect(replay(path))
    assert len(parcel.dead_letters) == 1


def test_a_missing_file_is_a_source_error(tmp_path):
    with pytest.raises(SourceError, match="does not exist"):
        collect(replay(tmp_path / "no.csv"))


def test_the_demo_is_a_week_of_four_real_boxes():
    parcels = collect(demo_source(live=False, clock=FakeClock(NOW)))
    found = readings(*parcels)
    assert {info.name for parcel in parcels for info in parcel.sensors} == {
        "Schnus",
        "Pangaea's senseBox",
        "Home Klinga",
        "SCOE",
    }
    assert 6.9 * DAY < found[-1].time - found[0].time <= 7 * DAY
    stuck = [
        r for r in found if r.sensor_id == "schnus-sense-box" and r.values["humidity"] == 99.99
    ]
    assert stuck[-1].time - stuck[0].time > 6 * HOUR, "a real fault is in it"
    assert not any(parcel.dead_letters for parcel in parcels)


def test_live_the_past_comes_at_once_and_the_rest_when_it_is_due(tmp_path):
    """Times move by whole days, so that noon stays noon."""
    time = START + np.arange(0, 36, 2) * HOUR
    write_table(tmp_path / "a.csv", {"timestamp": time, "x": np.arange(18.0)})
    clock = FakeClock(NOW + HOUR // 2)
    waits = []

    async def sleep(seconds):
        waits.append(seconds)
        clock.advance(seconds)

    parcels = collect(replay(tmp_path, live=True, clock=clock, sleep=sleep))
    found = readings(*parcels)
    assert {(reading.time - START) % DAY % (2 * HOUR) for reading in found} == {0}
    past = [reading for reading in found if reading.time <= NOW]
    assert len(readings(parcels[0])) == len(past), "in one parcel"
    assert 0 <= found[-1].time - NOW < DAY
    assert waits[0] == 0
    assert set(waits[2:]) <= {7200.0}
    assert parcels[-1].progress is None
