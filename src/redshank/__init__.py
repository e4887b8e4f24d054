"""redshank: anomaly detection for IoT sensors."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from redshank.core.wide import WideTable

__version__ = "0.1.0"
__all__ = ["__version__", "fetch_from_box", "fetch_from_box_async"]


def fetch_from_box(
    box_id: str | Sequence[str],
    start: datetime | str | int | None = None,
    end: datetime | str | int | None = None,
    *,
    phenomena: Sequence[str] = (),
    **settings: Any,
) -> WideTable:
    """The past of one or more openSenseMap boxes as one wide table.

        table = redshank.fetch_from_box("57000b8745fd40c8196ad04c", "2026-01-01", "2026-02-01")
        table.columns["temperature"]    # a NumPy array in °C
        table.write("box.parquet")

    Works in notebooks, too, where an event loop runs already.

    Args:
        box_id: a box, or several.
        start: datetime (UTC unless it says otherwise), ISO 8601 text or Unix time, of the first
            readings; "begin" for everything, None for two days before the end.
        end: likewise, not included; None for everything up to now.
        phenomena: titles or channel names; all if empty.
        settings: of the configuration, e.g. ``opensensemap_contact="ops@example.org"``.

    Raises:
        ConfigError: a setting cannot be used.
        FieldError: a time cannot be understood.
        NotFoundError: there is no such box.
        SourceError: the server cannot be reached or refuses.
    """
    fetch = import_module("redshank.fetching").fetch_from_box
    table: WideTable = fetch(box_id, start, end, phenomena=phenomena, **settings)
    return table


async def fetch_from_box_async(
    box_id: str | Sequence[str],
    start: datetime | str | int | None = None,
    end: datetime | str | int | None = None,
    *,
    phenomena: Sequence[str] = (),
    **settings: Any,
) -> WideTable:
    """:func:`fetch_from_box` for programs that have an event loop."""
    fetch = import_module("redshank.fetching").fetch_from_box_async
    table: WideTable = await fetch(box_id, start, end, phenomena=phenomena, **settings)
    return table
