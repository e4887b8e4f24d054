"""Changes and events on quiet streams, and what the streaming alarm makes of them.

    python bench/changes.py [--seeds 10] [--json]

Four kinds of stream, one channel, 10,000 rows, from nothing, budget 3 per 8,640 rows. Permanent
changes at row 5,000: found within 2 days (576 rows), incidents in these days and in the 12 days
after, rows in alarm. Single readings off by some deviations of the row-to-row change: alarmed in
the same row, within 5. A second event of 200 rows, 1,300 rows after a first of 1,200: found, and
found without the first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from rich.table import Table

from common import options, show_tables
from redshank.detect.alarm import Alarm, decide_series
from redshank.detect.streaming import StreamingPool

ROWS, CHANGE, DAY = 10_000, 5_000, 288
BUDGET = 3.0

Change = Callable[[np.ndarray, np.random.Generator, float], np.ndarray]

PERMANENT: dict[str, Change] = {
    "level +3 sd": lambda x, rng, sd: x + 3 * sd,
    "level +10 sd": lambda x, rng, sd: x + 10 * sd,
    "noise +2 sd": lambda x, rng, sd: x + 2 * sd * rng.normal(size=len(x)),
    "gain 3": lambda x, rng, sd: 3 * x,
    "gain .3": lambda x, rng, sd: 0.3 * x,
}
EVENTS: dict[str, Change] = {
    "level +3 sd": PERMANENT["level +3 sd"],
    "noise +2 sd": PERMANENT["noise +2 sd"],
    "stuck": lambda x, rng, sd: np.full_like(x, x[0]),
}


def streams(seeds: int) -> Iterator[tuple[np.ndarray, np.random.Generator]]:
    """White, autoregressive, daily, heavy-tailed."""
    day = 2 * np.sin(2 * np.pi * np.arange(ROWS) / DAY)
    for seed in range(seeds):
        for kind in range(4):
            rng = np.random.default_rng([seed, kind, 3])
            noise, slow, state = rng.normal(size=ROWS), np.empty(ROWS), 0.0
            for t, shock in enumerate(noise):
                state = 0.9 * state + shock
                slow[t] = state
            slow /= slow.std()
            heavy = slow + 0.3 * rng.standard_t(3, size=ROWS)
            yield (noise, slow, day + 0.3 * slow, heavy)[kind], rng


def alarms(values: np.ndarray) -> np.ndarray:
    """Alarm bits of a sensor from nothing."""
    pool = StreamingPool(1)
    slots = np.repeat(pool.add(), len(values))
    rate = pool.score(slots, np.arange(len(values), dtype=np.int64), values[:, None]).rate
    return decide_series(rate, BUDGET)


def changed(x: np.ndarray, part: slice, how: Change, rng: np.random.Generator) -> np.ndarray:
    """A copy of the stream with one part changed."""
    out = x.copy()
    out[part] = how(out[part], rng, float(x.std()))
    return out


def permanent(x: np.ndarray, how: Change, rng: np.random.Generator) -> list[float]:
    """Found; incidents in 2 days, in the 12 after, in the same unchanged; alarm rows of 4,000."""
    early, late = slice(CHANGE, CHANGE + 2 * DAY), slice(CHANGE + 2 * DAY, CHANGE + 14 * DAY)
    bits = alarms(changed(x, slice(CHANGE, None), how, rng))
    opened, before = (bits & Alarm.OPENED) > 0, (alarms(x) & Alarm.OPENED) > 0
    marked = (bits[CHANGE : CHANGE + 4000] & Alarm.ANOMALOUS) > 0
    counts = (opened[early].any(), opened[early].sum(), opened[late].sum())
    return [float(v) for v in (*counts, before[late].sum(), marked.sum())]


def spike(x: np.ndarray, size: float) -> list[float]:
    """Alarmed in the row of a single bad reading; within 5 rows."""
    bits = alarms(changed(x, slice(6000, 6001), lambda v, *_: v + size * np.diff(x).std(), None))
    marked = (bits & Alarm.ANOMALOUS) > 0
    return [float(marked[6000]), float(marked[6000:6006].any())]


def second(x: np.ndarray, how: Change, rng: np.random.Generator) -> list[float]:
    """A second event is found after a long first one; without it."""
    part = slice(8500, 8700)
    one = changed(x, part, how, rng)
    two = changed(one, slice(6000, 7200), how, rng)
    return [float((alarms(v)[part] & Alarm.ANOMALOUS > 0).any()) for v in (two, one)]


def measure(seeds: int) -> dict[str, dict[str, list[float]]]:
    """Section -> case -> means over the streams."""
    found: dict[str, dict[str, list[list[float]]]] = {"permanent": {}, "spike": {}, "second": {}}
    for x, rng in streams(seeds):
        for name, how in PERMANENT.items():
            found["permanent"].setdefault(name, []).append(permanent(x, how, rng))
        for size in (5, 10, 20):
            found["spike"].setdefault(f"{size} sd", []).append(spike(x, size))
        for name, how in EVENTS.items():
            found["second"].setdefault(name, []).append(second(x, how, rng))
    return {
        section: {name: np.mean(rows, axis=0).tolist() for name, rows in cases.items()}
        for section, cases in found.items()
    }


HEADS = {
    "permanent": ("found", "2 days", "next 12 days", "unchanged", "alarm rows of 4000"),
    "spike": ("same row", "within 5 rows"),
    "second": ("found", "without the first"),
}


def tables(figures: dict[str, dict[str, list[float]]]) -> Iterator[Table]:
    """One for each section."""
    for section, cases in figures.items():
        table = Table(section, *HEADS[section])
        for name, values in cases.items():
            table.add_row(name, *(f"{value:.2f}" for value in values))
        yield table


def main() -> None:
    """Measure and print."""
    parser = options(__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    args = parser.parse_args()
    figures = measure(args.seeds)
    show_tables(args, tables(figures), figures)


if __name__ == "__main__":
    main()
