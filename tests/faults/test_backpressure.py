"""More than can be taken: senders are told to come back, and nothing acknowledged is lost."""

from __future__ import annotations

import pytest

from support.feed import fleet, requests
from support.sender import Acknowledged, Sender, send_all
from support.story import readings

pytestmark = pytest.mark.faults

ROWS = 1000


def test_a_full_queue_pushes_back_and_recovers(launch):
    process = launch(queue_readings=300)
    sensors = [one for one in fleet(0, 9, ROWS) if not one.apart]
    loads = [requests(0, [one], 200) for one in sensors]
    senders = send_all(process.client, loads)

    refused = [answer for sender in senders for answer in sender.refused]
    assert {answer.status for answer in refused} == {429}
    assert all(float(answer.headers["retry-after"]) > 0 for answer in refused)
    assert all("retry in" in answer.json()["detail"] for answer in refused)
    with process.client() as client:
        for sender, one in zip(senders, sensors, strict=True):
            assert sum(answer["accepted"] for answer in sender.answers) == ROWS
            assert sum(answer["duplicates"] for answer in sender.answers) == 0
            assert len(readings(client, one.sensor_id)) == ROWS
        later = [{"sensor_id": "late", "temperature": 20.5}]
        assert client.post_lines(later).json()["accepted"] == 1
    assert process.stop() == 0


@pytest.mark.parametrize("after", [1, 20, 60])
def test_sigterm_under_load_drains_and_keeps_what_was_acknowledged(launch, after):
    process = launch()
    sensors = fleet(after, 3, ROWS)
    loads = [requests(after, [one], 40) for one in sensors]
    acknowledged = Acknowledged()
    senders = [Sender(process.client, load, acknowledged) for load in loads]
    for sender in senders:
        sender.start()
    acknowledged.wait(after)
    assert process.stop() == 0
    for sender in senders:
        sender.stop()
    assert acknowledged.count < sum(map(len, loads)), "the load ended before the stop"

    process.start()
    with process.client() as client:
        for sender, load, one in zip(senders, loads, sensors, strict=True):
            sent = [row for request in load[: len(sender.answers)] for row in request]
            there = readings(client, one.sensor_id)
            assert len(there) == len({row["timestamp"] for row in there})
            assert len(there) >= len(sent)
        send_all(
            process.client,
            [load[len(sender.answers) :] for sender, load in zip(senders, loads, strict=True)],
        )
        for one in sensors:
            assert len(readings(client, one.sensor_id)) == ROWS
    assert process.stop() == 0
