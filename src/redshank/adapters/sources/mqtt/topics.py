"""Topic templates: which topics to subscribe to, and what their levels say.

``sensors/{sensor_id}/{channel}`` takes sensor and channel from the topic; ``{site}`` the site.
``+`` stands for any level and ``#`` for all further ones, as in MQTT. A payload kind may follow:
``spBv1.0/#=sparkplug``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from redshank.core.errors import ConfigError

Kind = Literal["auto", "number", "json", "senml", "sparkplug"]
KINDS: tuple[Kind, ...] = get_args(Kind)
PLACEHOLDERS = ("sensor_id", "channel", "site")
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_SHARED = re.compile(r"\$share/[^/+#]+/")
MOST_REMEMBERED = 200_000


@dataclass(frozen=True, slots=True)
class Route:
    """What a topic says of its messages.

    Attributes:
        kind: how to read the payload.
        sensor_id: from ``{sensor_id}``; None if the template has none.
        channel: from ``{channel}``.
        site: from ``{site}``, "" without.
        own_id: the sensor of an object that names none: what the wildcards stood for.
        number_id: the sensor of a plain number, where the last level is its channel.
        number_channel: that last level; None if it is taken for something else.
    """

    kind: Kind
    sensor_id: str | None
    channel: str | None
    site: str
    own_id: str
    number_id: str | None
    number_channel: str | None


class Template:
    """One template.

    Args:
        text: the template, perhaps with ``=kind``.
        kind: the kind if it says none.

    Attributes:
        filter: the topic filter to subscribe to.
        shared: whether others take part of its messages.

    Raises:
        ConfigError: it cannot be a topic filter.
    """

    def __init__(self, text: str, kind: Kind = "auto") -> None:
        pattern, _, named = text.rpartition("=")
        known = next((one for one in KINDS if one == named and pattern), None)
        self.kind: Kind = known or kind
        body = pattern if known else text
        shared = _SHARED.match(body)
        prefix = shared[0] if shared else ""
        self.shared = shared is not None
        levels = body.removeprefix(prefix).split("/")
        _check(text, levels)
        self.filter = prefix + "/".join("+" if "{" in level else level for level in levels)
        self._pattern = re.compile(_regex(levels), re.DOTALL)

    def match(self, topic: str) -> Route | None:
        """What a topic says, None if it does not fit."""
        found = self._pattern.fullmatch(topic)
        if found is None:
            return None
        named = found.groupdict()
        levels = topic.split("/")
        last = None if self._last_is_taken(found) else levels[-1]
        wild = "/".join(t for name, t in named.items() if name.startswith("wild") and t)
        above = "/".join(levels[:-1])
        channel = named.get("channel")
        own = wild or (topic if channel is None else above) or topic
        number = own if channel is not None else _without_last(wild, last) or above
        site = named.get("site") or ""
        return Route(self.kind, named.get("sensor_id"), channel, site, own, number or None, last)

    def _last_is_taken(self, found: re.Match[str]) -> bool:
        """Whether the topic's last level is already the sensor, the channel or the site."""
        ends = [found.end(name) for name in PLACEHOLDERS if name in found.groupdict()]
        return len(found.string) in ends


class Router:
    """Finds the template of each topic, the first that fits.

    Args:
        templates: as in the configuration.
        kind: kind of payload where a template names none.

    Raises:
        ConfigError: one of them cannot be used.
    """

    def __init__(self, templates: Sequence[str], kind: Kind = "auto") -> None:
        if not templates:
            raise ConfigError("mqtt_topics is empty: name the topics to read, e.g. sensors/#")
        self._templates = [Template(text, kind) for text in templates]
        self._routes: dict[str, Route | None] = {}

    @property
    def filters(self) -> list[str]:
        """Topic filters to subscribe to.

        None that another one covers: a broker may send a message once for each of them (3.3.4).
        """
        every = list(dict.fromkeys(template.filter for template in self._templates))
        return [
            one for one in every if not any(other != one and covers(other, one) for other in every)
        ]

    def hears(self, topics: Sequence[str]) -> bool:
        """Whether every message of all of these topics comes to us."""
        return all(
            any(one.match(topic) is not None and not one.shared for one in self._templates)
            for topic in topics
        )

    def route(self, topic: str) -> Route | None:
        """What a topic says; None if no template fits."""
        try:
            return self._routes[topic]
        except KeyError:
            pass
        if len(self._routes) >= MOST_REMEMBERED:
            self._routes.clear()
        found = (template.match(topic) for template in self._templates)
        route = self._routes[topic] = next((one for one in found if one is not None), None)
        return route


def covers(wide: str, narrow: str) -> bool:
    """Whether all topics of one filter are topics of the other, too (4.7.1)."""
    levels = narrow.split("/")
    if narrow.startswith("$") and wide[:1] in "#+":
        return False
    for i, level in enumerate(wide.split("/")):
        if level == "#":
            return True
        if i == len(levels) or levels[i] == "#" or level not in ("+", levels[i]):
            return False
    return wide.count("/") == narrow.count("/")


def _without_last(wild: str, last: str | None) -> str:
    if last is None or (wild != last and not wild.endswith("/" + last)):
        return wild
    return wild.removesuffix(last).removesuffix("/")


def _check(text: str, levels: Sequence[str]) -> None:
    names = [name for level in levels for name in _PLACEHOLDER.findall(level)]
    wrong = None
    if not text or "\0" in text or len(text.encode()) > 65_535:
        wrong = "it is empty, too long or holds a zero byte"
    elif unknown := [name for name in names if name not in PLACEHOLDERS]:
        wrong = f"{{{unknown[0]}}} is not one of {{sensor_id}}, {{channel}} and {{site}}"
    elif len(names) != len(set(names)):
        wrong = "a placeholder comes twice"
    elif any("#" in level for level in levels[:-1]) or ("#" in levels[-1] and levels[-1] != "#"):
        wrong = "# stands alone, as the last level"
    elif any("+" in level and level != "+" for level in levels):
        wrong = "+ stands alone in its level"
    elif any("{" in rest or "}" in rest for rest in map(_outside, levels)):
        wrong = "a brace is open"
    if wrong:
        raise ConfigError(f"the topic template {text!r} cannot be used: {wrong}")


def _outside(level: str) -> str:
    return _PLACEHOLDER.sub("", level)


def _regex(levels: Sequence[str]) -> str:
    parts = []
    for i, level in enumerate(levels):
        if level == "#":
            parts.append(f"(?P<wild{i}>.*)")
        elif level == "+":
            parts.append(f"(?P<wild{i}>[^/]*)")
        else:
            pieces = _PLACEHOLDER.split(level)
            parts.append(
                "".join(
                    f"(?P<{piece}>[^/]+)" if k % 2 else re.escape(piece)
                    for k, piece in enumerate(pieces)
                )
            )
    if levels[-1] == "#" and len(levels) > 1:
        # "a/#" stands for "a" too (4.7.1.2).
        return "/".join(parts[:-1]) + f"(?:/{parts[-1]})?"
    return "/".join(parts)
