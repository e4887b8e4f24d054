"""``redshank mqtt discover`` on a broker of a few lines, and settings that cannot be used."""

from support import mqtt_broker


def test_discover_prints_a_table_and_the_settings(redshank):
    messages = [("sensors/a/temperature", b"21.5"), ("sensors/a/humidity", b"40")]
    with mqtt_broker.Broker(messages, hang_up_when_done=False) as server:
        found = redshank("mqtt", "discover", f"mqtt://127.0.0.1:{server.port}", "--seconds", 0.3)
    assert found.status == 0
    assert "2 messages under 2 topics" in found.out
    assert 'REDSHANK_MQTT_TOPICS="sensors/{sensor_id}/{channel}"' in found.out


def test_discover_says_where_nested_numbers_lie(redshank):
    nested = ("a/pump7", b'{"meta": {"ts": 1700000000}, "data": {"flow": 1}}')
    assert "REDSHANK_MQTT_VALUE_PATH=data\nREDSHANK_MQTT_TIME_PATH=meta.ts" in heard(
        redshank, nested
    )
    mixed = heard(redshank, nested, ("b/pump8", b'{"flow": 1}'))
    assert "a/{sensor_id} alone would want REDSHANK_MQTT_VALUE_PATH=data" in mixed


def heard(redshank, *messages):
    with mqtt_broker.Broker(messages, hang_up_when_done=False) as server:
        url = f"mqtt://127.0.0.1:{server.port}"
        return redshank("mqtt", "discover", url, "--seconds", 0.3).out


def test_silence_is_told(redshank):
    with mqtt_broker.Broker(hang_up_when_done=False) as server:
        found = redshank("mqtt", "discover", f"mqtt://127.0.0.1:{server.port}", "--seconds", 0.2)
    assert "Nothing was published" in found.out


def test_discover_needs_a_broker(redshank):
    found = redshank("mqtt", "discover")
    assert found.status == 2
    assert "REDSHANK_MQTT_URL" in found.err


def test_a_refused_login_is_one_line(redshank):
    with mqtt_broker.Broker(refuse=0x86) as server:
        found = redshank(
            *("mqtt", "discover", f"mqtt://u@127.0.0.1:{server.port}"),
            env={"REDSHANK_MQTT_PASSWORD": "not-the-one"},
        )
    assert found.status == 1
    assert "user name or password is wrong" in found.err
    assert "not-the-one" not in found.err


def test_a_template_that_cannot_be_used_ends_run_with_2(redshank):
    env = {"REDSHANK_MQTT_URL": "mqtt://127.0.0.1", "REDSHANK_MQTT_TOPICS": "a/{room}"}
    found = redshank("run", "--no-open", env=env)
    assert found.status == 2
    assert "{room} is not one of {sensor_id}, {channel} and {site}" in found.err
