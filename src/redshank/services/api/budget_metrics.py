"""The alarm budget in Prometheus metrics, looked up when they are asked for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from redshank.core.errors import StoreError
from redshank.pipeline.budget import Budget
from redshank.services.context import Context
from redshank.services.promise import Kept, Rate, kept

_RATES = "False alarms per sensor and 30 days, with the ends of an exact 95 % Poisson interval"


class EverythingMeasured(Collector):
    """A registry's metrics and those of the alarm budget, as one collector.

    Args:
        context: the running service.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._registry: CollectorRegistry = context.telemetry.registry

    def collect(self) -> Iterator[Metric]:
        """All metrics; without those of the budget while the store cannot be read."""
        yield from self._registry.collect()
        budget = self._context.runner.budget
        try:
            found = kept(self._context.store, budget)
        except StoreError:
            return
        yield from families(budget, found)


def families(budget: Budget, found: Kept) -> Iterable[Metric]:
    """What is promised and what came in the last 30 days, as gauges."""
    watch = found.watch
    yield _gauge("per_sensor_month", "False alarms per sensor and 30 days", budget.per_sensor_month)
    yield _gauge("fleet_per_day", "False alarms of all sensors together in a day", watch.per_day)
    yield _gauge(
        "sensor_months", "Time watched in the last 30 days, in 30 days", watch.sensor_months
    )
    yield _gauge("promised_incidents", "False alarms promised for that time", watch.promised)
    marks = GaugeMetricFamily(
        "redshank_budget_incidents", "Incidents that opened in that time", labels=["mark"]
    )
    for mark, count in (*found.marked.items(), ("none", found.unmarked)):
        marks.add_metric([mark], count)
    yield marks
    rates = GaugeMetricFamily(
        "redshank_budget_false_per_sensor_month", _RATES, labels=["counted", "value"]
    )
    _add(rates, "marked_false", found.marked_false)
    _add(rates, "false_or_unmarked", found.false_or_unmarked)
    yield rates
    yield _gauge("too_slow_sensors", "Sensors that cannot spend it", watch.too_slow)


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"redshank_budget_{name}", text, value=value)


def _add(family: GaugeMetricFamily, counted: str, told: Rate) -> None:
    values = {"measured": told.per_sensor_month, "low": told.low, "high": told.high}
    for name, value in values.items():
        if value is not None:
            family.add_metric([counted, name], value)
