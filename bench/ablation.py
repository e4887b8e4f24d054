"""What each part of the detector brings: the detector without it, on labelled series.

    python bench/ablation.py DATA [--parts NAME ...] [--all] [--jobs 2] [--json]

DATA is a folder with a manifest.json (docs/evaluation.md). For each part the package is copied to a
temporary folder, the part's constants in the source are changed so that it does nothing, the
kernels are compiled anew and `redshank evaluate` is run on the copy; so there is no switch in the
product that only a benchmark uses. Prints the change of VUS-PR and of the alarm's event F1, mean
over families of core series (with --all of all series), in how many families VUS-PR falls by more
than .002 without the part, and in how many it rises. Needs a C compiler. About 10 s a part.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from rich.table import Table

import redshank
from common import options, show_tables

MODEL, NOVELTY = "detect/native/stream_model.c", "detect/native/stream_novelty.c"
SCORE, RATE = "detect/native/stream_score.c", "detect/native/stream_rate.c"
CHANGE = "detect/native/change.c"
ENGINE, SETTINGS = "detect/engine.py", "detect/streaming/scores.py"
FLAGS = ["-O3", "-std=c11", "-ffp-contract=off", "-fno-math-errno", "-shared", "-fPIC"]
VIEWS = ("V", "Q", "S", "X", "F", "M", "L", "A", "V", "Q", "S", "X")
NOTICED = 0.002


@dataclass(frozen=True, slots=True)
class Edit:
    """What stands in a source file of the package, as a pattern, and what replaces it."""

    file: str
    pattern: str
    replacement: str


def constant(file: str, name: str, value: str) -> Edit:
    """A `#define` or a module's constant with another value."""
    return Edit(file, rf"({name} =? ?)[^\s,;]+", rf"\g<1>{value}")


def without(component: str) -> Edit:
    """A component of the usual evidence with weight zero."""
    weights = ["0" if view in (component, "L", "A") else "1" for view in VIEWS]
    for at in (0, 8):
        weights[at] = "0" if component == "V" else "2"
    return Edit(MODEL, r"WEIGHT\[VIEWS\] = \{[^}]*\}", f"WEIGHT[VIEWS] = {{{', '.join(weights)}}}")


PARTS: Mapping[str, Sequence[Edit]] = {
    "V forecast": [without("V")],
    "Q shape of the window": [without("Q")],
    "S roughness of 30 rows": [without("S")],
    "F roughness of 10 rows": [without("F")],
    "X cross-channel": [without("X")],
    "M shape memory": [without("M")],
    "L level": [constant(NOVELTY, "define LEVEL_ADDS", "0.0f")],
    "A activity": [constant(NOVELTY, "define ACTIVITY_ADDS", "0.0f")],
    "R records": [constant(NOVELTY, "define RECORD_ADDS", "0.0f")],
    "memory of the score": [constant(RATE, "define RELEASE", "1.0f")],
    "recalibration": [
        constant(MODEL, "define RECALIBRATION", "1e30f"),
        constant(NOVELTY, "define RECALIBRATION", "1e30f"),
    ],
    "history without what stands out": [constant(SETTINGS, "    outstanding: float", "1e9")],
    "later fits without what stands out": [
        constant(SETTINGS, "    outstanding_later: float", "1e9")
    ],
    "long runs left out of later fits": [constant(SETTINGS, "long_run: int", "10**9")],
    "waiting for calm before a fit": [constant(SCORE, "define CALM", "1e9f")],
    "evidence track of the alarm": [Edit(RATE, r"a < b \? a : b", "a")],
    "new regimes": [constant(RATE, "define REGIME", "1000000000")],
    "flat lines": [constant(ENGINE, "_FLAT_SHARE", "1e-9")],
    "gross extremes and jumps": [constant(ENGINE, "_EXTREME_SHARE", "1e-9")],
    "jumps alone": [constant(CHANGE, "define CAUTION", "1e30f")],
}


def changed_copy(folder: Path, edits: Sequence[Edit]) -> None:
    """The package in a folder, with these edits, compiled."""
    package = folder / "redshank"
    ignored = shutil.ignore_patterns("__pycache__", "*.so", "*.dylib", "*.dll")
    shutil.copytree(Path(redshank.__file__).parent, package, ignore=ignored)
    for edit in edits:
        path = package / edit.file
        text, found = re.subn(edit.pattern, edit.replacement, path.read_text())
        if found != 1:
            raise SystemExit(f"{edit.file}: {edit.pattern!r} stands there {found} times, not once")
        path.write_text(text)
    native = package / "detect" / "native"
    compiler = os.environ.get("CC", "cc").split()
    sources = [str(source) for source in sorted(native.glob("*.c"))]
    command = [*compiler, *FLAGS, "-o", str(native / "kernels.so"), *sources, "-lm"]
    subprocess.run(command, check=True)


def evaluation(data: Path, edits: Sequence[Edit], everything: bool) -> dict[str, Any]:
    """Figures of `redshank evaluate` with these edits: mode to family and macro figures."""
    chosen = [] if everything else ["--core-only"]
    with tempfile.TemporaryDirectory(prefix="redshank-ablation-") as folder:
        changed_copy(Path(folder), edits)
        command = [
            sys.executable,
            "-m",
            "redshank.cli",
            "evaluate",
            str(data),
            "--json",
            "--jobs",
            "1",
            *chosen,
        ]
        environment = os.environ | {"PYTHONPATH": folder}
        done = subprocess.run(command, env=environment, capture_output=True, check=False)
        if done.returncode:
            raise SystemExit(done.stderr.decode())
    found: dict[str, Any] = orjson.loads(done.stdout)
    return found


def figures(whole: Mapping[str, Any], less: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Per mode, what is lost without the part."""
    out = {}
    for mode in whole["macro"]:
        before, after = whole["macro"][mode], less["macro"][mode]
        steps = [
            less["families"][mode][family]["vus_pr"] - figures["vus_pr"]
            for family, figures in whole["families"][mode].items()
        ]
        out[mode] = {
            "vus_pr": after["vus_pr"] - before["vus_pr"],
            "event_f1": after["event_f1"] - before["event_f1"],
            "false_per_1000": after["false_per_1000"] - before["false_per_1000"],
            "families_worse": sum(step < -NOTICED for step in steps),
            "families_better": sum(step > NOTICED for step in steps),
        }
    return out


def table(mode: str, whole: Mapping[str, Any], lost: Mapping[str, Any]) -> Table:
    """One line a part."""
    macro = whole["macro"][mode]
    title = (
        f"{mode}: VUS-PR {macro['vus_pr']:.3f}, event F1 {macro['event_f1']:.3f} at "
        f"{macro['false_per_1000']:.2f} false alarms per 1000 rows"
    )
    shown = Table(title=title)
    heads = ("VUS-PR", "event F1", "false alarms", "families worse / better")
    shown.add_column("without")
    for head in heads:
        shown.add_column(head, justify="right")
    for part, line in lost.items():
        one = line[mode]
        numbers = (one["vus_pr"], one["event_f1"], one["false_per_1000"])
        families = f"{one['families_worse']} / {one['families_better']}"
        shown.add_row(part, *(f"{number:+.3f}" for number in numbers), families)
    return shown


def main() -> None:
    """Measure and print."""
    parser = options(__doc__)
    parser.add_argument("data", type=Path, help="labelled series: folder with manifest.json")
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--all", action="store_true", help="all series, not only core ones")
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args()
    with ThreadPoolExecutor(args.jobs) as pool:
        edits: list[Sequence[Edit]] = [(), *(PARTS[name] for name in args.parts)]
        whole, *rest = pool.map(lambda each: evaluation(args.data, each, args.all), edits)
    lost = {name: figures(whole, less) for name, less in zip(args.parts, rest, strict=True)}
    tables = [table(mode, whole, lost) for mode in whole["macro"]]
    show_tables(args, tables, {"whole": whole["macro"], "without": lost})


if __name__ == "__main__":
    main()
