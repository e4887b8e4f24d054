"""Real processes on folders of their own; none of them outlives its test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from support.process import Process

Launch = Callable[..., Process]


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Launch]:
    """Starts a ``redshank run`` on a folder of that name, with these settings."""
    with ExitStack() as running:

        def begin(name: str = "data", **settings: object) -> Process:
            environment = {f"REDSHANK_{key.upper()}": str(value) for key, value in settings.items()}
            return running.enter_context(Process(tmp_path / name, environment=environment))

        yield begin
