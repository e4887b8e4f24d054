"""The settings as a page of documentation, made from the code so that it cannot be wrong."""

from __future__ import annotations

from collections.abc import Iterator

from redshank.core.config import FOUNDING_NAMES, Setting, env_name, settings

HEAD = """# Configuration

Made by `python3 dev.py docs` from `src/redshank/core/config.py`; do not edit by hand.

The first of these that has a value wins:

1. options of the command line
2. the environment
3. the file `.env.<environment>`, with `<environment>` from the setting `environment`
4. the file `.env`
5. the file `redshank.toml`
6. the default

Files are looked for in the working directory. An unknown `REDSHANK_…` name or an unknown key in
`redshank.toml` is an error that names the nearest setting, and so is a value that cannot be used.
An empty value counts as not set. Lists are written `a, b` in the environment and `["a", "b"]` in
TOML.
`redshank config show` prints what is in force and where it came from (secrets masked),
`redshank config check` says whether it can be used.

## Settings
| in `redshank.toml` | in the environment | value | default | unit | meaning |
|---|---|---|---|---|---|
"""

FOUNDING = """
## Plain names
These names without a prefix are understood, too; the name with the prefix wins over them.

| name | same as |
|---|---|
"""


def settings_markdown() -> str:
    """The whole page."""
    rows = "".join(f"| {' | '.join(_cells(one))} |\n" for one in settings())
    plain = "".join(f"| `{name}` | `{env_name(key)}` |\n" for name, key in FOUNDING_NAMES.items())
    return f"{HEAD}{rows}{FOUNDING}{plain}"


def _cells(one: Setting) -> Iterator[str]:
    yield f"`{one.key}`"
    yield f"`{one.env}`"
    yield one.kind
    yield f"`{one.default}`" if one.default else "–"
    yield one.unit or "–"
    yield one.description
