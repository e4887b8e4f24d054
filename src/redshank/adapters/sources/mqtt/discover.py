"""Listens to a broker and proposes topic templates for what it hears."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from redshank.adapters.sources.mqtt.broker import Broker
from redshank.adapters.sources.mqtt.connection import (
    ConnectionLostError,
    Session,
    open_connection,
)
from redshank.adapters.sources.mqtt.json_rows import MOST_DEEP, parsed
from redshank.adapters.sources.mqtt.topics import Kind
from redshank.adapters.sources.mqtt.wire import Arrived
from redshank.core.channels import channel_name, quantity
from redshank.core.clock import parse_time
from redshank.core.errors import FieldError, SourceError
from redshank.core.headings import TIME_NAMES, plain
from redshank.core.rows import SENSOR, TIME, VALUES
from redshank.core.senml import is_senml
from redshank.core.sparkplug import NAMESPACE

MOST_TOPICS = 100_000
_RECEIVE_MAXIMUM = 1000
_CENTURY = parse_time("2000-01-01T00:00:00Z"), parse_time("2100-01-01T00:00:00Z")
_WHAT = frozenset({
    "data", "event", "events", "info", "json", "measurement", "measurements", "message",
    "msg", "out", "payload", "reading", "readings", "rx", "sensor", "sensors", "stat",
    "state", "states", "status", "tele", "telemetry", "up", "uplink", "value", "values",
})  # fmt: skip
"""Levels that say what kind of message it is."""
Guess = Kind | None
"""Kind of payload, None for what no reading can be made of."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A template that fits some of the topics that were heard.

    Attributes:
        template: for ``mqtt_topics``; "" where nothing can be read.
        kind: what the payloads are, in words.
        topics: how many topics it covers.
        messages: how many messages they brought.
        example: one of the topics.
        payload: a payload of it, shortened.
        value_path: for ``mqtt_value_path``, where all numbers lie in one inner object; else "".
        time_path: for ``mqtt_time_path``, where a time is not called ``timestamp``; else "".
    """

    template: str
    kind: str
    topics: int
    messages: int
    example: str
    payload: str
    value_path: str = ""
    time_path: str = ""


@dataclass(frozen=True, slots=True)
class Discovered:
    """What was heard.

    Attributes:
        seconds: for how long.
        messages: in all.
        topics: distinct ones.
        proposals: those that can be read first, most topics first.
    """

    seconds: float
    messages: int
    topics: int
    proposals: list[Proposal]


async def listen(broker: Broker, seconds: float) -> Discovered:
    """Listen to all topics for a while; leaves no session behind.

    Raises:
        SourceError: the broker cannot be reached or refuses.
    """
    session = Session(f"redshank-look-{secrets.token_hex(4)}", ["#"], _RECEIVE_MAXIMUM, 0, qos=0)
    counts: Counter[str] = Counter()
    samples: dict[str, bytes] = {}
    try:
        connection = await open_connection(broker, session)
        try:
            async with asyncio.timeout(seconds):
                while True:
                    for message in await connection.take(1000, 2**22, 0.05):
                        _note(message, counts, samples)
        except TimeoutError:
            pass
        finally:
            await connection.close()
    except ConnectionLostError as error:
        raise SourceError(f"{broker} cannot be listened to: {error}") from error
    return Discovered(seconds, counts.total(), len(counts), propose(samples, counts))


def propose(samples: Mapping[str, bytes], counts: Mapping[str, int]) -> list[Proposal]:
    """Templates for topics.

    Topics with the same first level, depth and kind of payload belong together. The last level is
    the channel where the payloads are plain numbers. Of the others the last one that differs is
    the sensor, or just the last one; levels that say what a message is, as ``SENSOR`` and ``up``
    do, are neither.

    Args:
        samples: a payload of each topic.
        counts: how many messages each topic brought.
    """
    groups: dict[tuple[str, int, Guess], list[str]] = {}
    for topic, payload in samples.items():
        levels = topic.split("/")
        kind = guess(topic, payload)
        if kind == "sparkplug":
            groups.setdefault((NAMESPACE, 0, kind), []).append(topic)
        else:
            groups.setdefault((levels[0], len(levels), kind), []).append(topic)
    found = []
    for (first, _, kind), topics in groups.items():
        template = f"{first}/#" if kind == "sparkplug" else _template(topics, kind)
        example = max(topics, key=lambda topic: counts[topic])
        found.append(
            Proposal(
                template if kind else "",
                kind or "no number, no JSON",
                len(topics),
                sum(counts[topic] for topic in topics),
                example,
                _shortened(samples[example]),
                *(_paths(parsed(samples[example])) if kind == "json" else ()),
            )
        )
    return sorted(found, key=lambda one: (not one.template, -one.topics, one.example))


def guess(topic: str, payload: bytes) -> Guess:
    """What a payload is."""
    if topic.startswith(NAMESPACE + "/"):
        return "sparkplug"
    try:
        value = parsed(payload)
    except FieldError:
        return None
    if is_senml(value):
        return "senml"
    if isinstance(value, (dict, list)):
        return "json" if _has_number(value) else None
    return "number" if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _note(message: Arrived, counts: Counter[str], samples: dict[str, bytes]) -> None:
    if not message.payload or (message.topic not in counts and len(counts) >= MOST_TOPICS):
        return
    counts[message.topic] += 1
    samples[message.topic] = message.payload


def _template(topics: Sequence[str], kind: Guess) -> str:
    columns = list(zip(*(topic.split("/") for topic in topics), strict=True))
    names: list[str | None] = [None] * len(columns)
    last = len(columns) - 1
    numbers = kind == "number" and last > 0
    if numbers:
        names[last] = "{channel}"
    places = [i for i in range(last if numbers else last + 1) if not _says_what(columns[i])]
    chosen = [i for i in places if len(set(columns[i])) > 1]
    if not chosen and (numbers or not _is_quantity(columns[last][0])):
        chosen = [i for i in places if i > 0 or (last > 0 and not numbers)][-1:]
    for i, name in zip(reversed(chosen), ("{sensor_id}", "{site}"), strict=False):
        names[i] = name
    return "/".join(
        name or (column[0] if len(set(column)) == 1 else "+")
        for name, column in zip(names, columns, strict=True)
    )


def _says_what(column: Sequence[str]) -> bool:
    """Whether a level says what kind of message it is."""
    return all(level.casefold() in _WHAT for level in column)


def _is_quantity(level: str) -> bool:
    return quantity(channel_name(level)) is not None


def _paths(value: object) -> tuple[str, str]:
    """Where the channels and the time are, "" where nothing has to be said of it."""
    times = [path for path, key, each in _leaves(value) if _is_time(key, each)]
    named = any(path == TIME for path, _, _ in _leaves(value))
    holders = {
        path.rpartition(".")[0]
        for path, key, each in _leaves(value)
        if isinstance(each, (int, float)) and not isinstance(each, bool) and path not in times
    }
    holder = holders.pop() if len(holders) == 1 and VALUES not in holders else ""
    beside = f"{holder}.{TIME}" if holder else TIME
    best = "" if named or not times or times[0] == beside else times[0]
    return holder, best


def _leaves(value: object, above: str = "") -> Iterator[tuple[str, str, object]]:
    """Path, key and value of everything in objects that is none itself."""
    if not isinstance(value, dict):
        return
    for key, inner in value.items():
        path = f"{above}.{key}" if above else key
        if isinstance(inner, dict) and path.count(".") < MOST_DEEP:
            yield from _leaves(inner, path)
        else:
            yield path, key, inner


def _is_time(key: str, value: object) -> bool:
    """Whether a value is a time of this century, and is called so."""
    if plain(key) not in TIME_NAMES or not isinstance(value, (int, float, str)):
        return False
    try:
        return _CENTURY[0] < parse_time(value) < _CENTURY[1]
    except (FieldError, OverflowError):
        return False


def _has_number(value: object) -> bool:
    if isinstance(value, dict):
        return any(_has_number(inner) for key, inner in value.items() if key != SENSOR)
    if isinstance(value, list):
        return any(map(_has_number, value[:100]))
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _shortened(payload: bytes, most: int = 60) -> str:
    text = payload[: 4 * most].decode("utf-8", "replace")
    text = "".join(c if c.isprintable() else "·" for c in text)
    return text if len(text) <= most else text[: most - 1] + "…"
