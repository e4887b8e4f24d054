"""Line protocol: what a line means, that both ways of reading agree, and that nothing breaks it."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from redshank.core import line_protocol
from redshank.core.batch import rows
from redshank.core.clock import parse_time
from redshank.core.line_protocol import decode_lines
from redshank.core.line_syntax import MAX_HEAD
from redshank.core.series import Naming

NOW = parse_time("2026-02-01T00:00:00Z")
THEN = parse_time("2026-01-31T12:00:00Z")
STAMP = THEN * 1000


def decoded(text, **how):
    body = text if isinstance(text, bytes) else text.encode()
    return decode_lines(body, arrival=NOW, **how).dated_from(NOW)


def readings(text, **how):
    found = decoded(text, **how)
    assert not found.errors, found.errors
    return [reading for batch in found.batches for reading in rows(batch)]


def reading(text, **how):
    (only,) = readings(text, **how)
    return only


def reason(text, **how):
    found = decoded(text, **how)
    assert not found.batches
    (error,) = found.errors
    return f"{error.field}: {error.value!r} {error.reason}"


# --- what a line means -------------------------------------------------------------------------


def test_a_line_is_a_reading():
    found = reading(f"sensor,device=pump-1,site=north temperature=21.5,turns=7i,load=3u {STAMP}")
    assert found.sensor_id == "pump-1"
    assert found.time == THEN
    assert found.values == {"temperature": 21.5, "turns": 7.0, "load": 3.0}
    assert found.tags == {"site": "north"}


NAMES = {
    "sensor,sensor_id=a temperature=1": ("a", {"temperature": 1}),
    "weather,sensor=a rain=1": ("a", {"weather_rain": 1}),
    "humidity,device=a value=1": ("a", {"humidity": 1}),
    "readings,device=a value=1": ("a", {"readings": 1}),
    "cpu,host=web load=1": ("web", {"cpu_load": 1}),
    "cpu,host=web,cpu=cpu0 load=1": ("cpu,cpu=cpu0,host=web", {"load": 1}),
    "mqtt_consumer,topic=a/b value=1": ("mqtt_consumer,topic=a/b", {"mqtt_consumer": 1}),
    "weather rain=1": ("weather", {"rain": 1}),
    "m,sensor_id=a,sensor=b,device=c x=1": ("a", {"m_x": 1}),
}


@pytest.mark.parametrize("line", NAMES)
def test_tags_name_the_sensor_and_fields_its_channels(line):
    found = reading(f"{line} {STAMP}")
    assert (found.sensor_id, found.values) == NAMES[line]


def test_the_naming_can_be_chosen():
    mine = Naming(sensor_tags=("station",), containers=frozenset(("weather",)))
    found = reading("weather,device=x,station=s rain=1", naming=mine)
    assert (found.sensor_id, found.values, found.tags) == ("s", {"rain": 1}, {"device": "x"})


TYPES = {
    "x=1": ({"x": 1.0}, {}),
    "x=-1.5e-3": ({"x": -0.0015}, {}),
    "x=+5": ({"x": 5.0}, {}),
    "x=.5": ({"x": 0.5}, {}),
    "x=5.": ({"x": 5.0}, {}),
    "x=007": ({"x": 7.0}, {}),
    "x=-9223372036854775808i": ({"x": -(2.0**63)}, {}),
    "x=18446744073709551615u": ({"x": 2.0**64}, {}),
    "x=1,on=t": ({"x": 1.0}, {"on": "true"}),
    "x=1,on=FALSE": ({"x": 1.0}, {"on": "false"}),
    "x=1,on=true": ({"x": 1.0}, {"on": "true"}),
    'x=1,note="a b,c=d"': ({"x": 1.0}, {"note": "a b,c=d"}),
    r'x=1,note="say \"hi\" \\ \n"': ({"x": 1.0}, {"note": r'say "hi" \ \n'}),
    'x="21.5"': ({"x": 21.5}, {}),
    r"my\ field=1": ({"my_field": 1.0}, {}),
    "Temperature=1": ({"temperature": 1.0}, {}),
}


@pytest.mark.parametrize("fields", TYPES)
def test_fields_are_numbers_texts_and_booleans(fields):
    found = reading(f"sensor,device=a {fields} {STAMP}")
    assert (dict(found.values), dict(found.tags)) == TYPES[fields]


def test_names_may_hold_escaped_commas_blanks_and_equals_signs():
    found = reading(rf"my\ pumps,device=pump\ 1\,west,is\=it=a\\b flow\=rate=1 {STAMP}")
    assert found.sensor_id == "pump 1,west"
    assert found.tags == {"is=it": r"a\\b"}
    assert found.values == {"my_pumps_flow_rate": 1.0}


PRECISIONS = {
    "ns": STAMP,
    "us": THEN,
    "ms": THEN // 1000,
    "s": THEN // 10**6,
    "m": THEN // (60 * 10**6),
    "h": THEN // (3600 * 10**6),
}


@pytest.mark.parametrize("precision", PRECISIONS)
def test_times_come_in_any_precision(precision):
    stamp = PRECISIONS[precision]
    assert reading(f"sensor,device=a x=1 {stamp}", precision=precision).time == THEN
    assert reading(f"sensor,device=a x=1,s=t {stamp}", precision=precision).time == THEN


def test_lines_without_a_time_arrive_one_after_the_other():
    assert [r.time for r in readings("sensor x=1\nsensor x=2")] == [NOW, NOW + 1]


def test_comments_blank_lines_and_carriage_returns_are_no_matter():
    found = decoded(
        f"# hello\r\n\r\nsensor x=1 {STAMP}\r\n  \n #no\n  sensor y=2  {STAMP + 1000} \n"
    )
    assert (found.count, found.errors) == (2, [])


def test_nothing_is_nothing():
    assert decoded("") == decoded("# only a comment\n")


def test_readings_stand_in_the_order_of_their_lines():
    note = ',note="a"'
    lines = [f"sensor,device=d{i % 3} x={i}{note * (i % 2)} {STAMP + i * 1000}" for i in range(40)]
    found = decoded("\n".join(lines))
    (batch,) = found.batches
    assert batch.values[:, 0].tolist() == list(range(40))
    assert found.places[0].tolist() == list(range(40))


# --- what cannot be used -----------------------------------------------------------------------

BROKEN = {
    "sensor": "has no fields",
    "sensor,device=a": "has no fields",
    "sensor,device x=1": "tags: ',device' are not written",
    ",device=a x=1": "measurement: ',device=a' is missing",
    "sensor x": "fields: 'x' are not written as name=value",
    "sensor x=": "fields: 'x=' are not written",
    "sensor =1": "fields: '=1' are not written",
    "sensor x=1,,y=2": "fields: ',y=2' are not written",
    "sensor x=abc": "x: 'abc' is no number",
    "sensor x=1.5i": "x: '1.5i' is no number",
    "sensor x=1ui": "x: '1ui' is no number",
    "sensor x=null": "x: 'null' is no number",
    "sensor x=0x15": "x: '0x15' is no number",
    'sensor x="open': "fields: 'x=\"open' are not written",
    "sensor x=1 soon": "timestamp: 'soon' is not a whole number",
    "sensor x=1 1.5": "timestamp: '1.5' is not a whole number",
    "sensor x=1 5": "lies before 1990",
    "sensor x=1 9223372036854775807": "lies more than a year ahead",
    "sensor on=true": "holds no channel",
    'sensor temperature="warm"': "temperature: 'warm' is not a number",
    "sensor,device=" + "d" * 300 + " x=1": "is longer than 256 characters",
    "sensor,note=" + "d" * MAX_HEAD + " x=1": "and tags are longer than",
}


@pytest.mark.parametrize("line", BROKEN)
def test_what_is_wrong_is_said_and_the_other_lines_are_kept(line):
    assert BROKEN[line] in reason(line)
    found = decoded(f"sensor x=1 {STAMP}\n{line}\nsensor x=2 {STAMP + 1000}")
    assert sum(map(len, found.batches)) == 2
    (error,) = found.errors
    assert (error.index, error.raw) == (1, line.encode())


def test_a_line_that_is_not_utf_8_is_refused():
    found = decoded(b"sensor x=1\nsensor,a=\xff x=1\nsensor x=3")
    assert sum(map(len, found.batches)) == 2
    assert found.errors[0].reason == "is not UTF-8 text"


def test_a_line_over_the_limit_is_refused():
    assert "is longer than 100 bytes" in reason("sensor x=1" + "," * 100, longest=100)
    plain = f"sensor,device={'d' * 2000} x=1 {STAMP}"
    assert "is longer than 2,000 bytes" in reason(plain, longest=2000)
    wide = f"sensor,device={'µ' * 1100} x=1 {STAMP}"
    assert len(wide) < 2000 < len(wide.encode())
    assert "is longer than 2,000 bytes" in reason(wide, longest=2000)


# --- laws --------------------------------------------------------------------------------------

WORD = st.text(st.sampled_from("abiuxyzAZ09_./-µ"), min_size=1, max_size=6)
NUMBER = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.integers(-(2**63), 2**63 - 1).map(lambda n: f"{n}i"),
    st.sampled_from(["t", "false", '"text"', "1.5i", "1ui", "x", "nan", "+1", ""]),
)
LINE = st.builds(
    lambda m, tags, fields, time: (
        ",".join([m, *(f"{k}={v}" for k, v in tags.items())])
        + " "
        + ",".join(f"{k}={v}" for k, v in fields)
        + time
    ),
    WORD,
    st.dictionaries(st.one_of(WORD, st.sampled_from(["device", "host"])), WORD, max_size=3),
    st.lists(st.tuples(st.one_of(WORD, st.just("value")), NUMBER), min_size=1, max_size=3),
    st.one_of(
        st.integers(STAMP, STAMP + 10**9).map(lambda t: f" {t}"), st.sampled_from(["", " 1"])
    ),
)


def plain(found):
    readings = [
        (place, r.sensor_id, r.time, dict(r.values), dict(r.tags))
        for batch, places in zip(found.batches, found.places, strict=True)
        for place, r in zip(places.tolist(), rows(batch), strict=True)
    ]
    return sorted(readings, key=lambda one: one[0]), found.errors, found.count


@given(st.lists(LINE, max_size=12))
@example(["m x=1ui 1769860800000000000"])
@example([f"m x=1 {STAMP}\n", f"m x=1 {STAMP}"])
@example([f"m x=1  {STAMP}", f"m,x=1 {STAMP}"])
@example([f"# x=1 {STAMP}", f"m x=1 {STAMP}", f" x=1 {STAMP}"])
def test_all_ways_of_reading_agree(lines):
    body = "\n".join(lines).encode()
    fast = plain(decoded(body))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(line_protocol, "_is_even", lambda body, lines: False)
        assert fast == plain(decoded(body))
        patch.setattr(line_protocol, "_plain_lines", lambda lines, used, look: ([], []))
        assert fast == plain(decoded(body))


@given(
    st.one_of(st.binary(max_size=200), st.text('aiu01=," \\\n\t#.-', max_size=80).map(str.encode))
)
@example(b'm,\\ =\\, \\==" \\""')
@example(b"m x=1e999 1")
def test_no_bytes_break_it(body):
    found = decoded(body)
    assert found.count == sum(map(len, found.batches)) + len(found.errors)


NAME = st.text(
    st.characters(
        codec="utf-8",
        exclude_characters="\n\r\t\\#",
        exclude_categories=["Cc", "Zs", "Zl", "Zp"],
    ),
    min_size=1,
    max_size=8,
)


def escaped(text):
    return "".join(f"\\{c}" if c in ",= " else c for c in text)


@given(st.dictionaries(NAME, NAME, max_size=3), NAME, st.floats(allow_nan=False))
def test_what_is_written_by_the_rules_is_read_back(tags, sensor, value):
    tags.pop("sensor_id", None)
    named = {"sensor_id": f"a{sensor}", **tags}
    head = ",".join(["sensor", *(f"{escaped(k)}={escaped(v)}" for k, v in named.items())])
    found = reading(f"{head} x={value!r} {STAMP}")
    assert (found.sensor_id, dict(found.tags)) == (f"a{sensor}", tags)
    kept = found.values.get("x", np.nan)
    assert kept == value
