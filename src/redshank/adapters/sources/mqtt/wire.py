"""MQTT 5 packets as bytes: as much of the protocol as a subscriber needs.

After the OASIS standard "MQTT Version 5.0"; numbers of sections are its. Many messages are read
from one piece of the stream, and acknowledged with one, because a call each costs more than the
message itself.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import NamedTuple

CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK, UNSUBSCRIBE = 1, 2, 3, 4, 8, 9, 10
PINGREQ, PINGRESP, DISCONNECT = b"\xc0\x00", 13, 14
GOODBYE = b"\xe0\x00"
QUOTA_EXCEEDED = 0x97
REASONS = {
    0x80: "unspecified error",
    0x81: "malformed packet",
    0x82: "protocol error",
    0x83: "not accepted by this broker",
    0x84: "MQTT 5 is not spoken by this broker",
    0x01: "MQTT 5 is not spoken by this broker",
    0x85: "the client id is not accepted",
    0x86: "user name or password is wrong",
    0x87: "not authorised",
    0x88: "the broker is not available",
    0x89: "the broker is busy",
    0x8A: "banned",
    0x8B: "the broker is shutting down",
    0x8C: "this way of logging in is not supported",
    0x8D: "keep-alive timeout",
    0x8E: "another client took over this client id",
    0x8F: "the topic filter is not valid",
    0x93: "more messages than the receive maximum",
    0x95: "packet too large",
    0x97: "quota exceeded",
    0x9D: "the broker has moved",
    0x9E: "shared subscriptions are not supported",
    0xA2: "wildcard subscriptions are not supported",
}
"""Reason codes that a broker may end a connection or refuse a subscription with (2.4)."""
FOR_GOOD = frozenset({0x01, 0x84, 0x85, 0x86, 0x87, 0x8A, 0x8C})
"""Reasons to refuse a connection that do not pass by themselves."""

_SESSION_EXPIRY, _SERVER_KEEP_ALIVE, _RECEIVE_MAXIMUM, _REASON_STRING = 0x11, 0x13, 0x21, 0x1F
_MAXIMUM_PACKET = 0x27
_SIZES = {
    **dict.fromkeys((0x01, 0x17, 0x19, 0x24, 0x25, 0x28, 0x29, 0x2A), 1),
    **dict.fromkeys((0x13, 0x21, 0x22, 0x23), 2),
    **dict.fromkeys((0x02, 0x11, 0x18, 0x27), 4),
}
"""Bytes of the properties with numbers (2.2.2.2)."""
_TEXTS = frozenset({0x03, 0x08, 0x09, 0x12, 0x15, 0x16, 0x1A, 0x1C, 0x1F})


class MalformedError(Exception):
    """What came is not MQTT 5."""


class Arrived(NamedTuple):
    """A message of a subscription.

    Attributes:
        topic: where it was published.
        payload: what was published.
        mid: packet identifier to acknowledge, 0 for messages that need none.
        duplicate: whether the broker may have sent it before.
        retained: whether it was published before the subscription was made.
    """

    topic: str
    payload: bytes
    mid: int = 0
    duplicate: bool = False
    retained: bool = False


class Packet(NamedTuple):
    """Any other packet.

    Attributes:
        kind: its type.
        body: everything after the fixed header.
    """

    kind: int
    body: bytes


class Accepted(NamedTuple):
    """The broker's answer to a connection (3.2).

    Attributes:
        reason: 0 if it is accepted, else why not.
        session: whether the broker still has the session.
        keep_alive: seconds that the broker wants instead of ours, None if ours are good.
        text: the broker's own words.
    """

    reason: int
    session: bool
    keep_alive: int | None
    text: str


def connect(
    client_id: str,
    *,
    user: str | None,
    password: str | None,
    keep_alive: int,
    receive_maximum: int,
    maximum_packet: int,
    session_expiry: int,
) -> bytes:
    """A request to connect (3.1); a session expiry of 0 begins and ends without a session."""
    flags = (0x80 if user is not None else 0) | (0x40 if password is not None else 0)
    flags |= 0 if session_expiry else 0x02
    properties = struct.pack(
        ">BIBHBI",
        *(_SESSION_EXPIRY, session_expiry, _RECEIVE_MAXIMUM, receive_maximum),
        *(_MAXIMUM_PACKET, maximum_packet),
    )
    head = struct.pack(">H4sBBH", 4, b"MQTT", 5, flags, keep_alive)
    body = head + _length(len(properties)) + properties + _text(client_id)
    body += b"" if user is None else _text(user)
    body += b"" if password is None else _text(password)
    return _packet(CONNECT << 4, body)


def subscribe(mid: int, filters: Sequence[str], qos: int) -> bytes:
    """A request for these topics; retained messages only for a subscription that is new (3.8)."""
    options = bytes([qos | 0x10])
    body = struct.pack(">HB", mid, 0) + b"".join(_text(one) + options for one in filters)
    return _packet(SUBSCRIBE << 4 | 0x02, body)


def unsubscribe(mid: int, filters: Sequence[str]) -> bytes:
    """A request to bring these topics no more (3.10)."""
    body = struct.pack(">HB", mid, 0) + b"".join(map(_text, filters))
    return _packet(UNSUBSCRIBE << 4 | 0x02, body)


def publish(topic: str, payload: bytes) -> bytes:
    """A message that needs no acknowledgement (3.3)."""
    return _packet(PUBLISH << 4, _text(topic) + b"\x00" + payload)


def acknowledge(mids: Iterable[int]) -> bytes:
    """Acknowledgements of these messages, in order (3.4)."""
    return b"".join(b"\x40\x02" + mid.to_bytes(2, "big") for mid in mids)


class Stream:
    """Cuts what comes in over a connection into packets.

    Args:
        maximum_packet: longest packet that was allowed, bytes.
    """

    def __init__(self, maximum_packet: int) -> None:
        self._limit = maximum_packet
        self._rest = b""

    def feed(self, data: bytes) -> list[Arrived | Packet]:
        """All packets that are complete now.

        Raises:
            MalformedError: the bytes are no packets.
        """
        buffer = self._rest + data if self._rest else data
        found: list[Arrived | Packet] = []
        at, end = 0, len(buffer)
        while end - at >= 2:
            head, start, length = buffer[at], at + 2, buffer[at + 1]
            if length > 0x7F:
                long = _read_length(buffer, at + 1)
                if long is None:
                    break
                length, start = long
                if length > self._limit:
                    raise MalformedError(f"a packet of {length} bytes")
            at_end = start + length
            if at_end > end:
                break
            if head >> 4 == PUBLISH:
                found.append(_message(head, buffer, start, at_end))
            else:
                found.append(Packet(head >> 4, buffer[start:at_end]))
            at = at_end
        self._rest = buffer[at:]
        return found


def read_accepted(body: bytes) -> Accepted:
    """A broker's answer to a request to connect.

    Raises:
        MalformedError: it is none.
    """
    if len(body) < 2:
        raise MalformedError("an answer to CONNECT that is too short")
    numbers, texts = _properties(body, 2) if len(body) > 2 else ({}, {})
    keep_alive = numbers.get(_SERVER_KEEP_ALIVE)
    return Accepted(body[1], bool(body[0] & 1), keep_alive, texts.get(_REASON_STRING, ""))


def read_subscribed(body: bytes) -> list[int]:
    """Reason codes of an answer to a subscription, one a topic filter.

    Raises:
        MalformedError: it is none.
    """
    length = _read_length(body, 2)
    if length is None:
        raise MalformedError("an answer to SUBSCRIBE that is too short")
    size, start = length
    return list(body[start + size :])


def read_goodbye(body: bytes) -> int:
    """The reason why a broker ends the connection."""
    return body[0] if body else 0


def reason(code: int, text: str = "") -> str:
    """A reason code in words."""
    words = REASONS.get(code, "refused")
    return f"{words} (code 0x{code:02x}{', ' if text else ''}{text})"


def _message(head: int, buffer: bytes, start: int, end: int) -> Arrived:
    try:
        size = buffer[start] << 8 | buffer[start + 1]
        at = start + 2 + size
        topic = buffer[start + 2 : at].decode()
        mid = 0
        if head & 0x06:
            mid = buffer[at] << 8 | buffer[at + 1]
            at += 2
        size = buffer[at]
        at += 1
        if size > 0x7F:
            size, at = _read_length(buffer, at - 1) or (end, at)
        at += size
    except (IndexError, UnicodeDecodeError):
        raise MalformedError("a PUBLISH that cannot be read") from None
    if at > end:
        raise MalformedError("a PUBLISH that is too short")
    return Arrived(topic, buffer[at:end], mid, bool(head & 0x08), bool(head & 0x01))


def _properties(body: bytes, at: int) -> tuple[dict[int, int], dict[int, str]]:
    """Numeric and textual properties that begin here; unknown ones end the reading."""
    length = _read_length(body, at)
    numbers: dict[int, int] = {}
    texts: dict[int, str] = {}
    if length is None:
        return numbers, texts
    size, at = length
    end = min(at + size, len(body))
    while at < end:
        name = body[at]
        at += 1
        if name in _SIZES:
            numbers[name] = int.from_bytes(body[at : at + _SIZES[name]], "big")
            at += _SIZES[name]
        elif name in _TEXTS or name == 0x26:
            for _ in range(2 if name == 0x26 else 1):
                long = int.from_bytes(body[at : at + 2], "big")
                texts[name] = body[at + 2 : at + 2 + long].decode("utf-8", "replace")
                at += 2 + long
        else:
            break
    return numbers, texts


def _read_length(buffer: bytes, at: int) -> tuple[int, int] | None:
    """A variable byte integer (1.5.5) and where it ends, None if it is not complete."""
    total = 0
    for i in range(4):
        if at + i >= len(buffer):
            return None
        byte = buffer[at + i]
        total |= (byte & 0x7F) << (7 * i)
        if byte < 0x80:
            return total, at + i + 1
    raise MalformedError("a length without end")


def _length(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _packet(head: int, body: bytes) -> bytes:
    return bytes([head]) + _length(len(body)) + body


def _text(text: str) -> bytes:
    encoded = text.encode()
    return struct.pack(">H", len(encoded)) + encoded
