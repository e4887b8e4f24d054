"""NAB's and SKAB's figures against published ones, hand-computed cases and laws."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from redshank.core.errors import InputError
from redshank.models.protocols import (
    LOW_FALSE_NEGATIVES,
    LOW_FALSE_POSITIVES,
    STANDARD,
    NabScore,
    nab_best_threshold,
    nab_probation,
    nab_score,
    nab_values,
    row_counts,
)


def marks(rows, *spans):
    """True on the rows from first to last of each span, both included."""
    out = np.zeros(rows, bool)
    for first, last in spans:
        out[first : last + 1] = True
    return out


def at(rows, *where):
    """True on single rows."""
    return marks(rows, *((row, row) for row in where))


# What NAB 1.1 publishes of the detector ARTime on realTraffic/speed_7578.csv: rows of the windows,
# rows whose anomaly score reaches its threshold, and the figures in its *_scores.csv.
ROWS = 1127
WINDOWS = marks(ROWS, (303, 331), (740, 768), (909, 937), (945, 973))
DETECTIONS = at(ROWS, 276, 317, 362, 628, 631, 753, 921, 923, 924, 931, 959)


@pytest.mark.parametrize("profile", [STANDARD, LOW_FALSE_NEGATIVES])
def test_a_published_figure_of_one_file(profile):
    assert nab_score([(WINDOWS, DETECTIONS)], profile).raw == pytest.approx(3.1077313980278403)


@pytest.mark.parametrize(
    ("row", "standard", "low_false_positives"),
    [
        (302, -0.11, -0.22),
        (303, 1.0, 1.0),
        (304, 0.9974673237743696, 0.9974673237743696),
        (331, 0.08716068383412914, 0.08716068383412914),
        (332, -0.009795412917274829, -0.019590825834549658),
        (362, -0.10913586163255802, -0.218271723265116),
        (628, -0.11, -0.22),
        (944, -0.06100596945843206, -0.12201193891686413),
    ],
)
def test_published_values_of_single_rows(row, standard, low_false_positives):
    assert nab_values(WINDOWS)[row] == pytest.approx(standard, abs=1e-12)
    values = nab_values(WINDOWS, LOW_FALSE_POSITIVES)
    assert values[row] == pytest.approx(low_false_positives, abs=1e-12)


@pytest.mark.parametrize(
    ("profile", "raw", "published"),
    [
        (STANDARD, 57.66075157860637, 74.85377223215792),
        (LOW_FALSE_NEGATIVES, 47.66075157860637, 80.36228493638114),
    ],
)
def test_published_sums_give_the_published_results(profile, raw, published):
    """ARTime over the 116 windows of all files: its sums, and NAB's final_results.json."""
    assert NabScore(raw, 116, profile).normalised == pytest.approx(published)


def test_by_hand_early_is_worth_more_and_only_the_best_of_a_window_counts():
    windows = marks(100, (40, 49))
    early, late = at(100, 40), at(100, 49)
    best = nab_score([(windows, early)])
    assert best.raw == pytest.approx(1)
    assert best.normalised == pytest.approx(100)
    at_the_end = (2 / (1 + math.exp(-0.5)) - 1) / (2 / (1 + math.exp(-5)) - 1)
    assert nab_score([(windows, late)]).raw == pytest.approx(at_the_end)
    assert nab_score([(windows, early | late)]).raw == pytest.approx(1)


def test_by_hand_a_false_detection_costs_more_the_farther_it_is():
    windows = marks(100, (40, 49))
    assert nab_score([(windows, at(100, 30))]).raw == pytest.approx(-1 - 0.11)
    half = 2 / (1 + math.exp(5 * 9 / 9)) - 1
    assert nab_score([(windows, at(100, 58))]).raw == pytest.approx(-1 + 0.11 * half)
    assert nab_score([(windows, at(100, 90))]).raw == pytest.approx(-1 - 0.11)
    assert nab_score([(np.zeros(100, bool), at(100, 30, 50))]).raw == pytest.approx(-0.22)


def test_silence_is_nought_and_windows_add_up_over_files():
    windows = marks(100, (40, 49), (70, 79))
    silent = nab_score([(windows, np.zeros(100, bool))] * 3)
    assert (silent.raw, silent.windows, silent.normalised) == (-6, 6, 0)
    assert math.isnan(nab_score([(np.zeros(100, bool), np.zeros(100, bool))]).normalised)


def test_what_lies_in_the_probation_does_not_count():
    assert nab_probation(1127) == 169
    assert nab_probation(10_320) == 750
    windows = marks(100, (2, 9), (50, 59))
    got = nab_score([(windows, at(100, 3, 12))])
    assert (got.raw, got.windows) == (-1, 1)


@st.composite
def scored_files(draw):
    """Up to three short files with windows and scores of few levels."""
    files = []
    for _ in range(draw(st.integers(1, 3))):
        n = draw(st.integers(8, 40))
        windows = np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)))
        scores = np.array(draw(st.lists(st.integers(0, 6), min_size=n, max_size=n)), float)
        files.append((windows, scores))
    return files


@given(scored_files(), st.sampled_from([STANDARD, LOW_FALSE_POSITIVES, LOW_FALSE_NEGATIVES]))
def test_the_best_threshold_is_the_best_of_all_tried_in_turn(files, profile):
    def with_threshold(threshold):
        return nab_score([(w, s >= threshold) for w, s in files], profile).raw

    got = nab_best_threshold(files, profile)
    tried = [*range(7), math.inf]
    assert got.raw == pytest.approx(max(map(with_threshold, tried)))
    assert got.raw == pytest.approx(with_threshold(got.threshold))


def test_rows_are_counted_over_all_files_together():
    first = row_counts(marks(10, (4, 7)), marks(10, (5, 8)))
    second = row_counts(marks(6), marks(6, (0, 0)))
    both = first + second
    assert (both.hits, both.false, both.missed, both.quiet) == (3, 2, 1, 10)
    assert both.f1 == pytest.approx(2 * 3 / (2 * 3 + 2 + 1))
    assert both.false_alarm_rate == pytest.approx(2 / 12)
    assert both.missed_alarm_rate == pytest.approx(1 / 4)
    assert math.isnan(second.f1) and math.isnan(second.missed_alarm_rate)


def test_lengths_must_agree():
    for call in (row_counts, lambda a, b: nab_score([(a, b)])):
        with pytest.raises(InputError, match="cannot be compared"):
            call(marks(5), marks(4))
