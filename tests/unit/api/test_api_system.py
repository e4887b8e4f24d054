"""Health, metrics, settings, dead letters, fetching now, and the interface's own description."""

import json
import re
from pathlib import Path

import pytest

from redshank.core.errors import StoreError
from redshank.services.context import Progress
from redshank.services.ingest_report import FetchOrder

DOCS = Path(__file__).parents[3] / "docs" / "http.md"
BOX = "5" * 24


def test_a_well_redshank_is_healthy_and_ready(service):
    service.clock.advance(90)
    health = service.call.get("/health").json()
    assert health["status"] == "healthy"
    assert health["uptime_seconds"] == pytest.approx(90)
    assert health["model_loaded"] is True
    assert set(health["dependencies"]) == {"store", "pipeline", "sources"}
    assert service.call.get("/ready").status_code == 200


def test_a_stopped_pipeline_is_degraded_and_not_ready(service):
    service.context.runner.stop()
    assert service.call.get("/health").status_code == 200
    assert service.call.get("/health").json()["status"] == "degraded"
    ready = service.call.get("/ready")
    assert ready.status_code == 503
    assert ready.json()["dependencies"]["pipeline"]["status"] == "degraded"


def test_a_broken_store_is_degraded_and_not_ready(service, monkeypatch):
    def fail(query):
        raise StoreError("the disk is gone")

    with monkeypatch.context() as patch:
        patch.setattr(service.context.store, "read", fail)
        assert service.call.get("/ready").status_code == 503
        store = service.call.get("/health").json()["dependencies"]["store"]
        assert store == {"status": "degraded", "detail": "the disk is gone"}
        assert service.call.get("/sensors").status_code == 503


def test_a_source_with_an_error_is_degraded_but_ready(service):
    service.context.progress.post(Progress("opensensemap", None, "polling", "cannot be reached"))
    health = service.call.get("/health").json()
    assert health["status"] == "degraded"
    assert health["dependencies"]["sources"]["opensensemap"]["detail"] == "cannot be reached"
    assert service.call.get("/ready").status_code == 200


def test_metrics_count_calls_by_route(service):
    call = service.call
    call.post("/readings", json={"sensor_id": "a", "x": 1})
    call.get("/sensors/a")
    call.get("/sensors/b")
    call.get("/wp-login.php")
    text = call.get("/metrics").text
    assert 'redshank_readings_total{source="http"} 1.0' in text
    route = 'method="GET",route="/sensors/{sensor_id}",status='
    assert f'redshank_http_requests_total{{{route}"200"}} 1.0' in text
    assert f'redshank_http_requests_total{{{route}"404"}} 1.0' in text
    assert 'route="other",status="404"' in text
    assert 'redshank_http_seconds_bucket{le="0.005",route="/readings"}' in text
    assert "wp-login" not in text


def test_metrics_come_as_json_when_asked(call):
    answer = call.get("/metrics", headers={"Accept": "application/json"}).json()
    assert answer["redshank_websocket_connections"] == 0
    assert isinstance(answer["redshank_commit_seconds_bucket"], list)


def test_settings_are_masked(start):
    call = start(api_key="correct-horse").call
    answer = call.get("/settings", headers={"X-API-Key": "correct-horse"})
    assert answer.json()["port"] == 8000
    assert "correct-horse" not in answer.text


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_boxes_are_fetched_now(service, method):
    query = f"box_id={BOX}&phenomenon=Temperatur&since=2026-01-30T00:00:00Z"
    answer = service.call(method, f"/ingest?{query}").json()
    assert answer["boxes"][0]["box_id"] == BOX
    assert answer["boxes"][0]["unmapped"] == []
    (order,) = service.fetched
    assert (order.box_ids, order.phenomena) == ((BOX,), ("Temperatur",))
    assert order.start == 1_769_731_200_000_000
    assert (order.end, order.again) == (None, False)


def test_a_fetch_tells_how_far_it_is(service):
    query = f"box_id={BOX}&until=2026-01-30T00:00:00Z&again=1"
    answer = service.call.post(f"/ingest?{query}", headers={"Accept": "application/x-ndjson"})
    first, last = map(json.loads, answer.text.splitlines())
    assert first == {"progress": 0.5, "text": "1 value read"}
    assert last["boxes"][0]["box_id"] == BOX
    (order,) = service.fetched
    assert (order.start, order.end, order.again) == (None, 1_769_731_200_000_000, True)


def test_configured_boxes_are_fetched_where_none_is_named(start):
    service = start(opensensemap_boxes=(BOX,))
    service.call.post("/ingest")
    assert service.fetched == [FetchOrder((BOX,))]


@pytest.mark.parametrize(
    "query", ["", "box_id=../../etc", "box_id=" + BOX + "&since=x", f"box_id={BOX}&since=2&until=1"]
)
def test_a_fetch_that_makes_no_sense_is_refused(service, query):
    assert service.call.post(f"/ingest?{query}").status_code == 422
    assert service.fetched == []


def test_an_unexpected_fault_says_nothing_of_the_inside(service, monkeypatch):
    def fail():
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(service.context.runner, "describe", fail)
    answer = service.call.get("/model/info")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert "secret" not in answer.text


def test_a_wrong_method_is_a_problem_too(call):
    answer = call("DELETE", "/readings")
    assert answer.status_code == 405
    assert answer.json()["status"] == 405


def routes(app):
    """Method and path of every route, as the documentation writes them."""
    described = {
        f"{method.upper()} {path}"
        for path, methods in app.openapi()["paths"].items()
        for method in methods
    }
    return described | {"WS /ws"}


def documented():
    """Method and path of every call that docs/http.md names."""
    found = set()
    pattern = r"`((?:GET|HEAD|POST|PUT|PATCH|DELETE|WS|GET\\\|POST)) (/[^`?\s]*)"
    for methods, path in re.findall(pattern, DOCS.read_text("utf-8")):
        for method in methods.replace("\\", "").split("|"):
            found.add(f"{method} {path}")
    return found


def named(path):
    return re.sub(r"\{[^}]*\}", "{id}", path)


def test_every_route_is_documented_and_every_documented_call_is_there(service):
    assert {named(one) for one in routes(service.app)} == {named(one) for one in documented()}


def test_every_route_is_described_in_openapi(service):
    described = service.app.openapi()
    for path, methods in described["paths"].items():
        for method, call in methods.items():
            where = f"{method} {path}"
            assert call["summary"], where
            assert call["description"], where
            answers = call["responses"]
            assert "HTTPValidationError" not in str(answers), where
            good = answers.get("200") or answers.get("201") or answers["204"]
            assert good.get("content") or "204" in answers, where
            if method in ("post", "put", "patch") and path != "/ingest":
                assert "requestBody" in call, where


def test_every_reference_in_openapi_leads_somewhere(service):
    described = service.app.openapi()
    wanted = set(re.findall(r"#/components/schemas/(\w+)", str(described)))
    assert wanted <= set(described["components"]["schemas"])


def test_the_reference_needs_no_script_and_no_other_host(call):
    answer = call.get("/docs")
    assert "<script" not in answer.text
    assert not re.search(r'(src|href)="https?:', answer.text)
    assert "POST /readings" in answer.text
    assert "'sha256-" in answer.headers["content-security-policy"]
