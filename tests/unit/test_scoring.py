"""`score_table`: what live readings get, for the rows of a file."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from redshank.core.clock import DAY, MINUTE
from redshank.core.errors import FieldError
from redshank.core.table_writer import write_table
from redshank.models import scoring
from redshank.models.scoring import score_table
from redshank.models.tables import Table, read_table

START = 1_700_000_000_000_000
FAULT = 1500


def two_channels(rows=2000, spacing=5 * MINUTE):
    """A daily rhythm and its neighbour; from row 1500 on, 30 rows of `b` are far too high."""
    noise = np.random.default_rng(1).normal(size=(rows, 2))
    time = START + spacing * np.arange(rows)
    day = np.sin(2 * np.pi * (time % DAY) / DAY)
    values = np.column_stack((20 + 5 * day, 60 - 9 * day)) + 0.3 * noise
    values[FAULT : FAULT + 30, 1] += 40
    return Table(time, ("a", "b"), values)


@pytest.fixture(scope="module")
def scored():
    return score_table(two_channels())


def same(one, other):
    return all(
        np.array_equal(values, other.columns()[name]) for name, values in one.columns().items()
    )


def test_a_gross_fault_alarms_at_once_and_names_its_channel(scored):
    assert scored.is_anomaly[FAULT]
    assert not scored.is_anomaly[FAULT - 300 : FAULT].any()
    assert scored.contributions[FAULT].argmax() == 1
    assert scored.score[FAULT] > scored.score[FAULT - 300 : FAULT].max()


def test_an_incident_opens_where_the_rate_is_within_the_threshold(scored):
    opening = scored.is_anomaly & ~np.append(False, scored.is_anomaly[:-1])
    assert opening.any()
    assert (scored.rate[opening] <= scored.threshold[opening]).all()
    assert (scored.threshold == 3).all()


def test_rate_and_tail_probability_are_one_scale(scored):
    assert ((scored.rate >= 0) & (scored.rate <= 8640)).all()
    np.testing.assert_allclose(scored.tail_probability, scored.rate / 8640)


def test_while_it_learns_ordinary_rows_have_no_score_and_no_alarm(scored):
    assert (scored.score[:200] == 0).all()
    assert (scored.rate[:200] > 100).all()
    assert (scored.rate[0], scored.tail_probability[0]) == (8640, 1)
    assert not scored.is_anomaly[:200].any()


def test_history_is_learned_from_and_not_judged():
    table = two_channels()
    scored = score_table(table, train_rows=600)
    assert (scored.score[:600] == 0).all() and not scored.is_anomaly[:600].any()
    assert (scored.rate[:600] == 8640).all() and (scored.contributions[:600] == 0).all()
    assert scored.score[600:].min() > 0
    assert scored.is_anomaly[FAULT]


def test_all_rows_may_be_history():
    table = two_channels(rows=400)
    scored = score_table(table, train_rows=400)
    assert not scored.is_anomaly.any() and (scored.tail_probability == 1).all()


def test_the_default_budget_is_three_a_month_at_five_minutes(scored):
    by_event_time = score_table(two_channels(), alarm_budget=3)
    often = scored.rate > 20
    assert often[300:].mean() > 0.9
    np.testing.assert_allclose(by_event_time.rate[often], scored.rate[often], rtol=1e-3)
    assert (by_event_time.threshold == 3).all()


def test_a_budget_counts_in_event_time():
    by_rows = score_table(two_channels(spacing=MINUTE))
    by_time = score_table(two_channels(spacing=MINUTE), alarm_budget=10)
    often = by_rows.rate > 20
    often[:300] = False
    np.testing.assert_allclose(by_time.rate[often], 5 * by_rows.rate[often], rtol=1e-3)
    assert by_time.rate[200] == pytest.approx(30 * 24 * 60, rel=1e-3)
    assert (by_time.threshold == 10).all()


def test_who_has_not_seen_a_day_cannot_know_what_is_rare_in_one():
    day = score_table(two_channels(spacing=MINUTE), alarm_budget=10)
    weeks = score_table(two_channels(spacing=15 * MINUTE), alarm_budget=10)
    at = slice(FAULT + 1, FAULT + 30)  # the first one is outside everything seen
    assert 10 * weeks.tail_probability[at].min() < day.tail_probability[at].min()


def test_without_times_the_rows_count():
    table = replace(two_channels(), time=None)
    scored = score_table(table, alarm_budget=3)
    assert scored.is_anomaly[FAULT]
    assert scored.columns()["timestamp"].tolist() == list(range(len(table)))


def test_rows_are_scored_in_time_order_and_given_back_in_file_order(scored):
    table = two_channels()
    order = np.random.default_rng(0).permutation(len(table))
    shuffled = replace(table, time=table.time[order], values=table.values[order])
    got = score_table(shuffled)
    for name, column in scored.columns().items():
        np.testing.assert_array_equal(got.columns()[name], column[order])


def test_no_row_knows_what_comes_later(scored):
    table = two_channels()
    cut = 1600
    early = score_table(replace(table, time=table.time[:cut], values=table.values[:cut]))
    for name, column in early.columns().items():
        np.testing.assert_array_equal(column, scored.columns()[name][:cut])


@settings(max_examples=5, deadline=None)
@given(chunk=st.integers(1, 700))
def test_chunks_do_not_matter(scored, chunk):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scoring, "_CHUNK", chunk)
        assert same(score_table(two_channels()), scored)


def test_labels_never_reach_the_detector(tmp_path, scored):
    table = two_channels()
    labels = np.zeros(len(table), bool)
    labels[FAULT : FAULT + 30] = True
    columns = {"timestamp": table.time.view("datetime64[us]"), "a": table.values[:, 0]}
    columns["b"] = table.values[:, 1]
    for ending in ("csv", "parquet"):
        write_table(tmp_path / f"bare.{ending}", columns)
        write_table(tmp_path / f"labelled.{ending}", {**columns, "is_anomaly": labels})
        bare = score_table(read_table(tmp_path / f"bare.{ending}"))
        labelled = score_table(read_table(tmp_path / f"labelled.{ending}"))
        assert same(bare, labelled) and same(bare, scored)


def test_rows_of_the_same_time_are_one_row():
    table = two_channels()
    twice = np.sort(np.append(np.arange(len(table)), FAULT))
    got = score_table(replace(table, time=table.time[twice], values=table.values[twice]))
    assert got.is_anomaly[FAULT] and got.is_anomaly[FAULT + 1]
    assert got.score[FAULT] == got.score[FAULT + 1]


def test_infinite_values_count_as_missing(scored):
    table, gaps = two_channels(), two_channels()
    table.values[1000, 0], gaps.values[1000, 0] = np.inf, np.nan
    assert same(score_table(table), score_table(gaps))


def test_missing_cells_and_empty_rows_are_scored():
    table = two_channels()
    table.values[np.random.default_rng(2).random(table.values.shape) < 0.2] = np.nan
    table.values[1200:1210] = np.nan
    scored = score_table(table)
    for column in scored.columns().values():
        assert np.isfinite(column.astype(float)).all()
    assert scored.is_anomaly[FAULT : FAULT + 10].any()


def test_output_columns_are_the_documented_ones(tmp_path, scored):
    assert list(scored.columns()) == [
        "timestamp",
        "score",
        "rate",
        "tail_probability",
        "threshold",
        "is_anomaly",
        "contribution_a",
        "contribution_b",
    ]
    write_table(tmp_path / "out.csv", scored.columns())
    first = (tmp_path / "out.csv").read_text().splitlines()[1]
    assert first == "2023-11-14T22:13:20.000Z,0.0,8640.0,1.0,3.0,false,0.0,0.0"


def test_progress_ends_at_one():
    seen = []
    score_table(two_channels(rows=300), progress=seen.append)
    assert seen[-1] == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"train_rows": -1}, "train_rows: -1 is not between 0 and the 300 rows"),
        ({"train_rows": 301}, "train_rows: 301 is not between 0 and the 300 rows"),
        ({"alarm_budget": 0.0}, "alarm_budget: 0.0 is not a positive number"),
        ({"alarm_budget": float("nan")}, "alarm_budget: nan is not a positive number"),
    ],
)
def test_settings_out_of_range_are_refused(options, message):
    with pytest.raises(FieldError, match=message):
        score_table(two_channels(rows=300), **options)


def test_more_channels_than_a_sensor_can_have_are_refused():
    wide = Table(None, tuple(map(str, range(300))), np.zeros((5, 300)))
    with pytest.raises(FieldError, match="channels: 300 are too many"):
        score_table(wide)
