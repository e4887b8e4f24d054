"""A fleet that does not exist, with faults that are known."""

import asyncio
import json

import numpy as np
import pytest

from redshank.adapters.sources.replay import FileReplay
from redshank.adapters.sources.simulator import KINDS, PRESETS, ChannelModel, Simulator, write
from redshank.core.batch import rows
from redshank.core.clock import DAY, HOUR, MINUTE, FakeClock, parse_time
from redshank.core.errors import SourceError

START = parse_time("2026-01-05T00:00:00Z")


def simulator(preset="sensebox", **options):
    return Simulator(
        preset, **{"start": START, "every": 300, "rows": 288 * 7, "speed": None, **options}
    )


def collect(source, cursor=None):
    async def run():
        return [parcel async for parcel in source.parcels(cursor)]

    return asyncio.run(run())


def healthy(preset):
    """(n, C) a week of healthy values by channel name."""
    batch = simulator(preset, faults_per_day=0, sensors=5).simulate().batch
    return {name: batch.values[:, i] for i, name in enumerate(batch.channels)}


@pytest.mark.parametrize(
    ("preset", "channel", "low", "high"),
    [
        ("turbine", "temperature", 22, 28),
        ("turbine", "humidity", 52, 68),
        ("turbine", "sound", 0.4, 0.6),
        ("factory", "temperature", 65, 85),
        ("factory", "pressure", 95, 110),
        ("factory", "vibration", 0.01, 0.05),
    ],
)
def test_presets_keep_their_ranges(preset, channel, low, high):
    values = healthy(preset)[channel]
    assert np.mean((values >= low) & (values <= high)) > 0.97
    assert low < np.median(values) < high


def test_an_office_changes_slowly():
    for name, values in healthy("office").items():
        by_sensor = values.reshape(-1, 5)
        steps = np.abs(np.diff(by_sensor, axis=0)).mean()
        assert steps < np.std(by_sensor) / 4, name


def test_a_sensebox_knows_day_and_night_and_what_belongs_together():
    values = healthy("sensebox")
    assert np.mean(values["illuminance"] < 50) == pytest.approx(0.5, abs=0.1)
    assert np.corrcoef(values["temperature"], values["humidity"])[0, 1] < -0.5
    assert np.corrcoef(values["pm10"], values["pm25"])[0, 1] > 0.5


def test_the_same_seed_is_the_same_fleet():
    one, two, other = (simulator(seed=seed, rows=50).simulate() for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.batch.values, two.batch.values)
    assert one.labels == two.labels
    assert not np.array_equal(one.batch.values, other.batch.values)


@pytest.mark.parametrize("kind", KINDS)
def test_each_fault_is_where_its_label_says(kind):
    options = {"sensors": 4, "seed": 3}
    sick = simulator("factory", kinds=[kind], faults_per_day=0.3, **options).simulate()
    well = simulator("factory", faults_per_day=0, **options).simulate()
    assert sick.labels
    assert {label.kind for label in sick.labels} == {kind}
    differs = ~np.isclose(sick.batch.values, well.batch.values, equal_nan=False)
    ids = np.array(list(sick.batch.ids()))
    expected = np.zeros_like(differs)
    for label in sick.labels:
        rows_of = (ids == label.sensor_id) & (sick.batch.time >= label.start)
        rows_of &= sick.batch.time <= label.end
        expected[rows_of, sick.batch.channels.index(label.channel)] = True
    assert not (differs & ~expected).any(), "nothing is changed outside the labels"
    assert (differs & expected).sum() > 0.5 * expected.sum()
    np.testing.assert_array_equal(sick.is_anomaly, expected.any(axis=1))
    assert min(label.start for label in sick.labels) >= START + DAY, "the first day is healthy"


def test_what_the_faults_look_like():
    def faulty(kind):
        fleet = simulator("factory", kinds=[kind], faults_per_day=0.5, sensors=4, rows=288 * 4)
        result = fleet.simulate()
        label = next(one for one in result.labels if one.end < result.batch.time[-1])
        ids = np.array(list(result.batch.ids()))
        inside = (ids == label.sensor_id) & (result.batch.time >= label.start)
        inside &= result.batch.time <= label.end
        return result.batch.values[inside, result.batch.channels.index(label.channel)]

    assert np.ptp(faulty("stuck")) == 0
    assert np.isnan(faulty("dropout")).all()
    assert np.ptp(faulty("saturation")) == 0
    drift = faulty("drift")
    assert abs(drift[-1] - drift[0]) > 3 * np.abs(np.diff(drift)).mean()


def test_as_a_source_it_says_the_same_as_in_one_piece():
    whole = simulator(rows=300, sensors=7, faults_per_day=1).simulate().batch
    parcels = collect(simulator(rows=300, sensors=7, faults_per_day=1))
    values = np.concatenate([batch.values for parcel in parcels for batch in parcel.batches])
    time = np.concatenate([batch.time for parcel in parcels for batch in parcel.batches])
    order = np.argsort(time, kind="stable")
    np.testing.assert_array_equal(values[order], whole.values)
    assert parcels[-1].progress == 1.0
    assert parcels[0].sensors[0].channels["temperature"].unit == "°C"


def test_live_it_keeps_its_rhythm():
    clock = FakeClock(START)
    waits = []

    async def sleep(seconds):
        waits.append(seconds)
        clock.advance(seconds)

    options = {"start": None, "rows": 4, "every": 10, "speed": 2.0, "clock": clock, "sleep": sleep}
    parcels = collect(simulator("turbine", sensors=3, **options))
    assert len(parcels) == 4
    assert waits == pytest.approx([0, 5, 5, 5])
    assert json.loads(parcels[0].cursor)["start"] == START


@pytest.mark.parametrize("ending", ["csv", "parquet", "ndjson"])
def test_what_is_written_can_be_replayed_and_keeps_its_labels(tmp_path, ending):
    result = simulator("factory", sensors=3, faults_per_day=3, rows=600).simulate()
    path = tmp_path / "fleet" / f"plant.{ending}"
    path.parent.mkdir()
    write(result, path)
    labels = (path.parent / "plant.labels.csv").read_text().splitlines()
    assert labels[0] == "sensor_id,channel,kind,start,end"
    assert len(labels) == len(result.labels) + 1
    replayed = [
        reading
        for parcel in collect(FileReplay(path, clock=FakeClock(START + 30 * DAY)))
        for batch in parcel.batches
        for reading in rows(batch)
    ]
    assert len(replayed) == len(result.batch)
    assert set().union(*(reading.values for reading in replayed)) == set(result.batch.channels)


def test_own_channels():
    model = ChannelModel("torque", "Nm", 40, noise=1)
    batch = simulator([model], sensors=2, rows=10).simulate().batch
    assert batch.channels == ("torque",)
    assert batch.sensor_ids == ("sensor-1", "sensor-2")


@pytest.mark.parametrize(
    "options",
    [{"preset": "castle"}, {"kinds": ["gremlins"]}, {"sensors": 0}, {"every": 0}, {"speed": -1}],
)
def test_what_cannot_be_simulated(options):
    with pytest.raises(SourceError):
        simulator(**options)


def test_an_endless_simulation_has_no_whole():
    with pytest.raises(SourceError, match="endless"):
        simulator(rows=None).simulate()
    assert set(PRESETS) == {"turbine", "factory", "office", "sensebox"}
    assert HOUR == 60 * MINUTE
