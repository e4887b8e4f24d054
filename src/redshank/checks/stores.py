"""What every store must do; run on each one by discovery.

Each check takes a maker: called with a name it opens the store of that name, empty the first time
and with what was written after that. It raises AssertionError with the law that was broken.
"""

from __future__ import annotations

from collections.abc import Callable

from redshank.checks import store_documents, store_extents, store_places, store_rows
from redshank.checks.store_documents import check_everything_survives_reopening
from redshank.checks.store_samples import START, MakeStore, everything, readings, settle, verdicts

__all__ = [
    "CHECKS",
    "LASTING",
    "START",
    "MakeStore",
    "everything",
    "readings",
    "settle",
    "verdicts",
]

CHECKS: tuple[Callable[[MakeStore], None], ...] = tuple(
    check
    for module in (store_documents, store_extents, store_places, store_rows)
    for name, check in vars(module).items()
    if name.startswith("check_")
)
"""All of them."""

LASTING = frozenset({check_everything_survives_reopening})
"""Those that a store in memory cannot pass."""
