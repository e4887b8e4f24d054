"""Predictions: of readings for a sensor, and of tables without one."""

import pytest

from redshank.services.api.shapes import anomaly_score


def test_a_reading_is_judged_without_being_stored(watched):
    call = watched.call
    asked = {"sensor_id": "greenhouse-1", "temperature": 80.0, "humidity": 60.5}
    answer = call.post("/predict", json=asked)
    assert answer.status_code == 200
    said = answer.json()
    assert said["is_anomaly"] is True
    assert said["status"] == "anomaly"
    assert said["anomaly_score"] > said["threshold"]
    assert said["model"]["name"]
    assert said["contributions"]["temperature"] == pytest.approx(1, abs=0.01)
    assert said["timestamp"] == "2026-02-01T00:00:00.000Z"
    assert call.post("/predict", json=asked).json() == said
    assert len(call.get("/events/latest?limit=1000").json()) == 560


def test_a_list_is_answered_in_order_over_all_sensors(watched):
    rows = [
        {
            "sensor_id": "greenhouse-1",
            "timestamp": 1_769_904_000 + i,
            "temperature": t,
            "humidity": 60,
        }
        for i, t in enumerate((20.5, 90.0))
    ]
    other = {"sensor_id": "new", "values": {"pressure": 1000}, "timestamp": 1_769_904_000}
    said = watched.call.post("/predict", json=[rows[0], other, rows[1]]).json()
    assert [one["timestamp"][-5:] for one in said] == ["0.000Z"[-5:], "0.000Z"[-5:], "1.000Z"[-5:]]
    assert list(said[1]["contributions"]) == ["pressure"]
    assert said[1]["status"] == "normal"
    assert said[2]["is_anomaly"] is True


def test_the_only_sensor_is_meant_where_none_is_named(watched):
    said = watched.call.post("/predict", json={"temperature": 80.0, "humidity": 60}).json()
    assert said["is_anomaly"] is True


def test_a_sensor_that_still_learns_is_normal(call):
    said = call.post("/predict", json={"temperature": 80.0}).json()
    assert (said["status"], said["anomaly_score"], said["is_anomaly"]) == ("normal", 0.0, False)


@pytest.mark.parametrize(
    ("body", "field", "value"),
    [
        ({"temperature": [1]}, "temperature", "[1]"),
        ({"timestamp": "soon", "temperature": 1}, "timestamp", "soon"),
        ({"sensor_id": 1.5, "temperature": 1}, "sensor_id", 1.5),
        ({"sensor_id": "a"}, "values", None),
        ({"temperature": {"value": 1}}, "temperature", '{"value":1}'),
        (["x"], "row", "x"),
    ],
)
def test_what_cannot_be_judged_names_field_and_value(call, body, field, value):
    answer = call.post("/predict", json=body)
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert (error["index"], error["field"], error["value"]) == (0, field, value)


@pytest.mark.parametrize("path", ["/predict", "/model/predict"])
@pytest.mark.parametrize(
    "body", [b"", b"{", b"nonsense", b"[" * 100_000, b"\xff\xfe", b'{"a": NaN}']
)
def test_a_body_that_is_no_json_is_refused(call, path, body):
    answer = call.post(path, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert "not JSON" in answer.json()["detail"]


def test_a_list_to_predict_has_its_limits(call):
    assert call.post("/predict", json=[]).status_code == 422
    assert call.post("/predict", json=[{"t": 1}] * 1001).status_code == 422
    assert (
        call.post("/predict", content=b"{}", headers={"Content-Type": "text/plain"}).status_code
        == 415
    )


def noise(rows):
    return [[20 + (i * 7919 % 97) / 97, 60 + (i * 104729 % 89) / 89] for i in range(rows)]


def test_a_table_is_scored_row_by_row(call):
    data = noise(600)
    data[590] = [80.0, None]
    said = call.post("/model/predict", json={"data": data, "window_size": 500}).json()
    assert len(said["anomaly_scores"]) == len(said["is_anomaly"]) == 600
    assert said["window_count"] == 100
    assert said["is_anomaly"].index(True) == 590
    assert set(said["anomaly_scores"][:500]) == {0.0}
    assert said["processing_time_ms"] >= 0


def test_a_higher_threshold_raises_fewer_alarms(call):
    asked = {"data": noise(700), "window_size": 300}
    low, high = (
        call.post("/model/predict/batch", json={**asked, "threshold_factor": factor}).json()
        for factor in (0.2, 1.15)
    )
    assert sum(low["is_anomaly"]) >= sum(high["is_anomaly"])
    assert high["threshold"] == pytest.approx(low["threshold"] / 0.2 * 1.15)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({}, "data: is missing"),
        ({"data": []}, "data: "),
        ({"data": [[]]}, "data.0: 0 columns"),
        ({"data": [[1.0], [1.0, 2.0]]}, "data.1: 2 numbers where row 0 has 1"),
        ({"data": [["x"]]}, "data.0.0: 'x'"),
        ({"data": [[1.0]], "window_size": 2}, "window_size: 2 is more than the 1 rows"),
        ({"data": [[1.0]], "window_size": -1}, "window_size: -1"),
        ({"data": [[1.0]], "threshold_factor": 0}, "threshold_factor: 0"),
        ({"data": [[1.0] * 65]}, "data.0: 65 columns"),
        ({"date": [[1.0]]}, "data: is missing"),
    ],
)
def test_a_table_that_cannot_be_scored_says_why(call, body, text):
    answer = call.post("/model/predict", json=body)
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith(text)


def test_the_model_is_described(watched):
    info = watched.call.get("/model/info").json()
    assert set(info) >= {"name", "version", "type", "channels", "features", "parameters", "metrics"}
    assert "trained_at" in info


def test_the_score_runs_from_ordinary_to_never_seen():
    assert anomaly_score(8640, 8640) == 0
    assert anomaly_score(0, 8640) == 1
    assert anomaly_score(float("inf"), 8640) == 0
    assert 0.8 < anomaly_score(3, 8640) < 0.9
