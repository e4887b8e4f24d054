"""Build hook: compiles the kernels in ``src/redshank/detect/native`` into one shared library.

The library has a plain C interface and is loaded with ctypes, so one wheel serves every CPython
version of a platform. The system's C compiler is used where there is one; elsewhere the compiler
comes from the ``ziglang`` package, so that building from a clone needs nothing but pip.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NATIVE = Path("src/redshank/detect/native")
# No -ffast-math and no contraction: the same bits for every batch size and on every machine.
FLAGS = [
    "-O3",
    "-std=c11",
    "-ffp-contract=off",
    "-fno-math-errno",
    "-fvisibility=hidden",
    "-Wall",
    "-Wextra",
]


def library_name() -> str:
    """File name of the shared library on this platform."""
    return {"win32": "kernels.dll", "darwin": "kernels.dylib"}.get(sys.platform, "kernels.so")


def find_compiler() -> list[str] | None:
    """The C compiler named by ``CC``, or the system's, as an argument list."""
    if os.environ.get("CC"):
        return os.environ["CC"].split()
    for name in ("cc", "gcc", "clang"):
        if path := shutil.which(name):
            return [path]
    return None


class NativeKernels(BuildHookInterface):  # type: ignore[misc]
    """Compiles the kernels and tags the wheel for this platform."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """What the build needs besides hatchling: a compiler, if the system has none."""
        return [] if find_compiler() else ["ziglang>=0.13"]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile before the wheel (or the editable install) is put together."""
        root = Path(self.root)
        target = root / NATIVE / library_name()
        self._compile(sorted((root / NATIVE).glob("*.c")), target)
        build_data["pure_python"] = False
        build_data["tag"] = (
            f"py3-none-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"
        )
        build_data["artifacts"].append(f"{NATIVE.as_posix()}/{target.name}")

    def _compile(self, sources: list[Path], target: Path) -> None:
        compiler = find_compiler() or [sys.executable, "-m", "ziglang", "cc"]
        shared = ["-shared"] if sys.platform == "win32" else ["-shared", "-fPIC"]
        maths = [] if sys.platform == "win32" else ["-lm"]
        partial = target.with_suffix(".partial")
        command = [*compiler, *FLAGS, *shared, "-o", str(partial), *map(str, sources), *maths]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"compiling the kernels failed: {' '.join(command)}\n{done.stderr}")
        partial.replace(target)
