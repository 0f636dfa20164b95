"""The options that name the server, shared by the commands, and their conversion to a ``SessionConfig``."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from wlsmtp.errors import ConfigError, Stage
from wlsmtp.events import Listener
from wlsmtp.presets import PRESETS
from wlsmtp.settings.config import TLS, Security, SessionConfig
from wlsmtp.settings.limits import RetryPolicy

Url = Annotated[
    str | None, typer.Option("--url", "-u", metavar="URL", help="smtp+tls://user:password@host:587, smtp://, smtps://")
]


def _presets_like(incomplete: str) -> list[str]:
    return [name for name in PRESETS if name.startswith(incomplete)]


Preset = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="A known provider or mail domain: gmail, orange.fr …", autocompletion=_presets_like
    ),
]
Server = Annotated[str | None, typer.Option(metavar="HOST", help="The server's name or address.")]
Port = Annotated[int | None, typer.Option(metavar="N", help="Default: 25, 587 (tls) or 465 (ssl).")]
SecurityOption = Annotated[
    Security | None, typer.Option("--security", help="tls: STARTTLS or an error; ssl: TLS from the first byte.")
]
Username = Annotated[str | None, typer.Option(metavar="NAME", help="The user to log in as.")]
# Everybody on the machine can read the arguments of a process: the option is for tests, and hidden.
Password = Annotated[str | None, typer.Option(hidden=True)]
PasswordFile = Annotated[Path | None, typer.Option(metavar="FILE", help="A file whose first line is the password.")]
AskPassword = Annotated[bool, typer.Option("--ask-password", help="Ask for the password.")]
CaFile = Annotated[
    Path | None, typer.Option(metavar="FILE", help="A PEM file of the authorities to trust instead of the system's.")
]
Fingerprint = Annotated[
    list[str] | None,
    typer.Option(metavar="SHA256", help="The certificate to trust, by its SHA-256 fingerprint; may be repeated."),
]
Insecure = Annotated[
    bool, typer.Option("--insecure", help="Trust any certificate: others may read and change what is sent.")
]
TokenFile = Annotated[
    Path | None, typer.Option(metavar="FILE", help="A file whose first line is an OAuth 2.0 access token.")
]
LocalHostname = Annotated[str | None, typer.Option(metavar="NAME", help="The name to give with EHLO.")]
Proxy = Annotated[str | None, typer.Option(metavar="URL", help="socks5://, socks4:// or http:// host:port.")]
Timeout = Annotated[float | None, typer.Option(metavar="SECONDS", help="The longest silence at any stage.")]
Attempts = Annotated[int | None, typer.Option(metavar="N", help="Number of attempts; default 3.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object, errors included.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show the conversation on standard error.")]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ServerOptions:
    """The options about the server: one of url, preset and server; without any, the environment.

    No ``repr``: it may contain a password.
    """

    url: str | None = None
    preset: str | None = None
    server: str | None = None
    port: int | None = None
    security: Security | None = None
    username: str | None = None
    password: str | None = None
    password_file: Path | None = None
    ask_password: bool = False
    token_file: Path | None = None
    ca_file: Path | None = None
    fingerprint: Sequence[str] = ()
    insecure: bool = False
    local_hostname: str | None = None
    proxy: str | None = None
    timeout: float | None = None

    def config(self, *, listeners: Sequence[Listener] = (), attempts: int | None = None) -> SessionConfig:
        """Return the settings. Raises ``ConfigError``."""
        fields: dict[str, Any] = {**self._fields(), "listeners": tuple(listeners)}
        if attempts is not None:
            fields["retry"] = RetryPolicy(attempts=attempts)
        _at_most_one({"--url": self.url, "--preset": self.preset, "--server": self.server})
        if self.url is not None:
            return SessionConfig.from_url(self.url, **fields)
        if self.preset is not None:
            return SessionConfig.from_preset(self.preset, **fields)
        if self.server is not None:
            # Alone, as a password meant for the server in the environment must not go to this one.
            return SessionConfig(server=self.server, **fields)
        return self._from_env(fields)

    def _from_env(self, fields: dict[str, Any]) -> SessionConfig:
        # These stand for options of "wlsmtp outbox"; no other command has them.
        environ = {name: value for name, value in os.environ.items() if name not in ("WLSMTP_OUTBOX", "WLSMTP_PACE")}
        try:
            return SessionConfig.from_env(environ, **fields)
        except ConfigError as error:
            error.hint = error.hint or "Or name the server with --url, --preset or --server"
            raise

    def _fields(self) -> dict[str, Any]:
        if self.timeout is not None and not 0 < self.timeout < math.inf:
            raise wrong("--timeout: must be a number of seconds greater than 0")
        given = {
            "port": self.port,
            "security": self.security,
            "username": self.username,
            "password": self._password(),
            "proxy": self.proxy,
            "timeout": self.timeout,
            "token": _first_line("--token-file", self.token_file) if self.token_file is not None else None,
            "local_hostname": self.local_hostname,
            "tls": self._tls(),
        }
        return {name: value for name, value in given.items() if value is not None}

    def _tls(self) -> TLS | None:
        """Return the certificates to trust; None if no option says so."""
        pins = tuple(self.fingerprint) or None
        _at_most_one({"--ca-file": self.ca_file, "--fingerprint": pins, "--insecure": self.insecure or None})
        if not (self.ca_file or pins or self.insecure):
            return None
        if self.ca_file is not None:
            _check_readable("--ca-file", self.ca_file)
        return TLS(ca_file=self.ca_file, fingerprint=pins or (), verify=not self.insecure)

    def _password(self) -> str | None:
        asked = self.ask_password or None
        _at_most_one({"--password": self.password, "--password-file": self.password_file, "--ask-password": asked})
        if self.password_file is not None:
            return _first_line("--password-file", self.password_file)
        if self.ask_password:
            return _asked_password()
        return self.password


def _asked_password() -> str:
    try:
        return str(typer.prompt("Password", hide_input=True, err=True))
    except typer.Abort as error:
        if isinstance(error.__context__, EOFError):
            raise wrong("--ask-password: there is nobody to ask", hint="Give --password-file") from None
        raise


def _at_most_one(options: dict[str, object]) -> None:
    given = [name for name, value in options.items() if value is not None]
    if len(given) > 1:
        raise wrong(f"{' and '.join(given)} cannot be combined; give one of them")


def _check_readable(option: str, file: Path) -> None:
    try:
        file.open("rb").close()
    except OSError as error:
        raise wrong(f"{option}: cannot be read ({error.strerror})") from None


def _first_line(option: str, file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").split("\n", 1)[0].removesuffix("\r")
    except (OSError, ValueError) as error:
        raise wrong(f"{option}: cannot be read ({getattr(error, 'strerror', None) or 'not UTF-8'})") from None


def wrong(message: str, hint: str | None = None) -> ConfigError:
    """Return the error for invalid options."""
    return ConfigError(message, stage=Stage.SETTINGS, hint=hint)


_HOST_AND_PORT = re.compile(r"([\w.-]+|\[[\da-fA-F:.]+\])(?::(\d{1,5}))?")
_SECURITY_OF_PORT = {465: Security.SSL, 2465: Security.SSL, 587: Security.TLS, 2587: Security.TLS}


def with_address(options: ServerOptions, address: str) -> ServerOptions:
    """Return the options with the server that was given without an option: as a URL, or as ``host:port``, whose port
    determines the security unless --security does."""
    if (found := _HOST_AND_PORT.fullmatch(address)) is None:
        # What has neither a scheme nor a password is meant as a host: the error about it says more.
        is_host = address != "" and not re.search(r"[a-z]:/?/?|[@(?#]", address, re.IGNORECASE)
        return replace(options, server=address) if is_host else replace(options, url=address)
    port = int(found[2]) if found[2] else options.port
    if found[2] and options.port not in (None, port):
        raise wrong("the port is given twice")
    security = options.security or _SECURITY_OF_PORT.get(port or 0)
    return replace(options, server=found[1].strip("[]"), port=port, security=security)
