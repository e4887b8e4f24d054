"""The page's modules by themselves: pure functions in node's test runner, types in ``tsc``."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.services

FOLDER = Path(__file__).parents[1] / "page"


def run(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a command among the page's checks."""
    return subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, check=False)


@pytest.mark.skipif(not shutil.which("node"), reason="node 20 or newer is not installed")
def test_pure_functions() -> None:
    files = sorted(str(path.relative_to(FOLDER)) for path in FOLDER.glob("unit/*.test.js"))
    done = run("node", "--test", *files)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(
    not (FOLDER / "node_modules" / "typescript").is_dir(),
    reason="the type checker is not installed: npm ci in tests/page",
)
def test_types() -> None:
    done = run("node", "node_modules/typescript/bin/tsc", "--project", "tsconfig.json")
    assert done.returncode == 0, done.stdout


def test_every_module_is_preloaded() -> None:
    """A module missing from the list costs the first paint one more round trip."""
    page = Path(__file__).parents[2] / "src" / "redshank" / "page"
    index = (page / "index.html").read_text()
    modules = {path.relative_to(page).as_posix() for path in page.rglob("*.js")}
    assert {name for name in modules if f"/assets/HASH/{name}" not in index} == set()
