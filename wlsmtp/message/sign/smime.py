"""S/MIME signatures (RFC 8551 §3.5.3: multipart/signed), by the ``cryptography`` package (``pip install
"wlsmtp[smime]"``)."""

from __future__ import annotations

import re
import secrets
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


def _split(octets: bytes) -> tuple[bytes, bytes]:
    """Split the message into its own fields and the entity to be signed: the content fields and the content."""
    head, _, body = octets.partition(b"\r\n\r\n")
    fields = _FIELD.findall(head + b"\r\n")
    inner = [field for field in fields if field.lower().startswith(b"content-")]
    outer = [field for field in fields if not field.lower().startswith(b"content-")]
    return b"".join(outer), b"".join((*inner, b"\r\n", body))


def _signature(entity: bytes, pem: bytes) -> bytes:
    try:
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.serialization import pkcs7
    except ImportError:
        hint = 'Install it with: pip install "wlsmtp[smime]"'
        raise ConfigError("Signing needs the package cryptography", stage=Stage.SETTINGS, hint=hint) from None
    key, certificate, others = _identity(pem)
    builder = pkcs7.PKCS7SignatureBuilder().set_data(entity)
    builder = builder.add_signer(certificate, key, hashes.SHA256())
    for other in others:
        builder = builder.add_certificate(other)
    options = [pkcs7.PKCS7Options.DetachedSignature, pkcs7.PKCS7Options.Binary]
    return builder.sign(serialization.Encoding.DER, options)


def _identity(pem: bytes) -> tuple[Any, Certificate, list[Certificate]]:
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
    return key, certificates[0], certificates[1:]
