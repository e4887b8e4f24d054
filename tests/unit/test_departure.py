"""How a channel left its level is seen in means of hours, beside those of a day before."""

import numpy as np
import pytest

from redshank.detect.channelstate import RECENT_HOURS
from redshank.pipeline.departure import departure

HOURS = np.arange(RECENT_HOURS + 1)
DAILY = 4 * np.sin(2 * np.pi * HOURS / 24)


def change(since, how):
    levels = DAILY.copy()
    levels[since:] += how(np.arange(1, len(levels) - since + 1))
    return departure(levels)


def test_the_time_of_day_is_no_departure():
    assert departure(DAILY).way == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("sign", [1, -1])
def test_little_by_little_or_at_once(sign):
    drifted = change(40, lambda hours: sign * hours)
    assert drifted.way == pytest.approx(sign * 8.5)
    assert drifted.step == pytest.approx(2)
    jumped = change(40, lambda hours: sign * 6.0)
    assert jumped.way == pytest.approx(sign * 6)
    assert jumped.step == pytest.approx(6)


def test_too_little_is_known_without_yesterday_or_now():
    assert departure(np.r_[np.full(46, np.nan), 1.0, 1.0, 9.0]).way == 0
    assert departure(np.r_[DAILY[:-2], np.nan, np.nan]).way == 0


def test_hours_that_lack_are_no_step_and_those_of_yesterday_lie_between_others():
    lacking = np.r_[DAILY[:8], np.full(8, np.nan), DAILY[16:30], np.full(8, np.nan), DAILY[38:] - 9]
    found = departure(lacking)
    assert found.way == pytest.approx(-9)
    assert found.step < 5
