#!/usr/bin/env python3
"""Sets redshank up from a clone and runs it: needs Python 3.11 or newer and nothing else.

    python3 dev.py demo         set up, then replay a week of real sensors and open the page
    python3 dev.py test         set up, then run the tests (further arguments go to pytest)
    python3 dev.py rings        set up, then run the tests that need real servers, and the faults
    python3 dev.py fuzz         set up, then fuzz all decoders for a minute (--seconds, --only)
    python3 dev.py lint         style, format and types
    python3 dev.py redshank …   set up, then any command of redshank, e.g. "doctor"
    python3 dev.py setup        set up only
    python3 dev.py docs         write the generated pages in docs/ anew
    python3 dev.py lock         pin the requirements anew (needs uv)

Everything lands in .venv beside this file. What is up to date is not done again.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")
STAMP = VENV / "redshank-setup.json"
REQUIREMENTS = ROOT / "requirements"
NATIVE = ROOT / "src" / "redshank" / "detect" / "native"
OLDEST = (3, 11)

# requirements file -> what uv reads it from; later files keep to the versions of run.txt
LOCKS = {
    "run": ["pyproject.toml"],
    "bench": ["pyproject.toml", "--extra", "bench"],
    "test": ["--group", "pyproject.toml:test"],
    "fuzz": ["--group", "pyproject.toml:fuzz"],
    "fuzzer": ["--group", "pyproject.toml:fuzzer"],
    "browser": ["--group", "pyproject.toml:browser"],
    "lint": ["--group", "pyproject.toml:lint"],
    "build": ["--group", "pyproject.toml:build"],
    "compiler": ["--group", "pyproject.toml:compiler"],
}
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
NO_PIP = """This Python cannot make an environment with pip in it: its "ensurepip" is missing.
On Debian and Ubuntu:  sudo apt-get install python3-venv
Elsewhere: install Python from python.org or with your package manager, then try again."""


def main(arguments: list[str]) -> int:
    """Run one command; returns its exit status."""
    if sys.version_info < OLDEST:
        return fail(f"redshank needs Python 3.11 or newer, this is {sys.version.split()[0]}")
    commands = {
        "demo": demo,
        "test": test,
        "lint": lint,
        "redshank": redshank,
        "rings": rings,
        "fuzz": fuzz,
        "setup": lambda rest: set_up("run"),
        "docs": docs,
        "lock": lock,
    }
    if not arguments or arguments[0] not in commands:
        print(__doc__)
        return 0 if arguments in (["-h"], ["--help"]) else 2
    try:
        return commands[arguments[0]](arguments[1:]) or 0
    except KeyboardInterrupt:
        return 130
    except subprocess.CalledProcessError as error:
        return fail(f"failed with status {error.returncode}: {' '.join(map(str, error.cmd))}")


def fail(reason: str) -> int:
    """Say why it does not go on."""
    print(reason, file=sys.stderr)
    return 1


# --- commands ------------------------------------------------------------------------------------


def demo(rest: list[str]) -> int:
    """The main job on the bundled week of real readings."""
    return redshank(["run", "--demo", *rest])


def redshank(rest: list[str]) -> int:
    """Any command of redshank."""
    set_up("run")
    return run(PYTHON, "-m", "redshank.cli", *rest)


def test(rest: list[str]) -> int:
    """The tests named, or all that need nothing but Python (and Node, where there is one)."""
    set_up("run", "test")
    if rest:
        return pytest(*rest)
    status = all_of(page, units)
    print("with real servers, kills and cuts: python3 dev.py rings")
    return status


def rings(rest: list[str]) -> int:
    """The rings of tests around the default ones; what cannot run here says what to install."""
    return all_of(services, faults)


def all_of(*parts: Callable[[], int]) -> int:
    """Run each part, whatever became of the one before."""
    failed = [part.__name__ for part in parts if part()]
    return fail(f"failed: {', '.join(failed)}") if failed else 0


def units() -> int:
    """Unit tests and conformance suites: nothing but Python."""
    return pytest("-n", "auto", "tests/unit", "tests/contract")


def services() -> int:
    """Against those of the real servers, and of the browsers, that are here."""
    tell_missing()
    # What drives a browser is large; tests that need one are left out with a line that says so.
    set_up("run", "test", *(["browser"] if required() or has_browser() else []))
    return pytest("-rs", "tests/services")


def faults() -> int:
    """Kills, cuts and breaks the service on purpose."""
    set_up("run", "test", "fuzz")
    return pytest("-rs", "tests/faults")


def tell_missing() -> None:
    """Say what is not here, and how to get it, before the tests that need it are left out."""
    here = {
        "a browser: apt-get install chromium": has_browser(),
        "mosquitto: apt-get install mosquitto": has_program("mosquitto", "REDSHANK_TEST_MQTT_URL"),
        "telegraf: see https://docs.influxdata.com/telegraf/v1/install, or set "
        "REDSHANK_TEST_TELEGRAF": has_program("telegraf", "REDSHANK_TEST_TELEGRAF"),
    }
    for what in [text for text, found in here.items() if not found]:
        print(f"not here, so its tests are {'failing' if required() else 'left out'}: {what}")


def fuzz(rest: list[str]) -> int:
    """Everything that reads bytes from outside, guided by coverage; where there is an atheris."""
    set_up("run", "test", "fuzzer")
    return run(PYTHON, ROOT / "tests" / "fuzz" / "fuzz_decoders.py", *rest)


def page() -> int:
    """The page's own functions, in Node."""
    node = shutil.which("node")
    if node is None:
        print("page functions left out: they need Node 20 or newer; apt-get install nodejs")
        return int(required())
    return run(node, "--test", *sorted((ROOT / "tests" / "page" / "unit").glob("*.test.js")))


def required() -> bool:
    """Whether a missing server is a failure, as it is in CI."""
    return os.environ.get("REDSHANK_REQUIRE_SERVICES") == "1"


def has_program(name: str, setting: str) -> bool:
    """Whether a server is in the path, where only root looks too, or a setting says where."""
    path = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))
    return bool(os.environ.get(setting)) or shutil.which(name, path=path) is not None


def has_browser() -> bool:
    """Whether there is a browser to drive."""
    return bool(os.environ.get("REDSHANK_TEST_CHROMIUM")) or any(map(shutil.which, BROWSERS))


def lint(rest: list[str]) -> int:
    """Style, format and types."""
    set_up("run", "test", "lint")
    places = ["src", "tests", "bench", "dev.py", "hatch_build.py"]
    status = run(PYTHON, "-m", "ruff", "check", *places)
    status = run(PYTHON, "-m", "ruff", "format", "--check", *places) or status
    return run(PYTHON, "-m", "mypy") or status


def docs(rest: list[str]) -> int:
    """Write what is generated from the code."""
    set_up("run")
    for page, name in (("settings", "configuration.md"), ("commands", "commands.md")):
        text = subprocess.run(
            [PYTHON, "-m", "redshank.cli", "reference", page],
            cwd=ROOT, check=True, stdout=subprocess.PIPE, encoding="utf-8",
        ).stdout  # fmt: skip
        (ROOT / "docs" / name).write_text(text, encoding="utf-8", newline="\n")
    return 0


def lock(rest: list[str]) -> int:
    """Pin every requirement with its hashes, for all platforms; "--upgrade" takes newer ones."""
    uv = shutil.which("uv", path=f"{BIN}{os.pathsep}{os.environ.get('PATH', '')}")
    if uv is None:
        return fail("uv is missing; install it as its documentation says, or: pip install uv")
    for name, origin in LOCKS.items():
        keep = [] if name == "run" else ["--constraint", "requirements/run.txt"]
        subprocess.run(
            [uv, "pip", "compile", "--quiet", "--universal", "--python-version", "3.11",
             "--generate-hashes", "--no-emit-index-url", "--no-emit-find-links",
             "--custom-compile-command", "python3 dev.py lock", *keep, *origin, *rest,
             "--output-file", f"requirements/{name}.txt"],
            cwd=ROOT, check=True,
        )  # fmt: skip
    return 0


def pytest(*arguments: str) -> int:
    """One run of pytest; a ring without tests is no failure."""
    status = run(PYTHON, "-m", "pytest", *arguments)
    return 0 if status == 5 else status


def run(*command: str | Path) -> int:
    """Run a command in the clone and hand its status on."""
    process = subprocess.Popen([str(part) for part in command], cwd=ROOT)
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:  # the child has had Ctrl-C too and is closing down
            continue


# --- set-up --------------------------------------------------------------------------------------


def set_up(*groups: str) -> None:
    """Bring .venv to the pinned requirements of these groups and the kernels to their sources."""
    if not PYTHON.exists():
        step("making the environment in .venv")
        make_environment()
    needed = ["build", *groups] if has_compiler() else ["build", "compiler", *groups]
    done = read_stamp()
    missing = [name for name in needed if done.get(name) != digest(requirements(name))]
    if missing:
        step(f"installing pinned packages ({', '.join(missing)})")
        install(needed)
        done.update({name: digest(requirements(name)) for name in needed})
        write_stamp(done)
    sources = digest(
        ROOT / "pyproject.toml", ROOT / "hatch_build.py", *sorted(NATIVE.glob("*.[ch]"))
    )
    if done.get("package") != sources or not built():
        step("compiling the detection kernels and installing redshank")
        pip("install", "--no-deps", "--no-build-isolation", "--editable", str(ROOT))
        write_stamp({**done, "package": sources})


def make_environment() -> None:
    """A virtual environment with pip, by this Python's own pip where ensurepip is missing."""
    try:
        import ensurepip  # noqa: F401
    except ImportError:
        if subprocess.run(
            [sys.executable, "-m", "pip", "--version"], capture_output=True
        ).returncode:
            raise SystemExit(NO_PIP) from None
        venv.create(VENV, with_pip=False)
        subprocess.run(
            [sys.executable, "-m", "pip", "--python", str(PYTHON), "install", "--quiet", "pip"],
            check=True,
        )
    else:
        venv.create(VENV, with_pip=True)


def install(names: list[str]) -> None:
    """The pinned packages of these groups, hashes verified."""
    files = [part for name in names for part in ("--requirement", str(requirements(name)))]
    pip("install", "--require-hashes", *files)


def pip(*arguments: str) -> None:
    """Run pip in the environment."""
    quiet = ["--quiet", "--disable-pip-version-check"]
    subprocess.run([str(PYTHON), "-m", "pip", *arguments, *quiet], cwd=ROOT, check=True)


def has_compiler() -> bool:
    """Whether the system has a C compiler, looked for as hatch_build.py does."""
    return bool(os.environ.get("CC")) or any(map(shutil.which, ("cc", "gcc", "clang")))


def built() -> bool:
    """Whether the kernels' library lies where the package looks for it."""
    return any(NATIVE.glob("kernels.so")) or any(NATIVE.glob("kernels.d*"))


def requirements(name: str) -> Path:
    """The file with a group's pins."""
    return REQUIREMENTS / f"{name}.txt"


def digest(*paths: Path) -> str:
    """A hash over the contents of files and over what Python they are for."""
    total = hashlib.sha256(f"{sys.version_info[:2]} {ROOT}".encode())
    for path in paths:
        total.update(path.name.encode() + b"\0" + path.read_bytes())
    return total.hexdigest()


def read_stamp() -> dict[str, str]:
    """What set-up did last, nothing if it never finished a step."""
    try:
        return dict(json.loads(STAMP.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}


def write_stamp(done: dict[str, str]) -> None:
    """Remember what is up to date."""
    STAMP.write_text(json.dumps(done, indent=1), encoding="utf-8")


def step(text: str) -> None:
    """Tell what takes time."""
    print(f"[set-up] {text} …", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
