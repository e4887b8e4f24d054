"""The streaming pool: life of a sensor, laws of batching, memory, state as bytes."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redshank.checks.detectors import assert_same, stream
from redshank.detect.streaming import (
    Cause,
    StreamingPool,
    StreamingSettings,
    kernels,
    learning,
    packing,
)
from redshank.detect.streaming.arena import Arena

ONE = np.zeros(1, np.int32)


def pool_of(channels, sensors=1):
    pool = StreamingPool(channels)
    return pool, pool.add(sensors)


def score(pool, time, values, slot=0):
    return pool.score(np.full(len(time), slot, np.int32), time, values)


def blocks(pool, slot=0):
    return {name for name in packing.BLOCKS if pool._table[name][slot]}


# --- life of a sensor ----------------------------------------------------------------------------


def test_nothing_is_said_before_row_256():
    pool, slots = pool_of(2)
    time, values = stream(300, 2)
    told = score(pool, time, values)
    assert pool.fitted(slots).all()
    assert np.isinf(told.rate[:256]).all() and np.isfinite(told.rate[256:]).all()
    assert np.isnan(told.forecast[:256]).all() and (told.contributions[:256] == 0).all()
    assert (told.cause[:256] == Cause.NONE).all()


def test_blocks_come_and_go_with_learning():
    pool, _ = pool_of(3)
    time, values = stream(4000, 3, seed=5)
    seen = {}
    for t in range(0, 4000, 10):
        score(pool, time[t : t + 10], values[t : t + 10])
        seen[t + 10] = blocks(pool)
    assert seen[250] == {"buffer"}
    assert seen[260] == {"model", "core", "ring"}
    assert seen[2040] == {"model", "core", "ring"}
    assert seen[3200] == {"model", "core"}


def test_history_is_what_came_in_until_the_first_fit():
    pool, _ = pool_of(2)
    time, values = stream(257, 2)
    values[3, 1] = np.nan
    assert [len(part) for part in pool.history(0)] == [0, 0]
    score(pool, time[:100], values[:100])
    kept_time, kept = pool.history(0)
    np.testing.assert_array_equal(kept_time, time[:100])
    np.testing.assert_array_equal(kept, values[:100])
    score(pool, time[100:256], values[100:256])
    assert len(pool.history(0)[0]) == 256
    score(pool, time[256:], values[256:])
    with pytest.raises(ValueError, match="slot 0 is fitted"):
        pool.history(0)


def noise_with_a_burst(rows, burst=400):
    time, values = np.arange(rows), np.random.default_rng(1).normal(size=(rows, 2))
    values[burst : burst + 20] *= 4
    return time, values


@pytest.mark.parametrize(
    ("burst", "strict", "lax"),
    [
        (400, StreamingSettings(), StreamingSettings(outstanding_later=np.inf)),
        (
            200,
            StreamingSettings(outstanding_later=np.inf),
            StreamingSettings(outstanding=np.inf, outstanding_later=np.inf),
        ),
    ],
    ids=["a model has seen it", "before the first fit"],
)
def test_what_stands_out_is_left_out_of_later_fits(burst, strict, lax):
    time, values = noise_with_a_burst(600, burst)
    usual = []
    for how in (strict, lax):
        pool = StreamingPool(2, how)
        pool.add()
        score(pool, time, values)
        usual.append(kernels.layout(2).field(pool._block(0, "model"), "v_scale"))
    assert (1.2 * usual[0] < usual[1]).all()


def test_a_fit_takes_its_passes_at_rows_of_their_own():
    """So that a batch of one row waits for two models of 256 rows at most, or a later one."""
    pool, _ = pool_of(2)
    time, values = noise_with_a_burst(800)
    fits, lived = [], []
    for t in range(800):
        score(pool, time[t : t + 1], values[t : t + 1])
        fits.append(int(pool._table["fits"][0]))
        lived.append("core" in blocks(pool))
    at = np.flatnonzero(np.diff(fits)) + 1
    assert lived.index(True) == 255
    assert fits[-1] == 3 and at[0] == 256 and at[2] == at[1] + 1


def test_a_primed_sensor_never_fits_again():
    pool, _ = pool_of(2)
    time, values = stream(4000, 2)
    pool.prime(0, time[:500], values[:500])
    mean = kernels.layout(2).field(pool._block(0, "model"), "mean").copy()
    score(pool, time[500:], values[500:])
    assert blocks(pool) == {"model", "core"}
    assert (kernels.layout(2).field(pool._block(0, "model"), "mean") == mean).all()
    with pytest.raises(ValueError, match="has rows already"):
        pool.prime(0, time[:500], values[:500])


def test_removed_slots_are_reused_and_start_anew():
    pool, slots = pool_of(2, sensors=3)
    time, values = stream(400, 2)
    first = score(pool, time, values, slot=1)
    pool.remove(slots[1:2])
    assert pool.add().tolist() == [1]
    assert_same(first, score(pool, time, values, slot=1), "a new sensor in an old slot")


@pytest.mark.parametrize("slot", [-1, 7])
def test_unknown_slots_are_named(slot):
    pool, _ = pool_of(2)
    with pytest.raises(ValueError, match=str(slot)):
        score(pool, *stream(3, 2), slot=slot)


def test_shapes_are_checked():
    pool, _ = pool_of(2)
    time, values = stream(3, 3)
    with pytest.raises(ValueError, match="2 channels are wanted"):
        score(pool, time, values)
    with pytest.raises(ValueError, match="at least 1"):
        StreamingPool(0)


# --- laws ----------------------------------------------------------------------------------------

SENSORS, ROWS = 3, 620


@pytest.fixture(scope="module")
def fleet():
    """Rows of three sensors and what each of them gets when it is alone, in one batch."""
    streams = [stream(ROWS, 2, seed) for seed in range(SENSORS)]
    for _, values in streams:
        values[np.random.default_rng(7).random(values.shape) < 0.05] = np.nan
    alone = []
    for time, values in streams:
        pool, _ = pool_of(2)
        alone.append((score(pool, time, values), pool.snapshot(ONE)[0]))
    return streams, alone


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.lists(st.integers(1, 900), max_size=12))
def test_any_cut_and_any_mixture_is_the_same(fleet, seed, sizes):
    streams, alone = fleet
    turn = np.random.default_rng(seed).permutation(np.repeat(np.arange(SENSORS), ROWS))
    own = np.argsort(np.argsort(turn, kind="stable")) % ROWS
    time = np.array([streams[k][0][t] for k, t in zip(turn, own, strict=True)])
    values = np.array([streams[k][1][t] for k, t in zip(turn, own, strict=True)])
    pool, slots = pool_of(2, SENSORS)
    cuts = [*np.cumsum([0, *sizes]).clip(0, len(turn)).tolist(), len(turn)]
    told = [pool.score(slots[turn[a:b]], time[a:b], values[a:b]) for a, b in pairwise(cuts)]
    for k, (expected, state) in enumerate(alone):
        mine = turn == k
        for name in ("score", "rate", "contributions", "forecast", "cause"):
            column = np.concatenate([getattr(part, name) for part in told])[mine]
            assert column.tobytes() == getattr(expected, name).tobytes(), name
        assert pool.snapshot(slots[k : k + 1]) == [state]


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 6),
    st.integers(0, 2**32 - 1),
    st.sampled_from([0.0, 0.3, 0.95]),
    st.sampled_from([1e-12, 1.0, 1e9, 1e300]),
)
def test_output_is_sound_for_any_input(channels, seed, missing, size):
    rng = np.random.default_rng(seed)
    values = np.round(rng.standard_cauchy((400, channels)), rng.integers(0, 3)) * size
    values[rng.random(values.shape) < missing] = np.nan
    values[:, rng.random(channels) < 0.2] = 3.0
    pool, _ = pool_of(channels)
    told = score(pool, np.zeros(400, np.int64), values)
    assert np.isfinite(told.score).all() and (told.score >= 0).all()
    assert (told.rate > 0).all() and np.isfinite(told.forecast[256:]).all()
    np.testing.assert_allclose(told.contributions[256:].sum(axis=1), 1, atol=1e-5)


# --- what it sees --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "causes"),
    [
        (lambda v: v + np.where(np.arange(len(v)) == 5, 30, 0), {Cause.FORECAST, Cause.SHAPE}),
        (lambda v: np.full_like(v, v[0]), {Cause.STUCK, Cause.FREEZE}),
        (lambda v: 20 + 6 * (v - 20), {Cause.NOISE, Cause.BURST, Cause.ACTIVE}),
    ],
    ids=["spike", "stuck", "noise"],
)
def test_causes(change, causes):
    pool, _ = pool_of(4)
    time, values = stream(1700, 4, seed=2)
    values = values[:1500]
    values[1400:1450, 2] = change(values[1400:1450, 2])
    told = score(pool, time[:1500], values)
    worst = 1400 + told.score[1400:1450].argmax()
    assert Cause(told.cause[worst]) in causes
    assert told.contributions[worst].argmax() == 2
    assert told.rate[1400:1450].min() < 2


# --- memory and state ----------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 8, 38, 64])
def test_state_stays_within_four_kilobytes_a_channel(channels):
    shape = kernels.layout(channels)
    pool, slots = pool_of(channels)
    time, values = stream(300, channels)
    pool.prime(0, time, values)
    assert pool.slot_bytes(slots)[0] <= 4096 * channels
    assert shape.ring_bytes <= 4096 * channels + 8192


def test_empty_chunks_are_given_back():
    arena = Arena(100_000)
    held = [arena.allocate() for _ in range(7)]
    arena.view(held[3])[:] = 7
    for address in held[:3] + held[4:]:
        arena.free(address)
    assert arena.nbytes() < 4 * 100_000
    assert (arena.view(held[3]) == 7).all()
    arena.free(held[3])
    assert arena.nbytes() == 0


def test_blocks_do_not_overlap():
    arena = Arena(1000)
    held = arena.allocate_many(600)
    for address in held[::2]:
        arena.free(address)
    held = sorted(held[1::2] + arena.allocate_many(400))
    assert min(np.diff(held)) >= 1000


def test_new_sensors_are_small():
    pool, slots = pool_of(4, sensors=100)
    pool.score(slots, np.zeros(100, np.int64), np.zeros((100, 4)))
    assert pool.slot_bytes(slots).max() < 1024
    assert pool.slot_bytes(slots).sum() <= pool.state_bytes()


def test_snapshots_are_compact_and_versioned():
    pool, slots = pool_of(2)
    time, values = stream(40, 2)
    score(pool, time, values)
    state = pool.snapshot(slots)[0]
    assert len(state) < 40 * 3 * 8 + 100
    other = state[:4] + (kernels.abi_version() + 1).to_bytes(2, "little") + state[6:]
    with pytest.raises(ValueError, match="snapshot of version"):
        pool.restore(slots, [other])


def test_half_precision_is_what_numpy_says():
    """Rows are kept for later fits in 16 bits; what C writes, NumPy reads."""
    pool, _ = pool_of(1)
    time, values = stream(600, 1)
    values[300:310, 0] = [np.nan, np.inf, 1e300, -1e300, 20.0, 20.001, 1e5, -1e5, 0, 20 + 1e-7]
    score(pool, time[:320], values[:320])
    kept = learning._Kept(kernels.layout(1), pool._block(0, "ring"))
    normal = ((values[300:320] - kept.mean) * kept.scale).clip(-65504, 65504).astype(np.float32)
    expected = np.where(np.isfinite(values[300:320]), normal, np.nan).astype(np.float16)
    np.testing.assert_array_equal(kept.values[300:320], expected)
