"""openSenseMap's past for Python programs; the public face is in :mod:`redshank`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

from redshank import wiring
from redshank.core.clock import parse_time, to_micros
from redshank.core.config import load_config
from redshank.core.wide import WideTable

Moment = datetime | str | int | None


def fetch_from_box(
    box_id: str | Sequence[str], start: Moment = None, end: Moment = None, **how: Any
) -> WideTable:
    """See :func:`redshank.fetch_from_box`."""
    work = fetch_from_box_async(box_id, start, end, **how)
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    with ThreadPoolExecutor(1, thread_name_prefix="redshank-fetch") as aside:
        return aside.submit(asyncio.run, work).result()


async def fetch_from_box_async(
    box_id: str | Sequence[str],
    start: Moment = None,
    end: Moment = None,
    *,
    phenomena: Sequence[str] = (),
    **settings: Any,
) -> WideTable:
    """See :func:`redshank.fetch_from_box_async`."""
    config = load_config(overrides=settings).config
    boxes = [box_id] if isinstance(box_id, str) else list(box_id)
    span = {"start": _micros(start, "start"), "end": _micros(end, "end")}
    table, _ = await wiring.collect_boxes(config, boxes, None, phenomena=phenomena, **span)
    return table


def _micros(moment: Moment, field: str) -> int | None:
    if moment is None:
        return None
    if isinstance(moment, datetime):
        return to_micros(moment)
    return 0 if moment == "begin" else parse_time(moment, field)
