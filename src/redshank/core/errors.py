"""The error tree.

Every message says what happened, with the offending value, and the next step.

RedshankError
├── ConfigError            a setting is wrong or missing
├── MissingExtraError      an optional part is not installed
├── InputError             something that came from outside cannot be used
│   ├── FieldError         one named field of one row
│   └── FileFormatError    a whole file or body
├── NotFoundError          a sensor, incident or letter that does not exist
├── OverloadedError        a queue is full; carries when to come back
├── SourceError            a source cannot be read
└── StoreError             the store cannot be opened, read or written
"""

from __future__ import annotations


class RedshankError(Exception):
    """Root of all errors that redshank raises on purpose."""


class ConfigError(RedshankError):
    """A setting is wrong, missing or unknown."""


class MissingExtraError(RedshankError):
    """An optional dependency is not installed.

    Args:
        feature: what was asked for, in the user's words.
        extra: the extra that brings it, as in ``redshank[extra]``.
    """

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(f'{feature} needs an optional part: pip install "redshank[{extra}]"')
        self.extra = extra


class InputError(RedshankError):
    """Something that came from outside cannot be used as it is."""


class FieldError(InputError):
    """One field of one row cannot be used.

    Args:
        field: the field's name, dotted for nested ones.
        value: the offending value as it came.
        reason: what is wrong with it, as in "is not a number".
    """

    def __init__(self, field: str, value: object, reason: str) -> None:
        what = reason if value is None else f"{_shorten(value)} {reason}"
        super().__init__(f"{field}: {what}")
        self.field = field
        self.value = value
        self.reason = reason


class FileFormatError(InputError):
    """A whole file or request body cannot be read."""


class NotFoundError(RedshankError):
    """What was asked for by name does not exist."""


class OverloadedError(RedshankError):
    """A bounded queue is full: nothing was taken, come back later.

    Args:
        retry_after: seconds until there should be room again.
    """

    def __init__(self, retry_after: float) -> None:
        super().__init__(f"too many readings are waiting to be scored; retry in {retry_after:g} s")
        self.retry_after = retry_after


class SourceError(RedshankError):
    """A source cannot be reached or does not speak the expected protocol."""


class StoreError(RedshankError):
    """The store cannot be opened, read or written."""


def _shorten(value: object, limit: int = 80) -> str:
    text = repr(value)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
