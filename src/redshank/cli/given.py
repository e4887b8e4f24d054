"""What people give on the command line: times, and files to write."""

from __future__ import annotations

import re
from pathlib import Path

from redshank.core.clock import DAY, HOUR, MINUTE, SystemClock, parse_time
from redshank.core.errors import ConfigError, FieldError
from redshank.core.files import FORMATS, form

_AGO = re.compile(r"(\d+(?:\.\d+)?)\s*(min|h|d|w)")
_UNITS = {"min": MINUTE, "h": HOUR, "d": DAY, "w": 7 * DAY}
_BEGIN = "begin"


def moment(text: str | None) -> int | None:
    """Microseconds of a time on the command line; 0 for "begin".

    Raises:
        ConfigError: it is none.
    """
    if text is None:
        return None
    if text == _BEGIN:
        return 0
    if ago := _AGO.fullmatch(text):
        return SystemClock().now() - round(float(ago[1]) * _UNITS[ago[2]])
    try:
        return parse_time(text)
    except FieldError:
        raise ConfigError(
            f"{text!r} is no time: write 2026-01-31, 2026-01-31T12:00:00Z, 30d or begin"
        ) from None


def check_format(path: Path) -> None:
    """Say that a file cannot be written before the work is done, not after.

    Raises:
        ConfigError: its ending is unknown, or its folder is missing.
    """
    if form(path) is None:
        raise ConfigError(f"{path.name}: the ending must be one of {', '.join(FORMATS)}")
    if not path.absolute().parent.is_dir():
        raise ConfigError(f"{path.absolute().parent} is no folder")
