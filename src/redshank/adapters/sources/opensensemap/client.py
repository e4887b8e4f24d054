"""The questions that openSenseMap answers: boxes, lists of boxes, histories of sensors."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from typing import Any

from redshank.adapters.sources.opensensemap.answers import (
    Box,
    format_query_time,
    parse_box,
    parse_boxes,
    parse_json,
)
from redshank.adapters.sources.opensensemap.http import PoliteHttp
from redshank.adapters.sources.opensensemap.measurements import (
    Measurements,
    joined,
    parse_measurements,
)
from redshank.core.clock import DAY
from redshank.core.errors import NotFoundError

PAGE = 10_000
"""Most rows that the server returns at once; it does not say that it cut."""
MILLISECOND = 1000
LONGEST_WINDOW = 31 * DAY
"""Longest span of one question; servers have refused longer ones."""
_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")


class OpenSenseMapClient:
    """openSenseMap's API over one polite connection.

    Args:
        url: the server, e.g. ``https://api.opensensemap.org``.
        how: see :class:`PoliteHttp`.
    """

    def __init__(self, url: str, **how: Any) -> None:
        self._http = PoliteHttp(url, **how)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def box(self, box_id: str) -> Box:
        """A box with its sensors and their newest values.

        Raises:
            NotFoundError: there is no such box.
            SourceError: the server cannot be reached or refuses.
        """
        if not _ID.fullmatch(box_id):
            raise NotFoundError(f"box {box_id!r} cannot exist: an id has letters and digits only")
        return await self._http.get(
            f"/boxes/{box_id}", {}, lambda body: parse_box(parse_json(body))
        )

    async def boxes(self, query: Mapping[str, str]) -> bytes:
        """All boxes that match, as the server wrote them; readable by :func:`parse_boxes`.

        Args:
            query: ``bbox``, ``near`` and so on, as the API calls them.

        Raises:
            SourceError: the server cannot be reached or refuses.
        """
        return await self._http.get("/boxes", query, _checked_list)

    async def window(self, box_id: str, sensor_id: str, start: int, end: int) -> Measurements:
        """All of one sensor's measurements from ``start`` to before ``end``, oldest first.

        Args:
            box_id: the box.
            sensor_id: the sensor's id on the server.
            start: microseconds.
            end: microseconds, at most 31 days later.

        Raises:
            SourceError: the server cannot be reached or refuses.
        """
        found = joined([page async for page in self.pages(box_id, sensor_id, start, end)])
        return found.where((found.time >= start) & (found.time < end))

    async def pages(
        self, box_id: str, sensor_id: str, start: int, end: int
    ) -> AsyncIterator[Measurements]:
        """One sensor's measurements of at least a span, newest page first.

        The server cuts at 10,000 rows without saying so; a full page is followed by another one up
        to its oldest row. Rows at the seam come twice, and the span is widened to whole
        milliseconds, as finer times cannot be asked for.

        Raises:
            SourceError: the server cannot be reached or refuses.
        """
        path, until = f"/boxes/{box_id}/data/{sensor_id}", _whole(end)
        while start <= until:
            span = {"from-date": format_query_time(start), "to-date": format_query_time(until)}
            page = await self._http.get(path, span, lambda b: parse_measurements(parse_json(b)))
            yield page
            if page.rows < PAGE or not len(page):
                return
            oldest = _whole(int(page.time.min()))
            until = oldest if oldest < until else until - MILLISECOND


def _checked_list(body: bytes) -> bytes:
    parse_boxes(parse_json(body))
    return body


def _whole(time: int) -> int:
    """The next whole millisecond."""
    return -(-time // MILLISECOND) * MILLISECOND
