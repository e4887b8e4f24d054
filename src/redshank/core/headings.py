"""What columns of sensors, times and labels are called in the files that people have."""

from __future__ import annotations

import re

SENSOR_NAMES = ("sensorid", "boxid", "deviceid", "stationid")
TIME_NAMES = (
    "timestamp",
    "datetime",
    "createdat",
    "eventtime",
    "measuredat",
    "time",
    "ts",
    "date",
)
"""Best first, where a file has several."""
LABEL_NAMES = (
    "isanomaly",
    "anomaly",
    "isanomalous",
    "anomalous",
    "label",
    "labels",
    "isoutlier",
    "outlier",
    "groundtruth",
    "changepoint",
    "anomalykind",
)
"""Columns that tell the answer; they never reach a detector."""


def plain(name: str) -> str:
    """A column's name without what nobody writes alike: case, blanks, hyphens, underscores."""
    return re.sub(r"[\s_-]+", "", name.casefold())
