"""Does the alarm budget keep its promise, and what does quiet cost?

    python bench/budget.py [DATA] [--quick] [--cadence 300 ...] [--kind white ...] [--no-faults]
                           [--scale 1] [--jobs 2] [--json]

Quiet streams of twelve kinds at six cadences go through the whole detector (score, flat lines,
extremes, rhythm, slow drift), every sensor from its first reading on and for 60 days. Printed are
the incidents that each promised budget (false alarms per sensor and 30 days of event time) brings,
with exact 95 % Poisson intervals; then labelled faults are injected into the same streams at three
ages, and recall and delay stand beside the budget. DATA is a folder with real readings (Parquet or
CSV; a column for each channel, or createdAt, phenomenon, value); without it, the week that comes
with redshank. ``measure`` is for use from Python.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import Progress

from budget_cells import Cell, Found, Measured
from budget_tables import tables
from common import options, show_tables
from streams import KINDS, stream
from watched import Watched, watch

PROMISES = (0.1, 1.0, 3.0, 10.0)
BEYOND = (30.0, 100.0, 300.0)
"""Budgets that show how many incidents a cadence can bring at all."""
DAYS = 60.0
MONTH_DAYS = 30.0
PERIODS = {"day 1": (0, 1), "week 1": (0, 7), "month 1": (0, 30), "month 2": (30, 60)}
SENSORS = {1.0: 1, 10.0: 4, 60.0: 12, 300.0: 40, 900.0: 40, 3600.0: 40}
"""Seconds between readings -> sensors of each kind."""
QUICK = {10.0: 1, 60.0: 3, 300.0: 10, 900.0: 10, 3600.0: 10}


@dataclass(frozen=True)
class Task:
    """Streams for one process to watch, one after the other."""

    kind: str
    interval: float
    seeds: tuple[int, ...]
    days: float
    budgets: tuple[float, ...]
    faults: bool
    data: Path | None

    def cost(self) -> float:
        """Rows."""
        return len(self.seeds) * self.days * 86_400 / self.interval


def measure(
    sensors: Mapping[float, int] = SENSORS,
    kinds: Sequence[str] = KINDS,
    promises: Sequence[float] = PROMISES,
    days: float = DAYS,
    faults: bool = True,
    data: Path | None = None,
    jobs: int = 2,
    seed: int = 0,
) -> Measured:
    """Watch quiet streams, inject faults, count.

    Args:
        sensors: seconds between readings -> sensors of each kind.
        kinds: of ``streams.KINDS``.
        promises: budgets, per sensor and 30 days.
        days: how long each sensor is watched.
        faults: inject faults as well.
        data: folder with real readings; None for those that come with redshank.
        jobs: processes.
        seed: another one makes other streams.
    """
    budgets = (*promises, *(b for b in BEYOND if b not in promises))
    tasks = [
        Task(kind, interval, tuple(some.tolist()), days, budgets, faults, data)
        for interval, count in sensors.items()
        for kind in kinds
        for some in np.array_split(np.arange(count) + 1000 * seed, -(-count // 10))
    ]
    watched: dict[tuple[str, float], list[Watched]] = {}
    for task, seen in _run(sorted(tasks, key=Task.cost, reverse=True), jobs):
        watched.setdefault((task.kind, task.interval), []).extend(seen)
    order = [(kind, interval) for interval in sensors for kind in kinds]
    out = Measured()
    for key in order:
        if seen := watched.get(key):
            out.rows += sum(one.rows for one in seen)
            out.cells += _cells(*key, seen, budgets)
    out.found = [line for i in sensors for line in _found(i, watched, promises)]
    return out


def _run(tasks: Sequence[Task], jobs: int) -> Iterator[tuple[Task, list[Watched]]]:
    """Results as they come; not forked, so that the same environment counts everywhere."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context) as pool, _progress() as bar:
        line = bar.add_task("streams", total=sum(map(Task.cost, tasks)))
        waiting = {pool.submit(watch_all, task): task for task in tasks}
        for future in as_completed(waiting):
            bar.advance(line, waiting[future].cost())
            yield waiting[future], future.result()


def _progress() -> Progress:
    return Progress(console=Console(stderr=True), transient=True)


def watch_all(task: Task) -> list[Watched]:
    """Watch the streams of a task."""
    out = []
    for seed in task.seeds:
        made = stream(task.kind, task.interval, task.days, (seed,), task.data)
        if made is not None:
            rng = np.random.default_rng([seed, 5]) if task.faults else None
            out.append(watch(made, task.interval, task.budgets, rng))
    return out


def _cells(
    kind: str, interval: float, seen: Sequence[Watched], budgets: Sequence[float]
) -> Iterator[Cell]:
    for budget in budgets:
        for period, (start, end) in PERIODS.items():
            months = sum(max(min(one.days, end) - start, 0) for one in seen) / MONTH_DAYS
            if months <= 0:
                continue
            within = [
                [speaker for speaker, day in one.openings[budget] if start <= day < end]
                for one in seen
            ]
            counts = tuple(map(len, within))
            flat = [speaker for part in within for speaker in part]
            by = {speaker: flat.count(speaker) for speaker in sorted(set(flat))}
            lost = [min(max(one.learned - start, 0) / (end - start), 1) for one in seen]
            count, learning = sum(counts), float(np.mean(lost))
            yield Cell(kind, interval, budget, period, count, months, counts, by, learning)


def _found(
    interval: float,
    watched: Mapping[tuple[str, float], Sequence[Watched]],
    promises: Sequence[float],
) -> Iterator[Found]:
    delays: dict[tuple, list[float]] = {}
    for (_, at), seen in watched.items():
        for one in seen if at == interval else ():
            for (fault, age), by_budget in one.found.items():
                for promise in promises:
                    delays.setdefault((fault, age, promise), []).append(by_budget[promise])
    for (fault, age, promise), shares in delays.items():
        values = np.array(shares)
        told = float((values < 1).mean()), float(values.mean())
        yield Found(fault.name, fault.size, interval, age, promise, len(values), *told)


def main() -> None:
    """Measure and print."""
    parser = options(__doc__)
    parser.add_argument("data", nargs="?", type=Path, help="folder with real readings")
    parser.add_argument("--quick", action="store_true", help="a minute instead of several")
    parser.add_argument("--cadence", nargs="+", type=float, help="seconds between readings")
    parser.add_argument("--kind", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--promise", nargs="+", type=float, default=PROMISES)
    parser.add_argument("--no-faults", action="store_true")
    parser.add_argument("--scale", type=float, default=1.0, help="times as many sensors")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=multiprocessing.cpu_count())
    args = parser.parse_args()
    usual = QUICK if args.quick else SENSORS
    wanted = args.cadence or list(usual)
    sensors = {c: max(1, round(args.scale * usual.get(c, SENSORS.get(c, 10)))) for c in wanted}
    asked = (sensors, args.kind, tuple(args.promise), DAYS, not args.no_faults, args.data)
    measured = measure(*asked, jobs=args.jobs, seed=args.seed)
    show_tables(args, tables(measured, args.promise), asdict(measured))


if __name__ == "__main__":
    main()
