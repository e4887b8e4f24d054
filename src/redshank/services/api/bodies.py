"""What bodies must look like, for checking them and for OpenAPI."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

from redshank.services.registry import SensorChanges, Text

StatusName = Literal["learning", "normal", "warning", "anomaly"]
Severity = Literal["low", "medium", "high"]
Mark = Literal["real", "false", "expected"]

READING_EXAMPLE: dict[str, JsonValue] = {
    "sensor_id": "greenhouse-1",
    "timestamp": "2026-01-31T12:00:00Z",
    "temperature": 21.5,
    "humidity": 61,
    "event_id": "a-7",
    "room": "north",
}
PREDICT_EXAMPLE: dict[str, JsonValue] = {
    "sensor_id": "greenhouse-1",
    "temperature": 48.0,
    "humidity": 61,
}


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ReadingIn(BaseModel):
    """One reading; its channels stand beside these fields or under `values`."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"example": READING_EXAMPLE})
    sensor_id: str
    timestamp: str | float | None = None
    event_id: str | None = None
    values: dict[str, float | None] | None = None


class TableIn(_In):
    """Rows in time order, a column a channel; `null` where a number is missing."""

    data: list[list[float | None]] = Field(min_length=1, max_length=1_000_000)
    window_size: int = Field(0, ge=0, description="learn from so many rows first")
    threshold_factor: float = Field(1.0, gt=0, le=1000, allow_inf_nan=False)


class DeviceChannel(_In):
    """What one of a device's sensors measures, in the words of its maker or owner."""

    title: Text = Field(min_length=1, examples=["Luftdruck"])
    unit: Text = Field("", examples=["Pa"])


class SensorEdit(SensorChanges):
    """What an owner may change."""

    device_channels: dict[Text, DeviceChannel] = Field(
        {}, max_length=256, description="sensor ids of a device that posts to /boxes/{id}/data"
    )


class FeedbackIn(_In):
    """A mark; `null` takes it back."""

    feedback: Mark | None


class CommentIn(_In):
    """A comment."""

    text: str = Field(min_length=1, max_length=4000)
    author: str = Field("", max_length=100)


class BudgetIn(_In):
    """Exactly one of the two."""

    per_sensor_month: float | None = Field(None, gt=0, lt=100_000, allow_inf_nan=False)
    per_fleet_day: float | None = Field(None, gt=0, lt=1e9, allow_inf_nan=False)

    @model_validator(mode="after")
    def _one(self) -> BudgetIn:
        if (self.per_sensor_month is None) == (self.per_fleet_day is None):
            raise ValueError("must hold exactly one of per_sensor_month and per_fleet_day")
        return self
