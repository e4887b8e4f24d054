"""Settings: typed, frozen, and each with a known origin.

One object is read once at the start and passed on; nothing else looks at the environment. Whatever
is misspelt or out of range is an error that names the key, the value and the place it came from,
because a setting that silently does nothing costs an evening.
"""

from __future__ import annotations

import difflib
import ipaddress
import json
import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from dotenv import dotenv_values
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    FiniteFloat,
    SecretStr,
    ValidationError,
    model_validator,
)

from redshank.core.clock import known_time_zone
from redshank.core.errors import ConfigError

PREFIX = "REDSHANK_"
TOML_NAME = "redshank.toml"

FOUNDING_NAMES: Mapping[str, str] = {
    "LOG_LEVEL": "log_level",
    "OPENSENSEMAP_BOX_ID": "opensensemap_boxes",
    "API_KEY": "api_key",
}
"""Plain names that are understood as they stand, and the setting that each one means."""

_NOT_SETTINGS = frozenset(  # for tests
    {
        "REDSHANK_REQUIRE_SERVICES",
        "REDSHANK_TEST_CHROMIUM",
        "REDSHANK_TEST_TELEGRAF",
        "REDSHANK_TEST_MQTT_URL",
    }
)
_MASK = "********"


def _split(value: object) -> object:
    """A text with commas or blanks between its parts as a list; JSON arrays too."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        return json.loads(value)
    return value.replace(",", " ").split()


def _pairs(value: object) -> object:
    """A text like ``temperature=0.5, humidity=2`` as a mapping; JSON objects too."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("{"):
        return json.loads(value)
    parts = (part.partition("=") for part in value.replace(",", " ").split())
    return {name: number for name, _, number in parts}


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


def _zones(value: object) -> object:
    """Names of time zones that exist, whether one or one a site."""
    for name in value.values() if isinstance(value, Mapping) else [value]:
        known_time_zone(str(name))
    return value


Texts = Annotated[tuple[str, ...], BeforeValidator(_split)]
Level = Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(_upper)]
NotNegative = Annotated[FiniteFloat, Field(ge=0)]


def _setting(default: Any, description: str, unit: str = "", **limits: Any) -> Any:
    return Field(default, description=description, json_schema_extra={"unit": unit}, **limits)


class Config(BaseModel):
    """All settings. Each field is ``REDSHANK_<FIELD>`` in the environment, ``<field>`` in TOML."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    host: str = _setting(
        "127.0.0.1",
        "Address to listen on. Anything but loopback needs `api_key`.",
        min_length=1,
    )
    port: int = _setting(8000, "TCP port to listen on; 0 takes a free one.", ge=0, le=65535)
    data_dir: Path = _setting(Path("redshank-data"), "Folder that holds the store.")
    api_key: SecretStr | None = _setting(
        None, "Key that callers must send as `X-API-Key`.", min_length=8
    )
    max_body_bytes: int = _setting(
        64 * 1024 * 1024, "Largest request body, after unpacking.", "bytes", ge=1024
    )
    max_line_bytes: int = _setting(
        10_000_000,
        "Longest line of a body that is made of lines, after unpacking; the number of lines has "
        "no limit.",
        "bytes",
        ge=1024,
    )
    rate_limit_readings: float | None = _setting(
        None,
        "Readings per second that each API key may send, or each address where no key is set; "
        "empty for no limit.",
        "readings per second",
        gt=0,
        allow_inf_nan=False,
    )
    line_sensor_tags: Texts = _setting(
        ("sensor_id", "sensor", "device"),
        "Tags of line protocol that name a sensor, the strongest first.",
    )
    line_containers: Texts = _setting(
        ("sensor", "sensors", "reading", "readings", "measurement", "measurements", "data"),
        "Measurements of line protocol that are left out of the names of channels.",
    )
    queue_readings: int = _setting(
        200_000,
        "Readings that may wait to be scored; beyond that senders are told to come back later.",
        "readings",
        ge=1,
    )
    alarm_budget: float = _setting(
        3.0,
        "False alarms that you accept, until another budget is chosen on the page.",
        "per sensor and 30 days",
        gt=0,
        allow_inf_nan=False,
    )
    alarm_confirm: str = _setting(
        "1 of 1",
        "N of M: how many of the latest M readings must be within the alarm budget before an "
        "incident opens.",
        pattern=r"^\s*\d{1,2}\s*of\s*\d{1,2}\s*$",
    )
    retention_days: int | None = _setting(
        None,
        "Readings, verdicts and dead letters older than this are deleted; empty keeps them.",
        "days",
        ge=1,
    )
    commit_readings: int = _setting(10_000, "Most rows of one transaction.", "readings", ge=1)
    log_level: Level = _setting("INFO", "Least level that is logged.")
    log_format: Literal["text", "json"] = _setting("text", "Logs for people or for machines.")
    opensensemap_url: str = _setting(
        "https://api.opensensemap.org",
        "Server with the openSenseMap API.",
        pattern=r"^https?://[^\s/]+",
    )
    opensensemap_boxes: Texts = _setting((), "Ids of the boxes to follow live.")
    opensensemap_contact: str = _setting(
        "", "How openSenseMap's operators can reach you, sent as part of the user agent."
    )
    opensensemap_poll_seconds: float = _setting(
        60.0, "Pause between two looks at a box.", "seconds", ge=1, allow_inf_nan=False
    )
    opensensemap_near: str = _setting(
        "", "Follow the boxes around `longitude,latitude` or `longitude,latitude,metres`, too."
    )
    opensensemap_bbox: str = _setting(
        "", "Follow the boxes in `west,south,east,north` (degrees), too."
    )
    opensensemap_grouptags: Texts = _setting(
        (), "Follow the boxes that carry all of these group tags, too."
    )
    opensensemap_most_boxes: int = _setting(
        60, "Most boxes that a search may add; each costs a request in every round.", ge=1
    )
    opensensemap_archive_url: str = _setting(
        "https://archive.opensensemap.org",
        "Daily archive for what lies far back; `none` for none.",
        pattern=r"^none$|^https?://[^\s/]+",
    )
    opensensemap_archive_days: int = _setting(
        365, "Only what is older than this is read from the archive.", "days", ge=2
    )
    opensensemap_spacing_seconds: float = _setting(
        1.0,
        "Least time between two requests to one server; 0 only for a server of your own.",
        "seconds",
        ge=0,
        allow_inf_nan=False,
    )
    mqtt_url: str = _setting(
        "",
        "MQTT 5 broker to read from, `mqtt://user@host:1883` or `mqtts://…`; empty for none.",
        pattern=r"^$|^mqtts?://[^\s/]+$",
    )
    mqtt_password: SecretStr | None = _setting(None, "Password at the broker.")
    mqtt_topics: Texts = _setting(
        ("sensors/#",),
        "Topic templates such as `sensors/{sensor_id}/{channel}`, with `{site}`, `+` and `#`; "
        "`=number`, `=json`, `=senml` or `=sparkplug` behind one says what its payloads are.",
        min_length=1,
    )
    mqtt_payload: Literal["auto", "number", "json", "senml", "sparkplug"] = _setting(
        "auto", "What payloads are where the topic's template does not say it."
    )
    mqtt_value_path: str = _setting(
        "", "Where JSON payloads hold the number or the channels, e.g. `data.readings`."
    )
    mqtt_time_path: str = _setting(
        "", "Where JSON payloads hold the time if not in `timestamp`, e.g. `meta.ts`."
    )
    mqtt_client_id: str = _setting(
        "", "Name of the session at the broker; empty makes one up and keeps it."
    )
    mqtt_keep_alive_seconds: int = _setting(
        30,
        "Keep-alive at the broker. A connection over which nothing has come for one and a half of "
        "it is given up and made anew.",
        "seconds",
        ge=1,
        le=65535,
    )
    mqtt_sparkplug_rebirth: bool = _setting(
        True,
        "Ask Sparkplug nodes for births that are missing, which needs the right to publish to "
        "`spBv1.0/+/NCMD/+`.",
    )
    mqtt_ca_file: Path | None = _setting(
        None, "Certificates to trust the broker by; empty for the system's."
    )
    mqtt_cert_file: Path | None = _setting(None, "Our own certificate for the broker.")
    mqtt_key_file: Path | None = _setting(None, "Its key; empty if it is in the same file.")
    cors_origins: Texts = _setting(
        (), "Other web origins whose pages may call the API, e.g. `https://example.org`."
    )
    timezone: Annotated[str, AfterValidator(_zones)] = _setting(
        "UTC",
        "IANA name of the time zone whose clocks and calendar apply to sensors that have none of "
        "their own, e.g. `Europe/Berlin`.",
        min_length=1,
    )
    site_timezones: Annotated[
        Mapping[str, str], BeforeValidator(_pairs), AfterValidator(_zones)
    ] = _setting(
        {},
        "Time zones of sites, e.g. `Farm=Europe/Berlin`; names with blanks only in TOML or JSON.",
    )
    min_effect: Annotated[Mapping[str, NotNegative], BeforeValidator(_pairs)] = _setting(
        {},
        "Least deviation of a channel from what is expected that may alarm, e.g. "
        "`temperature=0.5, humidity=2`.",
        "the channel's own",
    )
    environment: str = _setting(
        "development",
        "Chooses the file `.env.<environment>` that is read besides `.env`.",
        pattern=r"^[A-Za-z0-9_-]+$",
    )

    @model_validator(mode="after")
    def _key_off_loopback(self) -> Config:
        if not is_loopback(self.host) and self.api_key is None:
            raise ValueError(
                f"host {self.host!r} can be reached from other machines and no API key is set: "
                "set REDSHANK_API_KEY to a long random text, or listen on 127.0.0.1"
            )
        return self


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration and where each of its values came from.

    Attributes:
        config: the settings.
        origins: field name to origin, e.g. ``default`` or ``REDSHANK_PORT in .env``.
    """

    config: Config
    origins: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting as documentation needs it."""

    key: str
    env: str
    kind: str
    default: str
    unit: str
    description: str


@dataclass(frozen=True, slots=True)
class _Layer:
    """Values of one origin, by field name, with the origin of each in words."""

    values: Mapping[str, Any]
    origins: Mapping[str, str]


def load_config(
    start: Path | None = None,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Loaded:
    """Read the settings; the first of these that has a value wins.

    1. ``overrides`` (the command line; values that are None count as not given)
    2. the environment: ``REDSHANK_<FIELD>``, then the founding documents' plain names
    3. ``.env.<environment>``   4. ``.env``   5. ``redshank.toml``   6. the defaults

    Args:
        start: folder with the files; the working directory by default.
        environ: the environment; that of the process by default.
        overrides: values given on the command line.

    Raises:
        ConfigError: a key is unknown, or a value cannot be used; all problems in one message.
    """
    folder = start or Path.cwd()
    given = {key: value for key, value in (overrides or {}).items() if value is not None}
    layers = [
        _Layer(given, dict.fromkeys(given, "the command line")),
        _environment_layer(os.environ if environ is None else environ, "the environment"),
        _dotenv_layer(folder / ".env"),
        _toml_layer(folder / TOML_NAME),
    ]
    layers.insert(2, _dotenv_layer(folder / f".env.{_environment_name(layers)}"))
    return _merged(layers)


def settings() -> Iterator[Setting]:
    """Every setting in the order of :class:`Config`, for ``config show`` and the documentation."""
    for key, info in Config.model_fields.items():
        extra = info.json_schema_extra
        unit = str(extra.get("unit", "")) if isinstance(extra, dict) else ""
        kind = _kind(info.annotation)
        default = _as_text(info.default)
        yield Setting(key, env_name(key), kind, default, unit, info.description or "")


def shown(config: Config) -> dict[str, Any]:
    """The settings as JSON-able values, secrets masked."""
    values = config.model_dump(mode="json")
    for key, value in config:
        if isinstance(value, SecretStr):
            values[key] = _MASK
    return values


def env_name(key: str) -> str:
    """Name of a setting in the environment."""
    return PREFIX + key.upper()


def is_loopback(host: str) -> bool:
    """Whether an address can be reached from this machine only."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint such as ``; did you mean 'port'?``, or nothing if no known name is close."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""


# --- reading the places --------------------------------------------------------------------------


def _environment_layer(environ: Mapping[str, str | None], place: str) -> _Layer:
    """The settings among environment variables; an empty value counts as not set."""
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    unknown = []
    for name, value in environ.items():
        key = _field_of(name)
        if key is None and name.upper().startswith(PREFIX) and name not in _NOT_SETTINGS:
            unknown.append(f"{name} in {place} is not a setting{_nearest_env(name)}")
        if key is None or not value or (key in values and name in FOUNDING_NAMES):
            continue
        values[key], origins[key] = value, f"{name} in {place}"
    if unknown:
        raise ConfigError("\n".join(unknown))
    return _Layer(values, origins)


def _field_of(name: str) -> str | None:
    if name in FOUNDING_NAMES:
        return FOUNDING_NAMES[name]
    key = name.upper().removeprefix(PREFIX).lower()
    return key if name.upper().startswith(PREFIX) and key in Config.model_fields else None


def _nearest_env(name: str) -> str:
    return nearest(name.upper(), map(env_name, Config.model_fields))


def _dotenv_layer(path: Path) -> _Layer:
    if not path.is_file():
        return _Layer({}, {})
    try:
        # Without interpolation, a key with a dollar sign in it stays what it is.
        return _environment_layer(dotenv_values(path, interpolate=False), path.name)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error


def _toml_layer(path: Path) -> _Layer:
    if not path.is_file():
        return _Layer({}, {})
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    unknown = [key for key in values if key not in Config.model_fields]
    if unknown:
        lines = (
            f"{k} in {path.name} is not a setting{nearest(k, Config.model_fields)}" for k in unknown
        )
        raise ConfigError("\n".join(lines))
    return _Layer(values, {key: f"{key} in {path.name}" for key in values})


def _environment_name(layers: Iterable[_Layer]) -> str:
    for layer in layers:
        if name := layer.values.get("environment"):
            return str(name)
    return str(Config.model_fields["environment"].default)


def _merged(layers: Iterable[_Layer]) -> Loaded:
    values: dict[str, Any] = {}
    origins = dict.fromkeys(Config.model_fields, "default")
    for layer in reversed(list(layers)):
        values.update(layer.values)
        origins.update(layer.origins)
    try:
        return Loaded(Config(**values), origins)
    except ValidationError as error:
        raise ConfigError("\n".join(_problems(error, origins))) from None


def _problems(error: ValidationError, origins: Mapping[str, str]) -> Iterator[str]:
    for problem in error.errors(include_url=False):
        message = problem["msg"].removeprefix("Value error, ")
        if not problem["loc"]:
            yield message
            continue
        key = str(problem["loc"][0])
        value = _MASK if _is_secret(key) else repr(problem["input"])
        name = ".".join(map(str, problem["loc"]))
        yield f"{name} = {value} ({origins.get(key, 'given')}) cannot be used: {message}"


def _is_secret(key: str) -> bool:
    field = Config.model_fields.get(key)
    return field is not None and "SecretStr" in str(field.annotation)


# --- words for documentation ---------------------------------------------------------------------


def _kind(annotation: Any) -> str:
    """What a value looks like, for people."""
    text = str(annotation)
    for sign, word in (
        ("Literal['text'", "`text` or `json`"),
        ("Literal['DEBUG'", "`DEBUG`, `INFO`, `WARNING`, `ERROR` or `CRITICAL`"),
        ("Literal['auto'", "`auto`, `number`, `json`, `senml` or `sparkplug`"),
        ("Mapping[str, str]", "`name=text` pairs"),
        ("Mapping", "`name=number` pairs"),
        ("tuple", "list"),
        ("SecretStr", "secret text"),
        ("Path", "path"),
        ("bool", "`true` or `false`"),
        ("int", "whole number"),
        ("float", "number"),
    ):
        if sign in text:
            return word
    return "text"


def _as_text(default: Any) -> str:
    if isinstance(default, tuple):
        return ", ".join(default)
    if isinstance(default, bool):
        return str(default).lower()
    return "" if default in (None, {}) else str(default)
