"""CSV bodies: headers, cells, bad rows, pieces, and that nothing breaks them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redshank.core.batch import rows
from redshank.core.clock import SECOND, parse_time
from redshank.core.csv_readings import CsvDecoder
from redshank.core.decode import decode_rows
from redshank.core.errors import FileFormatError

NOW = parse_time("2026-02-01T00:00:00Z")
THEN = parse_time("2026-01-31T12:00:00Z")


def decoded(*lines, **how):
    body = b"\n".join(line if isinstance(line, bytes) else line.encode() for line in lines)
    return CsvDecoder(**how).decode(body, arrival=NOW).dated_from(NOW)


def readings(found):
    found = [reading for batch in found.batches for reading in rows(batch)]
    return sorted(found, key=lambda reading: reading.time)


def test_a_row_is_a_reading():
    found = decoded(
        "sensor_id,timestamp,temperature,humidity,room",
        "a,2026-01-31T12:00:00Z,21.5,61,north",
        "b,1769860801,,61,",
    )
    assert not found.errors
    first, second = readings(found)
    assert (first.sensor_id, first.time) == ("a", THEN)
    assert first.values == {"temperature": 21.5, "humidity": 61.0}
    assert first.tags == {"room": "north"}
    assert (second.sensor_id, second.time, second.values) == (
        "b",
        THEN + SECOND,
        {"humidity": 61.0},
    )


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_cells_may_be_parted_by_other_signs(delimiter):
    lines = ["sensor_id,timestamp,x", *(f"a,{1769860800 + i},{i}" for i in range(20))]
    found = decoded(*(line.replace(",", delimiter) for line in lines))
    assert [r.values["x"] for r in readings(found)] == list(range(20))


def test_cells_may_be_quoted_and_lines_end_as_on_windows():
    found = decoded('\ufeffsensor_id,"x",note\r', '"a, b",1,"say ""hi"""\r', "\r", "c,2,\r")
    assert [(r.sensor_id, r.values, r.tags) for r in readings(found)] == [
        ("a, b", {"x": 1.0}, {"note": 'say "hi"'}),
        ("c", {"x": 2.0}, {}),
    ]


def test_bad_rows_are_told_by_their_line_and_the_others_kept():
    found = decoded(
        "sensor_id,timestamp,temperature",
        "a,yesterday,1",
        "a,1769860800,warm",
        "a,1769860800,1,2",
        b"\xff,1769860800,1",
        "a,1769860800",
        "a,1769860800,5",
    )
    assert [r.values for r in readings(found)] == [{"temperature": 5.0}]
    assert [(error.index, error.field) for error in found.errors] == [
        (1, "timestamp"),
        (2, "temperature"),
        (3, "row"),
        (4, "row"),
        (5, "values"),
    ]
    assert found.errors[1].raw.endswith(b"\na,1769860800,warm")
    assert found.count == 6


def test_a_line_over_the_limit_is_refused():
    found = decoded("sensor_id,x", "a," + "1" * 100, "a,2", longest=50)
    assert [error.reason for error in found.errors] == ["is longer than 50 bytes"]


HEADERS = {
    b"": "the body is empty",
    b"a,b\n1,2": "names no sensor_id",
    b"sensor_id,x,x\na,1,2": "names 'x' twice",
    b"\xff\n": "is not UTF-8",
}


@pytest.mark.parametrize("body", HEADERS)
def test_a_header_is_needed(body):
    with pytest.raises(FileFormatError, match=HEADERS[body]):
        CsvDecoder().decode(body, arrival=NOW)


def test_a_body_may_come_in_pieces():
    decoder = CsvDecoder()
    first = decoder.decode(b"sensor_id,x\na,1\n", arrival=NOW)
    second = decoder.decode(b"a,2\nb,3\n", arrival=NOW)
    assert (first.count, second.count) == (1, 2)
    assert [r.values["x"] for r in readings(second)] == [2.0, 3.0]


@given(st.binary(max_size=200))
def test_no_bytes_break_it(body):
    found = CsvDecoder().decode(b"sensor_id,timestamp,x\n" + body, arrival=NOW)
    assert found.count == sum(map(len, found.batches)) + len(found.errors)


CELL = st.one_of(
    st.floats(allow_nan=False).map(repr), st.sampled_from(["", "a", "1", "true", "x y", "1_0"])
)


@given(st.lists(st.tuples(st.sampled_from(["a", "b", ""]), CELL, CELL), max_size=15))
def test_rows_mean_what_objects_mean(cells):
    lines = ["sensor_id,x,temperature", *(",".join(row) for row in cells)]
    named = [
        dict(zip(("sensor_id", "x", "temperature"), (cell or None for cell in row), strict=True))
        for row in cells
    ]
    found, wanted = decoded(*lines), decode_rows(named, arrival=NOW).dated_from(NOW)
    kept = [(r.sensor_id, r.time, r.values, r.tags) for r in readings(found)]
    assert kept == [(r.sensor_id, r.time, r.values, r.tags) for r in readings(wanted)]
    assert [(e.index - 1, e.field, e.reason) for e in found.errors] == [
        (e.index, e.field, e.reason) for e in wanted.errors
    ]
