"""One quiet stream through the whole detector: which incidents each budget would bring.

Rates do not depend on the budget, so one pass serves all; the decision is the product's own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from besides import findings, incidents
from injected import Fault, injections
from redshank.core.clock import DAY
from redshank.core.records import SensorInfo
from redshank.detect.alarm import Alarm, decide_series
from redshank.detect.engine import Engine
from redshank.detect.streaming import Cause
from redshank.pipeline.budget import Budget
from redshank.pipeline.pipeline import Pipeline
from streams import START, Stream

SETTINGS = Pipeline(Budget(), SensorInfo).settings
AGES = (2.0, 10.0, 40.0)
"""Days after its first reading at which faults are put into a sensor."""
CHUNK = 1 << 16
SETTLED = 100
"""Rows before a fault from which the state of the decision is known."""


@dataclass
class Watched:
    """What one stream brought.

    Attributes:
        days: how long it was watched.
        openings: budget -> what spoke ("score", "flat line", ...) and day of each incident.
        found: (fault, age in days) -> budget -> share of the event until the alarm; 1 for none.
        learned: day from which on it had rates.
        rows: scored.
    """

    days: float
    openings: dict[float, list[tuple[str, float]]]
    found: dict[tuple[Fault, float], dict[float, float]] = field(default_factory=dict)
    learned: float = 0.0
    rows: int = 0


def watch(
    stream: Stream, interval: float, budgets: tuple[float, ...], rng: np.random.Generator | None
) -> Watched:
    """Run a stream from its first row on, and faults on copies of its state.

    Args:
        stream: without anomalies.
        interval: seconds between rows.
        budgets: false alarms per 30 days.
        rng: where to put faults; None for no faults.

    Raises:
        AssertionError: alarms of the engine do not follow from rates and budget alone.
    """
    engine = Engine(SETTINGS)
    slot = engine.add()
    time = stream.time
    ages = AGES if rng is not None else ()
    places = {int(np.searchsorted(time, START + (age + rng.random()) * DAY)): age for age in ages}
    places = {row: age for row, age in places.items() if row < len(time) - 100}
    stops = sorted({*places, *range(0, len(time), CHUNK), len(time)})
    rate, cause, moment, alarm = [], [], [], []
    found: dict[tuple[Fault, float], dict[float, float]] = {}
    for first, end in pairwise(stops):
        if first in places:
            recent = np.concatenate([*rate[-8:], np.empty(0, np.float32)])[-SETTLED:]
            for key, delays in _faults(engine, slot, stream, first, interval, recent, budgets, rng):
                found[key, places[first]] = delays
        for judged in _run(engine, slot, stream, time[first:end], stream.values[first:end]):
            rate.append(judged.rate), cause.append(judged.cause)
            moment.append(judged.time), alarm.append(judged.alarm)
    told = np.concatenate(rate), np.concatenate(cause), np.concatenate(moment)
    again = decide_series(told[2], told[0], float(engine.budget[slot]), SETTINGS.confirmation)
    np.testing.assert_array_equal(np.concatenate(alarm), again)
    openings = {b: _openings(b, *told) for b in budgets}
    other = findings(stream)
    openings = {b: spoke + incidents(other, b) for b, spoke in openings.items()}
    learned = float(np.isinf(told[0]).mean()) * _day(time[-1])
    return Watched(_day(time[-1]), openings, found, learned, len(time))


def _run(engine: Engine, slot: int, stream: Stream, time: np.ndarray, values: np.ndarray):
    slots = np.full(len(time), slot, np.int32)
    return engine.run(slots, time, stream.channels, values)


def _openings(
    budget: float, rate: np.ndarray, cause: np.ndarray, time: np.ndarray
) -> list[tuple[str, float]]:
    rows = np.flatnonzero(decide_series(time, rate, budget) & Alarm.OPENED)
    return [(_speaker(int(cause[row])), _day(time[row])) for row in rows.tolist()]


def _speaker(cause: int) -> str:
    if cause == Cause.FLAT_LINE:
        return "flat line"
    return "extreme" if cause == Cause.EXTREME else "score"


def _day(time: float) -> float:
    return (float(time) - START) / DAY


def _faults(
    engine: Engine,
    slot: int,
    stream: Stream,
    row: int,
    interval: float,
    recent: np.ndarray,
    budgets: tuple[float, ...],
    rng: np.random.Generator,
):
    """Each fault and, for each budget, the share of the event until its alarm."""
    state = engine.snapshot(slot)
    copy = engine.add()
    for injected in injections(rng, stream, row, interval):
        engine.restore(copy, state)
        time = stream.time[row : row + injected.event]
        parts = [part.rate for part in _run(engine, copy, stream, time, injected.values)]
        rates = np.concatenate([recent, *parts])
        times = stream.time[row - len(recent) : row + injected.event]
        delays = {b: _delay(times, rates, len(recent), b) for b in budgets}
        yield injected.fault, delays
    engine.remove(copy)


def _delay(time: np.ndarray, rates: np.ndarray, before: int, budget: float) -> float:
    unusual = Alarm.OPEN | Alarm.WARNING
    rows = np.flatnonzero(decide_series(time, rates, budget)[before:] & unusual == unusual)
    return float(rows[0]) / (len(rates) - before) if len(rows) else 1.0
