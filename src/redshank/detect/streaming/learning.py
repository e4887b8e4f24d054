"""When and from what a sensor learns: first fit, later fits, fit on a history."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from redshank.core.batch import Bytes, Floats, Singles, Times
from redshank.detect.streaming import kernels
from redshank.detect.streaming.fit import fit
from redshank.detect.streaming.kernels import (
    DISTRUST,
    FIRST_FIT,
    KEPT,
    STOOD_OUT,
    STORED,
    Layout,
)
from redshank.detect.streaming.scores import StreamingSettings

LAST_FIT = 7
"""Passes of a sensor that starts from nothing: the first fit, and two for each of three later."""
_HALF_LARGEST = 65504.0


def buffered(shape: Layout, buffer: Bytes, rows: int) -> tuple[Times, Floats]:
    """Times (n,) and values (n, c) of a buffer block, as copies."""
    width = shape.channels + 1
    lines = np.frombuffer(buffer, np.int64, rows * width).reshape(rows, width)
    return lines[:, 0].copy(), lines[:, 1:].copy().view(np.float64)


def fit_prefix(
    shape: Layout, settings: StreamingSettings, model: Bytes, core: Bytes, values: Floats
) -> Singles:
    """Fit on a whole history; (n,) its evidence."""
    live_through(shape, settings, core, values)
    return _fit_usual(shape, settings, model, values, kernels.levels(shape, core, values[:0]))


def live_through(shape: Layout, settings: StreamingSettings, core: Bytes, values: Floats) -> None:
    """The alarm stage lives through the later half of a history.

    It does so on the evidence of a model of the earlier half: rows that a model was fitted on look
    calmer to it than any later row will, and alarms set by them come too easily.
    """
    measured = kernels.levels(shape, core, values)
    half = len(values) // 2
    model = np.zeros(shape.model_bytes, np.uint8)
    _fit_usual(shape, settings, model, values[:half], measured)
    kernels.replay(core, kernels.follow(shape, model, values[half:], measured))


def _fit_usual(
    shape: Layout, settings: StreamingSettings, model: Bytes, values: Floats, measured: Singles
) -> Singles:
    """Fit on a history that nobody has looked through; (n,) its evidence.

    Rows that stand out under a first model are left out of the final one.
    """
    trusted = np.ones(len(values), np.bool_)
    evidence = fit(shape, settings, model, values, trusted, measured)
    usual = ~_outstanding(evidence, settings.outstanding, settings)
    if usual.all():
        return evidence
    model[:] = 0
    return fit(shape, settings, model, values, usual, measured)


def fit_first(
    shape: Layout,
    settings: StreamingSettings,
    model: Bytes,
    core: Bytes,
    ring: Bytes,
    buffer: Bytes,
) -> None:
    """The first model of a sensor whose alarm stage has lived through its buffer.

    Its rows move from there to the ring in 16 bits.
    """
    _, values = buffered(shape, buffer, FIRST_FIT)
    measured = kernels.levels(shape, core, values[:0])
    evidence = _fit_usual(shape, settings, model, values, measured)
    kept = _Kept(shape, ring)
    kept.mean[:] = shape.field(model, "mean")
    kept.scale[:] = shape.field(model, "scale")
    missing = ~np.isfinite(values)
    normal = np.clip(
        (np.where(missing, 0, values) - kept.mean) * kept.scale, -_HALF_LARGEST, _HALF_LARGEST
    )
    kept.values[:FIRST_FIT] = np.where(missing, np.nan, normal)
    kept.evidence[:FIRST_FIT] = np.minimum(evidence * STORED, STOOD_OUT - 1).astype(np.uint16)


def refit(
    shape: Layout,
    settings: StreamingSettings,
    model: Bytes,
    core: Bytes,
    ring: Bytes,
    rows: int,
    second: bool,
) -> bool:
    """A later model, from the rows in the ring, in two passes at different rows of the stream.

    The first notes which rows stand out under the new model, the second leaves them out. Two at
    once would hold a batch up for twice as long.

    The alarm stage goes on, half as sure. It cannot start anew on these rows: to a model that has
    seen them they look too calm.

    Args:
        rows: seen so far.
        second: this is the second pass.

    Returns:
        Whether a second pass is wanted.
    """
    kept = _Kept(shape, ring)
    number = np.arange(max(0, rows - KEPT), rows)
    at = number % KEPT
    if not second:
        kept.evidence[at] &= ~STOOD_OUT
    marks = kept.evidence[at]
    past = (marks & (STOOD_OUT - 1)).astype(np.float32) / STORED
    trusted = _trusted((marks & (DISTRUST | STOOD_OUT)) == 0, past, settings)
    values = kept.values[at].astype(np.float64) / kept.scale + kept.mean
    model[:] = 0
    evidence = fit(shape, settings, model, values, trusted, kernels.levels(shape, core, values[:0]))
    if second:
        return False
    kernels.renew(core)
    # No model looked through the first rows when they came; among many a few do no harm.
    unseen = (number < FIRST_FIT) & (rows < KEPT)
    above = np.where(unseen, settings.outstanding, settings.outstanding_later)
    out = _outstanding(evidence, above, settings)
    kept.evidence[at[out]] |= STOOD_OUT
    return bool(out.any())


class _Kept:
    """Views of a ring block: normaliser (c,), values (2048, c) and evidence (2048,)."""

    def __init__(self, shape: Layout, ring: Bytes) -> None:
        c = shape.channels
        self.mean = np.frombuffer(ring, np.float64, c)
        self.scale = np.frombuffer(ring, np.float64, c, 8 * c)
        self.values = np.frombuffer(ring, np.float16, KEPT * c, 16 * c).reshape(KEPT, c)
        self.evidence = np.frombuffer(ring, np.uint16, KEPT, 16 * c + 2 * KEPT * c)


def _outstanding(
    evidence: Singles, above: float | Floats, settings: StreamingSettings
) -> NDArray[np.bool_]:
    """(n,) rows around evidence so many times above what most of a history has."""
    out = evidence > above * np.quantile(evidence, 1 - settings.most_outstanding)
    around = np.ones(2 * settings.around + 1)
    marks: NDArray[np.bool_] = np.convolve(out, around)[settings.around : -settings.around] > 0
    return marks


def _trusted(
    calm: NDArray[np.bool_], evidence: Singles, settings: StreamingSettings
) -> NDArray[np.bool_]:
    """Rows to learn from: not anomalies, and not within a long run of raised evidence."""
    edges = np.flatnonzero(np.diff(evidence > 1, prepend=False, append=False)).reshape(-1, 2)
    quiet = calm.copy()
    for start, end in edges[edges[:, 1] - edges[:, 0] >= settings.long_run]:
        quiet[start:end] = False
    enough = 1 - settings.most_masked
    for marks in (quiet, calm):
        if marks.mean() >= enough:
            return marks
    return np.ones_like(calm)
