"""Who may call: API key, Host and Origin, CORS, and the headers that every answer carries."""

import pytest

KEY = "correct-horse-battery"
HTML = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
READING = {"sensor_id": "a", "temperature": 1}


@pytest.fixture
def keyed(start):
    """Calls a redshank that wants a key."""
    return start(api_key=KEY, host="0.0.0.0").call


@pytest.mark.parametrize(
    "path", ["/sensors", "/metrics", "/settings", "/events/latest", "/nothing"]
)
def test_with_a_key_set_calls_need_it(keyed, path):
    refused = keyed.get(path)
    assert refused.status_code == 401
    assert "X-API-Key" in refused.json()["detail"]
    assert keyed.get(path, headers={"X-API-Key": "wrong"}).status_code == 401
    assert keyed.get(path, headers={"X-API-Key": KEY}).status_code != 401


def test_readings_need_the_key_too(keyed):
    assert keyed.post("/readings", json=READING).status_code == 401
    assert keyed.post("/readings", json=READING, headers={"X-API-Key": KEY}).status_code == 200


@pytest.mark.parametrize("path", ["/health", "/ready", "/", "/docs", "/openapi.json"])
def test_health_the_page_and_the_reference_need_no_key(keyed, path):
    assert keyed.get(path).status_code == 200


def test_a_key_in_the_address_does_not_count(keyed):
    assert keyed.get(f"/sensors?api_key={KEY}&X-API-Key={KEY}").status_code == 401


def test_with_a_key_any_host_name_is_served(keyed):
    headers = {"Host": "sensors.example.org", "X-API-Key": KEY}
    assert keyed.get("/sensors", headers=headers).status_code == 200


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1", "[::1]:8000", "LOCALHOST"])
def test_without_a_key_this_machine_is_served(call, host):
    assert call.get("/sensors", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "", "[::1", "10.0.0.1"])
def test_without_a_key_other_host_names_are_refused(call, host):
    answer = call.get("/sensors", headers={"Host": host})
    assert answer.status_code == 403
    assert call.post("/readings", json=READING, headers={"Host": host}).status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:9999"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
def test_pages_of_other_sites_cannot_change_anything(call, headers):
    assert call.post("/readings", json=READING, headers=headers).status_code == 403
    assert call.get("/ingest?box_id=" + "a" * 24, headers=headers).status_code == 403
    assert call("DELETE", "/dead-letters", headers=headers).status_code == 403


def test_the_own_page_and_programs_can(call):
    own = {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}
    assert call.post("/readings", json=READING, headers=own).status_code == 200
    assert call.post("/readings", json=READING).status_code == 200


def test_configured_origins_can(start):
    origin = "https://board.example"
    call = start(cors_origins=(origin,)).call
    answer = call.post("/readings", json=READING, headers={"Origin": origin})
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == origin
    asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    assert call("OPTIONS", "/readings", headers=asked).status_code == 200
    other = call.get("/sensors", headers={"Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in other.headers


@pytest.mark.parametrize("path", ["/", "/sensors", "/nothing", "/docs", "/health"])
def test_every_answer_carries_the_security_headers(call, path):
    headers = call.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert "unsafe" not in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]


def test_a_refusal_carries_them_too(keyed):
    assert keyed.get("/sensors").headers["x-content-type-options"] == "nosniff"


def test_a_browser_needs_no_key_for_the_screens(keyed):
    assert keyed.get("/sensors/a", headers=HTML).status_code == 200
    assert keyed.get("/sensors/a", headers={"Accept": "application/json"}).status_code == 401
