"""Quality flags by name, as people write and read them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from redshank.core.errors import FieldError
from redshank.core.records import Flag

FLAG_NAMES = tuple(str(flag.name).lower() for flag in Flag)
"""Names of all flags, such as ``spike``."""


@lru_cache(maxsize=1024)
def flag_names(bits: int) -> tuple[str, ...]:
    """The flags of a value by name, lowest bit first."""
    return tuple(str(flag.name).lower() for flag in Flag if bits & flag)


def flag_bits(names: Iterable[str]) -> int:
    """The flags of these names, or-ed; 0 for none.

    Raises:
        FieldError: a name is no flag's.
    """
    bits = 0
    for name in names:
        if name.lower() not in FLAG_NAMES:
            raise FieldError("flag", name, f"is no flag; there are {', '.join(FLAG_NAMES)}")
        bits |= Flag[name.upper()]
    return bits
