"""Files in and out, whole and broken."""

import gzip

import numpy as np
import pytest
from arro3.core import Array, DataType, Table
from arro3.io import write_parquet

from redshank.core.clock import SECOND, parse_time
from redshank.core.errors import FileFormatError
from redshank.core.files import find_tables, stem
from redshank.core.table_writer import write_table
from redshank.core.tabular import TableFile

START = parse_time("2026-01-05T00:00:00Z")


def read(path, size=5000):
    return [row for piece in TableFile(path).pieces(size) for row in piece]


@pytest.mark.parametrize("ending", ["csv", "parquet", "ndjson", "csv.gz", "ndjson.gz"])
def test_what_is_written_is_read_again(tmp_path, ending):
    path = tmp_path / f"box.{ending}"
    write_table(
        path,
        {
            "sensor_id": ["a", "b"],
            "timestamp": np.array([START, START + SECOND]),
            "temperature": np.array([1.5, np.nan]),
            "is_anomaly": np.array([True, False]),
        },
    )
    first, second = read(path)
    assert first["sensor_id"] == "a"
    assert parse_time(first["timestamp"]) == START
    assert float(first["temperature"]) == 1.5
    assert str(first["is_anomaly"]).lower() == "true"
    assert second["temperature"] is None or second["temperature"] != second["temperature"]
    assert stem(path) == "box"


def test_big_files_come_in_pieces_with_progress(tmp_path):
    path = tmp_path / "many.csv"
    write_table(path, {"x": np.arange(10_000)})
    table = TableFile(path)
    sizes, progress = zip(
        *((len(rows), table.progress) for rows in table.pieces(3000)), strict=True
    )
    assert sizes == (3000, 3000, 3000, 1000)
    assert list(progress) == sorted(progress)
    assert table.progress == 1.0


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_csv_dialects(tmp_path, delimiter):
    path = tmp_path / "x.csv"
    text = f"\ufefftime{delimiter}Temperatur\r\n2026-01-05{delimiter}1.5\r\n\r\n2026-01-06\r\n"
    path.write_bytes(text.encode())
    assert read(path) == [
        {"time": "2026-01-05", "Temperatur": "1.5"},
        {"time": "2026-01-06"},
    ]


def test_spreadsheets_of_western_europe(tmp_path):
    path = tmp_path / "x.csv"
    path.write_bytes("\n\nZeit;Temperatur °C\r\n2026-01-05;1,5\r\n".encode("cp1252"))
    assert read(path) == [{"Zeit": "2026-01-05", "Temperatur °C": "1.5"}]


def test_a_stray_byte_spoils_its_own_cell_only(tmp_path):
    path = tmp_path / "x.csv"
    path.write_bytes("Ort,°C,µg\nKüche,1,2\n".encode() + b"\xff,2,3\n")
    first, second = read(path)
    assert first == {"Ort": "Küche", "°C": "1", "µg": "2"}
    assert second["°C"] == "2"


def test_odd_headers_and_rows(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text('x,x,\n1,2,3\n1,2,3,4\n"a\nb",,\n')
    assert read(path) == [
        {"x": "1", "x_2": "2", "column_3": "3"},
        ["1", "2", "3", "4"],
        {"x": "a\nb", "x_2": None, "column_3": None},
    ]


def test_parquet_times_of_any_unit_are_microseconds(tmp_path):
    path = tmp_path / "x.parquet"
    raw = Array.from_numpy(np.array([START // 1000]))
    columns = {
        unit: raw.cast(DataType.timestamp("ms")).cast(DataType.timestamp(unit))
        for unit in ("s", "ms", "us", "ns")
    }
    write_parquet(Table.from_pydict(columns), path)
    assert read(path) == [dict.fromkeys(("s", "ms", "us", "ns"), START)]


def test_broken_json_lines_are_passed_on_as_text(tmp_path):
    path = tmp_path / "x.ndjson"
    path.write_bytes(b'{"x":1}\n\n{"x":NaN}\n{broken\n\xff\n' + b"[" * 100_000 + b"\n")
    first, second, *broken = read(path)
    assert first == {"x": 1}
    assert second["x"] != second["x"]
    assert [type(row) for row in broken] == [str, str, str]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.parquet", b"no parquet at all"),
        ("x.parquet", b"PAR1" + b"\0" * 100),
        ("x.csv", b""),
        ("x.csv.gz", gzip.compress(b"x\n" + b"1\n" * 100_000, mtime=0)[:-50]),
        ("x.txt", b"x"),
    ],
)
def test_files_that_cannot_be_read_say_why(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match="x"):
        read(path)


def test_folders_hold_their_readable_files(tmp_path):
    with pytest.raises(FileFormatError, match="no readable file"):
        find_tables(tmp_path)
    for name in ("b.csv", "a.parquet", "notes.txt", "a.labels.csv"):
        (tmp_path / name).write_text("")
    assert [path.name for path in find_tables(tmp_path)] == ["a.parquet", "b.csv"]
    with pytest.raises(FileFormatError, match="does not exist"):
        find_tables(tmp_path / "c.csv")
