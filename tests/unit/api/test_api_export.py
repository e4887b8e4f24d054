"""Readings of a sensor as files."""

import csv
import io
from itertools import chain

from arro3.io import read_parquet

PATH = "/sensors/greenhouse-1/readings"


def table(answer):
    return list(csv.DictReader(io.StringIO(answer.text)))


def test_all_readings_as_csv_and_as_parquet(watched):
    answer = watched.call.get(f"{PATH}.csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert 'filename="greenhouse-1.csv"' in answer.headers["content-disposition"]
    rows = table(answer)
    assert len(rows) == 560
    assert list(rows[0]) == ["timestamp", "sensor_id", "humidity", "temperature"]
    answer = watched.call.get(f"{PATH}.parquet")
    read = read_parquet(io.BytesIO(answer.content)).read_all()
    assert read.column("humidity").to_pylist() == [float(row["humidity"]) for row in rows]
    assert int(answer.headers["content-length"]) == len(answer.content)


def test_a_span_a_channel_and_what_was_found(watched):
    query = {"start": "2026-01-31T20:00:00Z", "end": "2026-01-31T22:00:00Z", "verdicts": True}
    answer = watched.call.get(f"{PATH}.csv", params=query | {"channel": "humidity", "units": True})
    rows = table(answer)
    assert list(rows[0])[2:] == [
        "humidity [%]",
        *("verdict.status", "verdict.score", "verdict.rate"),
    ]
    assert rows[0]["timestamp"] == "2026-01-31T20:00:00.000000Z"
    assert "anomaly" in {row["verdict.status"] for row in rows}
    stepped = table(watched.call.get(f"{PATH}.csv", params={"flag": "rate_of_change", "flags": 1}))
    assert 0 < len(stepped) < 20
    assert all(
        "rate_of_change" in row["humidity.flags"] + row["temperature.flags"] for row in stepped
    )


def test_what_cannot_be_exported(watched):
    get = watched.call.get
    assert get("/sensors/nobody/readings.csv").status_code == 404
    assert get(f"{PATH}.parquet", params={"channel": "salt"}).status_code == 422
    wrong = get(f"{PATH}.csv", params={"flag": "odd"})
    assert wrong.status_code == 422
    assert "gross_range" in wrong.json()["detail"]
    assert get(f"{PATH}.csv", params={"start": "soon"}).status_code == 422


def test_ids_with_slashes_and_quotes(call):
    call.post("/readings", json={"sensor_id": 'a/"b"', "temperature": 1.5})
    answer = call.get('/sensors/a/"b"/readings.csv')
    assert answer.headers["content-disposition"].startswith('attachment; filename="a_b_.csv"')
    assert len(table(answer)) == 1


def test_nothing_in_a_csv_file_runs_in_a_spreadsheet(call):
    reading = {"sensor_id": "=cmd", "temperature": -1.5, "room": "@home"}
    call.post("/readings", json=reading)
    (row,) = table(call.get("/sensors/=cmd/readings.csv"))
    assert (row["sensor_id"], row["temperature"], row["room"]) == ("'=cmd", "-1.5", "'@home")


def test_a_browser_that_follows_a_link_gets_the_file(watched):
    answer = watched.call.get(f"{PATH}.csv", headers={"Accept": "text/html,*/*;q=0.8"})
    assert answer.text.startswith("timestamp,")


def test_flags_are_told_and_filter_rows_and_steps(watched):
    get = watched.call.get
    stepped = get("/events/latest", params={"flag": ["rate_of_change", "unit"]}).json()
    assert 0 < len(stepped) < 20
    assert all("rate_of_change" in chain(*row["flags"].values()) for row in stepped)
    assert "flags" not in get("/events/latest").json()[0]
    assert get("/events/latest", params={"flag": "future"}).json() == []
    anomalies = get("/anomalies", params={"flag": "rate_of_change"}).json()
    assert {row["timestamp"] for row in anomalies} <= {row["timestamp"] for row in stepped}
    span = {"start": "2026-01-30T00:00:00Z", "end": "2026-02-01T00:00:00Z", "points": 5000}
    series = get("/sensors/greenhouse-1/series", params=span | {"flag": "rate_of_change"}).json()
    assert len(series["time"]) == len(stepped)
    flags = [channel["flags"] for channel in series["channels"].values()]
    assert all(any(bits & 64 for bits in step) for step in zip(*flags, strict=True))
    for path in ("/events/latest", "/anomalies", "/sensors/greenhouse-1/series"):
        assert get(path, params={"flag": "odd"}).status_code == 422
