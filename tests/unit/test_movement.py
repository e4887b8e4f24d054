"""How a channel moved is told from the rows around the opening of an incident."""

from itertools import pairwise

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from redshank.core.channels import other_units
from redshank.core.clock import HOUR, MINUTE, SECOND
from redshank.core.records import Evidence
from redshank.detect.channelstate import RECENT_HOURS, RECENT_ROWS, Recent
from redshank.pipeline.faults import moved
from redshank.pipeline.movement import in_unit, movement, rest, was_in_unit
from redshank.pipeline.trace import COURSE_POINTS, HEAD_ROWS, Trace

START = 1_700_006_400 * SECOND
NOISE = 0.1
WIDTH = 2.0
"""Of the channel's band."""


def channel(*parts, level=20.0, opening=40, before=200, seed=0, hourly=None):
    """A channel that is calm for ``before`` rows, then does as told; an incident opens somewhere.

    Args:
        parts: what is added to the calm level, row by row.
        level: where it usually is.
        opening: rows between the beginning of its change and the incident; negative: none.
        before: calm rows.
        seed: of its noise.
        hourly: rows of an hour, so that the hours before are known; None: they are not.
    """
    change = np.concatenate([np.atleast_1d(part) for part in parts])
    rng = np.random.default_rng(seed)
    rows = level + np.r_[np.zeros(before), change] + rng.normal(0, NOISE, before + len(change))
    first = before + opening
    usual = np.abs(np.diff(rows[:before])).mean()
    known = rows[first - RECENT_ROWS : first, None].astype(np.float32)
    levels = np.full((RECENT_HOURS + 1, 1), np.nan)
    if hourly:
        hours = rows[:first][-hourly * (RECENT_HOURS + 1) :].reshape(-1, hourly).mean(axis=1)
        levels[-len(hours) :, 0] = hours
    trace = Trace.after(("x",), known, np.array([usual], np.float32), levels)
    trace.take(("x",), rows[first:, None])
    return trace.of("x", len(rows) - first)


def wild(rows, size=2.0):
    return np.random.default_rng(9).normal(0, size, rows)


@pytest.mark.parametrize("opening", [0, 5, 20])
@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("spike", [[5.0, 5.0], np.zeros(60)]),
        ("level shift", [np.full(100, 3.0)]),
        ("drift", [np.linspace(0, 5, 200)]),
        ("noise", [wild(100)]),
        ("none", [np.zeros(100)]),
    ],
)
def test_movements(what, change, opening):
    assert movement(channel(*change, opening=opening), WIDTH) == what


def test_a_shift_that_began_slowly_found_late_is_a_drift():
    assert movement(channel(np.linspace(0, 8, 600), opening=300), WIDTH) == "drift"


@pytest.mark.parametrize(
    ("name", "level", "factor", "offset"),
    [("temperature", 20.0, 1.8, 32.0), ("pressure", 1013.0, 100.0, 0.0), ("pm25", 12.0, 0.001, 0)],
)
def test_another_unit_goes_on_at_the_same_level_once_it_is_converted(name, level, factor, offset):
    calm = channel(np.zeros(60), level=level, opening=0)
    other = channel(np.zeros(60), level=level, opening=0)
    other.head[:] = other.head * factor + offset
    other.course[:] = other.course * factor + offset
    assert any(in_unit(other, *unit) for unit in other_units(name))
    assert not any(in_unit(calm, *unit) for unit in other_units(name))


def test_an_incident_that_opens_late_in_a_level_shift_is_told_by_its_end():
    shifted = channel(np.full(300, 5.0), np.zeros(60), opening=200)
    assert movement(shifted, WIDTH) == "level shift"


def test_a_drift_that_ends_at_once_stays_a_drift():
    drifted = channel(np.linspace(0, 6, 300), np.zeros(60), opening=40)
    assert movement(drifted, WIDTH) == "drift"


@pytest.mark.parametrize("opening", [300, 420])
def test_a_drift_found_when_it_is_far_on_or_over_is_told_by_the_hours_before(opening):
    course = np.linspace(0, 6, 400), np.full(40, 6.0), np.zeros(60)
    late = channel(*course, opening=opening, before=2640 - opening, hourly=60)
    assert movement(late, WIDTH) == "drift"


def test_a_peak_on_the_way_of_a_drift_is_no_spike():
    course = np.linspace(0, 6, 400)
    course[310:312] += 1.5
    late = channel(course, opening=300, before=2340, hourly=60)
    assert movement(late, WIDTH) == "drift"


def test_a_level_shift_found_hours_later_is_told_by_the_hours_before():
    shifted = channel(np.full(360, 6.0), opening=300, before=2640, hourly=60)
    assert movement(shifted, WIDTH) == "level shift"


def test_a_level_shift_of_what_is_restless_anyway_is_no_noise():
    restless = wild(160, 0.5)
    assert movement(channel(restless, opening=5), WIDTH) == "noise"
    assert movement(channel(6.0 + restless, opening=5), WIDTH) == "level shift"


def test_a_way_far_longer_than_its_noise_is_no_noise():
    rougher = wild(300, 0.6)
    assert movement(channel(rougher, opening=5), WIDTH) == "noise"
    assert movement(channel(np.linspace(0, 60, 300) + rougher, opening=5), WIDTH) == "drift"


def test_an_incident_that_opens_in_another_unit_is_told_by_the_way_back():
    fahrenheit = np.full(200, 20.0 * 1.8 + 32.0 - 20.0)
    late = channel(fahrenheit, np.zeros(60), opening=100)
    assert any(was_in_unit(late, *unit) for unit in other_units("temperature"))
    warmer = channel(np.full(200, 8.0), np.zeros(60), opening=100)
    assert not any(was_in_unit(warmer, *unit) for unit in other_units("temperature"))


def test_a_jump_to_rest_is_seen_in_the_first_rows_whatever_came_later():
    calm = np.random.default_rng(0).normal(0, NOISE, 60)
    saturated = channel(np.full(60, 0.0), opening=0)
    saturated.head[:] = 30.0
    assert saturated.course[-1] != 30.0
    found = rest(saturated)
    assert found and found.settled and found.value == 30.0 and found.jump > 10
    assert not rest(channel(5.0 + calm, opening=0)).settled


def test_a_level_shift_is_no_change_of_unit():
    shifted = channel(np.full(60, 7.3), opening=0)
    assert not any(in_unit(shifted, *unit) for unit in other_units("temperature"))


def test_the_channel_that_moved_of_itself_counts_most():
    def evidence(value):
        return Evidence("x", "", 0.5, value, 20.0, 19.0, 21.0)

    shifted = moved(evidence(26.0), channel(np.full(60, 6.0), opening=0))
    calm = moved(evidence(20.1), channel(np.zeros(60), opening=0))
    assert shifted > 5 * calm


# --- the trace ---

CUTS = st.lists(st.integers(1, 400), max_size=6)


@given(CUTS, st.integers(1, 500))
def test_a_trace_does_not_depend_on_batches_or_restarts(cuts, rows):
    values = np.random.default_rng(1).normal(size=(rows, 2))
    values[rows // 2 :, 1] = np.nan
    names, before = ("a", "b"), np.zeros((RECENT_ROWS, 2), np.float32)
    past = before, np.ones(2, np.float32), np.ones((RECENT_HOURS + 1, 2), np.float32)
    whole = Trace.after(names, *past)
    whole.take(names, values)
    parts = Trace.after(names, *past)
    for piece in np.split(values, sorted(cut for cut in set(cuts) if cut < rows)):
        plain = {name: getattr(parts, name) for name in Trace.__slots__}
        parts = Trace.from_dict(orjson.loads(orjson.dumps(plain)))
        parts.take(names, piece)
    for name in names:
        np.testing.assert_array_equal(whole.of(name, rows).course, parts.of(name, rows).course)
        np.testing.assert_array_equal(whole.of(name, rows).head, parts.of(name, rows).head)


def test_a_trace_is_bounded():
    trace = Trace()
    for _ in range(50):
        trace.take(("a",), np.zeros((997, 1)))
    assert len(trace.head["a"]) == HEAD_ROWS
    assert COURSE_POINTS / 2 <= len(trace.course["a"]) <= COURSE_POINTS


def test_a_channel_that_is_new_was_missing_before():
    trace = Trace()
    trace.take(("a",), np.ones((5, 1)))
    trace.take(("a", "b"), np.ones((5, 2)))
    assert np.isnan(trace.of("b", 10).head[:5]).all()
    assert trace.of("c", 10) is None


@given(st.lists(st.integers(1, 99), max_size=4))
def test_rows_before_an_incident_do_not_depend_on_batches(cuts):
    values = np.random.default_rng(2).normal(size=(100, 2))
    chosen = np.zeros(100, np.uint8)
    chosen[[0, 10, 50, 99]] = 1
    rows = np.zeros(100, np.int64), START + np.arange(100) * 20 * MINUTE, values, chosen, chosen
    whole = Recent().run(*rows)
    kernel = Recent()
    edges = [0, *sorted(set(cuts)), 100]
    parts = [kernel.run(*(column[a:b] for column in rows)) for a, b in pairwise(edges)]
    for one, pieces in zip(whole, zip(*parts, strict=True), strict=True):
        np.testing.assert_array_equal(one, np.concatenate(pieces))


def hours_before(time, values, skip, row):
    chosen = np.zeros(len(time), np.uint8)
    chosen[row] = 1
    rows = np.zeros(len(time), np.int64), START + time, values[:, None], chosen, skip
    return Recent().run(*rows)[2][0, :, 0]


def test_hours_before_an_incident_are_means_without_rows_of_incidents():
    time = np.r_[np.arange(300), np.arange(600, 690)] * MINUTE
    values = np.arange(390.0)
    skip = np.zeros(390, np.uint8)
    skip[[60, 240]] = 1
    found = hours_before(time, values, skip, 380)
    assert np.isnan(found[: RECENT_HOURS - 11]).all()
    told = [29.5, 90.0, 149.5, 209.5, 270.0, *[np.nan] * 5, 329.5, 369.5]
    np.testing.assert_array_equal(found[RECENT_HOURS - 11 :], told)


def test_hours_are_forgotten_after_two_days():
    time = np.arange(0, 60 * HOUR, HOUR)
    none = np.zeros(len(time), np.uint8)
    found = hours_before(time, np.arange(60.0), none, 59)
    np.testing.assert_array_equal(found[:-1], np.arange(59 - RECENT_HOURS, 59))
    assert np.isnan(found[-1])
    later = hours_before(np.r_[time[:-1], 200 * HOUR], np.arange(60.0), none, 59)
    assert np.isnan(later).all()


def test_rows_before_an_incident_are_those_before_it():
    values = np.arange(100.0)[:, None]
    chosen = np.zeros(100, np.uint8)
    chosen[[5, 60]] = 1
    time = START + np.arange(100) * MINUTE
    before, usual, _ = Recent().run(np.zeros(100, np.int64), time, values, chosen, chosen)
    assert np.isnan(before[0, : RECENT_ROWS - 5, 0]).all()
    np.testing.assert_array_equal(before[0, -5:, 0], np.arange(5))
    np.testing.assert_array_equal(before[1, :, 0], np.arange(60 - RECENT_ROWS, 60))
    assert usual[1, 0] == pytest.approx(1, abs=0.05)
