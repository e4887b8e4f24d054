"""MQTT 5 packets: cut out of any pieces of a stream, and nothing but our error for nonsense."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redshank.adapters.sources.mqtt import wire
from redshank.adapters.sources.mqtt.wire import Arrived, MalformedError, Packet, Stream
from support.mqtt_broker import publish

LIMIT = 1 << 20
MESSAGES = st.lists(
    st.tuples(
        st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40),
        st.binary(max_size=400),
        st.integers(0, 65535),
        st.booleans(),
        st.booleans(),
    ),
    max_size=8,
)


@given(MESSAGES, st.lists(st.integers(1, 50), min_size=1, max_size=40))
def test_messages_are_read_from_any_pieces(messages, cuts):
    encoded = b"".join(
        publish(topic, payload, mid, duplicate, retained, b"\x01\x00" * (mid % 2))
        for topic, payload, mid, duplicate, retained in messages
    )
    stream, found, at = Stream(LIMIT), [], 0
    while at < len(encoded):
        size = cuts[at % len(cuts)]
        found += stream.feed(encoded[at : at + size])
        at += size
    assert found == [Arrived(*message) for message in messages]


def test_a_message_with_long_properties():
    properties = b"\x26" + b"\x00\x02ab" + b"\x00\xc8" + b"v" * 200
    (found,) = Stream(LIMIT).feed(publish("t", b"1", 5, properties=properties))
    assert found == Arrived("t", b"1", 5)


@given(st.binary(max_size=300))
def test_nonsense_is_our_error_or_nothing(data):
    with suppress(MalformedError):
        Stream(1000).feed(data)


@given(st.binary(max_size=60))
def test_answers_of_any_bytes_are_read_or_refused(body):
    for read in (wire.read_accepted, wire.read_subscribed):
        with suppress(MalformedError):
            read(body)


def test_a_packet_that_is_too_long_is_refused_before_it_comes():
    with pytest.raises(MalformedError, match="2097151 bytes"):
        Stream(LIMIT).feed(b"\x30\xff\xff\x7f")


def test_the_answer_to_connect():
    accepted = wire.read_accepted(b"\x01\x00\x03\x13\x00\x0a")
    assert (accepted.session, accepted.reason, accepted.keep_alive) == (True, 0, 10)
    refused = wire.read_accepted(b"\x00\x87\x06\x1f\x00\x03who")
    assert wire.reason(refused.reason, refused.text) == "not authorised (code 0x87, who)"


def test_acknowledgements_go_together():
    assert wire.acknowledge([1, 258]) == b"\x40\x02\x00\x01\x40\x02\x01\x02"
    assert Stream(LIMIT).feed(wire.acknowledge([1])) == [Packet(4, b"\x00\x01")]
