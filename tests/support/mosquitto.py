"""A real Mosquitto in a folder of its own, and a publisher that shares no code with redshank."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any

import trustme
from paho.mqtt.client import CallbackAPIVersion, Client, MQTTv5

from support.process import free_port

USER, PASSWORD = "ingest", "ing3st-ing3st"
INSTALL = "apt-get install mosquitto, or set REDSHANK_TEST_MQTT_URL to a broker without password"
PATIENCE = 60.0
_PUBLISHER_WINDOW = 500


def binary() -> str | None:
    """Path of mosquitto; Debian keeps it where only root looks."""
    path = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))
    return shutil.which("mosquitto", path=path)


class Mosquitto:
    """A broker that keeps its state on the disk; can be stopped, killed and started again.

    Listens in the clear, with TLS and a password, and with TLS and client certificates.

    Args:
        folder: for its settings, state and certificates.
        certificates: whether to make the encrypted listeners, too.
    """

    def __init__(self, folder: Path, certificates: bool = False) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.port, self.tls_port, self.mutual_port = free_port(), free_port(), free_port()
        self.url = f"mqtt://127.0.0.1:{self.port}"
        self.ca, self.certificate, self.key = (folder / f"{name}.pem" for name in ("ca", "cl", "k"))
        self._process: subprocess.Popen[bytes] | None = None
        lines = [
            *("per_listener_settings true", "persistence true", f"persistence_location {folder}/"),
            *("max_queued_messages 0", "log_dest stdout", "autosave_interval 3600"),
            *(f"listener {self.port} 127.0.0.1", "allow_anonymous true"),
        ]
        if os.geteuid() == 0:
            lines.append("user root")
        if certificates:
            lines += self._encrypted()
        (folder / "mosquitto.conf").write_text("\n".join(lines) + "\n")

    def __enter__(self) -> Mosquitto:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def start(self) -> None:
        """Start it and wait until it answers."""
        with (self.folder / "log").open("ab") as log:
            command = [str(binary()), "-c", str(self.folder / "mosquitto.conf")]
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and self._process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.01)
        raise RuntimeError((self.folder / "log").read_text()[-2000:])

    def save(self) -> None:
        """Have it write its state to the disk now."""
        state = self.folder / "mosquitto.db"
        before = state.stat().st_mtime_ns if state.exists() else 0
        self._running().send_signal(signal.SIGUSR1)
        deadline = time.monotonic() + PATIENCE
        while not state.exists() or state.stat().st_mtime_ns == before:
            if time.monotonic() > deadline:
                raise RuntimeError("mosquitto does not save its state")
            time.sleep(0.01)

    def stop(self) -> None:
        """SIGTERM; it saves its state."""
        self._running().terminate()
        self._running().wait(PATIENCE)

    def kill(self) -> None:
        """``kill -9``; what was not saved is forgotten."""
        self._running().kill()
        self._running().wait(PATIENCE)

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("mosquitto has not been started")
        return self._process

    def _encrypted(self) -> list[str]:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(self.ca)
        server = authority.issue_cert("127.0.0.1", "localhost")
        (self.folder / "server.pem").write_bytes(
            b"".join(blob.bytes() for blob in server.cert_chain_pems)
        )
        server.private_key_pem.write_to_path(self.folder / "server-key.pem")
        client = authority.issue_cert("ingest.example", common_name="ingest")
        client.cert_chain_pems[0].write_to_path(self.certificate)
        client.private_key_pem.write_to_path(self.key)
        passwords = self.folder / "passwords"
        passwords.write_text(f"{USER}:{PASSWORD}\n")
        passwords.chmod(0o600)
        tool = shutil.which("mosquitto_passwd") or "mosquitto_passwd"
        subprocess.run([tool, "-U", str(passwords)], check=True)
        tls = [
            f"cafile {self.ca}",
            f"certfile {self.folder / 'server.pem'}",
            f"keyfile {self.folder / 'server-key.pem'}",
        ]
        return [
            *(f"listener {self.tls_port} 127.0.0.1", *tls, "allow_anonymous false"),
            f"password_file {passwords}",
            *(f"listener {self.mutual_port} 127.0.0.1", *tls, "require_certificate true"),
            *("use_identity_as_username true", "allow_anonymous false"),
        ]


class Publisher:
    """Publishes with QoS 1 and waits until the broker has taken everything; reconnects by itself.

    Args:
        port: of the broker.
        host: where it is.

    Attributes:
        taken: messages that the broker has taken.
        heard: payloads that came after :meth:`listen`.
    """

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self._client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTv5)
        self._client.max_inflight_messages_set(_PUBLISHER_WINDOW)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_publish = self._taken
        self._changed = threading.Condition()
        self.taken = 0
        self.heard: list[bytes] = []
        self._sent = 0
        self._client.connect(host, port)
        self._client.loop_start()

    def __enter__(self) -> Publisher:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def send(
        self, messages: Iterable[tuple[str, bytes]], retain: bool = False, qos: int = 1
    ) -> None:
        """Publish these, each until it is acknowledged."""
        for topic, payload in messages:
            self._client.publish(topic, payload, qos, retain)
            self._sent += 1
            self.wait(self._sent - 2 * _PUBLISHER_WINDOW)

    def wait(self, count: int | None = None) -> None:
        """Until the broker has taken so many messages, or all that were sent."""
        wanted = self._sent if count is None else count
        with self._changed:
            if not self._changed.wait_for(lambda: self.taken >= wanted, PATIENCE):
                raise AssertionError(f"the broker took {self.taken} of {wanted} messages")

    def listen(self, topic: str) -> None:
        """Collect what is published there, from the broker's answer on."""
        subscribed = threading.Event()
        self._client.on_message = lambda *event: self.heard.append(bytes(event[2].payload))
        self._client.on_subscribe = lambda *_: subscribed.set()
        self._client.subscribe(topic)
        if not subscribed.wait(PATIENCE):
            raise AssertionError("no answer to a subscription")

    def _taken(self, *_: Any) -> None:
        with self._changed:
            self.taken += 1
            self._changed.notify_all()
