"""Exports: wide tables of any size, read beside the redshank that writes the store."""

import csv
import io

import numpy as np
import pytest
from arro3.io import read_parquet

from redshank.adapters.store.sqlite import SqliteReader, SqliteStore
from redshank.checks.store_samples import readings, verdicts
from redshank.core.batch import Reading, batches
from redshank.core.clock import MINUTE, parse_time
from redshank.core.errors import FieldError, NotFoundError, StoreError
from redshank.core.flags import flag_bits, flag_names
from redshank.core.ports import Commit
from redshank.core.queries import LatestReadings
from redshank.core.records import ChannelInfo, Flag, SensorInfo
from redshank.core.table_writer import csv_parts, write_parquet_parts, write_parts
from redshank.core.tabular import TableFile
from redshank.services.export import Wanted, export

START = parse_time("2026-01-31T12:00:00Z")


@pytest.fixture
def store(tmp_path):
    opened = SqliteStore(tmp_path / "store.sqlite")
    for hour in range(5):
        batch = readings("a", {"t": [20.5, 21.0], "h": [60.0, np.nan]}, START + hour * 60 * MINUTE)
        flags = np.zeros((2, 2), np.uint16)
        flags[1, 0] = Flag.MISSING
        flags[0, 1] = Flag.SPIKE | Flag.GAP if hour == 3 else 0
        judged = verdicts(batch, [9.0, 8.0])
        judged.flags[:] = flags
        opened.write(Commit(readings=[batch], verdicts=[judged]))
    odd = Reading("b", START + MINUTE, {"t": -5.0}, tags={"latitude": "51.5", "room": "1, north"})
    opened.write(Commit(readings=batches([odd])))
    yield opened
    opened.close()


def rows(store, *sensors, size=50_000, **wanted):
    table = export(store, Wanted(sensors, **wanted), size)
    text = b"".join(csv_parts(table.columns, table.parts)).decode()
    return list(csv.DictReader(io.StringIO(text)))


def test_sensors_beside_one_another_in_time_order(store):
    found = rows(store, "a", "b")
    assert list(found[0]) == ["timestamp", "sensor_id", "h", "t", "latitude", "room"]
    assert [(row["timestamp"], row["sensor_id"], row["h"], row["t"]) for row in found[:3]] == [
        ("2026-01-31T12:00:00.000000Z", "a", "60.0", "20.5"),
        ("2026-01-31T12:01:00.000000Z", "a", "", "21.0"),
        ("2026-01-31T12:01:00.000000Z", "b", "", "-5.0"),
    ]
    assert (found[2]["latitude"], found[2]["room"]) == ("51.5", "1, north")


def test_parts_of_any_size_are_the_same_table(store):
    whole = rows(store, "a", "b")
    assert [rows(store, "a", "b", size=size) for size in (1, 3)] == [whole, whole]


def test_a_span_some_channels_and_units(store):
    info = SensorInfo("a", channels={"t": ChannelInfo("t", "°C")})
    store.write(Commit(sensors=[info]))
    end = START + 60 * MINUTE
    found = rows(store, "a", start=START + MINUTE, end=end, channels=["t"], units=True)
    assert [list(row.values())[2] for row in found] == ["21.0", "20.5"]
    assert list(found[0])[2] == "t [°C]"
    with pytest.raises(FieldError, match="nothing"):
        rows(store, "a", channels=["nothing"])
    with pytest.raises(NotFoundError, match="nobody"):
        rows(store, "nobody")


def test_flags_and_verdicts_stand_beside_values(store):
    found = rows(store, "a", flags=True, verdicts=True)
    assert list(found[0])[2:] == [
        *("h", "h.flags", "t", "t.flags"),
        *("verdict.status", "verdict.score", "verdict.rate"),
    ]
    assert (found[1]["h.flags"], found[6]["t.flags"]) == ("missing", "gap spike")
    assert (found[0]["verdict.status"], found[0]["verdict.rate"]) == ("normal", "9.0")
    (spike,) = rows(store, "a", flagged=Flag.SPIKE)
    assert spike["timestamp"] == "2026-01-31T15:00:00.000000Z"
    assert rows(store, "a", channels=["h"], flagged=Flag.SPIKE) == []
    judged = rows(store, "b", verdicts=True)
    assert (judged[0]["verdict.status"], judged[0]["verdict.rate"]) == ("", "")


@pytest.mark.parametrize("ending", [".csv", ".csv.gz", ".tsv", ".parquet", ".ndjson"])
def test_files_of_all_forms_read_back(store, tmp_path, ending):
    path = tmp_path / f"out{ending}"
    table = export(store, Wanted(["a", "b"]), 3)
    assert write_parts(path, table.columns, table.parts) == 11
    read = [row for piece in TableFile(path).pieces() for row in piece]
    assert [row["sensor_id"] for row in read].count("b") == 1
    assert sum(float(row["t"]) for row in read) == pytest.approx(5 * 41.5 - 5)


def test_parquet_keeps_times_numbers_and_gaps(store):
    table, file = export(store, Wanted(["a"])), io.BytesIO()
    write_parquet_parts(file, table.columns, table.parts)
    read = read_parquet(file).read_all()
    assert read.column("h").to_pylist()[:2] == [60.0, None]
    assert read.column("timestamp")[0].as_py().isoformat() == "2026-01-31T12:00:00+00:00"


def test_nothing_in_a_span_is_a_heading(store):
    table = export(store, Wanted(["a"], end=START - 1))
    assert b"".join(csv_parts(table.columns, table.parts)) == b"timestamp,sensor_id\n"


def test_a_reader_sees_what_is_committed_beside_the_writer(store, tmp_path):
    reader = SqliteReader(tmp_path / "store.sqlite")
    before = len(reader.read(LatestReadings("a")))
    store.write(Commit(readings=[readings("a", {"new": [1.0]}, START - MINUTE)]))
    found = reader.read(LatestReadings("a"))
    assert len(found) == before + 1
    assert found[-1].values == {"new": 1.0}
    reader.close()


def test_a_reader_needs_a_store_of_its_own_layout(tmp_path):
    with pytest.raises(StoreError, match="there is no store"):
        SqliteReader(tmp_path / "store.sqlite")
    path = tmp_path / "other.sqlite"
    store = SqliteStore(path)
    store._writer.execute("PRAGMA user_version = 1")
    with pytest.raises(StoreError, match="redshank migrate"):
        SqliteReader(path)
    store.close()


def test_flags_have_names():
    assert flag_names(Flag.SPIKE | Flag.GAP) == ("gap", "spike")
    assert flag_bits(["spike", "GAP"]) == Flag.SPIKE | Flag.GAP
    with pytest.raises(FieldError, match="gross_range"):
        flag_bits(["bad"])
