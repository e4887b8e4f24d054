"""The slow scale of sensors that report fast: buckets on a grid, causal, beside the fast scale."""

import numpy as np
import pytest

from redshank.core.clock import HOUR, MINUTE, SECOND
from redshank.detect.alarm import Alarm
from redshank.detect.coarse import Coarse
from redshank.detect.engine import Engine, EngineSettings
from redshank.detect.streaming import Cause, StreamingSettings

START = 1_700_000_100 * SECOND
"""On the grid of five minutes."""


def coarse(**min_effect):
    scale = Coarse(StreamingSettings(), min_effect)
    scale.add(0)
    return scale


def buckets(scale, time, values, every, layout=("a",)):
    slots = np.zeros(len(time), np.int32)
    interval = np.full(len(time), every, np.float32)
    places = scale._places_of(slots, layout, interval)
    return scale._fill(places, time, np.ascontiguousarray(values, np.float64), interval)


def seconds(rows, every=1):
    return START + np.arange(rows) * every * SECOND


def test_a_bucket_is_told_by_the_first_row_after_it():
    values = np.arange(1000.0)[:, None] // 300
    told = buckets(coarse(), seconds(1000), values, 1.0)
    assert told.time.tolist() == [START, START + 5 * MINUTE, START + 10 * MINUTE]
    assert np.flatnonzero(told.in_force >= 0).tolist() == [300, 600, 900]
    np.testing.assert_array_equal(told.values[1:], [[1, 0], [2, 0]])


def test_a_bucket_is_each_channels_mean_and_movement():
    values = np.tile([0.0, 2.0], 500)[:, None]
    told = buckets(coarse(), seconds(1000), values, 1.0)
    np.testing.assert_array_equal(told.values[1], [1.0, 2.0])


def test_a_minute_sensor_has_buckets_of_ten_minutes():
    told = buckets(coarse(), seconds(200, 60), np.ones((200, 1)), 60.0)
    assert set(np.diff(told.time).tolist()) == {10 * MINUTE}


def test_buckets_with_too_few_values_are_left_out():
    kept = np.r_[0:610, 890:1500]
    told = buckets(coarse(), seconds(1500)[kept], np.ones((len(kept), 1)), 1.0)
    begins = ((told.time - START) // (5 * MINUTE)).tolist()
    assert begins == [0, 1, 3]


def test_missing_values_are_left_out_of_the_mean():
    values = np.tile([np.nan, 3.0, np.inf, 3.0], 250)[:, None]
    told = buckets(coarse(), seconds(1000), values, 1.0)
    np.testing.assert_array_equal(told.values[1], [3.0, 0.0])


def test_slow_sensors_have_no_slow_scale():
    scale = coarse()
    slots, interval = np.zeros(9, np.int32), np.full(9, 300, np.float32)
    assert scale._places_of(slots, ("a",), interval) is None
    assert scale.snapshot(0) == b""


def fast_sensor(rows=120_000, every=1, seed=0, c=1):
    """Rows of a sensor that reports every second: time (n,) and values (n, c)."""
    values = np.random.default_rng(seed).normal(size=(rows, c))
    return seconds(rows, every), values


def judge(engine, slot, time, values, names=("a",), batch=20_000):
    """Rate, alarm and cause of the rows."""
    parts = []
    for i in range(0, len(time), batch):
        rows = slice(i, i + batch)
        parts += engine.run(
            np.full(len(time[rows]), slot, np.int32), time[rows], names, values[rows]
        )
    columns = ("rate", "score", "alarm", "cause", "contributions")
    return {name: np.concatenate([getattr(part, name) for part in parts]) for name in columns}


def first_rare(judged, row):
    """The first row from there on whose evidence is within the default budget."""
    return row + int(np.flatnonzero(judged["rate"][row:] < 3)[0])


def test_a_shift_that_no_few_rows_can_show_is_found_within_an_hour():
    time, values = fast_sensor()
    values[100_000:] += 1.0
    engine = Engine()
    judged = judge(engine, engine.add(), time, values)
    assert judged["rate"][99_000:100_000].min() > 10
    assert first_rare(judged, 100_000) < 103_600


def test_noise_and_standing_still_have_their_names():
    time, values = fast_sensor()
    noisy, still = values.copy(), values.copy()
    noisy[100_000:] *= 1.4
    still[100_000:] *= 0.05
    for changed, cause in ((noisy, Cause.NOISE), (still, Cause.STUCK)):
        engine = Engine()
        judged = judge(engine, engine.add(), time, changed)
        assert judged["cause"][first_rare(judged, 100_000)] == cause


def test_the_channel_that_is_off_is_named():
    time, values = fast_sensor(c=3)
    values[100_000:, 1] += 1.0
    engine = Engine()
    judged = judge(engine, engine.add(), time, values, ("a", "b", "c"))
    assert judged["contributions"][first_rare(judged, 100_000)].argmax() == 1


def test_the_minimum_effect_counts_on_the_slow_scale_as_well():
    time, values = fast_sensor()
    values[100_000:] += 1.0
    engine = Engine(EngineSettings(min_effect={"a": 50.0}))
    judged = judge(engine, engine.add(), time, values)
    assert not (judged["alarm"][100_000:] & Alarm.OPENED).any()


@pytest.mark.parametrize("batch", [1, 777])
def test_batches_do_not_matter_for_the_slow_scale(batch):
    time, values = fast_sensor(*((2_700, 40) if batch == 1 else (90_000, 1)))
    one, other = Engine(), Engine()
    first, second = one.add(), other.add()
    together = judge(one, first, time, values)
    apart = judge(other, second, time, values, batch=batch)
    for name, column in together.items():
        np.testing.assert_array_equal(column, apart[name], err_msg=name)
    assert one.snapshot(first) == other.snapshot(second)


def test_sensors_with_and_without_it_do_not_touch_each_other():
    engine, alone = Engine(), Engine()
    fast, slow = engine.add(), engine.add()
    time, values = fast_sensor(rows=6_000, every=20)
    at = np.tile(np.array([fast, slow], np.int32), 6_000)
    both = np.repeat(time, 2)
    both[1::2] = START + np.arange(6_000) * 5 * MINUTE
    (judged,) = engine.run(at, both, ("a",), np.repeat(values, 2, axis=0))
    (own,) = alone.run(np.full(6_000, alone.add(), np.int32), time, ("a",), values)
    np.testing.assert_array_equal(judged.rate[judged.slots == fast], own.rate)


def test_a_fast_sensors_snapshot_resumes_bit_for_bit():
    time, values = fast_sensor(rows=100_000)
    one, other = Engine(), Engine()
    a, b = one.add(), other.add()
    judge(one, a, time[:90_500], values[:90_500])
    other.restore(b, one.snapshot(a))
    rest = slice(90_500, None)
    left, right = judge(one, a, time[rest], values[rest]), judge(other, b, time[rest], values[rest])
    for name, column in left.items():
        np.testing.assert_array_equal(column, right[name], err_msg=name)
    assert one.snapshot(a) == other.snapshot(b)


def test_a_history_teaches_both_scales():
    time, values = fast_sensor(rows=160_000)
    values[150_600:] += 1.0
    engine = Engine()
    slot = engine.add()
    engine.prime(slot, ("a",), time[:150_000], values[:150_000])
    judged = judge(engine, slot, time[150_000:], values[150_000:])
    assert judged["rate"][600 + HOUR // SECOND :].min() < 3


def test_a_channel_that_comes_late_joins():
    time, values = fast_sensor(rows=110_000, c=2)
    engine = Engine()
    slot = engine.add()
    judge(engine, slot, time[:90_000], values[:90_000, :1])
    judged = judge(engine, slot, time[90_000:], values[90_000:], ("a", "b"))
    assert np.isfinite(judged["rate"]).all()
    assert judged["contributions"].shape == (20_000, 2)


def test_memory_is_given_back():
    engine = Engine()
    time, values = fast_sensor(rows=3_000, every=30)
    sizes = []
    for _ in range(2):
        slot = engine.add()
        judge(engine, slot, time, values)
        sizes.append(engine.state_bytes())
        engine.remove(slot)
    assert sizes[0] == sizes[1]


def test_many_channels_are_scored_in_groups():
    time, values = fast_sensor(rows=100_000, every=5, c=20)
    values[90_000:, 18] += 1.0
    engine = Engine()
    judged = judge(engine, engine.add(), time, values, tuple("abcdefghijklmnopqrst"))
    assert judged["contributions"][first_rare(judged, 90_000)].argmax() == 18
