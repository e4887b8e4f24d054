"""Silent, stuttering and out-of-season sensors: by their own rhythm, against the alarm budget."""

from datetime import UTC, datetime

import numpy as np
import pytest

from redshank.core.batch import Batch
from redshank.core.clock import DAY, HOUR, MINUTE, SECOND, to_micros
from redshank.core.queries import Recovery
from redshank.core.records import SensorInfo
from redshank.core.zones import Zones
from redshank.pipeline.budget import Budget
from redshank.pipeline.pipeline import Pipeline
from redshank.pipeline.rhythm import Rhythms

START = 1_700_000_000 * SECOND
MONDAY = to_micros(datetime(2024, 3, 4, tzinfo=UTC))  # 01:00 in Berlin
INFO = SensorInfo("lake", "Lake Barmen", timezone="Europe/Berlin")


@pytest.fixture
def pipeline():
    return new_pipeline()


def new_pipeline():
    return Pipeline(Budget(3.0), lambda sensor_id: INFO, zones=Zones())


def report(pipeline, time, name="lake"):
    """Rows of one sensor at these times, arriving about as they happen; the newest time."""
    if name not in pipeline:
        pipeline.adopt(name, None, pipeline.describe(name))
    for part in np.array_split(np.asarray(time, np.int64), max(1, len(time) // 100)):
        n = len(part)
        rows = Batch((name,), np.zeros(n, np.int32), part, ("t",), np.ones((n, 1)))
        pipeline.run([rows], int(part[-1]))
    return int(time[-1])


def times(rows, seconds=65, seed=0, start=START):
    """Times with some jitter and a missed row now and then."""
    rng = np.random.default_rng(seed)
    steps = seconds * (1 + (rng.random(rows) < 0.02)) + rng.normal(0, 0.5, rows)
    return start + (np.cumsum(steps) * SECOND).astype(np.int64)


def workdays(weeks, start=MONDAY):
    """Every five minutes on workdays from 8:00 to 18:00 on Berlin's clocks, in winter."""
    time = start + np.arange(0, weeks * 7 * DAY, 5 * MINUTE)
    local = time + HOUR
    on = (local % DAY >= 8 * HOUR) & (local % DAY < 18 * HOUR)
    return time[on & ((time - MONDAY) // DAY % 7 < 5)]


# --- silence ---


def test_a_silent_sensor_becomes_an_incident_and_ends_when_it_reports(pipeline):
    newest = report(pipeline, times(2000))
    rhythms = Rhythms(pipeline, START)
    assert rhythms.look(newest + 3 * MINUTE) == []
    (incident,) = rhythms.look(newest + 3 * HOUR + 20 * MINUTE)
    assert (incident.kind, incident.title) == ("silent", "silent for 3 h 20 min")
    assert incident.text.startswith(
        "Lake Barmen usually reports every 1 min 5 s; silent for 3 h 20 min, since "
    )
    assert incident.opened == newest
    back = report(pipeline, [newest + 4 * HOUR])
    (over,) = rhythms.look(back + SECOND)
    assert (over.id, over.closed) == (incident.id, back)


def test_a_sensor_that_pauses_often_may_pause(pipeline):
    days = [times(300, seed=k) + k * DAY for k in range(30)]
    newest = report(pipeline, np.concatenate(days))
    assert Rhythms(pipeline, START).look(newest + 12 * HOUR) == []


def test_a_young_sensor_is_left_alone(pipeline):
    newest = report(pipeline, times(20))
    assert Rhythms(pipeline, START).look(newest + DAY) == []


def test_old_readings_that_arrive_now_are_no_silence(pipeline):
    pipeline.adopt("lake", None, INFO)
    time = times(2000)
    rows = Batch(("lake",), np.zeros(2000, np.int32), time, ("t",), np.ones((2000, 1)))
    now = int(time[-1]) + 6 * DAY
    pipeline.run([rows], now)
    rhythms = Rhythms(pipeline, START)
    assert rhythms.look(now + MINUTE) == []
    assert [i.title for i in rhythms.look(now + 3 * HOUR)] == ["silent for 3 h"]


def test_a_restart_goes_on_with_the_same_silence(pipeline):
    newest = report(pipeline, times(2000))
    (incident,) = Rhythms(pipeline, START).look(newest + 3 * HOUR)
    again = Rhythms(pipeline, newest + 3 * HOUR, [incident])
    (later,) = again.look(newest + 9 * HOUR)
    assert (later.id, later.title) == (incident.id, "silent for 9 h")


def test_a_silence_that_is_over_says_how_long_it_was(pipeline):
    newest = report(pipeline, times(2000))
    rhythms = Rhythms(pipeline, START)
    rhythms.look(newest + 3 * HOUR)
    back = report(pipeline, [newest + 3 * HOUR + 30 * MINUTE])
    (over,) = rhythms.look(back + SECOND)
    assert over.title == "silent for 3 h 30 min"
    assert "; silent for 3 h 30 min, since " in over.text
    assert over.lasted == 3 * HOUR + 30 * MINUTE


def test_a_silence_that_was_told_goes_on_for_months(pipeline):
    newest = report(pipeline, times(2000))
    rhythms = Rhythms(pipeline, START)
    rhythms.look(newest + 3 * HOUR)
    (later,) = rhythms.look(newest + 90 * DAY)
    assert later.title == "silent for 90 d"
    assert Rhythms(pipeline, START).look(newest + 90 * DAY) == [], "nobody looked for so long"


def test_a_death_that_sparkplug_told_is_in_the_sentence():
    tags = {"sparkplug": "offline since 2023-11-16T00:03:20.000Z"}
    info = SensorInfo("g/edge", tags=tags)
    pipeline = Pipeline(Budget(3.0), lambda sensor_id: info, zones=Zones())
    newest = report(pipeline, times(2000), "g/edge")
    (incident,) = Rhythms(pipeline, START).look(newest + 3 * HOUR)
    told = " Sparkplug told of it: offline since 2023-11-16T00:03:20.000Z. By chance"
    assert told in incident.text


# --- silent together ---

END = START + 2 * DAY


def until(end, seed=0):
    """Times up to some network's death."""
    time = times(4000, seed=seed)
    return time[time < end]


def test_sensors_of_a_site_that_fall_silent_together_say_so():
    sites = {"a": "North", "b": "North", "c": "North", "d": "South"}
    infos = {name: SensorInfo(name, site=site) for name, site in sites.items()}
    pipeline = Pipeline(Budget(3.0), infos.__getitem__, zones=Zones())
    newest = {name: report(pipeline, until(END, seed=i), name) for i, name in enumerate("abcd")}
    report(pipeline, times(300, start=newest["c"]), "c")
    rhythms = Rhythms(pipeline, START)
    told = {i.sensor_id: i for i in rhythms.look(END + 3 * HOUR)}
    assert told.keys() == {"a", "b", "d"}
    assert told["a"].title.startswith("silent for 3 h, as is 1 other of North")
    assert " 1 of the 2 other sensors of North fell silent with it: look " in told["a"].text
    assert told["d"].title.startswith("silent for") and "South" not in told["d"].text


@pytest.mark.parametrize(
    ("others", "title", "sentence"),
    [
        ("b", ", as is 1 other from mqtt", "The other sensor from mqtt fell"),
        ("bc", ", as are 2 others from mqtt", "Both other sensors from mqtt fell"),
        ("bcd", ", as are 3 others from mqtt", "All 3 other sensors from mqtt fell"),
    ],
)
def test_without_sites_it_is_told_of_their_source(others, title, sentence):
    pipeline = Pipeline(Budget(3.0), lambda name: SensorInfo(name, source="mqtt"), zones=Zones())
    for i, name in enumerate("a" + others):
        report(pipeline, until(END, seed=i), name)
    told = Rhythms(pipeline, START).look(END + 3 * HOUR)
    assert len(told) == 1 + len(others)
    assert all(title in i.title and sentence in i.text for i in told)


def test_a_sensor_that_was_silent_before_is_not_counted():
    pipeline = Pipeline(Budget(3.0), lambda name: SensorInfo(name, site="North"), zones=Zones())
    report(pipeline, until(END - DAY), "a")
    report(pipeline, until(END, seed=1), "b")
    (alone,) = [i for i in Rhythms(pipeline, START).look(END + 3 * HOUR) if i.sensor_id == "b"]
    assert "North" not in alone.text


# --- stutter ---


def stutter(start, hours=2, seed=1):
    """Two of three readings are lost."""
    time = times(round(hours * 3600 / 65), seed=seed, start=start)
    return time[np.random.default_rng(seed).random(len(time)) < 0.35]


def test_a_stuttering_sensor_becomes_an_incident_and_ends_when_its_rhythm_is_back(pipeline):
    newest = report(pipeline, times(10_000))
    rhythms = Rhythms(pipeline, START)
    assert rhythms.look(newest + MINUTE) == []
    last = report(pipeline, stutter(newest))
    (incident,) = rhythms.look(last + MINUTE)
    assert incident.kind == "stuttering"
    assert incident.title == "only 38 of 110 readings came in 2 h 2 min"
    assert incident.text.startswith(
        "Lake Barmen usually reports every 1 min 6 s; in the 2 h 2 min since "
        "Wed 22 Nov 2023, 14:12 UTC only 38 of 110 readings came. By chance alone, "
    )
    last = report(pipeline, times(60, start=last))
    (over,) = rhythms.look(last + MINUTE)
    assert (over.id, over.kind) == (incident.id, "stuttering")
    assert over.closed is not None
    assert rhythms.look(last + 2 * MINUTE) == []


def test_readings_in_bursts_are_stutter_too(pipeline):
    newest = report(pipeline, times(10_000))
    bursts = newest + np.arange(1, 13) * 650 * SECOND
    last = report(pipeline, (bursts[:, None] + np.arange(10) * SECOND).ravel())
    (incident,) = Rhythms(pipeline, START).look(last + MINUTE)
    assert incident.title == "readings come in bursts, up to 10 min 50 s apart"


def test_one_long_pause_is_no_stutter(pipeline):
    newest = report(pipeline, times(10_000))
    last = report(pipeline, times(30, start=newest + 5 * HOUR))
    assert Rhythms(pipeline, START).look(last + MINUTE) == []


def test_a_sensor_that_reports_at_random_times_may_do_so(pipeline):
    steps = np.random.default_rng(3).exponential(65, 20_000)
    time = START + (np.cumsum(steps) * SECOND).astype(np.int64)
    rhythms = Rhythms(pipeline, START)
    for part in np.array_split(time, 200):
        newest = report(pipeline, part)
        assert rhythms.look(newest + SECOND) == []


def test_another_rhythm_that_is_kept_becomes_the_usual_one(pipeline):
    newest = report(pipeline, times(10_000))
    rhythms = Rhythms(pipeline, START)
    newest = report(pipeline, times(20, seconds=300, start=newest))
    assert [i.kind for i in rhythms.look(newest + MINUTE)] == ["stuttering"]
    newest = report(pipeline, times(40, seconds=300, start=newest))
    (over,) = rhythms.look(newest + MINUTE)
    assert over.closed is not None
    last = report(pipeline, times(100, seconds=300, start=newest))
    assert rhythms.look(last + MINUTE) == []


def test_a_stutter_that_ends_in_silence_is_told_as_silence(pipeline):
    last = report(pipeline, stutter(report(pipeline, times(10_000))))
    rhythms = Rhythms(pipeline, START)
    (stuttering,) = rhythms.look(last + MINUTE)
    over, silent = rhythms.look(last + 6 * HOUR)
    assert (over.id, over.closed) == (stuttering.id, last)
    assert silent.kind == "silent"
    assert rhythms.look(last + 6 * HOUR + SECOND) == []


def test_a_stutter_of_the_past_is_no_news(pipeline):
    last = report(pipeline, stutter(report(pipeline, times(10_000))))
    found = Rhythms(pipeline, START).look(last + 20 * DAY)
    assert [incident.kind for incident in found] == ["silent"]


# --- usual hours ---


def test_a_sensor_that_is_off_at_night_is_not_called_silent_every_night(pipeline):
    rhythms = Rhythms(pipeline, MONDAY)
    time = workdays(4)
    days = np.split(time, np.flatnonzero(np.diff(time) > HOUR) + 1)
    report(pipeline, np.concatenate(days[:6]))
    for day in days[6:]:
        assert rhythms.look(int(day[0]) - SECOND) == []
        report(pipeline, day)


def test_but_it_is_called_silent_when_it_is_off_by_day(pipeline):
    time = workdays(8)
    monday = MONDAY + 7 * 7 * DAY
    newest = report(pipeline, time[time < monday + 9 * HOUR])
    rhythms = Rhythms(pipeline, MONDAY)
    assert rhythms.look(newest + 20 * MINUTE) == []
    (incident,) = rhythms.look(newest + 8 * HOUR)
    assert incident.text.startswith(
        "Lake Barmen usually reports every 5 min at its usual hours; silent for 8 h, since "
    )


def test_readings_at_unusual_hours_become_an_incident(pipeline):
    report(pipeline, workdays(6))
    sunday = MONDAY + 41 * DAY + 2 * HOUR
    rhythms = Rhythms(pipeline, MONDAY)
    last = report(pipeline, sunday + np.arange(0, HOUR, 5 * MINUTE))
    (incident,) = rhythms.look(last + MINUTE)
    assert (incident.kind, incident.opened, incident.rows) == ("out of season", sunday, 12)
    assert incident.title == "reports on Sunday at 04:00, out of its usual hours"
    assert incident.text.startswith(
        "Lake Barmen sent 12 readings on Sunday from 04:00 (Europe/Berlin) on, "
        "when it usually sends none."
    )
    last = report(pipeline, workdays(1, start=MONDAY + 42 * DAY)[:150])
    (over,) = rhythms.look(last + MINUTE)
    assert (over.id, over.closed) == (incident.id, incident.last)


def test_summer_time_moves_the_usual_hours_with_the_clocks(pipeline):
    summer = to_micros(datetime(2024, 4, 1, tzinfo=UTC)) - 2 * HOUR
    report(pipeline, workdays(4))
    rhythms = Rhythms(pipeline, MONDAY)
    for day in range(4):
        morning = summer + day * DAY + 8 * HOUR
        assert rhythms.look(morning - SECOND) == []
        report(pipeline, morning + np.arange(0, 10 * HOUR, 5 * MINUTE))
        assert rhythms.look(morning + 10 * HOUR) == []


def test_in_another_zone_the_hours_are_learned_anew(pipeline):
    report(pipeline, workdays(6))
    pipeline.place(SensorInfo("lake", timezone="Asia/Tokyo"))
    last = report(pipeline, MONDAY + 41 * DAY + np.arange(0, 2 * HOUR, 5 * MINUTE))
    assert Rhythms(pipeline, MONDAY).look(last + MINUTE) == []


# --- seasons ---


def seasons(years, hourly=HOUR):
    """From March to November of each year."""
    time = np.arange(to_micros(datetime(2020, 3, 1, tzinfo=UTC)), MONDAY, hourly)
    day = (time - to_micros(datetime(2020, 1, 1, tzinfo=UTC))) // DAY % 365.25
    kept = time[(day > 60) & (day < 330)]
    return kept[kept < to_micros(datetime(2020 + years, 1, 1, tzinfo=UTC))]


def test_a_sensor_that_was_taken_in_last_winter_may_be_taken_in_again(pipeline):
    rhythms = Rhythms(pipeline, START - 10_000 * DAY)
    autumn = report(pipeline, seasons(1))
    assert [i.kind for i in rhythms.look(autumn + 20 * DAY)] == ["silent"]
    autumn = report(pipeline, seasons(2)[len(seasons(1)) :])
    assert [i.state for i in rhythms.look(autumn + MINUTE)] == ["closed"]
    assert rhythms.look(autumn + 20 * DAY) == []


def test_after_two_winters_off_readings_in_winter_are_an_incident(pipeline):
    autumn = report(pipeline, seasons(3))
    winter = to_micros(datetime(2023, 1, 10, tzinfo=UTC))
    assert winter - autumn > 40 * DAY
    last = report(pipeline, winter + np.arange(0, 5 * HOUR, HOUR))
    (incident,) = Rhythms(pipeline, autumn).look(last + MINUTE)
    assert incident.title == "reports in January, out of its season"


def test_what_is_expected_goes_by_the_clocks_of_the_zone():
    time = MONDAY + np.arange(0, 12 * DAY, 10 * MINUTE)
    values = np.sin(np.arange(len(time)) / 23.0)[:, None]

    def expected(info, time):
        made = new_pipeline()
        made.adopt("lake", None, info)
        rows = Batch(("lake",), np.zeros(len(time), np.int32), time, ("t",), values)
        (verdicts,) = made.run([rows], int(time[-1])).verdicts
        return verdicts.expected

    there, here = expected(INFO, time), expected(SensorInfo("lake"), time + HOUR)
    np.testing.assert_array_equal(there, here)
    assert (there[-100:] != expected(SensorInfo("lake"), time)[-100:]).any()


# --- state ---


@pytest.mark.parametrize("cut", [1, 7, 500, 3000])
def test_batches_and_checkpoints_change_nothing(cut):
    time = np.concatenate([workdays(4), workdays(4)[-1] + times(2000, start=0)])
    whole, parts = new_pipeline(), new_pipeline()
    newest = report(whole, time)
    report(parts, time[:cut])
    (checkpoint,) = parts.checkpoints_of(["lake"])
    parts = new_pipeline()
    parts.adopt("lake", Recovery(checkpoint.state, (), int(time[cut - 1])), INFO)
    for one in np.array_split(time[cut:], 37):
        report(parts, one)
    now = newest + 40 * MINUTE
    seen = [each.attended(MONDAY, now).seen.tobytes() for each in (whole, parts)]
    assert seen[0] == seen[1]
    states = [each.checkpoints_of(["lake"])[0].state for each in (whole, parts)]
    assert states[0] == states[1]


def test_what_is_learned_anew_of_values_keeps_the_rhythm(pipeline):
    newest = report(pipeline, workdays(6))
    before = pipeline.attended(MONDAY, newest + HOUR).seen.tobytes()
    pipeline.begin_again("lake")
    pipeline.replay([])
    after = pipeline.attended(MONDAY, newest + HOUR)
    pipeline.relive("lake", [])
    assert pipeline.attended(MONDAY, newest + HOUR).seen["interval"] == after.seen["interval"]
    assert before != b""
