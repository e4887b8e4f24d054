"""What redshank says of itself: structured logs and Prometheus metrics."""

from __future__ import annotations

import logging
import sys
from typing import Any, TextIO

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class Telemetry:
    """One logger and one registry of metrics, passed to whoever has something to tell.

    Attributes:
        log: bound structlog logger; events are short phrases, details are key-value pairs.
        registry: the metrics, for ``GET /metrics``.
    """

    def __init__(self, log: Any = None) -> None:
        self.log = log or make_logger()
        self.registry = CollectorRegistry()
        own: dict[str, Any] = {"namespace": "redshank", "registry": self.registry}
        self.readings_total = Counter("readings", "New readings stored.", ["source"], **own)
        self.duplicates_total = Counter("duplicates", "Readings that were there already.", **own)
        self.conflicts_total = Counter(
            "conflicts", "Readings with another value for a known time; the first stays.", **own
        )
        self.dead_letters_total = Counter(
            "dead_letters", "What could not become a reading.", ["source"], **own
        )
        self.replayed_total = Counter(
            "dead_letters_replayed", "Dead letters that became readings after all.", **own
        )
        self.purged_total = Counter(
            "dead_letters_purged", "Dead letters that were thrown away.", **own
        )
        self.verdicts_total = Counter("verdicts", "Rows scored.", ["status"], **own)
        self.flags_total = Counter("flags", "Values flagged, by kind of flag.", ["flag"], **own)
        self.incidents_total = Counter("incidents", "Changes of incidents.", ["change"], **own)
        self.amended_total = Counter(
            "amended_sensors", "Sensors scored again because readings came late.", **own
        )
        self.failures_total = Counter(
            "commit_failures", "Commits that could not be written.", **own
        )
        self.commit_seconds = Histogram(
            "commit_seconds", "Time to write one commit.", buckets=_SECONDS, **own
        )
        self.pipeline_seconds = Histogram(
            "pipeline_seconds", "Time to score one commit.", buckets=_SECONDS, **own
        )
        self.queue_readings = Gauge("queue_readings", "Readings that wait to be scored.", **own)
        self.newest_reading = Gauge(
            "newest_reading_timestamp_seconds", "Event time of the newest reading.", **own
        )
        self.sensors = Gauge("sensors_in_memory", "Sensors whose state is in memory.", **own)


def make_logger(level: str = "INFO", form: str = "text", stream: TextIO | None = None) -> Any:
    """A structlog logger of its own, writing to ``stream`` (standard error by default).

    Args:
        level: least level that is written, as in :mod:`logging`.
        form: ``text`` for people, ``json`` for machines.
        stream: where to.
    """
    out = stream or sys.stderr
    renderer: Any = structlog.processors.JSONRenderer()
    if form == "text":
        renderer = structlog.dev.ConsoleRenderer(colors=out.isatty())
    return structlog.wrap_logger(
        structlog.PrintLogger(out),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
    )
