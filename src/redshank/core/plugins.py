"""The plugin table: implementations found by name through Python's entry points.

Our own adapters are entered in ``pyproject.toml`` just as anybody else's package enters its own, so
that a new one needs no change here. Nothing is imported before it is asked for.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal

from redshank.core.config import nearest
from redshank.core.errors import ConfigError, MissingExtraError

Group = Literal[
    "redshank.detectors",
    "redshank.stores",
    "redshank.sources",
    "redshank.buses",
    "redshank.alerts",
]
GROUPS: tuple[Group, ...] = (
    "redshank.detectors",
    "redshank.stores",
    "redshank.sources",
    "redshank.buses",
    "redshank.alerts",
)
"""Entry point groups, one for each seam."""


def names(group: Group) -> tuple[str, ...]:
    """Names of everything that is installed for a seam, sorted."""
    return tuple(sorted({entry.name for entry in entry_points(group=group)}))


def load(group: Group, name: str) -> Any:
    """The implementation of that name: a class or function, imported now.

    Raises:
        ConfigError: nothing of that name is installed.
        MissingExtraError: it needs an optional dependency that is not installed.
    """
    entry = _find(group, name)
    try:
        return entry.load()
    except ModuleNotFoundError as error:
        if error.name and error.name.split(".")[0] == entry.module.split(".")[0]:
            raise
        extra = entry.extras[0] if entry.extras else name
        raise MissingExtraError(f"{_seam(group)} {name!r}", extra) from error


def _find(group: Group, name: str) -> EntryPoint:
    for entry in entry_points(group=group, name=name):
        return entry
    known = names(group)
    installed = ", ".join(known) or "none"
    raise ConfigError(
        f"no {_seam(group)} is called {name!r}{nearest(name, known)} (installed: {installed})"
    )


def _seam(group: Group) -> str:
    return group.removeprefix("redshank.").removesuffix("es" if group.endswith("buses") else "s")
