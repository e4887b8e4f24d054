"""From a clone to a working redshank where there is no C compiler, no pip cache and no home."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.services

ROOT = Path(__file__).parents[2]
REQUIRED = os.environ.get("REDSHANK_REQUIRE_SERVICES") == "1"
PARTS = (
    "src", "requirements", "pyproject.toml", "hatch_build.py", "dev.py", "README.md", "LICENSE",
)  # fmt: skip


@pytest.mark.skipif(
    not REQUIRED, reason="downloads a compiler; REDSHANK_REQUIRE_SERVICES=1 runs it"
)
def test_kernels_are_compiled_without_a_system_compiler(tmp_path):
    clone = copied(tmp_path / "clone")
    (tmp_path / "home").mkdir()
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python3").symlink_to(Path(sys.base_prefix) / "bin" / "python3")
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("REDSHANK_", "VIRTUAL_ENV")) and name != "CC"
    } | {"PATH": str(tmp_path / "bin"), "HOME": str(tmp_path / "home")}

    def dev(*arguments):
        command = [tmp_path / "bin" / "python3", "dev.py", *arguments]
        done = subprocess.run(
            command, cwd=clone, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert "compiler" in dev("setup")
    assert dev("setup") == "", "a second set-up finds everything done"
    dev("redshank", "simulate", "office", "-o", "office.csv", "--days", "1", "--sensors", "1")
    assert "1,440 rows" in dev("redshank", "score", "office.csv", "-o", "scored.csv")


def copied(clone: Path) -> Path:
    clone.mkdir()
    for part in PARTS:
        if (ROOT / part).is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "*.so", "*.dll", "*.dylib")
            shutil.copytree(ROOT / part, clone / part, ignore=ignored)
        else:
            shutil.copy(ROOT / part, clone / part)
    return clone
