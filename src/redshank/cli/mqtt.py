"""``redshank mqtt discover``: what is on a broker, and how to read it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from redshank.cli.console import print_json, print_table, say, settings

if TYPE_CHECKING:
    from redshank.wiring import Discovered, Proposal

SECONDS = 30.0


def group() -> typer.Typer:
    """The subcommands."""
    app = typer.Typer(no_args_is_help=True, help="Sensors that publish to an MQTT broker.")
    app.command()(discover)
    return app


def discover(
    url: Annotated[
        str | None,
        typer.Argument(help="mqtt://[USER@]HOST[:PORT] or mqtts://…; mqtt_url if not given."),
    ] = None,
    seconds: Annotated[float, typer.Option(min=0.1, help="How long to listen.")] = SECONDS,
    ca_file: Annotated[Path | None, typer.Option(help="Certificates to trust.")] = None,
    cert_file: Annotated[Path | None, typer.Option(help="Our own certificate.")] = None,
    key_file: Annotated[Path | None, typer.Option(help="Its key.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Listen to all topics of a broker and propose templates for mqtt_topics.

    The password is taken from REDSHANK_MQTT_PASSWORD, everything else that is not given from the
    configuration. Nothing is stored, and no session is left at the broker.
    """
    from redshank import wiring
    from redshank.core.errors import ConfigError

    files = {"mqtt_ca_file": ca_file, "mqtt_cert_file": cert_file, "mqtt_key_file": key_file}
    config = settings(mqtt_url=url, **files).config
    if not config.mqtt_url:
        raise ConfigError("which broker? Give its address, or set REDSHANK_MQTT_URL")
    found = asyncio.run(wiring.discover_mqtt(config, seconds))
    if json:
        print_json(asdict(found))
    else:
        _print(found, config.mqtt_url)


def _print(found: Discovered, url: str) -> None:
    if not found.messages:
        say(f"Nothing was published within {found.seconds:g} s, or this user may not read it.")
        return
    print_table(
        ("template", "payloads", "topics", "messages", "for example", "which says"),
        [
            (one.template or "–", one.kind, one.topics, one.messages, one.example, one.payload)
            for one in found.proposals
        ],
        title=f"{found.messages:,} messages under {found.topics:,} topics in {found.seconds:g} s",
    )
    templates = [one.template for one in found.proposals if one.template]
    if templates:
        say(f"REDSHANK_MQTT_URL={url}")
        say(f'REDSHANK_MQTT_TOPICS="{", ".join(dict.fromkeys(templates))}"')
        _print_paths([one for one in found.proposals if one.kind == "json"])


def _print_paths(objects: Sequence[Proposal]) -> None:
    """Settings where all JSON is alike, else what there is to know: they hold for all of it."""
    paths = {(one.value_path, one.time_path) for one in objects}
    if len(paths) == 1:
        for name, path in zip(("VALUE", "TIME"), paths.pop(), strict=True):
            if path:
                say(f"REDSHANK_MQTT_{name}_PATH={path}")
        return
    for one in objects:
        for what, path in (("VALUE", one.value_path), ("TIME", one.time_path)):
            if path:
                say(f"{one.template} alone would want REDSHANK_MQTT_{what}_PATH={path}")
