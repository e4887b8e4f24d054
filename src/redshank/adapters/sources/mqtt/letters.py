"""Dead letters of MQTT, read again by the topics and the births that are known now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import orjson

from redshank.adapters.sources.mqtt.json_rows import Paths
from redshank.adapters.sources.mqtt.payloads import RETAINED, Contents, Decoder
from redshank.adapters.sources.mqtt.topics import Kind, Router
from redshank.adapters.sources.mqtt.wire import Arrived
from redshank.core.letters import Reread
from redshank.core.records import DeadLetter
from redshank.core.sparkplug import Births


class MqttLetters:
    """Reads letters again; see :data:`redshank.core.letters.ReadLetter`.

    Aliases of Sparkplug mean what the newest births say. Births and deaths that are letters say
    nothing of who is online now, and change nothing.

    Args:
        topics: templates as they are configured now.
        payload: kind of payload of topics that name none.
        value_path: where the number or channels lie in nested JSON, dotted.
        time_path: where the time lies in nested JSON, dotted.
        cursor: the stored cursor of the source, which holds the births.

    Raises:
        ConfigError: a template cannot be used.
    """

    def __init__(
        self,
        topics: Sequence[str],
        *,
        payload: Kind = "auto",
        value_path: str = "",
        time_path: str = "",
        cursor: str | None = None,
    ) -> None:
        self._router = Router(topics, payload)
        self._paths = Paths(value_path, time_path)
        self._births: dict[str, Any] = orjson.loads(cursor).get("births", {}) if cursor else {}
        self._known = Births.load(self._births)

    def __call__(self, letter: DeadLetter) -> Reread | None:
        """What a letter holds now; None if its topic was not kept."""
        if not letter.topic:
            return None
        if self._router.route(letter.topic) is None:
            return Reread(reason=f"topic: {letter.topic!r} fits no template of mqtt_topics")
        message = Arrived(letter.topic, letter.raw, retained=RETAINED in letter.details)
        contents = self._decoder(letter).decode([message], letter.time)
        if why := _why_not(contents):
            return Reread(reason=why)
        sensors = [replace(info, tags={}) for info in contents.sensors.values()]
        return Reread(contents.batches, sensors)

    def _decoder(self, letter: DeadLetter) -> Decoder:
        kind = letter.topic.split("/")[2:3]
        changes = kind and kind[0].endswith(("BIRTH", "DEATH"))
        births = Births.load(self._births) if changes else self._known
        return Decoder(self._router, _At(letter.time), births, self._paths)


class _At:
    """Everything came at one time."""

    def __init__(self, time: int) -> None:
        self._time = time

    def time(self, message: Arrived, rows: int = 1) -> int:
        return self._time


def _why_not(contents: Contents) -> str:
    """Why nothing can be read, "" if something can."""
    if contents.dead_letters:
        return contents.dead_letters[0].reason
    if contents.retained:
        return "timestamp: is missing, and nobody knows how old a retained message is"
    return "" if contents.batches else "payload: holds no readings"
