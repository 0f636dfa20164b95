"""Keys to sign with, what the DNS says of them, and what dkimpy, which is not of this project, finds in a message."""

from __future__ import annotations

import base64
from functools import cache

import dkim
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from wlsmtp import DKIM

DOMAIN = "example.com"
SELECTORS = ("rsa", "ed")


@cache
def pem(selector: str) -> str:
    """The private key of a selector, made once."""
    key = generate_private_key(65537, 2048) if selector == "rsa" else Ed25519PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@cache
def record(selector: str) -> str:
    """The TXT record of its public key."""
    key = load_pem_private_key(pem(selector).encode(), None).public_key()
    if selector == "rsa":
        return f"v=DKIM1; k=rsa; p={_base64(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))}"
    return f"v=DKIM1; k=ed25519; p={_base64(key.public_bytes(Encoding.Raw, PublicFormat.Raw))}"


def _base64(octets: bytes) -> str:
    return base64.b64encode(octets).decode()


def key(selector: str) -> DKIM:
    """What a session is given."""
    return DKIM(DOMAIN, selector, key=pem(selector))


def both() -> list[DKIM]:
    """Both of them."""
    return [key(selector) for selector in SELECTORS]


def verified(octets: bytes) -> list[str]:
    """The selectors of the signatures of a message, all of which dkimpy must find valid."""
    found = dkim.DKIM(octets)
    fields = [value for name, value in found.headers if name.lower() == b"dkim-signature"]
    selectors = []
    for place, field in enumerate(fields):
        assert dkim.DKIM(octets).verify(place, dnsfunc=_look_up), field
        selectors.append(tags(field)["s"])
    return selectors


def tags(field: bytes) -> dict[str, str]:
    """The tags of a DKIM-Signature field."""
    pairs = (tag.partition("=") for tag in b"".join(field.split()).decode().split(";"))
    return {name: value for name, _, value in pairs}


def _look_up(name: bytes, timeout: int = 5) -> bytes:
    selector, _, domain = name.decode().partition("._domainkey.")
    assert domain.rstrip(".") == DOMAIN
    return record(selector).encode()
