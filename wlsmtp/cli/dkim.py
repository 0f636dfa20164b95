"""``wlsmtp dkim``: make a key to sign with, and compare it with its record in the DNS."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from wlsmtp.cli.once import App
from wlsmtp.cli.report import FAILED, TEMPORARY, USAGE, show_error, write_json
from wlsmtp.errors import ConfigError, Stage
from wlsmtp.message.sign.dkim import load_key
from wlsmtp.message.sign.record import GOOD_BITS, faults_of, in_zone_file, name_of, new_key
from wlsmtp.settings.dkim import DKIM

LIFETIME = 10.0
"""Seconds that a look-up takes at most."""

Domain = Annotated[str, typer.Argument(help="The domain that signs, as in example.com.")]
Selector = Annotated[str, typer.Argument(help="The name of the key, as in s1.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


class Kind(StrEnum):
    """A kind of key."""

    RSA = "rsa"
    ED25519 = "ed25519"


dkim_app: App = App(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Make a key to sign messages with, and check what the DNS says of it.",
    short_help="Make and check keys of DKIM.",
)


@dkim_app.command(short_help="Make a key, and the record for the DNS.")
def keygen(
    domain: Domain,
    selector: Selector,
    kind: Annotated[Kind, typer.Option("--type", help="What every server verifies is rsa.")] = Kind.RSA,
    bits: Annotated[int, typer.Option(min=1024, max=4096, help="The size of an RSA key.")] = GOOD_BITS,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="PATH", help="Default: DOMAIN.SELECTOR.pem")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write a new private key to a file that only its owner can read, and print the TXT record of the public key.

    \b
    Exit codes:
      0   the key was made
      1   the file cannot be written, or already exists
      2   the options are wrong
    """
    path = output or Path(f"{domain}.{selector}.pem")
    with _errors_shown():
        key = DKIM(domain, selector, key=path)
        pem, record = new_key(kind.value, bits)
        _write(path, pem)
    name = name_of(key.domain, key.selector)
    if as_json:
        write_json({"name": name, "type": "TXT", "value": record, "key": str(path)})
        return
    typer.echo(f"The private key is in {path}. Put this record into the DNS:\n")
    typer.echo(f"name   {name}\ntype   TXT\nvalue  {record}\n\nor, in a zone file:\n\n{in_zone_file(name, record)}\n")
    typer.echo(f"Then: wlsmtp dkim check {key.domain} {key.selector} --key {path}")


@dkim_app.command(short_help="Compare the record in the DNS with the key.")
def check(
    domain: Domain,
    selector: Selector,
    key: Annotated[
        Path | None, typer.Option("--key", metavar="PATH", help="The private key, in PEM, that signs.")
    ] = None,
    nameserver: Annotated[
        str | None, typer.Option(metavar="ADDRESS[:PORT]", help="Whom to ask, instead of the system's name servers.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Look up the TXT record of a key, and report what verifiers would find wrong with it.

    \b
    Exit codes:
      0   the record is right
      1   it is wrong, or not there
      2   the options are wrong, or the key cannot be used
      75  the DNS did not answer
    """
    with _errors_shown():
        settings = DKIM(domain, selector, key=key or Path("unused"))
        private = load_key(settings.read_key()) if key is not None else None
        name = name_of(settings.domain, settings.selector)
        records = _look_up(name, nameserver)
        faults = list(faults_of(records, private)) if records else ["there is no TXT record"]
    if as_json:
        write_json({"name": name, "records": records, "faults": faults})
    else:
        for record in records:
            typer.echo(f"{name}  {record!r}")
        for fault in faults:
            typer.echo(f"{name}: {fault}", err=True)
        if not faults:
            typer.echo(
                "The record is right." if private is not None else "The record is right; --key compares the key."
            )
    if faults:
        raise typer.Exit(FAILED)


def _write(path: Path, pem: bytes) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        typer.echo(f"{path} already exists, and is not overwritten: give another --output", err=True)
        raise typer.Exit(FAILED) from None
    except OSError as error:
        typer.echo(f"{path} cannot be written ({error.strerror})", err=True)
        raise typer.Exit(FAILED) from None
    with open(descriptor, "wb") as file:
        file.write(pem)


def _look_up(name: str, nameserver: str | None) -> list[str]:
    """The TXT records; none where there is no such name. Ends the command when the DNS does not answer."""
    try:
        import dns.exception
        import dns.resolver
    except ImportError:
        hint = 'Install it with: pip install "wlsmtp[dns]"'
        raise ConfigError("dkim check needs the package dnspython", stage=Stage.SETTINGS, hint=hint) from None
    try:
        resolver = _resolver(dns.resolver, nameserver)
        answer = resolver.resolve(f"{name}.", "TXT", lifetime=LIFETIME)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return []
    except (dns.exception.DNSException, OSError) as error:
        typer.echo(f"{name} cannot be looked up: {error}", err=True)
        raise typer.Exit(TEMPORARY) from None
    return [b"".join(record.strings).decode("ascii", "backslashreplace") for record in answer]


def _resolver(resolver: Any, nameserver: str | None) -> Any:
    if nameserver is None:
        return resolver.Resolver()
    address, colon, port = nameserver.rpartition(":")
    if not colon or (address.count(":") and not address.endswith("]")):
        address, port = nameserver, "53"
    asked = resolver.Resolver(configure=False)
    try:
        asked.port = int(port)
        asked.nameservers = [address.strip("[]")]
    except ValueError:
        words = "--nameserver: must be an IP address, and perhaps a port, such as 192.0.2.1:53"
        raise ConfigError(words, stage=Stage.SETTINGS) from None
    return asked


@contextmanager
def _errors_shown() -> Iterator[None]:
    try:
        yield
    except ConfigError as error:
        show_error(error)
        raise typer.Exit(USAGE) from None
