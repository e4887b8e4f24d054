"""Metrics against hand-computed cases, second implementations, recorded figures and laws."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from redshank.core.errors import InputError
from redshank.models.metrics import auc_pr, event_bounds, event_metrics, roc_auc, vus_pr


def marks(text):
    """'..##.' -> False False True True False"""
    return np.array([letter == "#" for letter in text])


@st.composite
def labelled_scores(draw, min_events=1):
    """Random labels with both kinds of rows, and scores with many ties."""
    n = draw(st.integers(4, 60))
    labels = np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    scores = np.array(draw(st.lists(st.integers(-4, 4), min_size=n, max_size=n)), float)
    assume(0 < labels.sum() < n)
    return labels, scores


# --- VUS-PR ------------------------------------------------------------------------------------


def vus_pr_word_by_word(labels, scores, window, thresholds=250):
    """The definition read aloud: every width, every cut, every row in turn."""
    n = len(labels)
    rows = range(n)
    events = [
        (first, next(last for last in range(first, n) if last == n - 1 or not labels[last + 1]))
        for first in rows
        if labels[first] and (first == 0 or not labels[first - 1])
    ]
    descending = sorted(scores, reverse=True)
    cuts = [descending[int(i)] for i in np.linspace(0, n - 1, thresholds)]
    areas = []
    for width in range(window + 1):
        half = width // 2
        soft = [0.0] * n
        for first, last in events:
            for row in rows:
                distance = max(first - row, row - last, 0)
                if distance == 0:
                    soft[row] += 1.0
                elif distance <= half:
                    soft[row] += math.sqrt(1 - distance / width)
        soft = [min(1.0, label) for label in soft]
        zones = []
        for first, last in events:
            if zones and first - half <= zones[-1][1]:
                zones[-1][1] = last + half
            else:
                zones.append([first - half, last + half])
        area, reached = 0.0, 0.0
        for cut in cuts:
            taken = [row for row in rows if scores[row] >= cut]
            hits = sum(soft[row] for row in taken)
            size = sum(labels) + sum(soft[row] for row in taken if not labels[row]) / 2
            touched = sum(any(a <= row <= b for row in taken) for a, b in zones)
            recall = min(1.0, hits / size) * touched / len(zones)
            area += hits / len(taken) * (recall - reached)
            reached = recall
        areas.append(area)
    return sum(areas) / len(areas)


@given(labelled_scores(), st.integers(0, 12))
def test_vus_pr_is_what_its_definition_says(case, window):
    labels, scores = case
    expected = vus_pr_word_by_word(labels.tolist(), scores.tolist(), window, thresholds=30)
    assert vus_pr(labels, scores, window, thresholds=30) == pytest.approx(expected, abs=1e-12)


RECORDED = [
    (1000, 60, [(200, 240), (700, 705)], 0.3159737326118786),
    (777, 33, [(0, 20), (100, 101), (110, 150), (760, 777)], 0.6659464679752545),
    (150, 10, [(50, 60)], 0.14773494120515182),
    (3000, 125, [(500, 520), (560, 570), (2000, 2400)], 0.5034119083280737),
]


@pytest.mark.parametrize(("n", "window", "events", "expected"), RECORDED)
def test_vus_pr_agrees_with_the_figures_of_tsb_ad(n, window, events, expected):
    """Recorded from TSB-AD 1.5 (`generate_curve(..., 'opt', 250)`) and vus 0.0.6: the same."""
    t = np.arange(n)
    scores = np.sin(t / 7) + np.cos(t * t / 911) + 0.3 * np.sin(t * 1.7)
    labels = np.zeros(n, bool)
    for first, end in events:
        labels[first:end] = True
        scores[first:end] += 1.2
    assert vus_pr(labels, scores, window) == pytest.approx(expected, abs=1e-9)


def test_vus_pr_by_hand_without_buffers_is_the_area_of_steps():
    labels = marks("..##......")
    scores = np.array([0, 9, 8, 7, 0, 0, 0, 0, 0, 0], float)
    # Cuts 9, 8, 7, 0 take 1, 2, 3, 10 rows with 0, 1, 2, 2 hits.
    assert vus_pr(labels, scores, 0) == pytest.approx(1 / 2 * 1 / 2 + 2 / 3 * 1 / 2)


def test_vus_pr_forgives_an_alarm_just_beside_the_event():
    labels = marks("........####................")
    beside, far = np.zeros(28), np.zeros(28)
    beside[13], far[24] = 1, 1
    assert vus_pr(labels, beside, 0) == vus_pr(labels, far, 0)
    assert vus_pr(labels, beside, 8) > vus_pr(labels, far, 8)


@given(labelled_scores(), st.integers(0, 20))
def test_a_perfect_score_has_area_one(case, window):
    labels, _ = case
    perfect = labels.astype(float)
    assert vus_pr(labels, perfect, window) == pytest.approx(1)
    assert auc_pr(labels, perfect) == 1
    assert roc_auc(labels, perfect) == 1


@given(labelled_scores(), st.integers(0, 20))
def test_only_the_order_of_scores_counts(case, window):
    labels, scores = case
    for metric in (auc_pr, roc_auc, lambda y, s: vus_pr(y, s, window)):
        assert metric(labels, np.exp(scores) * 3 - 7) == metric(labels, scores)


@given(labelled_scores(), st.integers(0, 20))
def test_areas_lie_between_zero_and_one(case, window):
    labels, scores = case
    for area in (vus_pr(labels, scores, window), auc_pr(labels, scores), roc_auc(labels, scores)):
        assert -1e-12 <= area <= 1 + 1e-12


def test_a_constant_score_has_the_share_of_anomalous_rows_as_area():
    labels = marks("..##......")
    assert vus_pr(labels, np.ones(10), 0) == pytest.approx(0.2)
    assert auc_pr(labels, np.ones(10)) == pytest.approx(0.2)
    assert roc_auc(labels, np.ones(10)) == 0.5


def test_infinite_scores_are_ranked_like_any_other():
    labels = marks("..##..")
    scores = np.array([-np.inf, 0, np.inf, np.inf, 0, 0])
    assert vus_pr(labels, scores, 4) == pytest.approx(1)
    assert auc_pr(labels, scores) == 1


# --- AUC ---------------------------------------------------------------------------------------


@given(labelled_scores())
def test_auc_agrees_with_scikit_learn(case):
    labels, scores = case
    assert auc_pr(labels, scores) == pytest.approx(average_precision_score(labels, scores))
    assert roc_auc(labels, scores) == pytest.approx(roc_auc_score(labels, scores))


def test_what_labels_leave_undefined_is_nan():
    scores = np.arange(5.0)
    none, all_of_them = np.zeros(5, bool), np.ones(5, bool)
    assert math.isnan(vus_pr(none, scores, 3))
    assert math.isnan(auc_pr(none, scores))
    assert math.isnan(roc_auc(none, scores))
    assert math.isnan(roc_auc(all_of_them, scores))
    assert vus_pr(all_of_them, scores, 3) == pytest.approx(1)


# --- Events ------------------------------------------------------------------------------------


def test_events_are_runs_of_rows():
    assert event_bounds(marks("##..#.")).tolist() == [[0, 1], [4, 4]]
    assert event_bounds(marks("...#")).tolist() == [[3, 3]]
    assert event_bounds(marks("....")).tolist() == []


def test_event_metrics_by_hand():
    labels = marks("....####......##......####....")
    alarms = marks(".#....##..##..........####....")
    got = event_metrics(labels, alarms)
    assert (got.events, got.found, got.episodes, got.false_episodes) == (3, 2, 4, 2)
    assert (got.normal_rows, got.false_rows) == (20, 3)
    assert got.recall == pytest.approx(2 / 3)
    assert got.precision == pytest.approx(1 / 2)
    assert got.f1 == pytest.approx(2 * (2 / 3) * (1 / 2) / (2 / 3 + 1 / 2))
    assert got.delay == pytest.approx((2 / 4 + 1 + 0) / 3)
    assert got.false_per_1000 == pytest.approx(100)
    assert got.false_row_share == pytest.approx(3 / 20)


def test_several_episodes_in_one_event_count_once():
    got = event_metrics(marks("..######.."), marks("..#.#.#..."))
    assert (got.found, got.episodes, got.false_episodes, got.f1) == (1, 3, 0, 1.0)


def test_an_episode_that_reaches_into_an_event_is_not_false():
    got = event_metrics(marks("....###..."), marks(".####....."))
    assert (got.found, got.false_episodes, got.delay) == (1, 0, 0.0)


def test_an_alarm_beside_the_event_does_not_find_it():
    got = event_metrics(marks("....###..."), marks(".......#.."))
    assert (got.found, got.false_episodes, got.delay, got.f1) == (0, 1, 1.0, 0.0)


def test_an_alarm_that_is_always_on_shows_in_the_share_of_rows():
    got = event_metrics(marks("....###..."), np.ones(10, bool))
    assert (got.f1, got.false_per_1000, got.false_row_share) == (1.0, 0.0, 1.0)


def test_without_events_only_false_alarms_are_defined():
    got = event_metrics(np.zeros(2000, bool), np.arange(2000) % 500 == 0)
    assert math.isnan(got.recall) and math.isnan(got.f1) and math.isnan(got.delay)
    assert got.false_per_1000 == 2


def test_silence_has_recall_zero_and_no_precision():
    got = event_metrics(marks("..##.."), np.zeros(6, bool))
    assert (got.recall, got.f1, got.delay, got.false_per_1000) == (0, 0, 1, 0)
    assert math.isnan(got.precision)


@given(labelled_scores())
def test_labels_as_alarms_are_perfect(case):
    labels, _ = case
    got = event_metrics(labels, labels)
    assert (got.recall, got.precision, got.f1, got.delay, got.false_episodes) == (1, 1, 1, 0, 0)


# --- Input -------------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", [auc_pr, roc_auc, lambda y, s: vus_pr(y, s, 5)])
def test_a_missing_score_is_refused_with_its_row(metric):
    with pytest.raises(InputError, match="row 2 is NaN"):
        metric(marks("..#."), np.array([1, 2, np.nan, 4]))


def test_input_that_cannot_be_compared_is_refused():
    with pytest.raises(InputError, match="cannot be compared"):
        auc_pr(marks("..#"), np.ones(4))
    with pytest.raises(InputError, match="cannot be compared"):
        event_metrics(marks("..#"), marks(""))
    with pytest.raises(InputError, match="only 0 and 1"):
        roc_auc([0, 2, 1], [1, 2, 3])
    with pytest.raises(InputError, match="window: -1 is negative"):
        vus_pr(marks("..#"), np.ones(3), -1)
