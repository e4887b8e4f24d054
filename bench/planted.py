"""Faults of several kinds and sizes, put into streams that have none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from held_out import LEARNED, TESTED, Floats, Rng, Stream

EVENTS = 4
SIZES = ("small", "middle", "large")
SHOWS = 0.03
"""A fault must change its rows by so much of the channel's deviation, on average."""

Change = Callable[[Floats, float, Floats, Rng], Floats]
"""From the rows, a size in the channel's unit or as a share, and the channel's learned rows."""


@dataclass(frozen=True)
class Kind:
    """A kind of fault.

    Attributes:
        sizes: small, middle, large: deviations of the channel, or a share.
        rows: how long, for each size.
        change: what it does to the rows.
        label: rows at least that count as the event.
        share: the sizes are shares, not deviations.
        signed: up or down by chance.
    """

    sizes: tuple[float, float, float]
    rows: tuple[int, int, int]
    change: Change
    label: int = 1
    share: bool = False
    signed: bool = True


def decoupled(rows: Floats, size: float, others: Floats, rng: Rng) -> Floats:
    """Mixed with a stretch of the same channel from another time."""
    start = rng.integers(0, len(others) - len(rows))
    return (1 - size) * rows + size * others[start : start + len(rows)]


KINDS: dict[str, Kind] = {
    "spike": Kind((3, 6, 12), (1, 1, 1), lambda x, size, others, rng: x + size, 5),
    "level shift": Kind((1, 2, 4), (120,) * 3, lambda x, size, others, rng: x + size),
    "drift": Kind(
        (1, 2, 4), (400,) * 3, lambda x, size, others, rng: x + size * np.linspace(0, 1, len(x))
    ),
    "noise": Kind(
        (0.5, 1, 2),
        (120,) * 3,
        lambda x, size, others, rng: x + size * rng.normal(size=len(x)),
        signed=False,
    ),
    "stuck": Kind((0, 0, 0), (30, 100, 300), lambda x, size, others, rng: np.full_like(x, x[0])),
    "decoupled": Kind((1 / 3, 2 / 3, 1), (200,) * 3, decoupled, share=True, signed=False),
}


def injected(
    stream: Stream, kind: Kind, size: int, rng: Rng
) -> tuple[Floats, NDArray[np.bool_]] | None:
    """Values with faults in the tested rows and (n,) labels; None if no fault shows."""
    values, labels = stream.values.copy(), np.zeros(len(stream.values), np.bool_)
    slot, length = TESTED // EVENTS, kind.rows[size]
    for number in range(EVENTS):
        for _ in range(20):
            first = LEARNED + number * slot + int(rng.integers(100, slot - 100 - length))
            column = int(rng.choice(stream.measured))
            rows = slice(first, first + length)
            made = faulty(stream.values[:, column], rows, kind, size, rng)
            if made is not None:
                values[rows, column] = made
                labels[first : first + max(length, kind.label)] = True
                break
    return (values, labels) if labels.any() else None


def faulty(channel: Floats, rows: slice, kind: Kind, size: int, rng: Rng) -> Floats | None:
    """The rows of a channel with the fault; None if readings are missing or it hardly shows."""
    known = channel[:LEARNED]
    deviation = float(np.nanstd(known))
    strength = kind.sizes[size] * (1.0 if kind.share else deviation)
    if kind.signed:
        strength *= float(rng.choice((-1, 1)))
    before = channel[rows]
    if np.isnan(before).any():
        return None
    after = kind.change(before, strength, known, rng)
    shows = np.abs(after - before).mean() > SHOWS * deviation
    return after if shows and deviation > 0 else None
