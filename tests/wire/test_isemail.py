"""The addresses of isemail's tests: those that SMTP can carry are sent as they are, those of header fields are read
there, and all others are refused.

The rows are those of version 3.05 of the test set of is_email (https://isemail.info; copyright 2016, Dominic Sayers,
under the BSD 3-Clause licence). Where its verdict is not ours there is a reason.
"""

from __future__ import annotations

import pytest

from wlsmtp.errors import MessageError
from wlsmtp.wire.address import parse_address
from wlsmtp.wire.mailboxes import parse_mailbox_list

LABEL = "abcdefghijklmnopqrstuvwxyz" * 2 + "abcdefghi"
TAIL = "abcdefghijklmnopqrstuvwxyzabcdefghijk.abcdefghijklmnopqrstu"

SENT = [
    "test@io", "test@iana.org", "test@nominet.org.uk", "test@about.museum", "a@iana.org", "test@e.com",
    "test@iana.a", "test.test@iana.org", "!#$%&`*+/=?^`{|}~@iana.org", "123@iana.org", "test@123.com",
    "test@iana.123", "test@255.255.255.255", f"{LABEL}klm@iana.org", f"test@{LABEL}kl.com", "test@mason-dixon.com",
    "test@c--n.com", "test@iana.co-uk",
    "a@" + "a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q.r.s.t.u.v.w.x.y.z." * 4 + "a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q.r.s.t.u.v",
    f"{LABEL}klm@{LABEL}kl.{LABEL}kl.{LABEL}", '"test"@iana.org', '""@iana.org', '"\\a"@iana.org', '"\\""@iana.org',
    '"\\\\"@iana.org', '"test\\ test"@iana.org', "test@[255.255.255.255]",
    "test@[IPv6:1111:2222:3333:4444:5555:6666:7777:8888]", "test@[IPv6:1111:2222:3333:4444:5555:6666::8888]",
    "test@[IPv6:1111:2222:3333:4444:5555::8888]", "test@[IPv6:::3333:4444:5555:6666:7777:8888]", "test@[IPv6:::]",
    "test@[IPv6:1111:2222:3333:4444:5555:6666:255.255.255.255]", "test@[IPv6:1111:2222:3333:4444::255.255.255.255]",
    "test@xn--hxajbheg2az3al.xn--jxalpdlp", "xn--test@iana.org", "test@org", "test@test.com", "test@nic.no",
]  # fmt: skip

IN_HEADERS = [
    (" test @iana.org", "test@iana.org"), ("test@ iana .com", "test@iana.com"),
    ("test . test@iana.org", "test.test@iana.org"), ("\r\n test@iana.org", "test@iana.org"),
    ("\r\n \r\n test@iana.org", "test@iana.org"), ("(comment)test@iana.org", "test@iana.org"),
    ("(comment(comment))test@iana.org", "test@iana.org"), ("test@(comment)iana.org", "test@iana.org"),
    ("test@(comment)[255.255.255.255]", "test@[255.255.255.255]"),
    (f"(comment){LABEL}klm@iana.org", f"{LABEL}klm@iana.org"),
    (f"test@(comment){LABEL}kl.com", f"test@{LABEL}kl.com"),
    (f"(comment)test@{LABEL}k.{LABEL}k.{LABEL}jk.{TAIL}", f"test@{LABEL}k.{LABEL}k.{LABEL}jk.{TAIL}"),
    (" \r\n test@iana.org", "test@iana.org"), ("test@iana.org\r\n ", "test@iana.org"),
    ("test@iana.org\r\n \r\n ", "test@iana.org"), ("test@iana.org \r\n ", "test@iana.org"),
    (" test@iana.org", "test@iana.org"), ("test@iana.org ", "test@iana.org"),
    ("test.(comment)test@iana.org", "test.test@iana.org"),
    ('"test"."test"@iana.org', "test.test@iana.org"), ('"test".test@iana.org', "test.test@iana.org"),
]  # fmt: skip

REFUSED = [
    "@", "test@", "@io", "@iana.org", ".test@iana.org", "test.@iana.org", "test..iana.org", "test\\@test@iana.org",
    f"{LABEL}klmn@iana.org", f"test@{LABEL}klm.com", "test@-iana.org", "test@iana-.com", "test@.iana.org",
    "test@iana.org.", "test@iana..com", f"{LABEL}klm@{LABEL}kl.{LABEL}kl.{LABEL}j",
    f"a@{LABEL}kl.{LABEL}kl.{LABEL}kl.abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefg.hij",
    f"a@{LABEL}kl.{LABEL}kl.{LABEL}kl.abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefg.hijk",
    '"""@iana.org', '"\\"@iana.org', 'test"@iana.org', '"test@iana.org', '"test"test@iana.org',
    'test"text"@iana.org', '"test""test"@iana.org', '"test\x00"@iana.org',
    '"abcdefghijklmnopqrstuvwxyz abcdefghijklmnopqrstuvwxyz abcdefghj"@iana.org',
    '"abcdefghijklmnopqrstuvwxyz abcdefghijklmnopqrstuvwxyz abcdefg\\h"@iana.org', "test@a[255.255.255.255]",
    "test@[255.255.255]", "test@[255.255.255.255.255]", "test@[255.255.255.256]",
    "test@[1111:2222:3333:4444:5555:6666:7777:8888]", "test@[IPv6:1111:2222:3333:4444:5555:6666:7777]",
    "test@[IPv6:1111:2222:3333:4444:5555:6666:7777:8888:9999]",
    "test@[IPv6:1111:2222:3333:4444:5555:6666:7777:888G]", "test@[IPv6:1111:2222:3333:4444:5555:6666::7777:8888]",
    "test@[IPv6::3333:4444:5555:6666:7777:8888]", "test@[IPv6:1111::4444:5555::8888]",
    "test@[IPv6:1111:2222:3333:4444:5555:255.255.255.255]",
    "test@[IPv6:1111:2222:3333:4444:5555:6666:7777:255.255.255.255]",
    "test@[IPv6:1111:2222:3333:4444:5555:6666::255.255.255.255]",
    "test@[IPv6:1111:2222:3333:4444:::255.255.255.255]", "test@[IPv6::255.255.255.255]", "((comment)test@iana.org",
    "test(comment)test@iana.org", "test@iana.org\n", "test@iana.org-", '"test@iana.org', "(test@iana.org",
    "test@(iana.org", "test@[1.2.3.4", '"test\\"@iana.org', "(comment\\)test@iana.org", "test@iana.org(comment\\)",
    "test@iana.org(comment\\", "test@[RFC-5322-domain-literal]", "test@[RFC-5322]-domain-literal]",
    "test@[RFC-5322-[domain-literal]", "test@[RFC-5322-\\\x07-domain-literal]",
    "test@[RFC-5322-\\\t-domain-literal]", "test@[RFC-5322-\\]-domain-literal]", "test@[RFC-5322-domain-literal\\]",
    "test@[RFC-5322-domain-literal\\", "test@[RFC 5322 domain literal]", "test@[RFC-5322-domain-literal] (comment)",
    "\x7f@iana.org", "test@\x7f.org", "test@iana.org\r", "\rtest@iana.org", '"\rtest"@iana.org', "(\r)test@iana.org",
    "test@iana.org(\r)", "\ntest@iana.org", '"\n"@iana.org', "(\n)test@iana.org", "\x07@iana.org", "test@\x07.org",
    "\r\ntest@iana.org", "\r\n \r\ntest@iana.org", " \r\ntest@iana.org", " \r\n \r\ntest@iana.org",
    " \r\n\r\ntest@iana.org", " \r\n\r\n test@iana.org", "test@iana.org\r\n", "test@iana.org\r\n \r\n",
    "test@iana.org \r\n", "test@iana.org \r\n \r\n", "test@iana.org \r\n\r\n", "test@iana.org \r\n\r\n ",
    "test@[IPv6:1::2:]", '"test\\©"@iana.org', "test@iana/icann.org",
]  # fmt: skip

_CONTROLS = "no control character is accepted, in quotes and comments neither: headers and commands are made of lines"

OTHERS: list[tuple[str, list[str], str]] = [
    ("", [], "a field may name nobody, as Cc does in some drafts; an envelope without anybody is refused later"),
    ("test", ["test"], "a name without a domain is somebody on this machine"),
    ("test_exa-mple.com", ["test_exa-mple.com"], "a name without a domain is somebody on this machine"),
    ('"test\\\x00"@iana.org', ["refused"], _CONTROLS),
    ('"\x7f"@iana.org', ["refused"], _CONTROLS),
    ('"\\\x7f"@iana.org', ["refused"], _CONTROLS),
    ("(\x7f)test@iana.org", ["refused"], _CONTROLS),
    ('"\\\n"@iana.org', ["refused"], _CONTROLS),
    ('"\x07"@iana.org', ["refused"], _CONTROLS),
    ('"\\\x07"@iana.org', ["refused"], _CONTROLS),
    ("(\x07)test@iana.org", ["refused"], _CONTROLS),
]
"""What is valid or obsolete there and refused here, or the other way round: text, what is read in a field, why."""


def in_header(text: str) -> list[str]:
    try:
        return [str(box.address) for box in parse_mailbox_list(text)]
    except MessageError:
        return ["refused"]


def test_all_of_them_are_here() -> None:
    known = [*SENT, *(text for text, _ in IN_HEADERS), *REFUSED, *(text for text, _, _ in OTHERS)]
    assert len(known) == 164 and len(set(known)) == 163, "one is there twice"


@pytest.mark.parametrize("text", SENT)
def test_what_smtp_can_carry_is_sent_as_it_is(text: str) -> None:
    assert str(parse_address(text)) == text and in_header(text) == [text]


@pytest.mark.parametrize(("text", "address"), IN_HEADERS)
def test_comments_folds_and_words_in_quotes_are_for_header_fields(text: str, address: str) -> None:
    assert in_header(text) == [address]
    with pytest.raises(MessageError):
        parse_address(text)


@pytest.mark.parametrize("text", REFUSED)
def test_what_no_envelope_can_have_is_refused(text: str) -> None:
    assert in_header(text) == ["refused"]
    with pytest.raises(MessageError):
        parse_address(text)


@pytest.mark.parametrize(("text", "found", "reason"), OTHERS)
def test_what_is_seen_otherwise_has_a_reason(text: str, found: list[str], reason: str) -> None:
    assert in_header(text) == found, reason
    with pytest.raises(MessageError):
        parse_address(text)
