"""Answer about who is near."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from math import inf
from typing import Any

from redshank.adapters.store.sqlite.chunks import View
from redshank.core.geography import degrees_around, kilometres
from redshank.core.queries import NearbySensors

Place = tuple[float, float]
"""Latitude and longitude, degrees."""

_OF_ONE_SITE = 2000
"""Sensors of one site that are looked at, those that were registered first."""
_SUITABLE = (
    " id != :own AND (:exposure = '' OR"
    " ifnull(json_extract(info, '$.exposure'), '') IN ('', :exposure))"
    " AND EXISTS (SELECT 1 FROM json_each(info, '$.channels') WHERE key = :channel)"
)
# Who measures what is read of the nearest ones only, as it takes reading their records.
_AROUND = (
    "SELECT id, latitude, longitude FROM sensors INDEXED BY sensors_by_place"
    " WHERE latitude BETWEEN :south AND :north AND (abs(longitude - :longitude) <= :across"
    " OR abs(longitude - :longitude) >= 360 - :across)"
)
_SAME_SITE = (
    "SELECT sensor_id, latitude, longitude FROM sensors WHERE site = :site AND"
    f"{_SUITABLE} ORDER BY id LIMIT {_OF_ONE_SITE}"
)


def nearby_sensors(view: View, query: NearbySensors) -> Sequence[str]:
    """Answer :class:`NearbySensors`."""
    row = view.sql.execute(
        "SELECT id, site, info, latitude, longitude FROM sensors WHERE sensor_id = ?",
        (query.sensor_id,),
    ).fetchone()
    if row is None:
        return []
    own, site, info, *place = row
    exposure = json.loads(info).get("exposure", "")
    given = {"own": own, "exposure": exposure, "channel": query.channel}
    known = None if None in place else (place[0], place[1])
    found = list(islice(_around(view, known, query.km, given), query.limit)) if known else []
    if site and len(found) < query.limit:
        others = _of_site(view, known, given | {"site": site})
        found += [name for name in others if name not in found]
    return found[: query.limit]


def _around(view: View, place: Place, km: float, given: Mapping[str, Any]) -> Iterator[str]:
    """Suitable sensors within some kilometres, nearest first."""
    along, across = degrees_around(place[0], km)
    edges = {"south": place[0] - along, "north": place[0] + along}
    rectangle = {**edges, "longitude": place[1], "across": across}
    within = (
        (kilometres(place, (latitude, longitude)), key)
        for key, latitude, longitude in view.sql.execute(_AROUND, rectangle)
    )
    for away, key in sorted(within):
        if away > km:
            return
        suits = f"SELECT sensor_id FROM sensors WHERE id = :key AND{_SUITABLE}"
        yield from (row[0] for row in view.sql.execute(suits, {**given, "key": key}))


def _of_site(view: View, place: Place | None, given: Mapping[str, Any]) -> list[str]:
    """Suitable sensors of a site, nearest first, then those whose distance is not known."""
    found = []
    for name, latitude, longitude in view.sql.execute(_SAME_SITE, given):
        unknown = place is None or latitude is None or longitude is None
        away = inf if place is None or unknown else kilometres(place, (latitude, longitude))
        found.append((away, name))
    return [name for _, name in sorted(found)]
