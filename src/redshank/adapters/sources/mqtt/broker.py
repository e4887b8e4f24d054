"""Which broker, and how to log in there."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from redshank.core.errors import ConfigError

PORTS = {"mqtt": 1883, "mqtts": 8883}


@dataclass(frozen=True, slots=True)
class Broker:
    """Address and credentials.

    Attributes:
        host: name or address.
        port: TCP port.
        user: user name, None for none.
        password: password, None for none.
        tls: whether to encrypt.
        ca_file: certificates to trust instead of the system's.
        cert_file: our own certificate.
        key_file: its key; None if it is in the same file.
    """

    host: str
    port: int = 1883
    user: str | None = None
    password: str | None = None
    tls: bool = False
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'mqtts' if self.tls else 'mqtt'}://{host}:{self.port}"

    @classmethod
    def at(
        cls,
        url: str,
        password: str | None = None,
        ca_file: Path | None = None,
        cert_file: Path | None = None,
        key_file: Path | None = None,
    ) -> Broker:
        """The broker of an address such as ``mqtts://user@broker.example:8883``.

        Raises:
            ConfigError: the address is none, or carries a password.
        """
        parts = urlsplit(url)
        try:
            port = parts.port
        except ValueError as error:
            raise ConfigError(f"mqtt_url = {url!r} cannot be used: {error}") from None
        if parts.password is not None:
            raise ConfigError("mqtt_url holds a password: put it into mqtt_password instead")
        if parts.scheme not in PORTS or not parts.hostname:
            raise ConfigError(f"mqtt_url = {url!r} is not mqtt://[USER@]HOST[:PORT] or mqtts://…")
        tls = parts.scheme == "mqtts"
        if not tls and (ca_file or cert_file):
            raise ConfigError("certificates need an encrypted connection: mqtts:// in mqtt_url")
        user = unquote(parts.username) if parts.username else None
        return cls(
            parts.hostname,
            port or PORTS[parts.scheme],
            user,
            password,
            tls,
            ca_file,
            cert_file,
            key_file,
        )

    def context(self) -> ssl.SSLContext | None:
        """How to encrypt, None if not at all.

        Raises:
            ConfigError: a certificate or key cannot be read.
        """
        if not self.tls:
            return None
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(f"mqtt_ca_file {self.ca_file} cannot be read: {error}") from error
        if self.cert_file is not None:
            try:
                context.load_cert_chain(self.cert_file, self.key_file, password="")
            except (OSError, ssl.SSLError) as error:
                files = f"mqtt_cert_file {self.cert_file} with mqtt_key_file {self.key_file}"
                raise ConfigError(f"{files} cannot be used: {error}") from error
        return context
