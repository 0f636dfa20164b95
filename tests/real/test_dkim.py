"""DKIM signatures as OpenDKIM, Mail::DKIM and dkimpy see them: 1,000 messages, made in many ways, sent to servers with
each choice of CHUNKING, 8BITMIME and BINARYMIME, and through an outbox."""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest

from tests.message.sign.keys import DOMAIN, SELECTORS, both, key, record
from wlsmtp import DKIM, Envelope, Message, SMTPSession
from wlsmtp.message.content import CHUNK
from wlsmtp.message.render import Sendable
from wlsmtp.testing import SMTPServer

from .dkim import VERIFIERS, what_is_missing

MESSAGES = 1000
ENVELOPE = Envelope("ann@example.com", ["bob@example.org"])
NAMES = ("CHUNKING", "8BITMIME", "BINARYMIME")
TAKES = [extensions for count in range(4) for extensions in itertools.combinations(NAMES, count)]
"""What a server takes beside PIPELINING."""

BODIES = [
    b"", b"\r\n", b"\r\n\r\n\r\n", b" ", b" \t \r\n", b"a", b"a\r\n", b"a \r\n \r\n\t\r\n", b"\r\n\r\na\r\n",
    b".\r\n..\r\n.a\r\n", b"a\tb  c \t d\r\n\r\n\r\nend  ", b"From here\r\n", b"=20=\r\n", b"x" * 998 + b"\r\n",
]  # fmt: skip
HEADERS = [
    b"Subject: plain", b"Subject:", b"Subject:\t a  b\t ", b"SUBJECT: folded\r\n  twice \r\n\t and with blanks \t",
    b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=", b"Subject: one\r\nKeywords: x\r\nkeywords: y",
    b"Subject: x\r\nList-Unsubscribe: <https://example.com/u>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click",
    b"Subject: x\r\nTo: bob@example.org,\r\n carl@example.org\r\nCc:\r\n dan@example.org",
    b"Subject: x\r\nReceived: a\r\nReceived: b",
]  # fmt: skip


def raw(choose: random.Random) -> bytes:
    """Octets, some of them just around the border of a chunk."""
    head = b"From: Ann <ann@example.com>\r\n%b\r\n\r\n" % choose.choice(HEADERS)
    body = choose.choice(BODIES)
    if choose.random() < 0.12:
        filling = CHUNK - len(head) - len(body) // 2 + choose.randrange(-4, 5)
        body = b"0123456789abcdef \t \r\n" * (filling // 20) + body * 2
    return head + body


def in_8bit(choose: random.Random) -> EmailMessage:
    """A message that is rewritten for a server without 8BITMIME."""
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = (
        "Ann Müller <ann@example.com>",
        "bob@example.org",
        "Grüße " * choose.randrange(30),
    )
    made["Date"] = "Sun, 29 Nov 2026 12:00:00 +0000"
    made.set_content(
        "Grüße  \n\n\tund mehr\n" * choose.randrange(1, 60), cte=choose.choice(["8bit", "quoted-printable"])
    )
    if choose.random() < 0.3:
        made.add_attachment(choose.randbytes(3000), maintype="application", subtype="octet-stream", filename="ä.bin")
    return made


def composed(choose: random.Random) -> Message:
    """A message with parts, which goes in binary where it is not signed."""
    size = choose.choice([0, 100, 70_000])
    return Message(
        ("Müller, Ann", "ann@example.com"), "Bob <bob@example.org>", subject="Grüße  und mehr " * choose.randrange(20),
        text="Hällo  \n\n\n" * choose.randrange(5), html=choose.choice([None, "<p>Hällo  </p>"]),
        attachments=[("data.bin", choose.randbytes(size))] if choose.random() < 0.5 else (),
        headers={"X-Mailer": "tests", "List-Unsubscribe": "<https://example.com/u>"},
    )  # fmt: skip


KINDS: list[Callable[[random.Random], Sendable]] = [raw, raw, in_8bit, composed]


def messages(count: int, seed: int) -> Iterator[tuple[Sendable, Envelope]]:
    choose = random.Random(seed)
    for _ in range(count):
        yield choose.choice(KINDS)(choose), ENVELOPE


def sent(folder: Path) -> Iterator[bytes]:
    """What servers have got."""
    each = MESSAGES // (len(TAKES) + 1)
    keys: list[list[DKIM]] = [[key("rsa")], [key("ed")], both()]
    for number, extensions in enumerate(TAKES):
        server = SMTPServer(extensions=("PIPELINING", *extensions))
        with server, SMTPSession(server.host, server.port, dkim=keys[number % 3]) as session:
            assert all(session.send_all(messages(each, number)))
        yield from (message.content for message in server.messages)
    with SMTPServer() as server:
        outbox = f"sqlite:///{folder}/outbox.db"
        with SMTPSession(server.host, server.port, mode="async", outbox=outbox, dkim=key("rsa")) as session:
            session.send_all(messages(MESSAGES - each * len(TAKES), 99))
            assert session.flush(30) == 0
    yield from (message.content for message in server.messages)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("signed")
    (folder / "keys").mkdir()
    lines = [f"{selector}._domainkey.{DOMAIN} {record(selector)}\n" for selector in SELECTORS]
    (folder / "keys" / "public").write_text("".join(lines))
    written = []
    for number, content in enumerate(sent(folder)):
        written.append(folder / f"{number}.eml")
        written[-1].write_bytes(content)
    return written


@pytest.mark.parametrize("verifier", VERIFIERS)
def test_verifiers_find_each_signature_valid(verifier: str, files: list[Path]) -> None:
    if (reason := what_is_missing(verifier)) is not None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
    assert len(files) == MESSAGES
    results = VERIFIERS[verifier](files, files[0].parent / "keys" / "public")
    wrong = {file.name: result for file, result in zip(files, results, strict=True) if set(result) - {"pass"}}
    assert wrong == {}
    counts = {"OpenDKIM": {1}, "Mail::DKIM": {0, 1}, "dkimpy": {1, 2}}
    assert {len(result) for result in results} == counts[verifier]


@pytest.mark.parametrize("verifier", VERIFIERS)
def test_verifiers_find_what_was_changed(verifier: str, files: list[Path], tmp_path: Path) -> None:
    """A verifier that passes all would show nothing."""
    if (reason := what_is_missing(verifier)) is not None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
    changed = []
    for file in files[:20]:
        changed.append(tmp_path / file.name)
        changed[-1].write_bytes(file.read_bytes() + b"and more\r\n")
    keys = tmp_path / "public"
    keys.write_text((files[0].parent / "keys" / "public").read_text())
    results = VERIFIERS[verifier](changed, keys)
    assert not any("pass" in result for result in results)
