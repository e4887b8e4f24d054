"""How records look in JSON, written once for HTTP and WebSocket."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from typing import Any

import numpy as np

from redshank.core.batch import Floats, Singles
from redshank.core.channels import quantity
from redshank.core.clock import SECOND
from redshank.core.errors import NotFoundError
from redshank.core.flags import flag_names
from redshank.core.ports import Store
from redshank.core.queries import Sensors, Series, StoredRow
from redshank.core.records import (
    ChannelInfo,
    Evidence,
    Incident,
    SensorInfo,
    SensorStatus,
    Status,
)
from redshank.services.api.answers import finite, time_text

Json = dict[str, Any]

MONTH_DAYS = 30.0


def sensor_status(store: Store, sensor_id: str) -> SensorStatus:
    """One sensor as it stands.

    Raises:
        NotFoundError: there is no such sensor.
    """
    found = store.read(Sensors(sensor_ids=[sensor_id], limit=1))
    if not found:
        raise NotFoundError(f"there is no sensor {sensor_id!r}; GET /sensors lists those there are")
    return found[0]


def sensor_names(store: Store, sensor_ids: Sequence[str]) -> dict[str, str]:
    """What people call these sensors."""
    wanted = list(dict.fromkeys(sensor_ids))
    if not wanted:
        return {}
    found = store.read(Sensors(sensor_ids=wanted, limit=len(wanted)))
    return {status.info.sensor_id: status.info.name for status in found if status.info.name}


def sensor_json(status: SensorStatus) -> Json:
    """A sensor for lists."""
    info = status.info
    return {
        "sensor_id": info.sensor_id,
        "name": info.name or info.sensor_id,
        "site": info.site,
        "latitude": info.latitude,
        "longitude": info.longitude,
        "exposure": info.exposure,
        "timezone": info.timezone,
        "owner": info.owner,
        "source": info.source,
        "tags": dict(info.tags),
        "status": status.status.name.lower(),
        "rate": finite(status.rate),
        "open_incidents": status.open_incidents,
        "first_seen": time_text(status.first_seen),
        "last_seen": time_text(status.last_seen),
        "rhythm_seconds": finite(status.rhythm),
        "readings": status.readings,
        "budget": info.budget,
        "channels": {name: _channel(info, name, status.latest) for name in _channels(status)},
    }


def _channels(status: SensorStatus) -> list[str]:
    return sorted({*status.info.channels, *status.latest})


def _channel(info: SensorInfo, name: str, latest: Mapping[str, float]) -> Json:
    known = info.channels.get(name) or ChannelInfo(name)
    measure = {"unit": unit(info, name), "resolution": resolution(info, name)}
    bounds = {"minimum": known.minimum, "maximum": known.maximum}
    return {**measure, "title": known.title, **bounds, "value": finite(latest.get(name))}


def unit(info: SensorInfo, channel: str) -> str:
    """The channel's canonical unit, "" if unknown."""
    known = info.channels.get(channel)
    if known is not None and known.unit:
        return known.unit
    canonical = quantity(channel)
    return canonical.unit if canonical else ""


def resolution(info: SensorInfo, channel: str) -> float | None:
    """The smallest step between values, for rounding; None if unknown."""
    known = info.channels.get(channel)
    if known is not None and known.resolution is not None:
        return known.resolution
    canonical = quantity(channel)
    return canonical.resolution if canonical else None


def incident_json(incident: Incident, name: str | None) -> Json:
    """An incident with its story."""
    rate = finite(incident.rate)
    return {
        "id": incident.id,
        "sensor_id": incident.sensor_id,
        "sensor_name": name or incident.sensor_id,
        "state": incident.state,
        "opened": time_text(incident.opened),
        "last": time_text(incident.last),
        "closed": time_text(incident.closed),
        "duration_seconds": incident.lasted / SECOND,
        "severity": incident.severity,
        "kind": incident.kind,
        "origin": incident.origin,
        "title": incident.title,
        "text": incident.text,
        "rate": rate,
        "once_in_days": once_in_days(rate),
        "score": finite(incident.score),
        "peak": time_text(incident.peak),
        "rows": incident.rows,
        "budget": incident.budget,
        "evidence": [_evidence(evidence) for evidence in incident.evidence],
        "calm": list(incident.calm),
        "feedback": incident.feedback,
        "comments": [
            {"time": time_text(said.time), "text": said.text, "author": said.author}
            for said in incident.comments
        ],
        "notifications": [],
    }


def once_in_days(rate: float | None) -> float | None:
    """How many days pass on average between normal incidents of this return rate."""
    return MONTH_DAYS / rate if rate else None


def _evidence(evidence: Evidence) -> Json:
    plain = asdict(evidence)
    return {k: finite(v) if isinstance(v, float) else v for k, v in plain.items()}


def series_json(series: Series, info: SensorInfo) -> Json:
    """The columns of a series; what does not exist is ``null``."""
    return {
        "time": series.time // 1000,
        "channels": {
            name: _series_channel(series, column, unit(info, name), resolution(info, name))
            for column, name in enumerate(series.channels)
        },
        "score": np.ascontiguousarray(series.score),
        "rate": np.ascontiguousarray(series.rate),
        "status": np.ascontiguousarray(series.status),
    }


def only_flagged(series: Series, bits: int) -> Series:
    """The steps of which a value carries one of these flags; all of them for 0."""
    if not bits:
        return series
    kept = np.any(series.flags & np.uint16(bits), axis=1)
    columns: Json = {each.name: getattr(series, each.name) for each in fields(series)}
    rows: Json = {n: each[kept] for n, each in columns.items() if isinstance(each, np.ndarray)}
    return replace(series, **rows)


def _series_channel(series: Series, column: int, unit: str, step: float | None) -> Json:
    columns = {
        "low": series.low,
        "high": series.high,
        "mean": series.mean,
        "expected": series.expected,
        "lower": series.lower,
        "upper": series.upper,
        "contribution": series.contributions,
        "flags": series.flags,
    }
    lists = {key: np.ascontiguousarray(values[:, column]) for key, values in columns.items()}
    return {"unit": unit, "resolution": step, **lists}


def gap_seconds(rhythm: float | None, bucket: int | None) -> float | None:
    """Distance between steps from which on a chart shows a gap; None if nothing is known."""
    known = [3.0 * rhythm] if rhythm else []
    known += [1.5 * bucket / SECOND] if bucket else []
    return max(known, default=None)


def event_json(row: StoredRow) -> Json:
    """One stored row: its channels beside its ids, and the flags of those that have any."""
    ids: Json = {
        "event_id": row.event_id,
        "sensor_id": row.sensor_id,
        "timestamp": time_text(row.time),
    }
    if row.flags:
        ids["flags"] = {name: flag_names(bits) for name, bits in row.flags.items()}
    return {**ids, **{name: finite(value) for name, value in row.values.items()}}


def anomaly_json(row: StoredRow) -> Json:
    """One stored row with its verdict."""
    rate, per_month = row.rate, row.per_month
    known = rate is not None and per_month is not None
    return {
        **event_json(row),
        "anomaly_score": anomaly_score(rate, per_month) if known else None,  # type: ignore[arg-type]
        "model_name": row.model,
        "model_version": row.version,
        "created_at": time_text(row.time),
    }


def anomaly_score(rate: float, per_month: float) -> float:
    """A return rate as 0 (ordinary) to 1 (never seen): 1 - log(1 + rate) / log(1 + per_month).

    Args:
        rate: normal incidents at least this extreme per sensor and 30 days; inf while learning.
        per_month: rows that the sensor brings in 30 days.
    """
    if not math.isfinite(rate) or not per_month > 0:
        return 0.0
    return min(1.0, max(0.0, 1.0 - math.log1p(max(rate, 0.0)) / math.log1p(per_month)))


def anomaly_scores(rate: Floats | Singles, per_month: float) -> Floats:
    """(n,) the same for many rates."""
    known = np.where(np.isfinite(rate), np.maximum(rate, 0.0), per_month)
    scores: Floats = np.clip(1.0 - np.log1p(known) / math.log1p(per_month), 0.0, 1.0)
    return scores


def status_name(status: int) -> str:
    """``normal``, ``warning`` or ``anomaly``; a row of a sensor that still learns is normal."""
    return "normal" if status == Status.LEARNING else Status(status).name.lower()
