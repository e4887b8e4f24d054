"""Does the budget keep its promise? Incidents of the streaming detector on streams without events.

    python bench/dial.py [--seeds 10] [--json]

Sixteen kinds of stream, 60 days at 5 minutes, each sensor from its first row. Prints the incidents
per sensor that each promised budget (incidents per 8,640 rows) brings within the first day, the
first week, the first and the second month, and the second month by kind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from rich.progress import track
from rich.table import Table

from common import options, show_tables
from redshank.detect.alarm import Alarm, decide_series
from redshank.detect.streaming import StreamingPool

DAY = 288
MONTH = 8640
ROWS = 2 * MONTH
BUDGETS = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
PERIODS = {
    "day 1": (0, DAY),
    "week 1": (0, 7 * DAY),
    "month 1": (0, MONTH),
    "month 2": (MONTH, ROWS),
}

Noise = Callable[[tuple[int, int]], np.ndarray]


def smooth(noise: np.ndarray, memory: float) -> np.ndarray:
    """First-order autoregression on noise (rows, c)."""
    out, state = np.empty_like(noise), np.zeros(noise.shape[1])
    for t, shock in enumerate(noise):
        state = memory * state + shock
        out[t] = state
    return out


def single(rng: np.random.Generator) -> Iterator[tuple[str, np.ndarray]]:
    """Kinds of one channel, and four of them together where that is harder."""
    t = np.arange(ROWS)[:, None] / DAY
    day = np.sin(2 * np.pi * t)
    normal: Noise = lambda size: rng.normal(size=size)  # noqa: E731
    one, four = (ROWS, 1), (ROWS, 4)
    yield "white", normal(one)
    yield "white, 4 channels", normal(four)
    yield "AR .9", smooth(normal(one), 0.9)
    yield "AR .99", smooth(normal(one), 0.99)
    yield "AR .99, 4 channels", smooth(normal(four), 0.99)
    weekly = np.sin(2 * np.pi * t / 7)
    yield "day and week", 2 * day + weekly + 0.2 * smooth(normal(one), 0.7)
    spread = 0.2 + 0.15 * np.sin(2 * np.pi * t + 1)
    yield "variance by hour", 2 * day + smooth(normal(one), 0.7) * spread
    yield "Student t, 3", rng.standard_t(3, size=one)
    yield "AR .8, Student t, 4", smooth(rng.standard_t(4, size=one), 0.8)
    yield "random walk", np.cumsum(normal(one), axis=0) * 0.02 + 0.3 * normal(one)
    yield "quantised", np.round(0.5 * smooth(normal(one), 0.95))
    yield "saturating", np.minimum(2 * day + 0.3 * smooth(normal(one), 0.8), 1.5)
    burst = 1 + 2 * (np.cumsum(rng.random(ROWS) < 0.005) % 2)[:, None]
    yield "bursty", smooth(normal(one), 0.9) * burst


def several(rng: np.random.Generator) -> Iterator[tuple[str, np.ndarray]]:
    """Kinds whose channels belong together."""
    command = (np.cumsum(rng.random(ROWS) < 0.01) % 3).astype(float)[:, None]
    answer = 2 * command + 0.2 * smooth(rng.normal(size=(ROWS, 1)), 0.8)
    yield "command and answer", np.hstack([command, answer])
    for channels in (3, 8):
        source = smooth(rng.normal(size=(ROWS, 3)), 0.9)
        mixed = source @ rng.normal(size=(3, channels))
        yield f"{channels} correlated", mixed + 0.2 * rng.normal(size=mixed.shape)


def openings(values: np.ndarray) -> dict[float, np.ndarray]:
    """Rows at which incidents open, for each budget."""
    pool = StreamingPool(values.shape[1])
    slots = np.repeat(pool.add(), ROWS)
    rate = pool.score(slots, np.arange(ROWS, dtype=np.int64), values).rate
    return {b: np.flatnonzero(decide_series(rate, b) & Alarm.OPENED) for b in BUDGETS}


def measure(seeds: int) -> dict[float, dict[str, dict[str, float]]]:
    """Budget -> kind -> period -> incidents per sensor."""
    counts: dict[float, dict[str, dict[str, float]]] = {b: {} for b in BUDGETS}
    for seed in track(range(seeds), "streams"):
        rng = np.random.default_rng([seed, 77])
        for kind, values in (*single(rng), *several(rng)):
            for budget, rows in openings(values).items():
                line = counts[budget].setdefault(kind, dict.fromkeys(PERIODS, 0.0))
                for period, (start, end) in PERIODS.items():
                    line[period] += ((rows >= start) & (rows < end)).sum() / seeds
    return counts


def tables(counts: dict[float, dict[str, dict[str, float]]]) -> Iterator[Table]:
    """The dial, and its second month by kind."""
    dial = Table("promised", *PERIODS, title="Incidents per sensor on quiet streams")
    for budget, kinds in counts.items():
        means = [np.mean([line[period] for line in kinds.values()]) for period in PERIODS]
        dial.add_row(f"{budget:g}", *(f"{mean:.2f}" for mean in means))
    yield dial
    by_kind = Table("kind", *(f"{b:g}" for b in BUDGETS), title="Second month by kind")
    for kind in counts[BUDGETS[0]]:
        by_kind.add_row(kind, *(f"{counts[b][kind]['month 2']:.2f}" for b in BUDGETS))
    yield by_kind


def main() -> None:
    """Measure and print."""
    parser = options(__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    args = parser.parse_args()
    counts = measure(args.seeds)
    named = {f"{budget:g}": kinds for budget, kinds in counts.items()}
    show_tables(args, tables(counts), named)


if __name__ == "__main__":
    main()
