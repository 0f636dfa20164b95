"""Replies and forwarded messages: to whom, with which identifiers, and the original as it is."""

from __future__ import annotations

from collections.abc import Iterable
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest

from wlsmtp.errors import MessageError
from wlsmtp.message.model import Message
from wlsmtp.wire.address import Mailbox
from wlsmtp.wire.mailboxes import Group, mailboxes_in

ORIGINAL = (
    b"From: Bob <bob@example.org>\r\nTo: Ann <ann@example.com>, Cy <cy@example.net>\r\n"
    b"Cc: Team: dee@example.net, ANN@Example.com;, bob@example.org\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n"
    b"Message-ID: <2@example.org>\r\nIn-Reply-To: <1@example.com>\r\n\r\nHello\r\n"
)


def addresses(items: Iterable[Mailbox | Group]) -> list[str]:
    return [str(item.address) for item in mailboxes_in(items)]


def test_a_reply_goes_to_the_author_in_the_same_conversation() -> None:
    answer = Message.reply(ORIGINAL, sender="ann@example.com", text="Thanks")
    assert addresses(answer.to) == ["bob@example.org"] and answer.cc == ()
    assert answer.subject == "Re: Grüße" and answer.text == "Thanks"
    assert answer.headers["In-Reply-To"] == ("<2@example.org>",)
    assert answer.headers["References"] == ("<1@example.com> <2@example.org>",)


def test_a_reply_to_all_leaves_out_oneself_and_repeats_nobody() -> None:
    answer = Message.reply(ORIGINAL, to_all=True, sender="Ann <ann@example.com>", own="cy@example.net")
    assert addresses(answer.to) == ["bob@example.org"] and addresses(answer.cc) == ["dee@example.net"]


def test_reply_to_is_where_replies_go() -> None:
    original = ORIGINAL.replace(b"Subject", b"Reply-To: list@example.org\r\nSubject", 1)
    assert addresses(Message.reply(original).to) == ["list@example.org"]


def test_an_answer_to_ones_own_message_goes_to_whom_that_went() -> None:
    answer = Message.reply(ORIGINAL, sender="bob@example.org")
    assert addresses(answer.to) == ["ann@example.com", "cy@example.net"]


def test_fields_take_the_place_of_what_is_found() -> None:
    answer = Message.reply(ORIGINAL, sender="ann@example.com", to="eve@example.net", subject="Other")
    assert addresses(answer.to) == ["eve@example.net"] and answer.subject == "Other"


@pytest.mark.parametrize(
    ("fields", "in_reply_to", "references"),
    [
        (b"", None, None),
        (b"Message-ID: <3@x>\r\n", "<3@x>", "<3@x>"),
        (b"Message-ID: <3@x>\r\nReferences: <1@x>\r\n\t<2@x>\r\nIn-Reply-To: <2@x>\r\n", "<3@x>", "<1@x> <2@x> <3@x>"),
        (b"Message-ID: <3@x>\r\nIn-Reply-To: <1@x> <2@x>\r\n", "<3@x>", "<3@x>"),
        (b"References: <1@x>\r\n", None, "<1@x>"),
        (b"Message-ID: no identifier\r\n", None, None),
    ],
)
def test_references_are_those_of_rfc_5322(fields: bytes, in_reply_to: str | None, references: str | None) -> None:
    answer = Message.reply(b"From: bob@example.org\r\n" + fields + b"\r\nHello\r\n")
    assert answer.headers.get("In-Reply-To", (None,)) == (in_reply_to,)
    assert answer.headers.get("References", (None,)) == (references,)


def test_a_long_conversation_keeps_its_first_and_latest_references() -> None:
    chain = "\r\n ".join(f"<{n}@x>" for n in range(100)).encode()
    original = b"From: bob@example.org\r\nMessage-ID: <100@x>\r\nReferences: " + chain + b"\r\n\r\nHello\r\n"
    kept = Message.reply(original).headers["References"][0].split()
    assert len(kept) == 30 and kept[0] == "<0@x>" and kept[-1] == "<100@x>"


def test_a_subject_is_marked_once() -> None:
    original = Message("ann@example.com", "bob@example.org", subject="RE: Hi", text="x")
    assert Message.reply(original).subject == "RE: Hi"
    assert Message.forward(Message.forward(original, sender="ann@example.com")).subject == "Fwd: RE: Hi"


def test_what_is_forwarded_is_attached_as_it_is_without_bcc() -> None:
    original = ORIGINAL.replace(b"Subject", b"Bcc: secret@example.com\r\nSubject", 1)
    passed_on = Message.forward(original, sender="ann@example.com", to="eve@example.net", attachments=[("a.txt", "A")])
    read = message_from_bytes(passed_on.as_bytes(), policy=policy.default)
    assert read["Subject"] == "Fwd: Grüße" and read["In-Reply-To"] is None
    assert read["References"] == "<1@example.com> <2@example.org>"
    first, second = read.iter_attachments()
    assert first.get_filename() == "a.txt"
    assert second.get_content_type() == "message/rfc822" and second.get_filename() == "Grüße.eml"
    assert second.get_content().as_bytes(policy=policy.SMTP.clone(refold_source="none")) == ORIGINAL


def test_a_standard_message_and_a_hostile_subject_are_originals_too() -> None:
    original = EmailMessage()
    original["From"], original["Subject"] = "bob@example.org", "a/b: ..\\c"
    assert addresses(Message.reply(original).to) == ["bob@example.org"]
    assert Message.forward(original).attachments[0].filename == "a_b_ .._c.eml"
    injected = ORIGINAL.replace(b"=?utf-8?q?Gr=C3=BC=C3=9Fe?=", b"=?utf-8?q?a=0D=0ABcc:_eve=40x.org?=")
    assert b"\r\nBcc" not in Message.reply(injected, sender="ann@example.com").as_bytes()


def test_an_original_whose_author_cannot_be_read_needs_to() -> None:
    original = ORIGINAL.replace(b"Bob <bob@example.org>", b"Bob <bob@example.org> <eve@x.org>")
    with pytest.raises(MessageError, match=r"^The original's Reply-To: .*Give to="):
        Message.reply(original)
