"""Dead letters of files, openSenseMap and MQTT become readings, by what is configured now."""

import asyncio
import json

import pytest

from redshank.adapters.sources.opensensemap import OpenSenseMapLetters
from redshank.adapters.sources.replay import FileLetters, FileReplay, demo_source
from redshank.core.batch import rows
from redshank.core.clock import DAY, FakeClock, parse_time
from redshank.core.config import Config
from redshank.core.ports import Commit
from redshank.core.queries import DeadLetters, Sensors, StoreTotals
from redshank.core.records import ChannelInfo, DeadLetter, SensorInfo
from redshank.services.dead_letters import replay
from redshank.wiring import open_service

NOW = parse_time("2026-01-31T12:00:00Z")
THEN = parse_time("2026-01-31T11:00:00Z")
BOX, SENSOR = "57000b8745fd40c8196ad04c", "57000b8745fd40c8196ad053"


def found(again):
    """Sensor, time and values of each reading."""
    assert again.reason == ""
    return [(r.sensor_id, r.time, dict(r.values)) for batch in again.batches for r in rows(batch)]


def bury(path, text, **how):
    """The letters of a file."""
    clock = FakeClock(NOW)

    async def sleep(seconds):
        clock.advance(seconds)

    async def collect():
        source = FileReplay(path, clock=clock, sleep=sleep, **how)
        return [letter async for parcel in source.parcels(None) for letter in parcel.dead_letters]

    path.write_text(text, encoding="utf-8")
    return asyncio.run(collect())


# --- files -------------------------------------------------------------------------------------


def test_a_row_of_a_file_is_read_as_its_file_was(tmp_path):
    (letter,) = bury(tmp_path / "roof.csv", "time;Temperatur;note\n2026-01-31T11:00:00Z;warm;x\n")
    assert letter.topic == str(tmp_path / "roof.csv")
    assert json.loads(letter.raw) == {
        "time": "2026-01-31T11:00:00Z", "Temperatur": "warm", "note": "x"
    }  # fmt: skip
    assert FileLetters()(letter).reason == "temperature: 'warm' is not a number"
    mended = with_raw(letter, b'"warm"', b'"21.5"')
    assert found(FileLetters()(mended)) == [("roof", THEN, {"temperature": 21.5})]
    (info,) = FileLetters()(mended).sensors
    assert info.channels["temperature"].title == "Temperatur"


def test_a_corrected_sensors_json_counts(tmp_path):
    about = tmp_path / "sensors.json"
    about.write_text('{"roof": {"sensor_id": "b-1", "units": {"Luftdruck": "hPa"}}}')
    (letter,) = bury(tmp_path / "roof.csv", "time,Luftdruck\n2026-01-31T11:00:00Z,-\n")
    mended = with_raw(letter, b'"-"', b'"101325"')
    assert found(FileLetters()(mended)) == [("b-1", THEN, {"pressure": 101_325.0})]
    about.write_text('{"roof": {"sensor_id": "b-2", "units": {"Luftdruck": "Pa"}}}')
    assert found(FileLetters()(mended)) == [("b-2", THEN, {"pressure": 1013.25})]


def test_a_row_whose_folder_is_gone_keeps_its_sensor_and_units(tmp_path):
    about = tmp_path / "sensors.json"
    about.write_text('{"roof": {"sensor_id": "b-1", "units": {"Luftdruck": "Pa"}}}')
    (letter,) = bury(tmp_path / "roof.csv", "time,Luftdruck\n2026-01-31T11:00:00Z,-\n")
    about.unlink()
    (tmp_path / "roof.csv").unlink()
    mended = with_raw(letter, b'"-"', b'"101325"')
    assert found(FileLetters()(mended)) == [("b-1", THEN, {"pressure": 1013.25})]


def test_a_reading_of_the_long_form_is_read_whole(tmp_path):
    (letter,) = bury(
        tmp_path / "box.csv",
        "createdAt,phenomenon,value,unit\n"
        "2026-01-31T11:00:00Z,Luftdruck,101325,Pa\n"
        "2026-01-31T11:00:00Z,Temperatur,warm,°C\n",
    )
    assert len(json.loads(letter.raw)) == 2
    assert "'warm' is not a number" in FileLetters()(letter).reason
    mended = with_raw(letter, b'"warm"', b'"21"')
    assert found(FileLetters()(mended)) == [
        ("box", THEN, {"pressure": 1013.25, "temperature": 21.0})
    ]


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("a.csv", "time,x\n1,2,3\n", "row: "),
        ("a.ndjson", '{"time": "2026-01-31T11:00:00Z", "x": 1}\n{oops\n', "row: '{oops"),
        ("a.csv", "time,x\nyesterday,1\n", "timestamp: 'yesterday' is not a time"),
    ],
)
def test_rows_that_are_none_stay_what_they_are(tmp_path, name, text, reason):
    (letter,) = bury(tmp_path / name, text)
    assert FileLetters()(letter).reason.startswith(reason)


def test_the_demo_moves_times_by_whole_days_and_so_do_its_letters(tmp_path):
    table = "time,x,Temperatur\n2025-06-01T11:00:00Z,1,\n2025-06-01T11:00:01Z,,warm\n"
    (letter,) = bury(tmp_path / "a.csv", table, live=True)
    ((_, time, _),) = found(FileLetters()(with_raw(letter, b'"warm"', b'"1"')))
    assert (time - parse_time("2025-06-01T11:00:01Z")) % DAY == 0
    assert NOW < time <= NOW + DAY
    assert demo_source().name == "demo"


# --- openSenseMap ------------------------------------------------------------------------------


def measured(value, **row):
    raw = json.dumps({"createdAt": "2026-01-31T11:00:00Z", "value": value, **row}).encode()
    return DeadLetter(
        *(NOW, "opensensemap", "", raw, 1),
        topic=f"{BOX}/{SENSOR}",
        details={"title": "Luftdruck", "unit": "Pa"},
    )


def registered(**channel):
    info = ChannelInfo("pressure_2", "hPa", "Luftdruck", "Pa", device=SENSOR, **channel)
    return SensorInfo(BOX, latitude=51.9, longitude=7.6, channels={"pressure_2": info})


def test_a_measurement_is_the_channel_that_the_registry_has_for_its_sensor():
    reader = OpenSenseMapLetters(lambda box_id: registered(scale=0.01))
    assert found(reader(measured("101325"))) == [(BOX, THEN, {"pressure_2": 1013.25})]
    assert reader(measured("warm")).reason == "value: 'warm' is not a number"


def test_a_measurement_of_an_unknown_box_goes_by_title_and_unit():
    reader = OpenSenseMapLetters(SensorInfo)
    assert found(reader(measured(101_325))) == [(BOX, THEN, {"pressure": 1013.25})]


@pytest.mark.parametrize(
    "place", [{"location": [7.7, 51.9]}, {"longitude": "7.7", "latitude": "51.9"}]
)
def test_a_measurement_from_elsewhere_keeps_its_place(place):
    (batch,) = OpenSenseMapLetters(lambda _: registered())(measured(1, **place)).batches
    assert batch.tags == ({"longitude": "7.7", "latitude": "51.9"},)


@pytest.mark.parametrize("raw", [b"[]", b"{oops", b"7", b'{"createdAt": "x", "value": 1}'])
def test_what_is_no_measurement_stays_what_it_is(raw):
    letter = DeadLetter(NOW, "opensensemap", "", raw, 1, f"{BOX}/{SENSOR}")
    assert OpenSenseMapLetters(SensorInfo)(letter).reason


def test_letters_of_an_earlier_version_say_too_little():
    letter = DeadLetter(NOW, "opensensemap", f"box {BOX}: value: x is odd", b"{}", 1)
    assert OpenSenseMapLetters(SensorInfo)(letter) is None
    assert FileLetters()(letter) is None


# --- all of it ---------------------------------------------------------------------------------


def test_letters_of_all_sources_become_readings_once(tmp_path):
    (row,) = bury(tmp_path / "roof.csv", "time,Temperatur\n2026-01-31T11:00:00Z,warm\n")
    message = DeadLetter(NOW, "mqtt", "x", b"4.5", topic="plant/pump7/speed")
    letters = [with_raw(row, b'"warm"', b'"21"'), measured("101325"), message]
    config = Config(mqtt_topics="{site}/{sensor_id}/{channel}")

    async def run():
        async with open_service(config, clock=FakeClock(NOW), in_memory=True) as service:
            context = service.context
            context.runner.write(Commit(dead_letters=letters)).result(10)
            done = [await replay(context, DeadLetters()) for _ in range(2)]
            store = context.store
            return done, store.read(StoreTotals()), store.read(Sensors())

    (first, second), totals, sensors = asyncio.run(run())
    assert (first.letters, first.replayed, first.receipt.stored) == (3, 3, 3)
    assert second.letters == totals.dead_letters == 0
    assert {(one.info.sensor_id, one.info.site) for one in sensors} == {
        ("roof", ""), (BOX, ""), ("pump7", "plant")
    }  # fmt: skip


def with_raw(letter, old, new):
    """The letter as if these bytes had been in it."""
    assert old in letter.raw
    return DeadLetter(
        *(letter.time, "replay", "x", letter.raw.replace(old, new), 1),
        topic=letter.topic,
        content_type=letter.content_type,
        details=letter.details,
    )
