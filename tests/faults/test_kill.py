"""kill -9 at random points under load: nothing acknowledged is lost or doubled."""

from __future__ import annotations

import numpy as np
import pytest

from support.feed import CHANNELS, Series, fleet, requests
from support.process import Process
from support.sender import Acknowledged, Sender, send_all
from support.story import incidents, readings, story
from support.wait import pause

pytestmark = pytest.mark.faults

KILLS = 18
"""Under load; each run adds a few while the process starts."""
ROWS = 1500


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_kills_under_load_change_nothing(launch, seed):
    sensors = fleet(seed, 6, ROWS)
    loads = [requests(seed, sensors[:3], 10), requests(seed, sensors[3:], 10)]

    killed = launch("killed")
    kills = send_while_killing(killed, loads, np.random.default_rng(seed))
    assert kills >= KILLS
    with killed.client() as client:
        for series in sensors:
            assert_there_exactly_once(readings(client, series.sensor_id), series)
        identities = [incident["id"] for incident in incidents(client)]
        assert len(identities) == len(set(identities))
        after_kills = story(client)
    assert killed.stop() == 0

    calm = launch("calm")
    send_all(calm.client, loads)
    with calm.client() as client:
        undisturbed = story(client)
    for part, seen in undisturbed.items():
        assert after_kills[part] == seen, part
    assert undisturbed["incidents"], "the faults of the fleet brought no incident to compare"


def send_while_killing(process: Process, loads: list, rng: np.random.Generator) -> int:
    """Send everything, with kills at random points; returns how many there were."""
    acknowledged = Acknowledged()
    senders = [Sender(process.client, load, acknowledged) for load in loads]
    for sender in senders:
        sender.start()
    total = sum(map(len, loads))
    kills = 0
    for point in np.sort(rng.choice(total - 5, KILLS, replace=False)).tolist():
        acknowledged.wait(point)
        pause(rng.uniform(0, 0.02))
        process.kill()
        kills += 1
        if rng.random() < 0.2:
            process.start(wait=False)
            pause(rng.uniform(0.3, 2.0))
            process.kill()
            kills += 1
        process.start()
    acknowledged.wait(total)
    assert sum(sender.broken for sender in senders) > 0
    return kills


def assert_there_exactly_once(found: list, series: Series) -> None:
    """Every reading of the sensor with its very values, and none besides."""
    sent = {
        int(time): values for time, values in zip(series.time, series.values.tolist(), strict=True)
    }
    times = [milliseconds(row["timestamp"]) for row in found]
    assert len(times) == len(set(times)) == len(sent)
    for time, row in zip(times, found, strict=True):
        assert [row[name] for name in CHANNELS] == sent[time]


def milliseconds(text: str) -> int:
    return int(np.datetime64(text.removesuffix("Z"), "ms").astype(np.int64))
