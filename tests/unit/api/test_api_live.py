"""What waits for a live client: conflated, thinned, bounded."""

import asyncio
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from redshank.core.records import SensorInfo, Status
from redshank.services.api.encoding import MOST_ENCODED, chosen, plain
from redshank.services.api.live import (
    MOST_ROWS,
    MOST_WAITING,
    ROWS_EVERY,
    Outbox,
    Row,
    Subscription,
    thin,
)


def row(number, anomalous=False):
    return Row(anomalous, b"%d" % number)


def numbers(rows):
    return [int(one.json) for one in rows]


def sent(outbox, now=0.0):
    return [json.loads(message) for message in outbox.due(now)]


@given(st.lists(st.booleans(), max_size=60), st.integers(1, 30))
def test_thinning_keeps_order_and_anomalous_rows_first(anomalous, most):
    rows = [row(i, flag) for i, flag in enumerate(anomalous)]
    kept = thin(rows, most)
    assert len(kept) == min(most, len(rows))
    assert numbers(kept) == sorted(numbers(kept))
    special = [one for one in rows if one.anomalous]
    assert [one for one in kept if one.anomalous] == special[-most:]


def test_thinning_keeps_the_newest_row():
    assert numbers(thin([row(i) for i in range(100)], 4))[-1] == 99


def test_rows_of_a_sensor_go_out_at_most_four_times_a_second():
    outbox = Outbox()
    outbox.add_rows("a", [row(1)], thinned=False)
    assert [message["rows"] for message in sent(outbox, 10.0)] == [[1]]
    outbox.add_rows("a", [row(2)], thinned=False)
    outbox.add_rows("b", [row(3)], thinned=False)
    assert [message["sensor_id"] for message in sent(outbox, 10.1)] == ["b"]
    outbox.add_rows("a", [row(4)], thinned=False)
    (message,) = sent(outbox, 10.0 + ROWS_EVERY)
    assert message == {"type": "verdicts", "sensor_id": "a", "rows": [2, 4]}


def test_a_client_that_does_not_read_costs_a_bounded_amount():
    outbox = Outbox()
    for turn in range(30):
        for sensor in range(200):
            outbox.add_rows(f"s{sensor}", [row(turn)] * 50, thinned=False)
        for incident in range(300):
            outbox.tell(f"incident {turn} {incident}", b"{}")
    messages = sent(outbox)
    rows = [message for message in messages if message.get("type") == "verdicts"]
    assert sum(len(message["rows"]) for message in rows) <= MOST_WAITING
    assert all(message["thinned"] and len(message["rows"]) <= MOST_ROWS for message in rows)
    assert len(messages) - len(rows) <= 1000


def test_newer_news_replaces_older_news_of_the_same_thing():
    outbox = Outbox()
    outbox.tell("incident 1", b'{"n": 1}')
    outbox.tell("incident 2", b'{"n": 2}')
    outbox.tell("incident 1", b'{"n": 3}')
    assert [message["n"] for message in sent(outbox)] == [2, 3]
    assert sent(outbox) == []


def test_waiting_ends_when_there_is_something_or_rows_may_go_again():
    async def story():
        loop = asyncio.get_running_loop()
        outbox = Outbox()
        outbox.add_rows("a", [row(1)], thinned=False)
        await outbox.wait(loop.time())
        start = loop.time()
        assert len(sent(outbox, start)) == 1
        outbox.add_rows("a", [row(2)], thinned=False)
        while not (messages := sent(outbox, loop.time())):
            await outbox.wait(loop.time())
        assert loop.time() >= start + ROWS_EVERY
        return messages

    assert len(asyncio.run(story())) == 1


def test_a_subscription_says_what_is_wanted():
    everything = Subscription()
    assert everything.wants("a")
    assert everything.wants_incident("a", "low")
    some = Subscription(frozenset("a"), severity="medium")
    assert some.wants("a")
    assert not some.wants("b")
    assert some.wants_incident("a", "high")
    assert not some.wants_incident("a", "low")
    assert not some.wants_incident("b", "high")


def test_a_site_follows_its_sensors():
    farm = Subscription(site="Farm", members={"a"})
    assert (farm.wants("a"), farm.wants("b")) == (True, False)
    farm.follow([SensorInfo("b", site="Farm"), SensorInfo("a", site="Town")])
    assert (farm.wants("a"), farm.wants("b")) == (False, True)


def test_single_precision_is_written_as_short_as_it_is():
    numbers = np.array([0, 99.99, -3.1415927, 1e-12, 1e30, np.nan, np.inf], np.float32)
    expected = [0.0, 99.99, -3.141593, 1e-12, 1e30, np.nan, np.inf]
    assert plain(numbers) == pytest.approx(expected, rel=1e-12, nan_ok=True)
    assert plain(np.array([0.1])) == [0.1]


def test_of_a_large_block_the_anomalous_rows_and_a_spread_of_others_are_sent():
    status = np.full(20_000, Status.NORMAL, np.uint8)
    status[[7, 19_000]] = Status.ANOMALY
    kept = chosen(np.arange(20_000), status)
    assert len(kept) == MOST_ENCODED
    assert {7, 19_000, 19_999} <= set(kept.tolist())
    assert kept.tolist() == sorted(kept.tolist())
