"""JSON out: one fast encoder for every answer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson
from starlette.responses import JSONResponse

from redshank.core.clock import format_time


class Answer(JSONResponse):
    """A JSON answer; NumPy arrays are written as lists, NaN and infinities as ``null``."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Encode."""
        return dumps(content)


def dumps(content: Any) -> bytes:
    """JSON in UTF-8."""
    return orjson.dumps(content, default=_plain, option=orjson.OPT_SERIALIZE_NUMPY)


def time_text(micros: int | None) -> str | None:
    """ISO 8601 text, or None."""
    return None if micros is None else format_time(micros)


def finite(number: float | None) -> float | None:
    """The number, or None where there is none to show."""
    return None if number is None or not math.isfinite(number) else float(number)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    return str(value)
