"""Conformance suite of streaming detectors: what every one must do, whatever its method.

Each ``check_*`` takes ``make_pool``, a function from a number of channels to an empty pool with the
methods of :class:`StreamingDetector`, and raises AssertionError with the law that was broken. The
contract test runs all of them on everything in the entry point group ``redshank.detectors``; call
them in your own tests while you write a detector.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from redshank.core.batch import Bytes, Floats, Ints, Singles, Times

SECOND = 1_000_000


class Told(Protocol):
    """What a detector says about ``n`` rows of ``c`` channels."""

    @property
    def score(self) -> Singles:
        """(n,) higher = worse."""

    @property
    def rate(self) -> Singles:
        """(n,) normal incidents at least this extreme per 8,640 rows; inf = no evidence."""

    @property
    def contributions(self) -> Singles:
        """(n, c) shares of the channels; sum 1, or all 0 while learning."""

    @property
    def forecast(self) -> Singles:
        """(n, c) in the channels' own units; NaN while learning."""

    @property
    def cause(self) -> Bytes:
        """(n,) code of what adds most."""


class StreamingDetector(Protocol):
    """Sensors in slots, rows in order of arrival; one causal pass that scores and learns."""

    channels: int

    def add(self, count: int = 1) -> Ints:
        """New slots."""

    def remove(self, slots: Ints) -> None:
        """Forget sensors."""

    def score(self, slots: Ints, time: Times, values: Floats) -> Told:
        """Score rows and learn from them."""

    def prime(self, slot: int, time: Times, values: Floats) -> None:
        """Learn from a history."""

    def fitted(self, slots: Ints) -> NDArray[np.bool_]:
        """Whether a sensor is scored yet."""

    def snapshot(self, slots: Ints) -> list[bytes]:
        """States as bytes."""

    def restore(self, slots: Ints, states: Sequence[bytes]) -> None:
        """Resume from states."""

    def state_bytes(self) -> int:
        """Memory of all sensors."""


MakePool = Callable[[int], StreamingDetector]


def stream(rows: int, channels: int, seed: int = 0) -> tuple[Times, Floats]:
    """Times (n,) and correlated, autocorrelated values (n, c) with an event near the end."""
    rng = np.random.default_rng(seed)
    values = np.empty((rows, channels))
    state = np.zeros(channels)
    for t, noise in enumerate(rng.normal(size=(rows, channels))):
        state = 0.7 * state + noise + 0.3 * noise[0]
        values[t] = 20 + state
    values[-rows // 10 : -rows // 10 + 20, 0] += 15
    return 60 * SECOND * np.arange(rows, dtype=np.int64), values


def _one(pool: StreamingDetector, time: Times, values: Floats, slot: int = 0) -> Told:
    return pool.score(np.full(len(time), slot, np.int32), time, values)


def _columns(told: Told) -> Iterator[tuple[str, NDArray[np.generic]]]:
    for name in ("score", "rate", "contributions", "forecast", "cause"):
        yield name, getattr(told, name)


def assert_same(first: Told, second: Told, law: str, rows: slice = slice(None)) -> None:
    """Every column equal, bit for bit; ``rows`` selects from the first."""
    for name, column in _columns(first):
        other = getattr(second, name)
        assert column[rows].tobytes() == other.tobytes(), f"{law}: {name} differs"


def assert_sound(told: Told, rows: int, channels: int) -> None:
    """Shapes and ranges of what a detector says."""
    assert told.score.shape == told.rate.shape == told.cause.shape == (rows,)
    assert told.contributions.shape == told.forecast.shape == (rows, channels)
    assert np.isfinite(told.score).all(), "a score is not finite"
    assert (told.score >= 0).all(), "a score is negative"
    assert (told.rate >= 0).all(), "a rate is negative or NaN"
    learning = np.isinf(told.rate)
    assert (told.score[learning] == 0).all(), "a score without a rate"
    assert np.isfinite(told.forecast[~learning]).all(), "a forecast is missing after learning"
    assert (told.contributions >= 0).all(), "a contribution is negative"
    shares = told.contributions.sum(axis=1, dtype=np.float64)
    wanted = np.where(learning, 0, 1)
    assert np.allclose(shares, wanted, atol=1e-4), "contributions do not add up"


# --- the laws ------------------------------------------------------------------------------------


def check_output_is_sound(make_pool: MakePool) -> None:
    """Finite scores, rates and shares, whatever the number of channels."""
    for channels in (1, 2, 3, 4, 9, 65):
        pool = make_pool(channels)
        pool.add()
        assert_sound(_one(pool, *stream(600, channels)), 600, channels)


def check_an_event_is_seen(make_pool: MakePool) -> None:
    """Rows of an obvious event score higher, and rarer, than nearly all rows before it."""
    for channels in (1, 4):
        pool = make_pool(channels)
        pool.add()
        told = _one(pool, *stream(2000, channels))
        event, normal = slice(1800, 1820), slice(1000, 1800)
        assert told.score[event].max() > np.quantile(told.score[normal], 0.995)
        assert told.rate[event].min() < np.quantile(told.rate[normal], 0.005)


def check_the_channel_is_named(make_pool: MakePool) -> None:
    """The channel that an event happens on has the greatest share when it begins."""
    pool = make_pool(4)
    pool.add()
    told = _one(pool, *stream(2000, 4))
    assert told.contributions[1800:1803].mean(axis=0).argmax() == 0


def check_batch_equals_one_by_one(make_pool: MakePool) -> None:
    """Cutting a stream into batches changes nothing, bit for bit."""
    time, values = stream(700, 3)
    whole, cut = make_pool(3), make_pool(3)
    whole.add()
    cut.add()
    at_once = _one(whole, time, values)
    for t in range(len(time)):
        row = slice(t, t + 1)
        assert_same(at_once, _one(cut, time[row], values[row]), f"row {t} alone", row)
    assert whole.snapshot(np.zeros(1, np.int32)) == cut.snapshot(np.zeros(1, np.int32))


def check_sensors_do_not_meet(make_pool: MakePool) -> None:
    """A sensor among others gets the scores that it gets alone."""
    rng = np.random.default_rng(1)
    parts = [stream(500, 2, seed) for seed in range(4)]
    mixed = make_pool(2)
    slots = mixed.add(4)
    turn = rng.permutation(np.repeat(np.arange(4), 500))
    rows = np.argsort(np.argsort(turn, kind="stable"))
    times = np.concatenate([time for time, _ in parts])
    values = np.concatenate([column for _, column in parts])
    told = mixed.score(slots[turn].astype(np.int32), times[rows], values[rows])
    for k, (time, own) in enumerate(parts):
        alone = make_pool(2)
        alone.add()
        expected = _one(alone, time, own)
        for name, column in _columns(expected):
            same = column.tobytes() == getattr(told, name)[turn == k].tobytes()
            assert same, f"sensor {k} is influenced by others: {name} differs"


def check_snapshot_resumes_exactly(make_pool: MakePool) -> None:
    """A restored sensor goes on as if nothing had happened, at every stage of its life."""
    time, values = stream(1500, 2)
    whole = make_pool(2)
    whole.add()
    expected = _one(whole, time, values)
    for stop in (0, 1, 100, 255, 256, 257, 600, 1100, 1499):
        first, second = make_pool(2), make_pool(2)
        first.add()
        second.add(3)
        _one(first, time[:stop], values[:stop])
        second.restore(np.array([2], np.int32), first.snapshot(np.zeros(1, np.int32)))
        told = _one(second, time[stop:], values[stop:], slot=2)
        assert_same(expected, told, f"resumed after {stop} rows", slice(stop, None))


def check_damaged_snapshots_are_refused(make_pool: MakePool) -> None:
    """A state that is cut, foreign or of other channels is a ValueError, and changes nothing."""
    pool = make_pool(2)
    slots = pool.add()
    _one(pool, *stream(400, 2))
    state = pool.snapshot(slots)[0]
    other = make_pool(3)
    other.add()
    for target, packed in ((other, state), (pool, state[:-1]), (pool, b""), (pool, b"x" * 500)):
        try:
            target.restore(slots, [packed])
        except ValueError:
            continue
        raise AssertionError("a damaged or foreign snapshot was taken")
    assert pool.snapshot(slots) == [state], "a refused snapshot changed the sensor"


def check_time_can_shift(make_pool: MakePool) -> None:
    """Scores do not depend on what date it is."""
    time, values = stream(500, 2)
    now, later = make_pool(2), make_pool(2)
    now.add()
    later.add()
    shifted = _one(later, time + 10**15, values)
    assert_same(_one(now, time, values), shifted, "time shifted")


def check_missing_values(make_pool: MakePool) -> None:
    """Missing cells, rows and channels, and infinities, never break a score."""
    time, values = stream(900, 3)
    rng = np.random.default_rng(0)
    values[rng.random(values.shape) < 0.3] = np.nan
    values[400:450] = np.nan
    values[:, 2] = np.nan
    values[::7, 1] = np.inf
    values[1::7, 1] = -np.inf
    pool = make_pool(3)
    pool.add()
    told = _one(pool, time, values)
    assert_sound(told, 900, 3)
    assert told.contributions[500:, 2].max() < 0.5, "a channel without values is blamed"


def check_infinite_is_missing(make_pool: MakePool) -> None:
    """An infinite value is treated as a missing one."""
    time, values = stream(500, 2)
    values[::11, 0] = np.nan
    pools = make_pool(2), make_pool(2)
    for pool in pools:
        pool.add()
    infinite = np.where(np.isnan(values), np.inf, values)
    told = _one(pools[1], time, infinite)
    assert_same(_one(pools[0], time, values), told, "infinite instead of NaN")


def check_odd_inputs(make_pool: MakePool) -> None:
    """Constant, binary, huge, tiny and repeated input: sound output."""
    rng = np.random.default_rng(0)
    time, values = stream(700, 8)
    values[:, 0] = 5
    values[:, 1] = np.arange(700) % 2
    values[:, 2] = (np.arange(700) > 650) * 1e300
    values[:, 3] *= 1e-300
    values[:, 4] = np.where(rng.random(700) < 0.01, -1e300, values[:, 4])
    values[:, 5] = 1e12 + np.arange(700)
    values[:, 6] = np.nan
    time[100:300] = time[100]
    for chosen in ([0], [1], [2], [6], [0, 1], list(range(8))):
        pool = make_pool(len(chosen))
        pool.add()
        assert_sound(_one(pool, time, values[:, chosen]), 700, len(chosen))


def check_a_history_replaces_the_first_rows(make_pool: MakePool) -> None:
    """A primed sensor reports from its first row on; a short history counts as first rows."""
    time, values = stream(1000, 2)
    pool = make_pool(2)
    slots = pool.add(2)
    pool.prime(0, time[:600], values[:600])
    assert pool.fitted(slots).tolist() == [True, False]
    told = _one(pool, time[600:], values[600:])
    assert_sound(told, 400, 2)
    assert np.isfinite(told.rate).all(), "a primed sensor does not report"
    pool.prime(1, time[:5], values[:5])
    assert not pool.fitted(slots)[1], "five rows were enough to learn"


def check_memory_is_given_back(make_pool: MakePool) -> None:
    """Sensors that come and go leave nothing behind; unknown ones are a ValueError."""
    time, values = stream(300, 2)
    pool = make_pool(2)
    sizes = []
    for _ in range(3):
        slots = pool.add(60)
        turn = np.tile(slots, 300)
        pool.score(turn, np.repeat(time, 60), np.repeat(values, 60, axis=0))
        sizes.append(pool.state_bytes())
        pool.remove(slots)
        sizes.append(pool.state_bytes())
    assert sizes[0] == sizes[2] == sizes[4], f"memory grows: {sizes[::2]}"
    assert sizes[1] < sizes[0] / 4, f"memory of removed sensors is kept: {sizes[:2]}"
    try:
        _one(pool, time[:1], values[:1])
    except ValueError:
        return
    raise AssertionError("a removed sensor was scored")


CHECKS: tuple[Callable[[MakePool], None], ...] = tuple(
    check for name, check in sorted(globals().items()) if name.startswith("check_")
)
"""All laws, for a test to run one by one."""
