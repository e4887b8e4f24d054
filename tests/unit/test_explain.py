"""Texts name channel, value, band, unit, what stayed normal, and how sure it is."""

import numpy as np
import pytest

from redshank.core.clock import HOUR, MINUTE, SECOND
from redshank.core.records import ChannelInfo, Evidence, Flag, SensorInfo
from redshank.detect.channelstate import RECENT_HOURS, RECENT_ROWS
from redshank.detect.streaming import Cause
from redshank.pipeline.explain import duration, odds, text, title
from redshank.pipeline.faults import Findings, kind, origin
from redshank.pipeline.trace import HEAD_ROWS, Course

INFO = SensorInfo("schnus", "Schnus", channels={"flow": ChannelInfo("flow", "l/min", resolution=1)})
TUESDAY = 1_742_872_320 * SECOND  # Tue 25 Mar 2025, 03:12 UTC


def found(cause, *evidence, rows=100, held=0, calm=(), flags=None, course=None):
    last = TUESDAY + 6 * HOUR + 10 * MINUTE
    known = TUESDAY, last, rows, held, last, 0.025
    return Findings(cause, *known, evidence, calm, flags or {}, course)


def course(*rows, before=20.0, usual=0.1):
    """A channel that stood around a level, and what it did since the incident opened."""
    calm = before + usual * np.resize([0.0, 1.0], RECENT_ROWS)
    rows = np.array(rows, float)
    levels = np.full(RECENT_HOURS + 1, np.nan)
    return Course(calm, rows[:HEAD_ROWS], np.empty(0), rows[:: -(-len(rows) // 64)], usual, levels)


def wild(level, size, rows=30):
    return level + size * np.random.default_rng(0).normal(size=rows)


HUMIDITY = Evidence("humidity", "%", 0.9, 99.99, 84.0, 71.2, 93.0)


def test_a_stuck_channel():
    stuck = found(
        Cause.FLAT_LINE, HUMIDITY, held=6 * 3600 + 600, calm=("temperature", "sound_level")
    )
    assert kind(stuck, INFO) == "stuck"
    assert title(stuck, INFO) == "humidity stuck at 99.99 % for 6 h 10 min"
    assert text(stuck, INFO) == (
        "Humidity read exactly 99.99 % for 6 h 10 min from Tue 25 Mar 2025, 03:12 UTC on. "
        "At this hour 71.20 % to 93.00 % is normal. Temperature and sound level stayed normal. "
        "Looks like a fault of the sensor: it stands still, and no other channel changed with it. "
        "By chance alone, this would be seen once in about 3 years."
    )


def test_of_a_channel_that_never_moved_its_value_is_all_that_is_known():
    uv = Evidence("uv_intensity", "µW/cm²", 1, 78.75, 78.75, 78.74995, 78.75005)
    told = text(found(Cause.FLAT_LINE, uv, held=86400), INFO)
    assert "Nothing but 78.8 µW/cm² is known of this hour." in told


def test_a_spike_says_how_far_off_it_is():
    away = Evidence("temperature", "°C", 1, 47.61, 21.0, 19.0, 23.0)
    spike = found(Cause.FORECAST, away, rows=1, course=course(47.61))
    assert kind(spike, INFO) == "spike"
    assert title(spike, INFO) == (
        "temperature jumped to 47.61 °C, 26.61 °C above what is normal at this hour"
    )


def test_a_level_shift_within_the_band_makes_no_claim_about_it():
    inside = Evidence("temperature", "°C", 1, 22.0, 21.0, 19.0, 23.0)
    shift = found(Cause.FORECAST, inside, course=course(*wild(22, 0.1)))
    assert kind(shift, INFO) == "level shift"
    assert title(shift, INFO) == "temperature moved to 22.00 °C"


def test_channels_of_the_users_own_keep_name_and_unit():
    shift = found(Cause.NOISE, Evidence("flow", "l/min", 1, 12.4, None, None, None))
    assert title(shift, INFO) == "flow fluctuates far more than usual, now 12 l/min"


def test_a_missing_value_is_called_so():
    shift = found(Cause.SHAPE, Evidence("flow", "l/min", 1, None, None, None, None))
    assert "no value" in title(shift, INFO)


FRACTION = Evidence("humidity", "%", 1, 0.8, 84, 71, 93)


def temperature(value, share=1.0):
    return Evidence("temperature", "°C", share, value, 20.0, 18.0, 22.0)


@pytest.mark.parametrize(
    ("name", "incident"),
    [
        ("wrong unit", found(Cause.EXTREME, temperature(68), flags={Flag.UNIT: 90})),
        ("wrong unit", found(Cause.SHAPE, temperature(68), course=course(*wild(68, 0.18)))),
        ("wrong unit", found(Cause.FREEZE, FRACTION, course=course(*wild(0.8, 0.001), before=80))),
        ("dropout", found(Cause.EXTREME, temperature(-127), flags={Flag.SENTINEL: 3})),
        ("spike", found(Cause.FORECAST, temperature(40), course=course(40, 40, 20, 20.1, 20))),
        ("level shift", found(Cause.SHAPE, temperature(40), course=course(*wild(40, 0.1)))),
        ("noise", found(Cause.FORECAST, temperature(40), course=course(*wild(20, 5)))),
        ("drift", found(Cause.FORECAST, temperature(23), course=course(*np.linspace(20, 23)))),
        ("drift", found(Cause.FORECAST, temperature(23))),
        ("disagreement", found(Cause.CROSS_CHANNEL, temperature(21))),
        ("saturation", found(Cause.FLAT_LINE, temperature(60), course=course(*[60] * 40))),
        ("saturation", found(Cause.FLAT_LINE, Evidence("humidity", "%", 1, 100, 84, 71, 93))),
        ("stuck", found(Cause.FORECAST, temperature(21), held=6 * 3600)),
        ("unusual pattern", found(Cause.SHAPE, temperature(21))),
    ],
)
def test_kinds(name, incident):
    assert kind(incident, INFO) == name
    assert text(incident, INFO)
    assert title(incident, INFO)


def test_one_channel_that_stands_still_is_a_fault_of_the_sensor():
    assert origin(found(Cause.FLAT_LINE, HUMIDITY), "stuck") == "sensor"


def test_coupled_channels_that_change_together_are_an_event():
    pm = [Evidence(name, "µg/m³", 0.5, 300, 9, 4, 20) for name in ("pm10", "pm25")]
    fire = found(Cause.EXTREME, *pm)
    assert origin(fire, kind(fire, INFO)) == "event"
    assert "Looks like a real event: PM10 and PM2.5 changed together." in text(fire, INFO)


def test_impossible_values_are_a_fault_even_where_others_move_too():
    both = temperature(-127, 0.6), Evidence("humidity", "%", 0.4, 0, 84, 71, 93)
    assert origin(found(Cause.EXTREME, *both, flags={Flag.SENTINEL: 1}), "dropout") == "sensor"


def test_a_shift_of_one_channel_may_be_either():
    assert origin(found(Cause.FORECAST, temperature(40)), "level shift") == "unknown"


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
