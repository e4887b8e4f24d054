"""Quality flags: what each of them is for, and what they leave alone."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redshank.core.batch import Batch
from redshank.core.channels import other_units
from redshank.core.clock import HOUR, MINUTE, SECOND
from redshank.core.records import Flag, SensorInfo
from redshank.detect.channelstate import Change, Changes, conversion_table
from redshank.detect.native import call
from redshank.pipeline.budget import Budget
from redshank.pipeline.pipeline import Pipeline

START = 1_700_006_400 * SECOND
NOISE = np.random.default_rng(5).normal(size=600).round(2)


def changes(values, units=(), kernel=None, minutes=None):
    """Bits of one channel's values, one a minute."""
    return judged_changes(values, units, kernel, minutes)[0]


def judged_changes(values, units=(), kernel=None, minutes=None):
    """Bits, and return rates of jumps, of one channel's values, one a minute."""
    values = np.asarray(values, np.float64).reshape(-1, 1)
    n = len(values)
    time = START + np.asarray(np.arange(n) if minutes is None else minutes, np.int64) * MINUTE
    interval = np.full(n, 60, np.float32)
    table = conversion_table([units])
    kernel = kernel or Changes()
    bits, rate = kernel.run(np.zeros(n, np.int64), time, values, interval, table)
    return bits[:, 0], rate[:, 0]


def rows_with(bits, bit):
    return np.flatnonzero(bits & bit).tolist()


def test_the_state_of_a_channel_is_small():
    assert call("rs_change_state_size") <= 56


def test_ordinary_steps_say_nothing():
    assert not changes(NOISE).any()


def test_a_step_far_beyond_all_others_is_a_jump():
    bits = changes(np.r_[NOISE[:500], NOISE[500:] + 40])
    assert rows_with(bits, Change.JUMP) == [500]
    assert not bits[501:].any()


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_away_and_back_is_a_spike(rows):
    values = NOISE.copy()
    values[500 : 500 + rows] += 40
    bits = changes(values)
    assert rows_with(bits, Change.JUMP) == [500]
    assert rows_with(bits, Change.SPIKE) == [500 + rows]


def test_the_larger_and_the_more_lonely_a_jump_the_rarer():
    near, far = NOISE.copy(), NOISE.copy()
    near[500] += 20
    far[[500, 560]] += 200
    assert np.isinf(judged_changes(NOISE)[1]).all()
    small, great = (judged_changes(values)[1] for values in (near, far))
    assert great[500] < small[500] < 3 * 8640 / 500
    assert great[560] > 8640 / 600


def test_four_rows_are_no_spike():
    values = NOISE.copy()
    values[500:504] += 40
    assert not rows_with(changes(values), Change.SPIKE)


def test_jumps_that_come_often_are_no_jumps():
    values = np.resize(NOISE, 6000)
    values[1000::50] += 40
    bits = changes(values)
    assert rows_with(bits, Change.JUMP)
    assert not bits[4000:].any()


def test_a_step_over_a_silence_says_nothing():
    minutes = np.r_[np.arange(500), 560 + np.arange(100)]
    assert not changes(np.r_[NOISE[:500], NOISE[500:] + 40], minutes=minutes).any()


@pytest.mark.parametrize(
    ("channel", "level", "wrong"),
    [
        ("temperature", 20.0, lambda v: v * 1.8 + 32),
        ("temperature", 20.0, lambda v: v + 273.15),
        ("pressure", 1013.0, lambda v: v * 100),
        ("pressure", 1013.0, lambda v: v / 10),
        ("humidity", 60.0, lambda v: v / 100),
        ("wind_speed", 30.0, lambda v: v * 3.6),
    ],
)
def test_another_unit_is_told_while_it_lasts(channel, level, wrong):
    values = NOISE + level
    values[400:500] = wrong(values[400:500])
    bits = changes(values, other_units(channel))
    assert rows_with(bits, Change.UNIT) == list(range(400, 500))


def test_the_way_back_from_a_coarse_fault_is_no_unit():
    values = (NOISE / 10 + 48).round(1)
    values[300:400] = 0.5
    bits = changes(values, other_units("humidity"))
    assert not rows_with(bits[400:], Change.UNIT)


def test_a_jump_to_elsewhere_is_no_unit():
    bits = changes(np.r_[NOISE[:500] + 20, NOISE[500:] + 50], other_units("temperature"))
    assert rows_with(bits, Change.JUMP) == [500]
    assert not rows_with(bits, Change.UNIT)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 599), max_size=8))
def test_batches_do_not_matter_to_the_kernel(cuts):
    values = NOISE + 20
    values[200:203] += 60
    values[400:500] = values[400:500] * 1.8 + 32
    whole, kernel = changes(values, other_units("temperature")), Changes()
    edges = [0, *sorted(set(cuts)), 600]
    parts = [
        changes(values[a:b], other_units("temperature"), kernel, np.arange(a, b))
        for a, b in pairwise(edges)
    ]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def judged(values, channels=("temperature",), cuts=(), now=START + 10_000 * HOUR):
    """Verdicts on one sensor's rows, one a minute."""
    values = np.asarray(values, np.float64).reshape(-1, len(channels))
    time = START + np.arange(len(values)) * MINUTE
    pipeline = Pipeline(Budget(), SensorInfo)
    pipeline.adopt("box", None)
    verdicts = []
    for a, b in pairwise([0, *cuts, len(values)]):
        part = Batch(("box",), np.zeros(b - a, np.int32), time[a:b], channels, values[a:b])
        verdicts += pipeline.run([part], now).verdicts
    return {
        name: np.concatenate([getattr(rows, name) for rows in verdicts])
        for name in ("time", "values", "flags")
    }


def flagged(values, flag, channels=("temperature",)):
    return np.flatnonzero(judged(values, channels)["flags"][:, 0] & flag).tolist()


def test_sentinels_of_a_quantity():
    values = NOISE + 20
    values[[100, 300]] = -127.0, 999.0
    assert flagged(values, Flag.SENTINEL) == [100, 300]


def test_85_degrees_stand_for_nothing_only_after_a_jump():
    values = NOISE + 20
    values[300] = 85.0
    assert flagged(values, Flag.SENTINEL) == [300]
    assert not flagged(np.linspace(20, 90, 600).round(1), Flag.SENTINEL)


def test_pressure_in_pascal_is_known_from_the_first_row():
    assert flagged(NOISE[:5] * 10 + 101_300, Flag.UNIT, ("pressure",)) == [0, 1, 2, 3, 4]


def test_an_own_channel_may_have_any_value():
    values = np.arange(60_000, 72_000, 20.0)
    assert not judged(values, ("counter",))["flags"].any()


ODD = st.sampled_from([np.nan, np.inf, -np.inf, -127.0, 85.0, 1e300, 65535.0, 0.0])


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 199), ODD), max_size=40))
def test_a_flag_never_drops_a_reading(odd):
    values = NOISE[:200] + 20
    for row, value in odd:
        values[row] = value
    rows = judged(values)
    assert rows["time"].tolist() == (START + np.arange(200) * MINUTE).tolist()
    np.testing.assert_array_equal(rows["values"][:, 0], values)


@settings(max_examples=10, deadline=None)
@given(st.sets(st.integers(1, 599), max_size=6))
def test_flags_do_not_depend_on_batches(cuts):
    values = NOISE + 20
    values[[300, 310, 400]] = 85.0, np.nan, 70.0
    whole = judged(values)["flags"]
    np.testing.assert_array_equal(judged(values, cuts=sorted(cuts))["flags"], whole)
