"""A budget for the whole fleet and a day, shared out among the sensors that there are.

Sensors with a budget of their own keep it; what is left is shared equally among the others. Only
sensors that were heard of in the last 30 days take part, so that those which came or went change
everybody's share.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from redshank.core.clock import DAY, MONTH
from redshank.core.ports import Store
from redshank.core.queries import SensorSpans, StoreTotals
from redshank.pipeline.budget import LIMIT, Budget

LEAST = 0.1
"""Of an equal share: what the others get at least, however much sensors of their own take."""


def shared_out(store: Store, budget: Budget) -> Budget:
    """The budget with everybody's share of its fleet budget; as it is if there is none."""
    if budget.per_fleet_day is None:
        return budget
    newest = store.read(StoreTotals()).newest
    spans = () if newest is None else store.read(SensorSpans(newest - MONTH))
    sensors = [span.sensor_id for span in spans]
    return replace(budget, per_sensor_month=share(budget.per_fleet_day, sensors, budget.own))


def share(per_fleet_day: float, sensors: Iterable[str], own: Mapping[str, float]) -> float:
    """False alarms per 30 days of each sensor without a budget of its own.

    Args:
        per_fleet_day: false alarms of all sensors together in a day.
        sensors: those that take part.
        own: budgets of sensors that have one, per 30 days.
    """
    ids = set(sensors)
    whole = per_fleet_day * (MONTH / DAY)
    taken = [own[sensor_id] for sensor_id in ids & own.keys()]
    equal = whole / max(len(ids), 1)
    left = (whole - sum(taken)) / max(len(ids) - len(taken), 1)
    return min(max(left, LEAST * equal), LIMIT - 1)
