"""Boundaries that are also inside: no part is lost to a reader."""

from __future__ import annotations

from collections.abc import Callable
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.mime.message import MIMEMessage
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from typing import Any

import pytest

from wlsmtp import MemoryTransport, MessageError, SMTPSession


def multipart(*parts: Any, subtype: str = "mixed", boundary: str = "frontier") -> Any:
    made = MIMEMultipart(subtype, boundary, parts)
    made["From"], made["To"] = "ann@example.com", "bob@example.org"
    return made


def sent(message: Any) -> Any:
    transport = MemoryTransport()
    with SMTPSession(transport=transport) as session:
        session.send(message)
    return message_from_bytes(transport.messages[0].content)


def parts(message: Any) -> list[tuple[str, str]]:
    return [
        (part.get_content_type(), "" if part.is_multipart() else part.get_payload().replace("\r\n", "\n").strip())
        for part in message.walk()
    ]


def forwarded() -> Any:
    inner = EmailMessage(policy=policy.SMTP)
    inner["From"] = "eve@example.net"
    inner.set_content("in")
    inner.make_mixed(boundary="frontier")
    return inner


NESTED: dict[str, Callable[[], Any]] = {
    "alternative": lambda: multipart(MIMEText("a"), multipart(MIMEText("b"), subtype="alternative"), MIMEText("c")),
    "three": lambda: multipart(multipart(multipart(MIMEText("a")), MIMEText("b")), MIMEText("c")),
    "attached": lambda: multipart(MIMEText("a"), MIMEMessage(multipart(MIMEText("in"))), MIMEText("b")),
    "forwarded": lambda: multipart(MIMEText("a"), MIMEMessage(forwarded()), MIMEText("b")),
    "text": lambda: multipart(MIMEText("a\n--frontier\nb"), MIMEText("c")),
    "text that ends it": lambda: multipart(MIMEText("--frontier--  \nb"), MIMEText("c")),
    "signed part": lambda: multipart(multipart(MIMEText("a"), MIMEText("sig"), subtype="signed"), MIMEText("c")),
}


@pytest.mark.parametrize("kind", NESTED)
def test_all_parts_arrive(kind: str) -> None:
    made = NESTED[kind]()
    before = made.as_bytes()
    assert parts(sent(made)) == parts(NESTED[kind]())
    assert made.as_bytes() == before


def test_a_boundary_that_is_only_the_beginning_of_another_stays() -> None:
    made = multipart(MIMEText("--frontier is a word\n--frontier2"), multipart(MIMEText("a"), boundary="frontier2"))
    assert sent(made).get_boundary() == "frontier"


def test_what_is_signed_is_refused() -> None:
    signed = multipart(multipart(MIMEText("--frontier")), MIMEText("signature"), subtype="signed", boundary="s")
    sealed = multipart(MIMEText("--frontier"))
    sealed["DKIM-Signature"] = "v=1"
    for message in (signed, sealed):
        with pytest.raises(MessageError, match=r"Leave the boundary out"):
            sent(message)
