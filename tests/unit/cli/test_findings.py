"""Durations, rarity and counts in words."""

import pytest

from redshank.cli.findings import lasting, plural, rarity
from redshank.core.clock import DAY, HOUR, MINUTE, SECOND


@pytest.mark.parametrize(
    ("micros", "words"),
    [
        (0, "0 s"),
        (59 * SECOND, "59 s"),
        (MINUTE, "1 min"),
        (6 * HOUR + 10 * MINUTE + 5 * SECOND, "6 h 10 min"),
        (2 * DAY + 3 * HOUR + 4 * MINUTE, "2 d 3 h"),
        (2 * DAY + 4 * MINUTE, "2 d 4 min"),
    ],
)
def test_durations_have_their_two_largest_units(micros, words):
    assert lasting(micros) == words


@pytest.mark.parametrize(
    ("rate", "words"),
    [
        (0.0, "not by chance"),
        (0.05, "once in 600 days"),
        (3.0, "once in 10 days"),
        (60.0, "60 times a month"),
    ],
)
def test_a_return_rate_is_said_as_a_waiting_time(rate, words):
    assert rarity(rate) == words


def test_plurals():
    assert (plural(1, "sensor"), plural(2_000, "sensor")) == ("1 sensor", "2,000 sensors")
