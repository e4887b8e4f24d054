"""Fitting one model to a history: what is rare, so it is plain NumPy around compiled passes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from redshank.core.batch import Bytes, Floats, Singles
from redshank.detect.streaming import kernels
from redshank.detect.streaming.kernels import PARTS, Layout
from redshank.detect.streaming.scores import StreamingSettings

Marks = NDArray[np.bool_]
_LARGEST = 1e100
_ROUNDS = 8
_SHAPES_FROM = 2048
_ALL_AXES = 128
_ITERATIONS = 6
_WHOLE = 48
_FEW_ROWS = 256
_SPAN_FLOOR = np.array([0.2] * 6 + [0.05] * 2 + [0.2] * 4)
"""Least distance of a component's 99 % quantile from its median, V Q S X F M L A V Q S X."""


@dataclass(frozen=True, slots=True)
class _Fit:
    """A fit on its way: layout, settings, the block it fills, the history and what to trust."""

    shape: Layout
    settings: StreamingSettings
    block: Bytes
    values: Floats
    trusted: Marks

    def put(self, name: str, what: NDArray[Any] | float) -> None:
        field = self.shape.field(self.block, name)
        flat = np.ravel(what)
        field[: flat.size if flat.size > 1 else None] = flat

    def put_both(self, first: str, second: str, what: str, values: NDArray[Any]) -> None:
        """What is known of two components alike, (2 c,)."""
        c = self.shape.channels
        self.put(f"{first}_{what}", values[:c])
        self.put(f"{second}_{what}", values[c:])


def fit(
    shape: Layout,
    settings: StreamingSettings,
    block: Bytes,
    values: Floats,
    trusted: Marks,
    measured: Singles,
) -> Singles:
    """Fit a model on a history and write it, and its state after the last row, into a block.

    Args:
        block: a zeroed model block.
        values: (n, c) in the channels' own units, NaN = missing.
        trusted: (n,) rows to learn from; the others are only passed through.
        measured: (c,) 1 where the channel is a measurement.

    Returns:
        (n,) the evidence of the history under the new model.
    """
    known = np.where(np.isfinite(values), np.clip(values, -_LARGEST, _LARGEST), np.nan)
    # One thread: small products gain nothing from more, and the bits must not depend on cores.
    with _blas().limit(limits=1, user_api="blas"):
        return _fit(_Fit(shape, settings, block, known, trusted), measured)


@cache
def _blas() -> ThreadpoolController:
    return ThreadpoolController()


def _fit(job: _Fit, measured: Singles) -> Singles:
    shape = job.shape
    table = kernels.features(shape, _normalise(job))
    used = job.trusted.copy()
    used[: shape.lags] = False
    rows = table if used.all() else table[used]
    gram = (rows.T @ rows).astype(np.float64)
    leverage = _fit_forecaster(job, gram, table)
    _fit_subspace(job, gram, len(rows))
    _fit_cross_channel(job, gram, len(rows))
    if shape.centres:
        _fit_shapes(job, rows[:, : shape.window])
    return _standardise(job, leverage, measured)


def _normalise(job: _Fit) -> Singles:
    """Mean and scale of each channel; (n, c) normalised values, gaps filled with the last one."""
    seen = np.isfinite(job.values)
    usable = seen & job.trusted[:, None]
    usable |= seen & ~usable.any(axis=0)
    count = np.maximum(usable.sum(axis=0), 1)
    mean = np.where(usable, job.values, 0).sum(axis=0) / count
    off = np.where(usable, job.values - mean, 0)
    deviation = np.sqrt((off * off).sum(axis=0) / count)
    constant = deviation < 1e-9 * np.maximum(1, np.abs(mean))
    scale = np.where(constant, 1.0, 1 / np.where(constant, 1, deviation))
    job.put("mean", mean)
    job.put("scale", scale)
    y = np.clip((np.where(seen, job.values, 0) - mean) * scale, -20, 20)
    if seen.all():
        return np.asarray(y, dtype=np.float32)
    last = np.maximum.accumulate(np.where(seen, np.arange(len(y))[:, None], -1), axis=0)
    filled = np.where(last < 0, 0, np.take_along_axis(y, np.maximum(last, 0), axis=0))
    return np.ascontiguousarray(filled, dtype=np.float32)


def _fit_forecaster(job: _Fit, gram: Floats, table: Singles) -> Singles:
    """Ridge regression on lags, slow mean and a constant; (n,) leverage of each row."""
    c = job.shape.channels
    inner = gram[c:, c:].copy()
    step = np.arange(len(inner) - 1)
    inner[step, step] += job.settings.ridge
    inner[-1, -1] += 1e-3
    inverse = _inverse(inner)
    job.put("weights", (inverse @ gram[c:, :c]).T)
    single = inverse.astype(np.float32)
    # A few rows at a time stay in the processor's cache.
    some = [table[i : i + _FEW_ROWS, c:] for i in range(0, len(table), _FEW_ROWS)]
    leverage = [np.einsum("ij,ij->i", past @ single, past) for past in some]
    return np.concatenate(leverage, dtype=np.float32)


def _inverse(matrix: Floats) -> Floats:
    """Inverse of a symmetric matrix (d, d) that is positive definite but for rounding.

    By its Cholesky factor, in half the time of an elimination and as exact (Higham, Accuracy and
    Stability of Numerical Algorithms, 14.3).
    """
    try:
        root = np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError:
        return np.asarray(np.linalg.inv(matrix), np.float64)
    inverse = _lower_inverse(np.asarray(root, np.float64))
    return np.asarray(inverse.T @ inverse, np.float64)


def _lower_inverse(factor: Floats) -> Floats:
    """Inverse of a lower triangular matrix (d, d), by products of its blocks."""
    if len(factor) <= _WHOLE:
        return np.asarray(np.linalg.inv(factor), np.float64)
    half = len(factor) // 2
    out = np.zeros_like(factor)
    out[:half, :half] = first = _lower_inverse(factor[:half, :half])
    out[half:, half:] = last = _lower_inverse(factor[half:, half:])
    out[half:, :half] = -last @ (factor[half:, :half] @ first)
    return out


def _fit_subspace(job: _Fit, gram: Floats, rows: int) -> None:
    """Leading eigenvectors of the windows' second moments."""
    d = job.shape.window
    moments = gram[:d, :d] / max(rows, 1)
    power, axes = _leading(moments, job.shape.rank)
    kept = np.cumsum(power) < job.settings.energy * np.trace(moments)
    rank = min(int(kept.sum()) + 1, job.shape.rank) if power[0] > 1e-9 else 0
    job.shape.field(job.block, "basis")[: rank * d] = axes[:, :rank].T.ravel()
    job.put("rank", rank)


def _leading(moments: Floats, count: int) -> tuple[Floats, Floats]:
    """At least ``count`` leading eigenvalues and eigenvectors of second moments (d, d).

    All of them where there are few; of many, by subspace iteration from the axes of most power,
    which stalls a batch for a fifth of the time (Golub and Van Loan, Matrix Computations, 8.2).
    """
    if len(moments) <= _ALL_AXES:
        power, axes = np.linalg.eigh(moments)
        return np.maximum(power[::-1], 0), axes[:, ::-1]
    most = np.argsort(-np.diag(moments), kind="stable")[: count + count // 2]
    space = moments[:, most]
    for _ in range(_ITERATIONS):
        space = moments @ (moments @ np.linalg.qr(space)[0])
    space = np.linalg.qr(space)[0]
    power, turn = np.linalg.eigh(space.T @ moments @ space)
    return np.maximum(power[::-1], 0), space @ turn[:, ::-1]


def _fit_cross_channel(job: _Fit, gram: Floats, rows: int) -> None:
    c, count = job.shape.channels, max(rows, 1)
    level = gram[:c, -1] / count
    job.put("level", level)
    job.put("covariance", gram[:c, :c] / count - np.outer(level, level))
    job.put("rows", rows)


def _fit_shapes(job: _Fit, windows: Singles) -> None:
    """k-means centres of the windows, started evenly over time so that it has one outcome."""
    windows = windows[:: max(1, len(windows) // _SHAPES_FROM)]
    start = np.linspace(0, len(windows) - 1, job.shape.centres).astype(np.intp)
    centres = windows[start].copy()
    for _ in range(_ROUNDS):
        distance = (centres * centres).sum(axis=1) - 2 * (windows @ centres.T)
        nearest = distance.argmin(axis=1)
        member = np.zeros((len(windows), len(centres)), np.float32)
        member[np.arange(len(windows)), nearest] = 1
        size = member.sum(axis=0)
        moved = (member.T @ windows) / np.maximum(size, 1)[:, None]
        centres = np.where(size[:, None] > 0, moved, centres)
    upper = (np.ascontiguousarray(centres, np.float32).view(np.uint32) + 0x8000) >> 16
    job.shape.field(job.block, "centres")[: upper.size] = upper.ravel()


def _standardise(job: _Fit, leverage: Singles, measured: Singles) -> Singles:
    """Bring every component of the history to its own scale; the evidence follows."""
    shape, n = job.shape, len(job.values)
    components = kernels.observe(shape, job.block, job.values)
    c = shape.channels
    components[:, :c] /= np.maximum(1 - leverage, 0.1)[:, None]
    settled = job.trusted & (np.arange(n) >= min(30, n // 4))
    _put_scales(job, components, settled)
    for name in ("q_drift", "s_drift", "f_drift", "strange_drift"):
        job.put(name, 1.0)
    pooled = kernels.pool(shape, job.block, components, measured)
    typical = pooled[settled & (np.arange(n) >= n // 4)]
    mid, high = _quantiles(typical if len(typical) else pooled, 0.5, 0.99)
    job.put("mid", mid)
    job.put("span", 1 / np.maximum(high - mid, _SPAN_FLOOR))
    strange = pooled[settled, 6:8]
    job.put("strange", np.maximum(np.sqrt((strange * strange).mean(axis=0)), 0.01))
    return kernels.judge(shape, job.block, pooled, measured)


def _put_scales(job: _Fit, components: Singles, settled: Marks) -> None:
    c = job.shape.channels
    at = np.flatnonzero(settled if settled.any() else np.ones_like(settled))

    def part(k: int, count: int = 1) -> Singles:
        return components[:, k * c : (k + count) * c][at]

    seen = np.maximum(part(PARTS).sum(axis=0), 1)
    squares = part(0) ** 2
    rms = np.sqrt(squares.sum(axis=0) / seen)
    heavy = (np.einsum("ij,ij->j", squares, squares) / seen / 3) ** 0.25
    job.put("v_scale", np.maximum(np.maximum(rms, heavy), 0.02))
    job.put("q_scale", np.maximum(part(1).mean(axis=0), 0.05))
    across = part(3)
    job.put("x_scale", np.maximum(np.sqrt(np.einsum("ij,ij->j", across, across) / len(at)), 0.1))
    _put_sides(job, np.concatenate([part(2), part(4)], axis=1))
    _put_ranges(job, part(6, 2))
    job.put("strange", np.ones(2))


def _put_ranges(job: _Fit, slow: Singles) -> None:
    """Where slow means usually lie, of levels and of activity; the widths are the units of what is
    outside."""
    low, high = _quantiles(slow, 0.01, 0.99)
    job.put_both("level", "activity", "low", low)
    job.put_both("level", "activity", "high", high)
    job.put_both("level", "activity", "unit", 1 / np.maximum(high - low, 0.1))


def _quantiles(columns: Singles, *shares: float) -> Floats:
    """Quantiles of each column, one row a share; by whole sorts, which NumPy does in vectors."""
    ranked = np.sort(columns.T, axis=1)
    place = np.array(shares) * (len(columns) - 1)
    below = place.astype(np.intp)
    above = np.minimum(below + 1, len(columns) - 1)
    part = (place - below)[:, None]
    found: Floats = ranked[:, below].T * (1 - part) + ranked[:, above].T * part
    return found


def _put_sides(job: _Fit, roughness: Singles) -> None:
    """Middle and one-sided deviations of both roughnesses, so that noise and stuck each have their
    own unit."""
    mid = roughness.mean(axis=0)
    off = roughness - mid
    squares = off * off
    floor = np.maximum(0.3 * np.sqrt(squares.mean(axis=0)), 0.02)
    job.put_both("s", "f", "mid", mid)
    for side, marks in (("up", off > 0), ("low", off < 0)):
        size = np.sqrt((squares * marks).sum(axis=0) / np.maximum(marks.sum(axis=0), 1))
        job.put_both("s", "f", side, 1 / np.maximum(size, floor))
