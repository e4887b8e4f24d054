"""What ``budget.py`` found, as tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import numpy as np
from rich.table import Table

from budget_cells import Cell, Found, Measured
from injected import NOTHING
from redshank.core.counts import poisson_interval

NAMES = {1.0: "1 s", 10.0: "10 s", 60.0: "1 min", 300.0: "5 min", 900.0: "15 min", 3600.0: "1 h"}
LEARNING = 0.5
"""Cells whose sensors learn for more of the time are not judged."""
OFTEN = 11
"""Incidents to expect from which on a Poisson count can tell twice from once."""


def tables(measured: Measured, promises: Sequence[float]) -> Iterator[Table]:
    """All of them, the summary last."""
    cells = [cell for cell in measured.cells if cell.promise in promises]
    intervals = list(dict.fromkeys(cell.interval for cell in cells))
    for interval in intervals:
        yield by_kind([c for c in cells if c.interval == interval], promises)
    yield by_age(cells, intervals, promises)
    yield by_speaker(cells, intervals, promises)
    if measured.found:
        yield price(measured.found, intervals, promises)
        yield price_by_age(measured.found, promises)
    yield remarks(measured, promises)
    judged = usable(measured, cells)
    for period in ("week 1", "month 2"):
        yield by_cadence(judged, period)
    yield summary(measured, judged)


def name(interval: float) -> str:
    """A cadence in words."""
    return NAMES.get(interval, f"{interval:g} s")


def by_kind(cells: Sequence[Cell], promises: Sequence[float]) -> Table:
    """Incidents per sensor-month in the second month."""
    later = [c for c in cells if c.period == "month 2"]
    months = sum(c.sensor_months for c in later if c.promise == promises[0])
    title = f"A reading every {name(cells[0].interval)}, second month, {months:.0f} sensor-months"
    table = Table("promised", *(f"{p:g}" for p in promises), title=title)
    for kind in dict.fromkeys(c.kind for c in later):
        table.add_row(
            kind,
            *(_cell([c for c in later if c.kind == kind and c.promise == p]) for p in promises),
        )
    table.add_row("all", *(_cell([c for c in later if c.promise == p]) for p in promises))
    return table


def by_age(cells: Sequence[Cell], intervals: Sequence[float], promises: Sequence[float]) -> Table:
    """All kinds together, by the sensors' age."""
    title = "Incidents per sensor-month by the sensors' age, all kinds"
    table = Table("every", "age", *(f"{p:g}" for p in promises), title=title)
    for interval in intervals:
        for period in dict.fromkeys(c.period for c in cells):
            here = [c for c in cells if c.interval == interval and c.period == period]
            table.add_row(
                name(interval),
                period,
                *(_cell([c for c in here if c.promise == p]) for p in promises),
            )
    return table


def by_speaker(
    cells: Sequence[Cell], intervals: Sequence[float], promises: Sequence[float]
) -> Table:
    """What spoke, as share of the promise."""
    speakers = sorted({speaker for c in cells for speaker in c.by})
    title = "Who spends it: incidents per promised one, second month, all kinds"
    table = Table("every", "promised", *speakers, title=title)
    for interval in intervals:
        for p in promises:
            here = [
                c for c in cells if (c.interval, c.promise, c.period) == (interval, p, "month 2")
            ]
            due = p * sum(c.sensor_months for c in here) or 1.0
            spent = (sum(c.by.get(s, 0) for c in here) / due for s in speakers)
            table.add_row(name(interval), f"{p:g}", *(f"{share:.2f}" for share in spent))
    return table


def price(found: Sequence[Found], intervals: Sequence[float], promises: Sequence[float]) -> Table:
    """Recall and delay of each fault at each budget, by cadence, all ages together."""
    title = "Injected faults: recall / delay (share of the event, a miss counts 1)"
    table = Table("every", "fault", "size", *(f"{p:g}" for p in promises), title=title)
    for interval in intervals:
        kinds = dict.fromkeys((f.fault, f.size) for f in found if f.interval == interval)
        for fault, size in kinds:
            here = [f for f in found if (f.interval, f.fault, f.size) == (interval, fault, size)]
            unit = "h" if fault in ("stuck", NOTHING) else "sd"
            table.add_row(name(interval), fault, f"{size:g} {unit}", *_recalls(here, promises))
        everything = [f for f in found if f.interval == interval and f.fault != NOTHING]
        table.add_row(name(interval), "all", "", *_recalls(everything, promises), end_section=True)
    return table


def price_by_age(found: Sequence[Found], promises: Sequence[float]) -> Table:
    """Recall and delay by the sensors' age, all faults together."""
    title = "Injected faults by the sensor's age: recall / delay"
    table = Table("every", "age", *(f"{p:g}" for p in promises), title=title)
    for interval, age in dict.fromkeys((f.interval, f.age) for f in found):
        same = [f for f in found if (f.interval, f.age) == (interval, age)]
        here = [f for f in same if f.fault != NOTHING]
        table.add_row(name(interval), f"{age:g} days", *_recalls(here, promises))
    return table


def by_cadence(cells: Sequence[Cell], period: str) -> Table:
    """How well the promise is kept at each cadence."""
    chosen = [c for c in cells if c.period == period]
    intervals = dict.fromkeys(c.interval for c in chosen)
    table = Table("cells", *map(name, intervals), title=f"The promise by cadence, {period}")
    for text, told in _MEASURES.items():
        table.add_row(text, *(told([c for c in chosen if c.interval == i]) for i in intervals))
    return table


def summary(measured: Measured, cells: Sequence[Cell]) -> Table:
    """How well the promise is kept, over all cells of kind, cadence and promise."""
    every = [c for c in measured.cells if c.promise == measured.cells[0].promise]
    months = sum(c.sensor_months for c in every if c.period.startswith("month"))
    title = f"The promise: {months:.0f} sensor-months, {measured.rows / 1e6:.0f} M rows"
    periods = dict.fromkeys(c.period for c in cells)
    table = Table("cells", *periods, title=title, caption=_CAPTION)
    for text, told in _MEASURES.items():
        table.add_row(text, *(told([c for c in cells if c.period == p]) for p in periods))
    return table


def usable(measured: Measured, cells: Sequence[Cell]) -> list[Cell]:
    """Cells where the promise can be judged: fast enough to spend it, and not still learning."""
    slow = too_slow(measured, [c.promise for c in cells])
    return [
        c for c in cells if (c.kind, c.interval, c.promise) not in slow and c.learning <= LEARNING
    ]


def remarks(measured: Measured, promises: Sequence[float]) -> Table:
    """Where the promise cannot be spent, and where more was promised and less came."""
    table = Table("remark", "every", "promised", "kinds", title="Remarks")
    slow = too_slow(measured, promises)
    for interval, promise in sorted({(interval, promise) for _, interval, promise in slow}):
        kinds = [kind for kind, i, p in sorted(slow) if (i, p) == (interval, promise)]
        table.add_row("too slow to spend it", name(interval), f"{promise:g}", ", ".join(kinds))
    for kind, interval in _falling([c for c in measured.cells if c.promise in promises]):
        table.add_row("does not rise with the promise", name(interval), "", kind)
    return table


def too_slow(measured: Measured, promises: Sequence[float]) -> set[tuple[str, float, float]]:
    """Kind, cadence and promise where no budget whatever brings half of what is promised."""
    most: dict[tuple[str, float], float] = {}
    for c in measured.cells:
        if c.period == "month 2":
            most[c.kind, c.interval] = max(most.get((c.kind, c.interval), 0.0), c.rate)
    return {
        (c.kind, c.interval, c.promise)
        for c in measured.cells
        if c.promise in promises
        and (c.kind, c.interval) in most
        and most[c.kind, c.interval] < c.promise / 2
    }


def _falling(cells: Sequence[Cell]) -> list[tuple[str, float]]:
    """Where a larger promise brought fewer incidents over both months."""
    out = []
    for kind, interval in dict.fromkeys((c.kind, c.interval) for c in cells):
        totals: dict[float, int] = {}
        for c in cells:
            if (c.kind, c.interval) == (kind, interval) and c.period.startswith("month"):
                totals[c.promise] = totals.get(c.promise, 0) + c.incidents
        counts = [totals[p] for p in sorted(totals)]
        if any(b < a for a, b in pairwise(counts)):
            out.append((kind, interval))
    return out


def _within(factor: float, point: bool = False) -> Callable[[Sequence[Cell]], str]:
    """Share of cells whose interval (or rate) lies within a factor of the promise, either way."""

    def told(cells: Sequence[Cell]) -> str:
        chosen = [c for c in cells if not point or _expected(c) >= OFTEN]
        if not chosen:
            return "-"
        ends = [(c.rate, c.rate) if point else c.interval_95 for c in chosen]
        kept = [
            low <= c.promise * factor and high >= c.promise / factor
            for c, (low, high) in zip(chosen, ends, strict=True)
        ]
        return f"{np.mean(kept):.0%} of {len(chosen)}"

    return told


def _expected(cell: Cell) -> float:
    return cell.promise * cell.sensor_months


def _worst(cells: Sequence[Cell]) -> str:
    """Largest measured over promised where at least three were to be expected."""
    often = [c for c in cells if _expected(c) >= 3]
    if not often:
        return "-"
    worst = max(often, key=lambda c: c.rate / c.promise)
    return _ratio(worst)


def _quietest(cells: Sequence[Cell]) -> str:
    often = [c for c in cells if _expected(c) >= OFTEN]
    if not often:
        return "-"
    least = min(often, key=lambda c: c.rate / c.promise)
    return _ratio(least)


def _ratio(cell: Cell) -> str:
    where = f"{cell.kind}, {name(cell.interval)}, {cell.promise:g}"
    return f"x{cell.rate / cell.promise:.2f} ({where})"


def _overall(cells: Sequence[Cell]) -> str:
    due = sum(map(_expected, cells))
    low, high = poisson_interval(count := sum(c.incidents for c in cells))
    return f"x{count / due:.2f} [{low / due:.2f}-{high / due:.2f}]" if due else "-"


def _above(cells: Sequence[Cell]) -> str:
    """Cells that are above three times the promise beyond doubt."""
    return str(sum(c.interval_95[0] > 3 * c.promise for c in cells))


def _dispersion(cells: Sequence[Cell]) -> str:
    """Variance over mean of the incidents of sensors of a kind; 1 for a Poisson count."""
    spread = mean = 0.0
    for c in cells:
        counts = np.array(c.per_sensor)
        if len(counts) > 1:
            spread, mean = spread + counts.var(ddof=1), mean + counts.mean()
    return f"{spread / mean:.2f}" if mean else "-"


_MEASURES = {
    "count": lambda cells: str(len(cells)),
    "measured / promised, all cells": lambda cells: _overall(cells),
    "interval meets promise x/: 2": _within(2),
    "interval meets promise x/: 1.5": _within(1.5),
    f"measured within x/: 2, {OFTEN} expected": _within(2, point=True),
    f"measured within x/: 1.5, {OFTEN} expected": _within(1.5, point=True),
    "surely above x 3": _above,
    "loudest, 3 expected": _worst,
    f"quietest, {OFTEN} expected": _quietest,
    "variance / mean between sensors": _dispersion,
}
_CAPTION = (
    "A cell is a kind, a cadence and a promise; its 95 % interval is exact for a Poisson count. "
    "Left out: cells that are too slow to spend the promise, or learn for most of the time."
)


def _cell(cells: Sequence[Cell]) -> str:
    months = sum(c.sensor_months for c in cells)
    if not months:
        return "-"
    count = sum(c.incidents for c in cells)
    low, high = poisson_interval(count)
    return f"{_short(count / months)} [{_short(low / months)}-{_short(high / months)}]"


def _short(value: float) -> str:
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _recalls(found: Sequence[Found], promises: Sequence[float]) -> Iterator[str]:
    for p in promises:
        here = [f for f in found if f.promise == p]
        events = sum(f.events for f in here) or 1
        recall = sum(f.recall * f.events for f in here) / events
        delay = sum(f.delay * f.events for f in here) / events
        yield f"{recall:.2f} / {delay:.2f}"
