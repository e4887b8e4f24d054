"""A broker of a few lines for tests: MQTT 5, one session, QoS 1, one client at a time.

It shares no code with what it tests. Sessions outlive connections: what was not acknowledged is
sent again with the DUP flag, as the standard demands.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Sequence
from contextlib import suppress


def text(value):
    raw = value.encode()
    return struct.pack(">H", len(raw)) + raw


def length(number):
    out = b""
    while True:
        number, digit = divmod(number, 128)
        out += bytes([digit | (0x80 if number else 0)])
        if not number:
            return out


def publish(topic, payload, mid, duplicate=False, retain=False, properties=b""):
    head = 0x30 | (0x02 if mid else 0) | (0x08 if duplicate else 0) | retain
    body = text(topic) + (struct.pack(">H", mid) if mid else b"")
    body += length(len(properties)) + properties + payload
    return bytes([head]) + length(len(body)) + body


class Broker:
    """Serves these messages to whoever subscribes.

    Args:
        messages: (topic, payload) or (topic, payload, retained).
        refuse: reason code to answer CONNECT with.
        hang_up_when_done: close the connection once all is acknowledged.
        hang_up_after: send so many messages over each connection and no more.
        heed: acknowledgements that are heard before it is closed; all of them by default.
        deaf: answer no calls (PINGREQ).
    """

    def __init__(
        self,
        messages: Sequence[tuple] = (),
        refuse: int = 0,
        hang_up_when_done: bool = True,
        hang_up_after: int = 0,
        heed: int | None = None,
        deaf: bool = False,
    ) -> None:
        self.messages = [(*message, False)[:3] for message in messages]
        self.refuse = refuse
        self.acknowledged: list[int] = []
        self.connects: list[bytes] = []
        self.subscribed: list[bytes] = []
        self.unsubscribed: list[bytes] = []
        self.published: list[bytes] = []
        self.most_unacknowledged = 0
        self.left = 0
        self._done = hang_up_when_done
        self._after = hang_up_after
        self._heed = hang_up_after if heed is None else heed
        self._deaf = deaf
        self._sent: set[int] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.05)
        self._over = False
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._over = True
        self._thread.join(10)
        self._listener.close()

    def _serve(self):
        while not self._over:
            try:
                connection, _ = self._listener.accept()
            except TimeoutError:
                continue
            with connection:
                connection.settimeout(10)
                with suppress(OSError, EOFError):
                    self._talk(connection)

    def _talk(self, connection):
        head, body = self._packet(connection)
        assert head == 0x10, head
        self.connects.append(body)
        session = 1 if len(self.connects) > 1 else 0
        connection.sendall(b"\x20\x03" + bytes([session, self.refuse, 0]))
        if self.refuse:
            return
        head, body = self._packet(connection)
        assert head == 0x82, head
        self.subscribed.append(body)
        connection.sendall(b"\x90\x04" + body[:2] + b"\x00\x01")
        receive_maximum = self._receive_maximum(self.connects[-1])
        sent, heard = 0, []
        waiting = [m for m in range(1, len(self.messages) + 1) if m not in self.acknowledged]
        unacknowledged = 0
        while True:
            while waiting and unacknowledged < receive_maximum:
                if self._after and sent >= self._after:
                    break
                mid = waiting.pop(0)
                topic, payload, retain = self.messages[mid - 1]
                connection.sendall(publish(topic, payload, mid, mid in self._sent, retain))
                self._sent.add(mid)
                sent += 1
                unacknowledged += 1
                self.most_unacknowledged = max(self.most_unacknowledged, unacknowledged)
            if self._done and len(self.acknowledged) >= len(self.messages):
                return
            if self._after and len(heard) >= self._heed:
                return
            head, body = self._packet(connection)
            if head == 0x40:
                heard.append(struct.unpack(">H", body[:2])[0])
                self.acknowledged.append(heard[-1])
                unacknowledged -= 1
            elif head >> 4 == 3:
                self.published.append(body)
            elif head == 0xA2:
                self.unsubscribed.append(body)
            elif head == 0xC0 and not self._deaf:
                connection.sendall(b"\xd0\x00")
            elif head == 0xE0:
                self.left += 1
                return

    @staticmethod
    def _receive_maximum(connect):
        at = connect.index(b"MQTT") + 8
        properties = connect[at + 1 : at + 1 + connect[at]]
        return struct.unpack(">H", properties[6:8])[0]

    @staticmethod
    def _packet(connection):
        def read(n):
            data = b""
            while len(data) < n:
                more = connection.recv(n - len(data))
                if not more:
                    raise EOFError
                data += more
            return data

        head = read(1)[0]
        total, shift = 0, 0
        while True:
            byte = read(1)[0]
            total |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return head, read(total)
