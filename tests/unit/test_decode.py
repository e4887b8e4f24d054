"""Bodies as senders write them, good and bad."""

import json
import math
from datetime import UTC, datetime
from itertools import islice, pairwise

import numpy as np
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from redshank.core.batch import rows as readings_of
from redshank.core.clock import DAY, SECOND, format_time, parse_time
from redshank.core.decode import MAX_LINE, MAX_RAW, decode_json, decode_ndjson, decode_rows
from redshank.core.decoded import UNDATED
from redshank.core.errors import FieldError, FileFormatError
from redshank.core.rows import RowContext, read_row
from redshank.core.series import Naming
from redshank.core.times import parse_times

NOW = parse_time("2026-01-31T12:00:00Z")


def decode(*rows):
    return decode_json(orjson.dumps(list(rows)), arrival=NOW).dated_from(NOW)


def only(decoded):
    """The one reading of the one batch."""
    assert not decoded.errors
    [batch] = decoded.batches
    [reading] = readings_of(batch)
    return reading


def error_of(row):
    decoded = decode(row)
    assert not decoded.batches
    [error] = decoded.errors
    return error


def test_a_reading_with_flat_keys():
    row = {
        "sensor_id": "greenhouse-1",
        "timestamp": "2026-01-31T11:59:00Z",
        "temperature": 21.5,
        "humidity": 61,
        "event_id": "a-7",
        "room": "north",
        "heated": True,
    }
    reading = only(decode_json(orjson.dumps(row), arrival=NOW))
    assert reading.sensor_id == "greenhouse-1"
    assert reading.time == NOW - 60_000_000
    assert reading.values == {"temperature": 21.5, "humidity": 61.0}
    assert reading.event_id == "a-7"
    assert reading.tags == {"room": "north", "heated": "true"}


def test_a_reading_with_its_channels_under_values():
    row = {"sensor_id": 7, "values": {"temperature": "21.5", "relative_humidity": 61}}
    reading = only(decode(row))
    assert reading.sensor_id == "7"
    assert reading.time == NOW, "without timestamp the time of arrival counts"
    assert reading.values == {"temperature": 21.5, "humidity": 61.0}


def test_two_rows_without_time_stay_two_readings():
    decoded = decode({"sensor_id": "a", "x": 1}, {"sensor_id": "a", "x": 2})
    assert decoded.batches[0].time.tolist() == [NOW, NOW + 1]


def test_rows_get_times_in_their_order_wherever_a_body_is_cut():
    """Whatever they hold, and bad ones too; those that have a time keep it."""
    shapes = [{"x": 1}, {"y": 2}, {"x": 1, "timestamp": NOW - SECOND}, {"x": "warm"}, {}]
    metrics = {"metrics": [{"name": "m", "fields": {"x": 1}}, {"name": "m", "fields": {"y": 1}}]}
    lines = [orjson.dumps({"sensor_id": "a", **shapes[i * i % 5]}) for i in range(40)]
    lines = [b"", *lines[:20], b"{oops", orjson.dumps(metrics), *lines[20:]]

    def timed(*ends):
        found, numbers = [], iter(range(NOW, NOW + 100))
        for start, end in pairwise(ends):
            piece = b"\n".join(lines[start:end])
            some = decode_ndjson(piece, arrival=NOW, naming=Naming(), whole=False)
            some = some.dated(np.array(list(islice(numbers, some.undated)), np.int64))
            found += [(error.time, error.raw) for error in some.errors]
            found += [(r.time, heard(r)) for b in some.batches for r in readings_of(b)]
        return sorted(found, key=repr)

    whole = timed(0, len(lines))
    given = [time for time, _ in whole if time >= NOW]
    assert given == list(range(NOW, NOW + len(given)))
    assert len(given) == len(whole) - sum(time == NOW - SECOND for time, _ in whole) > 30
    assert timed(0, 7, 8, 23, 30, len(lines)) == whole


@pytest.mark.parametrize(
    ("row", "field", "reason"),
    [
        ({"x": 1}, "sensor_id", "is missing"),
        ({"sensor_id": " ", "x": 1}, "sensor_id", "is empty"),
        ({"sensor_id": True, "x": 1}, "sensor_id", "is not text"),
        ({"sensor_id": "a\nb", "x": 1}, "sensor_id", "control characters"),
        ({"sensor_id": "a" * 257, "x": 1}, "sensor_id", "longer than 256"),
        ({"sensor_id": "a", "x": 1, "timestamp": "yesterday"}, "timestamp", "is not a time"),
        ({"sensor_id": "a", "x": 1, "timestamp": "1970-01-01T00:00:00Z"}, "timestamp", "1990"),
        ({"sensor_id": "a", "x": 1, "timestamp": "2027-06-01T00:00:00Z"}, "timestamp", "a year"),
        ({"sensor_id": "a", "x": 1, "timestamp": [1]}, "timestamp", "is not a time"),
        ({"sensor_id": "a", "temperature": "warm"}, "temperature", "is not a number"),
        ({"sensor_id": "a", "temperature": True}, "temperature", "is not a number"),
        ({"sensor_id": "a", "x": {"deep": 1}}, "x", "is nested"),
        ({"sensor_id": "a", "values": {"x": [1]}}, "values.x", "is nested"),
        ({"sensor_id": "a", "room": "north"}, "values", "holds no channel"),
        ({"sensor_id": "a", "Temp": 1, "temp": 2}, "temp", "names the same channel as 'Temp'"),
        ({"sensor_id": "a", "event_id": [], "x": 1}, "event_id", "is not text"),
        ({"sensor_id": "a", "x": 1, "room": "n" * 5000}, "room", "longer than"),
        ({"sensor_id": "a", **{f"c{i}": i for i in range(257)}}, "values", "more than 256"),
        (17, "row", "is not an object"),
        ({}, "sensor_id", "is missing"),
    ],
)
def test_what_cannot_be_used_is_named(row, field, reason):
    error = error_of(row)
    assert error.field == field
    assert reason in error.reason


def test_a_clock_that_is_a_month_ahead_is_kept_for_the_checks():
    ahead = format_time(NOW + 30 * DAY)
    assert only(decode({"sensor_id": "a", "x": 1, "timestamp": ahead})).time == NOW + 30 * DAY


def test_bad_rows_do_not_cost_the_good_ones():
    good = {"sensor_id": "a", "temperature": 1.0}
    body = b'{"sensor_id":"a","temperature":"warm"}'
    lines = [
        orjson.dumps(good),
        body,
        b"{broken",
        b"",
        orjson.dumps(good),
        b"\xff\xfe",
        b"[" * 5000,
    ]
    decoded = decode_ndjson(b"\n".join(lines), arrival=NOW)
    assert decoded.count == 6
    assert sum(map(len, decoded.batches)) == 2
    assert [error.index for error in decoded.errors] == [1, 2, 5, 6]
    assert decoded.errors[0].raw == body
    assert "is not JSON" in decoded.errors[1].reason
    assert "nested too deeply" in decoded.errors[3].reason


def test_a_line_of_ten_megabytes_does_not_stop_the_rest():
    good = b'{"sensor_id":"a","x":1}\n'
    long = b'{"sensor_id":"b","x":1,"t":"' + b"x" * MAX_LINE + b'"}\n'
    decoded = decode_ndjson(good + long + good, arrival=NOW)
    assert sum(map(len, decoded.batches)) == 2
    [error] = decoded.errors
    assert (error.index, error.reason) == (1, "is longer than 10 MB")
    assert len(error.raw) == MAX_RAW


def test_nan_and_infinities_are_values():
    body = b'{"sensor_id":"a","x":NaN,"y":-Infinity,"z":1e400,"w":null}'
    values = decode_ndjson(body, arrival=NOW).batches[0]
    assert values.channels == ("x", "y", "z")
    np.testing.assert_array_equal(values.values, [[np.nan, -np.inf, np.inf]])


def test_null_is_missing():
    decoded = decode({"sensor_id": "a", "x": None, "y": 2}, {"sensor_id": "a", "x": None})
    assert [batch.channels for batch in decoded.batches] == [("y",), ("x",)]
    assert math.isnan(decoded.batches[1].values[0, 0])


def test_the_last_of_two_equal_keys_wins_as_in_json():
    assert only(decode_json(b'{"sensor_id":"a","x":1,"x":2}', arrival=NOW)).values == {"x": 2.0}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "empty"),
        (b'[{"sensor_id":"a"', "line 1 column 18"),
        (b"3", "neither"),
        (b"[" * 100_000, "nested too deeply|line 1"),
        (b'{"a":"\xff"}', "not JSON"),
    ],
)
def test_a_body_that_is_no_json_is_refused_with_its_place(body, message):
    with pytest.raises(FileFormatError, match=message):
        decode_json(body, arrival=NOW)


@pytest.mark.parametrize("body", [b"", b"\n\n", b"sensor_id,x\na,1\n"])
def test_a_body_without_any_json_line_is_refused(body):
    with pytest.raises(FileFormatError):
        decode_ndjson(body, arrival=NOW)


# --- laws --------------------------------------------------------------------------------------

times = st.datetimes(datetime(1990, 1, 2), datetime(2026, 12, 1)).map(
    lambda moment: moment.replace(tzinfo=UTC).isoformat().replace("+00:00", "Z")
)
leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.sampled_from(["north", "21.5", "", "nan", "\ud800", "0x15", "1e3"])
    | st.text(max_size=5)
)
messy_values = st.recursive(leaves, lambda inner: st.lists(inner, max_size=2), max_leaves=3)
names = st.sampled_from(["x", "y", "X", "temperature", "room", "values", "Sound Volume", "\ud801"])
messy_rows = st.fixed_dictionaries(
    {},
    optional={
        "sensor_id": st.sampled_from(["a", "b", " a", "", "\x00"]) | messy_values,
        "timestamp": times | st.integers(0, 2 * 10**15) | messy_values,
        "event_id": st.sampled_from(["e1", "e2"]) | messy_values,
        "values": st.dictionaries(names, messy_values, max_size=3),
    },
).flatmap(
    lambda row: st.dictionaries(names, messy_values, max_size=3).map(lambda more: {**more, **row})
)


@st.composite
def rows_of_one_shape(draw):
    """Many rows with the same keys, some of which differ in one value."""
    row = draw(messy_rows)
    rows = [dict(row) for _ in range(draw(st.integers(8, 12)))]
    for i in draw(st.lists(st.integers(0, 7), max_size=3)) if row else []:
        rows[i][draw(st.sampled_from(sorted(row)))] = draw(leaves)
    return rows


relaxed = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def heard(reading):
    """A reading without the channels it lacks, in a form that NaN does not upset."""
    values = {name: value for name, value in reading.values.items() if value == value}
    return (reading.sensor_id, reading.time, values, reading.event_id, dict(reading.tags))


@relaxed
@given(rows_of_one_shape() | st.lists(messy_rows, max_size=5))
def test_columns_say_the_same_as_rows_one_by_one(rows):
    expected, refused = [], []
    for i, row in enumerate(rows):
        try:
            expected.append(heard(read_row(row, i, RowContext(NOW, undated=UNDATED))))
        except FieldError as error:
            refused.append((i, error.field, error.reason))
    decoded = decode_rows(rows, arrival=NOW)
    got = [heard(reading) for batch in decoded.batches for reading in readings_of(batch)]
    assert sorted(got, key=repr) == sorted(expected, key=repr)
    assert [(error.index, error.field, error.reason) for error in decoded.errors] == refused
    assert decoded.count == len(rows)


@relaxed
@given(st.lists(messy_rows, min_size=1, max_size=20), st.data())
def test_good_rows_are_kept_whatever_stands_between_them(rows, data):
    junk = data.draw(st.lists(st.binary(max_size=20).filter(lambda b: b"\n" not in b), max_size=5))
    good = {"sensor_id": "good", "temperature": 1.0, "timestamp": "2026-01-01T00:00:00Z"}
    lines = [json.dumps(row).encode() for row in [*rows, good]] + junk
    decoded = decode_ndjson(b"\n".join(data.draw(st.permutations(lines))), arrival=NOW)
    kept = [r for batch in decoded.batches for r in readings_of(batch) if r.sensor_id == "good"]
    assert [reading.values for reading in kept] == [{"temperature": 1.0}]
    assert sum(map(len, decoded.batches)) + len(decoded.errors) == decoded.count
    orjson.dumps([error.value for error in decoded.errors])


@relaxed
@given(st.binary(max_size=200) | st.text(alphabet='[]{}:,"eE+-.019naNI\\u \n', max_size=60))
def test_any_bytes_are_readings_or_a_format_error(body):
    body = body.encode() if isinstance(body, str) else body
    for read in (decode_json, decode_ndjson):
        try:
            read(body, arrival=NOW)
        except FileFormatError as error:
            assert str(error)


@relaxed
@given(st.lists(times | st.text(max_size=25)))
def test_times_in_columns_are_times_one_by_one(texts):
    parsed, known = parse_times(texts)
    for text, time, good in zip(texts, parsed.tolist(), known, strict=True):
        assert not good or time == parse_time(text)


@pytest.mark.parametrize("space", ["\x1c", "\u00a0", "\u2003", "\t\n"])
def test_any_white_space_may_stand_around_a_number_as_text(space):
    row = {"sensor_id": "a", "x": f"{space}1{space}"}
    [batch] = decode_rows([row], arrival=NOW).batches
    assert batch.values.tolist() == [[1.0]]
