"""Sparkplug B, encoded by another library: births, data by alias, deaths, and hostile bytes."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redshank.core.clock import format_time
from redshank.core.errors import FieldError, FileFormatError
from redshank.core.sparkplug import Births, parse_topic, read_sparkplug
from redshank.core.sparkplug_wire import read_payload, rebirth_command
from support.sparkplug import (
    BOOLEAN,
    DOUBLE,
    FLOAT,
    INT16,
    INT32,
    INT64,
    STRING,
    metric,
    parse,
    payload,
)

MS = 1_700_000_000_000
NOW = MS * 1000
BIRTH = payload(
    metric("bdSeq", 3, INT64),
    metric("Temperature", 21.5, DOUBLE, alias=1, unit="°C"),
    metric("Level/Tank 1", -7, INT16, alias=2),
    metric("Running", True, BOOLEAN, alias=3),
    metric("Firmware", "1.2", STRING, alias=4),
    metric("Node Control/Rebirth", False, BOOLEAN),
    time=MS,
)


def hear(births, topic, body, arrival=NOW):
    return read_sparkplug(births, f"spBv1.0/{topic}", body, arrival=arrival)


def values(heard):
    return {r.sensor_id: (r.time, dict(r.values), dict(r.tags)) for r in heard.typed.readings}


def born():
    births = Births()
    hear(births, "plant/NBIRTH/edge", BIRTH)
    hear(births, "plant/DBIRTH/edge/pump", BIRTH)
    return births


def test_a_birth_brings_values_names_units_and_the_sensor():
    heard = hear(Births(), "plant/DBIRTH/edge/pump", BIRTH)
    tags = {"Running": "true", "Firmware": "1.2"}
    assert values(heard) == {
        "plant/edge/pump": (NOW, {"temperature": 21.5, "level_tank_1": -7.0}, tags)
    }
    assert heard.typed.channels["plant/edge/pump"]["temperature"].unit == "°C"
    (info,) = heard.sensors
    assert (info.sensor_id, info.site, info.tags) == (
        "plant/edge/pump",
        "plant",
        {"sparkplug": "online"},
    )
    assert heard.changed
    assert not heard.typed.errors


def test_data_speak_by_alias():
    body = payload(
        metric(value=30.25, alias=1, time=MS + 500, holder=DOUBLE),
        metric(value=-9, alias=2, time=MS + 500, holder=INT16),
        metric(value=1.5, alias=1, time=MS + 900, holder=FLOAT),
    )
    heard = hear(born(), "plant/DDATA/edge/pump", body)
    found = [(r.time, dict(r.values)) for r in heard.typed.readings]
    assert found == [
        (NOW + 500_000, {"temperature": 30.25, "level_tank_1": -9.0}),
        (NOW + 900_000, {"temperature": 1.5}),
    ]
    assert not heard.unborn
    assert not heard.changed


def test_metrics_without_a_time_have_that_of_the_payload_or_of_the_arrival():
    by_payload = hear(born(), "plant/DDATA/edge/pump", payload(metric(value=1.0, alias=1), time=MS))
    assert not by_payload.typed.timeless
    by_arrival = hear(born(), "plant/DDATA/edge/pump", payload(metric(value=1.0, alias=1)))
    assert by_arrival.typed.timeless
    assert by_arrival.typed.readings[0].time == NOW


def test_units_of_the_birth_convert_the_data():
    births = Births()
    hear(births, "g/NBIRTH/n", payload(metric("pressure", 101_300, INT32, alias=9, unit="Pa")))
    heard = hear(births, "g/NDATA/n", payload(metric(value=100_000, alias=9, holder=INT32)))
    assert values(heard)["g/n"][1] == {"pressure": 1000.0}


def test_an_alias_that_nobody_explained_is_told():
    heard = hear(Births(), "g/DDATA/n/d", payload(metric(value=1.0, alias=5)))
    assert heard.unborn
    (error,) = heard.typed.errors
    assert (error.field, error.value) == ("alias", 5)
    assert "g/n/d" in error.reason


def test_a_null_and_a_structured_value_are_no_readings():
    body = payload(metric("a", None, DOUBLE), metric("b", 1.0, DOUBLE))
    assert values(hear(born(), "plant/NDATA/edge", body))["plant/edge"][1] == {"b": 1.0}


@pytest.mark.parametrize("restarted", [False, True])
def test_what_births_said_outlives_a_restart(restarted):
    births = Births.load(born().dump()) if restarted else born()
    heard = hear(births, "plant/DDATA/edge/pump", payload(metric(value=2.0, alias=1), time=MS))
    assert values(heard)["plant/edge/pump"][1] == {"temperature": 2.0}
    assert births == born()


def test_the_death_of_a_device_makes_it_offline():
    births = born()
    heard = hear(births, "plant/DDEATH/edge/pump", payload(time=MS))
    (info,) = heard.sensors
    assert info.tags == {"sparkplug": f"offline since {format_time(NOW)}"}
    assert "plant/edge/pump" not in births.aliases
    assert "plant/edge" in births.aliases


def test_the_death_of_a_node_is_that_of_its_devices():
    births = born()
    heard = hear(births, "plant/NDEATH/edge", payload(metric("bdSeq", 3, INT64)))
    assert {info.sensor_id for info in heard.sensors} == {"plant/edge", "plant/edge/pump"}
    assert not births.aliases


def test_the_late_will_of_an_earlier_session_is_of_no_account():
    births = born()
    heard = hear(births, "plant/NDEATH/edge", payload(metric("bdSeq", 2, INT64)))
    assert not heard.sensors
    assert not heard.changed
    assert births == born()


@pytest.mark.parametrize("topic", ["g/NCMD/n", "g/DCMD/n/d", "STATE/host"])
def test_commands_and_states_of_hosts_hold_no_readings(topic):
    heard = hear(Births(), topic, b"{}")
    assert not heard.typed.readings
    assert not heard.typed.errors


def gaps(births, *heard):
    """Whether each of these messages, type and sequence number, follows a gap."""
    return [hear(births, f"g/{topic}", payload(time=MS, seq=seq)).gap for topic, seq in heard]


def test_a_missing_sequence_number_is_a_gap_over_all_messages_of_a_node():
    births = Births()
    born = [("NBIRTH/n", 0), ("DBIRTH/n/d", 1), ("NDATA/n", 2), ("DDATA/n/d", 3)]
    assert gaps(births, *born) == [False] * 4
    assert gaps(births, ("DDEATH/n/d", 4), ("NDATA/n", 5), ("NDATA/n", 5)) == [False] * 3
    assert gaps(births, ("NDATA/n", 7), ("NDATA/n", 8)) == [True, False]
    assert gaps(births, ("NBIRTH/other", 0), ("NDATA/n", 9)) == [False, False]
    assert gaps(births, ("NBIRTH/n", 0), ("NDATA/n", 1)) == [False, False]


def test_sequence_numbers_begin_anew_after_255():
    births = Births(seqs={"g/n": 254})
    assert gaps(births, ("NDATA/n", 255), ("NDATA/n", 0), ("NDATA/n", 2)) == [False, False, True]


def test_after_a_restart_nobody_knows_what_was_missed():
    births = Births(seqs={"g/n": 3})
    later = Births.load(births.dump())
    assert gaps(later, ("NDATA/n", 4), ("NDATA/n", 5)) == [True, False]


def test_nodes_that_do_not_count_have_no_gaps():
    assert gaps(Births(), ("NBIRTH/n", None), ("NDATA/n", None)) == [False, False]


@pytest.mark.parametrize("topic", ["", "g", "g/DATA/n", "g/DDATA/n", "g/NDATA", "g/DDATA/n/d/e"])
def test_other_topics_are_refused_by_name(topic):
    with pytest.raises(FieldError, match=r"topic: 'spBv1\.0/"):
        parse_topic(f"spBv1.0/{topic}")


def test_a_rebirth_command_is_what_the_specification_asks_for():
    command = parse(rebirth_command(MS))
    (wanted,) = command.metrics
    assert command.timestamp == wanted.timestamp == MS
    assert (wanted.name, wanted.datatype, wanted.boolean_value) == (
        "Node Control/Rebirth",
        BOOLEAN,
        True,
    )


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just(INT16), st.integers(-(2**15), 2**15 - 1)),
            st.tuples(st.just(INT32), st.integers(-(2**31), 2**31 - 1)),
            st.tuples(st.just(INT64), st.integers(-(2**63), 2**63 - 1)),
            st.tuples(st.just(8), st.integers(0, 2**64 - 1)),
            st.tuples(st.just(DOUBLE), st.floats(allow_nan=False)),
            st.tuples(st.just(FLOAT), st.floats(width=32, allow_nan=False)),
            st.tuples(st.just(BOOLEAN), st.booleans()),
            st.tuples(st.just(STRING), st.text(max_size=20)),
        ),
        max_size=6,
    ),
    st.none() | st.integers(0, 2**63),
)
def test_every_value_is_read_as_it_was_written(typed_values, time):
    body = payload(
        *(metric(f"m{i}", v, kind, alias=i) for i, (kind, v) in enumerate(typed_values)), time=time
    )
    read = read_payload(body)
    assert read.time == time
    assert [m.value for m in read.metrics] == [value for _, value in typed_values]
    assert [m.alias for m in read.metrics] == list(range(len(typed_values)))


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(body):
    try:
        read_payload(body)
    except FileFormatError as error:
        assert "not Sparkplug B" in str(error)


@given(st.integers(0, len(BIRTH) - 1), st.integers(0, 255), st.integers(0, len(BIRTH)))
def test_a_damaged_birth_is_readings_or_errors(at, byte, end):
    body = (BIRTH[:at] + bytes([byte]) + BIRTH[at + 1 :])[:end]
    try:
        heard = hear(Births(), "g/NBIRTH/n", body)
    except FieldError as error:
        assert error.field == "payload"
    else:
        Births.load(heard and born().dump())


def test_a_fixed_field_of_an_unknown_number_is_skipped():
    extra = bytes([15 << 3 | 1]) + struct.pack("<d", 1.0) + bytes([14 << 3 | 5]) + b"1234"
    assert len(read_payload(BIRTH + extra).metrics) == 6
