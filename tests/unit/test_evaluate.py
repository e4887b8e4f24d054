"""`evaluate` on a small folder of labelled series."""

import json
import math

import numpy as np
import pytest

from redshank.core.errors import FileFormatError, InputError, NotFoundError
from redshank.core.table_writer import write_table
from redshank.models.evaluate import (
    MODES,
    PREFIX,
    SELF_START,
    Figures,
    compare,
    evaluate,
    mean_figures,
    series_table,
)
from redshank.models.manifest import Series, read_manifest

TRAIN = 400
ROWS = 900


def write_series(folder, name, faults, channel="value"):
    values = np.random.default_rng(len(name)).normal(size=ROWS)
    labels = np.zeros(ROWS, bool)
    for first in faults:
        values[first : first + 20] += 15
        labels[first : first + 20] = True
    time = np.datetime64("2026-01-01T00:00:00.000000") + np.arange(ROWS) * np.timedelta64(300, "s")
    columns = {"timestamp": time, channel: values, "is_anomaly": labels}
    write_table(folder / f"{name}.parquet", columns)


def write_manifest(folder, *entries):
    (folder / "manifest.json").write_text(json.dumps({"series": entries}))


def entry(name, family, **more):
    return {"file": f"{name}.parquet", "family": family, "train_rows": TRAIN, **more}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two pumps and a meter that count, and a spare that does not; one fault lies in a prefix."""
    folder = tmp_path_factory.mktemp("series")
    write_series(folder, "pump-1", [600])
    write_series(folder, "pump-02", [100, 700])
    write_series(folder, "meter-003", [650])
    write_series(folder, "spare-0004", [])
    write_manifest(
        folder,
        entry("pump-1", "pumps", vus_window=10, cadence_seconds=300),
        entry("pump-02", "pumps", vus_window=10, channels=["value"], cadence_seconds=300.0),
        entry("meter-003", "meters"),
        entry("spare-0004", "meters", core=False, licence="MIT"),
    )
    return folder


@pytest.fixture(scope="module")
def evaluation(folder):
    return evaluate(folder)


def result(evaluation, name, mode=PREFIX):
    return next(r for r in evaluation.series if (r.name, r.mode) == (name, mode))


def test_each_series_is_run_in_each_mode(evaluation):
    names = ["pump-1", "pump-02", "meter-003", "spare-0004"]
    expected = [(name, mode) for name in names for mode in MODES]
    assert [(r.name, r.mode) for r in evaluation.series] == expected


def test_clear_faults_are_ranked_first_and_found(evaluation):
    for mode in MODES:
        for name in ("pump-1", "meter-003"):
            figures = result(evaluation, name, mode).figures
            assert figures.vus_pr > 0.7
            assert figures.recall == 1


def test_rows_of_the_prefix_are_compared_with_labels_in_no_mode(evaluation):
    for mode in MODES:
        found = result(evaluation, "pump-02", mode)
        assert (found.rows, found.events.events) == (ROWS - TRAIN, 1)


def test_macro_is_the_mean_over_families_of_core_series(evaluation):
    pumps = [result(evaluation, name).figures.vus_pr for name in ("pump-1", "pump-02")]
    meter = result(evaluation, "meter-003").figures.vus_pr
    assert evaluation.families[PREFIX]["pumps"].vus_pr == pytest.approx(np.mean(pumps))
    assert evaluation.families[PREFIX]["meters"].vus_pr == pytest.approx(meter)
    expected = np.mean([np.mean(pumps), meter])
    assert evaluation.macro[PREFIX].vus_pr == pytest.approx(expected)


def test_a_series_without_events_has_only_false_alarms(evaluation):
    figures = result(evaluation, "spare-0004").figures
    assert math.isnan(figures.vus_pr) and math.isnan(figures.event_f1)
    assert figures.false_per_1000 >= 0


def test_processes_change_nothing_and_progress_counts(folder, evaluation):
    seen = []
    parallel = evaluate(folder, jobs=2, progress=lambda *step: seen.append(step))
    assert repr(parallel) == repr(evaluation)
    assert [done for done, _, _ in seen] == [1, 2, 3, 4]
    assert {total for _, total, _ in seen} == {4}


def test_a_larger_budget_alarms_no_less(folder):
    few = evaluate(folder, modes=[SELF_START], alarm_budget=0.1, core_only=True)
    many = evaluate(folder, modes=[SELF_START], alarm_budget=300.0, core_only=True)
    assert many.macro[SELF_START].false_per_1000 >= few.macro[SELF_START].false_per_1000
    assert [r.name for r in few.series] == ["pump-1", "pump-02", "meter-003"]
    assert few.alarm_budget == 0.1


def test_a_score_of_ones_own_is_compared_in_the_same_way(folder):
    series = read_manifest(folder)[0]
    table = series_table(series)
    perfect = compare(series, "labels", table, table.labels.astype(float), table.labels)
    assert (perfect.figures.vus_pr, perfect.figures.event_f1) == (pytest.approx(1), 1)


def test_figures_that_labels_leave_undefined_are_left_out_of_means():
    nan = float("nan")
    one = Figures(0.5, 0.5, nan, 1, 1, 0, 0, 0)
    other = Figures(nan, 0.7, nan, 0, 0, 1, 2, 0)
    mean = mean_figures([one, other])
    assert (mean.vus_pr, mean.auc_pr, mean.false_per_1000) == (0.5, pytest.approx(0.6), 1)
    assert math.isnan(mean.roc_auc)
    assert math.isnan(mean_figures([]).vus_pr)


# --- The manifest ------------------------------------------------------------------------------


def test_only_the_file_is_needed(tmp_path):
    (tmp_path / "manifest.json").write_text('[{"file": "a/b.csv", "cadence_seconds": null}]')
    assert read_manifest(tmp_path) == [Series("b", tmp_path / "a/b.csv")]


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        ("{", "is not JSON"),
        ('{"rows": 1}', "lists no series"),
        ('{"series": [1]}', "series 1 is 1, not an object"),
        ('{"series": [{"name": "x"}]}', "series 'x', field 'file': is missing"),
        (
            '{"series": [{"name": "x", "file": "x.csv", "train_rows": "many"}]}',
            "series 'x', field 'train_rows': is 'many', not a whole number",
        ),
        (
            '{"series": [{"file": "x.csv", "vus_window": -1}]}',
            "series 'x.csv', field 'vus_window': is -1, which is negative",
        ),
        ('{"series": [{"file": "x.csv"}, {"file": "x.csv"}]}', "series 'x' is there twice"),
    ],
)
def test_a_manifest_that_cannot_be_used_says_which_field(tmp_path, manifest, message):
    (tmp_path / "manifest.json").write_text(manifest)
    with pytest.raises(FileFormatError, match=message):
        read_manifest(tmp_path)


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(NotFoundError, match=r"manifest\.json: there is no such file"):
        evaluate(tmp_path)
    write_manifest(tmp_path, entry("gone", "pumps"))
    with pytest.raises(NotFoundError, match=r"gone\.parquet: there is no such file"):
        evaluate(tmp_path)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"channels": ["flow"]}, "series 'x', field 'channels': 'flow' is no column of numbers"),
        ({"train_rows": ROWS}, "series 'x', field 'train_rows': 900 leaves none of 900 rows"),
    ],
)
def test_a_series_that_does_not_fit_its_table_says_how(tmp_path, more, message):
    write_series(tmp_path, "x", [])
    write_manifest(tmp_path, entry("x", "pumps", **more))
    with pytest.raises(FileFormatError, match=message):
        evaluate(tmp_path)


def test_a_table_without_labels_cannot_be_evaluated(tmp_path):
    write_table(tmp_path / "x.parquet", {"value": np.arange(10.0)})
    write_manifest(tmp_path, {"file": "x.parquet"})
    with pytest.raises(FileFormatError, match="series 'x' has no label column"):
        evaluate(tmp_path)


def test_an_unknown_mode_is_refused(folder):
    with pytest.raises(InputError, match="mode 'oracle' is unknown; there are prefix and self-st"):
        evaluate(folder, modes=["oracle"])
