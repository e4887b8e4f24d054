"""The embedded store alone: commits, house-keeping, the page's reads, bytes on the disk.

    python bench/store.py [--rows 400000] [--days 365] [--sensors 50000] [--json]

Writes are commits of 10,000 readings of 4 channels with their verdicts, each asked for duplicates
first and on the disk when it returns. Reads are of one sensor with 7 channels at one row a minute
after house-keeping, and of a list of many sensors; best of five.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from common import facts, options, percentiles, show
from redshank.adapters.store.sqlite import SqliteReader, SqliteStore
from redshank.core.batch import Batch
from redshank.core.clock import DAY, HOUR, MINUTE
from redshank.core.ports import Commit
from redshank.core.queries import (
    CountSensors,
    KnownReadings,
    LatestReadings,
    Query,
    RecoverSensors,
    Sensors,
    SensorSeries,
    StoredRates,
    StoreTotals,
)
from redshank.core.records import Checkpoint, Verdicts
from redshank.core.table_writer import write_parts
from redshank.services.export import Wanted, export

COMMIT = 10_000
START = 1_700_000_000_000_000
WRITE_HEADS = (
    "rows per chunk",
    "rows/s",
    "µs/row",
    "commit p50 ms",
    "p99 ms",
    "tidying µs/row",
    "bytes/row",
)
READ_HEADS = ("read", "ms")
STATE = bytes(2000)


def block(sensors: int, rows: int, channels: int, start: int) -> tuple[Batch, Verdicts]:
    """Rows of sensors in turn, one a minute, and verdicts on them."""
    count = sensors * rows
    rng = np.random.default_rng(start % 2**32)
    names = tuple(f"sensor-{i}" for i in range(sensors))
    sensor = np.tile(np.arange(sensors, dtype=np.int32), rows)
    moment = np.repeat(start + MINUTE * np.arange(rows), sensors)
    columns = tuple("abcdefghij"[:channels])
    values = rng.normal(20, 5, (count, channels)).round(2)
    batch = Batch(names, sensor, moment, columns, values)
    near = values.astype(np.float32)
    rate = (3 / rng.random(count)).astype(np.float32)
    verdicts = Verdicts(
        sensor_ids=names,
        sensor=sensor,
        time=moment,
        channels=columns,
        values=values,
        score=1 / rate,
        rate=rate,
        per_month=np.full(count, 43_200, np.float32),
        budget=np.full(count, 3, np.float32),
        status=np.ones(count, np.uint8),
        cause=np.zeros(count, np.uint8),
        flags=np.zeros(values.shape, np.uint16),
        expected=near,
        lower=near - 1,
        upper=near + 1,
        contributions=np.full(values.shape, 1 / channels, np.float32),
        model="streaming",
        version="1",
    )
    return batch, verdicts


def tidied(store: SqliteStore) -> list[float]:
    """Seconds of every step of house-keeping until nothing is left to do."""
    steps, more = [], True
    while more:
        began = time.perf_counter()
        more = store.maintain(START)
        steps.append(time.perf_counter() - began)
    return steps


def writes(per_chunk: int, rows: int, folder: Path) -> dict[str, Any]:
    """Commits of so many rows a chunk."""
    sensors = COMMIT // per_chunk
    store = SqliteStore(folder / f"writes-{per_chunk}.db")
    seconds = []
    for at in range(rows // COMMIT):
        batch, verdicts = block(sensors, per_chunk, 4, START + at * per_chunk * MINUTE)
        saved = [Checkpoint(name, STATE) for name in batch.sensor_ids[at % 25 :: 25]]
        began = time.perf_counter()
        store.read(KnownReadings([batch]))
        store.write(Commit(readings=[batch], verdicts=[verdicts], checkpoints=saved))
        seconds.append(time.perf_counter() - began)
    steps = tidied(store)
    store.close()
    size = (folder / f"writes-{per_chunk}.db").stat().st_size
    return {
        "rows_per_chunk": per_chunk,
        "rows_per_second": rows / sum(seconds),
        "commit_ms": percentiles(seconds),
        "tidying_seconds": sum(steps),
        "tidying_step_ms": percentiles(steps),
        "bytes_per_reading": size / rows,
        "rows": rows,
    }


def best(action: Callable[[], object], times: int = 5) -> float:
    """Milliseconds of the fastest of some calls."""
    found = []
    for _ in range(times):
        began = time.perf_counter()
        action()
        found.append(time.perf_counter() - began)
    return min(found) * 1e3


def year(days: int, folder: Path) -> dict[str, float]:
    """Reads of one sensor of 7 channels, one row a minute."""
    path = folder / "year.db"
    store = SqliteStore(path)
    saved = [Checkpoint("sensor-0", STATE)]
    for day in range(days):
        batch, verdicts = block(1, 1440, 7, START + day * DAY)
        store.write(Commit(readings=[batch], verdicts=[verdicts], checkpoints=saved))
    fill(store, 64)
    tidied(store)
    end = START + days * DAY
    spans = {"hour": HOUR, "day": DAY, "week": 7 * DAY, "month": 30 * DAY, "year": days * DAY}
    queries: dict[str, Query[Any]] = {
        f"series of a {name}": SensorSeries("sensor-0", end - span, end)
        for name, span in spans.items()
    }
    old, _ = block(1, 10_000, 7, START)
    queries |= {
        "100 latest readings": LatestReadings("sensor-0"),
        "100 latest readings of all": LatestReadings(),
        "10,000 repeated readings": KnownReadings([old]),
        "return rates of 30 days": StoredRates(end - 30 * DAY),
        "recovery": RecoverSensors(["sensor-0"]),
        "totals": StoreTotals(),
    }
    found = {name: best(lambda query=query: store.read(query)) for name, query in queries.items()}
    store.close()
    found["opening"] = best(lambda: SqliteStore(path).close())
    found |= exports(path, folder, days * 1440 * 7)
    return found | {"bytes per reading, verdict included": path.stat().st_size / (days * 1440)}


def exports(path: Path, folder: Path, values: int) -> dict[str, float]:
    """The whole sensor into a file, by a reader beside the writer."""
    found = {}
    for name, target in (("CSV", "year.csv"), ("Parquet", "year.parquet")):
        store = SqliteReader(path)
        began = time.perf_counter()
        table = export(store, Wanted(["sensor-0"]))
        write_parts(folder / target, table.columns, table.parts)
        seconds = time.perf_counter() - began
        store.close()
        found[f"export of all to {name}"] = seconds * 1e3
        found[f"export to {name}, 1000 values/s"] = values / seconds / 1e3
    return found


def fleet(sensors: int, folder: Path) -> dict[str, float]:
    """Lists of many sensors."""
    store = SqliteStore(folder / "fleet.db")
    batch, verdicts = block(sensors, 1, 4, START)
    store.write(Commit(readings=[batch], verdicts=[verdicts]))
    queries: dict[str, Query[Any]] = {
        "100 sensors": Sensors(),
        "100 sensors from the middle": Sensors(offset=sensors // 2),
        "sensors by text": Sensors(text="777"),
        "counts by status": CountSensors(),
    }
    found = {name: best(lambda query=query: store.read(query)) for name, query in queries.items()}
    store.close()
    return {f"{name} of {sensors:,}": value for name, value in found.items()}


def fill(store: SqliteStore, commits: int) -> None:
    """Commits of another sensor, so that those before them leave the tail."""
    for at in range(commits):
        batch, _ = block(1, 1, 1, START + at)
        other = Batch(("other",), batch.sensor, batch.time, batch.channels, batch.values)
        store.write(Commit(readings=[other]))


def main() -> None:
    """Measure and print."""
    parser = options(__doc__)
    parser.add_argument("--rows", type=int, default=400_000)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--sensors", type=int, default=50_000)
    args = parser.parse_args()
    machine = facts()
    folder = Path(tempfile.mkdtemp(prefix="redshank-bench-"))
    try:
        written = [writes(per_chunk, args.rows, folder) for per_chunk in (1, 10, 100)]
        read = year(args.days, folder) | fleet(args.sensors, folder)
    finally:
        shutil.rmtree(folder)
    figures = {"writes": written, "reads_ms": read}
    if args.json:
        show(args, "", (), (), figures, machine)
        return
    show(
        args,
        "Commits of 10,000 readings",
        WRITE_HEADS,
        [_write_row(w) for w in written],
        figures,
        machine,
    )
    rows = [(name, f"{value:,.2f}") for name, value in read.items()]
    show(args, "Reads", READ_HEADS, rows, figures, machine)


def _write_row(figures: dict[str, Any]) -> tuple[str, ...]:
    return (
        str(figures["rows_per_chunk"]),
        f"{figures['rows_per_second']:,.0f}",
        f"{1e6 / figures['rows_per_second']:.2f}",
        f"{figures['commit_ms']['p50']:.1f}",
        f"{figures['commit_ms']['p99']:.1f}",
        f"{1e6 * figures['tidying_seconds'] / figures['rows']:.2f}",
        f"{figures['bytes_per_reading']:.0f}",
    )


if __name__ == "__main__":
    main()
