"""Dead letters of MQTT, read again by another mapping than the one that they failed by."""

import orjson
import pytest

from redshank.adapters.sources.mqtt import MqttLetters
from redshank.adapters.sources.mqtt.json_rows import Paths
from redshank.adapters.sources.mqtt.memory import Arrivals
from redshank.adapters.sources.mqtt.payloads import Decoder
from redshank.adapters.sources.mqtt.topics import Router
from redshank.adapters.sources.mqtt.wire import Arrived
from redshank.core.batch import rows
from redshank.core.clock import FakeClock
from redshank.core.records import DeadLetter
from redshank.core.sparkplug import Births
from support.sparkplug import BOOLEAN, DOUBLE, metric, payload

NOW = FakeClock().now()
MS = NOW // 1000
DATA = payload(metric(value=21.0, alias=1, time=MS), time=MS, seq=1)
BIRTH = payload(metric("Temperature", 20.0, DOUBLE, alias=1, unit="K"), time=MS)


def bury(topic, payload, *templates, births=None, paths=None, **message):
    """The letters of a message, and its readings."""
    body = payload if isinstance(payload, bytes) else orjson.dumps(payload)
    arrivals = Arrivals(FakeClock(), 100)
    reader = Decoder(Router(templates or ["#"]), arrivals, births or Births(), paths)
    contents = reader.decode([Arrived(topic, body, 1, **message)], NOW)
    return contents.dead_letters, contents.batches


def found(again):
    """Sensor, time and values of each reading."""
    assert again.reason == ""
    return [(r.sensor_id, r.time, dict(r.values)) for batch in again.batches for r in rows(batch)]


def cursor(births):
    return orjson.dumps({"births": births.dump()}).decode()


def test_a_corrected_template_makes_a_letter_readable():
    (letter,), _ = bury("plant/pump7", b"4.5", "plant/{sensor_id}")
    assert "the topic template must name it" in letter.reason
    assert MqttLetters(["plant/{sensor_id}"])(letter).reason == letter.reason
    assert found(MqttLetters(["{sensor_id}/{channel}"])(letter)) == [("plant", NOW, {"pump7": 4.5})]


def test_a_corrected_path_or_kind_makes_a_letter_readable():
    row = {"meta": {"at": MS // 1000}, "readings": {"pm10": 4}}
    (letter,), _ = bury("s/b1", row, "s/+", paths=Paths("data"))
    paths = {"value_path": "readings", "time_path": "meta.at"}
    assert found(MqttLetters(["s/+"], **paths)(letter)) == [
        ("b1", MS // 1000 * 1_000_000, {"pm10": 4.0})
    ]
    (letter,), _ = bury("s/b1/t", b"{", "s/#=number")
    assert letter.content_type == "text/plain"
    assert "neither a number nor JSON" in MqttLetters(["s/#"])(letter).reason


def test_rows_that_were_good_already_come_again_with_the_same_key():
    body = [{"co2": 400}, {"temperature": "x"}, {"co2": 402}]
    (letter,), (batch,) = bury("s/b1", body)
    mended = DeadLetter(letter.time, "mqtt", "", letter.raw.replace(b'"x"', b"21"), 1, letter.topic)
    again = found(MqttLetters(["#"])(mended))
    assert len(again) == 3
    first = [(r.sensor_id, r.time, dict(r.values)) for r in rows(batch)]
    assert all(one in again for one in first)


def test_a_topic_that_nobody_reads_any_more_is_named():
    (letter,), _ = bury("old/b1", b"x")
    assert MqttLetters(["new/#"])(letter).reason == (
        "topic: 'old/b1' fits no template of mqtt_topics"
    )


def test_letters_without_a_topic_say_too_little():
    assert MqttLetters(["#"])(DeadLetter(NOW, "mqtt", "", b"1", 1)) is None


def test_a_retained_message_without_a_time_stays_of_unknown_age():
    (letter,), _ = bury("s/b1/t", b"x", retained=True)
    mended = DeadLetter(NOW, "mqtt", "", b"1", 1, letter.topic, details=letter.details)
    assert "how old a retained message is" in MqttLetters(["#"])(mended).reason


def test_metrics_by_alias_are_readable_once_the_birth_has_come():
    births = Births()
    (letter,), _ = bury("spBv1.0/g/NDATA/n", DATA, births=births)
    assert "no birth of g/n has explained" in letter.reason
    assert "no birth" in MqttLetters(["#"], cursor=cursor(births))(letter).reason
    bury("spBv1.0/g/NBIRTH/n", BIRTH, births=births)
    again = MqttLetters(["#"], cursor=cursor(births))(letter)
    ((sensor, time, values),) = found(again)
    assert (sensor, time) == ("g/n", MS * 1000)
    assert values == pytest.approx({"temperature": 21.0 - 273.15})
    assert [dict(info.tags) for info in again.sensors] == [{}]


def test_a_birth_that_is_a_letter_says_nothing_of_today():
    """Its node was born again since, with other names for its aliases."""
    births = Births()
    odd = payload(
        metric("Temperature", 20.0, DOUBLE, alias=1), metric(value=True, holder=BOOLEAN, alias=9)
    )
    (letter,), _ = bury("spBv1.0/g/NBIRTH/n", odd, births=births)
    bury("spBv1.0/g/NBIRTH/n", payload(metric("Speed", 1.0, DOUBLE, alias=1)), births=births)
    reader = MqttLetters(["#"], cursor=cursor(births))
    assert "is an alias" in reader(letter).reason
    data = DeadLetter(NOW, "mqtt", "", DATA, 2, "spBv1.0/g/NDATA/n")
    assert found(reader(data)) == [("g/n", MS * 1000, {"speed": 21.0})]


@pytest.mark.parametrize("topic", ["spBv1.0/g/NCMD/n", "spBv1.0/STATE/host"])
def test_what_holds_no_readings_says_so(topic):
    letter = DeadLetter(NOW, "mqtt", "", b"x", 1, topic)
    assert MqttLetters(["#"])(letter).reason == "payload: holds no readings"
