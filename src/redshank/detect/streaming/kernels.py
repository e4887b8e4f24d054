"""The compiled steps of the streaming detector and the layout of its memory."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from redshank.core.batch import Bytes, Floats, Ints, Singles, Times
from redshank.detect import native
from redshank.detect.streaming.scores import Scores

FIRST_FIT = 256
"""Rows before the first model."""
KEPT = 2048
"""Rows kept for later fits."""
PARTS = 8
VIEWS = 12
DISTRUST = np.uint16(0x8000)
"""Top bit of stored evidence: the row was itself an anomaly."""
STOOD_OUT = np.uint16(0x4000)
"""The bit below it: the row stood out in the first pass of the present fit."""
STORED = np.float32(2048)
"""Fixed point of stored evidence."""

SLOT = np.dtype(
    [
        ("rows", np.int64),
        ("fitted_at", np.int64),
        ("since", np.int64),
        ("buffer", np.uint64),
        ("model", np.uint64),
        ("core", np.uint64),
        ("ring", np.uint64),
        ("fits", np.int64),
    ]
)
"""``Slot`` of stream.h: counters of a sensor and the addresses of its blocks."""

FIELDS = (
    "mean",
    "scale",
    "weights",
    "basis",
    "v_scale",
    "q_scale",
    "x_scale",
    "s_mid",
    "s_up",
    "s_low",
    "f_mid",
    "f_up",
    "f_low",
    "mid",
    "span",
    "window",
    "slow",
    "ring",
    "q_drift",
    "s_drift",
    "f_drift",
    "level_now",
    "level_low",
    "level_high",
    "level_unit",
    "activity_now",
    "activity_low",
    "activity_high",
    "activity_unit",
    "strange",
    "strange_drift",
    "level",
    "covariance",
    "precision",
    "x_norm",
    "x_memory",
    "evidence",
    "blame",
    "centres",
    "rank",
    "rows",
)
"""Fields of a model block, in the order of ``Model`` of stream.h."""
_TYPES: dict[str, type[np.generic]] = {
    "mean": np.float64,
    "scale": np.float64,
    "centres": np.uint16,
    "rank": np.int32,
    "rows": np.int32,
}


_SIZES = (
    "channels",
    "lags",
    "window",
    "features",
    "rank",
    "centres",
    "model_bytes",
    "core_bytes",
    "ring_bytes",
)


@dataclass(frozen=True, slots=True)
class Layout:
    """Sizes for one number of channels; bytes where the name says so."""

    channels: int
    lags: int
    window: int
    features: int
    rank: int
    centres: int
    model_bytes: int
    core_bytes: int
    ring_bytes: int
    scratch_bytes: int
    places: Mapping[str, tuple[type[np.generic], int, int]]

    def field(self, block: Bytes, name: str) -> NDArray[Any]:
        """A field of a model block as a flat view."""
        kind, size, offset = self.places[name]
        return np.frombuffer(block, kind, size, offset)


@cache
def layout(channels: int) -> Layout:
    """The layout for this many channels."""
    sizes, offsets = np.zeros(len(_SIZES), np.int32), np.zeros(len(FIELDS), np.int64)
    native.call("rs_stream_shape", ctypes.c_int32(channels), sizes)
    native.call("rs_stream_offsets", ctypes.c_int32(channels), offsets)
    scratch = native.call("rs_stream_scratch", ctypes.c_int32(channels))
    named = dict(zip(_SIZES, sizes.tolist(), strict=True))
    ends = [*offsets[1:].tolist(), named["model_bytes"]]
    places = {}
    for name, start, end in zip(FIELDS, offsets.tolist(), ends, strict=True):
        kind = _TYPES.get(name, np.float32)
        places[name] = kind, (end - start) // np.dtype(kind).itemsize, start
    return Layout(**named, scratch_bytes=scratch, places=places)


@cache
def abi_version() -> int:
    """Version of the state's layout."""
    return native.call("rs_abi_version") & 0xFFFF


def score(
    shape: Layout,
    table: NDArray[np.void],
    groups: tuple[Ints, Times, Times],
    order: Times,
    rows: tuple[Times, Floats, Singles],
    young: float,
    out: Scores,
    scratch: Bytes,
) -> tuple[int, Bytes]:
    """Score rows of many sensors; see ``rs_stream_score``.

    Args:
        table: slots, dtype :data:`SLOT`.
        groups: (g,) slot, first and end of its rows within ``order``; the first is moved on.
        order: (n,) row numbers, those of one slot together and in order of arrival.
        rows: times (n,), values (n, c) and return rates of records (n, c).
        young: age of a sensor, in microseconds, at which rare rates are half known; 0: at any.

    Returns:
        How many groups stopped for their owner, and (g,) why each did.
    """
    event = np.zeros(len(groups[0]), np.uint8)
    said = out.score, out.rate, out.contributions, out.forecast, out.cause
    stopped = native.call(
        "rs_stream_score",
        ctypes.c_int32(shape.channels),
        table,
        ctypes.c_int64(len(groups[0])),
        *groups,
        order,
        *rows,
        ctypes.c_double(young),
        *said,
        event,
        scratch,
    )
    return stopped, event


def features(shape: Layout, values: Singles) -> Singles:
    """(n, window + c + 1) lags, slow mean and constant of normalised values (n, c)."""
    out = np.empty((len(values), shape.window + shape.channels + 1), np.float32)
    _call("features", shape, values, len(values), out)
    return out


def levels(shape: Layout, core: Bytes, values: Floats) -> Singles:
    """Note the levels of a history (n, c) in a core block; (c,) 1 where a measurement."""
    measured = np.zeros(shape.channels, np.float32)
    _call("levels", shape, core, values, len(values), measured)
    return measured


def observe(shape: Layout, model: Bytes, values: Floats) -> Singles:
    """(n, 9 c + 1) unscaled components of a history: V Q S X F M L A seen, shape distance."""
    out = np.zeros((len(values), (PARTS + 1) * shape.channels + 1), np.float32)
    _call("observe", shape, model, values, len(values), out, _scratch(shape))
    return out


def pool(shape: Layout, model: Bytes, components: Singles, measured: Singles) -> Singles:
    """(n, 12) pooled, smoothed components of a history."""
    out = np.empty((len(components), VIEWS), np.float32)
    args = (components, measured, len(components), out, _scratch(shape))
    _call("pool", shape, model, *args)
    return out


def judge(shape: Layout, model: Bytes, pooled: Singles, measured: Singles) -> Singles:
    """(n,) evidence of a history."""
    out = np.empty(len(pooled), np.float32)
    _call("judge", shape, model, pooled, measured, len(pooled), out)
    return out


def follow(shape: Layout, model: Bytes, values: Floats, measured: Singles) -> Singles:
    """(n,) evidence of rows (n, c) that come after those a model was fitted on; it moves on."""
    out = np.empty(len(values), np.float32)
    _call("follow", shape, model, values, measured, len(values), out, _scratch(shape))
    return out


def replay(core: Bytes, evidence: Singles) -> None:
    """Restart the alarm stage of a core block on evidence (n,)."""
    native.call("rs_stream_replay", core, evidence, ctypes.c_int64(len(evidence)))


def renew(core: Bytes) -> None:
    """Tell the alarm stage of a core block that a later model judges from now on."""
    native.call("rs_stream_renew", core)


def _scratch(shape: Layout) -> Bytes:
    return np.zeros(shape.scratch_bytes, np.uint8)


def _call(name: str, shape: Layout, *args: NDArray[Any] | int) -> None:
    sized = (ctypes.c_int64(a) if isinstance(a, int) else a for a in args)
    native.call(f"rs_stream_{name}", ctypes.c_int32(shape.channels), *sized)
