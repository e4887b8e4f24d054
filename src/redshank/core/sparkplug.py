"""Sparkplug B: births that name metrics, data that speak of them by alias, deaths that are silence.

After the Eclipse Sparkplug specification 3.0. Topics are ``spBv1.0/GROUP/TYPE/NODE[/DEVICE]``. A
device, or a node with metrics of its own, is a sensor ``GROUP/NODE[/DEVICE]``; its group is the
site. What births said must outlive a restart, because they are not sent again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from redshank.core.clock import SECOND, format_time
from redshank.core.errors import FieldError, FileFormatError
from redshank.core.records import SensorInfo
from redshank.core.rows import shown
from redshank.core.sparkplug_wire import DATE_TIME, Metric, read_payload, typed
from redshank.core.typed import Collector, TypedReadings, check_identity

NAMESPACE = "spBv1.0"
SEQUENCE = 256
"""So many messages of a node have different sequence numbers."""
STATUS_TAG = "sparkplug"
"""Tag of a sensor that says whether it is online, or since when it is not."""
OFFLINE = "offline since "
"""What the tag begins with after a death; the time follows."""
_MILLISECOND = SECOND // 1000
_BIRTHS, _DEATHS = {"NBIRTH", "DBIRTH"}, {"NDEATH", "DDEATH"}
_DATA = {"NDATA", "DDATA"}
_SILENT = {"NCMD", "DCMD", "STATE"}
"""For nodes and between hosts; they hold no readings."""
_CONTROL = ("node control/", "device control/")

_Known = tuple[str, int, str]
"""Name, data type and unit that a birth gave to an alias."""


@dataclass(frozen=True, slots=True)
class Address:
    """What a topic says.

    Attributes:
        group: the group, used as the site.
        kind: type of the message, e.g. ``DDATA``.
        node: the edge node.
        device: the device, "" for the node itself.
    """

    group: str
    kind: str
    node: str
    device: str = ""

    @property
    def sensor_id(self) -> str:
        """The sensor that its metrics belong to."""
        return "/".join(filter(None, (self.group, self.node, self.device)))

    @property
    def node_id(self) -> str:
        """The node's own sensor."""
        return f"{self.group}/{self.node}"

    @property
    def command(self) -> str:
        """Topic of commands to the node."""
        return f"{NAMESPACE}/{self.group}/NCMD/{self.node}"

    @property
    def counted(self) -> list[str]:
        """Topics, of an unnamed device too, whose messages the node counts together."""
        start = f"{NAMESPACE}/{self.group}"
        own = [f"{start}/{kind}/{self.node}" for kind in ("NBIRTH", "NDATA")]
        return own + [f"{start}/{kind}/{self.node}/\0" for kind in ("DBIRTH", "DDATA", "DDEATH")]


@dataclass(frozen=True, slots=True)
class Heard:
    """What one message brought.

    Attributes:
        typed: its readings and errors.
        sensors: sensors that came online, or went off.
        unborn: whether it speaks of what no birth has explained.
        gap: whether messages of its node are missing before it, or may be.
        changed: whether what is known of births changed.
    """

    typed: TypedReadings
    sensors: list[SensorInfo] = field(default_factory=list)
    unborn: bool = False
    gap: bool = False
    changed: bool = False


@dataclass
class Births:
    """What the births of all nodes and devices said; of those that are online.

    Attributes:
        aliases: sensor to its metrics by alias.
        names: sensor to data type and unit of its metrics by name, for data without alias.
        sessions: node to the session number of its birth, which its death must bear.
        seqs: node to the sequence number of its newest message; not kept over a restart, as nobody
            knows then what was missed.
    """

    aliases: dict[str, dict[int, _Known]] = field(default_factory=dict)
    names: dict[str, dict[str, _Known]] = field(default_factory=dict)
    sessions: dict[str, int] = field(default_factory=dict)
    seqs: dict[str, int] = field(default_factory=dict)

    def dump(self) -> dict[str, Any]:
        """All of it as JSON-able values."""
        return {
            "sessions": self.sessions,
            "metrics": {
                sensor_id: [[alias, *known] for alias, known in aliases.items()]
                + [[None, *known] for known in self.names.get(sensor_id, {}).values()]
                for sensor_id, aliases in self.aliases.items()
            },
        }

    @classmethod
    def load(cls, held: Mapping[str, Any]) -> Births:
        """What :meth:`dump` gave."""
        births = cls(sessions=dict(held.get("sessions", {})))
        for sensor_id, rows in held.get("metrics", {}).items():
            births.born(sensor_id)
            for alias, name, datatype, unit in rows:
                births.bind(sensor_id, alias, (name, datatype, unit))
        return births

    def born(self, sensor_id: str) -> None:
        """Forget what an earlier birth said."""
        self.aliases[sensor_id], self.names[sensor_id] = {}, {}

    def bind(self, sensor_id: str, alias: int | None, known: _Known) -> None:
        """Remember one metric of a birth."""
        if alias is None:
            self.names[sensor_id][known[0]] = known
        else:
            self.aliases[sensor_id][alias] = known

    def dead(self, sensor_id: str, node: bool) -> list[str]:
        """Forget a sensor, and the devices of a node; those that were online."""
        prefix = sensor_id + "/"
        gone = [s for s in self.aliases if s == sensor_id or (node and s.startswith(prefix))]
        for one in gone:
            del self.aliases[one]
            self.names.pop(one, None)
        if node:
            self.sessions.pop(sensor_id, None)
            self.seqs.pop(sensor_id, None)
        return gone

    def follows(self, address: Address, seq: int | None) -> bool:
        """Whether a message comes next after the one before it; a repeated one does, too.

        A birth of the node begins to count anew. After a restart of ours, the first message of a
        node does not follow: it may have been born again meanwhile.
        """
        if seq is None:
            return True
        before = self.seqs.get(address.node_id)
        self.seqs[address.node_id] = seq
        if address.kind == "NBIRTH":
            return True
        return before is not None and seq in (before, (before + 1) % SEQUENCE)


def parse_topic(topic: str) -> Address:
    """The parts of a Sparkplug topic.

    Raises:
        FieldError: it is none.
    """
    levels = topic.split("/")
    kinds = _BIRTHS | _DEATHS | _DATA | _SILENT
    if levels[0] == NAMESPACE and levels[1:2] == ["STATE"]:
        return Address("", "STATE", "/".join(levels[2:]))
    if levels[0] != NAMESPACE or not 4 <= len(levels) <= 5 or levels[2] not in kinds:
        raise FieldError("topic", topic, f"is not {NAMESPACE}/GROUP/TYPE/NODE[/DEVICE]")
    address = Address(levels[1], levels[2], levels[3], "/".join(levels[4:]))
    if address.kind[0] == "D" and not address.device:
        raise FieldError("topic", topic, "names no device")
    check_identity(address.sensor_id)
    return address


def read_sparkplug(births: Births, topic: str, body: bytes, *, arrival: int) -> Heard:
    """Readings of one message; births and deaths change ``births``.

    Args:
        births: what is known of all nodes.
        topic: the topic it came under.
        body: the payload, Protocol Buffers.
        arrival: when it came, microseconds; the time of metrics without one.

    Raises:
        FieldError: topic or payload cannot be used at all.
    """
    address = parse_topic(topic)
    if address.kind in _SILENT:
        return Heard(Collector(arrival).collected())
    try:
        payload = read_payload(body)
    except FileFormatError as error:
        raise FieldError("payload", shown(body[:40].hex()), str(error)) from None
    when = arrival if payload.time is None else payload.time * _MILLISECOND
    follows = address.kind == "NDEATH" or births.follows(address, payload.seq)
    if address.kind in _DEATHS:
        return _death(births, address, payload.metrics, when, arrival)
    changed = address.kind in _BIRTHS
    if changed:
        _birth(births, address, payload.metrics)
    collector = Collector(arrival, timeless=False)
    unknown = _add_all(births, address, payload.metrics, payload.time, collector)
    sensors = [_status(address.sensor_id, address.group, "online")] if changed else []
    unborn = unknown or address.sensor_id not in births.aliases
    return Heard(collector.collected(), sensors, unborn, not follows, changed)


def _birth(births: Births, address: Address, metrics: list[Metric]) -> None:
    sensor_id = address.sensor_id
    births.born(sensor_id)
    for metric in metrics:
        if metric.name == "bdSeq" and isinstance(metric.value, int):
            births.sessions[address.node_id] = metric.value
        elif metric.name:
            births.bind(sensor_id, metric.alias, (metric.name, metric.datatype, metric.unit))


def _death(
    births: Births, address: Address, metrics: list[Metric], when: int, arrival: int
) -> Heard:
    """Whoever died is offline; the will of an earlier session that comes late is of no account."""
    nothing = Collector(arrival).collected()
    node = address.kind == "NDEATH"
    spoken = [m.value for m in metrics if m.name == "bdSeq" and isinstance(m.value, int)]
    known = births.sessions.get(address.node_id)
    if node and spoken and known is not None and spoken[0] != known:
        return Heard(nothing)
    gone = births.dead(address.sensor_id, node) or [address.sensor_id]
    # A will was written when its node connected, so only the time of arrival says when it died.
    text = OFFLINE + format_time(arrival if node else min(when, arrival))
    return Heard(nothing, [_status(s, address.group, text) for s in gone], changed=True)


def _add_all(
    births: Births,
    address: Address,
    metrics: list[Metric],
    common: int | None,
    collector: Collector,
) -> bool:
    """Add all metrics; whether one speaks of an alias that no birth explained."""
    unknown = False
    for metric in metrics:
        known = _known(births, address.sensor_id, metric)
        if known is None:
            unknown = True
            reason = f"is an alias that no birth of {address.sensor_id} has explained"
            collector.errors.append(FieldError("alias", metric.alias, reason))
            continue
        name, datatype, unit = known
        value = typed(metric.value, datatype)
        if value is None or name == "bdSeq" or name.lower().startswith(_CONTROL):
            continue
        if datatype == DATE_TIME:
            value = str(value)
        milliseconds = common if metric.time is None else metric.time
        time = collector.arrival if milliseconds is None else milliseconds * _MILLISECOND
        try:
            collector.add(address.sensor_id, time, name, value, unit)
        except FieldError as error:
            collector.errors.append(FieldError(f"{name}.{error.field}", error.value, error.reason))
        collector.timeless |= milliseconds is None
    return unknown


def _known(births: Births, sensor_id: str, metric: Metric) -> _Known | None:
    """Name, data type and unit of a metric, None if it has no name and its alias is unknown."""
    by_alias = births.aliases.get(sensor_id, {})
    known = None if metric.alias is None else by_alias.get(metric.alias)
    if metric.name:
        known = known or births.names.get(sensor_id, {}).get(metric.name)
        unit = metric.unit or (known[2] if known else "")
        return metric.name, metric.datatype or (known[1] if known else 0), unit
    return known


def _status(sensor_id: str, site: str, text: str) -> SensorInfo:
    return SensorInfo(sensor_id, site=site, source="mqtt", tags={STATUS_TAG: text})
