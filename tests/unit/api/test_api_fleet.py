"""Sensors, series, events, incidents and the alarm budget over a watched sensor."""

import csv
import io

import pytest

from redshank.core.clock import MINUTE, SECOND, parse_time


def incident(call):
    (only,) = call.get("/incidents").json()["incidents"]
    return only


def test_the_fleet_is_counted_and_listed(watched):
    answer = watched.call.get("/sensors").json()
    assert answer["total"] == 1
    assert answer["counts"]["with_open_incidents"] == 1
    (sensor,) = answer["sensors"]
    assert sensor["sensor_id"] == sensor["name"] == "greenhouse-1"
    assert sensor["readings"] == 560
    assert sensor["rhythm_seconds"] == pytest.approx(300, abs=1)
    assert sensor["channels"]["temperature"]["unit"] == "°C"
    assert sensor["last_seen"] == answer["newest"] == "2026-01-31T22:35:00.000Z"


def test_the_fleet_can_be_narrowed(watched):
    call = watched.call
    assert call.get("/sensors?text=HOUSE").json()["total"] == 1
    assert call.get("/sensors?text=nothing").json()["sensors"] == []
    assert call.get("/sensors?status=learning").json()["total"] == 0
    assert call.get("/sensors?limit=1&offset=1").json()["sensors"] == []


@pytest.mark.parametrize(
    ("query", "field", "value"),
    [
        ("limit=0", "limit", "0"),
        ("limit=1001", "limit", "1001"),
        ("limit=many", "limit", "many"),
        ("offset=-1", "offset", "-1"),
        ("status=well", "status", "well"),
    ],
)
def test_a_bad_parameter_is_named_with_its_value(call, query, field, value):
    answer = call.get(f"/sensors?{query}")
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert (error["field"], error["value"]) == (field, value)
    assert answer.json()["detail"].startswith(f"{field}: {value!r} ")


def test_a_sensor_can_be_named_placed_and_given_its_own_budget(watched):
    call = watched.call
    edit = {"name": "Greenhouse", "site": "Farm", "latitude": 52.5, "tags": {"crop": "leek"}}
    assert call("PATCH", "/sensors/greenhouse-1", json=edit).status_code == 200
    changed = call("PATCH", "/sensors/greenhouse-1", json={"budget": 7.5}).json()
    assert (changed["name"], changed["site"], changed["budget"]) == ("Greenhouse", "Farm", 7.5)
    assert changed["tags"] == {"crop": "leek"}
    assert call.get("/budget").json()["sensors_with_own"] == {"greenhouse-1": 7.5}
    assert incident(call)["sensor_name"] == "Greenhouse"
    assert call("PATCH", "/sensors/greenhouse-1", json={"budget": None}).json()["budget"] is None
    assert call.get("/budget").json()["sensors_with_own"] == {}


@pytest.mark.parametrize(
    ("edit", "field"),
    [
        ({"latitude": 91}, "latitude"),
        ({"exposure": "roof"}, "exposure"),
        ({"budget": -1}, "budget"),
        ({"nmae": "x"}, "nmae"),
        ({"tags": {"a": 1}}, "tags.a"),
        ([], "body"),
    ],
)
def test_an_edit_that_cannot_be_used_names_its_field(watched, edit, field):
    answer = watched.call("PATCH", "/sensors/greenhouse-1", json=edit)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field


def test_a_forgotten_sensor_is_gone_with_its_data(watched):
    call = watched.call
    assert call("DELETE", "/sensors/greenhouse-1").status_code == 204
    assert call.get("/sensors/greenhouse-1").status_code == 404
    assert call.get("/events/latest").json() == []
    assert call.get("/incidents").json()["total"] == 0
    assert call("DELETE", "/sensors/greenhouse-1").status_code == 404


@pytest.mark.parametrize(
    "path", ["/sensors/x", "/sensors/x/series", "/incidents/x", "/sensors/a/b/c/series"]
)
def test_what_does_not_exist_is_not_found(call, path):
    answer = call.get(path, headers={"Accept": "application/json"})
    assert answer.status_code == 404
    assert "there is no" in answer.json()["detail"]


def test_sensor_ids_may_hold_slashes_and_anything_printable(call):
    for sensor_id in ("plant/line 1/ä", "50% off?", "a#b"):
        call.post("/readings", json={"sensor_id": sensor_id, "x": 1})
        quoted = sensor_id.replace("%", "%25").replace("?", "%3F").replace("#", "%23")
        assert call.get(f"/sensors/{quoted}").json()["sensor_id"] == sensor_id
        assert call.get(f"/sensors/{quoted}/series").json()["sensor_id"] == sensor_id


def test_a_series_of_single_rows_has_every_row(watched):
    query = "start=2026-01-31T20:00:00Z&end=2026-01-31T20:30:00Z"
    series = watched.call.get(f"/sensors/greenhouse-1/series?{query}").json()
    first = parse_time("2026-01-31T20:00:00Z") // 1000
    assert series["time"] == [first + i * 300_000 for i in range(7)]
    assert series["bucket_seconds"] is None
    assert series["gap_seconds"] == pytest.approx(900, abs=1)
    temperature = series["channels"]["temperature"]
    assert temperature["low"] == temperature["high"] == temperature["mean"]
    assert len(temperature["expected"]) == len(series["rate"]) == len(series["status"]) == 7


def test_a_coarse_series_keeps_the_peak_and_fits_the_points(watched):
    series = watched.call.get("/sensors/greenhouse-1/series?points=10").json()
    assert len(series["time"]) <= 11
    assert series["gap_seconds"] == pytest.approx(1.5 * series["bucket_seconds"])
    assert max(series["channels"]["humidity"]["high"]) == 99.0
    assert (series["start"], series["end"]) == (
        "2026-01-30T22:35:00.000Z",
        "2026-01-31T22:35:00.000Z",
    )
    assert [one["id"] for one in series["incidents"]] == [incident(watched.call)["id"]]


def test_rates_are_null_while_learning(watched):
    query = "start=2026-01-30T00:00:00Z&end=2026-01-30T01:00:00Z"
    series = watched.call.get(f"/sensors/greenhouse-1/series?{query}").json()
    assert set(series["rate"]) == {None}
    assert set(series["status"]) == {0}


def test_a_series_can_be_of_some_channels(watched):
    call = watched.call
    series = call.get("/sensors/greenhouse-1/series?channel=humidity").json()
    assert list(series["channels"]) == ["humidity"]
    answer = call.get("/sensors/greenhouse-1/series?channel=pressure")
    assert answer.status_code == 422
    assert "humidity, temperature" in answer.json()["detail"]


@pytest.mark.parametrize(
    "query", ["points=5001", "points=0", "start=soon", "start=2026-01-02&end=2026-01-01"]
)
def test_a_series_that_makes_no_sense_is_refused(watched, query):
    assert watched.call.get(f"/sensors/greenhouse-1/series?{query}").status_code == 422


def test_sparklines_are_equal_steps_up_to_the_newest_reading(watched):
    query = "sensor_id=greenhouse-1&sensor_id=unknown&hours=24&points=48"
    answer = watched.call.get(f"/sensors/sparklines?{query}").json()
    (line,) = answer["sensors"].values()
    assert line["step_seconds"] == 1800
    assert line["start"] == "2026-01-30T22:35:00.000Z"
    assert len(line["channels"]["humidity"]) == 48
    assert 60 < line["channels"]["humidity"][0] < 61


def test_a_sparkline_has_nothing_where_the_sensor_was_silent(call):
    base = parse_time("2026-01-31T00:00:00Z") // SECOND
    call.post(
        "/readings", json=[{"sensor_id": "a", "timestamp": base + h * 3600, "x": h} for h in (0, 3)]
    )
    answer = call.get("/sensors/sparklines?sensor_id=a&hours=4&points=4").json()
    assert answer["sensors"]["a"]["channels"]["x"] == [0.0, None, None, 3.0]


def test_too_many_sparklines_are_refused(call):
    query = "&".join(f"sensor_id={i}" for i in range(101))
    assert call.get(f"/sensors/sparklines?{query}").status_code == 422


def test_anomalies_are_rows_with_their_verdict(watched):
    call = watched.call
    rows = call.get("/anomalies/latest?limit=5").json()
    assert len(rows) == 5
    assert set(rows[0]) == {
        "event_id",
        "sensor_id",
        "timestamp",
        "temperature",
        "humidity",
        "anomaly_score",
        "model_name",
        "model_version",
        "created_at",
    }
    assert all(0 <= row["anomaly_score"] <= 1 for row in rows)
    before = call.get("/anomalies?end_time=2026-01-31T12:00:00Z").json()
    assert [row for row in before if row["timestamp"] > "2026-01-31T12"] == []
    assert call.get("/anomalies?start_time=tomorrow").status_code == 422


def test_events_are_paged_newest_first(watched):
    call = watched.call
    first = call.get("/events/latest?limit=2").json()
    second = call.get("/events/latest?limit=2&offset=2").json()
    times = [row["timestamp"] for row in (*first, *second)]
    assert times == sorted(times, reverse=True)
    assert len(set(times)) == 4
    assert call.get("/events/latest?sensor_id=other").status_code == 404


def test_an_incident_tells_its_story(watched):
    found = incident(watched.call)
    assert found["state"] == "open"
    assert found["duration_seconds"] > 0
    assert found["once_in_days"] == pytest.approx(30 / found["rate"])
    assert found["evidence"][0]["unit"]
    assert found["title"] and found["text"]
    assert found["notifications"] == []
    one = watched.call.get(f"/incidents/{found['id']}").json()
    assert one == found


def test_incidents_can_be_narrowed_and_are_counted(watched):
    call = watched.call
    assert call.get("/incidents?state=closed").json()["total"] == 0
    assert call.get("/incidents?state=open&sensor_id=greenhouse-1").json()["open"] == 1
    assert call.get("/incidents?end_time=2026-01-30T00:00:00Z").json()["incidents"] == []
    assert call.get("/incidents?state=odd").status_code == 422


def test_a_mark_can_be_set_and_taken_back(watched):
    call = watched.call
    path = f"/incidents/{incident(call)['id']}/feedback"
    for mark in ("real", "false", "expected", None):
        assert call.put(path, json={"feedback": mark}).json()["feedback"] == mark
    call.put(path, json={"feedback": "false"})
    assert call.get("/budget").json()["measured"]["marked_false"] == 1
    assert call.put(path, json={"feedback": "maybe"}).status_code == 422
    assert call.put(path, json={}).status_code == 422
    assert call.put("/incidents/x/feedback", json={"feedback": "real"}).status_code == 404


def test_comments_are_added_in_order(watched):
    call = watched.call
    path = f"/incidents/{incident(call)['id']}/comments"
    call.post(path, json={"text": "looked at it", "author": "Ada"})
    watched.clock.advance(60)
    said = call.post(path, json={"text": "<b>fixed</b>"}).json()["comments"]
    assert [(one["text"], one["author"]) for one in said] == [
        ("looked at it", "Ada"),
        ("<b>fixed</b>", ""),
    ]
    assert said[1]["time"] == "2026-02-01T00:01:00.000Z"
    assert call.post(path, json={"text": ""}).status_code == 422


def test_the_export_has_a_line_for_each_incident(watched):
    answer = watched.call.get("/incidents.csv")
    assert answer.headers["content-type"].startswith("text/csv")
    (row,) = csv.DictReader(io.StringIO(answer.text))
    assert row["sensor_id"] == "greenhouse-1"
    assert row["state"] == "open"


def test_the_export_cannot_start_a_formula(watched):
    call = watched.call
    call("PATCH", "/sensors/greenhouse-1", json={"name": "=cmd()"})
    (row,) = csv.DictReader(io.StringIO(call.get("/incidents.csv").text))
    assert row["sensor_name"] == "'=cmd()"


def test_the_budget_says_what_is_promised_and_what_came(watched):
    answer = watched.call.get("/budget").json()
    months = 559 * 5 * MINUTE / (30 * 24 * 60 * MINUTE)
    assert answer["per_sensor_month"] == 3.0
    assert answer["promised"]["sensor_months"] == pytest.approx(months)
    assert answer["promised"]["incidents"] == pytest.approx(3 * months)
    assert answer["measured"]["incidents"] == answer["measured"]["unmarked"] == 1
    assert answer["measured"]["false"]["count"] == 0
    maybe = answer["measured"]["false_or_unmarked"]
    assert maybe["per_sensor_month"] == pytest.approx(1 / months)
    assert maybe["low"] == pytest.approx(0.0253 / months, rel=0.01)
    assert maybe["high"] == pytest.approx(5.572 / months, rel=0.01)
    assert (answer["verdict"], answer["sensors"]) == ("kept", 1)
    assert answer["fleet_per_day"] == pytest.approx(0.1)
    assert answer["too_slow"] == {"count": 0, "sensors": []}


def test_marks_say_which_incidents_were_false_alarms(watched):
    call = watched.call
    path = f"/incidents/{incident(call)['id']}/feedback"
    call.put(path, json={"feedback": "false"})
    answer = call.get("/budget?sensor_id=greenhouse-1").json()
    assert answer["measured"]["false"] == answer["measured"]["false_or_unmarked"]
    assert answer["measured"]["false"]["count"] == 1
    call.put(path, json={"feedback": "real"})
    answer = call.get("/budget").json()
    assert answer["measured"]["incidents"] == answer["measured"]["marked_real"] == 1
    assert answer["measured"]["false_or_unmarked"]["count"] == 0
    assert call.get("/budget?sensor_id=nobody").status_code == 404


def test_metrics_tell_what_the_budget_promises_and_brought(watched):
    call = watched.call
    text = call.get("/metrics").text
    assert "redshank_budget_per_sensor_month 3.0" in text
    assert 'redshank_budget_incidents{mark="none"} 1.0' in text
    rates = call.get("/metrics", headers={"Accept": "application/json"}).json()
    low, high = (
        next(
            line["value"]
            for line in rates["redshank_budget_false_per_sensor_month"]
            if line["labels"] == {"counted": "false_or_unmarked", "value": end}
        )
        for end in ("low", "high")
    )
    assert low < 1 / rates["redshank_budget_sensor_months"] < high


def test_a_preview_changes_nothing(watched):
    call = watched.call
    answer = call.get("/budget/preview?per_sensor_month=2000").json()
    assert answer["count"] == len(answer["incidents"]) >= answer["count_now"] == 1
    assert call.get("/budget").json()["per_sensor_month"] == 3.0
    assert call.get("/incidents").json()["total"] == 1


def test_a_changed_budget_holds_for_the_past_and_answers_like_a_preview(watched):
    call = watched.call
    assert call.put("/budget", json={"per_sensor_month": 1e-12}).json()["count"] == 0
    preview = call.get("/budget/preview?per_sensor_month=100").json()
    answer = call.put("/budget", json={"per_sensor_month": 100}).json()
    assert [one.pop("title") for one in answer["incidents"]]
    assert None in [one.pop("title") for one in preview["incidents"]]
    assert answer == preview
    assert call.get("/budget").json()["per_sensor_month"] == 100
    assert call.get("/incidents").json()["total"] == preview["count"]


def test_a_budget_for_the_fleet_and_day_is_shared_out(watched):
    call = watched.call
    answer = call.put("/budget", json={"per_fleet_day": 0.5}).json()
    assert answer["per_sensor_month"] == pytest.approx(15.0)
    call("PATCH", "/sensors/greenhouse-1", json={"budget": 5.0})
    answer = call.get("/budget").json()
    assert answer["per_fleet_day"] == 0.5
    assert answer["fleet_per_day"] == pytest.approx(5.0 / 30)
    answer = call.put("/budget", json={"per_sensor_month": 2.0}).json()
    assert call.get("/budget").json()["per_fleet_day"] is None


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"per_sensor_month": 0},
        {"per_sensor_month": "NaN"},
        {"per_sensor_month": 1, "per_fleet_day": 1},
        {"per_month": 1},
    ],
)
def test_a_budget_that_is_none_is_refused(call, body):
    assert call.put("/budget", json=body).status_code == 422
    assert call.get("/budget").json()["per_sensor_month"] == 3.0


def test_an_empty_redshank_answers_everything(call):
    assert call.get("/sensors").json()["sensors"] == []
    assert call.get("/incidents").json() == {"total": 0, "open": 0, "incidents": []}
    assert call.get("/budget").json()["promised"]["sensor_months"] == 0
    assert call.get("/budget/preview?per_sensor_month=5").json()["count"] == 0
    assert call.get("/budget").json()["verdict"] == "unknown"
    assert call.put("/budget", json={"per_fleet_day": 1}).json()["per_sensor_month"] == 30.0
    assert call.get("/anomalies").json() == call.get("/events/latest").json() == []


def test_incidents_of_an_unknown_sensor_are_a_problem_as_csv_too(call):
    answer = call.get("/incidents.csv?sensor_id=nobody")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
