"""The daily archive of openSenseMap: one CSV file a sensor and day, for what lies far back."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote, unquote

from redshank.adapters.sources.opensensemap.answers import Box
from redshank.adapters.sources.opensensemap.http import BrokenAnswer, PoliteHttp, together
from redshank.adapters.sources.opensensemap.measurements import (
    NONE,
    Measurements,
    joined,
    parse_archived,
)
from redshank.adapters.sources.opensensemap.rows import day_of
from redshank.adapters.sources.opensensemap.windows import Span, merged
from redshank.core.clock import DAY, from_micros
from redshank.core.errors import NotFoundError

RENAMED = 30 * DAY
"""After looking for a box under another name in vain, so many days are not looked through again."""
_LINK = re.compile(r"""href\s*=\s*["']([^"'?#]+)""", re.IGNORECASE)
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._-]")


class Archive:
    """Folders ``/{day}/{box id}-{name}/`` with files ``{sensor id}-{day}.csv``.

    Args:
        url: the server, e.g. ``https://archive.opensensemap.org``.
        how: see :class:`PoliteHttp`.
    """

    def __init__(self, url: str, **how: Any) -> None:
        self._http = PoliteHttp(url, **how)
        self._names: dict[str, str] = {}
        self._looked: dict[str, int] = {}

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def days(
        self, box: Box, sensor_ids: Sequence[str], span: Span
    ) -> tuple[dict[str, Measurements], list[Span]]:
        """Values of a span by sensor id, and the parts of the span that the archive lacks.

        Raises:
            SourceError: the archive cannot be reached or refuses.
        """
        found: dict[str, list[Measurements]] = {one: [] for one in sensor_ids}
        missing = []
        for day in range(day_of(span[0]), span[1], DAY):
            files = await self.files(box, day)
            if files is None:
                missing.append((max(day, span[0]), min(day + DAY, span[1])))
                continue
            asked = [one for one in sensor_ids if one in files]
            for one, part in zip(
                asked, await together([self.read(files[one]) for one in asked]), strict=True
            ):
                found[one].append(part.where((part.time >= span[0]) & (part.time < span[1])))
        return {one: joined(parts) for one, parts in found.items()}, merged(missing)

    async def files(self, box: Box, day: int) -> Mapping[str, str] | None:
        """Paths of a day's files by sensor id; None if the archive has nothing of the box.

        Boxes are renamed, and their folders are called after the name of the day: where the name
        of today does not lead anywhere, the day's list is searched for the box's id.

        Args:
            box: the box.
            day: its first microsecond, UTC.

        Raises:
            SourceError: the archive cannot be reached or refuses.
        """
        name = self._names.get(box.id) or f"{box.id}-{_NOT_IN_NAMES.sub('_', box.name)}"
        try:
            return await self._listed(name, day)
        except NotFoundError:
            other = await self._name_on(box.id, day)
        if other is None or other == name:
            return None
        self._names[box.id] = other
        try:
            return await self._listed(other, day)
        except NotFoundError:
            return None

    async def read(self, path: str) -> Measurements:
        """All measurements of a file; none if it has gone since it was listed.

        Raises:
            SourceError: the archive cannot be reached or refuses.
        """
        try:
            return await self._http.get(path, {}, parse_archived, accept="text/csv")
        except NotFoundError:
            return NONE

    async def _listed(self, name: str, day: int) -> Mapping[str, str]:
        folder = f"/{_date(day)}/{quote(name)}/"
        ending = f"-{_date(day)}.csv"
        names = await self._http.get(folder, {}, _links, accept="text/html")
        return {n.removesuffix(ending): folder + quote(n) for n in names if n.endswith(ending)}

    async def _name_on(self, box_id: str, day: int) -> str | None:
        """The box's folder of a day, searched for at most once a month of event time."""
        last = self._looked.get(box_id)
        if last is not None and abs(day - last) < RENAMED:
            return None
        self._looked[box_id] = day
        try:
            names = await self._http.get(f"/{_date(day)}/", {}, _links, accept="text/html")
        except NotFoundError:
            return None
        return next((name for name in names if name.startswith(box_id)), None)


def _date(day: int) -> str:
    return f"{from_micros(day):%Y-%m-%d}"


def _links(body: bytes) -> list[str]:
    """Names of the files and folders of a listing."""
    text = body.decode("utf-8", "replace")
    if "</html>" not in text.lower():
        raise BrokenAnswer("the archive's list is cut off")
    links = (unquote(link).removeprefix("./").rstrip("/") for link in _LINK.findall(text))
    return [link.rpartition("/")[2] for link in links]
