"""What a user can see of a fleet over HTTP, in a form in which runs can be compared."""

from __future__ import annotations

from typing import Any

from support.client import Client

PAGE = 1000


def story(client: Client) -> dict[str, Any]:
    """Sensors, every row of every series with its verdict, and all incidents."""
    fleet = client.get("/sensors", {"limit": PAGE})["sensors"]
    return {
        "sensors": sorted(fleet, key=lambda sensor: sensor["sensor_id"]),
        "series": {sensor["sensor_id"]: series(client, sensor) for sensor in fleet},
        "incidents": sorted(incidents(client), key=lambda incident: incident["id"]),
        "anomalies": paged(client, "/anomalies"),
    }


def series(client: Client, sensor: dict[str, Any]) -> dict[str, Any]:
    """Every row of a sensor with its verdict."""
    span = {"start": sensor["first_seen"], "end": sensor["last_seen"], "points": 5000}
    found: dict[str, Any] = client.get(f"/sensors/{sensor['sensor_id']}/series", span)
    assert found["bucket_seconds"] is None, "more rows than points"
    return found


def incidents(client: Client) -> list[dict[str, Any]]:
    """All incidents."""
    found: list[dict[str, Any]] = client.get("/incidents", {"limit": PAGE})["incidents"]
    return found


def readings(client: Client, sensor_id: str) -> list[dict[str, Any]]:
    """All readings of a sensor, newest first."""
    return paged(client, "/events/latest", sensor_id=sensor_id)


def paged(client: Client, path: str, **query: str) -> list[dict[str, Any]]:
    """All rows of a list that comes in pages."""
    rows: list[dict[str, Any]] = []
    while page := client.get(path, {**query, "limit": PAGE, "offset": len(rows)}):
        rows += page
    return rows
