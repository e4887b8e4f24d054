"""A budget for the whole fleet and a day, shared out among the sensors that there are.

Sensors with a budget of their own keep it; what is left is shared equally among the others. Only
sensors that were heard of in the last 30 days take part, so that those which came or went change
everybody's share.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from redshank.core.clock import DAY, MONTH
from redshank.core.ports import Store
from redshank.core.queries import CountWatched, SensorSpans, StoreTotals
from redshank.pipeline.budget import LIMIT, Budget

LEAST = 0.1
"""Of an equal share: what the others get at least, however much sensors of their own take."""


def shared_out(store: Store, budget: Budget) -> Budget:
    """The budget with everybody's share of its fleet budget; as it is if there is none."""
    if budget.per_fleet_day is None:
        return budget
    newest = store.read(StoreTotals()).newest
    since = 0 if newest is None else newest - MONTH
    sensors = store.read(CountWatched(since)).sensors
    own = store.read(SensorSpans(since, list(budget.own))) if budget.own else ()
    taken = [budget.own[span.sensor_id] for span in own]
    return replace(budget, per_sensor_month=share(budget.per_fleet_day, sensors, taken))


def share(per_fleet_day: float, sensors: int, taken: Sequence[float]) -> float:
    """False alarms per 30 days of each sensor without a budget of its own.

    Args:
        per_fleet_day: false alarms of all sensors together in a day.
        sensors: how many take part.
        taken: budgets of those of them that have their own, per 30 days.
    """
    whole = per_fleet_day * (MONTH / DAY)
    equal = whole / max(sensors, 1)
    left = (whole - sum(taken)) / max(sensors - len(taken), 1)
    return min(max(left, LEAST * equal), LIMIT - 1)
