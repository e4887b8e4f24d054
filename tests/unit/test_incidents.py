"""What an incident is about while it goes on."""

from types import SimpleNamespace

import numpy as np
import pytest

from redshank.core.clock import HOUR, MINUTE
from redshank.core.records import SensorInfo
from redshank.pipeline.meanwhile import LONG
from redshank.pipeline.running import TAKES_OVER, Running, _follow_peak

CHANNELS = ("humidity", "uv")


def rows(rate, leads, since=LONG + HOUR):
    """Rows of such rates, each led by the channel of that number."""
    n = len(rate)
    led = np.eye(2)[leads]
    return SimpleNamespace(
        channels=CHANNELS,
        time=since + MINUTE * np.arange(n),
        rate=np.array(rate, np.float32),
        score=np.ones(n, np.float32),
        cause=np.ones(n, np.uint8),
        contributions=0.1 + 0.8 * led,
        **{name: np.zeros((n, 2)) for name in ("values", "expected", "lower", "upper")},
    )


def followed(told, cuts=()):
    """Subject, rate and time of the peak after an incident that humidity opened at 1."""
    running = Running(opened=0, budget=3.0, last=0)
    opening = rows([1.0], [0], since=0)
    _follow_peak(running, opening, np.arange(1), SensorInfo("a"))
    for part in np.split(np.arange(len(told.time)), cuts):
        _follow_peak(running, told, part, SensorInfo("a"))
    return running.evidence[0].channel, pytest.approx(running.rate), running.peak


def test_the_rarest_row_is_the_subject_of_the_first_day():
    told = rows([0.9, 0.8], [0, 1], since=HOUR)
    assert followed(told)[:2] == ("uv", 0.8)


def test_later_another_channel_must_be_far_rarer():
    assert followed(rows([0.9, 0.5], [0, 1]))[:2] == ("humidity", 0.9)
    assert followed(rows([0.9, 0.5 / TAKES_OVER], [0, 1]))[:2] == ("uv", 0.05)


def test_it_does_not_depend_on_batches():
    rng = np.random.default_rng(4)
    rate, leads = 10.0 ** -np.abs(rng.normal(0, 2, 40)), rng.integers(0, 2, 40)
    told = rows(rate, leads, since=LONG - 10 * MINUTE)
    whole = followed(told)
    assert all(followed(told, cuts=[cut]) == whole for cut in range(1, 40))
    assert followed(told, cuts=range(1, 40)) == whole
