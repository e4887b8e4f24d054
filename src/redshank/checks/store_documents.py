"""What every store must do with sensors, incidents, dead letters and settings."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from redshank.checks.store_samples import (
    ODD_IDS,
    START,
    MakeStore,
    an_incident,
    everything,
    fill_up,
    readings,
    verdicts,
)
from redshank.core.clock import DAY, HOUR, MINUTE
from redshank.core.errors import NotFoundError, StoreError
from redshank.core.ports import Commit
from redshank.core.queries import (
    CountDeadLetters,
    CountIncidents,
    CountSensors,
    CountWatched,
    Cursor,
    DeadLetters,
    Incidents,
    LatestReadings,
    Query,
    RecoverSensors,
    Sensors,
    SensorSeries,
    SensorSpan,
    SensorSpans,
    SensorStates,
    Setting,
    Sites,
    StoredVerdicts,
    StoreTotals,
    WatchedTime,
)
from redshank.core.records import (
    ChannelInfo,
    Checkpoint,
    Comment,
    DeadLetter,
    SensorInfo,
    Status,
)


def check_a_new_store_is_empty(make: MakeStore) -> None:
    """Nothing is there, and asking for it is no error."""
    store = make("a")
    assert store.read(Sensors()) == []
    assert store.read(CountSensors())["total"] == 0
    assert store.read(Setting("budget")) is None
    assert store.read(Cursor("http")) is None
    assert store.read(LatestReadings()) == []
    totals = store.read(StoreTotals())
    assert (totals.readings, totals.oldest, totals.newest) == (0, None, None)
    store.close()


def check_sensors_are_listed(make: MakeStore) -> None:
    """Those that need a look first, then by name; with newest values, rhythm and counts."""
    store = make("a")
    for name, status in (("zoe", 1), ("Ann", 1), ("bad", 3), ("quiet", 0)):
        batch = readings(name, {"t": [1, 2], "h": [50, np.nan]})
        store.write(Commit(readings=[batch], verdicts=[verdicts(batch, 2, status)]))
    store.write(
        Commit(
            incidents=[an_incident("zoe", "i")],
            sensors=[
                SensorInfo("quiet", "Bob", site="Roof", channels={"t": ChannelInfo("t", "°C")})
            ],
        )
    )
    listed = store.read(Sensors())
    assert [each.info.sensor_id for each in listed] == ["zoe", "bad", "Ann", "quiet"]
    zoe, *_, quiet = listed
    assert (zoe.open_incidents, zoe.readings, zoe.rhythm, zoe.rate) == (1, 2, 60.0, 2.0)
    assert (zoe.first_seen, zoe.last_seen) == (START, START + MINUTE)
    assert zoe.status is Status.NORMAL
    assert dict(zoe.latest) == {"t": 2.0, "h": 50.0}
    assert quiet.info.channels == {"t": ChannelInfo("t", "°C")}
    assert [each.info.sensor_id for each in store.read(Sensors(text="RO"))] == ["quiet"]
    assert [each.info.sensor_id for each in store.read(Sensors(status="anomaly"))] == ["bad"]
    assert [each.info.sensor_id for each in store.read(Sensors(limit=1, offset=1))] == ["bad"]
    assert [each.info.sensor_id for each in store.read(Sensors(sensor_ids=["Ann", "?"]))] == ["Ann"]
    counts = store.read(CountSensors())
    assert counts == {
        "learning": 1,
        "normal": 2,
        "warning": 0,
        "anomaly": 1,
        "total": 4,
        "with_open_incidents": 1,
    }
    assert store.read(CountSensors(site="Roof"))["total"] == 1
    spans = {span.sensor_id: span for span in store.read(SensorSpans(START))}
    assert spans.keys() == {"Ann", "bad", "quiet", "zoe"}
    assert spans["zoe"] == SensorSpan("zoe", START, START + MINUTE, 43_200.0)
    assert store.read(SensorSpans(START + HOUR)) == []
    assert store.read(SensorSpans(START, ["bad", "?"])) == [spans["bad"]]
    assert store.read(SensorSpans(START, fewer_rows=43_200.0)) == []
    assert len(store.read(SensorSpans(START, fewer_rows=43_201.0, limit=3))) == 3
    assert store.read(CountWatched(START, 43_201.0)) == WatchedTime(4, 4 * MINUTE, 4)
    assert store.read(CountWatched(START + 1, 43_200.0)) == WatchedTime(4, 4 * (MINUTE - 1), 0)
    assert store.read(CountWatched(START + HOUR)) == WatchedTime(0, 0, 0)
    store.close()


def check_odd_names(make: MakeStore) -> None:
    """Any text is a sensor's name."""
    store = make("a")
    for name in ODD_IDS:
        batch = readings(name, {"température °C": [1.0]})
        store.write(Commit(readings=[batch], verdicts=[verdicts(batch)]))
    for name in ODD_IDS:
        (row,) = store.read(LatestReadings(name))
        assert (row.sensor_id, row.values) == (name, {"température °C": 1.0})
    assert {each.info.sensor_id for each in store.read(Sensors())} == set(ODD_IDS)
    store.close()


def check_unknown_sensors(make: MakeStore) -> None:
    """A sensor that does not exist is said to be so."""
    store = make("a")
    queries: list[Query[Any]] = [
        SensorSeries("?", 0, 1),
        StoredVerdicts("?", 0, 1),
        LatestReadings("?"),
    ]
    for query in queries:
        try:
            store.read(query)
        except NotFoundError as error:
            assert "'?'" in str(error)
        else:
            raise AssertionError(f"{query} was answered")
    store.close()


def check_incidents_and_what_people_say(make: MakeStore) -> None:
    """Incidents are replaced by id; marks and comments stay with them until they are taken back."""
    store = make("a")
    first = an_incident("a", "i1")
    other = an_incident("b", "i2", START + DAY, START + 2 * DAY)
    comment = Comment(START, "The heating failed", "Ann")
    store.write(Commit(incidents=[first, other], marks={"i1": "real"}, comments={"i1": [comment]}))
    longer = replace(first, rows=99)
    store.write(Commit(incidents=[longer]))
    assert store.read(Incidents()) == [
        replace(longer, feedback="real", comments=(comment,)),
        other,
    ]
    assert store.read(Incidents(state="closed")) == [other]
    assert store.read(Incidents(sensor_id="b")) == [other]
    assert store.read(Incidents(ids=["i2", "?"])) == [other]
    assert store.read(Incidents(start=START + 2 * HOUR)) == [other]
    counted = store.read(CountIncidents())
    assert (counted.total, counted.open, counted.marked["real"]) == (2, 1, 1)
    assert store.read(CountIncidents(opened_since=other.opened)).total == 1
    store.write(Commit(marks={"i1": None}))
    assert store.read(Incidents(sensor_id="a"))[0].feedback is None
    store.write(Commit(incidents_removed=["i1"]))
    assert store.read(CountIncidents()).total == 1
    assert store.read(CountSensors())["with_open_incidents"] == 0
    store.write(Commit(incidents=[first]))
    assert store.read(Incidents(sensor_id="a"))[0].comments == (comment,)
    store.close()


def check_dead_letters(make: MakeStore) -> None:
    """Dead letters keep their bytes, newest first, until they are removed."""
    store = make("a")
    letters = [DeadLetter(START + i, "http", f"line {i}", b"\x00\xff") for i in range(3)]
    store.write(Commit(dead_letters=[*letters, DeadLetter(START, "file", "x", b"")]))
    found = store.read(DeadLetters("http"))
    assert [letter.reason for letter in found] == ["line 2", "line 1", "line 0"]
    assert found[0].raw == b"\x00\xff"
    store.write(Commit(dead_letters_removed=[each.id for each in found[1:] if each.id is not None]))
    assert store.read(CountDeadLetters()) == 2
    assert store.read(CountDeadLetters("http")) == 1
    store.close()


def check_dead_letters_keep_what_reads_them_again(make: MakeStore) -> None:
    """Topic, content type and details come back; what has a key is kept once."""
    store = make("a")
    letter = DeadLetter(
        *(START, "mqtt", "odd", b"x", None),
        topic="s/a",
        content_type="text/csv",
        details={"precision": "ms"},
        key="7",
    )
    others = [replace(letter, topic="s/b"), replace(letter, key="8"), replace(letter, key="")]
    store.write(Commit(dead_letters=[letter, *others]))
    store.write(Commit(dead_letters=[replace(letter, time=START + 1), *others]))
    found = store.read(DeadLetters(after=0))
    names = [(each.topic, each.key) for each in found]
    assert names == [("s/a", "7"), ("s/b", "7"), ("s/a", "8"), ("s/a", ""), ("s/a", "")]
    assert found[0] == replace(letter, id=found[0].id)
    store.write(Commit(dead_letters_removed=[found[0].id or 0]))
    store.write(Commit(dead_letters=[letter]))
    assert store.read(CountDeadLetters()) == 5
    store.close()


def check_dead_letters_are_narrowed(make: MakeStore) -> None:
    """Filters narrow lists and counts alike; a new reason replaces the old one."""
    store = make("a")
    reasons = ("no time", "NO channel", "100% _odd_")
    topics = ("sensors/roof", "sensors/hall", "sensors/hall/co2")
    letters = [
        DeadLetter(START + i, "mqtt", reason, b"", topic=topic)
        for i, (reason, topic) in enumerate(zip(reasons, topics, strict=True))
    ]
    store.write(Commit(dead_letters=letters))
    first, second, third = (each.id or 0 for each in store.read(DeadLetters(after=0)))
    narrowed: list[tuple[dict[str, Any], list[int]]] = [
        ({"reason": "no "}, [second, first]),
        ({"reason": "% _"}, [third]),
        ({"ids": [third, first, 99_999]}, [third, first]),
        ({"ids": []}, []),
        ({"before": START + 1}, [first]),
        ({"after": first}, [second, third]),
        ({"topic": "HALL"}, [third, second]),
    ]
    for narrow, ids in narrowed:
        assert [each.id for each in store.read(DeadLetters(**narrow))] == ids, narrow
        assert store.read(CountDeadLetters(**narrow)) == len(ids), narrow
    store.write(Commit(dead_letter_reasons={second: "still odd", 99_999: "gone"}))
    assert [each.reason for each in store.read(DeadLetters(ids=[second]))] == ["still odd"]
    assert store.read(CountDeadLetters()) == 3
    store.close()


def check_sites_and_states(make: MakeStore) -> None:
    """The distinct sites, and the states of the fleet in the order of the list of sensors."""
    store = make("a")
    sensors = [SensorInfo("a", site="Roof"), SensorInfo("b", "Bob", "Yard"), SensorInfo("c")]
    store.write(Commit(sensors=[*sensors, SensorInfo("d", site="Roof")]))
    store.write(Commit(incidents=[an_incident("d", "i")]))
    assert list(store.read(Sites())) == ["Roof", "Yard"]
    states = store.read(SensorStates())
    assert [each.sensor_id for each in states] == [
        each.info.sensor_id for each in store.read(Sensors())
    ]
    assert (states[0].sensor_id, states[0].site, states[0].open_incidents) == ("d", "Roof", 1)
    assert [each.name for each in states if each.sensor_id == "b"] == ["Bob"]
    assert [each.sensor_id for each in store.read(SensorStates(site="Yard"))] == ["b"]
    assert len(store.read(SensorStates(limit=2, offset=3))) == 1
    store.close()


def check_settings_and_cursors(make: MakeStore) -> None:
    """Settings are any JSON, cursors are per source; None removes one."""
    store = make("a")
    store.write(Commit(settings={"a": [1, {"b": None}], "c": False}, cursors={"x": "1"}))
    store.write(Commit(settings={"c": None}, cursors={"x": "2", "z": "1"}))
    store.write(Commit(cursors={"z": None, "never": None}))
    assert store.read(Setting("a")) == [1, {"b": None}]
    assert store.read(Setting("c")) is None
    assert (store.read(Cursor("x")), store.read(Cursor("y"))) == ("2", None)
    assert store.read(Cursor("z")) is None
    store.close()


def check_a_removed_sensor_is_forgotten(make: MakeStore) -> None:
    """Nothing of a removed sensor stays; one of the same name starts anew."""
    store = make("a")
    batch = readings("a", {"t": [1, 2]})
    for _ in range(2):
        fill_up(store)
        store.write(
            Commit(
                readings=[batch],
                verdicts=[verdicts(batch, 1, 3)],
                incidents=[an_incident("a", "i")],
                checkpoints=[Checkpoint("a", b"x")],
                marks={"i": "false"},
            )
        )
        store.write(Commit(sensors_removed=["a", "unknown"]))
        assert store.read(Sensors(sensor_ids=["a"])) == []
        assert store.read(Incidents()) == []
        assert store.read(RecoverSensors(["a"])) == {}
        assert store.read(StoreTotals()).verdicts == 0
    store.write(Commit(readings=[batch]))
    assert store.read(Sensors(sensor_ids=["a"]))[0].readings == 2
    assert store.read(RecoverSensors(["a"]))["a"].state is None
    store.close()


def check_totals(make: MakeStore) -> None:
    """Totals count rows and know the oldest and newest."""
    store = make("a")
    batch = readings("a", {"t": [1, 2, 3]})
    store.write(Commit(readings=[batch], verdicts=[verdicts(batch)]))
    totals = store.read(StoreTotals())
    assert (totals.sensors, totals.readings, totals.verdicts) == (1, 3, 3)
    assert (totals.oldest, totals.newest) == (START, START + 2 * MINUTE)
    assert totals.bytes > 0
    store.close()


def check_a_failed_write_leaves_nothing(make: MakeStore) -> None:
    """All of a commit or nothing, and the next one works."""
    store = make("a")
    broken = Commit(
        readings=[readings("a", {"t": [1]})],
        sensors=[SensorInfo("new")],
        settings={"x": object()},
    )
    try:
        store.write(broken)
    except (StoreError, TypeError, ValueError):
        assert store.read(StoreTotals()).readings == 0
    else:
        raise AssertionError("a setting that is no JSON was written")
    assert store.read(Sensors()) == []
    store.write(replace(broken, settings={"x": 1}))
    assert store.read(StoreTotals()).readings == 1
    store.close()


def check_everything_survives_reopening(make: MakeStore) -> None:
    """A closed store opens with all that was acknowledged."""
    store = make("kept")
    batch = readings("a", {"t": [1, 2, 3], "h": [4, np.nan, 6]})
    store.write(
        Commit(
            readings=[batch],
            verdicts=[verdicts(batch, [5, 1, 9], [1, 3, 1])],
            incidents=[an_incident("a", "i1")],
            sensors=[SensorInfo("a", "Schnus", "Germany", 52.5, 13.4, timezone="Europe/Berlin")],
            cursors={"file": "row 3"},
            settings={"budget": {"per_sensor_month": 2.0, "own": {}}},
        )
    )
    before = everything(store, ["a"])
    store.close()
    again = make("kept")
    assert everything(again, ["a"]) == before
    assert again.read(Cursor("file")) == "row 3"
    again.close()
