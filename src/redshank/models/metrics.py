"""How well scores and alarms find labelled events.

Two questions, never mixed. *Does the score rank the bad rows first?* (`vus_pr`, `auc_pr`,
`roc_auc`; no threshold). *Do the alarms that a user would get find the events, early, and stay
quiet otherwise?* (`event_metrics`). Point-adjusted F1 is left out on purpose: a random score
wins it (Kim et al., "Towards a rigorous evaluation of time-series anomaly detection", AAAI 2022).

Conventions: `labels` is (n,) with True on anomalous rows; a run of True rows is an *event*;
`scores` is (n,), higher is worse. A metric that the labels leave undefined is NaN.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from redshank.core.errors import InputError

Rows = NDArray[np.intp]
Marks = NDArray[np.bool_]
Floats = NDArray[np.float64]

THRESHOLDS = 250
"""Thresholds of the VUS curves, as in TSB-AD."""


def event_bounds(labels: ArrayLike) -> Rows:
    """(k, 2) first and last row of each of the k events."""
    marks = _as_marks(labels)
    edges: Rows = np.flatnonzero(np.diff(marks, prepend=False, append=False))
    return np.column_stack((edges[::2], edges[1::2] - 1))


def auc_pr(labels: ArrayLike, scores: ArrayLike) -> float:
    """Average precision: sum of precision times recall gained over all distinct thresholds.

    Rows of equal score enter together, so the order of rows never matters. NaN without
    anomalous rows.

    Raises:
        InputError: lengths differ or a score is NaN.
    """
    marks, values = _checked(labels, scores)
    hits, taken = _counts_by_threshold(marks, values)
    if not marks.any():
        return float("nan")
    gained = np.diff(hits, prepend=0)
    return float(np.sum(gained * (hits / taken)) / hits[-1])


def roc_auc(labels: ArrayLike, scores: ArrayLike) -> float:
    """Chance that an anomalous row scores above a normal one; a tie counts one half.

    NaN unless there are rows of both kinds.

    Raises:
        InputError: lengths differ or a score is NaN.
    """
    marks, values = _checked(labels, scores)
    positives = int(marks.sum())
    negatives = len(marks) - positives
    if not positives or not negatives:
        return float("nan")
    _, group, size = np.unique(values, return_inverse=True, return_counts=True)
    middle_rank = np.cumsum(size) - (size - 1) / 2
    above = middle_rank[group][marks].sum() - positives * (positives + 1) / 2
    return float(above / (positives * negatives))


def vus_pr(
    labels: ArrayLike, scores: ArrayLike, window: int, thresholds: int = THRESHOLDS
) -> float:
    """Volume under the precision-recall surface over buffer widths 0..`window`.

    Labels of real series are early or late by some rows, so each event gets a buffer of
    w // 2 rows on both sides whose label falls off as sqrt(1 - distance / w); overlapping
    buffers add up, at most to 1. For each w in 0..`window` and each of `thresholds` cuts (at
    evenly spaced ranks of the score; a row is taken when its score reaches the cut):

        hits      = sum of soft labels of the rows taken
        precision = hits / rows taken
        recall    = min(1, hits / (P + (hits outside events) / 2)),  P = rows in events
        existence = share of buffered (and, where they meet, merged) events with a taken row

    The area for w is the sum of precision * gain of (recall * existence) from cut to cut;
    VUS-PR is the mean area over w. Source: Paparrizos, Boniol, Palpanas, Tsay, Elmore, Franklin,
    "Volume under the surface", PVLDB 15(11), 2022, in the form that TSB-AD computes
    (``generate_curve(label, score, slidingWindow, version='opt', thre=250)``). NaN without
    events, where the original fails; 1 if every row is anomalous, where it fails too.

    Args:
        labels: (n,) True on anomalous rows.
        scores: (n,) higher is worse; infinite is allowed.
        window: the widest buffer in rows, about one period of the series; >= 0.
        thresholds: how many cuts.

    Raises:
        InputError: lengths differ, a score is NaN, or `window` is negative.
    """
    marks, values = _checked(labels, scores)
    if window < 0:
        raise InputError(f"window: {window} is negative; give the buffer width in rows, 0 or more")
    if not marks.any():
        return float("nan")
    # Widths must grow: the surface widens its buffers as it goes.
    surface = _Surface(marks, _cut_of_rows(values, thresholds), thresholds)
    return float(np.mean([surface.area(width) for width in range(window + 1)]))


class _Surface:
    """Precision-recall areas for growing buffers.

    Buffers only grow, so what a wider one adds is two rows an event: the work is near the
    events, not over all rows for all widths and cuts.
    """

    def __init__(self, marks: Marks, cut: Rows, cuts: int) -> None:
        self._marks = marks
        self._cut = cut
        self._cuts = cuts
        self._events = event_bounds(marks)
        self._taken = np.cumsum(np.bincount(cut, minlength=cuts)).astype(np.float64)
        self._inside = np.cumsum(np.bincount(cut[marks], minlength=cuts)).astype(np.float64)
        self._reach = 0
        self._rows: list[Rows] = []
        self._first_cut = np.minimum.reduceat(
            np.append(cut, cuts), (self._events + np.array([0, 1])).ravel()
        )[::2]

    def area(self, width: int) -> float:
        """Area under the curve for buffers of `width` rows; call with growing widths."""
        self._grow(width // 2)
        outside = self._soft_hits(width)
        hits = self._inside + outside
        recall = np.minimum(1.0, hits / (self._inside[-1] + outside / 2))
        gain = np.diff(recall * self._existence(), prepend=0.0)
        return float(np.dot(gain, hits / self._taken))

    def _grow(self, reach: int) -> None:
        while self._reach < reach:
            self._reach += 1
            sides = self._events + self._reach * np.array([-1, 1])
            within = (sides >= 0) & (sides < len(self._marks))
            cuts = np.where(within, self._cut[sides.clip(0, len(self._cut) - 1)], self._cuts)
            self._first_cut = np.minimum(self._first_cut, cuts.min(axis=1))
            rows = sides[within]
            self._rows.append(rows[~self._marks[rows]])

    def _soft_hits(self, width: int) -> Floats:
        """(cuts,) sum of soft labels of the rows taken outside the events."""
        if not self._rows:
            return np.zeros(self._cuts)
        distance = np.repeat(np.arange(1, self._reach + 1), [len(r) for r in self._rows])
        rows = np.concatenate(self._rows)
        label = np.bincount(rows, np.sqrt(1 - distance / width), len(self._marks))
        near = np.flatnonzero(label)
        soft = np.minimum(1.0, label[near])
        return np.cumsum(np.bincount(self._cut[near], soft, self._cuts))

    def _existence(self) -> Floats:
        """(cuts,) share of merged events in which a row has been taken."""
        gap = self._events[1:, 0] - self._events[:-1, 1]
        starts = np.flatnonzero(np.append(True, gap > 2 * self._reach))
        first = np.minimum.reduceat(self._first_cut, starts)
        return np.cumsum(np.bincount(first, minlength=self._cuts)[: self._cuts]) / len(starts)


@dataclass(frozen=True, slots=True)
class EventMetrics:
    """What the alarms of one series did; see `event_metrics`.

    Attributes:
        events: labelled events.
        found: events that an alarm row touches.
        episodes: runs of alarm rows.
        false_episodes: runs of alarm rows that touch no event.
        normal_rows: rows outside events.
        false_rows: rows outside events that are in alarm.
        delay: mean over events of (first alarm row - first row) / rows of the event; a miss
            counts 1. NaN without events.
    """

    events: int
    found: int
    episodes: int
    false_episodes: int
    normal_rows: int
    false_rows: int
    delay: float

    @property
    def recall(self) -> float:
        """Share of events found; NaN without events."""
        return self.found / self.events if self.events else float("nan")

    @property
    def precision(self) -> float:
        """found / (found + false episodes); NaN if nothing was found and nothing false."""
        told = self.found + self.false_episodes
        return self.found / told if told else float("nan")

    @property
    def f1(self) -> float:
        """Harmonic mean of event recall and precision; NaN without events."""
        if not self.events:
            return float("nan")
        return 2 * self.found / (self.events + self.found + self.false_episodes)

    @property
    def false_per_1000(self) -> float:
        """False-alarm episodes per 1000 normal rows; NaN without normal rows."""
        return 1000 * self.false_episodes / self.normal_rows if self.normal_rows else float("nan")

    @property
    def false_row_share(self) -> float:
        """Share of normal rows in alarm: shows an alarm that is simply always on."""
        return self.false_rows / self.normal_rows if self.normal_rows else float("nan")


def event_metrics(labels: ArrayLike, alarms: ArrayLike) -> EventMetrics:
    """Compare alarm rows with labelled events, one count for each event.

    An *event* is a run of anomalous rows, an *episode* a run of alarm rows. An event is
    *found* if any alarm row lies in it. An episode is *false* if none of its rows lies in any
    event; one that reaches into an event is not false, however early it began or late it ends.
    With F = events found, E = events, A = false episodes: recall = F / E,
    precision = F / (F + A), event F1 = 2F / (E + F + A). Several episodes in one event count
    once. An alarm that is already on when the event begins has delay 0.

    Raises:
        InputError: lengths differ.
    """
    marks, alarm = _as_marks(labels), _as_marks(alarms)
    _check_lengths(marks, alarm)
    events, episodes = event_bounds(marks), event_bounds(alarm)
    in_alarm = _rows_before(alarm)
    in_event = _rows_before(marks)
    found = in_alarm[events[:, 1] + 1] > in_alarm[events[:, 0]]
    true = in_event[episodes[:, 1] + 1] > in_event[episodes[:, 0]]
    return EventMetrics(
        events=len(events),
        found=int(found.sum()),
        episodes=len(episodes),
        false_episodes=int((~true).sum()),
        normal_rows=int((~marks).sum()),
        false_rows=int((alarm & ~marks).sum()),
        delay=_mean_delay(events, found, alarm),
    )


def _mean_delay(events: Rows, found: Marks, alarm: Marks) -> float:
    if not len(events):
        return float("nan")
    alarm_rows = np.flatnonzero(alarm)
    delay = np.ones(len(events))
    first = alarm_rows[np.searchsorted(alarm_rows, events[found, 0])]
    length = events[found, 1] + 1 - events[found, 0]
    delay[found] = (first - events[found, 0]) / length
    return float(delay.mean())


def _rows_before(marks: Marks) -> Rows:
    """(n + 1,) how many marked rows lie before each row."""
    return np.concatenate(([0], np.cumsum(marks)))


def _counts_by_threshold(marks: Marks, values: Floats) -> tuple[Floats, Floats]:
    """Anomalous rows and all rows at or above each distinct score, from the highest down."""
    order = np.argsort(-values, kind="stable")
    ranked = values[order]
    last_of_ties = np.append(np.flatnonzero(ranked[1:] != ranked[:-1]), len(ranked) - 1)
    hits = np.cumsum(marks[order])[last_of_ties].astype(np.float64)
    return hits, last_of_ties + 1.0


def _cut_of_rows(values: Floats, thresholds: int) -> Rows:
    """(n,) number of the first of the evenly ranked cuts that takes each row."""
    ranks = np.linspace(0, len(values) - 1, thresholds).astype(np.intp)
    cuts = np.sort(values)[::-1][ranks][::-1]
    return thresholds - np.searchsorted(cuts, values, side="right")


def _checked(labels: ArrayLike, scores: ArrayLike) -> tuple[Marks, Floats]:
    marks, values = _as_marks(labels), np.asarray(scores, np.float64)
    _check_lengths(marks, values)
    missing = np.flatnonzero(np.isnan(values))
    if len(missing):
        raise InputError(
            f"scores: row {missing[0]} is NaN ({len(missing)} of {len(values)} rows); "
            "a detector must give a number for every row that is compared with labels"
        )
    return marks, values


def _as_marks(labels: ArrayLike) -> Marks:
    marks = np.asarray(labels)
    if marks.dtype != np.bool_ and not np.isin(marks, (0, 1)).all():
        raise InputError("labels: only 0 and 1 (or False and True) are allowed")
    return marks.astype(np.bool_)


def _check_lengths(labels: Marks, other: NDArray[np.generic]) -> None:
    if labels.ndim != 1 or labels.shape != other.shape or not len(labels):
        raise InputError(
            f"labels of shape {labels.shape} and values of shape {other.shape} cannot be compared; "
            "both must be one-dimensional, equally long and not empty"
        )
