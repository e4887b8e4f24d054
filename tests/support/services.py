"""What to do about a service that is not here."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest

REQUIRED = os.environ.get("REDSHANK_REQUIRE_SERVICES") == "1"


def missing(what: str, remedy: str) -> NoReturn:
    """Skip what needs a service that is not here, or fail where all of them are required."""
    message = f"{what} is not here: {remedy}"
    if REQUIRED:
        pytest.fail(message)
    pytest.skip(message)
