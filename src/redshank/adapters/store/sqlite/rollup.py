"""Steps: what many rows come to, made from rows or from other steps, without hiding a peak.

The same reduction makes the steps that the page draws and the hourly rollups that are kept with
large chunks; steps of steps are the steps of the rows, up to rounding of the mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from redshank.adapters.store.sqlite.chunks import Rows
from redshank.adapters.store.sqlite.codec import Records
from redshank.core.batch import Times

BAND = ("expected", "lower", "upper")


@lru_cache(maxsize=256)
def reading_steps(channels: int) -> np.dtype[np.void]:
    """Record of what readings of so many channels come to."""
    wide = (channels,)
    return np.dtype(
        [
            ("time", "<i8"),
            ("low", "<f8", wide),
            ("high", "<f8", wide),
            ("total", "<f8", wide),
            ("count", "<u4", wide),
        ]
    )


@lru_cache(maxsize=256)
def verdict_steps(channels: int) -> np.dtype[np.void]:
    """Record of what verdicts on so many channels come to; ``total`` sums the band's columns."""
    return np.dtype(
        [
            ("time", "<i8"),
            ("score", "<f4"),
            ("rate", "<f4"),
            ("status", "u1"),
            ("flags", "<u2", (channels,)),
            ("contributions", "<f4", (channels,)),
            ("total", "<f8", (3, channels)),
            ("count", "<u4", (3, channels)),
        ]
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Buckets:
    """Rows put together by the step that they fall into."""

    order: NDArray[np.intp] | slice
    starts: NDArray[np.intp]
    time: Times

    @staticmethod
    def of(time: Times, width: int) -> _Buckets:
        bucket = time - time % width
        order: NDArray[np.intp] | slice = slice(None)
        if bool(np.any(bucket[1:] < bucket[:-1])):
            order = np.argsort(bucket, kind="stable")
            bucket = bucket[order]
        starts = np.concatenate(([0], np.flatnonzero(bucket[1:] != bucket[:-1]) + 1))
        return _Buckets(order, starts, bucket[starts])


def readings_by(rows: Rows, width: int) -> Records:
    """(m,) steps of ``width`` microseconds of readings; n > 0."""
    buckets = _Buckets.of(rows.time, width)
    values = np.ascontiguousarray(rows.records["values"][buckets.order])
    there = ~np.isnan(values)
    steps = np.empty(len(buckets.time), reading_steps(values.shape[1]))
    steps["time"] = buckets.time
    steps["low"] = np.fmin.reduceat(values, buckets.starts)
    steps["high"] = np.fmax.reduceat(values, buckets.starts)
    steps["total"] = np.add.reduceat(np.where(there, values, 0.0), buckets.starts)
    steps["count"] = np.add.reduceat(there, buckets.starts, dtype=np.uint32)
    return steps


def readings_again(steps: Records, width: int) -> Records:
    """(m,) wider steps of steps."""
    buckets = _Buckets.of(np.ascontiguousarray(steps["time"]), width)
    out = np.empty(len(buckets.time), steps.dtype)
    out["time"] = buckets.time
    for name, reduce in (("low", np.fmin), ("high", np.fmax), ("total", np.add), ("count", np.add)):
        out[name] = reduce.reduceat(steps[name][buckets.order], buckets.starts)
    return out


def verdicts_by(rows: Rows, width: int) -> Records:
    """(m,) steps of ``width`` microseconds of verdicts; n > 0."""
    assert rows.bodies is not None
    return verdicts_again(_as_steps(rows.records, rows.bodies), width)


def verdicts_again(steps: Records, width: int) -> Records:
    """(m,) wider steps of steps."""
    buckets = _Buckets.of(np.ascontiguousarray(steps["time"]), width)
    order, starts = buckets.order, buckets.starts
    out = np.empty(len(buckets.time), steps.dtype)
    out["time"] = buckets.time
    score = np.ascontiguousarray(steps["score"][order])
    out["score"] = np.fmax.reduceat(score, starts)
    out["rate"] = np.fmin.reduceat(steps["rate"][order], starts)
    out["status"] = np.maximum.reduceat(steps["status"][order], starts)
    out["flags"] = np.bitwise_or.reduceat(steps["flags"][order], starts)
    out["total"] = np.add.reduceat(steps["total"][order], starts)
    out["count"] = np.add.reduceat(steps["count"][order], starts)
    out["contributions"] = steps["contributions"][order][_highest(score, out["score"], starts)]
    return out


def _as_steps(heads: Records, bodies: Records) -> Records:
    channels = bodies["flags"].shape[1]
    steps = np.empty(len(heads), verdict_steps(channels))
    for name in ("time", "rate"):
        steps[name] = heads[name]
    for name in ("score", "status", "flags", "contributions"):
        steps[name] = bodies[name]
    for place, name in enumerate(BAND):
        there = ~np.isnan(bodies[name])
        steps["total"][:, place] = np.where(there, bodies[name], 0)
        steps["count"][:, place] = there
    return steps


def _highest(
    score: NDArray[np.float32], best: NDArray[np.float32], starts: NDArray[np.intp]
) -> NDArray[np.intp]:
    """(m,) the first row of each step with the step's highest score."""
    group = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(score))))
    at = np.flatnonzero(score == best[group])
    found = starts.copy()
    found[group[at[::-1]]] = at[::-1]
    return found
