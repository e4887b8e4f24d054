"""How a channel moved: a spike, a burst of noise, a step to another level, or a slow drift.

Told from the rows around the opening of an incident, from its course and from the hours before, by
what the four do to differences and medians. The size of a usual step comes from the rows before the
incident, so a channel that always jumps about must jump further.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import Literal

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from redshank.core.batch import Floats
from redshank.pipeline.departure import Departure, departure
from redshank.pipeline.trace import Course

Movement = Literal["spike", "noise", "level shift", "drift", "none"]

SPIKE_ROWS = 3
"""Most rows of a spike."""
HIGH = 6.0
"""Usual steps that a spike must be high."""
NOISY = 3.0
"""Times the usual step from which the median step of a stretch is noise."""
STRETCH = 8
"""Rows of such a stretch."""
WINDOW = 5
"""Rows on either side of a step whose medians are compared."""
SUDDEN = 0.5
"""Part of the whole way that one step must bring for it to be a level shift."""
TRAVEL = 15.0
"""Times the median step of a stretch from which a way is more than its noise."""
BACK = 0.3
"""Part of a step by which a channel may have gone the other way before it."""
CONVERTED = 0.3
"""Part of a change that may be left once it is converted from another unit."""
ALIKE = 3.0
"""Units whose sizes differ by less than this factor cannot be told by the size of steps."""
UNLIKE = 50.0
"""Units whose sizes differ by more than this factor can be told without having seen the change."""
FAR_OFF = 10.0
"""Steps that differ from the usual ones by more than this factor are not those of the channel."""
WIDE = 0.15
"""Part of the band's width from which on steps are noise even if the rows before were as wild."""
REST_ROWS = 10
"""Rows for which a channel must hold one value at least to stand still."""
LONGER = 3
"""Times as many rows as any value was held before."""
LEAST = 2.0
"""Usual steps that a way must be long to be one."""
GONE = 0.4
"""Widths of its band by which a channel must have left its level before the incident opened."""
OUT = 5.0
"""Times the median step of a stretch from which a single step, or a departure, is no noise."""


def movement(course: Course, width: float) -> Movement:
    """What a channel did; "none" where it hardly moved.

    Args:
        course: its way through the incident.
        width: of its 90 % band, inf if unknown.
    """
    rows, base, usual = around(course)
    if not len(rows):
        return "none"
    gone = departure(course.levels)
    if abs(gone.way) < GONE * width:
        gone = Departure(0.0, 0.0)
    if is_spike(np.concatenate([rows, there(course.after)]), base, usual, abs(gone.way)):
        return "spike"
    base -= gone.way
    way = max(farthest(rows, base), farthest(there(course.course), base))
    step = step_away(rows, base if gone.way else None)
    step = max(step, leap(there(course.course), base), gone.step)
    if is_noise(rows, usual, width) and not _goes_out(rows, way, max(step, abs(gone.way))):
        return "noise"
    if way < LEAST * usual:
        return "none"
    return "level shift" if step >= SUDDEN * way else "drift"


def _goes_out(rows: Floats, way: float, step: float) -> bool:
    """Whether a way is more than its noise, little by little or at once."""
    noise = float(stretches(rows).max())
    return way >= TRAVEL * noise or step >= OUT * noise


def leap(rows: Floats, base: float) -> float:
    """Greatest step of a course; 0 where it only takes back what came little by little.

    Args:
        rows: of the whole incident, evenly spread.
        base: level before it.
    """
    if len(rows) < 2 * SPIKE_ROWS:
        return 0.0
    middle = np.median(sliding_window_view(rows, SPIKE_ROWS), axis=1)
    steps = middle[SPIKE_ROWS:] - middle[:-SPIKE_ROWS]
    at = int(np.argmax(np.abs(steps)))
    other_way = float(np.max((base - middle[: at + 1]) * np.sign(steps[at])))
    size = float(abs(steps[at]))
    return size if other_way < BACK * size else 0.0


def suddenness(course: Course) -> float:
    """How far a channel moved within few rows, in its unit; 0 where it stood still."""
    rows, base, _ = around(course)
    if not len(rows) or rows.min() == rows.max():
        return 0.0
    farthest_row = float(np.abs(rows - base).max()) / SPIKE_ROWS
    return max(step_away(rows), float(stretches(rows).max()), farthest_row)


@dataclass(frozen=True, slots=True)
class Rest:
    """The longest stretch around the opening in which a channel holds one value.

    Attributes:
        value: that it holds.
        jump: usual steps by which it jumped there; None if that is not in sight.
        settled: whether it holds it to the end of the first rows, far longer than any before.
    """

    value: float
    jump: float | None
    settled: bool


def rest(course: Course) -> Rest | None:
    """Where a channel stands still; None if nothing is known of it."""
    rows, _, usual = around(course)
    if not len(rows):
        return None
    bounds = np.concatenate([[0], np.flatnonzero(np.diff(rows)) + 1, [len(rows)]])
    lengths = np.diff(bounds)
    longest = int(np.argmax(lengths))
    start, length = int(bounds[longest]), int(lengths[longest])
    before = int(lengths[:longest].max(initial=1))
    settled = longest == len(lengths) - 1 and length >= max(REST_ROWS, LONGER * before)
    jump = float(abs(rows[start] - rows[start - 1])) / usual if start else None
    return Rest(float(rows[start]), jump, settled)


def around(course: Course) -> tuple[Floats, float, float]:
    """Rows around the opening, the level before it, and the usual step; no rows if too few."""
    before, head = there(course.before), there(course.head)
    if len(before) < WINDOW or not len(head):
        return np.empty(0), 0.0, 1.0
    rows = np.concatenate([before, head])
    steps = np.abs(np.diff(rows))
    finest = float(steps[steps > 0].min(initial=np.inf))
    resolved = finest if finest <= STRETCH * course.usual else 0.0
    return rows, float(np.median(before)), max(course.usual, resolved, 1e-9)


def there(rows: Floats) -> Floats:
    """The rows without missing ones."""
    return rows[~np.isnan(rows)]


def in_unit(course: Course, factor: float, offset: float) -> bool:
    """Whether the rows behind the greatest step, converted, go on where those before it stood."""
    rows, _, usual = around(course)
    if len(rows) < 2 * WINDOW:
        return False
    turn = _turn(rows)
    base = float(np.median(rows[max(0, turn - WINDOW) : turn]))
    head = rows[turn : turn + STRETCH]
    raw = float(np.median(head[:WINDOW]))
    left = abs(raw * factor + offset - base)
    if offset == 0.0:
        near = CONVERTED * abs(base)
        near = near if _unlike(factor) else min(near, max(near / 3, WINDOW * usual))
    else:
        left = min(left, float(abs(rows[turn] * factor + offset - rows[turn - 1])))
        near = min(CONVERTED * abs(raw - base), WINDOW * usual)
    return left <= near and _steps_fit(head, factor, usual)


def was_in_unit(course: Course, factor: float, offset: float) -> bool:
    """Whether the rows before the course's greatest step, converted, go on as those behind it.

    So it is where an incident opens late: the other unit is what the rows before it came in.
    """
    rows = there(course.course)
    if len(rows) < 2 * SPIKE_ROWS:
        return False
    middle = np.median(sliding_window_view(rows, SPIKE_ROWS), axis=1)
    at = int(np.argmax(np.abs(middle[SPIKE_ROWS:] - middle[:-SPIKE_ROWS])))
    before, after = float(middle[at]), float(middle[at + SPIKE_ROWS])
    left = abs(before * factor + offset - after)
    near = CONVERTED * abs(after) if offset == 0.0 else abs(after - before) / (2 * STRETCH)
    return left <= near and (offset != 0.0 or _unlike(factor))


def _turn(rows: Floats) -> int:
    """The first row behind the greatest step."""
    between = int(np.argmax(np.abs(_steps_between_medians(rows)[1]))) + WINDOW
    first = max(1, between - WINDOW // 2)
    near = np.abs(np.diff(rows[first - 1 : between + WINDOW // 2 + 1]))
    return first + int(np.argmax(near))


def _unlike(factor: float) -> bool:
    return not UNLIKE > factor > 1 / UNLIKE


def in_unit_of_old(course: Course, factor: float, offset: float, band: tuple[float, float]) -> bool:
    """Whether rows that came in another unit long before the incident fit the band, converted.

    Only units of quite another size can be told so: °F may as well be a warm day.
    """
    rows, _, usual = around(course)
    if not len(rows) or not _unlike(factor):
        return False
    now = float(np.median(rows)) * factor + offset
    return band[0] <= now <= band[1] and _steps_fit(rows, factor, usual)


def _steps_fit(rows: Floats, factor: float, usual: float) -> bool:
    """Whether steps are more like the channel's usual ones once they are converted."""
    steps = float(np.abs(np.diff(rows)).mean()) if len(rows) > 1 else 0.0
    if ALIKE > factor > 1 / ALIKE or steps == 0.0:
        return True
    before, after = abs(log(steps / usual)), abs(log(steps * factor / usual))
    return after < min(before, log(FAR_OFF))


def is_spike(rows: Floats, base: float, usual: float, gone: float) -> bool:
    """Whether few rows in a line went far away from those before, and those behind are back.

    Farther than the channel had gone from its level already, or they are only part of that.
    """
    away = np.abs(rows - base)
    far = np.flatnonzero(away > away.max() / 2)
    if not len(far) or float(away.max()) <= max(HIGH * usual, gone):
        return False
    return int(far[0]) >= WINDOW and int(far[-1] - far[0]) < SPIKE_ROWS


def is_noise(rows: Floats, usual: float, width: float) -> bool:
    """Whether a stretch is far noisier than usual: for the band, or than another stretch."""
    noise = stretches(rows)
    wildest = float(noise.max())
    if wildest <= NOISY * usual:
        return False
    return wildest > WIDE * width or wildest > NOISY * max(2 * usual, float(noise.min()))


def stretches(rows: Floats) -> Floats:
    """Median step of every STRETCH steps in a line; (1,) of 0 where there are fewer."""
    steps = np.abs(np.diff(rows))
    if len(steps) < STRETCH:
        return np.zeros(1)
    middle: Floats = np.median(sliding_window_view(steps, STRETCH), axis=1)
    return middle


def farthest(rows: Floats, base: float) -> float:
    """How far the channel was from its base, single rows left out."""
    if len(rows) < SPIKE_ROWS:
        return float(np.abs(rows - base).max(initial=0.0))
    middle = np.median(sliding_window_view(rows, SPIKE_ROWS), axis=1)
    return float(np.abs(middle - base).max())


def step_away(rows: Floats, base: float | None = None) -> float:
    """Largest difference between the medians of WINDOW rows and of the WINDOW rows after them.

    Args:
        rows: in their order.
        base: steps back to this level do not count; None if all of them do.
    """
    before, steps = _steps_between_medians(rows)
    sizes = np.abs(steps)
    if base is not None:
        nearer = np.abs(before - base) - np.abs(before + steps - base)
        sizes = np.where(nearer > BACK * sizes, 0.0, sizes)
    return float(sizes.max(initial=0.0))


def _steps_between_medians(rows: Floats) -> tuple[Floats, Floats]:
    """Medians before, and how far those behind are from them."""
    width = max(1, min(WINDOW, len(rows) // 2))
    middle = np.median(sliding_window_view(rows, width), axis=1)
    return middle[:-width], middle[width:] - middle[:-width]
