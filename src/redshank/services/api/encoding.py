"""Verdicts and states as live clients get them, encoded once for all of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from redshank.core.records import SensorStatus, Status, Verdicts
from redshank.services.api.answers import dumps, finite, time_text
from redshank.services.api.live import Row

MOST_ENCODED = 500
"""Rows of one block that are encoded."""
_PER_VALUE = ("values", "expected", "lower", "upper", "contributions", "flags")

Numbers = np.ndarray[Any, Any]


def chosen(rows: Numbers, status: Numbers) -> Numbers:
    """At most so many rows as are encoded of a block, anomalous ones first."""
    if len(rows) <= MOST_ENCODED:
        return rows
    special = status[rows] == Status.ANOMALY
    room = max(0, MOST_ENCODED - int(special.sum()))
    normal = rows[~special]
    spread = normal[np.linspace(0, len(normal) - 1, min(room, len(normal))).astype(np.intp)]
    return np.sort(np.concatenate([rows[special][-MOST_ENCODED:], spread]))


def encoded(block: Verdicts, rows: Numbers) -> list[Row]:
    """Verdicts as they are sent."""
    per_value = [plain(getattr(block, name)[rows]) for name in _PER_VALUE]
    per_row = zip(
        (block.time[rows] // 1000).tolist(),
        plain(block.score[rows]),
        plain(block.rate[rows]),
        block.status[rows].tolist(),
        *per_value,
        strict=True,
    )
    made = []
    for time, score, rate, status, *columns in per_row:
        named = (dict(zip(block.channels, column, strict=True)) for column in columns)
        message = {"time": time, **dict(zip(_PER_VALUE, named, strict=True))}
        message |= {"score": score, "rate": rate, "status": status}
        made.append(Row(status == Status.ANOMALY, dumps(message)))
    return made


def plain(numbers: Numbers) -> list[Any]:
    """Python numbers; those of single precision without the digits that doubling would invent."""
    if numbers.dtype != np.float32:
        listed: list[Any] = numbers.tolist()
        return listed
    wide = numbers.astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = 10.0 ** np.clip(6 - np.floor(np.log10(np.abs(wide))), -30, 30)
        rounded = np.round(wide * scale) / scale
    short: list[Any] = np.where(wide == 0, 0.0, rounded).tolist()
    return short


def fleet_entry(status: SensorStatus) -> dict[str, Any]:
    """A sensor's state as it is sent."""
    return {
        "sensor_id": status.info.sensor_id,
        "status": status.status.name.lower(),
        "rate": finite(status.rate),
        "last_seen": time_text(status.last_seen),
        "values": {name: finite(value) for name, value in status.latest.items()},
        "open_incidents": status.open_incidents,
    }
