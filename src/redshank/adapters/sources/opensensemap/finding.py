"""Finding boxes: by place, group, exposure and what they measure; lists are kept for an hour."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from redshank.adapters.sources.opensensemap.answers import Box, parse_boxes, parse_json
from redshank.adapters.sources.opensensemap.client import OpenSenseMapClient
from redshank.adapters.sources.opensensemap.http import BrokenAnswer
from redshank.adapters.sources.opensensemap.rows import chosen
from redshank.core.errors import ConfigError, NotFoundError

KEEP_SECONDS = 3600.0
"""How long a list is used again: the service asks not to be asked for lists more often."""
EXPOSURES = ("indoor", "outdoor", "mobile", "unknown")
_EARTH_METRES = 6_371_000.0
_LONGEST_RADIUS = 20_000_000.0


@dataclass(frozen=True, slots=True)
class Search:
    """Which boxes are wanted; all conditions must hold, and one of the first four must be there.

    Attributes:
        bbox: west, south, east, north in degrees.
        near: longitude, latitude in degrees, and metres around them.
        grouptags: all of these.
        ids: these boxes.
        exposure: any of these.
        phenomena: any of these titles or channel names.
    """

    bbox: tuple[float, float, float, float] | None = None
    near: tuple[float, float, float] | None = None
    grouptags: Sequence[str] = ()
    ids: Sequence[str] = ()
    exposure: Sequence[str] = ()
    phenomena: Sequence[str] = ()

    def query(self) -> dict[str, str]:
        """The parameters as the API calls them."""
        out = {}
        if self.bbox:
            out["bbox"] = ",".join(f"{one:g}" for one in self.bbox)
        if self.near:
            out["near"] = f"{self.near[0]:.7g},{self.near[1]:.7g}"
            out["maxDistance"] = f"{self.near[2]:.0f}"
        if self.grouptags:
            out["grouptag"] = ",".join(self.grouptags)
        if self.exposure and out:
            out["exposure"] = ",".join(self.exposure)
        return out


@dataclass(frozen=True, slots=True)
class Found:
    """A box that a search brought.

    Attributes:
        box: what is known of it.
        metres: from the middle of the search, None without one.
    """

    box: Box
    metres: float | None = None


def search(
    bbox: str = "",
    near: str = "",
    grouptags: Sequence[str] = (),
    ids: Sequence[str] = (),
    exposure: Sequence[str] = (),
    phenomena: Sequence[str] = (),
) -> Search:
    """A search from what people write.

    Args:
        bbox: ``west,south,east,north`` in degrees.
        near: ``longitude,latitude`` or ``longitude,latitude,metres``; 1000 metres without.
        grouptags: all of these.
        ids: these boxes.
        exposure: any of indoor, outdoor, mobile, unknown.
        phenomena: any of these titles or channel names.

    Raises:
        ConfigError: one of them makes no sense, or nothing says where to look.
    """
    if not (bbox or near or grouptags or ids):
        raise ConfigError("say which boxes: bbox, near, grouptag or ids (the whole list is huge)")
    wrong = next((one for one in exposure if one not in EXPOSURES), None)
    if wrong:
        raise ConfigError(f"exposure {wrong!r} is unknown: use {', '.join(EXPOSURES)}")
    box = _bbox(bbox) if bbox else None
    circle = _near(near) if near else None
    return Search(box, circle, tuple(grouptags), tuple(ids), tuple(exposure), tuple(phenomena))


async def find(
    client: OpenSenseMapClient, wanted: Search, kept: Lists | None = None
) -> list[Found]:
    """Boxes that fit, nearest first where there is a middle.

    Args:
        client: how to ask the server.
        wanted: which ones.
        kept: lists of before; None asks the server in any case.

    Raises:
        SourceError: the server cannot be reached or refuses.
    """
    boxes: list[Box] = []
    query = wanted.query()
    if query:
        body = kept.get(query) if kept else None
        if body is None:
            body = await client.boxes(query)
            if kept:
                kept.put(query, body)
        boxes = parse_boxes(parse_json(body))
    for one in wanted.ids:
        with suppress(NotFoundError):
            boxes.append(await client.box(one))
    unique = {box.id: box for box in boxes}.values()
    found = [Found(box, _metres(wanted, box)) for box in unique if _fits(wanted, box)]
    return sorted(found, key=lambda one: one.metres or 0.0)


def followed(found: Sequence[Found], most: int) -> list[str]:
    """Ids of the boxes of a search that are worth following.

    Boxes that never sent anything are left out. Of too many the nearest stay, or without a middle
    those that sent last.
    """
    alive = [one for one in found if one.box.newest is not None] or list(found)
    if not any(one.metres is not None for one in alive):
        alive.sort(key=lambda one: one.box.newest or 0, reverse=True)
    return [one.box.id for one in alive[:most]]


class Lists:
    """Lists of boxes as files in a folder, for an hour.

    Args:
        folder: made when there is something to keep.
        server: lists of different servers are kept apart.
        now: wall clock, seconds.
    """

    def __init__(self, folder: Path, server: str, now: Callable[[], float] = time.time) -> None:
        self._folder, self._server, self._now = folder, server, now

    def get(self, query: dict[str, str]) -> bytes | None:
        """The list of a query, None if there is none that is new enough and whole."""
        path = self._path(query)
        try:
            if abs(self._now() - path.stat().st_mtime) >= KEEP_SECONDS:
                return None
            body = path.read_bytes()
            parse_boxes(parse_json(body))
        except (OSError, BrokenAnswer):
            return None
        return body

    def put(self, query: dict[str, str], body: bytes) -> None:
        """Keep a list; a folder that cannot be written is no reason to fail."""
        path = self._path(query)
        with suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(".part")
            part.write_bytes(body)
            part.replace(path)

    def _path(self, query: dict[str, str]) -> Path:
        text = repr((self._server, sorted(query.items())))
        return self._folder / f"boxes-{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"


def _bbox(text: str) -> tuple[float, float, float, float]:
    west, south, east, north = _numbers("bbox", text, (4,), "west,south,east,north")
    if not (-180 <= west < east <= 180 and -90 <= south < north <= 90):
        # The server takes a swapped side for everything outside.
        raise ConfigError(
            f"bbox {text!r} cannot be used: it is west,south,east,north in degrees, "
            "with west < east and south < north"
        )
    return west, south, east, north


def _near(text: str) -> tuple[float, float, float]:
    longitude, latitude, *rest = _numbers("near", text, (2, 3), "longitude,latitude[,metres]")
    metres = rest[0] if rest else 1000.0
    if not (abs(longitude) <= 180 and abs(latitude) <= 90 and 0 < metres <= _LONGEST_RADIUS):
        raise ConfigError(
            f"near {text!r} cannot be used: it is longitude,latitude in degrees, longitude first, "
            "and perhaps metres"
        )
    return longitude, latitude, metres


def _numbers(name: str, text: str, counts: Sequence[int], form: str) -> list[float]:
    try:
        numbers = [float(part) for part in text.replace(" ", "").split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in counts or not all(map(math.isfinite, numbers)):
        raise ConfigError(f"{name} {text!r} cannot be used: write {form}, e.g. 7.64,51.96")
    return numbers


def _fits(wanted: Search, box: Box) -> bool:
    exposure = box.exposure or "unknown"
    if wanted.exposure and exposure not in wanted.exposure:
        return False
    return not wanted.phenomena or bool(chosen(box, wanted.phenomena))


def _metres(wanted: Search, box: Box) -> float | None:
    """Distance on the sphere (haversine)."""
    if wanted.near is None or box.place is None:
        return None
    x1, y1, x2, y2 = map(math.radians, (*wanted.near[:2], *box.place[:2]))
    half = _hav(y2 - y1) + math.cos(y1) * math.cos(y2) * _hav(x2 - x1)
    return 2 * _EARTH_METRES * math.asin(min(1.0, math.sqrt(half)))


def _hav(angle: float) -> float:
    return math.sin(angle / 2) ** 2
