"""Readings as one wide table."""

import numpy as np
import pytest

from redshank.core.batch import Reading, batches
from redshank.core.clock import parse_time
from redshank.core.errors import FileFormatError
from redshank.core.tabular import TableFile
from redshank.core.wide import wide_table

T = parse_time("2026-01-31T12:00:00Z")


def table(*readings):
    return wide_table(batches(readings))


def test_sensors_with_different_channels_become_one_table_in_time_order():
    made = table(
        Reading("b", T + 1000, {"humidity": 50.0}),
        Reading("a", T + 1000, {"temperature": 1.0}),
        Reading("a", T, {"temperature": 2.0, "humidity": 60.0}),
    )
    assert list(made.columns) == ["timestamp", "sensor_id", "humidity", "temperature"]
    assert made.columns["sensor_id"] == ["a", "a", "b"]
    assert made.columns["timestamp"].dtype == np.dtype("datetime64[us]")
    assert list(made.rows())[1:] == [
        {"timestamp": "2026-01-31T12:00:00.001Z", "sensor_id": "a", "temperature": 1.0},
        {"timestamp": "2026-01-31T12:00:00.001Z", "sensor_id": "b", "humidity": 50.0},
    ]


def test_parts_of_one_time_are_one_row_and_the_first_of_two_values_stays():
    made = table(
        Reading("a", T, {"temperature": 1.0}),
        Reading("a", T, {"humidity": 50.0}),
        Reading("a", T, {"temperature": 2.0}),
        Reading("a", T, {"temperature": 1.0}),
    )
    (row,) = made.rows()
    assert (row["temperature"], row["humidity"], made.conflicts) == (1.0, 50.0, 1)


def test_tags_are_columns_numbers_where_all_are_numbers():
    made = table(
        Reading("a", T, {"x": 1.0}, tags={"latitude": "51.5", "firmware": "7b"}),
        Reading("a", T + 1, {"x": 1.0}),
    )
    assert made.columns["firmware"] == ["7b", ""]
    assert made.columns["latitude"][0] == 51.5
    assert np.isnan(made.columns["latitude"][1])


@pytest.mark.parametrize("ending", [".csv", ".parquet", ".ndjson"])
def test_files(tmp_path, ending):
    path = tmp_path / f"out{ending}"
    table(Reading("a", T, {"x": 1.5}), Reading("b", T, {"y": 2.5})).write(path)
    rows = [row for piece in TableFile(path).pieces() for row in piece]
    assert [row["sensor_id"] for row in rows] == ["a", "b"]
    with pytest.raises(FileFormatError):
        table(Reading("a", T, {"x": 1.5})).write(tmp_path / "out.xls")


def test_nothing_is_a_table_without_rows():
    assert (len(table()), list(table().columns)) == (0, ["timestamp", "sensor_id"])
