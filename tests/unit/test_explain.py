"""Texts name channel, value, band, unit, what stayed normal, and how sure it is."""

import pytest

from redshank.core.clock import HOUR, MINUTE, SECOND
from redshank.core.records import ChannelInfo, Evidence, SensorInfo
from redshank.detect.streaming import Cause
from redshank.pipeline.explain import Findings, duration, kind, odds, text, title

INFO = SensorInfo("schnus", "Schnus", channels={"flow": ChannelInfo("flow", "l/min", resolution=1)})
TUESDAY = 1_742_872_320 * SECOND  # Tue 25 Mar 2025, 03:12 UTC


def found(cause, evidence, rows=100, held=0, calm=()):
    last = TUESDAY + 6 * HOUR + 10 * MINUTE
    return Findings(cause, TUESDAY, last, rows, held, last, 0.025, (evidence,), calm)


HUMIDITY = Evidence("humidity", "%", 0.9, 99.99, 84.0, 71.2, 93.0)


def test_a_stuck_channel():
    stuck = found(
        Cause.FLAT_LINE, HUMIDITY, held=6 * 3600 + 600, calm=("temperature", "sound_level")
    )
    assert kind(stuck) == "stuck"
    assert title(stuck, INFO) == "humidity stuck at 99.99 % for 6 h 10 min"
    assert text(stuck, INFO) == (
        "Humidity read exactly 99.99 % for 6 h 10 min from Tue 25 Mar 2025, 03:12 UTC on. "
        "At this hour 71.20 % to 93.00 % is normal. Temperature and sound level stayed normal. "
        "By chance alone, this would be seen once in about 3 years."
    )


def test_a_spike_says_how_far_off_it_is():
    spike = found(Cause.FORECAST, Evidence("temperature", "°C", 1, 47.61, 21.0, 19.0, 23.0), rows=1)
    assert kind(spike) == "spike"
    assert title(spike, INFO) == (
        "temperature jumped to 47.61 °C, 26.61 °C above what is normal at this hour"
    )


def test_a_level_shift_within_the_band_makes_no_claim_about_it():
    shift = found(Cause.FORECAST, Evidence("temperature", "°C", 1, 22.0, 21.0, 19.0, 23.0))
    assert kind(shift) == "level shift"
    assert title(shift, INFO) == "temperature moved to 22.00 °C"


def test_channels_of_the_users_own_keep_name_and_unit():
    shift = found(Cause.NOISE, Evidence("flow", "l/min", 1, 12.4, None, None, None))
    assert title(shift, INFO) == "flow fluctuates far more than usual, now 12 l/min"


def test_a_missing_value_is_called_so():
    shift = found(Cause.SHAPE, Evidence("flow", "l/min", 1, None, None, None, None))
    assert "no value" in title(shift, INFO)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (59, "59 s"), (60, "1 min"), (3725, "1 h 2 min"), (90000, "1 d 1 h")],
)
def test_durations(seconds, words):
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("rate", "words"),
    [
        (0.0, "Nothing like it is known from normal readings."),
        (3.0, "By chance alone, this would be seen once in about 10 days."),
        (0.01, "By chance alone, this would be seen once in about 8 years."),
        (60.0, "Readings like this come about daily."),
    ],
)
def test_odds(rate, words):
    assert odds(rate) == words
