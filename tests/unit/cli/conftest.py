"""The command line as its users call it."""

from __future__ import annotations

import csv
import json
import os
from dataclasses import dataclass
from typing import Any

import pytest
from typer.testing import CliRunner

from redshank.cli.app import build
from redshank.core.config import FOUNDING_NAMES


@dataclass(frozen=True)
class Answer:
    """What a command said and how it ended."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def redshank(tmp_path, monkeypatch):
    """Runs a command in an empty folder without anybody's settings."""
    monkeypatch.chdir(tmp_path)
    for name in [*os.environ]:
        if name.startswith("REDSHANK_") or name in FOUNDING_NAMES:
            monkeypatch.delenv(name)
    app = build()

    def run(*arguments: object, env: dict[str, str] | None = None) -> Answer:
        found = CliRunner().invoke(app, [str(part) for part in arguments], env=env)
        if found.exception is not None and not isinstance(found.exception, SystemExit):
            raise found.exception
        return Answer(found.exit_code, found.stdout, found.stderr)

    return run


@pytest.fixture
def readings(tmp_path):
    """A day of one sensor, one reading a minute, with a jump of 20 °C for a quarter of an hour."""
    file = tmp_path / "greenhouse.csv"
    with file.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(("timestamp", "temperature", "humidity", "is_anomaly"))
        for minute in range(24 * 60):
            odd = 1200 <= minute < 1215
            temperature = 20 + (minute % 7) * 0.1 + 20 * odd
            time = f"2026-01-31T{minute // 60:02}:{minute % 60:02}:00Z"
            writer.writerow((time, f"{temperature:.1f}", 60 + minute % 5, int(odd)))
    return file
