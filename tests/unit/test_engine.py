"""The engine: one path, whatever the batches; new channels; snapshots."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redshank.core.clock import MINUTE, SECOND
from redshank.detect.alarm import Alarm
from redshank.detect.engine import Engine, EngineSettings

START = 1_700_000_000 * SECOND
NAMES = ("a", "b")
COLUMNS = ("score", "rate", "per_month", "alarm", "cause", "expected", "lower", "upper", "values")


def fleet(sensors=3, rows=400, seed=0, c=2):
    """Interleaved rows of some sensors: number of the sensor, time, values."""
    rng = np.random.default_rng(seed)
    time = np.repeat(START + np.arange(rows) * MINUTE, sensors)
    values = rng.normal(size=(rows * sensors, c)).cumsum(axis=0) * 0.05
    values += rng.normal(size=values.shape)
    return np.tile(np.arange(sensors, dtype=np.int32), rows), time, values


def run(engine, slots, time, values, cuts=(), names=NAMES):
    """Judged columns of the rows, in pieces cut at these row numbers."""
    edges = [0, *sorted(cuts), len(time)]
    pieces = []
    for a, b in pairwise(edges):
        if b > a:
            pieces += engine.run(slots[a:b], time[a:b], names, values[a:b])
    return {name: np.concatenate([getattr(p, name) for p in pieces]) for name in COLUMNS}


def make(sensors=3, **kwargs):
    engine = Engine(EngineSettings(**kwargs))
    return engine, np.array([engine.add() for _ in range(sensors)], np.int32)


def same(a, b):
    for name in COLUMNS:
        np.testing.assert_array_equal(a[name], b[name], err_msg=name)


@settings(max_examples=8, deadline=None)
@given(st.lists(st.integers(1, 1199), max_size=8))
def test_batches_do_not_matter(cuts):
    which, time, values = fleet()
    (one, slots), (other, _) = make(), make()
    same(run(one, slots[which], time, values), run(other, slots[which], time, values, cuts))


def test_one_batch_of_many_equals_many_of_one():
    which, time, values = fleet(sensors=2, rows=300)
    (one, slots), (other, _) = make(2), make(2)
    every = range(1, len(time))
    same(run(one, slots[which], time, values), run(other, slots[which], time, values, every))


def test_sensors_do_not_touch_each_other():
    which, time, values = fleet()
    engine, slots = make()
    together = run(engine, slots[which], time, values)
    alone, (slot,) = make(1)
    mine = which == 1
    own = run(alone, np.full(mine.sum(), slot, np.int32), time[mine], values[mine])
    same({name: column[mine] for name, column in together.items()}, own)


def test_a_snapshot_resumes_bit_for_bit():
    which, time, values = fleet(sensors=1, rows=700)
    engine, slots = make(1)
    run(engine, slots[which[:500]], time[:500], values[:500])
    other, (slot,) = make(1)
    other.restore(int(slot), engine.snapshot(int(slots[0])))
    rest = slice(500, None)
    same(
        run(engine, slots[which[rest]], time[rest], values[rest]),
        run(other, slots[which[rest]], time[rest], values[rest]),
    )


def test_damaged_snapshots_are_refused():
    engine, (slot,) = make(1)
    engine.run(np.array([slot]), np.array([START]), NAMES, np.ones((1, 2)))
    with pytest.raises(ValueError, match="bytes"):
        engine.restore(int(slot), engine.snapshot(int(slot))[:-3])


def test_channels_that_appear_later_join_without_disturbing_the_rest():
    _, time, values = fleet(sensors=1, rows=900)
    engine, (slot,) = make(1)
    at = np.full(900, slot, np.int32)
    run(engine, at[:600], time[:600], values[:600])
    wide = np.c_[values[600:], np.arange(300.0)]
    (judged,) = engine.run(at[600:], time[600:], (*NAMES, "c"), wide)
    assert engine.channels(int(slot)) == ("a", "b", "c")
    assert np.isfinite(judged.rate).all()
    assert judged.values.shape == (300, 3)


def test_channels_that_appear_before_the_first_fit_are_scored_jointly():
    _, time, values = fleet(sensors=1, rows=600)
    engine, (slot,) = make(1)
    at = np.full(600, slot, np.int32)
    engine.run(at[:100], time[:100], ("a",), values[:100, :1])
    late = run(engine, at[100:], time[100:], values[100:])
    whole, (other,) = make(1)
    start = values.copy()
    start[:100, 1] = np.nan
    early = run(whole, np.full(600, other, np.int32), time, start)
    np.testing.assert_array_equal(late["rate"], early["rate"][100:])


def test_a_gross_outlier_opens_an_incident_in_its_row():
    which, time, values = fleet(sensors=1, rows=800)
    values[700] += 500.0
    engine, slots = make(1)
    judged = run(engine, slots[which], time, values)
    assert judged["alarm"][700] & Alarm.OPENED
    assert judged["rate"][700] < 3


def test_a_jump_that_stays_near_the_range_opens_an_incident_in_its_row():
    rows = 5000
    swing = 20 * np.sin(2 * np.pi * np.arange(rows) / 1440)
    values = np.repeat(swing[:, None], 7, axis=1)
    values += 0.1 * np.random.default_rng(3).normal(size=values.shape)
    values[4700, 2] += 45.0
    engine, slots = make(1)
    time = START + np.arange(rows) * MINUTE
    names = tuple("abcdefg")
    judged = run(engine, np.full(rows, slots[0]), time, values, names=names)
    assert judged["alarm"][4700] & Alarm.OPENED


def test_the_minimum_effect_keeps_small_deviations_quiet():
    which, time, values = fleet(sensors=1, rows=800)
    values[700] += 50.0
    engine, slots = make(1, min_effect={"a": 100.0, "b": 100.0})
    judged = run(engine, slots[which], time, values)
    assert not judged["alarm"][700] & Alarm.OPEN


def test_a_copy_is_judged_and_nothing_changes():
    _, time, values = fleet(sensors=1, rows=600)
    engine, (slot,) = make(1)
    run(engine, np.full(600, slot, np.int32), time, values)
    before = engine.snapshot(int(slot))
    judged = engine.run_on_copy(int(slot), 3.0, time[:1], NAMES, np.full((1, 2), 900.0))
    assert judged.alarm[0] & Alarm.OPENED
    assert engine.snapshot(int(slot)) == before


def test_odd_input_stays_finite():
    engine, (slot,) = make(1)
    odd = np.array([[np.inf, 1], [np.nan, np.nan], [1e300, -1e300], [0, 0]] * 150)
    at = np.full(len(odd), slot, np.int32)
    time = START + np.arange(len(odd)) * SECOND
    judged = run(engine, at, time, odd)
    assert np.isfinite(judged["score"]).all()
    assert not np.isnan(judged["rate"]).any()


def test_removed_sensors_give_their_place_back():
    engine, slots = make(50)
    which, time, values = fleet(sensors=50, rows=20)
    run(engine, slots[which], time, values)
    size = engine.state_bytes()
    for slot in slots.tolist():
        engine.remove(slot)
    again = np.array([engine.add() for _ in range(50)], np.int32)
    run(engine, again[which], time, values)
    assert engine.state_bytes() == size
