"""Settings and commands as pages of documentation, made from the code so that they are right."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import typer

from redshank.core.config import FOUNDING_NAMES, Setting, env_name, settings

SETTINGS = """# Configuration

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


COMMANDS = """# Commands

Made by `python3 dev.py docs` from `src/redshank/cli`; do not edit by hand.

`redshank COMMAND --help` prints the same. Exit status: 0 done, 1 failed, 2 wrong usage or
configuration, 3 a check found problems, 130 interrupted. Progress goes to standard error: a bar on
a terminal, a line for each tenth elsewhere. `--json` prints for machines.
"""


def register(app: typer.Typer) -> None:
    """Add the command that writes the documentation; for those who work on redshank."""

    @app.command(hidden=True)
    def reference(context: typer.Context, page: str) -> None:
        """Print docs/configuration.md (settings) or docs/commands.md (commands)."""
        root: Any = context.find_root().command
        text = settings_markdown() if page == "settings" else commands_markdown(root)
        typer.echo(text, nl=False)


def commands_markdown(root: Any) -> str:
    """The page on commands, from the tree of commands."""
    return COMMANDS + "".join(
        _command("redshank", name, one) for name, one in root.commands.items()
    )


def settings_markdown() -> str:
    """The whole page."""
    rows = "".join(f"| {' | '.join(_cells(one))} |\n" for one in settings())
    plain = "".join(f"| `{name}` | `{env_name(key)}` |\n" for name, key in FOUNDING_NAMES.items())
    return f"{SETTINGS}{rows}{FOUNDING}{plain}"


def _cells(one: Setting) -> Iterator[str]:
    yield f"`{one.key}`"
    yield f"`{one.env}`"
    yield one.kind
    yield f"`{one.default}`" if one.default else "–"
    yield one.unit or "–"
    yield one.description


def _command(above: str, name: str, one: Any) -> str:
    if one.hidden:
        return ""
    path = f"{above} {name}"
    if hasattr(one, "commands"):
        return "".join(_command(path, below, each) for below, each in one.commands.items())
    options = [p for p in one.params if p.param_type_name == "option" and p.name != "help"]
    arguments = [p for p in one.params if p.param_type_name == "argument"]
    rows = [_row(_shape(p), p) for p in arguments] + [
        _row(", ".join(p.opts) + ("" if p.is_flag else f" {p.name.upper()}"), p) for p in options
    ]
    usage = " ".join([path, *map(_shape, arguments), *(["[OPTIONS]"] if options else [])])
    table = "| | meaning | default |\n|---|---|---|\n" + "".join(rows) if rows else ""
    return f"\n## {path}\n{inspect.cleandoc(one.help or '')}\n\n    {usage}\n\n{table}"


def _shape(argument: Any) -> str:
    name = argument.metavar or argument.name.upper()
    return name if argument.required else f"[{name}]"


def _row(shape: str, parameter: Any) -> str:
    default = parameter.default
    shown = "" if default in (None, False) or callable(default) else f"`{default}`"
    needed = "needed" if parameter.required and parameter.param_type_name == "option" else shown
    return f"| `{shape}` | {parameter.help or ''} | {needed or '–'} |\n"
