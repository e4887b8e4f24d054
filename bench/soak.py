"""Mixed load at twice what the process takes, a restart half-way: nothing lost or doubled.

    python bench/soak.py [--minutes 1] [--clients 10] [--queue 200] [--json]

Clients post NDJSON as fast as they can; together they have several times as much under way as may
wait. About one request in ten is sent twice, and one row in fifty is bad. What is refused (429,
503) or cut off is sent again. Half-way the process is stopped and started again. When the load has
ended, single requests must be taken at once. At the end every reading is read back: all that was
acknowledged must be there once, and nothing else. Memory is given for each tenth of the run; it is
called bounded if it hardly grows in the last third. That takes minutes: the store's page cache (64
MB, and 16 MB for each reader) has to fill first. The exit status is 1 if readings were lost or
doubled, if one was refused after the load, or if memory grew in a run that is long enough to tell.
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import common
from support.client import Client
from support.sender import Acknowledged, Sender

START = 1_767_225_600
ROW_SECONDS = 60
ROWS_IN_REQUEST = 100
REPEATED, BAD = 0.1, 0.02
WATCH_SECONDS = 0.5
TENTHS = 10
SENSOR_ROWS = 100_000
"""Most readings of one sensor."""
MOST_GROWTH = 0.05
"""Share by which memory may grow in the last third."""
TELLING_MINUTES = 5.0
"""Length of a run from which on its growth counts."""
AFTERWARDS = 20
"""Single requests after the load."""


@dataclass
class Load:
    """What one client sends, endlessly, and remembers.

    Attributes:
        number: of the client.
        good: numbers of the rows in each request that can be read.
    """

    number: int
    good: list[list[int]] = field(default_factory=list)

    def requests(self) -> Iterator[list[dict[str, Any]]]:
        """Rows of one request after the other."""
        rng = np.random.default_rng(self.number)
        row = 0
        while True:
            values = rng.normal(20.0, 0.5, ROWS_IN_REQUEST).round(2).tolist()
            rows = [self._row(row + i, value) for i, value in enumerate(values)]
            bad = rng.random(len(rows)) < BAD
            for i in np.flatnonzero(bad).tolist():
                rows[i]["temperature"] = "warm"
            good = (row + np.flatnonzero(~bad)).tolist()
            row += len(rows)
            for _ in range(1 + (rng.random() < REPEATED)):
                self.good.append(good)
                yield rows

    def _row(self, row: int, value: float) -> dict[str, Any]:
        sensor = f"soak-{self.number}-{row // SENSOR_ROWS}"
        return {
            "sensor_id": sensor,
            "timestamp": START + row * ROW_SECONDS,
            "temperature": value,
            "number": row,
        }


class Watch(threading.Thread):
    """Notes the memory of the process now and then.

    Attributes:
        megabytes: seconds since the beginning, and megabytes.
    """

    def __init__(self, process: common.Process) -> None:
        super().__init__(daemon=True)
        self._process = process
        self._end = threading.Event()
        self.megabytes: list[tuple[float, float]] = []

    def run(self) -> None:
        """Until the end."""
        begun = time.perf_counter()
        while not self._end.wait(WATCH_SECONDS):
            resident = self._process.memory()
            if resident:
                self.megabytes.append((time.perf_counter() - begun, round(resident / 1e6, 1)))

    def end(self) -> None:
        """Note no more."""
        self._end.set()
        self.join()


def main() -> None:
    """Run, print, and end with 1 if a reading was lost or doubled."""
    parser = common.options(__doc__)
    parser.add_argument("--minutes", type=float, default=1.0, help="how long to send")
    parser.add_argument("--clients", type=int, default=10)
    parser.add_argument("--queue", type=int, default=200, help="readings that may wait")
    args = parser.parse_args()
    machine = common.facts()
    with common.running(environment={"REDSHANK_QUEUE_READINGS": str(args.queue)}) as process:
        figures = {"queue": args.queue, "clients": args.clients, **soak(process, args)}
    show(args, figures, machine)
    if figures["lost"] or figures["doubled"] or figures["never_sent"]:
        sys.exit("readings were lost or doubled")
    if figures["refused_afterwards"]:
        sys.exit("readings were refused after the load")
    if not figures["bounded"] and args.minutes >= TELLING_MINUTES:
        sys.exit("memory grew until the end")


def soak(process: common.Process, args: argparse.Namespace) -> dict[str, Any]:
    """The figures of one run."""
    loads = [Load(number) for number in range(args.clients)]
    acknowledged = Acknowledged()
    senders = [Sender(process.client, load.requests(), acknowledged) for load in loads]
    watch, begun = Watch(process), time.perf_counter()
    for thread in (watch, *senders):
        thread.start()
    time.sleep(args.minutes * 30)
    stopped = time.perf_counter()
    process.stop()
    process.start()
    down = time.perf_counter() - stopped
    time.sleep(max(0.0, args.minutes * 60 - (time.perf_counter() - begun)))
    for sender in senders:
        sender.stop()
    seconds = time.perf_counter() - begun
    watch.end()
    if acknowledged.failed:
        raise acknowledged.failed[0]
    return {
        "seconds": seconds,
        "down_seconds": down,
        **sent(senders, seconds),
        **memory(watch.megabytes, seconds),
        **afterwards(process),
        **read_back(process, loads, senders),
    }


def sent(senders: list[Sender], seconds: float) -> dict[str, Any]:
    """Rates and shares of what was sent."""
    answers = [answer for sender in senders for answer in sender.answers]
    refused = Counter(answer.status for sender in senders for answer in sender.refused)
    broken = sum(sender.broken for sender in senders)
    taken = max(1, len(answers))
    counts = {
        name: sum(answer[name] for answer in answers)
        for name in ("accepted", "duplicates", "conflicts", "rejected")
    }
    return {
        "readings_per_second": counts["accepted"] / seconds,
        "requests": len(answers),
        "refused_429": refused[429],
        "refused_503": refused[503],
        "times_what_it_takes": (taken + refused.total()) / taken,
        "cut_off": broken,
        **counts,
    }


def memory(megabytes: Sequence[tuple[float, float]], seconds: float) -> dict[str, Any]:
    """Memory in each tenth of the run, the most of all, and whether its growth ends."""
    tenths = [_mean(megabytes, i / TENTHS, (i + 1) / TENTHS, seconds) for i in range(TENTHS)]
    begin = _mean(megabytes, 2 / 3, 2 / 3 + 1 / TENTHS, seconds)
    growth = tenths[-1] / begin - 1 if begin else 0.0
    return {
        "memory_mb": tenths,
        "most_memory_mb": max((one for _, one in megabytes), default=0.0),
        "share_grown_in_last_third": growth,
        "bounded": growth <= MOST_GROWTH,
    }


def _mean(
    megabytes: Sequence[tuple[float, float]], begin: float, end: float, seconds: float
) -> float:
    part = [one for at, one in megabytes if begin * seconds <= at < end * seconds]
    return round(float(np.mean(part)), 1) if part else 0.0


def afterwards(process: common.Process) -> dict[str, Any]:
    """Whether single requests are taken at once when the load has ended."""
    seconds, refused = [], 0
    with process.client() as client:
        for number in range(AFTERWARDS):
            row = {"sensor_id": "afterwards", "timestamp": START + number, "temperature": 20.0}
            begun = time.perf_counter()
            refused += client.post_lines([row]).status != 200
            seconds.append(time.perf_counter() - begun)
    return {"refused_afterwards": refused, "ms_afterwards": common.percentiles(seconds)["p50"]}


def read_back(process: common.Process, loads: list[Load], senders: list[Sender]) -> dict[str, int]:
    """What is there against what was acknowledged, row by row.

    The last request of a sender may be there without its answer, as the sender stopped meanwhile.
    """
    lost = doubled = foreign = 0
    with process.client(timeout=300.0) as client:
        for load, sender in zip(loads, senders, strict=True):
            stored, there = numbers(client, load)
            acknowledged = {row for rows in load.good[: len(sender.answers)] for row in rows}
            sent_rows = {row for rows in load.good for row in rows}
            lost += len(acknowledged - there)
            doubled += stored - len(there)
            foreign += len(there - sent_rows)
    return {"lost": lost, "doubled": doubled, "never_sent": foreign}


def numbers(client: Client, load: Load) -> tuple[int, set[int]]:
    """How many readings of a client are stored, and the numbers of those that can be read."""
    text = f"soak-{load.number}-"
    fleet = client.get("/sensors", {"text": text, "limit": 1000})["sensors"]
    mine = [one for one in fleet if one["sensor_id"].startswith(text)]
    there = {row for one in mine for row in _numbers(client, one["sensor_id"])}
    return sum(one["readings"] for one in mine), there


def _numbers(client: Client, sensor_id: str) -> list[int]:
    answer = client.call("GET", f"/sensors/{sensor_id}/readings.csv?channel=number")
    if answer.status != 200:
        raise SystemExit(f"{sensor_id}: {answer.status} {answer.body[:500]!r}")
    rows = csv.DictReader(io.StringIO(answer.body.decode()))
    return [int(float(row["number"])) for row in rows]


def show(args: argparse.Namespace, figures: dict[str, Any], machine: dict[str, Any]) -> None:
    """Print."""
    rows = [(name, _text(name, value)) for name, value in figures.items()]
    common.show(args, "soak", ("", "figure"), rows, figures, machine)


def _text(name: str, value: Any) -> str:
    if isinstance(value, list):
        return " ".join(f"{each:.0f}" for each in value)
    if name.startswith("share"):
        return f"{value:.1%}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.1f}"


if __name__ == "__main__":
    main()
