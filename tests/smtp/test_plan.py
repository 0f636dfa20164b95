"""What is said for one message, depending on what the server offers and the message needs."""

from __future__ import annotations

from types import MappingProxyType

import pytest

from wlsmtp import Capabilities, Envelope, ExtensionMissing, MessageError, Pipelining
from wlsmtp.message.content import BytesContent
from wlsmtp.smtp.plan import Plan, make_plan

ANN_TO_BOB = Envelope("ann@example.com", ["bob@example.org"])
PLAIN = BytesContent(b"Subject: x\r\n\r\nHello\r\n")
EIGHT_BIT = BytesContent("Subject: x\r\n\r\nHällo\r\n".encode())


def plan(content: BytesContent, *offers: str, envelope: Envelope = ANN_TO_BOB, **options: object) -> Plan:
    extensions = {offer.split()[0]: tuple(offer.split()[1:]) for offer in offers}
    settings = {"pipelining": Pipelining(), **options}
    return make_plan(envelope, content, Capabilities("server", MappingProxyType(extensions)), **settings)  # type: ignore[arg-type]


def test_a_bare_server_gets_bare_commands_one_by_one() -> None:
    made = plan(PLAIN)
    assert (made.mail, made.rcpts) == (b"MAIL FROM:<ann@example.com>\r\n", (b"RCPT TO:<bob@example.org>\r\n",))
    assert not made.grouped and not made.data_in_group


def test_the_size_is_told_where_it_is_known() -> None:
    assert plan(PLAIN, "SIZE").mail == b"MAIL FROM:<ann@example.com> SIZE=21\r\n"


def test_eight_bit_content_says_so_and_plain_content_does_not() -> None:
    assert b"BODY=8BITMIME" in plan(EIGHT_BIT, "8BITMIME").mail
    assert b"BODY" not in plan(PLAIN, "8BITMIME").mail


def test_smtputf8_is_asked_for_only_when_needed() -> None:
    special = Envelope("ann@example.com", ["jörg@example.org"])
    assert b"SMTPUTF8" not in plan(PLAIN, "SMTPUTF8").mail
    assert plan(PLAIN, "SMTPUTF8", envelope=special).mail.endswith(b" SMTPUTF8\r\n")
    with pytest.raises(ExtensionMissing, match="SMTPUTF8"):
        plan(PLAIN, envelope=special)


def test_the_null_reverse_path() -> None:
    assert plan(PLAIN, envelope=Envelope(None, ["a@example.com"])).mail == b"MAIL FROM:<>\r\n"


@pytest.mark.parametrize(("limit", "fits"), [("20", False), ("21", True), ("0", True), ("", True), ("many", True)])
def test_a_message_over_the_limit_is_refused(limit: str, fits: bool) -> None:
    if fits:
        assert plan(PLAIN, f"SIZE {limit}")
        return
    with pytest.raises(MessageError, match="21 octets and server takes 20"):
        plan(PLAIN, f"SIZE {limit}")


def test_data_goes_with_the_group_unless_the_content_must_wait() -> None:
    assert plan(PLAIN, "PIPELINING").data_in_group
    assert not plan(PLAIN, "PIPELINING", pipelining=Pipelining(early_content=20)).data_in_group
    assert not plan(PLAIN, "PIPELINING", all_or_nothing=True).data_in_group
    assert not plan(PLAIN, "PIPELINING", pipelining=Pipelining(enabled=False)).grouped
