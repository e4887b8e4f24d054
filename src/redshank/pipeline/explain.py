"""Last stage: what happened, in words a person can check against the chart.

Numbers carry units and the channel's resolution; the sentence names channel, value, expected
band and what stayed normal.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from redshank.core.channels import quantity
from redshank.core.clock import DAY, HOUR, MINUTE, SECOND, from_micros
from redshank.core.records import ChannelInfo, Evidence, SensorInfo
from redshank.pipeline.faults import Findings, kind, origin, together

LEAST_SHARE = 0.05
"""A channel with a smaller part of a row's evidence had nothing to do with it."""

_POINT = 1e-3
"""A band of this part of its upper limit is one value."""
_REASONS = {
    "stuck": "it stands still, and no other channel changed with it",
    "saturation": "it stands at the end of its scale",
    "wrong unit": "converted from another unit, its values go on where they were",
    "dropout": "the number stands for no value",
    "spike": "it came and went at once, and no other channel changed with it",
}
_IMPOSSIBLE = "such a value is not possible"


def title(found: Findings, info: SensorInfo) -> str:
    """What happened, in one sentence without the sensor's name."""
    if not found.evidence:
        return "unusual readings"
    first = found.evidence[0]
    name = label(first.channel, info)
    value = amount(first, info)
    match kind(found, info):
        case "stuck" if found.held > 0:
            return f"{name} stuck at {value} for {duration(found.held)}"
        case "stuck":
            return f"{name} moves far less than usual, around {value}"
        case "saturation":
            return f"{name} at the end of its scale, {value}"
        case "wrong unit":
            return f"{name} at {value}: it comes in another unit"
        case "dropout" if first.value is None:
            return f"{name} gives no value"
        case "dropout":
            return f"{name} gives {value} in place of a measurement"
        case "drift":
            return f"{name} drifted to {value}{_distance(first, info)}"
        case "noise":
            return f"{name} fluctuates far more than usual, now {value}"
        case "disagreement" if found.calm or len(found.evidence) > 1:
            return f"{name} at {value} does not fit the sensor's other channels"
        case "spike":
            return f"{name} jumped to {value}{_distance(first, info)}"
        case "level shift":
            return f"{name} moved to {value}{_distance(first, info)}"
        case _:
            return f"{name} behaves unusually at {value}{_distance(first, info)}"


def text(found: Findings, info: SensorInfo) -> str:
    """The explanation: since when, against what band, what else, what stayed normal, how sure."""
    sentences = [_opening(found, info)]
    if band := _band(found, info):
        sentences.append(band)
    if others := [e for e in found.evidence[1:] if e.share >= 0.1]:
        listed = ", ".join(f"{label(e.channel, info)} ({amount(e, info)})" for e in others)
        sentences.append(f"Also involved: {listed}.")
    if found.calm:
        names = _listed([label(name, info) for name in found.calm])
        sentences.append(f"{_capital(names)} stayed normal.")
    if found.meanwhile:
        sentences.append(found.meanwhile)
    if guess := verdict(found, info):
        sentences.append(guess)
    sentences.append(odds(found.rate))
    return " ".join(sentences)


def verdict(found: Findings, info: SensorInfo) -> str:
    """Fault or event, and why; "" where the sensor's own channels cannot tell."""
    of_kind = kind(found, info)
    match origin(found, of_kind):
        case "event":
            names = _listed([label(name, info) for name in together(found.evidence)])
            return f"Looks like a real event: {names} changed together."
        case "sensor":
            return f"Looks like a fault of the sensor: {_REASONS.get(of_kind, _IMPOSSIBLE)}."
        case _:
            return ""


def odds(rate: float) -> str:
    """The return rate in words: how long one waits for as much by chance."""
    if rate <= 0:
        return "Nothing like it is known from normal readings."
    days = 30.0 / rate
    if days >= 365 * 20:
        return "By chance alone, this would practically never be seen."
    if days >= 730:
        return f"By chance alone, this would be seen once in about {days / 365:.0f} years."
    if days >= 1.5:
        return f"By chance alone, this would be seen once in about {days:.0f} days."
    return "Readings like this come about daily."


def label(channel: str, info: SensorInfo) -> str:
    """The channel's name for sentences."""
    known = quantity(channel)
    return known.label if known else channel.replace("_", " ")


def amount(evidence: Evidence, info: SensorInfo) -> str:
    """The value with its unit, rounded to the channel's resolution."""
    if evidence.value is None:
        return "no value"
    return number(evidence.value, evidence.channel, info)


def number(value: float, channel: str, info: SensorInfo) -> str:
    """A number of a channel with its unit."""
    known = info.channels.get(channel, ChannelInfo(channel))
    resolution = known.resolution
    if resolution is None and (usual := quantity(channel)) is not None:
        resolution = usual.resolution
    return f"{_rounded(value, resolution)} {_unit(channel, info)}".rstrip()


def duration(seconds: float) -> str:
    """A span of time for sentences: two units at most."""
    steps = ((DAY, "d"), (HOUR, "h"), (MINUTE, "min"), (SECOND, "s"))
    left = round(seconds) * SECOND
    parts = []
    for size, unit in steps:
        if left >= size:
            parts.append(f"{left // size} {unit}")
            left %= size
        elif parts:
            break
    return " ".join(parts[:2]) or "0 s"


def moment(micros: int) -> str:
    """A point in time for sentences."""
    return f"{from_micros(micros):%a %d %b %Y, %H:%M} UTC"


def _opening(found: Findings, info: SensorInfo) -> str:
    if not found.evidence:
        return f"Unusual since {moment(found.opened)}."
    first = found.evidence[0]
    name, value = _capital(label(first.channel, info)), amount(first, info)
    if kind(found, info) in ("stuck", "saturation") and found.held > 0:
        since = moment(found.held_until - round(found.held * SECOND))
        return f"{name} read exactly {value} for {duration(found.held)} from {since} on."
    lasted = duration((found.last - found.opened) / SECOND)
    span = f" for {lasted}" if found.rows > 1 else ""
    return f"{name} was unusual{span} from {moment(found.opened)} on, most of all at {value}."


def _band(found: Findings, info: SensorInfo) -> str:
    """What is normal; of what never moved, only where it is."""
    first = found.evidence[0] if found.evidence else None
    if first is None or first.lower is None or first.upper is None:
        return ""
    if first.upper - first.lower <= _POINT * max(1.0, abs(first.upper)):
        return f"Nothing but {number(first.upper, first.channel, info)} is known of this hour."
    low = number(first.lower, first.channel, info)
    high = number(first.upper, first.channel, info)
    return f"At this hour {low} to {high} is normal."


def _distance(first: Evidence, info: SensorInfo) -> str:
    """How far above or below the band's middle a value is, for titles."""
    if first.value is None or first.expected is None or first.lower is None or first.upper is None:
        return ""
    if first.lower <= first.value <= first.upper:
        return ""
    away = first.value - first.expected
    word = "above" if away > 0 else "below"
    return f", {number(abs(away), first.channel, info)} {word} what is normal at this hour"


def _rounded(value: float, resolution: float | None) -> str:
    if resolution is None or resolution <= 0:
        return f"{value:.4g}"
    decimals = max(0, min(6, math.ceil(-math.log10(resolution) - 1e-9)))
    return f"{value:.{decimals}f}"


def _listed(names: Sequence[str]) -> str:
    if len(names) < 2:
        return "".join(names)
    return ", ".join(names[:-1]) + " and " + names[-1]


def _capital(words: str) -> str:
    return words if any(c.isupper() for c in words[:4]) else words[:1].upper() + words[1:]


def evidence_of(
    channels: Sequence[str],
    row: Mapping[str, Sequence[float]],
    info: SensorInfo,
) -> tuple[Evidence, ...]:
    """All channels that contributed to a row, most first.

    Args:
        channels: names, one a column.
        row: the row's ``values``, ``expected``, ``lower``, ``upper`` and ``contributions``.
        info: for the units.
    """
    columns = ("contributions", "values", "expected", "lower", "upper")
    found = []
    for name, share, *numbers in zip(channels, *(row[c] for c in columns), strict=True):
        if share > 0.0:
            value, expected, lower, upper = (_known(x) for x in numbers)
            unit = _unit(name, info)
            found.append(Evidence(name, unit, float(share), value, expected, lower, upper))
    return tuple(sorted(found, key=lambda e: -e.share))


def _unit(name: str, info: SensorInfo) -> str:
    if name in info.channels and info.channels[name].unit:
        return info.channels[name].unit
    known = quantity(name)
    return known.unit if known else ""


def _known(value: float) -> float | None:
    return float(value) if value == value else None
