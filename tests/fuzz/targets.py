"""What is fuzzed: everything that reads bytes from outside, and the laws that it keeps.

A decoder may refuse bytes with one of redshank's own errors and nothing else, every row counts
once, and what became a dead letter can be read again without harm. ``ALLOWED`` are those errors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import orjson

from redshank.adapters.sources.mqtt import MqttLetters, wire
from redshank.adapters.sources.mqtt.memory import Arrivals
from redshank.adapters.sources.mqtt.payloads import Decoder
from redshank.adapters.sources.mqtt.topics import Router
from redshank.adapters.sources.opensensemap import OpenSenseMapLetters, answers
from redshank.adapters.sources.opensensemap.http import BrokenAnswer
from redshank.adapters.sources.opensensemap.measurements import parse_archived, parse_measurements
from redshank.core import device_formats
from redshank.core.clock import FakeClock
from redshank.core.config import Config
from redshank.core.csv_readings import CsvDecoder
from redshank.core.decode import decode_json, decode_ndjson
from redshank.core.decoded import Decoded
from redshank.core.errors import RedshankError
from redshank.core.line_protocol import PRECISIONS, decode_lines
from redshank.core.media import CSV, JSON, LINES, NDJSON
from redshank.core.recording import Recording
from redshank.core.records import DeadLetter, SensorInfo
from redshank.core.senml import read_senml
from redshank.core.series import Naming
from redshank.core.sparkplug import Births, read_sparkplug
from redshank.services.api.problems import Problem
from redshank.services.api.unpacking import ENCODINGS, unpack
from redshank.services.dead_letters import posted, read_again

NOW = 1_769_904_000_000_000
LIMIT = 1_000_000
ALLOWED = (RedshankError, Problem, BrokenAnswer)
NAMING = Naming()
TEMPLATES = ("{site}/{sensor_id}/{channel}", "numbers/#=number", "senml/#=senml", "#")
TOPICS = ("north/b1/temperature", "numbers/x", "senml/x", "any", "spBv1.0/g/NBIRTH/n")
SPARKPLUG = ("NBIRTH/n", "DBIRTH/n/d", "NDATA/n", "DDATA/n/d", "NDEATH/n", "DDEATH/n/d", "NCMD/n")
_KINDS = (JSON[0], NDJSON[0], CSV[0], LINES[0], "")


@dataclass(frozen=True)
class Target:
    """One thing to fuzz.

    Attributes:
        test: takes any bytes; raises nothing but :data:`ALLOWED`.
        seeds: bytes that get far, to begin with; and those that once broke it.
    """

    test: Callable[[bytes], object]
    seeds: tuple[bytes, ...]


def counted(decoded: Decoded) -> None:
    """Every row counts once."""
    assert decoded.count == sum(map(len, decoded.batches)) + len(decoded.errors)
    assert [len(place) for place in decoded.places] == list(map(len, decoded.batches))


def lines(data: bytes) -> None:
    """The first byte says the precision."""
    if data:
        precision = list(PRECISIONS)[data[0] % len(PRECISIONS)]
        counted(decode_lines(data[1:], arrival=NOW, precision=precision))


def csv_in_pieces(data: bytes) -> None:
    """Whole lines at a time are as good as all at once."""
    first, second = CsvDecoder(), CsvDecoder()
    whole = first.decode(data, arrival=NOW)
    counted(whole)
    head, _, rest = data.partition(b"\n")
    parts = [second.decode(head + b"\n", arrival=NOW), second.decode(rest, arrival=NOW)]
    assert whole.count == sum(part.count for part in parts)


def devices(data: bytes) -> None:
    """The first byte says which of the formats."""
    formats: list[Callable[[bytes, int], object]] = [
        device_formats.read_json,
        device_formats.read_csv,
        device_formats.read_luftdaten,
        device_formats.read_hackair,
        lambda body, now: device_formats.read_bytes(body, now, timed=False),
        lambda body, now: device_formats.read_bytes(body, now, timed=True),
        lambda body, now: device_formats.read_value(body, "a", now),
    ]
    if data:
        formats[data[0] % len(formats)](data[1:], NOW)


def packed(data: bytes) -> None:
    """The first byte says which encoding."""
    if data:
        assert len(unpack(data[1:], LIMIT, ENCODINGS[data[0] % len(ENCODINGS)])) <= LIMIT


def senml(data: bytes) -> None:
    """Any JSON; with and without a sensor and a channel from the topic."""
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        return
    for sensor_id, channel in ((None, None), ("b1", None), ("b1", "co2")):
        read_senml(value, arrival=NOW, sensor_id=sensor_id, channel=channel)


def sparkplug(data: bytes) -> None:
    """Messages of one node, each a byte for its type, one for its length, and its payload."""
    births = Births()
    for kind, body in _messages(data):
        topic = f"spBv1.0/g/{SPARKPLUG[kind % len(SPARKPLUG)]}"
        try:
            read_sparkplug(births, topic, body, arrival=NOW)
        except RedshankError:
            continue
    assert Births.load(births.dump()).dump() == births.dump()


def mqtt(data: bytes) -> None:
    """Messages, each a byte for its topic, one for its length, and its payload."""
    arrived = [
        wire.Arrived(TOPICS[kind % len(TOPICS)], body, i + 1, False, bool(kind & 0x80))
        for i, (kind, body) in enumerate(_messages(data))
    ]
    decoder = Decoder(Router(TEMPLATES), Arrivals(FakeClock(), 100), Births())
    letters = decoder.decode(arrived, NOW).dead_letters
    assert len({letter.key for letter in letters}) == len(letters) <= len(arrived)
    for letter in letters:
        letter.reason.encode()
        MqttLetters(TEMPLATES)(letter)


def packets(data: bytes) -> None:
    """MQTT's packets are the same however the stream is cut; the first byte says where."""
    cut = data[0] if data else 0
    whole, parts = wire.Stream(LIMIT), wire.Stream(LIMIT)
    try:
        found = whole.feed(data[1:])
    except wire.MalformedError:
        return
    try:
        halves = parts.feed(data[1 : 1 + cut]) + parts.feed(data[1 + cut :])
    except wire.MalformedError:
        return
    assert halves == found
    for packet in found:
        if isinstance(packet, wire.Packet):
            _read_packet(packet)


def boxes(data: bytes) -> None:
    """Answers of openSenseMap; the first byte says to which question."""
    if not data:
        return
    if data[0] % 4 == 3:
        parse_archived(data[1:])
        return
    readers: tuple[Callable[[object], object], ...] = (
        answers.parse_box,
        answers.parse_boxes,
        parse_measurements,
    )
    readers[data[0] % 4](answers.parse_json(data[1:]))


def letters(data: bytes) -> None:
    """Dead letters of all sources; the first byte says of which, and of which content type."""
    if not data:
        return
    readers = {
        "http": posted(Config()),
        "mqtt": MqttLetters(TEMPLATES),
        "opensensemap": OpenSenseMapLetters(SensorInfo),
    }
    source = list(readers)[data[0] % 3]
    topic = {"mqtt": TOPICS[data[0] % len(TOPICS)], "opensensemap": "box/sensor"}.get(source, "")
    kind = _KINDS[data[0] // 3 % len(_KINDS)]
    letter = DeadLetter(NOW, source, "", data[1:], 1, topic, kind)
    found = read_again([letter], readers.get)
    assert len(found.read) + len(found.reasons) <= 1


def rows_of_files(data: bytes) -> None:
    """Rows as files hold them, wide and long, and again from their letters."""
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        return
    rows = value if isinstance(value, list) else [value]
    _, errors = Recording(Path("a.ndjson"), {}, NOW).read(rows)
    for error in errors:
        again = orjson.loads(error.raw)
        Recording(Path("a.ndjson"), {}, NOW).read(again if isinstance(again, list) else [again])


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 2 <= len(data):
        size = data[at + 1]
        yield data[at], data[at + 2 : at + 2 + size]
        at += 2 + size


def _read_packet(packet: wire.Packet) -> None:
    readers = {wire.CONNACK: wire.read_accepted, wire.SUBACK: wire.read_subscribed}
    try:
        readers.get(packet.kind, wire.read_goodbye)(packet.body)
    except wire.MalformedError:
        return


def _sized(kind: int, body: bytes) -> bytes:
    return bytes([kind, len(body)]) + body


_METRIC = b"\x0a\x01t\x10\x05\x18\xc0\x9a\x0c\x20\x0a\x69" + b"\x00" * 6 + b"\xf0\x3f"
_BIRTH = b"\x08\xc0\x9a\x0c\x12" + bytes([len(_METRIC)]) + _METRIC + b"\x18\x00"
_BY_ALIAS = b"\x12\x0b\x10\x05\x69" + b"\x00" * 8 + b"\x18\x01"
_SENML = b'[{"bn":"b:","bt":1769860800,"n":"temp","u":"Cel","v":21.5},{"n":"on","vb":true,"t":-5}]'

TARGETS: dict[str, Target] = {
    "json": Target(
        lambda data: counted(decode_json(data, arrival=NOW, naming=NAMING)),
        (b'[{"sensor_id":"a","timestamp":"2026-01-31T12:00:00Z","x":1.5,"values":{"y":2}}]',),
    ),
    "ndjson": Target(
        lambda data: counted(decode_ndjson(data, arrival=NOW, naming=NAMING)),
        (b'{"sensor_id":"a","x":1}\n{"name":"m","tags":{"device":"b"},"fields":{"x":1}}\n',),
    ),
    "lines": Target(
        lines,
        (b'\0weather,device=a\\ b t=1.5,n=2i,on=t,s="x\\"" 1769860800000000000\n# c\nm x=1\n',),
    ),
    "csv": Target(
        csv_in_pieces, (b'sensor_id;timestamp;x\na;1769860800;1\n"b";2026-01-31T12:00:00Z;\n',)
    ),
    "devices": Target(
        devices,
        (
            b'\0[{"sensor":"a","value":"1.5","createdAt":"2026-01-31T12:00:00Z","location":[7,1]}]',
            b"\1a,1.5,2026-01-31T12:00:00Z,7,51\n",
            b'\2{"sensordatavalues":[{"value_type":"SDS_P1","value":"5.38"}]}',
            b'\3{"reading":{"PM10_AirPollutantValue":"7.9"}}',
            b"\4" + b"x" * 16,
            b"\5" + b"x" * 20,
            b'\6{"value":21.5}',
        ),
    ),
    "packed": Target(packed, (b"\0\x1f\x8b\x08\0\0\0\0\0\0\3", b"\1x\x9c", b"\2\x28\xb5\x2f\xfd")),
    "senml": Target(senml, (_SENML, b'{"n":"x","v":1}')),
    "sparkplug": Target(
        sparkplug, (_sized(0, _BIRTH) + _sized(2, _BY_ALIAS) + _sized(4, b""), _sized(3, _BIRTH))
    ),
    "mqtt": Target(
        mqtt,
        (
            _sized(0, b"21.5") + _sized(1, b"x") + _sized(2, _SENML) + _sized(4, _BIRTH),
            _sized(3, b'[{"co2":1},{"temperature":"x"}]') + _sized(0x80, b'{"value":1}'),
        ),
    ),
    "packets": Target(
        packets,
        (
            b"\5\x32\x09\x00\x03a/b\x00\x01\x00\x31\x20\x03\x00\x00\x00",
            b"\0\x20\x06\x00\x00\x03\x13\x00\x05\x90\x04\x00\x01\x00\x01\xe0\x01\x87",
        ),
    ),
    "boxes": Target(
        boxes,
        (
            b'\0{"_id":"57000b8745fd40c8196ad04c","sensors":[{"_id":"a","title":"Temperatur",'
            b'"unit":"C","lastMeasurement":{"createdAt":"2026-01-31T12:00:00Z","value":"1"}}]}',
            b'\1[{"_id":"a","currentLocation":{"coordinates":[7.6,51.9]},"grouptag":["x"]}]',
            b'\2[{"createdAt":"2026-01-31T12:00:00Z","value":"1.5","location":[7.6,51.9]}]',
            b"\3createdAt,value\n2026-01-31T12:00:00Z,1.5\n",
            b"\3createdAt,value$2026\n2026-01-31T12:00:00Z,1.5\n",
        ),
    ),
    "letters": Target(
        letters,
        (
            b'\0{"sensor_id":"a","x":1}',
            b"\1" + b"21.5",
            b'\2{"createdAt":"2026-01-31T12:00:00Z","value":"1.5"}',
            b"\6sensor_id,x\na,1",
            b"\x09m x=1 5",
        ),
    ),
    "files": Target(
        rows_of_files,
        (
            b'[{"time":"2026-01-31T12:00:00Z","Temperatur":"21","note":"x"},{"time":1,"x":null}]',
            b'[{"createdAt":"2026-01-31T12:00:00Z","phenomenon":"Temperatur","value":"1"}]',
        ),
    ),
}
