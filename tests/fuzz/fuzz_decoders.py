"""Coverage-guided fuzzing of everything that reads bytes from outside, with atheris.

    python3 dev.py fuzz [--seconds 60] [--only sparkplug] [--again FILE]

What is fuzzed, and what must hold, stands in targets.py. The time is shared among the targets. What
breaks one is kept in .fuzz/ and shown, with the command that repeats it; what found new ground is
kept there too, so that the next run goes on from it. Not part of the default run of the tests,
which tries the seeds of all targets (tests/unit/test_fuzz_targets.py).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

HERE = Path(__file__).resolve()
KEPT = HERE.parents[2] / ".fuzz"
LONGEST = 4096
SLOW = 10
"""Seconds for one input, after which it counts as a fault."""


def main() -> int:
    """Fuzz for a while; 1 if something broke."""
    sys.path.insert(0, str(HERE.parent))
    args = arguments()
    if args.only:
        fuzz(args.only, args.seconds, args.again)
        return 0
    from targets import TARGETS

    share = max(1, args.seconds // len(TARGETS))
    broken = [name for name in TARGETS if fuzz_apart(name, share)]
    print(f"{len(TARGETS)} targets, {share} s each: {', '.join(broken) or 'nothing'} broke")
    return int(bool(broken))


def arguments() -> argparse.Namespace:
    """The command line."""
    how = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=how)
    parser.add_argument("--seconds", type=int, default=60, help="for all targets together")
    parser.add_argument("--only", help="one target, in this process")
    parser.add_argument("--again", type=Path, help="bytes that broke it, to be tried once more")
    return parser.parse_args()


def fuzz_apart(name: str, seconds: int) -> int:
    """Fuzz one target in a process of its own; its status."""
    command = [sys.executable, str(HERE), "--only", name, "--seconds", str(seconds)]
    print(f"--- {name}", flush=True)
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    told = done.stdout.splitlines()
    if done.returncode:
        print("\n".join(told[-60:]))
        kept = list((KEPT / name).glob("broke-*"))
        newest = max(kept, key=lambda path: path.stat().st_mtime, default="FILE")
        print(f"once more: python3 dev.py fuzz --only {name} --again {newest}")
    else:
        print("\n".join(line for line in told if line.startswith("Done ")))
    return done.returncode


def fuzz(name: str, seconds: int, again: Path | None) -> None:
    """Fuzz one target here; ends the process."""
    try:
        import atheris
    except ImportError:
        sys.exit("atheris is not here: it is made for Linux on x86-64 with Python 3.11 to 3.13")
    with atheris.instrument_imports(include=["redshank"]):
        from targets import ALLOWED, TARGETS
    if name not in TARGETS:
        sys.exit(f"{name!r} is no target; there are {', '.join(TARGETS)}")
    target, corpus = TARGETS[name], KEPT / name
    corpus.mkdir(parents=True, exist_ok=True)
    for i, seed in enumerate(target.seeds):
        (corpus / f"seed-{i}").write_bytes(seed)

    def test(data: bytes) -> None:
        with suppress(*ALLOWED):
            target.test(data)

    limits = [f"-max_total_time={seconds}", f"-max_len={LONGEST}", f"-timeout={SLOW}"]
    where = [f"-artifact_prefix={corpus}/broke-", str(again or corpus)]
    atheris.Setup([sys.argv[0], *limits, *where], test)
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
