"""Which texts are addresses, and how they go onto the wire."""

from __future__ import annotations

import copy
import pickle
import sys
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wlsmtp.errors import MessageError
from wlsmtp.wire import address
from wlsmtp.wire.address import Address, Mailbox, parse_address, parse_mailbox, parse_path
from wlsmtp.wire.mailboxes import parse_mailbox_list

ACCEPTED = [
    ("ann@example.com", "ann@example.com"),
    ("ann.b+tag@sub.example.com", "ann.b+tag@sub.example.com"),
    ("root@localhost", "root@localhost"),
    ("ann@mail_server", "ann@mail_server"),
    ("ann@a_b.example.com", "ann@a_b.example.com"),
    ('"a b@c,<d>"@example.com', '"a b@c,<d>"@example.com'),
    ("ann@[127.0.0.1]", "ann@[127.0.0.1]"),
    ("ann@[IPv6:::1]", "ann@[IPv6:::1]"),
    ("ann@bücher.example", "ann@xn--bcher-kva.example"),
    ("ann@faß.example", "ann@xn--fa-hia.example"),
    ("jörg@bücher.example", "jörg@xn--bcher-kva.example"),
    ("a" * 64 + "@example.com", "a" * 64 + "@example.com"),
]

REFUSED = [
    "", "ann", "@example.com", "ann@", "ann@@example.com", "ann@b@example.com", "ann@example.com@", "ann b@example.com",
    "ann@exam ple.com", " ann@example.com", "ann@example.com ", "<ann@example.com>", "ann@example.com>",
    "a,b@example.com",
    ".ann@example.com", "ann.@example.com", "a..b@example.com", "ann@.example.com", "ann@example.com.", "ann@a..b",
    "ann@-a.com", "ann@a-.com", "ann@" + "a" * 64 + ".com", "a" * 65 + "@example.com",
    "a@" + ".".join(["b" * 60] * 5), "x" * 100_000 + "@example.com", "ü" * 33 + "@example.com",
    "ann@[127.0.0.256]", "ann@[127.0.0.1", "ann@[IPv6:fe80::1%eth0]", "ann@[x:y]",
    '"ann@example.com', 'a"b"@example.com',
    '"a\\"@example.com', "ann@example.com\r\nRCPT TO:<eve@example.com>", "ann@exa\rmple.com", "a\nb@example.com",
    "a\x00@example.com", '"a\rb"@example.com', '"a\\\n"@example.com', "a\x7f@example.com", "a\x85@example.com",
    "a\u2028@example.com", "a\u2029@example.com", "a\u202e@example.com", "a\u2066b@example.com", "a\u200bb@example.com",
    "a\ud800@example.com", "ann@\u2100.example", "ann@a\uff20b.example", "(c)ann@example.com",
]  # fmt: skip


@pytest.mark.parametrize(("text", "wire"), ACCEPTED, ids=range(len(ACCEPTED)))
def test_an_address_is_kept_as_given_and_has_a_form_for_the_wire(text: str, wire: str) -> None:
    address = parse_address(text)
    assert str(address) == text and address.wire == wire
    assert address.needs_smtputf8 is not wire.isascii()


@pytest.mark.parametrize("text", REFUSED, ids=range(len(REFUSED)))
def test_what_is_no_address_is_refused_and_shown_in_short(text: str) -> None:
    for parse in (parse_address, parse_mailbox):
        if parse is parse_mailbox and text in (" ann@example.com", "ann@example.com ", "<ann@example.com>"):
            continue
        with pytest.raises(MessageError) as caught:
            parse(text)
        assert text == "" or repr(text[:20])[1:10] in str(caught.value)
        assert len(caught.value.message) < 500


@pytest.mark.parametrize("local", ["a..b", "ab.", ".ab"])
def test_a_dot_out_of_place_may_be_meant_and_quoted(local: str) -> None:
    with pytest.raises(MessageError) as caught:
        parse_address(f"{local}@docomo.example")
    assert caught.value.hint is not None and caught.value.hint.endswith(f'"{local}"@docomo.example')
    assert str(parse_address(f'"{local}"@docomo.example')) == f'"{local}"@docomo.example'


@pytest.mark.parametrize("local", ["=?utf-8?q?bob=40evil.example=2C?=", "a.=?UTF-8?B?Ym9iQGV2aWwuZXhhbXBsZQ==?="])
def test_an_encoded_word_is_no_local_part_that_two_could_read_differently(local: str) -> None:
    for parse in (parse_address, parse_mailbox, parse_mailbox_list):
        with pytest.raises(MessageError, match="encoded word") as caught:
            parse(f"{local}@example.com")
        assert caught.value.hint is not None and f'"{local}"@example.com' in caught.value.hint
    assert str(parse_address(f'"{local}"@example.com')) == f'"{local}"@example.com'
    assert str(parse_address("a=?b?=@example.com")) == "a=?b?=@example.com"


@pytest.mark.parametrize("text", ["=?utf-8?b?QsO2YiA8Ym9iQGV4YW1wbGUub3JnPg==?=", "=?utf-8?q?bob=40example.org?="])
def test_an_address_that_was_encoded_with_its_name_is_named(text: str) -> None:
    for parse in (parse_address, parse_mailbox):
        with pytest.raises(MessageError, match=r"an encoded word is no address\. Encode the name alone"):
            parse(text)


def test_only_a_path_may_be_empty() -> None:
    assert parse_path("") is None and parse_path("<>") is None
    assert str(parse_path("ann@example.com")) == "ann@example.com"


def test_without_idna_2008_a_domain_that_would_become_another_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "idna", None)
    assert parse_address("a@münchen2003.example").wire == "a@xn--mnchen2003-9db.example"
    for domain in ("straße2003.example", "\N{GREEK SMALL LETTER FINAL SIGMA}2003.example", "a\u200d2003.example"):
        with pytest.raises(MessageError, match=r"wlsmtp\[idna\]"):
            parse_address(f"a@{domain}")


@pytest.mark.parametrize(
    ("text", "name", "address"),
    [
        ("ann@example.com", "", "ann@example.com"),
        ("<ann@example.com>", "", "ann@example.com"),
        ("Ann Example <ann@example.com>", "Ann Example", "ann@example.com"),
        ('"Example, Ann" <ann@example.com>', "Example, Ann", "ann@example.com"),
        ('"eve@example.com" <ann@example.com>', "eve@example.com", "ann@example.com"),
        ('"a \\"b\\" \\\\" <ann@example.com>', 'a "b" \\', "ann@example.com"),
        ("Dr. Jörg Müller <ann@example.com>", "Dr. Jörg Müller", "ann@example.com"),
        ('"<eve@x>" <"a b"@example.com>', "<eve@x>", '"a b"@example.com'),
        ("Ann <ann@[IPv6:::1]>", "Ann", "ann@[IPv6:::1]"),
        ("=?utf-8?q?J=C3=B6rg?=\n =?utf-8?q?_M=C3=BCller?= <ann@example.com>", "Jörg Müller", "ann@example.com"),
        ('"A long\r\n\tname"\r\n <ann@example.com>', "A long name", "ann@example.com"),
    ],
)
def test_a_mailbox_has_a_name_and_an_address(text: str, name: str, address: str) -> None:
    mailbox = parse_mailbox(text)
    assert (mailbox.name, str(mailbox.address)) == (name, address)
    assert parse_mailbox(str(mailbox)) == mailbox


@pytest.mark.parametrize(
    "text",
    [
        "a@x, b@y",
        "a@x b@y",
        "Ann <a@x> <b@y>",
        '"a@x" <b@y>, c@z',
        "a@x <b@y>",
        "a@x;b@y",
        "Ann <a@x>, ",
        "Last, F <a@x>",
    ],
)
def test_a_second_address_says_to_pass_a_list(text: str) -> None:
    with pytest.raises(MessageError, match="list"):
        parse_mailbox(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ann@example.com (Ann)", "parentheses"),
        ("(a@b) <c@d>", "parentheses|more than one"),
        ('"Ann <ann@example.com>', "not closed"),
        ("Ann <ann@example.com", "end with >"),
        ("Ann <ann@example.com> x", "come last"),
        ("Team: <a@x>", "colon"),
        ("Ann\r\nBcc: eve <a@x>", "control character"),
        ("Ann\n\n <a@x>", "control character"),
        ("Ann\n <a@x>\n", "control character"),
        ("Ann\r <a@x>", "control character"),
        ("a@x\n .org", "cannot be in a domain"),
    ],
)
def test_what_could_be_misread_is_refused(text: str, words: str) -> None:
    with pytest.raises(MessageError, match=words):
        parse_mailbox(text)


def test_a_header_value_may_have_groups_comments_and_folding() -> None:
    text = 'a@x (one, (two) \\) c@z),\r\n\tTeam: "B, b" <b@y>, <c@z>;, =?utf-8?q?e=40v=2Cf?= <d@w>'
    found = [(box.name, str(box.address)) for box in parse_mailbox_list(text)]
    assert found == [("", "a@x"), ("B, b", "b@y"), ("", "c@z"), ("e@v,f", "d@w")]
    assert parse_mailbox_list("undisclosed-recipients:;") == []


@pytest.mark.parametrize("text", ["a@x <b@y", "a@x (b", "a@x b@y", "<a@x>,\nb", '"a', "a@x\r\nBcc: b@y", '"a\tb"@x'])
def test_a_malformed_header_value_is_refused(text: str) -> None:
    with pytest.raises(MessageError):
        parse_mailbox_list(text)


def test_nothing_changes_an_address_which_others_may_share() -> None:
    address = parse_address("ann@example.com")
    assert parse_address("ann@example.com") is address
    with pytest.raises(AttributeError):
        address.local = "eve"  # type: ignore[misc]
    with pytest.raises(AttributeError):
        del address.domain
    assert copy.deepcopy(address) == pickle.loads(pickle.dumps(address)) == address == Address("ann", "example.com")
    assert hash(address) == hash(Address("ann", "example.com"))


def test_mailboxes_compare_by_value() -> None:
    assert parse_mailbox("A <a@x>") == Mailbox("A", parse_address("a@x"))


PIECES = ["Ann", "é", " ", "\u00a0", '"', "\\", "<", ">", "@", "a@x.org", "<a@x.org>", ".", ",", ";", ":", "(", ")"]
PIECES += ["[", "]", "\r\n", "\t", "\x85", "\u2028", "\ud800", "=?utf-8?q?x?=", "-", "a" * 64, "b." * 100]


@given(st.lists(st.sampled_from(PIECES), max_size=8).map("".join))
@example('" Ann " <a@x.org>')
@example('"Ann"  <a@x.org>')
@example(" Ann<a@x.org>")
@example("\u00a0Ann\u3000<a@x.org>")
def test_the_quick_way_reads_what_the_grammar_reads(text: str) -> None:
    def outcome(read: Callable[[str], Mailbox]) -> Mailbox | str:
        try:
            return read(text)
        except MessageError as error:
            return str(error)

    assert outcome(address.parse_mailbox) == outcome(address._read_by_tokens)


def test_a_long_text_is_not_remembered() -> None:
    before = address._remembered_mailbox.cache_info().currsize
    parse_mailbox(f"{'Ann ' * 100}<a@x.org>")
    assert address._remembered_mailbox.cache_info().currsize == before


@given(st.from_regex(address._USUAL, fullmatch=True) | st.from_regex(address._PLAIN, fullmatch=True))
@example("a@" + "b" * 62 + ".c")
@example("a@" + "b" * 64 + ".org")
@example("a" * 65 + "@b.org")
@example("a..b@c.org")
@example("a.@c.org")
@example("a@c..org")
@example("a@c.org\n")
@example("=?a?=@c.org")
def test_a_plain_address_is_one_for_the_full_parser(text: str) -> None:
    assert address.is_plain_address(text) == (address.plain_address(text) is not None)


@pytest.mark.parametrize("text", ["{email}", "{{ email }}", "{0}"])
def test_a_placeholder_is_told_that_nothing_is_filled_in(text: str) -> None:
    with pytest.raises(MessageError) as caught:
        parse_address(text)
    assert "letter.merge(rows)" in (caught.value.hint or "")
