"""A change that was called expected stays the new normal over kill -9, and is judged the same."""

from __future__ import annotations

import numpy as np
import orjson
import pytest

from support.client import Client
from support.process import Process
from support.story import incidents, story

pytestmark = pytest.mark.faults

START = 1_767_225_600_000
STEP = 300_000
ROWS, CHANGE, MARKED = 1500, 1000, 1012
JSON = {"Content-Type": "application/json"}
KILLS_AT = (MARKED, 1030, 1200)


def rows(first: int, last: int) -> list[dict]:
    """A flow that is 12 higher from row CHANGE on."""
    rng = np.random.default_rng(3)
    values = rng.normal(10, 0.5, ROWS).round(3)
    values[CHANGE:] += 12
    return [
        {"sensor_id": "pump", "timestamp": START + STEP * k, "flow": float(values[k])}
        for k in range(first, last)
    ]


def send(client: Client, some: list[dict]) -> None:
    """Rows that are stored when this returns."""
    assert client.call("POST", "/readings", orjson.dumps(some), JSON).status == 200


def live(process: Process, kills: tuple[int, ...]) -> dict:
    """The whole life of the pump; what a user sees of it in the end."""
    with process.client() as client:
        send(client, rows(0, MARKED))
        (change,) = [one for one in incidents(client) if one["state"] == "open"]
        path = f"/incidents/{change['id']}/feedback"
        marked = client.call("PUT", path, orjson.dumps({"feedback": "expected"}), JSON).json()
        assert (marked["state"], marked["feedback"]) == ("closed", "expected")
    for first, last in zip((MARKED, 1030, 1200), (1030, 1200, ROWS), strict=True):
        if first in kills:
            process.kill()
            process.start()
        with process.client() as client:
            send(client, rows(first, last))
    with process.client() as client:
        assert next(one for one in incidents(client) if one["id"] == change["id"]) == marked
        return story(client)


def test_an_expected_change_survives_kills(launch):
    undisturbed = live(launch("calm"), ())
    killed = live(launch("killed"), KILLS_AT)
    for part, seen in undisturbed.items():
        assert killed[part] == seen, part
