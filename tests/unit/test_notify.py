"""What is told of incidents, and how often."""

from dataclasses import replace

import pytest

from redshank.checks.store_samples import START, an_incident
from redshank.core.clock import DAY, HOUR, FakeClock
from redshank.core.ports import Commit
from redshank.core.records import SensorInfo
from redshank.services.notify import Notifier

NEW = ["some readings"]


class Channel:
    name = "kept"

    def __init__(self):
        self.sent = []

    def send(self, incident, sensor):
        self.sent.append((incident.severity, incident.closed is not None, sensor.name))


@pytest.fixture
def channel():
    return Channel()


@pytest.fixture
def tell(channel):
    """Tell of an incident that a commit brings, at any time."""
    clock = FakeClock(START)
    notifier = Notifier([channel], lambda sensor_id: SensorInfo(sensor_id, "Annex"), clock)

    def told(*incidents, ago=0, **commit):
        clock.advance((incidents[-1].last + ago - clock.now()) / 1e6)
        notifier(Commit(incidents=incidents, **{"readings": NEW, **commit}))

    return told


OPEN = replace(an_incident("a", "a-1"), closed=None, severity="low")
WORSE = replace(OPEN, severity="high")
OVER = replace(WORSE, closed=OPEN.last + HOUR)


def test_each_step_is_told_once(channel, tell):
    for step in (OPEN, OPEN, WORSE, OPEN, WORSE, OVER, OVER):
        tell(step)
    assert channel.sent == [
        ("low", False, "Annex"),
        ("high", False, "Annex"),
        ("high", True, "Annex"),
    ]


def test_the_past_is_told_as_it_opens_and_closes_only(channel, tell):
    for step in (OPEN, WORSE, OVER):
        tell(step, ago=DAY)
    assert [over for _, over, _ in channel.sent] == [False, True]


def test_an_incident_that_opens_and_closes_at_once_is_told_once(channel, tell):
    tell(OVER)
    assert channel.sent == [("high", True, "Annex")]


@pytest.mark.parametrize("setting", ["budget", "late"])
def test_another_view_of_the_past_is_no_news(channel, tell, setting):
    tell(OPEN, readings=(), settings={setting: {}})
    assert channel.sent == []
    tell(OPEN)
    assert channel.sent == [], "and is not told later either"
    tell(OVER)
    assert [over for _, over, _ in channel.sent] == [True]


def test_silence_is_news_without_readings(channel, tell):
    tell(OPEN, readings=())
    assert len(channel.sent) == 1
