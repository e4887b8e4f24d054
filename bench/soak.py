"""Mixed load at more than a small queue takes, with a restart half-way: nothing lost or doubled.

    python bench/soak.py [--minutes 1] [--clients 8] [--queue 200] [--json]

Clients post NDJSON as fast as they can; together they have four times as much under way as may
wait. About one request in ten is sent twice, and one
row in fifty is bad. What is refused (429, 503) or cut off is sent again. Half-way the process is
stopped and started again. At the end every reading is read back: all that was acknowledged must be
there once, and nothing else. The exit status is 1 if not.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import common
from support.client import Client
from support.sender import Acknowledged, Sender
from support.story import paged

START = 1_767_225_600
ROW_SECONDS = 60
ROWS_IN_REQUEST = 100
REPEATED, BAD = 0.1, 0.02
WATCH_SECONDS = 0.5
PAGE_ROWS = 100_000
"""Most readings of one sensor, so that reading back in pages stays quick."""


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
        sensor = f"soak-{self.number}-{row // PAGE_ROWS}"
        return {
            "sensor_id": sensor,
            "timestamp": START + row * ROW_SECONDS,
            "temperature": value,
            "number": row,
        }


class Watch(threading.Thread):
    """Notes the memory of the process now and then."""

    def __init__(self, process: common.Process) -> None:
        super().__init__(daemon=True)
        self._process = process
        self._end = threading.Event()
        self.megabytes: list[float] = []

    def run(self) -> None:
        """Until the end."""
        while not self._end.wait(WATCH_SECONDS):
            resident = self._process.memory()
            if resident:
                self.megabytes.append(round(resident / 1e6, 1))

    def end(self) -> None:
        """Note no more."""
        self._end.set()
        self.join()


def main() -> None:
    """Run, print, and end with 1 if a reading was lost or doubled."""
    parser = common.options(__doc__)
    parser.add_argument("--minutes", type=float, default=1.0, help="how long to send")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--queue", type=int, help="readings that may wait; else 25 a client")
    args = parser.parse_args()
    machine = common.facts()
    queue = args.queue or args.clients * ROWS_IN_REQUEST // 4
    with common.running(environment={"REDSHANK_QUEUE_READINGS": str(queue)}) as process:
        figures = {"queue": queue, "clients": args.clients, **soak(process, args)}
    show(args, figures, machine)
    if figures["lost"] or figures["doubled"] or figures["never_sent"]:
        sys.exit("readings were lost or doubled")


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
        **memory(watch.megabytes),
        **read_back(process, loads, senders),
    }


def sent(senders: list[Sender], seconds: float) -> dict[str, Any]:
    """Rates and shares of what was sent."""
    answers = [answer for sender in senders for answer in sender.answers]
    refused = Counter(answer.status for sender in senders for answer in sender.refused)
    broken = sum(sender.broken for sender in senders)
    counts = {
        name: sum(answer[name] for answer in answers)
        for name in ("accepted", "duplicates", "conflicts", "rejected")
    }
    return {
        "readings_per_second": counts["accepted"] / seconds,
        "requests": len(answers),
        "refused_429": refused[429],
        "refused_503": refused[503],
        "share_429": refused[429] / max(1, len(answers) + refused.total() + broken),
        "cut_off": broken,
        **counts,
    }


def memory(megabytes: list[float]) -> dict[str, Any]:
    """Memory over time: about ten values, and the most."""
    few = megabytes[:: max(1, len(megabytes) // 10)]
    return {"memory_mb": few, "most_memory_mb": max(megabytes, default=0.0)}


def read_back(process: common.Process, loads: list[Load], senders: list[Sender]) -> dict[str, int]:
    """What is there against what was acknowledged, row by row.

    The last request of a sender may be there without its answer, as the sender stopped meanwhile.
    """
    lost = doubled = foreign = 0
    with process.client(timeout=300.0) as client:
        for load, sender in zip(loads, senders, strict=True):
            there = Counter(numbers(client, load))
            acknowledged = {row for rows in load.good[: len(sender.answers)] for row in rows}
            sent_rows = {row for rows in load.good for row in rows}
            lost += len(acknowledged - there.keys())
            doubled += there.total() - len(there)
            foreign += len(there.keys() - sent_rows)
    return {"lost": lost, "doubled": doubled, "never_sent": foreign}


def numbers(client: Client, load: Load) -> list[int]:
    """The number of every reading of a client that is there."""
    fleet = client.get("/sensors", {"text": f"soak-{load.number}-", "limit": 1000})["sensors"]
    return [
        int(row["number"])
        for one in fleet
        for row in paged(client, "/events/latest", sensor_id=one["sensor_id"])
    ]


def show(args: argparse.Namespace, figures: dict[str, Any], machine: dict[str, Any]) -> None:
    """Print."""
    rows = [(name, _text(name, value)) for name, value in figures.items()]
    common.show(args, "soak", ("", "figure"), rows, figures, machine)


def _text(name: str, value: Any) -> str:
    if isinstance(value, list):
        return " ".join(f"{each:.0f}" for each in value)
    if name.startswith("share"):
        return f"{value:.1%}"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.1f}"


if __name__ == "__main__":
    main()
