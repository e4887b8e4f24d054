"""SenML by the examples of RFC 8428, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redshank.core.clock import SECOND
from redshank.core.senml import is_senml, read_senml

NOW = 1_320_100_000 * SECOND


def read(pack, **how):
    return read_senml(pack, arrival=NOW, **how)


def values(pack, **how):
    """(sensor, seconds, values) of each reading."""
    return [(r.sensor_id, r.time / SECOND, dict(r.values)) for r in read(pack, **how).readings]


def test_single_datapoint():
    """Section 5.1.1."""
    pack = [{"n": "urn:dev:ow:10e2073a01080063", "u": "Cel", "v": 23.1}]
    found = read(pack)
    assert found.timeless
    (reading,) = found.readings
    assert reading.sensor_id == "urn:dev:ow"
    assert reading.time == NOW


def test_multiple_datapoints():
    """Section 5.1.2: base name, base time, base unit; times relative to the base."""
    pack = [
        {"bn": "urn:dev:ow:10e2073a0108006:", "bt": 1.276020076001e9, "bu": "A", "bver": 5,
         "n": "voltage", "u": "V", "v": 120.1},
        {"n": "current", "t": -5, "v": 1.2},
        {"n": "current", "t": -4, "v": 1.3},
        {"n": "current", "v": 1.7},
    ]  # fmt: skip
    found = read(pack)
    assert not found.timeless
    base = 1_276_020_076_001_000
    got = {r.time - base: dict(r.values) for r in found.readings}
    assert got == {
        0: {"voltage": 120.1, "current": 1.7},
        -5 * SECOND: {"current": 1.2},
        -4 * SECOND: {"current": 1.3},
    }
    assert {r.sensor_id for r in found.readings} == {"urn:dev:ow:10e2073a0108006"}


def test_relative_times_count_from_now():
    """Section 5.1.3 and 4.5.3."""
    pack = [{"bn": "b/", "n": "t", "v": 1, "t": -60}, {"n": "t", "v": 2}]
    found = read(pack)
    assert found.timeless
    assert [r.time - NOW for r in found.readings] == [-60 * SECOND, 0]


def test_base_values_are_added():
    assert values([{"bn": "b:", "bv": 20, "n": "t", "v": 1.5}, {"n": "u"} | {"v": 2}]) == [
        ("b", NOW / SECOND, {"t": 21.5, "u": 22.0})
    ]


def test_texts_and_truth_values_become_tags():
    """Section 5.1.4."""
    pack = [
        {"bn": "urn:dev:ow:1:", "n": "temp", "u": "Cel", "v": 23.1},
        {"n": "label", "vs": "Machine Room"},
        {"n": "open", "vb": False},
    ]
    (reading,) = read(pack).readings
    assert dict(reading.tags) == {"label": "Machine Room", "open": "false"}


def test_units_are_converted_and_told():
    pack = [
        {"bn": "b:", "n": "temperature", "u": "K", "v": 300},
        {"n": "pressure", "u": "Pa", "v": 101_300},
        {"n": "humidity", "u": "%RH", "v": 40},
    ]
    found = read(pack)
    (reading,) = found.readings
    assert reading.values["temperature"] == pytest.approx(26.85)
    assert reading.values["pressure"] == pytest.approx(1013)
    assert reading.values["humidity"] == 40
    assert found.channels["b"]["pressure"].source_unit == "Pa"


def test_the_topic_may_name_the_sensor():
    pack = [{"bn": "urn:dev:mac:1:", "n": "t", "v": 1}]
    assert values(pack, sensor_id="kitchen")[0][::2] == ("kitchen", {"t": 1.0})
    bare = [{"n": "dev/t", "v": 1}]
    assert values(bare, sensor_id="kitchen")[0][::2] == ("kitchen", {"t": 1.0})
    assert values([{"v": 1}], sensor_id="kitchen", channel="t")[0][::2] == ("kitchen", {"t": 1.0})


def test_sums_are_channels_of_their_own():
    pack = [{"bn": "b:", "n": "energy", "u": "W", "v": 5, "s": 100}, {"n": "flow", "s": 7}]
    assert values(pack)[0][2]["flow_sum"] == 7


@pytest.mark.parametrize(
    ("record", "field", "reason"),
    [
        ({"bn": "b:", "n": "t", "v": "1"}, "v", "is not a number"),
        ({"bn": "b:", "n": "t", "v": True}, "v", "is not a number"),
        ({"bn": "b:", "n": "t", "v": 1, "vs": "x"}, "vs", "is a second value"),
        ({"bn": "b:", "n": "t", "v": 1, "odd_": 1}, "odd_", "must be understood"),
        ({"bn": "b:", "n": "t", "v": 1, "bver": 11}, "bver", "is newer than 10"),
        ({"n": "t", "v": 1}, "n", "names no sensor"),
        ({"bn": "b:", "n": 5, "v": 1}, "n", "is not text"),
        ({"n": "b:t"}, "v", "is missing"),
        ({"bn": "b:", "n": "t", "v": 1, "t": 1e300}, "t", "is not a time"),
        ({"bn": "b:", "n": "t", "v": 1, "bt": 3e8}, "time", "lies before 1990"),
        ("text", "record", "is not an object"),
    ],
)
def test_what_is_refused_names_the_field(record, field, reason):
    found = read([record])
    assert not found.readings
    (error,) = found.errors
    assert error.field == field
    assert error.reason.startswith(reason)


def test_one_bad_record_does_not_spoil_the_others():
    found = read([{"bn": "b:", "n": "t", "v": "x"}, {"n": "u", "v": 1}])
    assert len(found.readings) == len(found.errors) == 1


def test_what_looks_like_senml():
    assert is_senml([{"n": "x", "v": 1}])
    assert is_senml([{"bn": "x"}])
    assert not is_senml([{"temperature": 1}])
    assert not is_senml({"n": "x", "v": 1})
    assert not is_senml([])


FIELDS = st.sampled_from(
    ["bn", "bt", "bu", "bv", "bs", "bver", "n", "u", "v", "vs", "vb", "vd", "s", "t", "ut", "x_"]
)
VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6)


@given(st.lists(st.dictionaries(FIELDS, VALUES, max_size=6) | VALUES, max_size=6))
def test_any_pack_is_read_or_refused(pack):
    found = read_senml(pack, arrival=NOW, sensor_id=None)
    assert all(reading.values for reading in found.readings)
