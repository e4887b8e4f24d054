"""A level that a sensor returns to is recognised."""

from dataclasses import replace

import pytest

from redshank.adapters.store.sqlite import SqliteStore
from redshank.core.clock import DAY, HOUR, SECOND
from redshank.core.ports import Commit
from redshank.core.queries import Incidents
from redshank.core.records import Evidence, Incident
from redshank.pipeline.returns import Returns, stays

START = 1_700_006_400 * SECOND


def moved(day, value, expected, **more):
    """A change of level after so many days."""
    opened = START + round(day * DAY)
    told = Incident(
        id=f"{day}",
        sensor_id="s",
        opened=opened,
        last=opened + HOUR,
        closed=opened + 2 * HOUR,
        severity="high",
        kind="level shift",
        rate=0.01,
        score=5.0,
        peak=opened,
        rows=12,
        budget=3.0,
        evidence=(Evidence("flow", "l/min", 1.0, value, expected, expected - 1, expected + 1),),
        calm=(),
        title="flow moved",
        text="Flow moved.",
    )
    return replace(told, **more)


@pytest.fixture
def store(tmp_path):
    opened = SqliteStore(tmp_path / "store.sqlite")
    yield opened
    opened.close()


def told(store, *incidents):
    """Each incident as it is told when those before it are stored."""
    out = []
    for incident in incidents:
        commit = Returns(store).complete(Commit(incidents=[incident]))
        store.write(commit)
        out.append(commit.incidents[0].text)
    return out


def test_a_machine_that_goes_to_and_fro_explains_itself(store):
    first, back, again = told(
        store, moved(30, 16.2, 10), moved(40, 9.8, 16), moved(50.5, 16.4, 10.1)
    )
    assert first == "Flow moved."
    assert back == "Flow moved. It has been at this level before, until 15 Dec 2023."
    assert store.read(Incidents(ids=["40"]))[0].title == (
        "flow is back at 9.8 l/min, where it was until 15 Dec 2023"
    )
    assert again == (
        "Flow moved. It has been at this level before, from 15 Dec 2023 to 25 Dec 2023."
    )


def test_a_new_level_is_no_return(store):
    assert told(store, moved(30, 16, 10), moved(40, 13, 16))[1] == "Flow moved."


def test_other_channels_kinds_and_short_stays_do_not_count():
    other = (replace(moved(0, 5, 1).evidence[0], channel="other"),)
    past = [
        moved(1, 5, 1),
        moved(1.01, 20, 5),
        moved(2, 1, 20, kind="noise"),
        moved(3, 9, 20, evidence=other),
        moved(4, 2, 20),
    ]
    assert [one.level for one in stays(past, "flow")] == [1, 20]
