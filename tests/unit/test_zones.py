"""Time zones: offsets from UTC as the IANA database has them; the machine's own zone is nothing."""

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redshank.core.clock import HOUR, MINUTE, SECOND, from_micros, time_zone, to_micros
from redshank.core.errors import FieldError
from redshank.core.records import SensorInfo
from redshank.core.zones import Zone, Zones

NAMES = ("Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "UTC")


def at(*when):
    return to_micros(datetime(*when, tzinfo=UTC))


def hours(name, *when):
    return Zone(name).offset(at(*when)) / HOUR


def test_summer_time_begins_and_ends_on_the_second():
    assert hours("Europe/Berlin", 2025, 3, 30, 0, 59, 59) == 1
    assert hours("Europe/Berlin", 2025, 3, 30, 1, 0, 0) == 2
    assert hours("Europe/Berlin", 2025, 10, 26, 0, 59, 59) == 2
    assert hours("Europe/Berlin", 2025, 10, 26, 1, 0, 0) == 1


def test_other_places():
    assert hours("Asia/Kathmandu", 2025, 1, 1) == 5.75
    assert hours("America/New_York", 2025, 7, 1) == -4
    assert Zone("UTC").offsets(np.array([at(2025, 7, 1)])).tolist() == [0]


@settings(deadline=None)  # a year's changes are looked up when it is first asked for
@given(
    name=st.sampled_from(NAMES),
    seconds=st.lists(
        st.integers(at(1902, 1, 1) // SECOND, at(2101, 1, 1) // SECOND - 1), min_size=1, max_size=20
    ),
)
def test_many_times_at_once_are_as_one_by_one(name, seconds):
    time = np.array(seconds, np.int64) * SECOND
    wanted = [
        from_micros(one).astimezone(time_zone(name)).utcoffset().total_seconds() * SECOND
        for one in time.tolist()
    ]
    assert Zone(name).offsets(time).tolist() == wanted
    assert [Zone(name).offset(one) for one in time.tolist()] == wanted


def test_times_beyond_the_calendar_have_an_offset_too():
    far = np.array([at(1, 1, 1), at(2025, 7, 1), at(9999, 12, 31)])
    assert Zone("Europe/Berlin").offsets(far)[1] == 2 * HOUR


def test_a_sensor_has_its_own_zone_or_that_of_its_site_or_the_general_one():
    zones = Zones("Asia/Tokyo", {"Farm": "Europe/Berlin"})
    assert zones.of(SensorInfo("a")).name == "Asia/Tokyo"
    assert zones.of(SensorInfo("a", site="Farm")).name == "Europe/Berlin"
    own = SensorInfo("a", site="Farm", timezone="Asia/Kathmandu")
    assert zones.of(own).offset(at(2025, 1, 1)) == 5 * HOUR + 45 * MINUTE


def test_a_zone_that_the_machine_does_not_know_is_the_general_one():
    zones = Zones("Asia/Tokyo")
    assert zones.of(SensorInfo("a", timezone="Mars/Olympus")).name == "Asia/Tokyo"
    assert zones.named("Mars/Olympus").name == "Asia/Tokyo"


def test_zones_have_numbers_for_arrays():
    zones = Zones("Europe/Berlin")
    far = zones.number(Zone("Asia/Kathmandu"))
    assert zones.numbered(far).name == "Asia/Kathmandu"
    time = np.full(3, at(2025, 1, 1))
    assert zones.offsets(np.array([0, far, 0], np.int32), time).tolist() == [
        HOUR,
        5 * HOUR + 45 * MINUTE,
        HOUR,
    ]


@pytest.mark.parametrize("name", ["Europe", "Berlin", "localtime", "../etc/passwd", ""])
def test_what_is_no_zone_is_refused(name):
    with pytest.raises(FieldError, match="is not a time zone: use a name such as Europe/Berlin"):
        Zone(name)
