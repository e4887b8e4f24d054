"""How much of a change neighbours show is seen from what each of them did before."""

import numpy as np
import pytest

from redshank.core.clock import DAY, HOUR, MINUTE, SECOND
from redshank.pipeline.shared import Span, shared

START = 1_700_006_400 * SECOND
ROWS = 2 * DAY // (5 * MINUTE)
CHANGE = ROWS - 24
"""Row of the change: two hours before the end."""
REACH = 15 * MINUTE


def box(number, offset=0.0, noise=0.1):
    """Two days of a box: a daily wave that all share, an offset and noise of its own."""
    rng = np.random.default_rng(number)
    time = START + np.arange(ROWS) * 5 * MINUTE + number * MINUTE
    wave = np.sin(2 * np.pi * (time % DAY) / DAY)
    return time, 15 + offset + wave + rng.normal(0, noise, ROWS)


def site(size, changed=(0,), last=ROWS, how=None):
    """Four boxes, some of them changed by so much from CHANGE to ``last``."""
    boxes = [box(number, offset=2 * number) for number in range(4)]
    for number in changed:
        values = boxes[number][1][CHANGE:last]
        values += size if how is None else how(len(values), number)
    return boxes


def part(kind, boxes, last=ROWS - 1):
    own, *near = boxes
    time = own[0]
    return shared(kind, own, near, Span(int(time[CHANGE]), int(time[last]), int(time[last])), REACH)


def wild(rows, seed):
    return np.random.default_rng(seed).normal(0, 3, rows)


@pytest.mark.parametrize("kind", ["level shift", "drift", "unusual pattern"])
def test_a_change_of_all_is_shared(kind):
    assert part(kind, site(6, changed=range(4))) == pytest.approx(1, abs=0.2)


@pytest.mark.parametrize("kind", ["level shift", "drift", "unusual pattern"])
def test_a_change_of_one_is_its_own(kind):
    assert part(kind, site(6)) == pytest.approx(0, abs=0.2)


def test_a_spike_is_looked_for_around_its_moment():
    after = CHANGE + 12
    assert part("spike", site(9, range(4), CHANGE + 2), after) == pytest.approx(1, abs=0.2)
    assert part("spike", site(9, (0,), CHANGE + 2), after) < 0.3


def test_noise_is_compared_by_its_steps():
    assert part("noise", site(0, range(4), how=wild)) == pytest.approx(1, abs=0.2)
    assert part("noise", site(0, (0,), how=wild)) < 0.2


def test_noise_is_compared_with_calm_hours_where_its_incident_opens_late():
    boxes = site(0, range(4), how=wild)
    for number in range(4):
        boxes[number][1][CHANGE - 36 : CHANGE] += wild(36, 10 + number)
    assert part("noise", boxes) == pytest.approx(1, abs=0.2)


def test_a_level_shift_is_not_compared_by_its_way_back():
    boxes = site(0, range(4), how=lambda rows, number: np.linspace(6, 12, rows))
    boxes[0][1][-4:] -= 11
    assert part("level shift", boxes) == pytest.approx(1, abs=0.2)


def test_a_change_no_larger_than_usual_ones_tells_nothing():
    restless = [box(number, noise=4.0) for number in range(4)]
    restless[0][1][CHANGE:] = restless[0][1][CHANGE - 12 : CHANGE].mean() + 1.0
    assert part("level shift", restless) is None


def test_one_neighbour_is_not_enough():
    own, other, *_ = site(6)
    assert part("level shift", [own, other]) is None


def test_neighbours_that_were_silent_say_nothing():
    own, *near = site(6)
    near = [(time[:200], values[:200]) for time, values in near]
    assert part("level shift", [own, *near]) is None


def test_the_hour_before_counts_where_yesterday_is_unknown():
    boxes = [(time[-40:], values[-40:]) for time, values in site(6)]
    own = boxes[0][0]
    first = len(own) - 24
    span = Span(int(own[first]), int(own[-1]), int(own[-1]))
    assert own[0] > own[-1] - DAY + HOUR
    assert shared("drift", boxes[0], boxes[1:], span, REACH) == pytest.approx(0, abs=0.3)
