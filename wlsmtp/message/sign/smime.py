"""S/MIME (RFC 8551): signatures (§3.5.3, multipart/signed) and encryption (§3.3, enveloped data), by the
``cryptography`` package (``pip install "wlsmtp[smime]"``)."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from functools import lru_cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from wlsmtp.errors import ConfigError, MessageError, Stage
from wlsmtp.message.transfer import base64_lines

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

_CERTIFICATE = re.compile(b"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
_FIELD = re.compile(rb"[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*")


def sign(octets: bytes, pem: bytes) -> bytes:
    """Return a written message with a detached signature.

    ``pem`` holds the sender's certificate first, then those of intermediate authorities, and the unencrypted private
    key. The signed part is 7-bit, so that no server has a reason to change it. Raises ``MessageError`` when it is not,
    or when ``pem`` cannot be used, and ``ConfigError`` without ``cryptography``.
    """
    if not octets.isascii():
        words = "A message with characters outside ASCII in its header, or 8-bit content, cannot be signed"
        raise MessageError(words, stage=Stage.MESSAGE)
    head, entity = _split(octets)
    boundary = f"=_{secrets.token_hex(16)}".encode()
    return b"".join((
        head,
        b'Content-Type: multipart/signed; protocol="application/pkcs7-signature";\r\n',
        b' micalg="sha-256"; boundary="', boundary, b'"\r\n\r\n--', boundary, b"\r\n",
        # The line end before a delimiter belongs to the delimiter (RFC 2046 §5.1.1).
        entity, b"\r\n--", boundary, b"\r\n",
        b'Content-Type: application/pkcs7-signature; name="smime.p7s"\r\nContent-Transfer-Encoding: base64\r\n',
        b'Content-Disposition: attachment; filename="smime.p7s"\r\n\r\n',
        base64_lines(_signature(entity, pem)), b"\r\n--", boundary, b"--\r\n",
    ))  # fmt: skip


def encrypt(octets: bytes, certificates: Iterable[bytes]) -> bytes:
    """A written message that only the owners of ``certificates``, in DER, can read; its header fields stay as they are.
    The cipher is AES-256 in CBC mode, as most mail programs read no other."""
    from cryptography.hazmat.primitives.ciphers.algorithms import AES256
    from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
    from cryptography.x509 import load_der_x509_certificate

    head, entity = _split(octets)
    builder = pkcs7.PKCS7EnvelopeBuilder().set_data(entity).set_content_encryption_algorithm(AES256)
    for certificate in certificates:
        builder = builder.add_recipient(load_der_x509_certificate(certificate))
    return b"".join((
        head,
        b'Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name="smime.p7m"\r\n',
        b'Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename="smime.p7m"\r\n\r\n',
        base64_lines(builder.encrypt(Encoding.DER, [pkcs7.PKCS7Options.Binary])),
    ))  # fmt: skip


def _split(octets: bytes) -> tuple[bytes, bytes]:
    """Split the message into its own fields and the entity to be signed: the content fields and the content."""
    head, _, body = octets.partition(b"\r\n\r\n")
    fields = _FIELD.findall(head + b"\r\n")
    inner = [field for field in fields if field.lower().startswith(b"content-")]
    outer = [field for field in fields if not field.lower().startswith(b"content-")]
    return b"".join(outer), b"".join((*inner, b"\r\n", body))


def _signature(entity: bytes, pem: bytes) -> bytes:
    key, certificate, others = identity(pem)
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.serialization import pkcs7

    builder = pkcs7.PKCS7SignatureBuilder().set_data(entity)
    builder = builder.add_signer(certificate, key, hashes.SHA256())
    for other in others:
        builder = builder.add_certificate(other)
    options = [pkcs7.PKCS7Options.DetachedSignature, pkcs7.PKCS7Options.Binary]
    return builder.sign(serialization.Encoding.DER, options)


@lru_cache(maxsize=16)
def identity(pem: bytes) -> tuple[Any, Certificate, list[Certificate]]:
    """The private key, its certificate and those of the authorities between, checked once. Raises ``MessageError`` for
    what cannot sign, ``ConfigError`` without ``cryptography``."""
    _check_installed()
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from cryptography.x509 import load_pem_x509_certificate

    key: Any = None
    certificates: list[Certificate] = []
    try:
        certificates = [load_pem_x509_certificate(found) for found in _CERTIFICATE.findall(pem)]
        key = load_pem_private_key(pem, None)
        is_pair = bool(certificates) and key.public_key() == certificates[0].public_key()
    except (ValueError, TypeError):
        is_pair = False
    if not is_pair:
        words = "The certificate to sign with must be in PEM, with its private key, which is not encrypted"
        raise MessageError(words, stage=Stage.MESSAGE)
    if not isinstance(key, RSAPrivateKey | EllipticCurvePrivateKey):
        words = "The certificate to sign with must have an RSA or an elliptic-curve key (NIST curves)"
        raise MessageError(words, stage=Stage.MESSAGE)
    return key, certificates[0], certificates[1:]


def decrypted(key: bytes, password: str | bytes) -> bytes:
    """A private key in PEM that its password has opened, without it. Raises ``MessageError``."""
    _check_installed()
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

    try:
        opened = load_pem_private_key(key, password.encode() if isinstance(password, str) else password)
    except (ValueError, TypeError):
        words = "The private key cannot be opened: its password is wrong, or it is not in PEM, or not encrypted"
        raise MessageError(words, stage=Stage.MESSAGE) from None
    return opened.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def certificate_of(value: Any) -> Certificate:
    """A certificate in PEM or DER, or of ``cryptography`` itself. Raises ``MessageError``."""
    _check_installed()
    from cryptography.x509 import Certificate, load_der_x509_certificate, load_pem_x509_certificate

    if isinstance(value, Certificate):
        return value
    found = _CERTIFICATE.search(value)
    try:
        return load_pem_x509_certificate(found[0]) if found else load_der_x509_certificate(value)
    except ValueError:
        raise MessageError("The certificate is neither PEM nor DER", stage=Stage.MESSAGE) from None


def recipient(certificate: Certificate) -> bytes:
    """The certificate of a recipient in DER. Raises ``MessageError`` when it is not RSA."""
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.serialization import Encoding

    if not isinstance(certificate.public_key(), RSAPublicKey):
        name = certificate.subject.rfc4514_string()
        words = f"The certificate of {name} has no RSA key, and messages are encrypted for RSA keys only"
        raise MessageError(words, stage=Stage.MESSAGE, hint="Ask its owner for an RSA certificate")
    return certificate.public_bytes(Encoding.DER)


def _check_installed() -> None:
    if find_spec("cryptography") is None:
        hint = 'Install it with: pip install "wlsmtp[smime]"'
        words = "S/MIME needs the package cryptography"
        raise ConfigError(words, stage=Stage.SETTINGS, hint=hint)
