"""Injected faults, and what flags and incidents call them.

    python bench/flags.py [--seeds 2] [--days 14] [--presets sensebox office turbine] [--json]

Simulated sensors, one row a minute, three healthy days, then about one fault of any kind in two
days and sensor. Flagged: part of the faults with a fitting quality flag on the faulty channel while
they last (or at the row after). Found: part with an incident led by that channel. Named right: part
of the found ones whose last incident tells the kind; dropouts, which are missing values and no
incident, count by their flag. Macro-F1 is over the kinds of the found ones. Told as the sensor's
fault, and wrongly as a real event: part of the found ones. A phase shift has no name of its own and
stays out of the F1; a wrong unit of which rounding leaves hardly more than zeros counts as stuck,
which is all that the values show. Values flagged while nothing was wrong are given per million.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import common
from redshank.adapters.sources.simulator import Simulator
from redshank.adapters.sources.simulator.source import Label, Simulated
from redshank.core.batch import Batch
from redshank.core.clock import DAY, MINUTE, SECOND
from redshank.core.records import Flag, Incident, SensorInfo, Verdicts
from redshank.pipeline.budget import Budget
from redshank.pipeline.pipeline import Pipeline

START = 1_700_006_400 * SECOND
PIECE = 5000
ROUNDED = 4
"""Distinct values, the healthy one after the fault included, that show no unit any more."""
NAMES: Mapping[str, str] = {
    "spike": "spike",
    "level_shift": "level shift",
    "drift": "drift",
    "noise_burst": "noise",
    "stuck": "stuck",
    "dropout": "dropout",
    "saturation": "saturation",
    "wrong_unit": "wrong unit",
    "phase_shift": "",
}
STEP = Flag.RATE_OF_CHANGE
FITTING: Mapping[str, Flag] = {
    "spike": STEP | Flag.SPIKE | Flag.GROSS_RANGE,
    "level_shift": STEP | Flag.GROSS_RANGE,
    "drift": Flag.NONE,
    "noise_burst": STEP | Flag.SPIKE | Flag.GROSS_RANGE,
    "stuck": Flag.FLAT_LINE | Flag.ATTENUATED,
    "dropout": Flag.MISSING,
    "saturation": STEP | Flag.FLAT_LINE | Flag.SENTINEL | Flag.ATTENUATED,
    "wrong_unit": Flag.UNIT,
    "phase_shift": Flag.NONE,
}
TOLD = STEP | Flag.SPIKE | Flag.FLAT_LINE | Flag.ATTENUATED | Flag.UNIT | Flag.SENTINEL


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of one injected fault; ``named`` and ``origin`` are "" where none was found."""

    kind: str
    flagged: bool
    named: str
    origin: str


def main() -> None:
    """Simulate, detect, compare, print."""
    parser = common.options(__doc__)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--days", type=int, default=14)
    parser.add_argument("--sensors", type=int, default=8)
    parser.add_argument("--presets", nargs="+", default=["sensebox", "office", "turbine"])
    args = parser.parse_args()
    machine = common.facts()
    fates: list[Fate] = []
    false = total = 0
    for preset in args.presets:
        for seed in range(args.seeds):
            some, wrong, values = one_run(preset, seed, args)
            fates += some
            false, total = false + wrong, total + values
    figures = summary(fates)
    figures["false_flags_per_million"] = round(1e6 * false / total, 1)
    f1, noise = figures["macro_f1"], figures["false_flags_per_million"]
    title = f"{len(fates)} injected faults: macro-F1 {f1}, {noise} false flags per million values"
    heads = ("fault", "count", "flagged", "found", "named right", "sensor", "event", "called")
    common.show(args, title, heads, [line(part) for part in figures["kinds"]], figures, machine)


def one_run(preset: str, seed: int, args: argparse.Namespace) -> tuple[list[Fate], int, int]:
    """Fates of one fleet's faults, how many healthy values were flagged, and of how many."""
    simulator = Simulator(
        preset,
        sensors=args.sensors,
        every=60.0,
        seed=seed,
        start=START,
        rows=args.days * DAY // MINUTE,
        faults_per_day=0.5,
        healthy_hours=72.0,
        speed=None,
    )
    simulated = simulator.simulate()
    verdicts, incidents = detected(simulated)
    fates = [fate(label, verdicts, incidents) for label in simulated.labels]
    return fates, *false_flags(simulated.labels, verdicts)


def detected(simulated: Simulated) -> tuple[Verdicts, list[Incident]]:
    """All verdicts as one table, and the last word on each incident."""
    batch = simulated.batch
    pipeline = Pipeline(Budget(), SensorInfo)
    for sensor_id in batch.sensor_ids:
        pipeline.adopt(sensor_id, None)
    verdicts: list[Verdicts] = []
    incidents: dict[str, Incident] = {}
    for first in range(0, len(batch), PIECE):
        part: Batch = batch.take(np.arange(first, min(first + PIECE, len(batch))))
        outcome = pipeline.run([part], START + 10_000 * DAY)
        verdicts += outcome.verdicts
        incidents.update((incident.id, incident) for incident in outcome.incidents)
    return joined(verdicts, batch.sensor_ids), list(incidents.values())


def joined(parts: Sequence[Verdicts], sensor_ids: tuple[str, ...]) -> Verdicts:
    """One table; of the columns only those that are looked at are filled."""
    number = {sensor_id: i for i, sensor_id in enumerate(sensor_ids)}
    columns: dict[str, Any] = dict.fromkeys(Verdicts.__slots__)
    columns["sensor_ids"], columns["channels"] = sensor_ids, parts[0].channels
    columns["sensor"] = np.concatenate(
        [np.array([number[i] for i in part.sensor_ids])[part.sensor] for part in parts]
    )
    for name in ("time", "flags", "values"):
        columns[name] = np.concatenate([getattr(part, name) for part in parts])
    return Verdicts(**columns)


def fate(label: Label, verdicts: Verdicts, incidents: Sequence[Incident]) -> Fate:
    """What flags and incidents say of one fault."""
    column = verdicts.channels.index(label.channel)
    rows = verdicts.sensor == verdicts.sensor_ids.index(label.sensor_id)
    rows &= (verdicts.time >= label.start) & (verdicts.time <= label.end + MINUTE)
    kind = label.kind
    if kind == "wrong_unit" and len(np.unique(verdicts.values[rows, column])) <= ROUNDED:
        kind = "stuck"
    bits = int(np.bitwise_or.reduce(verdicts.flags[rows, column], initial=np.uint16(0)))
    flagged = bool(bits & FITTING[kind])
    told = [
        incident
        for incident in incidents
        if incident.sensor_id == label.sensor_id
        and incident.opened <= label.end + 10 * MINUTE
        and incident.last >= label.start
        and incident.opened >= label.start - MINUTE
        and incident.evidence
        and incident.evidence[0].channel == label.channel
    ]
    if kind == "dropout":
        return Fate(kind, flagged, "dropout" if flagged else "", "sensor" if flagged else "")
    if not told:
        return Fate(kind, flagged, "", "")
    first = min(told, key=lambda incident: incident.opened)
    return Fate(kind, flagged, first.kind, first.origin)


def false_flags(labels: Sequence[Label], verdicts: Verdicts) -> tuple[int, int]:
    """Values flagged where nothing was wrong, from two hours after any fault on; and all such."""
    healthy = np.ones(verdicts.flags.shape, np.bool_)
    for label in labels:
        rows = verdicts.sensor == verdicts.sensor_ids.index(label.sensor_id)
        near = (verdicts.time >= label.start) & (verdicts.time <= label.end + 120 * MINUTE)
        healthy[rows & near] = False
    told = verdicts.flags & np.uint16(TOLD) != 0
    return int(np.count_nonzero(told & healthy)), int(np.count_nonzero(healthy))


def summary(fates: Sequence[Fate]) -> dict[str, Any]:
    """Shares by kind, and the macro-F1 of the names of what was found."""
    kinds = []
    for kind in NAMES:
        some = [one for one in fates if one.kind == kind]
        found = [one for one in some if one.named]
        right = sum(one.named == NAMES[kind] for one in found)
        names, counts = np.unique([one.named for one in found], return_counts=True)
        kinds.append(
            {
                "fault": kind,
                "count": len(some),
                "flagged": share(sum(one.flagged for one in some), len(some)),
                "found": share(len(found), len(some)),
                "named_right": share(right, len(found)) if NAMES[kind] else None,
                "sensor": share(sum(one.origin == "sensor" for one in found), len(found)),
                "event": share(sum(one.origin == "event" for one in found), len(found)),
                "called": dict(zip(names.tolist(), counts.tolist(), strict=True)),
            }
        )
    return {"macro_f1": macro_f1(fates), "kinds": kinds}


def macro_f1(fates: Sequence[Fate]) -> float:
    """Mean over kinds of the harmonic mean of precision and recall of the name."""
    found = [one for one in fates if one.named and NAMES[one.kind]]
    scores = []
    for kind in {one.kind for one in found}:
        right = sum(one.kind == kind and one.named == NAMES[kind] for one in found)
        there = sum(one.kind == kind for one in found)
        said = sum(one.named == NAMES[kind] for one in found)
        scores.append(2 * right / (there + said))
    return round(float(np.mean(scores)), 3) if scores else 0.0


def share(part: int, whole: int) -> float | None:
    """Part of the whole, None of nothing."""
    return round(part / whole, 3) if whole else None


def line(part: Mapping[str, Any]) -> list[str]:
    """One row of the table."""
    called = ", ".join(
        f"{n} {name}" for name, n in sorted(part["called"].items(), key=lambda x: -x[1])
    )
    shares = (part[k] for k in ("flagged", "found", "named_right", "sensor", "event"))
    texts = ["–" if one is None else f"{one:.2f}" for one in shares]
    return [part["fault"], str(part["count"]), *texts, called]


if __name__ == "__main__":
    main()
