"""How two public leaderboards count: the Numenta Anomaly Benchmark and SKAB.

Their figures are printed because others print them; they are not what redshank is chosen by.

NAB (Lavin and Ahmad, "Evaluating real-time anomaly detection algorithms - the Numenta Anomaly
Benchmark", ICMLA 2015): every anomaly lies in a window. A detection within a window is worth more
the earlier it is, and only the best one of a window counts; a window without any costs 1; a
detection outside costs more the farther it is behind the last window. SKAB (Katser and Kozitsin,
"Skoltech Anomaly Benchmark", 2020) compares row by row.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from redshank.core.errors import InputError
from redshank.models.metrics import event_bounds

Floats = NDArray[np.float64]
Rows = NDArray[np.intp]
Marks = NDArray[np.bool_]

PROBATION = 0.15
"""Share of a NAB series that is learned from and not counted,"""
PROBATION_ROWS = 5000
"""of at most so many of its rows."""
_STEEPNESS = 5.0
_FAR = 3.0
"""Widths of the last window behind which a false detection costs all that it can."""


@dataclass(frozen=True, slots=True)
class NabProfile:
    """What detections are worth.

    Attributes:
        found: gained by a detection at the first row of a window.
        false: lost by a detection far from any window.
        missed: lost by a window without detection.
    """

    found: float = 1.0
    false: float = 0.11
    missed: float = 1.0


STANDARD = NabProfile()
LOW_FALSE_POSITIVES = NabProfile(false=0.22)
LOW_FALSE_NEGATIVES = NabProfile(missed=2.0)


@dataclass(frozen=True, slots=True)
class NabScore:
    """What a detector reached over several series.

    Attributes:
        raw: sum over windows and false detections.
        windows: how many windows count.
        profile: what detections are worth.
        threshold: of the score, if it was chosen for the best sum.
    """

    raw: float
    windows: int
    profile: NabProfile = STANDARD
    threshold: float | None = None

    @property
    def normalised(self) -> float:
        """0 for a detector that says nothing, 100 for a perfect one; NaN without windows."""
        null, perfect = -self.profile.missed * self.windows, self.profile.found * self.windows
        return 100 * (self.raw - null) / (perfect - null) if self.windows else float("nan")


def nab_probation(rows: int) -> int:
    """Rows at the beginning of a series that do not count."""
    return int(PROBATION * min(rows, PROBATION_ROWS))


def nab_values(windows: ArrayLike, profile: NabProfile = STANDARD) -> Floats:
    """(n,) what a detection at each row is worth, alone.

    Within a window of w rows, y = -1 at its first row and -1/w at its last; behind it y is the
    distance from its last row over w - 1; before the first window it is as if far behind one.
    The value is s = 2 / (1 + exp(5 y)) - 1, and -1 from y = 3 on: s / s(-1) of `found` within a
    window, s of `false` outside.

    Args:
        windows: (n,) True on rows of windows.
        profile: what detections are worth.
    """
    bounds = event_bounds(windows)
    rows = np.arange(len(np.asarray(windows)))
    if not len(bounds):
        return np.full(len(rows), -profile.false)
    last = np.searchsorted(bounds[:, 0], rows, side="right") - 1
    first, end = bounds[last.clip(0)].T
    width = end - first + 1.0
    within = (last >= 0) & (rows <= end)
    behind = np.where(last < 0, _FAR, (rows - end) / np.maximum(width - 1, 1))
    position = np.where(within, (rows - end - 1) / width, np.minimum(behind, _FAR))
    value = np.where(position >= _FAR, -1.0, 2 / (1 + np.exp(_STEEPNESS * position)) - 1)
    most = 2 / (1 + np.exp(-_STEEPNESS)) - 1
    return np.where(within, value / most * profile.found, value * profile.false)


def nab_score(
    series: Iterable[tuple[ArrayLike, ArrayLike]], profile: NabProfile = STANDARD
) -> NabScore:
    """NAB's figure of detections in several series.

    Args:
        series: for each (n,) True on rows of windows, and (n,) True on rows of detections.
        profile: what detections are worth.

    Raises:
        InputError: lengths differ.
    """
    total = NabScore(0.0, 0, profile)
    for windows, detections in series:
        one = _one_series(windows, detections, profile)
        total = NabScore(total.raw + one.raw, total.windows + one.windows, profile)
    return total


def _one_series(windows: ArrayLike, detections: ArrayLike, profile: NabProfile) -> NabScore:
    in_window, detected = np.asarray(windows, np.bool_), np.asarray(detections, np.bool_)
    _check_lengths(in_window, detected)
    values, window = nab_values(in_window, profile), _window_of_row(in_window)
    counted = detected.copy()
    counted[: nab_probation(len(counted))] = False
    best = np.full(window.max(initial=-1) + 1, -profile.missed)
    hits = counted & in_window
    np.maximum.at(best, window[hits], values[hits])
    kept = np.unique(window[nab_probation(len(counted)) :])
    kept = kept[kept >= 0]
    return NabScore(float(best[kept].sum() + values[counted & ~in_window].sum()), len(kept))


def nab_best_threshold(
    series: Sequence[tuple[ArrayLike, ArrayLike]], profile: NabProfile = STANDARD
) -> NabScore:
    """NAB's figure at the one threshold that is best for all series together.

    So its leaderboard is made: labels choose the threshold. A row is a detection when its score
    reaches the threshold. The lower of two equally good thresholds is never taken.

    Args:
        series: for each (n,) True on rows of windows, and (n,) scores, higher is worse.
        profile: what detections are worth.

    Raises:
        InputError: lengths differ.
    """
    null = nab_score(((w, np.zeros(len(np.asarray(w)), np.bool_)) for w, _ in series), profile)
    gains = [_gains(windows, scores, profile) for windows, scores in series]
    scores = np.concatenate([np.empty(0), *(score for score, _ in gains)])
    gain = np.concatenate([np.empty(0), *(one for _, one in gains)])
    order = np.argsort(-scores, kind="stable")
    scores, raw = scores[order], null.raw + np.cumsum(gain[order])
    last_of_ties = np.flatnonzero(np.append(scores[1:] != scores[:-1], True)[: len(scores)])
    best = last_of_ties[np.argmax(raw[last_of_ties])] if len(scores) else 0
    if not len(scores) or raw[best] <= null.raw:
        return NabScore(null.raw, null.windows, profile, float("inf"))
    return NabScore(float(raw[best]), null.windows, profile, float(scores[best]))


def _gains(windows: ArrayLike, scores: ArrayLike, profile: NabProfile) -> tuple[Floats, Floats]:
    """Scores of the rows that count, from the highest down, and what each adds to the sum."""
    in_window, values = np.asarray(windows, np.bool_), np.asarray(scores, np.float64)
    _check_lengths(in_window, values)
    worth, window = nab_values(in_window, profile), _window_of_row(in_window)
    start = nab_probation(len(values))
    order = start + np.argsort(-values[start:], kind="stable")
    gain = worth[order]
    for number in np.unique(window[order]):
        if number >= 0:
            rows = np.flatnonzero(window[order] == number)
            reached = np.maximum.accumulate(worth[order[rows]])
            gain[rows] = np.diff(reached, prepend=-profile.missed)
    return values[order], gain


def _window_of_row(windows: Marks) -> Rows:
    """(n,) number of the window that each row lies in, -1 for none."""
    starts = windows & ~np.append(False, windows[:-1])
    return np.where(windows, np.cumsum(starts) - 1, -1)


@dataclass(frozen=True, slots=True)
class RowCounts:
    """Rows by label and alarm, as SKAB counts them; add those of several files.

    Attributes:
        hits: anomalous and in alarm.
        false: normal and in alarm.
        missed: anomalous and not in alarm.
        quiet: normal and not in alarm.
    """

    hits: int = 0
    false: int = 0
    missed: int = 0
    quiet: int = 0

    def __add__(self, other: RowCounts) -> RowCounts:
        return RowCounts(
            self.hits + other.hits,
            self.false + other.false,
            self.missed + other.missed,
            self.quiet + other.quiet,
        )

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall of rows; NaN without anomalous rows."""
        if not self.hits + self.missed:
            return float("nan")
        return 2 * self.hits / (2 * self.hits + self.false + self.missed)

    @property
    def false_alarm_rate(self) -> float:
        """FAR: share of the normal rows in alarm; NaN without normal rows."""
        normal = self.false + self.quiet
        return self.false / normal if normal else float("nan")

    @property
    def missed_alarm_rate(self) -> float:
        """MAR: share of the anomalous rows not in alarm; NaN without anomalous rows."""
        anomalous = self.hits + self.missed
        return self.missed / anomalous if anomalous else float("nan")


def row_counts(labels: ArrayLike, alarms: ArrayLike) -> RowCounts:
    """Compare alarm rows with labels row by row.

    Raises:
        InputError: lengths differ.
    """
    label, alarm = np.asarray(labels, np.bool_), np.asarray(alarms, np.bool_)
    _check_lengths(label, alarm)
    return RowCounts(
        hits=int((label & alarm).sum()),
        false=int((~label & alarm).sum()),
        missed=int((label & ~alarm).sum()),
        quiet=int((~label & ~alarm).sum()),
    )


def _check_lengths(labels: Marks, other: NDArray[np.generic]) -> None:
    if labels.ndim != 1 or labels.shape != other.shape:
        raise InputError(
            f"labels of shape {labels.shape} and values of shape {other.shape} cannot be compared; "
            "both must be one-dimensional and equally long"
        )
