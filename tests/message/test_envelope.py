"""Who a message is from and who gets it."""

from __future__ import annotations

import dataclasses
import pickle
from email.headerregistry import Address as HeaderAddress
from types import SimpleNamespace
from typing import Any

import pytest

from wlsmtp import MemoryOutbox, MemoryTransport, SMTPSession
from wlsmtp.errors import MessageError
from wlsmtp.message.envelope import Envelope
from wlsmtp.message.render import envelope_of
from wlsmtp.wire.address import Address, parse_address


def test_recipients_are_checked_unique_and_in_order() -> None:
    envelope = Envelope("ann@example.com", ["b@x.org", "Ann <a@x.org>", "b@X.org", "B@x.org"])
    assert [str(address) for address in envelope.recipients] == ["b@x.org", "a@x.org", "B@x.org"]


@pytest.mark.parametrize("sender", ["", None])
def test_the_null_reverse_path(sender: str | None) -> None:
    assert Envelope(sender, "b@x.org").sender is None


def test_a_lone_str_is_one_recipient() -> None:
    assert [str(address) for address in Envelope("a@x.org", "b@x.org").recipients] == ["b@x.org"]


@pytest.mark.parametrize("recipients", [[], (), "", ["a@x", ""], "a@x, b@y", b"a@x", None, [None], 5])
def test_recipients_that_are_none(recipients: Any) -> None:
    with pytest.raises(MessageError):
        Envelope("a@x.org", recipients)


def test_an_address_made_by_hand_is_checked_too() -> None:
    with pytest.raises(MessageError):
        Envelope("a@x.org", [Address("b", "x.org>\r\nDATA")])


def test_smtputf8_is_needed_for_local_parts_only() -> None:
    assert not Envelope("a@bücher.example", "b@x.org").needs_smtputf8
    assert Envelope("ä@x.org", "b@x.org").needs_smtputf8 and Envelope("", "ä@x.org").needs_smtputf8


def test_it_can_be_narrowed_and_not_changed() -> None:
    envelope = Envelope("a@x.org", ["b@x.org", "c@x.org"])
    assert envelope.only(envelope.recipients[1:]) == Envelope("a@x.org", "c@x.org")
    with pytest.raises(dataclasses.FrozenInstanceError):
        envelope.sender = None  # type: ignore[misc]


def test_what_commands_need_is_made_once() -> None:
    envelope = Envelope("Ann <ann@bücher.example>", ["Bob <b@X.org>", "ä@y.org"])
    assert envelope.mail_line == b"MAIL FROM:<ann@xn--bcher-kva.example>\r\n"
    assert Envelope("", "b@x.org").mail_line == b"MAIL FROM:<>\r\n"
    assert envelope.rcpt_lines == (b"RCPT TO:<b@X.org>\r\n", "RCPT TO:<ä@y.org>\r\n".encode())
    assert envelope.addresses == ("b@X.org", "ä@y.org")
    assert envelope.rcpt_lines is envelope.rcpt_lines and envelope.addresses is envelope.addresses


def test_what_was_made_does_not_count_when_two_are_compared() -> None:
    used, fresh = Envelope("a@x.org", "b@x.org"), Envelope("a@x.org", "b@x.org")
    assert used.rcpt_lines and used.needs_smtputf8 is False
    assert used == fresh and hash(used) == hash(fresh) and repr(used) == repr(fresh)
    assert pickle.loads(pickle.dumps(used)) == used
    assert dataclasses.replace(used, recipients=(parse_address("c@x.org"),)).addresses == ("c@x.org",)


def test_checked_addresses_are_unique_too_and_pass_the_gate_of_commands() -> None:
    bob = parse_address("b@x.org")
    assert Envelope.of_checked(None, [bob, parse_address("b@X.org")]) == Envelope("", "b@x.org")
    with pytest.raises(MessageError, match="recipient"):
        Envelope.of_checked(bob, [])
    with pytest.raises(MessageError, match="control character"):
        _ = Envelope.of_checked(bob, [Address("b", "x.org>\r\nDATA")]).rcpt_lines


def test_names_without_a_domain_are_kept_and_told() -> None:
    envelope = Envelope("root", ["Postmaster", "www-data", "ann@x.org"])
    assert envelope.addresses == ("Postmaster", "www-data", "ann@x.org")
    assert envelope.mail_line == b"MAIL FROM:<root>\r\n" and envelope.rcpt_lines[0] == b"RCPT TO:<Postmaster>\r\n"
    assert envelope.local_names == ("www-data", "root")
    assert Envelope("<>", "postmaster").local_names == () and Envelope("<>", "postmaster").sender is None
    assert Envelope(None, envelope.recipients).addresses == envelope.addresses
    for wrong in (
        "a b",
        "ü",
        "|/bin/sh",
        "/etc/passwd",
        "-bs",
        "a!b",
        "a%b",
        "root,ann",
        "a" * 65,
        "a..b",
        "Postmaster\r\nDATA",
    ):
        with pytest.raises(MessageError):
            Envelope("", wrong)


def test_mailboxes_of_other_libraries_are_recipients() -> None:
    bob: Any = SimpleNamespace(name="Bob", email="b@x.org")  # as pydantic's NameEmail
    envelope = Envelope(HeaderAddress("Ann", "ann", "x.org"), [HeaderAddress("", "a b", "x.org"), bob])
    assert str(envelope.sender) == "ann@x.org" and envelope.addresses == ('"a b"@x.org', "b@x.org")
    assert Envelope("", HeaderAddress("", "c", "x.org")).addresses == ("c@x.org",)


def test_recipients_may_be_pairs_of_a_name_and_an_address() -> None:
    pairs: Any = [("Bob, B", "b@x.org"), "c@x.org"]
    assert [str(address) for address in Envelope("a@x.org", pairs).recipients] == ["b@x.org", "c@x.org"]
    assert {str(address) for address in Envelope("a@x.org", set(pairs)).recipients} == {"b@x.org", "c@x.org"}


@pytest.mark.parametrize("pair", [("b@x.org", "c@x.org"), ("b@x.org", "Bob"), ("bob", "ann"), ("b",), ("b", 5)])
def test_no_address_is_lost_as_the_name_of_another(pair: Any) -> None:
    with pytest.raises(MessageError):
        Envelope("a@x.org", [pair])


def test_a_tuple_of_two_texts_is_one_pair_wherever_recipients_are_given() -> None:
    assert Envelope("a@x.org", ("Bob", "b@x.org")).addresses == ("b@x.org",)
    assert envelope_of(b"From: a@x.org\r\n\r\n", recipients=("Bob", "b@x.org")).addresses == ("b@x.org",)
    assert Envelope("a@x.org", ("b@x.org", "c@x.org", "d@x.org")).addresses == ("b@x.org", "c@x.org", "d@x.org")
    for both in (("b@x.org", "c@x.org"), ("bob", "ann")):
        with pytest.raises(MessageError, match=r"a tuple of two texts.*as a list, \[a, b\]"):
            Envelope("a@x.org", both)


def test_recipients_that_are_stored_are_no_pair() -> None:
    """An outbox keeps them as a tuple of texts."""
    session = SMTPSession(transport=MemoryTransport(), mode="async", outbox=MemoryOutbox())
    with session:
        receipt = session.send(b"Subject: x\r\n\r\nx", sender="a@x.org", recipients=["b@x.org", "c@x.org"])
        assert len(receipt.wait(20).accepted) == 2


@pytest.mark.parametrize(
    "to", ["bob@example.org", "bob.lee+x@mail.example.org", '"b b"@x.org', "bob@[192.0.2.1]", "bob@bücher.example"]
)
def test_an_address_in_a_text_and_one_that_was_parsed_make_the_same_envelope(to: str) -> None:
    one, other = Envelope("ann@example.com", [to]), Envelope("ann@example.com", [parse_address(to)])
    of_checked = Envelope.of_checked(parse_address("ann@example.com"), [parse_address(to)])
    for envelope in (one, other, of_checked):
        assert envelope.rcpt_lines == (f"RCPT TO:<{parse_address(to).wire}>\r\n".encode(),)
        assert (envelope.addresses, envelope.recipients) == (other.addresses, (parse_address(to),))
        assert pickle.loads(pickle.dumps(envelope)) == envelope == one
