"""Waiting for what another process does."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

LOOK_EVERY = 0.05
PATIENCE = 90.0


def pause(seconds: float) -> None:
    """Let another process work on; what it does meanwhile is left to chance."""
    threading.Event().wait(seconds)


def until(happened: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Look until it happened.

    Raises:
        AssertionError: it did not within these seconds.
    """
    deadline = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > deadline:
            raise AssertionError("it did not happen in time")
        time.sleep(LOOK_EVERY)
