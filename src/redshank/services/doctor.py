"""Examines an installation: what works, what does not, and what to do about it.

Each check looks at one thing and answers with a finding; none changes anything.
"""

from __future__ import annotations

import os
import platform
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

from redshank.core.clock import Clock, format_time, parse_time
from redshank.core.config import Config
from redshank.core.errors import RedshankError

OLDEST_PYTHON = (3, 11)
LEAST_FREE = 500 * 1024 * 1024
MEGABYTE = 1024 * 1024
REACH_SECONDS = 10.0
RELEASED = parse_time("2025-01-01")
NETWORK_FILE_SYSTEMS = frozenset(
    {"9p", "afs", "ceph", "cifs", "fuse.sshfs", "glusterfs", "nfs", "nfs4", "smb3", "smbfs"}
)


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found.

    Attributes:
        name: what was looked at.
        ok: whether it works; None if there is nothing to check.
        detail: what it is like.
        advice: the next step where it does not work.
    """

    name: str
    ok: bool | None
    detail: str
    advice: str = ""


StoreCheck = Callable[[Config], "str | None"]
"""What is wrong with a configuration's store; None if nothing. Raises nothing."""


def examine(config: Config, clock: Clock, check_store: StoreCheck) -> Iterator[Finding]:
    """All findings, one after another."""
    yield python()
    yield Finding("platform", None, f"{platform.platform()}, {os.cpu_count()} CPUs")
    yield kernels()
    yield writable(config.data_dir)
    yield file_system(config.data_dir)
    yield disk_space(config.data_dir)
    yield store(config, check_store)
    yield port(config.host, config.port)
    yield wall_clock(clock)
    yield from (reachable(config.opensensemap_url, box) for box in config.opensensemap_boxes)


def python() -> Finding:
    """Whether this Python is new enough."""
    version = f"{platform.python_implementation()} {platform.python_version()} ({sys.executable})"
    return Finding(
        "Python", sys.version_info >= OLDEST_PYTHON, version, "install Python 3.11 or newer"
    )


def kernels() -> Finding:
    """Whether the compiled detection kernels can be loaded."""
    from redshank.detect.native import library

    try:
        return Finding("detection kernels", True, str(library()._name))
    except OSError as error:
        advice = "install redshank again with pip; it compiles them"
        return Finding("detection kernels", False, str(error), advice)


def writable(folder: Path) -> Finding:
    """Whether the data folder can be made and written."""
    place = _existing(folder)
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        advice = "give this user the right to write it, or choose another with --data"
        return Finding("data folder", False, f"{place}: {error.strerror}", advice)
    state = "" if place == folder.absolute() else " (will be made)"
    return Finding("data folder", True, f"{folder.absolute()}{state}")


def file_system(folder: Path, mounts: Path = Path("/proc/mounts")) -> Finding:
    """Whether the data folder lies on a disk of this machine; SQLite's log needs one."""
    kind = _file_system_of(_existing(folder), mounts)
    if kind is None:
        return Finding("file system", None, "cannot be told on this system")
    advice = "SQLite needs a disk of this machine: choose another folder with --data"
    return Finding("file system", kind not in NETWORK_FILE_SYSTEMS, kind, advice)


def disk_space(folder: Path) -> Finding:
    """Whether there is room for readings."""
    free = shutil.disk_usage(_existing(folder)).free
    advice = "free some space, or set REDSHANK_RETENTION_DAYS"
    return Finding("disk space", free >= LEAST_FREE, f"{free // MEGABYTE:,} MB free", advice)


def store(config: Config, check: StoreCheck) -> Finding:
    """Whether the store is whole."""
    problem = check(config)
    advice = "move the file away or restore a backup; `redshank migrate` brings old ones up to date"
    return Finding("store", problem is None, problem or "whole", advice)


def port(host: str, number: int) -> Finding:
    """Whether the port can be listened on."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        if os.name != "nt":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, number))
        except OSError as error:
            advice = "another program (or redshank) listens there: choose another with --port"
            return Finding("port", False, f"{host}:{number}: {error.strerror}", advice)
    return Finding("port", True, f"{host}:{number} is free")


def wall_clock(clock: Clock) -> Finding:
    """Whether the machine's clock can be right; readings ahead of it are flagged."""
    now = clock.now()
    advice = "set the clock, e.g. by switching on network time"
    return Finding("clock", now >= RELEASED, format_time(now), advice)


def reachable(url: str, box: str) -> Finding:
    """Whether openSenseMap answers and knows a box."""
    name = f"openSenseMap box {box}"
    try:
        answer = httpx.get(f"{url.rstrip('/')}/boxes/{box}", timeout=REACH_SECONDS)
    except httpx.HTTPError as error:
        advice = "check the network, a proxy, and REDSHANK_OPENSENSEMAP_URL"
        return Finding(name, False, f"{url}: {error or type(error).__name__}", advice)
    if answer.status_code == httpx.codes.OK:
        return Finding(name, True, f"{url} answers")
    advice = "check the id in the box's address on openSenseMap"
    return Finding(name, False, f"{url} answers {answer.status_code}", advice)


def configuration(load: Callable[[], Config]) -> tuple[Config | None, Finding]:
    """The configuration, if it can be used, and the finding on it."""
    try:
        return load(), Finding("configuration", True, "sound")
    except RedshankError as error:
        return None, Finding("configuration", False, str(error), "correct it, then ask again")


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    place = folder.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    return place


def _file_system_of(place: Path, mounts: Path) -> str | None:
    try:
        lines = mounts.read_text("utf-8").splitlines()
    except OSError:
        return None
    best, kind = "", None
    for _, point, found, *_ in map(str.split, lines):
        where = Path(point.replace(r"\040", " "))
        if place.resolve().is_relative_to(where) and len(point) >= len(best):
            best, kind = point, found
    return kind
