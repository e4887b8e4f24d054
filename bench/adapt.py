"""What the product makes of changes: found or not, how late, called what, and quiet when.

    python bench/adapt.py [--seeds 50] [--processes 2] [--only permanent …] [--json]

Pipeline, store and house-keeping as they ship, at the default budget of 3 false alarms per sensor
and month; every sensor from its first reading, every five minutes, on five kinds of stream in
turn. Sections:

permanent  a change after 30 days, 21 days watched: found within 2 days, its delay, what the first
           incident calls it, incidents in the first 2 days and in the 19 after (unchanged streams
           beside it); the same when a person says "expected" half an hour after the incident, and
           whether an event of 6 sd is found two weeks later
lives      sensors that are moved, cleaned, replaced, that begin with an anomaly: the same
regimes    two levels that alternate: incidents at the first, second, third and fourth turn
drift      5 % of the range in a month from day 60 on: found as drift within 30 and 60 days, alone
           and among four neighbours that share a year's season; neighbours that are accused
seasons    stable seasons over a year: incidents, and drifts among them, alone and with neighbours
second     an event of 200 rows, 1,300 rows after one of 1,200: found, and without the first
single     one reading off by some sd of the row-to-row change: alarmed in the same row, within 5
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from multiprocessing import Pool
from pathlib import Path

import numpy as np
from rich.table import Table

import adapt_streams as streams
from adapt_streams import CHANGES, PER_DAY, START, STEP, Stream
from common import options, show_tables
from redshank.adapters.store.sqlite import SqliteStore
from redshank.core.batch import Batch
from redshank.core.clock import DAY, HOUR
from redshank.core.ports import Commit
from redshank.core.queries import Incidents
from redshank.core.records import ChannelInfo, Incident, SensorInfo
from redshank.pipeline import accepted
from redshank.pipeline.ageing import DRIFT, Ageing
from redshank.pipeline.budget import Budget
from redshank.pipeline.neighbours import Neighbours
from redshank.pipeline.pipeline import Pipeline
from redshank.pipeline.rhythm import Rhythms

EARLY, WEEK = 2 * DAY, 7 * DAY
SAID_AFTER = 6
"""Rows after the opening row at which a person says "expected"."""
KINDS = 5
ME = "s"

Record = dict[str, float | str | None]


class Life:
    """Sensors of one site in a product of their own."""

    def __init__(self, folder: Path, ids: Sequence[str] = (ME,), every: int = DAY) -> None:
        self.ids = tuple(ids)
        self.store = SqliteStore(folder / f"{np.random.default_rng().integers(1 << 62)}.sqlite")
        infos = [SensorInfo(i, site="hill", channels={"x": ChannelInfo("x")}) for i in ids]
        self.store.write(Commit(sensors=infos))
        by_id = {info.sensor_id: info for info in infos}
        self.pipeline = Pipeline(Budget(), by_id.__getitem__)
        for sensor_id in ids:
            self.pipeline.adopt(sensor_id, None)
        self.ageing = Ageing(self.store, self.pipeline, Neighbours(self.store))
        self.rhythms = Rhythms(self.pipeline, START)
        self.every = every
        self.when: dict[str, int] = {}

    def live(self, time: np.ndarray, values: np.ndarray) -> None:
        """Rows of all sensors, (n,) and (n, sensors), with house-keeping."""
        if values.ndim == 1:
            values = values[:, None]
        turns = (time - START) // self.every
        for part in np.split(np.arange(len(time)), np.flatnonzero(np.diff(turns)) + 1):
            sensors = np.tile(np.arange(len(self.ids), dtype=np.int32), len(part))
            times = time[part].repeat(len(self.ids))
            rows = Batch(self.ids, sensors, times, ("x",), values[part].reshape(-1, 1))
            outcome = self.pipeline.run([rows], int(times[-1]))
            self.store.write(Commit(readings=[rows], incidents=outcome.incidents))
            for one in outcome.incidents:
                self.when.setdefault(one.id, one.opened)
            self._found(Commit(incidents=self.rhythms.look(int(times[-1]))), int(times[-1]))
            while commit := self.ageing.look():
                self._found(commit, int(times[-1]))
                self.ageing.looked(commit)
            while self.store.maintain(int(times[-1])):
                pass

    def _found(self, commit: Commit, now: int) -> None:
        self.store.write(commit)
        for one in commit.incidents:
            self.when.setdefault(one.id, one.peak if is_slow(one) else now)

    def expected(self, incident: Incident) -> None:
        """A person says so."""
        self.store.write(accepted.marked(self.store, self.pipeline, incident, expected=True))

    def told(self, start: int = 0, end: int = 1 << 62) -> list[Incident]:
        """Incidents that were first told from a time on and before another, oldest first."""
        found = self.store.read(Incidents(limit=100_000))
        mine = [one for one in found if start <= self.when[one.id] < end]
        return sorted(mine, key=lambda one: self.when[one.id])

    def close(self) -> None:
        """Drop the store's files."""
        self.store.close()


def is_slow(incident: Incident) -> bool:
    """Whether it is a drift over weeks."""
    return incident.kind == DRIFT and not incident.rows


# --- one seed of each section: records of figures by case ---


def permanent(seed: int, folder: Path) -> Iterator[tuple[str, Record]]:
    """All permanent changes, unchanged streams first."""
    makers: dict[str, Callable[[np.random.Generator], Stream]] = {
        "unchanged": lambda rng: streams.changed(seed, None, rng),
        **{
            name: lambda rng, how=how: streams.changed(seed, how, rng)
            for name, how in CHANGES.items()
            if not name.startswith("replaced")
        },
        "cadence 10 min": lambda rng: streams.cadence(seed, 2, rng),
        "cadence 2.5 min": lambda rng: streams.cadence(seed, 0.5, rng),
        "period 2 h to 3 h": streams.period,
    }
    for name, make in makers.items():
        every = HOUR if name.startswith("cadence") else DAY
        yield name, _story(make(np.random.default_rng([seed, 1])), folder, every)


def lives(seed: int, folder: Path) -> Iterator[tuple[str, Record]]:
    """Moved, cleaned, replaced, beginning with an anomaly."""
    replaced = next(how for name, how in CHANGES.items() if name.startswith("replaced"))
    makers: dict[str, Callable[[np.random.Generator], Stream]] = {
        "moved": streams.moved,
        "cleaned": streams.cleaned,
        "replaced": lambda rng: streams.changed(seed, replaced, rng),
        "begins with an anomaly": lambda rng: streams.begins_badly(seed, rng),
    }
    for name, make in makers.items():
        yield name, _story(make(np.random.default_rng([seed, 2])), folder)


def _story(stream: Stream, folder: Path, every: int = DAY) -> Record:
    """What is told of a change, left alone and called expected."""
    time, at = stream.time, int(stream.time[stream.change])
    values = stream.values.copy()
    event = int(np.searchsorted(time, at + 16 * DAY))
    usual = values[stream.change : event]
    life = Life(folder, every=every)
    life.live(time[:event], values[:event])
    early, late = life.told(at, at + EARLY), life.told(at + EARLY, at + 16 * DAY)
    values[event : event + 50] += 6 * usual.std()
    life.live(time[event : event + 60], values[event : event + 60])
    first, late_event = early[0] if early else None, life_found(life, time, event)
    life.close()
    record: Record = {
        "found": float(bool(early)),
        "delay_hours": (life.when[first.id] - at) / DAY * 24 if first else None,
        "kind": first.kind if first else None,
        "early": len(early),
        "late": len(late),
        "event": float(late_event),
    }
    if first is None:
        return record
    said = _when_expected(
        time, values, event, first, life.when[first.id], Life(folder, every=every)
    )
    return record | said


def life_found(life: Life, time: np.ndarray, event: int) -> bool:
    """Whether an incident opened within the event's rows."""
    return bool(life.told(int(time[event]), int(time[event]) + 50 * STEP))


def _when_expected(
    time: np.ndarray, values: np.ndarray, event: int, first: Incident, told: int, life: Life
) -> Record:
    """Incidents from the mark on, and whether the later event is found."""
    said = int(np.searchsorted(time, told)) + SAID_AFTER
    life.live(time[:said], values[:said])
    mine = [one for one in life.told() if one.id == first.id]
    if mine:
        life.expected(mine[0])
    life.live(time[said:event], values[said:event])
    after = life.told(int(time[said]), int(time[event]))
    life.live(time[event : event + 60], values[event : event + 60])
    found = life_found(life, time, event)
    life.close()
    return {"expected_late": len(after), "expected_event": float(found)}


def regimes(seed: int, folder: Path) -> Iterator[tuple[str, Record]]:
    """Incidents within two days of each turn, and in the days until the next."""
    stream, turns = streams.regimes(seed, np.random.default_rng([seed, 3]))
    life = Life(folder)
    life.live(stream.time, stream.values)
    for number, turn in enumerate(turns, 1):
        at = int(stream.time[turn])
        to = "new" if number == 1 else ("back" if number % 2 == 0 else "again")
        found, rest = life.told(at, at + EARLY), life.told(at + EARLY, at + 10 * DAY)
        yield f"turn {number} ({to})", {"early": len(found), "late": len(rest)}
    life.close()


def drift(seed: int, folder: Path) -> Iterator[tuple[str, Record]]:
    """Alone on streams without a year's season, and among neighbours with one."""
    rng = np.random.default_rng([seed, 4])
    names = ("white", "AR .9", "daily season", "heavy tails", "cycle of 2 h")
    x = streams.base(seed, rng, 126)
    aged = streams.drifting(x, 60, 0.05 * streams.whole_range(x))
    life = Life(folder, every=WEEK)
    life.live(START + np.arange(len(x)) * STEP, aged)
    yield f"alone, {names[seed % KINDS]}", _drift_found(life, ME)
    life.close()
    ids = (ME, "n1", "n2", "n3", "n4")
    shared = streams.year("year", rng)[: 126 * PER_DAY]
    own = [0.2 * streams.smooth(rng, len(shared), 0.99) for _ in ids]
    values = shared[:, None] + np.stack(own, axis=1)
    values[:, 0] = streams.drifting(
        values[:, 0], 60, 0.05 * streams.whole_range(streams.year("year", rng))
    )
    life = Life(folder, ids, WEEK)
    life.live(START + np.arange(len(shared)) * STEP, values)
    accused = [one for one in life.told() if is_slow(one) and one.sensor_id != ME]
    yield "with 4 neighbours", _drift_found(life, ME) | {"accused": len(accused)}
    life.close()


def _drift_found(life: Life, sensor_id: str) -> Record:
    slow = [one for one in life.told() if is_slow(one) and one.sensor_id == sensor_id]
    days = [streams.day_of(life.when[one.id]) - 60 for one in slow]
    after = [day for day in days if day > 0]
    later = [one for one in life.told(START + 60 * DAY) if one.sensor_id == sensor_id]
    others = [one for one in later if not is_slow(one)]
    return {
        "within_30": float(any(day <= 30 for day in after)),
        "within_60": float(any(day <= 60 for day in after)),
        "delay_days": min(after, default=None),
        "drifts": len(after),
        "before": len(days) - len(after),
        "other": len(others),
    }


def seasons(seed: int, folder: Path) -> Iterator[tuple[str, Record]]:
    """A year of stable seasons."""
    rng = np.random.default_rng([seed, 5])
    for name in ("day and week", "day, week and year"):
        x = streams.year(name, rng)
        life = Life(folder, every=WEEK)
        life.live(START + np.arange(len(x)) * STEP, x)
        yield f"{name}, alone", _year(life)
        life.close()
    ids = (ME, "n1", "n2", "n3")
    x = streams.year("day, week and year", rng)
    own = np.stack([0.2 * streams.smooth(rng, len(x), 0.99) for _ in ids], axis=1)
    life = Life(folder, ids, WEEK)
    life.live(START + np.arange(len(x)) * STEP, x[:, None] + own)
    yield "day, week and year, 3 neighbours", _year(life)
    life.close()


def _year(life: Life) -> Record:
    mine = [one for one in life.told() if one.sensor_id == ME]
    slow = sum(is_slow(one) for one in mine)
    return {"incidents": len(mine), "drifts": slow, "promised": 3 * 364 / 30}


def second(seed: int, folder: Path) -> Iterator[tuple[str, Record]]:
    """A second event after a long first one, and alone."""
    first, again = slice(6000, 7200), slice(8500, 8700)
    events = {"level +3 sd": CHANGES["level +3 sd"], "noise +2 sd": CHANGES["noise +2 sd"]}
    events["stuck"] = lambda x, day, rng: np.full_like(x, x[0])
    for name, how in events.items():
        found = {}
        for case, parts in (("found", (first, again)), ("without", (again,))):
            rng = np.random.default_rng([seed, 6])
            x = streams.base(seed, rng, 31)
            for part in parts:
                x[part] = how(x[part], np.empty(0), rng)
            life = Life(folder, every=WEEK)
            time = START + np.arange(len(x)) * STEP
            life.live(time, x)
            span = int(time[again.start]), int(time[again.stop])
            found[case] = float(bool(life.told(*span)))
            life.close()
        yield name, found


def single(seed: int, folder: Path) -> Iterator[tuple[str, Record]]:
    """One bad reading."""
    for size in (5, 10, 20, 50):
        rng = np.random.default_rng([seed, 7])
        x = streams.base(seed, rng, 25)
        x[6000] += size * np.diff(x).std()
        time = START + np.arange(len(x)) * STEP
        life = Life(folder, every=WEEK)
        life.live(time, x)
        opened = [one.opened for one in life.told(int(time[6000]), int(time[6006]))]
        yield f"{size} sd", {"same_row": float(int(time[6000]) in opened), "within_5": len(opened)}
        life.close()


SECTIONS = {
    one.__name__: one for one in (permanent, lives, regimes, drift, seasons, second, single)
}


# --- all seeds ---


def one_seed(task: tuple[str, int]) -> list[tuple[str, str, Record]]:
    """The records of one section and seed."""
    section, seed = task
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(prefix="redshank-bench-", dir=memory) as folder:
        return [(section, case, record) for case, record in SECTIONS[section](seed, Path(folder))]


def measure(
    only: Sequence[str], seeds: int, processes: int
) -> dict[str, dict[str, dict[str, float | str]]]:
    """Section -> case -> means; the median of delays; the two most frequent kinds."""
    records: dict[str, dict[str, list[Record]]] = {}
    tasks = [(section, seed) for section in only for seed in range(seeds)]
    with Pool(processes) as pool:
        for found in pool.imap(one_seed, tasks):
            for section, case, record in found:
                records.setdefault(section, {}).setdefault(case, []).append(record)
    return {
        section: {case: _summary(rows) for case, rows in cases.items()}
        for section, cases in records.items()
    }


def _summary(rows: Sequence[Record]) -> dict[str, float | str]:
    out: dict[str, float | str] = {"streams": len(rows)}
    for name in dict.fromkeys(name for row in rows for name in row):
        values = [value for row in rows if (value := row.get(name)) is not None]
        if name == "kind":
            most = Counter(str(value) for value in values).most_common(2)
            out[name] = ", ".join(f"{kind} {n / len(values):.2f}" for kind, n in most)
        elif values:
            middle = np.median if name.startswith("delay") else np.mean
            out[name] = float(middle([float(value) for value in values]))
    return out


def tables(figures: dict[str, dict[str, dict[str, float | str]]]) -> Iterator[Table]:
    """One for each section."""
    for section, cases in figures.items():
        heads = list(dict.fromkeys(name for row in cases.values() for name in row))
        table = Table(section, *(head.replace("_", " ") for head in heads))
        for case, row in cases.items():
            cells = (row.get(head, "") for head in heads)
            table.add_row(case, *(c if isinstance(c, str) else f"{c:.2f}" for c in cells))
        yield table


def main() -> None:
    """Measure and print."""
    parser: argparse.ArgumentParser = options(__doc__)
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=list(SECTIONS))
    args = parser.parse_args()
    figures = measure(args.only, args.seeds, args.processes)
    show_tables(args, tables(figures), figures)


if __name__ == "__main__":
    main()
