"""S/MIME signatures, as OpenSSL sees them."""

from __future__ import annotations

import shutil
import subprocess
from email import message_from_bytes, policy
from pathlib import Path

import pytest
import trustme

from wlsmtp import Attachment, Message, MessageError
from wlsmtp.message.sign.smime import sign

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="the program openssl is missing")

MESSAGE = Message(
    "ann@example.com", "bob@example.org", subject="Grüße", text="Hällo\n.\nFrom here",
    attachments=[Attachment.from_bytes(bytes(range(256)), "all.bin")],
)  # fmt: skip


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def pem(authority: trustme.CA) -> bytes:
    """A certificate and its key."""
    return authority.issue_cert("ann@example.com").private_key_and_cert_chain_pem.bytes()


def verify(signed: bytes, authority: trustme.CA, directory: Path) -> subprocess.CompletedProcess[bytes]:
    """Ask OpenSSL."""
    (directory / "mail.eml").write_bytes(signed)
    authority.cert_pem.write_to_path(directory / "ca.pem")
    command = ["openssl", "cms", "-verify", "-in", "mail.eml", "-CAfile", "ca.pem", "-purpose", "any"]
    return subprocess.run(command, cwd=directory, capture_output=True, timeout=60)


@needs_openssl
@pytest.mark.parametrize("line_end", [b"\r\n", b"\n"], ids=["as sent", "as stored"])
def test_openssl_accepts_the_signature_and_finds_the_message_in_it(
    line_end: bytes, authority: trustme.CA, pem: bytes, tmp_path: Path
) -> None:
    done = verify(sign(bytes(MESSAGE), pem).replace(b"\r\n", line_end), authority, tmp_path)
    assert done.returncode == 0, done.stderr
    email = message_from_bytes(done.stdout, policy=policy.default)
    (attachment,) = email.iter_attachments()
    assert attachment.get_content() == bytes(range(256))


@needs_openssl
def test_openssl_refuses_a_changed_message(authority: trustme.CA, pem: bytes, tmp_path: Path) -> None:
    plain = Message("ann@example.com", "bob@example.org", text="ten")
    signed = sign(bytes(plain), pem)
    assert verify(signed, authority, tmp_path).returncode == 0
    assert verify(signed.replace(b"ten\r\n", b"two\r\n"), authority, tmp_path).returncode != 0


def test_the_header_section_stays_and_the_parts_are_as_the_standard_library_wants_them(pem: bytes) -> None:
    email = message_from_bytes(sign(bytes(MESSAGE), pem), policy=policy.default)
    assert (email["From"], email["Subject"], email["Message-ID"]) == ("ann@example.com", "Grüße", MESSAGE.message_id)
    assert email.get_content_type() == "multipart/signed" and not email.defects
    assert [part.get_content_type() for part in email.iter_parts()] == [
        "multipart/mixed",
        "application/pkcs7-signature",
    ]
    assert len(email.get_all("Content-Type", [])) == 1 and len(email.get_all("MIME-Version", [])) == 1


@pytest.mark.parametrize("broken", [b"", b"no PEM", "key only", "certificate only", "another key"])
def test_what_cannot_sign_is_refused(broken: bytes | str, authority: trustme.CA, pem: bytes) -> None:
    other = authority.issue_cert("eve@example.com")
    given = {
        "key only": other.private_key_pem.bytes(),
        "certificate only": other.cert_chain_pems[0].bytes(),
        "another key": other.private_key_pem.bytes() + pem[pem.index(b"-----BEGIN CERTIFICATE") :],
    }
    with pytest.raises(MessageError, match="must be in PEM, with its private key"):
        sign(bytes(MESSAGE), broken if isinstance(broken, bytes) else given[broken])


def test_what_a_server_might_change_is_not_signed(pem: bytes) -> None:
    message = Message("jörg@example.com", "bob@example.org", text="Hi")
    with pytest.raises(MessageError, match="cannot be signed"):
        sign(bytes(message), pem)
