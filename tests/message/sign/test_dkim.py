"""DKIM: what is signed, by which key, and in which form of the message; dkimpy checks each signature."""

from __future__ import annotations

import pickle
import tracemalloc
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from pydantic import SecretStr

from tests.message.sign.keys import DOMAIN, both, key, pem, tags, verified
from tests.worlds import World
from wlsmtp import (
    DKIM,
    ConfigError,
    Envelope,
    MemoryTransport,
    Message,
    MessageError,
    RetryPolicy,
    SessionConfig,
    SMTPError,
)
from wlsmtp.message.content import BytesContent
from wlsmtp.message.sign import canonical, signed_content, signers_of
from wlsmtp.message.sign.signed_content import AT_ONCE, SignedContent
from wlsmtp.testing import SMTPServer

LETTER = Message("ann@example.com", "bob@example.org", subject="Hi", text="Hello\n")
RAW = b"From: ann@example.com\r\nTo: bob@example.org\r\nSubject: Raw\r\n\r\nHello\r\n"


def signature(octets: bytes) -> dict[str, str]:
    """The tags of the first field."""
    head = octets.partition(b"\r\n\r\n")[0].replace(b"\r\n\t", b"")
    name, _, value = head.split(b"\r\n")[0].partition(b": ")
    assert name == b"DKIM-Signature"
    return tags(value)


def email() -> EmailMessage:
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = "ann@example.com", "bob@example.org", "Grüße"
    made.set_content("Grüße\n", cte="8bit")
    return made


@pytest.mark.parametrize("message", [LETTER, RAW, email()], ids=["Message", "bytes", "EmailMessage"])
def test_a_session_signs_all_that_it_sends(world: World, message: object) -> None:
    with SMTPServer() as server, world.session(server.host, server.port, dkim=key("rsa")) as session:
        assert session.send(message)
        assert [receipt.status.value for receipt in session.send_all([message, message])] == ["sent", "sent"]
    assert [verified(one.content) for one in server.messages] == [["rsa"]] * 3


@pytest.mark.parametrize("kind", ["rsa", "ed", "openssl genrsa"])
def test_a_key_may_come_from_a_variable_that_has_it_in_one_line(kind: str) -> None:
    text = pem(kind.partition(" ")[0] if kind != "openssl genrsa" else "rsa")
    if kind == "openssl genrsa":  # RFC 8017, as old keys of RSA are
        private = load_pem_private_key(text.encode(), None)
        text = private.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()
    bare = "".join(text.strip().splitlines()[1:-1])
    for written in (text.replace("\n", "\\n"), text.replace("\n", "\\r\\n"), bare, f" {bare}\n"):
        made = DKIM(DOMAIN, "ed" if kind == "ed" else "rsa", key=written)
        assert bare[:20] not in repr(made)
        assert verified(LETTER.but(dkim=made).as_bytes()) == [made.selector]


def test_two_keys_sign_in_one_pass(world: World) -> None:
    with SMTPServer() as server, world.session(server.host, server.port, dkim=both()) as session:
        session.send(LETTER)
    assert verified(server.messages[0].content) == ["rsa", "ed"]


def test_a_message_may_be_left_unsigned_or_have_its_own_key(world: World) -> None:
    with SMTPServer() as server, world.session(server.host, server.port, dkim=key("rsa")) as session:
        session.send(LETTER.but(dkim=None))
        session.send(LETTER.but(dkim=key("ed")))
        session.send(LETTER.but(dkim="session"))
    assert [verified(one.content) for one in server.messages] == [[], ["ed"], ["rsa"]]


def test_a_message_with_its_own_keys_is_signed_by_any_session_and_in_its_octets() -> None:
    letter = LETTER.but(dkim=both())
    assert verified(bytes(letter)) == ["rsa", "ed"]
    transport = MemoryTransport()
    with World("blocking").session(transport=transport) as session:
        session.send(letter)
    assert verified(transport.messages[0].content) == ["rsa", "ed"]


def test_what_cannot_be_added_to_a_signed_message() -> None:
    letter = LETTER.but(headers={"List-Unsubscribe": "<https://example.com/u>", "X-One": ["1", "2"]})
    signed = bytes(letter.but(dkim=DKIM(DOMAIN, "ed", key=pem("ed"), headers=["X-One", "Subject"])))
    assert verified(signed) == ["ed"]
    names = signature(signed)["h"].split(":")
    assert names.count("from") == names.count("to") == names.count("subject") == 2
    assert names.count("cc") == names.count("reply-to") == 1  # nobody can add one
    assert names.count("list-unsubscribe") == 2 and names.count("x-one") == 3
    assert "sender" not in names and "list-id" not in names  # a mailing list may add one
    for added in (b"Subject: Other", b"From: eve@example.com", b"Cc: eve@example.com", b"X-One: 3"):
        with pytest.raises(AssertionError):
            verified(added + b"\r\n" + signed)


def test_one_click_unsubscribe_is_signed_as_rfc_8058_asks() -> None:
    fields = {"List-Unsubscribe": "<https://example.com/u>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}
    names = signature(bytes(LETTER.but(headers=fields, dkim=key("ed"))))["h"].split(":")
    assert {"list-unsubscribe", "list-unsubscribe-post"} <= set(names)


def test_the_tags_of_a_signature(world: World) -> None:
    transport = MemoryTransport()
    expiring = DKIM("EXÄMPLE.com", "s1.mail", key=pem("ed"), expires_after=3600)
    with world.session(transport=transport, dkim=expiring) as session:
        session.send(LETTER)
    found = signature(transport.messages[0].content)
    assert (found["a"], found["c"], found["s"]) == ("ed25519-sha256", "relaxed/relaxed", "s1.mail")
    assert found["d"] == "xn--exmple-cua.com"
    assert int(found["x"]) - int(found["t"]) == 3600
    assert "l" not in found
    lines = transport.messages[0].content.partition(b"From:")[0].split(b"\r\n")
    assert max(map(len, lines)) <= 78


def test_what_is_signed_is_the_form_that_leaves(world: World) -> None:
    """A server without 8BITMIME gets another body, so it gets another signature."""
    for extensions in (("PIPELINING", "8BITMIME"), ("PIPELINING",)):
        server = SMTPServer(extensions=extensions)
        with server, world.session(server.host, server.port, dkim=both()) as session:
            session.send(email())
        (received,) = server.messages
        assert received.content.isascii() is ("8BITMIME" not in extensions)
        assert verified(received.content) == ["rsa", "ed"]


def test_a_signed_message_never_goes_in_binary(world: World) -> None:
    letter = LETTER.but(attachments=[("data.bin", bytes(100_000))])
    with SMTPServer(extensions=("PIPELINING", "CHUNKING", "8BITMIME", "BINARYMIME")) as server:
        with world.session(server.host, server.port) as session:
            assert session.send_all([letter] * 3)  # by the third the server is known to take BDAT
            session.send(letter)
        with world.session(server.host, server.port, dkim=key("ed")) as session:
            assert session.send_all([letter] * 3)
            session.send(letter)
    bodies = [one.mail_parameters.get("BODY") for one in server.messages]
    assert "BINARYMIME" in bodies[:4] and "BINARYMIME" not in bodies[4:]
    assert [verified(one.content) for one in server.messages[4:]] == [["ed"]] * 4


def test_failover_to_a_server_that_takes_less(world: World) -> None:
    """Each server gets a signature over what it gets."""
    with SMTPServer(extensions=("8BITMIME",)) as first, SMTPServer(extensions=()) as second:
        first.reply_to("MAIL", "451 4.3.0 Later")
        url = f"failover({first.url}, {second.url})"
        with world.from_url(url, dkim=key("rsa")) as session:
            assert session.send(email())
    assert not first.messages
    assert second.messages[0].content.isascii() and verified(second.messages[0].content) == ["rsa"]


@pytest.mark.parametrize("scheme", ["eml", "maildir"])
def test_signed_files(world: World, scheme: str, tmp_path: Path) -> None:
    with world.from_url(f"{scheme}://{tmp_path}/out", dkim=key("rsa")) as session:
        session.send(LETTER)
    (file,) = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert verified(file.read_bytes()) == ["rsa"]


def test_a_retry_sends_the_same_octets(world: World) -> None:
    retry = RetryPolicy(backoff=0.01)
    with SMTPServer() as server, world.session(server.host, server.port, dkim=key("ed"), retry=retry) as session:
        server.reply_to("STORED", "451 4.3.0 Later", times=1)  # it was stored all the same
        session.send(LETTER)
    first, second = server.messages
    assert first.content == second.content and verified(first.content) == ["ed"]


# Large messages


def test_a_large_attachment_is_signed_as_it_is_read_with_little_memory(tmp_path: Path) -> None:
    file = tmp_path / "large.bin"
    with file.open("wb") as stream:
        for number in range(128):
            stream.write(bytes([number]) * 65536)  # 8 MiB
    content = LETTER.but(attachments=[file], dkim=both()).render()
    tracemalloc.start()
    try:
        size = sum(map(len, content.chunks()))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size == content.size and peak < 1_000_000
    file.write_bytes(bytes(500_000))
    assert verified(bytes(LETTER.but(attachments=[file], dkim=key("ed")))) == ["ed"]


def test_a_large_message_in_memory_is_signed_where_nobody_waits() -> None:
    content = SignedContent(BytesContent(RAW + b"x  y\r\n" * (AT_ONCE // 5)), signers_of(key("ed")), 1_700_000_000)
    assert content.is_streamed
    octets = b"".join(content.chunks())
    assert len(octets) == content.size and verified(octets) == ["ed"]


def test_a_file_that_changes_between_signing_and_sending_is_noticed(tmp_path: Path) -> None:
    file = tmp_path / "large.bin"
    file.write_bytes(b"a" * 400_000)
    content = LETTER.but(attachments=[file], dkim=key("ed")).render()
    chunks = content.chunks()
    next(chunks)
    file.write_bytes(b"b" * 400_000)
    with pytest.raises(MessageError, match="has changed since"):
        list(content.chunks())


# The outbox


@pytest.mark.parametrize("outbox", ["memory:", "sqlite"])
def test_what_is_stored_is_signed_when_it_is_sent(world: World, outbox: str, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/outbox.db" if outbox == "sqlite" else outbox
    messages = [LETTER, RAW, LETTER.but(dkim=None), LETTER.but(dkim=key("ed")), LETTER.but(text="x" * 2_000_000)]
    with SMTPServer() as server:
        with world.session(server.host, server.port, mode="async", outbox=url, dkim=key("rsa")) as session:
            receipts = [session.wait(session.send(message)) for message in messages]
        assert all(receipts)
        assert [verified(one.content) for one in server.messages] == [["rsa"], ["rsa"], [], ["ed"], ["rsa"]]


def test_no_key_is_stored_and_whoever_sends_needs_it(world: World, tmp_path: Path) -> None:
    settings = {"mode": "async", "outbox": f"sqlite:///{tmp_path}/outbox.db"}
    with SMTPServer() as server:
        with world.session(server.host, server.port, **settings, dkim=key("rsa"), outbox_worker=False) as session:
            posted = session.send(LETTER)
        assert b"PRIVATE KEY" not in (tmp_path / "outbox.db").read_bytes()
        with world.session(server.host, server.port, **settings) as session:  # without the key
            session.open()
            while (waiting := session.receipt(posted.id)).error is None:
                session.flush(timeout=0.05)
            assert waiting.status.value == "pending" and isinstance(waiting.error, ConfigError)
            assert "dkim" in str(waiting.error) and not server.messages
            session.close(drain=False)
        with world.session(server.host, server.port, **settings, dkim=key("rsa")) as session:
            session.retry(posted.id)
            assert session.flush() == 0
    assert [verified(one.content) for one in server.messages] == [["rsa"]]


def test_a_message_that_cannot_be_signed_is_refused_when_it_is_put(world: World) -> None:
    for settings in ({}, {"mode": "async"}):
        with world.session("smtp.example.com", dkim=key("rsa"), **settings) as session:
            for raw, why in ((b"Subject: x\r\n\r\n", "no From"), (b"From: a@b.c\r\nrubbish\r\n\r\n", "a field")):
                with pytest.raises(MessageError, match=why):
                    session.send(raw, sender="ann@example.com", recipients="bob@example.org")
    with world.session(transport=MemoryTransport(), dkim=key("rsa")) as session:
        (receipt,) = session.send_all([(b"\r\nx", Envelope("ann@example.com", ["bob@example.org"]))])
    assert not receipt and isinstance(receipt.error, MessageError)


# Settings


def test_a_key_may_be_a_path_or_pem_and_is_never_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "key.pem"
    file.write_text(pem("ed"))
    given: list[Any] = [file, str(file), pem("ed"), pem("ed").encode(), SecretStr(pem("ed"))]
    keys = [DKIM(DOMAIN, "ed", key=one) for one in given]
    secret = pem("ed").splitlines()[1]
    for one in keys:
        assert verified(bytes(LETTER.but(dkim=one))) == ["ed"]
        assert secret not in repr(one) + repr(SessionConfig(server="mail.example.com", dkim=one))
        assert secret not in repr(LETTER.but(dkim=one)) + LETTER.but(dkim=one).preview()
    assert pickle.loads(pickle.dumps(keys[2])) == keys[2]
    config = SessionConfig.from_url(f"smtp://mail.example.com?dkim.domain={DOMAIN}&dkim.selector=ed&dkim.key={file}")
    assert config.dkim == keys[0]
    variables = {"WLSMTP_SERVER": "mail.example.com", "WLSMTP_DKIM_DOMAIN": DOMAIN, "WLSMTP_DKIM_SELECTOR": "ed"}
    assert SessionConfig.from_env(variables | {"WLSMTP_DKIM_KEY": pem("ed")}).dkim == keys[2]


WRONG = [
    (dict(domain="exa mple", selector="s1", key=pem("ed")), "domain"),
    (dict(domain=DOMAIN, selector="s1;", key=pem("ed")), "selector"),
    (dict(domain=DOMAIN, selector="s1"), "key"),
    (dict(domain=DOMAIN, selector="s1", key=pem("ed"), headers=["Received"]), "Received"),
    (dict(domain=DOMAIN, selector="s1", key=pem("ed"), headers=["a b"]), "headers"),
    (dict(domain=DOMAIN, selector="s1", key=pem("ed"), expires_after=1), "expires_after"),
    (dict(domain=DOMAIN, selector="s1", key="/no/such/file"), "cannot be read"),
    (dict(domain=DOMAIN, selector="s1", key="-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----"), "PEM"),
]


@pytest.mark.parametrize(("fields", "words"), WRONG, ids=[words for _, words in WRONG])
def test_what_is_wrong_with_a_key_is_said_when_the_session_is_made(fields: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        World("blocking").session("smtp.example.com", dkim=DKIM(**fields))  # type: ignore[arg-type]
    assert "c2VjcmV0" not in str(caught.value)


@pytest.mark.parametrize("kind", ["encrypted", "short", "elliptic"])
def test_keys_that_no_verifier_takes(kind: str) -> None:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption
    from cryptography.hazmat.primitives.serialization import PrivateFormat as Format

    made: dict[str, object] = {
        "encrypted": ed25519.Ed25519PrivateKey.generate(),
        "elliptic": ec.generate_private_key(ec.SECP256R1()),
        "short": _short(),
    }
    hidden = BestAvailableEncryption(b"pw") if kind == "encrypted" else NoEncryption()
    assert isinstance(made[kind], ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey)
    octets = made[kind].private_bytes(Encoding.PEM, Format.PKCS8, hidden)  # type: ignore[attr-defined]
    said = {"encrypted": "is encrypted", "short": "has 512 bits", "elliptic": "RSA or an Ed25519"}
    with pytest.raises(SMTPError, match=said[kind]):
        signers_of(DKIM(DOMAIN, "s1", key=octets))


def _short() -> object:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    return load_pem_private_key(SHORT, None)


SHORT = b"""-----BEGIN RSA PRIVATE KEY-----
MIIBOwIBAAJBAOAp0P9SNVhDPKwlt95FjimlaHagOjWcvLUC96YzPgvwIOLr4fl1
chMXN2krQj1BkcG/3Zq5qisQK0WShraPYkMCAwEAAQJBAIIdo7Pgaxh9hsVB65V4
eEmSOq3I2aDvBtZnD4sIaXaRaNsHlpTITIvRpbf1zF161CVja48ZySTxh21sc5LB
r9kCIQDwNZvQXd6i1YKbyZ1QhvILDk6DaZCCy4GnLl5+C1VnJwIhAO7mLLv/js5M
MGoOSUezbB9oOqsH7tqSBG3gaW0nT72FAiACjQ8yj0yl/g59CQ8ao9Q+OdCrpJtc
SD0AQYXPYN9vUQIgDd+0LV7UDksCbMZTnyReXRySe6hESNE+DJuBw+MKkHkCIQCH
24fbdMuXHkvhfWj+ecjdVoe4wZGW/ZtccwzWoxeFHw==
-----END RSA PRIVATE KEY-----"""
"""No key of anybody: cryptography makes none of 512 bits any more."""


@pytest.mark.parametrize("value", ["rsa", b"x", 7, [], [1]])
def test_what_is_no_key_of_a_message(value: object) -> None:
    with pytest.raises(MessageError, match="dkim"):
        LETTER.but(dkim=value)  # type: ignore[arg-type]


def test_without_the_package_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    fresh = key("rsa").model_copy(update={"selector": "other"})
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.serialization", None)
    with pytest.raises(ConfigError, match="cryptography") as caught:
        World("blocking").session("smtp.example.com", dkim=fresh)
    assert caught.value.hint is not None and 'pip install "wlsmtp[dkim]"' in caught.value.hint


# One body for many messages


def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A list that grows with each body that is hashed to be signed."""
    hashed: list[int] = []
    monkeypatch.setattr(
        signed_content, "body_hash", lambda chunks: hashed.append(1) or canonical.body_hash(chunks)  # type: ignore[func-returns-value]
    )  # fmt: skip
    return hashed


@pytest.mark.parametrize("size", [100, 700_000])
def test_a_body_that_stays_the_same_is_hashed_once(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed = counted(monkeypatch)
    letter = LETTER.but(html="<p>Hi</p>", attachments=[("a.bin", bytes(size))], dkim=key("ed"))
    signed = [bytes(letter.but(to=f"{number}@example.org", subject=str(number))) for number in range(5)]
    assert len(hashed) == 1 and all(verified(octets) == ["ed"] for octets in signed)
    bodies = {octets.partition(b"\r\n\r\n")[2] for octets in signed}
    assert len(bodies) == 1 and bytes(letter).partition(b"\r\n\r\n")[2] in bodies
    assert len(hashed) == 1


def test_a_body_that_differs_is_hashed_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    hashed = counted(monkeypatch)
    letter = LETTER.but(attachments=[("a.bin", b"1")], dkim=key("ed"))
    for other in (letter.but(text="Other"), letter.but(attachments=[("a.bin", b"2")]), letter.but(html="<p>Hi</p>")):
        assert verified(bytes(other)) == ["ed"]
    assert len(hashed) == 3


@pytest.mark.parametrize("size", [100, 400_000])
def test_a_file_that_changes_between_two_messages(size: int, tmp_path: Path) -> None:
    """A small file is read again for each message. A large one that has changed is noticed when it is sent, and then
    read again."""
    file = tmp_path / "file.bin"
    file.write_bytes(b"a" * size)
    letter = LETTER.but(attachments=[file], dkim=key("ed"))
    one, other = letter.but(to="cy@example.org"), letter.but(to="di@example.org")
    assert verified(bytes(one)) == ["ed"]
    file.write_bytes(b"b" * size)
    if size > 100_000:
        with pytest.raises(MessageError, match="has changed since"):
            bytes(other)
    assert verified(bytes(other)) == ["ed"] == verified(bytes(one))


def test_what_goes_through_a_sendmail_program_is_signed(world: World, tmp_path: Path) -> None:
    program = tmp_path / "sendmail"
    program.write_text(f"#!/bin/sh\ncat > {tmp_path}/out\n")
    program.chmod(0o755)
    with world.from_url(f"sendmail://{program}", dkim=both()) as session:
        session.send(email())
    assert verified((tmp_path / "out").read_bytes()) == ["rsa", "ed"]


def test_each_server_of_a_routing_table_gets_what_is_signed(world: World) -> None:
    with SMTPServer() as first, SMTPServer(extensions=()) as second:
        url = f"by_domain(example.org={first.url}, *={second.url})"
        with world.from_url(url, dkim=key("ed")) as session:
            made = email()
            del made["To"]
            made["To"] = "bob@example.org, cy@example.net"
            assert session.send(made)
    assert [verified(server.messages[0].content) for server in (first, second)] == [["ed"], ["ed"]]
    assert first.messages[0].content != second.messages[0].content
