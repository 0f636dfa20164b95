"""DKIM signatures (RFC 6376, RFC 8463): which header fields are signed, and the field that says so. By the
``cryptography`` package (``pip install "wlsmtp[dkim]"``)."""

from __future__ import annotations

import hashlib
from binascii import b2a_base64
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from wlsmtp.errors import ConfigError, MessageError, Stage
from wlsmtp.message.section import fields_of, start_of
from wlsmtp.message.sign.canonical import relaxed_value

if TYPE_CHECKING:
    from wlsmtp.settings.dkim import DKIM

ALWAYS = (b"from", b"to", b"cc", b"subject", b"reply-to")
"""Signed once more than they are there, even if they are not there: nobody can add one (§8.15)."""
WHEN_PRESENT = frozenset({
    b"sender", b"date", b"message-id", b"in-reply-to", b"references", b"mime-version", b"content-type",
    b"content-transfer-encoding", b"list-unsubscribe", b"list-unsubscribe-post", b"list-id", b"list-help",
    b"list-subscribe", b"list-post", b"list-owner", b"list-archive", b"auto-submitted", b"importance",
    b"disposition-notification-to", b"resent-from", b"resent-sender", b"resent-to", b"resent-cc", b"resent-date",
    b"resent-message-id",
})  # fmt: skip
"""Signed once more than they are there, if they are there. A relay or a mailing list may add one that is not."""
LEAST_BITS = 1024
"""RFC 8301 §3.2: no verifier may accept a shorter RSA key."""
_WIDTH = 74


@dataclass(frozen=True, slots=True)
class Signer:
    """A key that was read, for a domain and a selector."""

    domain: str
    selector: str
    algorithm: str
    sign: Callable[[bytes], bytes]
    """From the octets that are signed to the signature."""
    size: int
    """Octets of the field beside the tags that ``Draft`` has."""
    names: frozenset[bytes]
    """The fields that are signed if they are there."""
    expires_after: int | None


@dataclass(frozen=True, slots=True)
class Draft:
    """A signature of which only the hash of the body is missing; its size is known."""

    signer: Signer
    signed_fields: bytes
    """The header fields that are signed, in canonical form."""
    tags: str
    """The value of the field up to the hash of the body, folded."""

    @property
    def size(self) -> int:
        """Octets of the field."""
        return len(self.tags) + self.signer.size

    def field(self, body_hash: bytes) -> bytes:
        """The whole DKIM-Signature field."""
        unsigned = b"%b\r\n\tbh=%b;\r\n\tb=" % (self.tags.encode(), b2a_base64(body_hash, newline=False))
        own = b"dkim-signature:" + relaxed_value(unsigned)
        return _field(unsigned, self.signer.sign(self.signed_fields + own))


def _field(unsigned: bytes, signature: bytes) -> bytes:
    """The field with its signature, folded."""
    text = b2a_base64(signature, newline=False)
    first = _WIDTH - len("b=")
    lines = [text[:first], *[text[start : start + _WIDTH] for start in range(first, len(text), _WIDTH)]]
    return b"DKIM-Signature: %b%b\r\n" % (unsigned, b"\r\n\t".join(lines))


def _size(signature_size: int) -> int:
    unsigned = b"\r\n\tbh=%b;\r\n\tb=" % b2a_base64(bytes(32), newline=False)
    return len(_field(unsigned, bytes(signature_size)))


def drafts(signers: Iterable[Signer], head: bytes, now: int) -> list[Draft]:
    """Return the drafts that each key will sign of a header section. Raises ``MessageError`` for a section that cannot
    be signed: it has no From, or a line that is not a field."""
    if start_of(head):
        words = "The message begins with a line of a mailbox file ('From …'), and cannot be signed"
        raise MessageError(words, stage=Stage.MESSAGE, hint="Leave the line out: it is not part of the message")
    fields: dict[bytes, list[bytes]] = {}
    for field in fields_of(head):
        fields.setdefault(field[1].lower(), []).append(field[2])
    if b"from" not in fields:
        words = "The message has no From field, which a DKIM signature must cover (RFC 6376 §5.4)"
        raise MessageError(words, stage=Stage.MESSAGE, hint="Add From, as RFC 5322 §3.6 asks for")
    made: list[Draft] = []
    latest: tuple[frozenset[bytes], bytes, str] | None = None
    for signer in signers:
        if latest is None or latest[0] != signer.names:  # two keys of a domain sign the same
            latest = (signer.names, *_selected(fields, signer.names))
        made.append(Draft(signer, latest[1], _tags(signer, latest[2], now)))
    return made


def _selected(fields: dict[bytes, list[bytes]], names: frozenset[bytes]) -> tuple[bytes, str]:
    """The fields to be signed in canonical form, and the tag that names them: one more of each than there are."""
    signed: list[bytes] = []
    listed: list[bytes] = []
    for name, values in fields.items():
        if name in names:
            # Of several fields of a name the last one comes first (§5.4.2).
            signed += [b"%b:%b\r\n" % (name, relaxed_value(value)) for value in reversed(values)]
            listed += [name] * (len(values) + 1)
    listed += [name for name in ALWAYS if name not in fields]
    return b"".join(signed), _names_tag(tuple(listed))


@lru_cache(maxsize=256)
def _names_tag(names: tuple[bytes, ...]) -> str:
    """The tag ``h=``, folded. Messages that are alike have the same."""
    text, column = "h=", 2
    for place, name in enumerate(names, 1):
        piece = name.decode() + (":" if place < len(names) else ";")
        if column + len(piece) > _WIDTH:
            text, column = f"{text}\r\n\t", 0
        text, column = text + piece, column + len(piece)
    return text


def _tags(signer: Signer, names_tag: str, now: int) -> str:
    expiry = f" x={now + signer.expires_after};" if signer.expires_after is not None else ""
    start = f"v=1; a={signer.algorithm}; c=relaxed/relaxed;\r\n\td={signer.domain}; s={signer.selector};"
    return f"{start}\r\n\tt={now};{expiry}\r\n\t{names_tag}"


def signers_of(keys: Iterable[DKIM]) -> tuple[Signer, ...]:
    """Read and check keys. Raises ``ConfigError`` for one that cannot sign."""
    return tuple(_signer(key.domain, key.selector, key.read_key(), key.headers, key.expires_after) for key in keys)


@lru_cache(maxsize=64)
def _signer(domain: str, selector: str, pem: bytes, headers: tuple[str, ...], expires_after: int | None) -> Signer:
    """By the octets of the key, so that each is checked once and a file with another key is another key."""
    key = load_key(pem)
    names = WHEN_PRESENT.union(ALWAYS, map(str.encode, headers))
    if hasattr(key, "key_size"):
        sign, size = _by_rsa(key), _size((key.key_size + 7) // 8)
        return Signer(domain, selector, "rsa-sha256", sign, size, names, expires_after)
    return Signer(domain, selector, "ed25519-sha256", _by_ed25519(key), _size(64), names, expires_after)


def _by_rsa(key: Any) -> Callable[[bytes], bytes]:
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.hashes import SHA256

    padding, algorithm = PKCS1v15(), SHA256()
    return lambda octets: bytes(key.sign(octets, padding, algorithm))


def _by_ed25519(key: Any) -> Callable[[bytes], bytes]:
    return lambda octets: bytes(key.sign(hashlib.sha256(octets).digest()))  # RFC 8463 §3


def load_key(pem: bytes) -> Any:
    """A private key of the ``cryptography`` package. Raises ``ConfigError`` that says what is wrong with it, and
    repeats nothing of it."""
    try:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
    except ImportError:
        raise not_installed() from None
    try:
        key = load_pem_private_key(pem, None)
    except TypeError:
        raise _unusable("is encrypted; decrypt it with: openssl pkey -in KEY -out PLAIN_KEY") from None
    except (ValueError, UnsupportedAlgorithm):
        raise _unusable("must be a private key in PEM") from None
    if not isinstance(key, RSAPrivateKey | Ed25519PrivateKey):
        raise _unusable("must be an RSA or an Ed25519 key (RFC 8463)")
    if isinstance(key, RSAPrivateKey) and key.key_size < LEAST_BITS:
        raise _unusable(f"has {key.key_size} bits, and verifiers accept none under {LEAST_BITS}; use 2048 (RFC 8301)")
    return key


def not_installed() -> ConfigError:
    """The error without the ``cryptography`` package."""
    hint = 'Install it with: pip install "wlsmtp[dkim]"'
    return ConfigError("dkim: needs the package cryptography", stage=Stage.SETTINGS, hint=hint)


def _unusable(why: str) -> ConfigError:
    return ConfigError(f"dkim.key: {why}", stage=Stage.SETTINGS)
