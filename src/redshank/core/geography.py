"""Distances on the earth."""

from __future__ import annotations

from math import asin, cos, degrees, pi, radians, sin, sqrt

EARTH_KM = 6371.0
"""Mean radius."""


def kilometres(one: tuple[float, float], other: tuple[float, float]) -> float:
    """The great circle between two places, latitude and longitude in degrees (haversine)."""
    a, b = radians(one[0]), radians(other[0])
    across = radians(other[1] - one[1])
    half = sin((b - a) / 2) ** 2 + cos(a) * cos(b) * sin(across / 2) ** 2
    return 2 * EARTH_KM * asin(min(1.0, sqrt(half)))


def degrees_around(latitude: float, km: float) -> tuple[float, float]:
    """How many degrees of latitude and of longitude nothing within so many kilometres exceeds."""
    reach = km / EARTH_KM
    north = degrees(reach)
    if abs(latitude) + north >= 90:
        return north, 180.0
    return north, degrees(asin(min(1.0, sin(min(reach, pi / 2)) / cos(radians(latitude)))))
