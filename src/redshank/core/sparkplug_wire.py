"""Sparkplug B payloads as bytes: the few Protocol Buffers messages that they are made of.

After `sparkplug_b.proto` of the Eclipse Sparkplug specification 3.0. Only what a reading needs is
taken out; unknown fields are skipped, as Protocol Buffers demand. Wire format:
https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from redshank.core.errors import FileFormatError

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
UNIT_KEYS = frozenset({"engunit", "engineering units", "unit", "units"})
"""Names of the property that holds a metric's unit, as gateways write them."""
_BITS = {1: 8, 2: 16, 3: 32, 4: 64}
"""Signed integer types by code: int8 to int64, sent as unsigned two's complement."""
BOOLEAN, DATE_TIME = 11, 13

Value = float | bool | str | None
Field = tuple[int, int, int | bytes]
"""Number, wire type and content."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric of a payload.

    Attributes:
        name: as sent, "" where only an alias is.
        alias: the short number that a birth certificate bound to a name.
        time: milliseconds since the epoch, None if the payload's counts.
        datatype: code of the data type, 0 if not sent.
        value: a number, a truth value or a text; None for null and for other types.
        unit: the unit that its properties name, "".
    """

    name: str = ""
    alias: int | None = None
    time: int | None = None
    datatype: int = 0
    value: Value = None
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Payload:
    """One message.

    Attributes:
        time: milliseconds since the epoch, None if not sent.
        metrics: in the order in which they were sent.
        seq: 0 to 255, counts the messages of a node; None if not sent.
    """

    time: int | None
    metrics: list[Metric]
    seq: int | None = None


def read_payload(body: bytes) -> Payload:
    """The payload of a Sparkplug B message.

    Raises:
        FileFormatError: the bytes are not one.
    """
    time, metrics, seq = None, [], None
    for number, kind, content in _fields(body):
        if number == 1 and kind == VARINT:
            time = int(content)
        elif number == 2 and isinstance(content, bytes):
            metrics.append(_metric(content))
        elif number == 3 and kind == VARINT:
            seq = int(content)
    return Payload(time, metrics, seq)


def rebirth_command(time: int) -> bytes:
    """The payload of a command that asks a node for its birth certificates.

    Args:
        time: milliseconds since the epoch.
    """
    name = b"Node Control/Rebirth"
    metric = b"\x0a" + _varint(len(name)) + name + b"\x18" + _varint(time)
    metric += b"\x20" + _varint(BOOLEAN) + b"\x70\x01"
    return b"\x08" + _varint(time) + b"\x12" + _varint(len(metric)) + metric


def _metric(body: bytes) -> Metric:
    name, alias, time, datatype, unit, null = "", None, None, 0, "", False
    held: Field | None = None
    for number, kind, content in _fields(body):
        if isinstance(content, bytes):
            if number == 1:
                name = _text(content)
            elif number == 9:
                unit = _unit(content)
        elif number == 2:
            alias = content
        elif number == 3:
            time = content
        elif number == 4:
            datatype = content
        elif number == 7:
            null = content != 0
        if 10 <= number <= 19:
            held = (number, kind, content)
    value = None if null or held is None else _value(held)
    return Metric(name, alias, time, datatype, typed(value, datatype), unit)


def typed(value: Value, datatype: int) -> Value:
    """A value as its data type means it: negative integers, truth values sent as integers."""
    if isinstance(value, (bool, str)) or value is None:
        return value
    if datatype == BOOLEAN:
        return value != 0
    bits = _BITS.get(datatype)
    if bits is None or value != value or abs(value) >= 2**64:
        return value
    whole = int(value) & ((1 << bits) - 1)
    return whole - (1 << bits) if whole >> (bits - 1) else whole


def _value(held: Field) -> Value:
    number, kind, content = held
    if isinstance(content, bytes):
        if number == 12 and kind == FIXED32:
            return float(struct.unpack("<f", content)[0])
        if number == 13 and kind == FIXED64:
            return float(struct.unpack("<d", content)[0])
        return _text(content) if number == 15 and kind == BYTES else None
    if number == 14:
        return content != 0
    return content if number in (10, 11) else None


def _unit(body: bytes) -> str:
    """The unit among a metric's properties, "" if there is none."""
    keys, values = [], []
    for number, _, content in _fields(body):
        if number == 1 and isinstance(content, bytes):
            keys.append(_text(content).strip().lower())
        elif number == 2 and isinstance(content, bytes):
            values.append(content)
    for key, value in zip(keys, values, strict=False):
        if key in UNIT_KEYS:
            texts = [c for n, _, c in _fields(value) if n == 8 and isinstance(c, bytes)]
            return _text(texts[-1]) if texts else ""
    return ""


# --- the wire format ---------------------------------------------------------------------------


def _fields(body: bytes) -> Iterator[Field]:
    """Fields of one message; fixed-size and length-delimited ones as their bytes."""
    at = 0
    while at < len(body):
        tag, at = _read_varint(body, at)
        number, kind = tag >> 3, tag & 7
        if number == 0:
            raise FileFormatError(f"the payload is not Sparkplug B: field 0 at byte {at}")
        if kind == VARINT:
            whole, at = _read_varint(body, at)
            yield number, kind, whole
            continue
        if kind == BYTES:
            size, at = _read_varint(body, at)
        else:
            size = {FIXED64: 8, FIXED32: 4}.get(kind, -1)
        if size < 0 or at + size > len(body):
            what = f"wire type {kind}" if size < 0 else f"{size} bytes that are not there"
            raise FileFormatError(f"the payload is not Sparkplug B: {what} at byte {at}")
        yield number, kind, body[at : at + size]
        at += size


def _read_varint(body: bytes, at: int) -> tuple[int, int]:
    """A number of 7 bits a byte, lowest first, and where it ends."""
    total = 0
    for shift in range(0, 70, 7):
        if at >= len(body):
            raise FileFormatError(f"the payload is not Sparkplug B: it ends early, at byte {at}")
        byte = body[at]
        at += 1
        total |= (byte & 0x7F) << shift
        if byte < 0x80:
            return total & 0xFFFF_FFFF_FFFF_FFFF, at
    raise FileFormatError(f"the payload is not Sparkplug B: a number without end at byte {at}")


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _text(content: bytes) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        where = f"a text that is not UTF-8, byte {error.start} of {len(content)}"
        raise FileFormatError(f"the payload is not Sparkplug B: {where}") from None
