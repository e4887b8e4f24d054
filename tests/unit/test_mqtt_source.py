"""The source against a small broker: sessions, acknowledgements, refusals, back-pressure."""

import asyncio
import itertools
from contextlib import aclosing

import orjson
import pytest

from redshank.adapters.sources.mqtt import Broker, Mqtt
from redshank.adapters.sources.mqtt import source as module
from redshank.adapters.sources.mqtt.rebirths import Rebirths
from redshank.checks.sources import Done, readings, take
from redshank.core.clock import FakeClock
from redshank.core.errors import ConfigError, SourceError
from support import mqtt_broker
from support.sparkplug import DOUBLE, metric, payload

MS = 1_700_000_000_000
NUMBERS = [(f"sensors/s{i % 3}/temperature", b"%d" % i) for i in range(60)]


async def no_second_try(seconds):
    raise Done


def source(server, *topics, **how):
    how = {"clock": FakeClock(), "sleep": no_second_try, **how}
    return Mqtt(Broker("127.0.0.1", server.port), topics or ["sensors/#"], **how)


def test_messages_are_acknowledged_in_order_once_they_are_safe():
    with mqtt_broker.Broker(NUMBERS) as server:
        found = take(source(server))
    assert len(readings(found)) == len(NUMBERS)
    assert server.acknowledged == list(range(1, len(NUMBERS) + 1))


def test_nothing_is_acknowledged_by_itself():
    with mqtt_broker.Broker(NUMBERS) as server:
        take(source(server), most=2, acknowledge=False)
    assert server.acknowledged == []


def test_the_broker_is_told_how_much_may_be_under_way(monkeypatch):
    monkeypatch.setattr(module, "RECEIVE_MAXIMUM", 7)
    with mqtt_broker.Broker(NUMBERS) as server:
        found = take(source(server))
    assert len(readings(found)) == len(NUMBERS)
    assert server.most_unacknowledged == 7


def test_messages_that_come_again_keep_their_times_across_connections_and_restarts():
    """Half of the acknowledgements are lost each time the connection breaks."""

    async def at_once(seconds):
        if len(set(server.acknowledged)) == len(NUMBERS):
            raise Done

    with mqtt_broker.Broker(NUMBERS, hang_up_after=20, heed=10) as server:
        found = take(source(server, sleep=at_once))
    keys = {(r.sensor_id, r.time, r.values["temperature"]) for r in readings(found)}
    assert len(readings(found)) > len(NUMBERS), "some came twice"
    assert len(keys) == len(NUMBERS)


def test_the_client_id_is_made_once_and_kept():
    with mqtt_broker.Broker(NUMBERS) as server:
        first = take(source(server))
        take(source(server), first[-1].cursor)
    ids = {connect.partition(b"redshank-")[2] for connect in server.connects}
    assert len(ids) == 1
    assert len(ids.pop()) == 12


def test_another_broker_gets_another_client_id():
    with mqtt_broker.Broker(NUMBERS) as one, mqtt_broker.Broker(NUMBERS) as other:
        cursor = take(source(one))[-1].cursor
        take(source(other), cursor)
    assert (
        one.connects[0].partition(b"redshank-")[2] != other.connects[0].partition(b"redshank-")[2]
    )


def test_a_configured_client_id_is_used():
    with mqtt_broker.Broker(NUMBERS) as server:
        take(source(server, client_id="plant-7"))
    assert server.connects[0].endswith(b"\x00\x07plant-7")


def test_a_refused_login_is_an_error_that_says_why():
    with (
        mqtt_broker.Broker(refuse=0x86) as server,
        pytest.raises(SourceError, match="user name or password is wrong"),
    ):
        take(source(server))


def test_a_busy_broker_is_tried_again():
    with mqtt_broker.Broker(refuse=0x89) as server:
        assert readings(take(source(server))) == []
    assert len(server.connects) == 1


def test_nobody_there_is_tried_again_with_growing_pauses():
    pauses = []

    async def pause(seconds):
        pauses.append(seconds)
        if len(pauses) == 12:
            raise Done

    with mqtt_broker.Broker() as server:
        pass
    take(source(server, sleep=pause))
    assert 0.25 <= pauses[0] <= 0.5
    assert 30 <= pauses[-1] <= 60


def test_topics_are_subscribed_to_without_what_was_retained_before():
    with mqtt_broker.Broker(NUMBERS) as server:
        take(source(server, "sensors/{sensor_id}/{channel}", "x/#"))
    assert server.subscribed[0][3:] == b"\x00\x0bsensors/+/+\x11\x00\x03x/#\x11"


def test_a_session_gives_up_the_topics_of_earlier_settings():
    with mqtt_broker.Broker(NUMBERS) as server:
        first = take(source(server, "sensors/#", "x/+"))
        server.messages += [(*message, False) for message in NUMBERS]
        found = take(source(server, "sensors/+/+", "x/+"), last_cursor(first))
    assert [body[3:] for body in server.unsubscribed] == [b"\x00\x09sensors/#"]
    assert orjson.loads(last_cursor(found))["filters"] == ["sensors/+/+", "x/+"]


def last_cursor(parcels):
    return [parcel.cursor for parcel in parcels if parcel.cursor][-1]


def test_an_unknown_sparkplug_node_is_asked_for_its_births_once():
    """The payload is a metric with alias 5 and no name."""
    body = b"\x12\x0b\x10\x05\x69" + b"\x00" * 8
    messages = [("spBv1.0/g/NDATA/n", body)] * 5
    with mqtt_broker.Broker(messages) as server:
        found = take(source(server, "spBv1.0/#"))
    assert sum(len(parcel.dead_letters) for parcel in found) == 5
    assert len(server.published) == 1
    assert server.published[0].startswith(b"\x00\x10spBv1.0/g/NCMD/n")


def test_a_node_is_not_asked_where_that_is_switched_off():
    body = b"\x12\x0b\x10\x05\x69" + b"\x00" * 8
    with mqtt_broker.Broker([("spBv1.0/g/NDATA/n", body)]) as server:
        take(source(server, "spBv1.0/#", rebirth=False))
    assert server.published == []


@pytest.mark.parametrize(
    ("topics", "asked"),
    [
        (["spBv1.0/#"], 1),
        (["spBv1.0/g/+/n", "spBv1.0/g/+/n/+"], 1),
        (["spBv1.0/+/NDATA/#", "spBv1.0/+/NBIRTH/#"], 0),
        (["spBv1.0/g/+/n/#"], 1),
        (["$share/pool/spBv1.0/#"], 0),
    ],
)
def test_a_gap_is_a_reason_to_ask_only_where_all_of_a_node_is_heard(topics, asked):
    messages = [
        ("spBv1.0/g/NBIRTH/n", payload(metric("x", 1.0, DOUBLE, alias=1), time=MS, seq=0)),
        ("spBv1.0/g/NDATA/n", payload(metric(value=2.0, alias=1), time=MS + 1, seq=5)),
    ]
    with mqtt_broker.Broker(messages) as server:
        found = take(source(server, *topics))
    assert len(readings(found)) == 2
    assert len(server.published) == asked


def test_nodes_that_do_not_answer_are_asked_ever_more_seldom():
    clock = FakeClock()
    rebirths, asked = Rebirths(clock), []
    for second in range(0, 4 * 3600, 10):
        if rebirths.due("node"):
            asked.append(second)
        clock.advance(10)
    pauses = [b - a for a, b in itertools.pairwise(asked)]
    assert pauses == [60, 120, 240, 480, 960, 1920, 3600, 3600]
    clock.advance(3 * 3600)
    assert rebirths.due("node")
    clock.advance(60)
    assert rebirths.due("node"), "there was no need for long: it begins anew"


def test_the_keep_alive_is_told_to_the_broker():
    with mqtt_broker.Broker(NUMBERS) as server:
        take(source(server, keep_alive=7))
    assert server.connects[0][8:10] == b"\x00\x07"


def test_a_connection_that_went_silent_is_given_up():
    """The broker answers no calls: as where a router in between has forgotten the connection."""
    with mqtt_broker.Broker(NUMBERS, hang_up_when_done=False, deaf=True) as server:
        found = take(source(server, keep_alive=1))
    assert len(readings(found)) == len(NUMBERS)
    assert server.left == 0


def test_leaving_ends_the_connection_in_order():
    async def look(server):
        parcels = source(server).parcels(None)
        async with aclosing(parcels):
            await anext(parcels)
            await anext(parcels)

    with mqtt_broker.Broker(NUMBERS, hang_up_when_done=False) as server:
        asyncio.run(look(server))
    assert server.left == 1


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://x", "is not mqtt://"),
        ("mqtt://", "is not mqtt://"),
        ("mqtt://u:secret@x", "put it into mqtt_password"),
        ("mqtt://x:99999", "cannot be used"),
    ],
)
def test_addresses_that_cannot_be_used(url, why):
    with pytest.raises(ConfigError, match=why) as failed:
        Broker.at(url)
    assert "secret" not in str(failed.value)


def test_addresses():
    broker = Broker.at("mqtts://me%40home@[::1]:1234", "pw")
    assert (broker.host, broker.port, broker.user, broker.tls) == ("::1", 1234, "me@home", True)
    assert str(broker) == "mqtts://[::1]:1234"
    assert Broker.at("mqtt://x").port == 1883
    assert Broker.at("mqtts://x").port == 8883


def test_certificates_that_are_not_there_are_named(tmp_path):
    missing = tmp_path / "no.pem"
    with pytest.raises(ConfigError, match=r"mqtt_ca_file .*no\.pem"):
        Mqtt(Broker.at("mqtts://x", ca_file=missing), ["#"])
    with pytest.raises(ConfigError, match=r"mqtt_cert_file .*no\.pem"):
        Mqtt(Broker.at("mqtts://x", cert_file=missing), ["#"])
    with pytest.raises(ConfigError, match="encrypted connection"):
        Broker.at("mqtt://x", ca_file=missing)
