"""What is said for one message, depending on what the server offers and the message needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import pytest

from wlsmtp import Capabilities, Envelope, ExtensionMissing, MessageError, Pipelining
from wlsmtp.message.content import BytesContent
from wlsmtp.smtp.plan import Flow, Plan, Planner
from wlsmtp.smtp.quirks import ServerQuirks, Trust
from wlsmtp.smtp.wording import Wording

ANN_TO_BOB = Envelope("ann@example.com", ["bob@example.org"])
PLAIN = BytesContent(b"Subject: x\r\n\r\nHello\r\n")
EIGHT_BIT = BytesContent("Subject: x\r\n\r\nHällo\r\n".encode())


def offered(*offers: str) -> Capabilities:
    extensions = {offer.split()[0]: tuple(offer.split()[1:]) for offer in offers}
    return Capabilities("server", MappingProxyType(extensions))


def planner(*offers: str, all_or_nothing: bool = False, **options: Any) -> Planner:
    settings = {"pipelining": Pipelining(), "quirks": ServerQuirks(), **options}
    return Planner(offered(*offers), **settings, all_or_nothing=all_or_nothing)


def plan(content: BytesContent, *offers: str, envelope: Envelope = ANN_TO_BOB, **options: Any) -> Plan:
    return planner(*offers, **options).plan(envelope, content)


def test_a_bare_server_gets_bare_commands_one_by_one() -> None:
    made = plan(PLAIN)
    assert made.mail == b"MAIL FROM:<ann@example.com>\r\n"
    assert made.envelope.rcpt_lines == (b"RCPT TO:<bob@example.org>\r\n",)


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
    with pytest.raises(MessageError, match="21 octets and the server takes 20"):
        plan(PLAIN, f"SIZE {limit}")


BOTH = ("PIPELINING", "CHUNKING")
PROVEN = {"groups": Trust.PROVEN, "rset": Trust.PROVEN, "swallows": frozenset({BOTH}), "wording": Wording()}
DATA, BDAT, PROBE = (False, False), (True, False), (True, True)
"""Whether the content goes by BDAT, and whether a refused chunk is probed first."""


def flow_of(
    offers: Sequence[str], *, knows: Mapping[str, Any] = MappingProxyType({}), behind: bool = False,
    reset: bool = False, expects_more: bool = False, may_be_dead: bool = False, **options: Any,
) -> tuple[Flow, tuple[bool, bool]]:  # fmt: skip
    made = planner(*offers, quirks=ServerQuirks(**knows), **options)
    plan = made.plan(ANN_TO_BOB, PLAIN, may_be_dead=may_be_dead, expects_more=expects_more)
    flow, by_bdat, probe = made.flow(plan, behind=behind, reset=reset)
    return flow, (by_bdat, probe is not None)


@pytest.mark.parametrize(
    ("offers", "options", "flow", "content"),
    [
        (["CHUNKING"], {}, Flow.STEP_BY_STEP, DATA),
        (["PIPELINING"], {}, Flow.PIPELINED, DATA),
        (BOTH, {"pipelining": Pipelining(chunking=False)}, Flow.PIPELINED, DATA),
        (BOTH, {"pipelining": Pipelining(enabled=False)}, Flow.STEP_BY_STEP, DATA),
        (["PIPELINING"], {"pipelining": Pipelining(early_content=20)}, Flow.ENVELOPE_FIRST, DATA),
        (["PIPELINING"], {"all_or_nothing": True}, Flow.ENVELOPE_FIRST, DATA),
    ],
)
def test_as_much_goes_at_once_as_server_and_settings_allow(
    offers: list[str], options: dict[str, Any], flow: Flow, content: tuple[bool, bool]
) -> None:
    assert flow_of(offers, **options) == (flow, content)


@pytest.mark.parametrize(
    ("knows", "options", "flow", "content"),
    [
        ({}, {}, Flow.PIPELINED, DATA),
        ({}, {"expects_more": True}, Flow.ENVELOPE_FIRST, PROBE),
        ({}, {"expects_more": True, "behind": True}, Flow.PIPELINED, DATA),
        ({}, {"pipelining": Pipelining(early_content=20)}, Flow.ENVELOPE_FIRST, PROBE),
        ({"rset": Trust.BROKEN}, {"expects_more": True}, Flow.PIPELINED, DATA),
        (PROVEN, {}, Flow.PIPELINED_BDAT, BDAT),
        (PROVEN, {"behind": True}, Flow.PIPELINED_BDAT, BDAT),
        (PROVEN, {"may_be_dead": True}, Flow.PIPELINED, DATA),
        (PROVEN, {"all_or_nothing": True}, Flow.ENVELOPE_FIRST, BDAT),
        (PROVEN | {"wording": None}, {}, Flow.ENVELOPE_FIRST, BDAT),
        (PROVEN | {"rset": Trust.UNPROVEN}, {"reset": True}, Flow.ENVELOPE_FIRST, BDAT),
        (PROVEN | {"bdat": Trust.BROKEN}, {}, Flow.PIPELINED, DATA),
        (PROVEN | {"swallows_chunk": Trust.BROKEN}, {"expects_more": True}, Flow.PIPELINED, DATA),
        (PROVEN | {"swallows": frozenset({BOTH[:1]})}, {}, Flow.PIPELINED, DATA),
        (PROVEN | {"swallows": frozenset({BOTH[:1]})}, {"expects_more": True}, Flow.ENVELOPE_FIRST, PROBE),
        (PROVEN | {"groups": Trust.BROKEN}, {}, Flow.STEP_BY_STEP, DATA),
    ],
)
def test_content_goes_ahead_of_the_replies_only_where_a_refused_chunk_is_harmless(
    knows: dict[str, Any], options: dict[str, Any], flow: Flow, content: tuple[bool, bool]
) -> None:
    assert flow_of(BOTH, knows=knows, **options) == (flow, content)


def sizes(recipients: list[str], *offers: str, **options: Any) -> list[list[str]]:
    parts = planner(*offers, **options).split(Envelope("ann@example.com", recipients))
    return [list(part.addresses) for part in parts]


def test_recipients_are_split_as_the_server_wants() -> None:
    given = ["a@x.example", "b@y.example", "c@x.example", "d@z.example", "e@y.example"]
    assert sizes(given) == [given]
    assert sizes(given, "LIMITS RCPTMAX=9 MAILMAX=3") == [given]
    assert sizes(given, "LIMITS RCPTMAX=2") == [given[:2], given[2:4], given[4:]]
    assert sizes(given, "LIMITS RCPTMAX=4", quirks=ServerQuirks(max_recipients=3)) == [given[:3], given[3:]]
    by_domain = sizes(given, "LIMITS RCPTDOMAINMAX=1")
    assert by_domain == [["a@x.example", "c@x.example"], ["b@y.example", "e@y.example"], ["d@z.example"]]


@pytest.mark.parametrize("words", ["", "RCPTMAX=0", "RCPTMAX=x", "RCPTMAX", "RCPTMAX=1234567"])
def test_a_limit_that_makes_no_sense_is_none(words: str) -> None:
    assert offered(f"LIMITS {words}").limit("RCPTMAX") is None
