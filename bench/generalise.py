"""What the detector does on series that serve for nothing else.

    python bench/generalise.py [--data DATA] [--seeds 1001 1002] [--real FOLDER] [--jobs 2] [--json]

First, with --data (a folder with a manifest.json, docs/evaluation.md): each family of labelled
series beside the macro of all others. Nothing is learned across families when it runs, so a family
far below the rest is one that the method was not made for.

Then faults in streams without faults (held_out.py): thirteen simulated families with the seeds
given, and stretches of real sensors (those of the demo, or the openSenseMap files of --real). 2,000
rows are learned from; into the 4,000 after them four faults of one kind and size are put, in
channels and at places chosen by chance (planted.py). Sizes are in standard deviations of the
channel: spike (3, 6, 12; one row, counts for five), level shift (1, 2, 4; 120 rows), drift (ends at
1, 2, 4; 400 rows), noise (.5, 1, 2; 120 rows), stuck (30, 100, 300 rows), decoupled (a third, two
thirds, all of the channel are values of its own from another time; 200 rows). Faults that change
next to nothing are drawn again.

redshank's alarm is the shipped one. Peers have none: theirs is on where the score is above the
level that it exceeds in one episode only on the same rows without faults. That is hindsight in
their favour, and about what redshank's budget promises (.25 episodes per 1000 rows); alarms less
than 50 rows apart are one. "redshank, limit" is redshank's score with that same hindsight: what a
better alarm stage could gain. Intervals are 95 %, bootstrap over families. A minute on two cores.
"""

from __future__ import annotations

import multiprocessing
import warnings
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from common import options, show_tables
from held_out import LEARNED, TESTED, Floats, Stream, streams
from peers import Peer, isolation_forest, prepared, pyod_knn, ridge_var
from planted import KINDS, SIZES, injected
from redshank.models.evaluate import MODES, PREFIX, Figures, evaluate, mean_figures
from redshank.models.metrics import auc_pr, event_metrics, roc_auc, vus_pr
from redshank.models.scoring import score_table

WINDOW = 50
"""Widest buffer of VUS-PR, in rows."""
GAP = 50
"""Rows between alarms of a peer below which they are one."""
LEAD = 200
"""Learned rows that a peer sees again before the tested ones."""
PEERS: dict[str, Peer] = {
    "ridge VAR": ridge_var,
    "PyOD KNN": pyod_knn,
    "isolation forest": isolation_forest,
}
OURS = tuple(f"redshank {mode}" for mode in MODES)
LIMITED = "redshank, limit"
METHODS = (*OURS, LIMITED, *PEERS)

Marks = NDArray[np.bool_]


@dataclass(frozen=True)
class Result:
    """What one method made of one stream with faults of one kind and size."""

    family: str
    method: str
    kind: str
    size: str
    figures: Figures


@dataclass(frozen=True)
class Case:
    """A stream with faults of one kind and size.

    Attributes:
        kind: one of `KINDS`.
        size: one of `SIZES`.
        values: (n, c).
        labels: (tested rows,) True on faulty rows.
    """

    kind: str
    size: str
    values: Floats
    labels: Marks


# --- one stream ----------------------------------------------------------------------------------


def run_stream(stream: Stream) -> list[Result]:
    """All kinds and sizes of faults, all methods."""
    cases = list(cases_of(stream))
    peers = {name: peer_scores(peer, stream, cases) for name, peer in PEERS.items()}
    limits = {name: limit(scores[0]) for name, scores in peers.items()}
    limits[LIMITED] = limit(score_table(stream.table(stream.values), LEARNED).score[LEARNED:])
    results = []
    for number, case in enumerate(cases, 1):
        judged = dict(ours(stream, case, limits[LIMITED]))
        for name, scores in peers.items():
            alarms = joined(scores[number] > limits[name])
            judged[name] = figures_of(case.labels, scores[number], alarms)
        results += [
            Result(stream.family, method, case.kind, case.size, figures)
            for method, figures in judged.items()
        ]
    return results


def cases_of(stream: Stream) -> Iterator[Case]:
    """The stream with each kind and size of fault that shows in it."""
    for number, (name, kind) in enumerate(KINDS.items()):
        for size in range(len(SIZES)):
            rng = np.random.default_rng([*stream.name.encode(), number, size])
            made = injected(stream, kind, size, rng)
            if made is not None and (name != "decoupled" or len(stream.measured) > 1):
                yield Case(name, SIZES[size], made[0], made[1][LEARNED:])


def ours(stream: Stream, case: Case, level: float) -> Iterator[tuple[str, Figures]]:
    """redshank's figures over the tested rows."""
    table = stream.table(case.values)
    for mode, name in zip(MODES, OURS, strict=True):
        scored = score_table(table, LEARNED if mode == PREFIX else 0)
        score = scored.score[LEARNED:]
        yield name, figures_of(case.labels, score, scored.is_anomaly[LEARNED:])
        if mode == PREFIX:
            yield LIMITED, figures_of(case.labels, score, joined(score > level))


def peer_scores(peer: Peer, stream: Stream, cases: Sequence[Case]) -> list[Floats]:
    """(tested rows,) scores without faults, then of each case; fitted once, as all learn the same.

    Before the tested rows of each come the last learned ones again, for peers with memory.
    """
    ready = [prepared(one, LEARNED) for one in (stream.values, *(case.values for case in cases))]
    parts = [ready[0][:LEARNED], *(one[LEARNED - LEAD :] for one in ready)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scores = peer(np.concatenate(parts), LEARNED)
    each = scores[LEARNED:].reshape(len(ready), LEAD + TESTED)
    return [one[LEAD:] for one in each]


def limit(score: Floats) -> float:
    """The level above which there is one episode only, in rows without faults."""
    near = np.zeros(len(score), np.bool_)
    for row in np.argsort(-score, kind="stable").tolist():
        if near.any() and not near[row]:
            return float(score[row])
        near[max(0, row - GAP) : row + GAP + 1] = True
    return float(score.min())


def joined(alarms: Marks) -> Marks:
    """Alarms less than `GAP` rows apart as one."""
    rows = np.flatnonzero(alarms)
    out = alarms.copy()
    for first, last in pairwise(rows.tolist()):
        if 1 < last - first < GAP:
            out[first:last] = True
    return out


def figures_of(labels: Marks, score: Floats, alarms: Marks) -> Figures:
    """Figures over the tested rows."""
    events = event_metrics(labels, alarms)
    return Figures(
        vus_pr=vus_pr(labels, score, WINDOW),
        auc_pr=auc_pr(labels, score),
        roc_auc=roc_auc(labels, score),
        event_f1=events.f1,
        recall=events.recall,
        delay=events.delay,
        false_per_1000=events.false_per_1000,
        false_row_share=events.false_row_share,
    )


# --- all of them ---------------------------------------------------------------------------------


def family_means(results: Iterable[Result]) -> dict[str, Figures]:
    """Mean figures of each family."""
    found: dict[str, list[Figures]] = {}
    for result in results:
        found.setdefault(result.family, []).append(result.figures)
    return {family: mean_figures(figures) for family, figures in found.items()}


def with_interval(results: Sequence[Result]) -> dict[str, tuple[float, float, float]]:
    """Figure to its mean over families and the interval that drawing families anew gives."""
    means = [asdict(one) for one in family_means(results).values()]
    drawn = np.random.default_rng(0).integers(0, len(means), (2000, len(means)))
    out = {}
    for name in means[0]:
        values = np.array([one[name] for one in means])
        low, high = np.nanquantile(np.nanmean(values[drawn], axis=1), [0.025, 0.975])
        out[name] = (float(np.nanmean(values)), float(low), float(high))
    return out


def select(results: Sequence[Result], **wanted: str) -> list[Result]:
    """The results with these attributes."""
    return [r for r in results if all(getattr(r, name) == v for name, v in wanted.items())]


SHOWN = {
    "vus_pr": "VUS-PR",
    "event_f1": "event F1",
    "false_per_1000": "FA per 1000",
    "recall": "recall",
    "delay": "delay",
}


def overall_table(results: Sequence[Result]) -> Table:
    """All methods over all kinds."""
    families = len({result.family for result in results})
    table = Table(
        "method", *SHOWN.values(), title=f"Faults in {families} families of held-out streams"
    )
    for method in METHODS:
        found = with_interval(select(results, method=method))
        table.add_row(method, *(ranged(found[name]) for name in SHOWN))
    return table


def ranged(found: tuple[float, float, float]) -> str:
    """A mean and its interval."""
    return "{:.2f} ({:.2f}–{:.2f})".format(*found)


def kinds_table(results: Sequence[Result]) -> Table:
    """redshank by kind and size, peers' VUS-PR beside it."""
    ours = OURS[MODES.index(PREFIX)]
    table = Table("fault", "size", *SHOWN.values(), *PEERS, title=f"{ours}; VUS-PR of peers")
    for kind in KINDS:
        for size in SIZES:
            of_kind = select(results, kind=kind, size=size)
            if not of_kind:
                continue
            found = with_interval(select(of_kind, method=ours))
            others = (with_interval(select(of_kind, method=peer))["vus_pr"][0] for peer in PEERS)
            table.add_row(
                kind, size, *(ranged(found[name]) for name in SHOWN), *(f"{o:.2f}" for o in others)
            )
        table.add_section()
    return table


def families_table(results: Sequence[Result]) -> Table:
    """VUS-PR and the alarm by family."""
    methods = [method for method in METHODS if method != LIMITED]
    table = Table("family", *methods, "alarm F1 @ FA", "recall / delay", title="VUS-PR by family")
    means = {method: family_means(select(results, method=method)) for method in methods}
    for family in means[OURS[0]]:
        ours = means[OURS[MODES.index(PREFIX)]][family]
        table.add_row(
            family,
            *(f"{means[method][family].vus_pr:.3f}" for method in methods),
            f"{ours.event_f1:.2f} @ {ours.false_per_1000:.2f}",
            f"{ours.recall:.2f} / {ours.delay:.2f}",
        )
    return table


def left_out(data: Path, jobs: int) -> tuple[Table, dict[str, Any]]:
    """Each family beside the macro of all others, in both modes."""
    found = evaluate(data, core_only=True, jobs=jobs)
    heads = ("VUS-PR", "rest", "F1 @ FA", "rest", "recall", "rest", "delay", "rest")
    table = Table("mode", "family", *heads, title="A family left out, beside the macro of the rest")
    figures: dict[str, Any] = {}
    for mode, families in found.families.items():
        for family, own in families.items():
            rest = mean_figures([one for name, one in families.items() if name != family])
            figures.setdefault(mode, {})[family] = {"own": asdict(own), "rest": asdict(rest)}
            table.add_row(mode, family, *pairs(own, rest))
        table.add_section()
    return table, figures


def pairs(own: Figures, rest: Figures) -> Iterator[str]:
    """The cells of a family and of the rest, in turn."""
    for field in ("vus_pr", "event_f1", "recall", "delay"):
        for one in (own, rest):
            at = f" @ {one.false_per_1000:.2f}" if field == "event_f1" else ""
            yield f"{getattr(one, field):.{3 if field == 'vus_pr' else 2}f}{at}"


def numbers_of(results: Sequence[Result]) -> dict[str, Any]:
    """The tables as numbers."""
    return {
        method: {
            "all": with_interval(select(results, method=method)),
            "families": {
                family: asdict(one)
                for family, one in family_means(select(results, method=method)).items()
            },
            "faults": {
                f"{kind}, {size}": with_interval(found)
                for kind in KINDS
                for size in SIZES
                if (found := select(results, method=method, kind=kind, size=size))
            },
        }
        for method in METHODS
    }


def main() -> None:
    """Measure and print."""
    parser = options(__doc__)
    parser.add_argument("--data", type=Path, help="labelled series: folder with manifest.json")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1001, 1002])
    parser.add_argument("--real", type=Path, help="folder of real readings; without, the demo's")
    parser.add_argument("--jobs", type=int, default=multiprocessing.cpu_count())
    args = parser.parse_args()
    shown: list[Table] = []
    figures: dict[str, Any] = {}
    if args.data:
        table, figures["left out"] = left_out(args.data, args.jobs)
        shown.append(table)
    listed = list(streams(args.seeds, args.real))
    with ProcessPoolExecutor(args.jobs, multiprocessing.get_context("spawn")) as pool:
        results = [one for found in pool.map(run_stream, listed) for one in found]
    shown += [overall_table(results), kinds_table(results), families_table(results)]
    show_tables(args, shown, figures | {"faults": numbers_of(results)})


if __name__ == "__main__":
    main()
