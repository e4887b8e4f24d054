"""Injected faults in real and in simulated readings, and what incidents call them.

    python bench/kinds.py [--folder DIR] [--each 4] [--seed 1] [--days FROM TO] [--sites 3] [--json]

Three parts, each run through the whole pipeline. Real boxes (Parquet files of DIR, by default the
demo's week) and simulated sensors: every fault is injected alone into readings that were quiet
before; the pipeline learns the healthy past once, and goes on from there with the fault. Found:
part of the faults with an incident that the healthy readings do not bring. Precision, recall and F1
of the kind are over the found ones. Led: part of them whose first channel is the injected one (a
clock has none). With band: part of the incidents that tell what was expected. Coverage: part of the
healthy readings in no alarm within the 90 % band.

Origin: changes in one sensor of a site, which are faults, and in all of them, which are events,
through the writer and the store. Sites are four simulated sensors, and real boxes of which four
weeks stand for four neighbours: once as they are, in other weather, so that neighbours are less
alike than real ones, and once with most of their weather in common (what goes from hour to hour).
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

import common
from kinds_faults import KINDS, Fault, Series, drawn, injected, real, simulated
from kinds_origin import Judgement, in_one_weather, judgements, weeks
from redshank.core.batch import Batch
from redshank.core.clock import DAY, HOUR, MINUTE
from redshank.core.queries import Recovery
from redshank.core.records import Incident, SensorInfo, Status, Verdicts
from redshank.pipeline.budget import Budget
from redshank.pipeline.lapses import Clocks
from redshank.pipeline.pipeline import Pipeline

SETTLED = 3 * DAY
"""Event time after which a sensor is taken to know what is normal."""
TAIL = 3 * HOUR
"""Healthy readings that follow each fault."""
ANCHOR = DAY // 2
"""Event time between two states from which faults go on."""
ARRIVALS = 4 * MINUTE
"""Readings of a clock fault arrive in pieces of this length."""


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """What the healthy run of a sensor brought.

    Attributes:
        anchors: row to the state before it.
        status: (n,) of each row.
        inside: (n, c) 1 within the band, 0 outside, NaN where either is unknown.
        opened: when its own incidents opened.
    """

    anchors: Mapping[int, bytes]
    status: np.ndarray
    inside: np.ndarray
    opened: frozenset[int]

    def has_near(self, time: int) -> bool:
        """Whether an incident of its own opened at about this time."""
        return any(abs(time - one) <= HOUR // 2 for one in self.opened)


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of one fault; ``called`` is "" where nothing was found."""

    sensor_id: str
    channel: str
    kind: str
    called: str
    first: str
    origin: str
    complete: bool


def main() -> None:
    """Inject, detect, compare, print."""
    parser = common.options(__doc__)
    parser.add_argument("--folder", type=Path, help="real boxes; the demo's by default")
    parser.add_argument("--each", type=int, default=4, help="faults of a kind and channel")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--days", type=int, nargs=2, default=(3, 1000), help="of real series")
    parser.add_argument("--parts", nargs="+", default=["real", "simulated", "origin"])
    parser.add_argument("--sites", type=int, default=3, help="runs of each site")
    parser.add_argument("--presets", nargs="+", default=["sensebox", "office", "turbine"])
    args = parser.parse_args()
    figures: dict[str, Any] = {"machine": common.facts()}
    tables: list[Table] = []
    for part in args.parts:
        if part == "origin":
            figures[part], table = origins(args)
            tables.append(table)
            continue
        args.part = part
        fates: list[Fate] = []
        cover: dict[str, float] = {}
        for series in sources(part, args):
            some, inside = trials(series, args)
            fates += some
            cover |= inside
        figures[part] = {**summary(fates), "coverage": cover, "fates": fates}
        tables += show(part, figures[part])
    common.show_tables(args, tables, figures)


def sources(part: str, args: argparse.Namespace) -> Iterator[Series]:
    """The healthy sensors of a part."""
    if part == "real":
        yield from real(args.folder, 60.0)
        return
    for preset in args.presets:
        yield from simulated(preset, args.seed, days=10)


def trials(series: Series, args: argparse.Namespace) -> tuple[list[Fate], dict[str, float]]:
    """Fates of a sensor's faults, and how much of each channel its band covers."""
    known = healthy(series)
    fates = []
    for kind in KINDS:
        for channel in range(len(series.channels)) if kind != "clock" else (0,):
            rng = np.random.default_rng([args.seed, KINDS.index(kind), channel])
            drawn_here = faults(kind, series, channel, known, rng, args)
            fates += [fate(series, fault, known) for fault in drawn_here]
    settled = (series.time >= series.time[0] + SETTLED) & (known.status == Status.NORMAL)
    inside = known.inside[settled]
    enough = np.count_nonzero(~np.isnan(inside), axis=0) > 1000
    shares = [float(np.nanmean(inside[:, c])) if enough[c] else np.nan for c in range(len(enough))]
    names = (f"{series.sensor_id} {name}" for name in series.channels)
    return fates, {n: round(s, 3) for n, s in zip(names, shares, strict=True) if s == s}


def healthy(series: Series) -> Known:
    """Run the healthy readings, keeping the state every half a day."""
    pipeline = Pipeline(Budget(), SensorInfo)
    pipeline.adopt(series.sensor_id, None)
    marks = np.arange(series.time[0], series.time[-1], ANCHOR)
    rows = np.unique(np.searchsorted(series.time, marks))
    anchors: dict[int, bytes] = {}
    verdicts: list[Verdicts] = []
    opened: set[int] = set()
    for first, end in zip(rows, [*rows[1:], len(series.time)], strict=True):
        anchors[int(first)] = pipeline.checkpoints_of([series.sensor_id])[0].state
        part = slice(int(first), int(end))
        outcome = pipeline.run([batch(series, series.time, series.values, part)], 1 << 60)
        verdicts += outcome.verdicts
        opened |= {incident.opened for incident in outcome.incidents}
    status = np.full(len(series.time), Status.LEARNING, np.uint8)
    inside = np.full(series.values.shape, np.nan)
    for told in verdicts:
        at = np.searchsorted(series.time, told.time)
        status[at] = told.status
        order = [told.channels.index(name) for name in series.channels]
        value, low, high = (x[:, order] for x in (told.values, told.lower, told.upper))
        lacking = np.isnan(value) | np.isnan(low)
        inside[at] = np.where(lacking, np.nan, (value >= low) & (value <= high))
    return Known(anchors, status, inside, frozenset(opened))


def batch(series: Series, time: np.ndarray, values: np.ndarray, rows: slice) -> Batch:
    """Some rows of one sensor."""
    sensor = np.zeros(len(time[rows]), np.int32)
    return Batch((series.sensor_id,), sensor, time[rows], series.channels, values[rows])


def faults(
    kind: str,
    series: Series,
    channel: int,
    known: Known,
    rng: np.random.Generator,
    args: argparse.Namespace,
) -> Iterable[Fault]:
    """Faults in rows before which the sensor was quiet for an hour."""
    days = args.days if args.part == "real" else (0, 1000)
    since, until = (series.time[0] + day * DAY for day in days)
    first, end = np.searchsorted(series.time, [max(since, series.time[0] + SETTLED), until])
    found = 0
    for _ in range(20 * args.each):
        if found == args.each or end - first < 2:
            return
        row = int(rng.integers(first, end))
        before = slice(np.searchsorted(series.time, series.time[row] - HOUR), row)
        if (known.status[before] >= Status.WARNING).any() or series.time[-1] < (
            series.time[row] + DAY
        ):
            continue
        fault = drawn(kind, series, channel, row, rng)
        if fault is not None:
            found += 1
            yield fault


def fate(series: Series, fault: Fault, known: Known) -> Fate:
    """Run one fault from the last state before it."""
    anchor = max(row for row in known.anchors if row <= fault.first)
    end = int(np.searchsorted(series.time, series.time[fault.last] + TAIL))
    time, values = injected(series, [fault])
    pipeline = Pipeline(Budget(), SensorInfo)
    newest = int(series.time[anchor]) - 1
    pipeline.adopt(series.sensor_id, Recovery(known.anchors[anchor], [], newest))
    clocks, incidents = Clocks(SensorInfo), dict[str, Incident]()
    for rows, now in arrivals(series, fault, anchor, end):
        came = [batch(series, time, values, rows)]
        told = [*clocks.arrived(came, now, lambda _: 3.0), *pipeline.run(came, now).incidents]
        incidents.update((incident.id, incident) for incident in told)
    since = int(series.time[max(0, fault.first - 1)])
    grace = 10 * MINUTE if fault.kind in ("spike", "clock") else 0
    until = int(max(time[fault.last], series.time[fault.last])) + grace
    told = [
        one
        for one in incidents.values()
        if since <= one.opened <= until and not known.has_near(one.opened)
    ]
    name = series.channels[fault.channel]
    if not told:
        return Fate(series.sensor_id, name, fault.kind, "", "", "", True)
    one = min(told, key=lambda incident: incident.opened)
    first = one.evidence[0] if one.evidence else None
    complete = first is not None and None not in (first.expected, first.lower, first.upper)
    leading = first.channel if first else ""
    return Fate(series.sensor_id, name, fault.kind, one.kind, leading, one.origin, complete)


def arrivals(series: Series, fault: Fault, first: int, end: int) -> Iterator[tuple[slice, int]]:
    """Pieces of rows with the wall clock at which they come."""
    if fault.kind != "clock":
        yield slice(first, end), 1 << 60
        return
    marks = np.arange(series.time[first], series.time[end - 1] + ARRIVALS, ARRIVALS)
    cuts = np.unique(np.clip(np.searchsorted(series.time, marks), first, end))
    for a, b in pairwise(cuts):
        yield slice(int(a), int(b)), int(series.time[b - 1])


def origins(args: argparse.Namespace) -> tuple[dict[str, Any], Table]:
    """Fault or event: told of changes in one sensor of a site, and in all of them."""
    figures: dict[str, Any] = {}
    table = Table(
        "site", "of one", "right", "of all", "right", "accuracy", "called",
        title="sensor fault or real event, three neighbours; accuracy is the mean of both",
    )  # fmt: skip
    every: dict[str, list[Judgement]] = {}
    for group, name, site in sites(args):
        seeds = range(args.seed, args.seed + args.sites)
        told = [one for seed in seeds for one in judgements(site, seed) if one.neighbours >= 3]
        every.setdefault(group, []).extend(told)
        if told:
            figures[name] = accuracy(told)
    figures |= {f"all of {group}": accuracy(told) for group, told in every.items()}
    for name, of in figures.items():
        numbers = (of[x] for x in ("one", "one_right", "all", "all_right", "accuracy"))
        called = ", ".join(f"{n} {what}" for what, n in sorted(of["called"].items()))
        table.add_row(name, *("–" if x is None else str(x) for x in numbers), called)
    return figures, table


def sites(args: argparse.Namespace) -> Iterator[tuple[str, str, Sequence[Series]]]:
    """Groups of sites, names and sensors of those with three neighbours for each."""
    for box in real(args.folder, 120):
        site = weeks(box)
        if len(site) == 4:
            yield "other weather", f"{box.sensor_id}, other weather", site
            yield "one weather", f"{box.sensor_id}, one weather", in_one_weather(site)
    yield "simulated", "sensebox", list(simulated("sensebox", args.seed, 12, every=5))


def accuracy(told: Sequence[Judgement]) -> dict[str, Any]:
    """How many changes of one and of all were judged rightly, and what was said."""
    right = {
        shared: [
            one.origin == ("event" if shared else "sensor") for one in told if one.shared == shared
        ]
        for shared in (False, True)
    }
    shares = [float(np.mean(some)) for some in right.values() if some]
    return {
        "one": len(right[False]),
        "one_right": sum(right[False]),
        "all": len(right[True]),
        "all_right": sum(right[True]),
        "accuracy": mean(shares),
        "called": Counter(f"{'all' if x.shared else 'one'} {x.kind}: {x.origin}" for x in told),
    }


# --- figures ---


def summary(fates: Sequence[Fate]) -> dict[str, Any]:
    """Shares by kind, and macro means."""
    found = [one for one in fates if one.called]
    kinds = {kind: of_kind(kind, fates) for kind in KINDS}
    scored = [part["f1"] for part in kinds.values() if part["found"]]
    all_scored = [part["f1_of_all"] for part in kinds.values() if part["count"]]
    single = [one for one in found if one.kind != "clock"]
    return {
        "macro_f1": mean(scored),
        "macro_f1_missed_count": mean(all_scored),
        "led": mean([one.first == one.channel for one in single]),
        "with_band": mean([one.complete for one in single]),
        "kinds": kinds,
    }


def of_kind(kind: str, fates: Sequence[Fate]) -> dict[str, Any]:
    """Precision, recall and F1 of one kind, and what it was called."""
    some = [one for one in fates if one.kind == kind]
    found = [one for one in some if one.called]
    right = sum(one.called == kind for one in found)
    said = sum(one.called == kind for one in fates)
    return {
        "count": len(some),
        "found": len(found),
        "precision": ratio(right, said),
        "recall": ratio(right, len(found)),
        "f1": ratio(2 * right, said + len(found)) or 0.0,
        "f1_of_all": ratio(2 * right, said + len(some)) or 0.0,
        "led": ratio(sum(one.first == one.channel for one in found), len(found)),
        "called": dict(Counter(one.called for one in found).most_common()),
    }


def ratio(part: float, whole: float) -> float | None:
    """Part of the whole, None of nothing."""
    return round(part / whole, 3) if whole else None


def mean(numbers: Sequence[float]) -> float | None:
    """Their mean, None of none."""
    return round(float(np.mean(numbers)), 3) if numbers else None


def show(part: str, figures: Mapping[str, Any]) -> Iterator[Table]:
    """The tables of one part."""
    title = (
        f"{part}: macro-F1 {figures['macro_f1']} ({figures['macro_f1_missed_count']} with the "
        f"missed), injected channel first {figures['led']}, with band {figures['with_band']}"
    )
    table = Table("fault", "n", "found", "prec", "recall", "F1", "led", "called", title=title)
    for kind, of in figures["kinds"].items():
        numbers = (of[name] for name in ("precision", "recall", "f1", "led"))
        texts = ["–" if x is None else f"{x:.2f}" for x in numbers]
        called = ", ".join(f"{n} {name}" for name, n in of["called"].items())
        table.add_row(kind, str(of["count"]), str(of["found"]), *texts, called)
    yield table
    cover = figures["coverage"]
    good = sum(0.85 <= share <= 0.95 for share in cover.values())
    title = f"{part}: {good} of {len(cover)} bands hold 85 to 95 % of normal readings"
    table = Table("channel", "in the band", title=title)
    ranked = sorted(cover.items(), key=lambda pair: pair[1])
    for name, share in dict([*ranked[:3], *ranked[-3:]]).items():
        table.add_row(name, f"{share:.3f}")
    yield table


if __name__ == "__main__":
    main()
