"""What became of each message's readings, told apart where several messages share a commit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from redshank.core.ports import Receipt
from redshank.core.records import Flag, Status, Verdicts
from redshank.pipeline.intake import Fresh, Gathered


def write_receipts(
    messages: int,
    gathered: Sequence[Gathered],
    news: Sequence[Fresh],
    verdicts: Sequence[Verdicts],
) -> list[Receipt]:
    """What became of each message's own readings."""
    counts = np.zeros((5, messages), np.int64)
    for load, new in zip(gathered, news, strict=True):
        for row, mask in enumerate((new.kept, new.duplicate, new.conflict & ~new.kept)):
            counts[row] += np.bincount(load.parcel[mask], minlength=messages)
    for rows in verdicts:
        for at in np.flatnonzero(rows.status == Status.ANOMALY):
            sensor_id, time = rows.sensor_ids[rows.sensor[at]], rows.time[at]
            counts[3][_parcels_with(gathered, sensor_id, int(time))] += 1
        flagged = (rows.flags & np.uint16(~Flag.MISSING & 0xFFFF) != 0).sum(axis=1)
        for sensor, count in enumerate(np.bincount(rows.sensor, flagged).tolist()):
            if count:
                counts[4][_parcels_with(gathered, rows.sensor_ids[sensor])[:1]] += int(count)
    return [Receipt(*column) for column in counts.T.tolist()]


def _parcels_with(
    gathered: Sequence[Gathered], sensor_id: str, time: int | None = None
) -> list[int]:
    """The parcels that brought a sensor's rows (of that time); none if all came earlier."""
    for load in gathered:
        if sensor_id in load.batch.sensor_ids:
            rows = load.batch.sensor == load.batch.sensor_ids.index(sensor_id)
            if time is not None:
                rows &= load.batch.time == time
            return sorted(set(load.parcel[rows].tolist()))
    return []
