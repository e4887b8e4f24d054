"""A real ``redshank run`` in a process of its own, as users start it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from support.client import Client

COMMAND = (sys.executable, "-m", "redshank.cli", "run", "--no-open")
START_SECONDS = 60.0
STOP_SECONDS = 60.0
_LOOK_EVERY = 0.01


class Process:
    """``redshank run`` on a data folder; can be killed and started again on the same port.

    Args:
        data: the data folder; the log is kept beside it.
        arguments: further ones of ``redshank run``.
        environment: settings, such as ``{"REDSHANK_QUEUE_READINGS": "1000"}``.
    """

    def __init__(
        self,
        data: Path,
        arguments: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.data = data
        self.port = free_port()
        self.log = data.with_name(data.name + ".log")
        self._arguments = ["--port", str(self.port), "--data", str(data), *arguments]
        self._environment = {**own_environment(), **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Process:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is not None and self._process.poll() is None:
            self.kill()

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._running().pid

    def client(self, timeout: float = 60.0) -> Client:
        """A caller of its interface."""
        return Client("127.0.0.1", self.port, timeout)

    def start(self, wait: bool = True) -> float:
        """Start it; seconds until ``GET /ready`` answered 200."""
        before = time.perf_counter()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*COMMAND, *self._arguments],
                env=self._environment,
                cwd=self.data.parent,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        if wait:
            self.wait_ready()
        return time.perf_counter() - before

    def wait_ready(self) -> None:
        """Wait until it takes readings.

        Raises:
            RuntimeError: it ended instead, or took longer than a minute; with its log.
        """
        deadline = time.monotonic() + START_SECONDS
        with self.client() as client:
            while self._running().poll() is None and time.monotonic() < deadline:
                if client.answers("/ready"):
                    return
                time.sleep(_LOOK_EVERY)
        raise RuntimeError(f"redshank is not ready:\n{self.log.read_text()[-4000:]}")

    def kill(self) -> None:
        """``kill -9``."""
        self._running().kill()
        self._running().wait()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """SIGTERM, or another signal; the exit status."""
        self._running().send_signal(number)
        return self._running().wait(STOP_SECONDS)

    def memory(self) -> int:
        """Bytes of memory that it occupies now; 0 where the system does not tell."""
        return _resident(Path(f"/proc/{self.pid}/status"), "VmRSS")

    def peak_memory(self) -> int:
        """Most bytes of memory that it ever occupied; 0 where the system does not tell."""
        return _resident(Path(f"/proc/{self.pid}/status"), "VmHWM")

    def cpu_seconds(self) -> float:
        """Processor time that it has used; 0 where the system does not tell."""
        stat = Path(f"/proc/{self.pid}/stat")
        if not stat.exists():
            return 0.0
        fields = stat.read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("redshank has not been started")
        return self._process


def free_port() -> int:
    """A TCP port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def own_environment() -> dict[str, str]:
    """This environment without anybody's settings of redshank."""
    return {key: value for key, value in os.environ.items() if not key.startswith("REDSHANK_")}


def _resident(status: Path, name: str) -> int:
    if not status.exists():
        return 0
    for line in status.read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024
    return 0
