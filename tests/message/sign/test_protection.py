"""Messages that are signed and encrypted, as OpenSSL sees them."""

from __future__ import annotations

import pickle
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat
from cryptography.hazmat.primitives.serialization import load_pem_private_key as load
from cryptography.x509 import load_pem_x509_certificate

from tests.message.sign.keys import key, verified
from tests.worlds import World
from wlsmtp import ConfigError, Message, MessageError
from wlsmtp.message.sign import protection
from wlsmtp.testing import SMTPServer

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="the program openssl is missing")

LETTER = Message(
    "ann@example.com", "bob@example.org", subject="Hi", text="Hällo\n.\nFrom here", html="<p>Hällo</p>",
    attachments=[("all.bin", bytes(range(256)))],
)  # fmt: skip
RSA = trustme.KeyType.RSA


class Person:
    """A certificate and its key, in files and in PEM."""

    def __init__(self, authority: trustme.CA, folder: Path, name: str, **options: Any) -> None:
        issued = authority.issue_cert(f"{name}@example.com", **options)
        self.certificate = issued.cert_chain_pems[0].bytes()
        self.key = issued.private_key_pem.bytes()
        self.files = (folder / f"{name}.pem", folder / f"{name}.key")
        for path, octets in zip(self.files, (self.certificate, self.key), strict=True):
            path.write_bytes(octets)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("people")


@pytest.fixture(scope="module")
def authority(folder: Path) -> trustme.CA:
    made = trustme.CA()
    made.cert_pem.write_to_path(folder / "ca.pem")
    return made


@pytest.fixture(scope="module")
def ann(authority: trustme.CA, folder: Path) -> Person:
    return Person(authority, folder, "ann", key_type=RSA)


@pytest.fixture(scope="module")
def bob(authority: trustme.CA, folder: Path) -> Person:
    return Person(authority, folder, "bob", key_type=RSA)


@pytest.fixture(scope="module")
def eve(authority: trustme.CA, folder: Path) -> Person:
    return Person(authority, folder, "eve")  # on an elliptic curve


def openssl(octets: bytes, folder: Path, *options: str | Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["openssl", "cms", *options], input=octets, cwd=folder, capture_output=True, timeout=60)


def opened(octets: bytes, folder: Path, person: Person) -> bytes:
    """What a recipient finds in an encrypted message."""
    done = openssl(octets, folder, "-decrypt", "-recip", person.files[0], "-inkey", person.files[1])
    assert done.returncode == 0, done.stderr
    return done.stdout


def checked(octets: bytes, folder: Path) -> EmailMessage:
    """What was signed."""
    done = openssl(octets, folder, "-verify", "-CAfile", "ca.pem", "-purpose", "any")
    assert done.returncode == 0, done.stderr
    return message_from_bytes(done.stdout, policy=policy.default)


def assert_is_the_letter(found: EmailMessage) -> None:
    body, (attachment,) = found.get_body(("plain",)), found.iter_attachments()
    assert body is not None and body.get_content().split() == (LETTER.text or "").split()
    assert attachment.get_content() == bytes(range(256))


@needs_openssl
@pytest.mark.parametrize("how", ["paths", "octets", "text", "one", "password"])
def test_openssl_verifies_the_signature(how: str, ann: Person, folder: Path) -> None:
    hidden = load(ann.key, None).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"pw"))
    given: dict[str, Any] = {
        "paths": ann.files,
        "octets": (ann.certificate, ann.key),
        "text": (ann.certificate.decode(), ann.key.decode()),
        "one": ann.certificate + ann.key,
        "password": (ann.files[0], hidden, "pw"),
    }
    signed = bytes(LETTER.but(sign_with=given[how]))
    assert message_from_bytes(signed, policy=policy.default)["Subject"] == "Hi"
    assert_is_the_letter(checked(signed, folder))


@needs_openssl
def test_each_recipient_decrypts_and_nobody_else(ann: Person, bob: Person, folder: Path) -> None:
    octets = bytes(LETTER.but(encrypt_for=[bob.files[0], ann.certificate]))
    email = message_from_bytes(octets, policy=policy.default)
    assert email.get_content_type() == "application/pkcs7-mime" and email["Subject"] == "Hi"
    assert b"all.bin" not in octets and b"text/html" not in octets
    for person in (ann, bob):
        assert_is_the_letter(message_from_bytes(opened(octets, folder, person), policy=policy.default))
    only_bob = bytes(LETTER.but(encrypt_for=bob.files[0]))
    assert openssl(only_bob, folder, "-decrypt", "-recip", ann.files[0], "-inkey", ann.files[1]).returncode != 0


@needs_openssl
def test_a_message_is_signed_then_encrypted_and_goes_through_a_session(
    ann: Person, bob: Person, folder: Path, world: World
) -> None:
    der = load_pem_x509_certificate(bob.certificate).public_bytes(Encoding.DER)
    letter = LETTER.but(sign_with=ann.files, encrypt_for=der)
    with SMTPServer() as server, world.session(server.host, server.port, dkim=key("ed")) as session:
        session.send(letter)
        session.send_all(letter.merge([{"to": "cy@example.org"}]))
        assert session.send(letter.but(sign_with=None, encrypt_for=None, text="In the clear", html=None))
    for message in server.messages[:2]:
        assert verified(message.content) == ["ed"]
        assert_is_the_letter(checked(opened(message.content, folder, bob), folder))
    assert b"In the clear" in server.messages[2].content


@needs_openssl
def test_an_outbox_keeps_what_was_encrypted(bob: Person, folder: Path, world: World, tmp_path: Path) -> None:
    file = tmp_path / "outbox.db"
    server = SMTPServer()
    with server, world.session(server.host, server.port, mode="async", outbox=f"sqlite:///{file}") as session:
        receipt = session.send(LETTER.but(encrypt_for=bob.files[0]))
        assert b"From here" not in file.read_bytes()
        assert session.wait(receipt)
    assert_is_the_letter(message_from_bytes(opened(server.messages[0].content, folder, bob), policy=policy.default))


@needs_openssl
def test_a_message_that_is_varied_stays_protected(ann: Person, bob: Person, folder: Path) -> None:
    letter = LETTER.but(sign_with=ann.files, encrypt_for=[bob.certificate])
    for other in (letter.but(to="cy@example.org"), letter.but(importance="high"), pickle.loads(pickle.dumps(letter))):
        assert other.protection == letter.protection
        assert_is_the_letter(checked(opened(bytes(other), folder, bob), folder))
    assert letter.but(encrypt_for=None).protection != letter.protection


def test_no_key_is_shown(ann: Person) -> None:
    letter = LETTER.but(sign_with=ann.files)
    shown = repr(letter) + repr(letter.protection) + repr(vars(letter)) + letter.preview()
    assert ann.key.splitlines()[1].decode() not in shown and "PRIVATE" not in shown


def test_an_elliptic_curve_signs_but_is_not_encrypted_for(eve: Person, folder: Path) -> None:
    assert bytes(LETTER.but(sign_with=eve.files))
    with pytest.raises(MessageError, match=r"encrypt_for: .*no RSA key") as caught:
        LETTER.but(encrypt_for=[eve.files[0]])
    assert "RSA certificate" in str(caught.value.hint)


def test_what_cannot_sign_or_be_encrypted_for(ann: Person, bob: Person, tmp_path: Path) -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"sign_with": (ann.files[0], bob.files[1])}, "sign_with: The certificate to sign with"),
        ({"sign_with": (ann.files[0], tmp_path / "no.key")}, "sign_with: .*cannot be read"),
        ({"sign_with": (ann.files[0], ann.files[1], "pw")}, "sign_with: The private key cannot be opened"),
        ({"sign_with": 7}, "sign_with: must be a pair"),
        ({"sign_with": ann.certificate}, "sign_with: The certificate to sign with"),
        ({"encrypt_for": []}, "encrypt_for: is empty"),
        ({"encrypt_for": [b"rubbish"]}, "encrypt_for: The certificate is neither PEM nor DER"),
        ({"encrypt_for": ["no.pem"]}, "encrypt_for: .*cannot be read"),
        ({"encrypt_for": {"bob": bob.files[0]}}, "encrypt_for: must be a certificate"),
        ({"encrypt_for": [7]}, "encrypt_for: must be the path"),
    ]
    for fields, words in wrong:
        with pytest.raises(MessageError, match=words):
            LETTER.but(**fields)


@pytest.mark.parametrize("days", [-400, 400])
def test_a_certificate_out_of_its_time(days: int, ann: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
            end = load_pem_x509_certificate(ann.certificate).not_valid_after_utc
            return end + timedelta(days=1) if days > 0 else datetime(1990, 1, 1, tzinfo=UTC)

    monkeypatch.setattr(protection, "datetime", Clock)
    with pytest.raises(MessageError, match="has expired on" if days > 0 else "is valid from"):
        LETTER.but(encrypt_for=[ann.files[0]])


def test_raw_utf8_headers_have_no_7bit_form(ann: Person) -> None:
    letter = LETTER.but(to="jörg@example.org", sign_with=ann.files)
    with pytest.raises(MessageError, match="no 7-bit form"):
        bytes(letter)


def test_without_the_package_the_error_says_what_to_install(ann: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    from wlsmtp.message.sign import smime

    monkeypatch.setattr(smime, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="cryptography") as caught:
        smime.certificate_of(ann.certificate)
    assert caught.value.hint is not None and 'pip install "wlsmtp[smime]"' in caught.value.hint
