"""Messages put together at random arrive as they are in memory, or are refused with a reason where smtplib sends them
to the wrong people, in a form that nobody reads, or not at all."""

from __future__ import annotations

import re
import smtplib
from contextlib import suppress
from email import message_from_bytes
from email.header import decode_header, make_header
from functools import cache
from typing import Any

import pytest

from tests.corpus.idioms import Sending
from tests.corpus.random_mail import Made, make
from tests.corpus.sending import Outcome, by_smtplib
from wlsmtp import RetryPolicy, SMTPError, SMTPSession
from wlsmtp.testing import ReceivedMessage, SMTPServer

NUMBERS = range(7000, 7100)

REASONS = {
    r"MessageError: .* is not an email address: ": "an address field that names nobody, or not only whom it should",
    r"MessageError: The header .* cannot be folded, as the message is signed": "a signature covers the field",
    r"MessageError: A signed part must not be changed": "a signature covers the part",
    r"MessageError: The header section has a line that is not a field": "what follows would be lost",
    r"MessageError: A text part has characters outside ASCII": "no charset, or one without these characters",
    r"ContentRefused: .*(Header is not ASCII|Line over 998|NUL)": "raw octets, or signed ones, are nobody's to change",
}
"""Every refusal, and why."""


@pytest.fixture(scope="module")
def sent() -> list[tuple[Made, Outcome, Outcome]]:
    """Each message, and what became of it by wlsmtp and by smtplib."""
    with (
        SMTPServer(strict=True, size_limit=None) as server,
        SMTPSession(server.host, server.port, retry=RetryPolicy(attempts=1)) as session,
        smtplib.SMTP(server.host, server.port) as client,
    ):

        def outcome(send: Any) -> Outcome:
            before = len(server.messages)
            try:
                send()
            except Exception as error:
                with suppress(smtplib.SMTPException):
                    client.rset()
                return error.with_traceback(None)
            assert len(server.messages) == before + 1
            return server.messages[-1]

        found = []
        for number in NUMBERS:
            ours, theirs = make(number), make(number)
            found.append((
                ours,
                outcome(lambda made=ours: session.send(made.message, sender=made.sender, recipients=made.recipients)),
                outcome(
                    lambda made=theirs: by_smtplib(client, Sending(made.message, made.sender, made.recipients))
                ),
            ))  # fmt: skip
        return found


def test_most_arrive(sent: list[tuple[Made, Outcome, Outcome]]) -> None:
    ours, theirs = (sum(isinstance(row[which], ReceivedMessage) for row in sent) for which in (1, 2))
    assert ours > 0.85 * len(NUMBERS) > theirs


def test_what_is_refused_has_a_reason_and_smtplib_did_no_better(sent: list[tuple[Made, Outcome, Outcome]]) -> None:
    for made, ours, theirs in sent:
        if isinstance(ours, ReceivedMessage):
            continue
        assert isinstance(ours, SMTPError) and "codec" not in str(ours), made
        assert any(re.match(reason, f"{type(ours).__name__}: {ours}") for reason in REASONS), (made, ours)
        if isinstance(theirs, ReceivedMessage) and not is_garbled(made) and "signed" not in str(ours):
            head = theirs.content.partition(b"\r\n\r\n")[0]
            is_lost = {*theirs.recipients} != {*made.people}
            is_unreadable = re.search(rb"=\?[^ ]*?(=40|=3C|b\?)|^X-Raw", head, re.MULTILINE) is not None
            assert is_lost or is_unreadable, (made, ours)


def test_they_go_to_whom_they_name_and_say_what_they_said(sent: list[tuple[Made, Outcome, Outcome]]) -> None:
    for made, ours, theirs in sent:
        if not isinstance(ours, ReceivedMessage):
            continue
        if is_garbled(made):
            continue
        assert {*map(str.lower, ours.recipients)} == {*map(str.lower, made.people)}, made
        head = ours.content.partition(b"\r\n\r\n")[0]
        assert max(map(len, head.split(b"\r\n"))) <= 998 and b"\nBcc:" not in head
        meant, read = make(made.number).message, message_from_bytes(ours.content)
        assert fields(meant) == fields(read), made
        before, after = parts(meant), parts(read)
        if [part[0] for part in before] != [part[0] for part in after]:  # no parts, or those of a digest
            assert isinstance(theirs, Exception) or [part[0] for part in parts(message_from_bytes(theirs.content))] == [
                part[0] for part in after
            ]
            continue
        assert before == after, made


def is_garbled(made: Made) -> bool:
    """Whether the standard library may have written the addresses that it has read again: it loses quotes, and encodes
    some addresses together with their names."""
    return "parsed EmailMessage" in made.kind


def fields(message: Any) -> dict[str, list[str]]:
    """The fields as readers show them; those of addresses without what may be around a name, and without comments."""
    found: dict[str, list[str]] = {}
    for name, value in message.raw_items():
        key = name.lower()
        if value is None or key in ("bcc", "resent-bcc", "mime-version") or key.startswith("content-"):
            continue
        text = shown(value)
        if key in ADDRESSES:
            text = re.sub(r'comment|[\s"<>,()]|\\', "", text)
        found.setdefault(key, []).append(re.sub(r"\s", "", text))
    return {key: ["".join(values)] if key in ADDRESSES else values for key, values in found.items()}


ADDRESSES = ("from", "to", "cc", "sender", "reply-to", "resent-from", "resent-to", "disposition-notification-to")


def shown(value: Any) -> str:
    """A value with its encoded words decoded, also those within quotes."""
    return _shown(str(value).encode("utf-8", "surrogateescape").decode("utf-8", "replace"))


_WORDS = re.compile(r"=\?[^?\s]+\?[bqBQ]\?[^?\s]*\?=(?:\s+=\?[^?\s]+\?[bqBQ]\?[^?\s]*\?=)*")


@cache
def _shown(text: str) -> str:
    for _ in range(2):  # a name that was encoded already, and is encoded once more within quotes
        text = _WORDS.sub(lambda words: str(make_header(decode_header(words[0]))), text)
    return text


def parts(message: Any) -> list[tuple[Any, ...]]:
    """Type, name of the file, disposition and content of each part."""
    return [_part(part) for part in message.walk()]


def _part(part: Any) -> tuple[Any, ...]:
    kind = part.get_content_type()
    if part.get_content_maintype() == "multipart":
        return (kind,)
    name, disposition = part.get_filename(), re.sub(r"\s+", " ", part.get_content_disposition() or "")
    if part.is_multipart():
        return kind, name, disposition
    octets: bytes = part.get_payload(decode=True) or b""
    payload = part._payload
    if isinstance(payload, str) and not payload.isascii():
        octets = payload.encode(part.get_content_charset() or "ascii", "surrogateescape")
    return kind, name and shown(name), disposition, re.sub(rb"\r\n?", b"\n", octets).rstrip(b"\n")
