"""MQTT through restarts of the broker, a bad network, and kill -9: nothing lost or doubled."""

from __future__ import annotations

import threading

import pytest

from support.mosquitto import INSTALL, Mosquitto, Publisher, binary
from support.process import Process
from support.proxy import Proxy
from support.services import missing
from support.story import readings
from support.wait import until

pytestmark = pytest.mark.faults

MESSAGES = 20_000
SENSORS = 20
START_MS = 1_767_225_600_000
STEP_MS = 10_000


@pytest.fixture
def broker(tmp_path):
    if binary() is None:
        missing("mosquitto", INSTALL)
    with Mosquitto(tmp_path / "broker") as running:
        yield running


def timed(i):
    time = START_MS + (i // SENSORS) * STEP_MS
    return f"sensors/s{i % SENSORS}", b'{"timestamp":%d,"temperature":%d.5}' % (time, i % 97)


def bare(i):
    """Without a time, and the value tells messages apart."""
    return f"sensors/s{i % SENSORS}/pm25", b"%d" % i


def sessions(process: Process) -> int:
    """How often it has logged in and subscribed."""
    return process.log.read_text().count("] connected ")


def subscribed(process: Process) -> bool:
    """Whether its first session is there; what was published before is for nobody."""
    return sessions(process) > 0


def stored(process: Process) -> int:
    with process.client() as client:
        return sum(s["readings"] for s in client.get("/sensors", {"limit": 1000})["sensors"])


def begin(launch, broker, **settings) -> Process:
    topics = "sensors/{sensor_id}/{channel}, sensors/+"
    process = launch(**{"mqtt_url": broker.url, "mqtt_topics": topics, **settings})
    until(lambda: subscribed(process))
    return process


def test_20_000_messages_through_restarts_and_a_kill(launch, broker):
    """The publisher is cut off, too, in the middle of its messages, and sends some twice."""
    process = begin(launch, broker)
    with Publisher(broker.port) as publisher:
        sending = threading.Thread(
            target=publisher.send, args=[map(timed, range(MESSAGES))], daemon=True
        )
        sending.start()
        publisher.wait(MESSAGES // 5)
        broker.stop()
        broker.start()
        publisher.wait(2 * MESSAGES // 5)
        process.kill()
        publisher.wait(3 * MESSAGES // 5)
        process.start()
        publisher.wait(4 * MESSAGES // 5)
        broker.stop()
        broker.start()
        sending.join()
        publisher.wait()
    assert_all_there_once(process, timed)


def test_messages_without_a_time_are_not_doubled_either(launch, broker):
    """The publisher is at rest at each restart: what it sends twice are two messages."""
    process = begin(launch, broker)
    part = MESSAGES // 4
    with Publisher(broker.port) as publisher:
        for i in range(4):
            publisher.send(map(bare, range(i * part, (i + 1) * part)))
            publisher.wait()
            if i == 1:
                process.kill()
                process.start()
            elif i < 3:
                broker.stop()
                broker.start()
    assert_all_there_once(process, bare)


@pytest.mark.parametrize("message", [timed, bare])
def test_20_000_messages_over_a_network_that_is_cut_goes_silent_and_is_slow(
    launch, broker, message
):
    """Acknowledgements are lost on the way, and so are messages; the publisher is at ease."""
    with Proxy(broker.port) as network:
        url = f"mqtt://127.0.0.1:{network.port}"
        process = begin(launch, broker, mqtt_url=url, mqtt_keep_alive_seconds=1)
        with Publisher(broker.port) as publisher:
            sending = threading.Thread(
                target=publisher.send, args=[map(message, range(MESSAGES))], daemon=True
            )
            sending.start()
            for part, fault in enumerate((network.cut, network.silence) * 3, 1):
                until(lambda part=part: stored(process) >= part * MESSAGES // 8)
                fault()
                until(lambda part=part: sessions(process) > part)
                network.delay(0.05 * (part % 3))
            sending.join()
            publisher.wait()
        assert_all_there_once(process, message)
        assert sessions(process) == network.connections == 7
        assert process.log.read_text().count("is silent for") == 3


def test_a_connection_that_dies_in_peace_is_noticed_and_made_anew(launch, broker):
    """Nothing is published while it is dead, so that only calls can tell."""
    with Proxy(broker.port) as network:
        url = f"mqtt://127.0.0.1:{network.port}"
        process = begin(launch, broker, mqtt_url=url, mqtt_keep_alive_seconds=1)
        network.silence()
        with Publisher(broker.port) as publisher:
            publisher.send(map(timed, range(1000)))
            publisher.wait()
            until(lambda: stored(process) == 1000)
        assert network.connections == 2
        assert process.stop() == 0


def assert_all_there_once(process, message) -> None:
    until(lambda: stored(process) >= MESSAGES)
    with process.client() as client:
        found = {f"s{i}": readings(client, f"s{i}") for i in range(SENSORS)}
    channel = "temperature" if message is timed else "pm25"
    for name, rows in found.items():
        times = [row["timestamp"] for row in rows]
        assert len(times) == len(set(times)) == MESSAGES // SENSORS, name
        sent = [i for i in range(MESSAGES) if f"s{i % SENSORS}" == name]
        wanted = [i % 97 + 0.5 for i in sent] if message is timed else [float(i) for i in sent]
        # A broker that restarts repeats older messages behind newer ones: their order may change.
        order = sorted if message is bare else list
        assert order(row[channel] for row in reversed(rows)) == order(wanted), name
    assert process.stop() == 0


def test_a_killed_broker_that_saved_its_state_repeats_and_nothing_is_doubled(launch, broker):
    """kill -9 takes it back to its last saved state, where messages were not acknowledged yet."""
    process = begin(launch, broker)
    with Publisher(broker.port) as publisher:
        publisher.send(map(timed, range(100)))
        publisher.wait()
        until(lambda: stored(process) == 100)
        process.kill()
        publisher.send(map(timed, range(100, 3000)))
        publisher.wait()
    broker.save()
    process.start()
    until(lambda: stored(process) == 3000)
    broker.kill()
    broker.start()
    with Publisher(broker.port) as publisher:
        publisher.send(map(timed, range(3000, 3100)))
        publisher.wait()
    until(lambda: stored(process) >= 3100)
    with process.client() as client:
        times = [row["timestamp"] for i in range(SENSORS) for row in readings(client, f"s{i}")]
    assert len(times) == 3100
    assert process.stop() == 0


def test_a_full_queue_stops_the_broker_and_loses_nothing(launch, broker):
    process = begin(launch, broker, queue_readings=500)
    with Publisher(broker.port) as publisher:
        publisher.send(map(timed, range(MESSAGES)))
        publisher.wait()
    until(lambda: stored(process) >= MESSAGES)
    with process.client() as client:
        assert len(readings(client, "s0")) == MESSAGES // SENSORS
    assert process.stop() == 0
