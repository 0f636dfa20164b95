"""The public side of a DKIM key: new keys, the TXT record of one (RFC 6376 §3.6.1), and what is wrong with a record."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from typing import Any, Literal

from wlsmtp.message.sign.dkim import LEAST_BITS, not_installed

_SPACE = re.compile(r"\s+")
GOOD_BITS = 2048
"""RFC 8301 §3.2: signers should use no shorter RSA key."""


def new_key(kind: Literal["rsa", "ed25519"], bits: int = GOOD_BITS) -> tuple[bytes, str]:
    """A private key in PEM, and the value of the TXT record of its public key. Raises ``ConfigError`` without
    ``cryptography``."""
    try:
        from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
        from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
    except ImportError:
        raise not_installed() from None
    key: Any = rsa.generate_private_key(65537, bits) if kind == "rsa" else ed25519.Ed25519PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), record_of(key)


def record_of(key: Any) -> str:
    """The value of the TXT record of a private key."""
    kind = "rsa" if hasattr(key, "key_size") else "ed25519"
    return f"v=DKIM1; k={kind}; p={_base64_of(key.public_key())}"


def name_of(domain: str, selector: str) -> str:
    """The name of the record."""
    return f"{selector}._domainkey.{domain}"


def in_zone_file(name: str, value: str) -> str:
    """The record as a zone file has it, in strings of 255 octets at most."""
    strings = " ".join(f'"{value[start : start + 255]}"' for start in range(0, len(value), 255))
    return f"{name}. IN TXT ( {strings} )"


def faults_of(records: list[str], key: Any = None) -> Iterator[str]:
    """Return the faults of the TXT records at the name of a key. They must match the private ``key`` if it is given."""
    own = [record for record in records if "p=" in record]
    if len(own) != 1:
        yield f"there are {len(own)} records of keys, and verifiers need exactly one"
        return
    tags = tags_of(own[0])
    if tags.get("v", "DKIM1") != "DKIM1" or ("v" in tags and next(iter(tags)) != "v"):
        yield "the record must begin with v=DKIM1"
    if tags["p"] == "":
        yield "the key was revoked: p= is empty"
        return
    if "sha256" not in tags.get("h", "sha256").split(":"):
        yield f"h={tags['h']} does not allow sha256"
    if not {"*", "email"}.intersection(tags.get("s", "*").split(":")):
        yield f"s={tags['s']} does not allow mail"
    if "y" in tags.get("t", "").split(":"):
        yield "t=y says that the domain is only testing DKIM: verifiers need not count the signature"
    yield from _faults_of_key(tags, key)


def _faults_of_key(tags: dict[str, str], key: Any) -> Iterator[str]:
    kind = tags.get("k", "rsa")
    if kind not in ("rsa", "ed25519"):
        yield f"k={kind} is no kind of key that is known here"
        return
    public = _public_key(kind, tags["p"])
    if public is None:
        yield f"p= is no public key of the kind {kind} (one cut short, or a letter lost?)"
        return
    bits = getattr(public, "key_size", None)
    if bits is not None and bits < GOOD_BITS:
        what = "verifiers accept none" if bits < LEAST_BITS else "some do not accept it"
        yield f"the key has {bits} bits: {what}; use {GOOD_BITS} (RFC 8301)"
    if key is not None and _base64_of(key.public_key()) != _base64_of(public):
        yield "the record is that of another key than the private one"


def _public_key(kind: str, text: str) -> Any:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    try:
        octets = base64.b64decode(text, validate=True)
        if kind == "ed25519":
            return Ed25519PublicKey.from_public_bytes(octets)
        public = load_der_public_key(octets)
    except (ValueError, binascii.Error, UnsupportedAlgorithm):
        return None
    return public if isinstance(public, RSAPublicKey) else None


def _base64_of(public: Any) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    if hasattr(public, "key_size"):
        octets = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    else:
        octets = public.public_bytes(Encoding.Raw, PublicFormat.Raw)
    return base64.b64encode(octets).decode()


def tags_of(record: str) -> dict[str, str]:
    """The tags of a record, without white space (RFC 6376 §3.2)."""
    pairs = (tag.partition("=") for tag in record.split(";") if tag.strip())
    return {name.strip(): _SPACE.sub("", value) for name, _, value in pairs}
