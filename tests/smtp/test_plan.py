"""What is said for one message, depending on what the server offers and the message needs."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import pytest

from wlsmtp import Capabilities, Envelope, ExtensionMissing, MessageError, Pipelining
from wlsmtp.message.content import BytesContent
from wlsmtp.smtp.experience import Experience
from wlsmtp.smtp.plan import Manner, Plan, Planner

ANN_TO_BOB = Envelope("ann@example.com", ["bob@example.org"])
PLAIN = BytesContent(b"Subject: x\r\n\r\nHello\r\n")
EIGHT_BIT = BytesContent("Subject: x\r\n\r\nHällo\r\n".encode())


def offered(*offers: str) -> Capabilities:
    extensions = {offer.split()[0]: tuple(offer.split()[1:]) for offer in offers}
    return Capabilities("server", MappingProxyType(extensions))


def planner(*offers: str, all_or_nothing: bool = False, **options: Any) -> Planner:
    settings = {"pipelining": Pipelining(), "experience": Experience(), **options}
    return Planner(offered(*offers), **settings, all_or_nothing=all_or_nothing)


def plan(content: BytesContent, *offers: str, envelope: Envelope = ANN_TO_BOB, **options: Any) -> Plan:
    may_be_dead = options.pop("may_be_dead", False)
    return planner(*offers, **options).plan(envelope, content, may_be_dead=may_be_dead)


def test_a_bare_server_gets_bare_commands_one_by_one() -> None:
    made = plan(PLAIN)
    assert (made.mail, made.rcpts) == (b"MAIL FROM:<ann@example.com>\r\n", (b"RCPT TO:<bob@example.org>\r\n",))
    assert made.manner is Manner.ONE_BY_ONE and not made.by_bdat


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


BOTH = ("PIPELINING", "CHUNKING")


@pytest.mark.parametrize(
    ("offers", "options", "manner"),
    [
        (["CHUNKING"], {}, Manner.ONE_BY_ONE),
        (["PIPELINING"], {}, Manner.GROUPED),
        (BOTH, {}, Manner.WHOLE),
        (BOTH, {"pipelining": Pipelining(chunking=False)}, Manner.GROUPED),
        (BOTH, {"pipelining": Pipelining(enabled=False)}, Manner.ONE_BY_ONE),
        (BOTH, {"pipelining": Pipelining(early_content=20)}, Manner.ASK_FIRST),
        (BOTH, {"all_or_nothing": True}, Manner.ASK_FIRST),
        (BOTH, {"may_be_dead": True}, Manner.GROUPED),
        (BOTH, {"experience": Experience(takes_bdat=False)}, Manner.GROUPED),
        (BOTH, {"experience": Experience(takes_groups=False)}, Manner.ONE_BY_ONE),
    ],
)
def test_as_much_goes_at_once_as_server_message_and_settings_allow(
    offers: list[str], options: dict[str, Any], manner: Manner
) -> None:
    assert plan(PLAIN, *offers, **options).manner is manner


def sizes(recipients: list[str], *offers: str, **options: Any) -> list[list[str]]:
    parts = planner(*offers, **options).split(Envelope("ann@example.com", recipients))
    return [list(part.addresses) for part in parts]


def test_recipients_are_split_as_the_server_wants() -> None:
    given = ["a@x.example", "b@y.example", "c@x.example", "d@z.example", "e@y.example"]
    assert sizes(given) == [given]
    assert sizes(given, "LIMITS RCPTMAX=9 MAILMAX=3") == [given]
    assert sizes(given, "LIMITS RCPTMAX=2") == [given[:2], given[2:4], given[4:]]
    assert sizes(given, "LIMITS RCPTMAX=4", experience=Experience(max_recipients=3)) == [given[:3], given[3:]]
    by_domain = sizes(given, "LIMITS RCPTDOMAINMAX=1")
    assert by_domain == [["a@x.example", "c@x.example"], ["b@y.example", "e@y.example"], ["d@z.example"]]


@pytest.mark.parametrize("words", ["", "RCPTMAX=0", "RCPTMAX=x", "RCPTMAX", "RCPTMAX=1234567"])
def test_a_limit_that_makes_no_sense_is_none(words: str) -> None:
    assert offered(f"LIMITS {words}").limit("RCPTMAX") is None
