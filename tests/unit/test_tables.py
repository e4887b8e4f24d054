"""Tables from the files that people have: CSV of all dialects and Parquet of all types."""

import csv
import gzip
from datetime import timedelta, timezone
from io import StringIO

import numpy as np
import pytest
from arro3.core import Array, DataType, Table
from arro3.io import write_parquet
from hypothesis import given
from hypothesis import strategies as st

from redshank.core.clock import MINUTE, SECOND, parse_time
from redshank.core.errors import FileFormatError, NotFoundError
from redshank.core.table_writer import write_table
from redshank.core.times import parse_times
from redshank.models.tables import read_table

NOON = parse_time("2026-01-31T12:00:00Z")


@pytest.fixture
def csv_file(tmp_path):
    def write(text, name="table.csv", encoding="utf-8"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
        return path

    return write


@pytest.fixture
def parquet_file(tmp_path):
    def write(**columns):
        path = tmp_path / "table.parquet"
        write_parquet(Table.from_pydict(columns), path)
        return path

    return write


def ints(*values):
    return Array.from_numpy(np.array(values, np.int64))


# --- CSV ---------------------------------------------------------------------------------------


def test_a_plain_csv_file(csv_file):
    path = csv_file(
        "timestamp,temperature,humidity,site,is_anomaly\n"
        "2026-01-31T12:00:00Z,20.5,40,roof,0\n"
        "2026-01-31T12:01:00Z,,41,roof,1\n"
    )
    table = read_table(path)
    assert table.channels == ("temperature", "humidity")
    assert table.time.tolist() == [NOON, NOON + MINUTE]
    np.testing.assert_array_equal(table.values, [[20.5, 40], [np.nan, 41]])
    assert table.labels.tolist() == [False, True]
    assert table.ignored == ("site",)


def test_the_skab_dialect(csv_file):
    path = csv_file(
        "datetime;Current;Volume Flow RateRMS;anomaly;changepoint\n"
        "2020-03-09 10:14:33;1.33;32.0;0.0;0.0\n"
        "2020-03-09 10:14:34;1.35;31.0;1.0;1.0\n"
    )
    table = read_table(path)
    assert table.channels == ("Current", "Volume Flow RateRMS")
    assert table.labels.tolist() == [False, True]
    assert table.ignored == ("changepoint",)


def test_semicolons_with_decimal_commas_and_an_old_encoding(csv_file):
    path = csv_file("Zeit;Temperatur °C\r\n2026-01-31 12:00;1,5\r\n2026-01-31 12:01;-2,25\r\n",
                    encoding="cp1252")  # fmt: skip
    table = read_table(path)
    assert table.channels == ("Temperatur °C",)
    assert table.values[:, 0].tolist() == [1.5, -2.25]
    assert table.time[0] == NOON


def test_byte_order_mark_gzip_and_leading_empty_lines(csv_file):
    text = "\ufeff\n\ntime,value\n2026-01-31T12:00:00Z,1\n".encode()
    for path in (csv_file(text), csv_file(gzip.compress(text), "table.csv.gz")):
        table = read_table(path)
        assert (table.channels, table.time.tolist()) == (("value",), [NOON])


def test_quotes_spaces_and_words_for_missing(csv_file):
    path = csv_file(
        'time,"a, left", b ,c,on\n'
        '2026-01-31T12:00:00Z, 1.5 ,NA,"7",true\n'
        "2026-01-31T12:01:00Z,null,2,-,false\n"
    )
    table = read_table(path)
    assert table.channels == ("a, left", "b", "c", "on")
    np.testing.assert_array_equal(
        table.values, [[1.5, np.nan, 7, 1], [np.nan, 2, np.nan, 0]]
    )  # fmt: skip


@pytest.mark.parametrize(
    "name", ["timestamp", "Time", "createdAt", "created at", "Date-Time", "ts"]
)
def test_time_columns_are_known_by_name(csv_file, name):
    table = read_table(csv_file(f"a,{name}\n1,2026-01-31T12:00:00Z\n"))
    assert (table.channels, table.time.tolist()) == (("a",), [NOON])


def test_a_time_column_of_any_name_is_found_by_its_content(csv_file):
    table = read_table(csv_file("room,a,when\nx,1,2026-01-31T13:00:00+01:00\n"))
    assert (table.time.tolist(), table.ignored) == ([NOON], ("room",))


@pytest.mark.parametrize("factor", [1, 1_000, 1_000_000, 1_000_000_000])
def test_unix_time_of_any_unit(csv_file, factor):
    stamps = [NOON // SECOND * factor, (NOON // SECOND + 60) * factor]
    table = read_table(csv_file("ts,a\n" + "".join(f"{stamp},1\n" for stamp in stamps)))
    assert table.time.tolist() == [NOON, NOON + MINUTE]


def test_fractions_of_unix_seconds(csv_file):
    table = read_table(csv_file("ts,a\n1700000000.25,1\n1700000000.5,1\n"))
    assert table.time.tolist() == [1_700_000_000_250_000, 1_700_000_000_500_000]


@given(st.datetimes(), st.integers(-1439, 1439), st.sampled_from(["seconds", "microseconds"]))
def test_offsets_are_read_in_columns_as_they_are_one_by_one(moment, minutes, precision):
    zone = timezone(timedelta(minutes=minutes))
    text = moment.replace(tzinfo=zone).isoformat(timespec=precision)
    times, known = parse_times([text])
    assert known.all() and times.tolist() == [parse_time(text)]


def test_rows_without_times_are_evenly_spaced(csv_file):
    table = read_table(csv_file("a,b\n1,2\n3,4\n"))
    assert table.time is None
    assert table.event_time().tolist() == [0, 5 * MINUTE]


@pytest.mark.parametrize(
    "name", ["is_anomaly", "anomaly", "label", "is_outlier", "Is Anomaly", "changepoint"]
)
def test_labels_are_never_a_channel(csv_file, name):
    table = read_table(csv_file(f"a,{name}\n1,0\n2,1\n"))
    assert table.channels == ("a",)
    assert table.labels.tolist() == [False, True]


def test_labels_may_be_words_and_text_labels_are_only_kept_away(csv_file):
    assert read_table(csv_file("a,is_anomaly\n1,False\n2,True\n")).labels.tolist() == [False, True]
    table = read_table(csv_file("a,label\n1,kitchen\n2,roof\n"))
    assert (table.labels, table.ignored) == (None, ("label",))


def test_columns_without_a_name_are_left_out(csv_file):
    assert read_table(csv_file(",a\n0,5\n1,6\n")).channels == ("a",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("time,a\n2026-01-31,1\n2026-01-31,x1\n2026-02-01,3\n", "column 'a', row 2: 'x1' is not a"),
        ("time,a\n2026-01-31,1\nsoon,2\n", "column 'time', row 2: 'soon' is not a time"),
        ("time,a\n2026-01-31,1\n,2\n", "column 'time', row 2: None is empty"),
        ("time,a\n2026-02-30,1\n", "column 'time', row 1: '2026-02-30' is not a time"),
        ("a,b\n1,2\n1\n", "line 3 has 1 fields, but the header has 2"),
        ("a,b\n", "no rows"),
        ("", "empty"),
        ("1.5,2\n3,4\n", "no column names"),
        ("a,b,a\n1,2,3\n", "'a' is there twice"),
        ("a,b\nx,roof\n", "no column of numbers among a, b"),
        (b"\x00\x01\x02", "neither text"),
        (b"PAR1 cut short", "not a complete Parquet file"),
        (gzip.compress(b"a,b\n1,2\n" * 99, mtime=0)[:20], "gzip stream is damaged"),
    ],
)
def test_what_cannot_be_read_says_where_and_why(csv_file, text, message):
    with pytest.raises(FileFormatError, match=r"table\.csv: .*" + message):
        read_table(csv_file(text))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(NotFoundError, match="no such file"):
        read_table(tmp_path / "gone.csv")


CELLS = st.one_of(st.none(), st.floats(allow_nan=False), st.integers(-(10**6), 10**6))


@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=20), st.sampled_from(",;\t|"))
def test_csv_is_read_as_it_was_written(tmp_path_factory, rows, delimiter):
    buffer = StringIO()
    csv.writer(buffer, delimiter=delimiter).writerows([("a", "b"), *rows])
    path = tmp_path_factory.mktemp("csv") / "table.csv"
    path.write_text(buffer.getvalue())
    np.testing.assert_array_equal(read_table(path).values, np.array(rows, float))


# --- Parquet -----------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Berlin"])
def test_parquet_timestamps_of_any_unit_and_zone(parquet_file, unit, zone):
    per_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    stamps = ints(NOON // SECOND * per_second).cast(DataType.timestamp(unit, tz=zone))
    assert read_table(parquet_file(when=stamps, a=ints(1))).time.tolist() == [NOON]


def test_parquet_numbers_of_any_type(parquet_file):
    two = ints(0, 1)
    path = parquet_file(
        i8=two.cast(DataType.int8()),
        u32=two.cast(DataType.uint32()),
        f16=two.cast(DataType.float16()),
        f32=two.cast(DataType.float32()),
        decimal=two.cast(DataType.decimal128(10, 2)),
        flag=two.cast(DataType.bool()),
        gaps=Array([None, 1.0], DataType.float64()),
        counts=Array([None, 1], DataType.int64()),
    )
    table = read_table(path)
    assert table.channels == ("i8", "u32", "f16", "f32", "decimal", "flag", "gaps", "counts")
    np.testing.assert_array_equal(table.values[1], np.ones(8))
    np.testing.assert_array_equal(table.values[0], [0, 0, 0, 0, 0, 0, np.nan, np.nan])


def test_parquet_text_in_plain_and_dictionary_form(parquet_file):
    words = Array(["roof", None], DataType.utf8())
    stamps = Array(["2026-01-31T12:00:00Z", "2026-01-31T12:01:00Z"], DataType.utf8())
    dictionary = DataType.dictionary(DataType.int32(), DataType.utf8())
    path = parquet_file(
        createdAt=stamps.cast(dictionary), site=words.cast(dictionary), a=ints(1, 2)
    )
    table = read_table(path)
    assert table.time.tolist() == [NOON, NOON + MINUTE]
    assert (table.channels, table.ignored) == (("a",), ("site",))


def test_an_empty_parquet_time_names_its_row(parquet_file):
    stamps = Array([0, None], DataType.int64()).cast(DataType.timestamp("us"))
    with pytest.raises(FileFormatError, match="column 'timestamp', row 2: None is empty"):
        read_table(parquet_file(timestamp=stamps, a=ints(1, 2)))


# --- Writing -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["out.csv", "out.csv.gz", "out.parquet", "out.ndjson"])
def test_what_is_written_is_read_back(tmp_path, name):
    time = np.array([NOON, NOON + 1], "datetime64[us]")
    values = np.array([0.1, 1e-300])
    columns = {"timestamp": time, "a": values, "is_anomaly": np.array([False, True])}
    write_table(tmp_path / name, columns)
    table = read_table(tmp_path / name)
    assert table.time.tolist() == [NOON, NOON + 1]
    assert table.values[:, 0].tolist() == values.tolist()
    assert table.labels.tolist() == [False, True]


def test_times_of_whole_milliseconds_are_written_short(tmp_path):
    write_table(tmp_path / "out.csv", {"timestamp": np.array([NOON], "datetime64[us]")})
    assert "2026-01-31T12:00:00.000Z" in (tmp_path / "out.csv").read_text()


def test_an_unknown_ending_is_refused(tmp_path):
    with pytest.raises(FileFormatError, match=r"out\.xlsx: the ending must be"):
        write_table(tmp_path / "out.xlsx", {"a": np.ones(1)})
