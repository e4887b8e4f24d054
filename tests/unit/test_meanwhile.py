"""What other channels do while one keeps an incident open for long is told in its text."""

from dataclasses import asdict
from types import SimpleNamespace

import numpy as np
import orjson
import pytest

from redshank.core.clock import DAY, MINUTE, SECOND
from redshank.core.records import Flag, SensorInfo
from redshank.pipeline.meanwhile import LONG, Jump, note, sentence

CHANNELS = ("temperature", "humidity")


def rows(flags, since=LONG + MINUTE):
    """Rows of which humidity has these flags, from so long after the opening on."""
    n = len(flags)
    return SimpleNamespace(
        channels=CHANNELS,
        time=since + MINUTE * np.arange(n),
        values=np.column_stack([np.full(n, 20.0), 50.0 + np.arange(n)]),
        flags=np.column_stack([np.zeros(n, np.uint16), np.array(flags, np.uint16)]),
    )


def noted(flags, since=LONG + MINUTE, cuts=()):
    jumps, told = {}, rows(flags, since)
    for part in np.split(np.arange(len(flags)), cuts):
        note(jumps, told, part, 0)
    return jumps


@pytest.mark.parametrize(
    ("flags", "kind", "words"),
    [
        ([0, Flag.RATE_OF_CHANGE, 0, 0], "level shift", "humidity moved to 51"),
        ([0, Flag.RATE_OF_CHANGE, Flag.SPIKE, 0], "spike", "humidity jumped to 51"),
        (
            [0, Flag.RATE_OF_CHANGE | Flag.UNIT, Flag.UNIT],
            "wrong unit",
            "humidity came in another unit",
        ),
    ],
)
def test_a_jump_is_told_with_its_kind(flags, kind, words):
    jumps = noted(flags)
    assert jumps["humidity"] == Jump(LONG + 2 * MINUTE, 51.0, kind)
    assert words in sentence(jumps, {}, ("temperature",), SensorInfo("a"))


def test_it_does_not_depend_on_batches():
    flags = [Flag.RATE_OF_CHANGE, Flag.SPIKE, 0, Flag.RATE_OF_CHANGE, Flag.UNIT, Flag.UNIT]
    whole = noted(flags)
    assert all(noted(flags, cuts=[cut]) == whole for cut in range(1, len(flags)))


def test_what_came_on_the_first_day_belongs_to_the_incident():
    assert noted([Flag.RATE_OF_CHANGE], since=DAY - MINUTE) == {}


def test_channels_of_the_incident_itself_are_not_told_again():
    assert sentence(noted([Flag.RATE_OF_CHANGE]), {}, ("humidity",), SensorInfo("a")) == ""


def test_jumps_survive_a_restart():
    jump = Jump(3, 51.0, "spike")
    assert Jump(**orjson.loads(orjson.dumps(asdict(jump)))) == jump


def test_a_channel_that_stood_still_besides_is_told():
    stood = {"humidity": (2.5 * DAY / SECOND, 3 * DAY), "temperature": (DAY / SECOND, DAY)}
    told = sentence({}, stood, ("temperature",), SensorInfo("a"))
    assert (
        told
        == "While it went on, humidity stood still for 2 d 12 h (until Sun 04 Jan 1970, 00:00 UTC)."
    )
