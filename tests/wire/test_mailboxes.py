"""Address lists are read in one way, or refused."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wlsmtp.errors import MessageError
from wlsmtp.wire.address import Mailbox, parse_address
from wlsmtp.wire.encoded_words import decode_words
from wlsmtp.wire.mailboxes import Group, mailboxes_in, parse_address_list, parse_mailbox_list


def addresses(text: str) -> list[str]:
    return [str(box.address) for box in parse_mailbox_list(text)]


@pytest.mark.parametrize(
    "text",
    [
        "935-XPB-567:0:45327:9:90305:17843586-40@example.com",
        "bob@example.org: eve@example.net;",
        "bob@example.org, : eve@example.net",
        "bob@example.org, : eve@example.net;",
        "A: b@x.org, C: d@x.org;;",
        "A: b@x.org; c@x.org",
        "A: b@x.org; B: c@x.org;",
        "A: b@x.org",
        "b@x.org;",
        "<b@x.org>: c@x.org;",
        "A <b: c@x.org>",
        "<@a@b:c@x.org>",
        "a@x.org\u00a0",
        "a@x.org (one",
        "a b@x.org",
        "a@x .org c",
        "a@x.org. ",
        "Doe, John <j@x.org>",
        "root, a@x.org",
        "T: root, a@x.org;",
        "Ann Doe",
        "ü",
    ],
)
def test_a_colon_or_space_out_of_place_names_nobody(text: str) -> None:
    with pytest.raises(MessageError) as caught:
        parse_mailbox_list(text)
    assert text[:20].strip() in caught.value.message


def test_groups_have_names_and_members() -> None:
    team, nobody, last = parse_address_list('"The, team": Ann <a@x.org>, b@x.org ; , undisclosed-recipients:;, c@x.org')
    assert isinstance(team, Group) and team.name == "The, team" and len(team.members) == 2
    assert nobody == Group("undisclosed-recipients") and last == Mailbox("", parse_address("c@x.org"))
    assert str(team) == '"The, team": "Ann" <a@x.org>, b@x.org;'


def test_a_name_without_a_domain_is_read_where_it_is_no_part_of_a_name() -> None:
    assert addresses("root") == ["root"] and addresses("Postmaster (me), john . doe") == ["Postmaster", "john.doe"]
    assert addresses("T: root, www-data;") == ["root", "www-data"]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("=?utf-8?b?SsO2cmc=?=", "Jörg"),
        ("=?UTF-8*de?Q?J=C3=B6rg?=", "Jörg"),
        ("=?iso-8859-1?q?J=F6rg_M?= =?iso-8859-1?q?=FCller?= x", "Jörg Müller x"),
        ("=?utf-8?q?J=C3?= =?utf-8?q?=B6rg?=", "Jörg"),
        ("a =?utf-8?q?b?= c", "a b c"),
        ("=?utf-8?q?a?==?utf-8?q?b?=", "=?utf-8?q?a?==?utf-8?q?b?="),
        ("=?no-such?q?a?=", "=?no-such?q?a?="),
        ("=?hex?q?61?=", "=?hex?q?61?="),
        ("=?utf-8?q?=FF?=", "=?utf-8?q?=FF?="),
        ("=?utf-8?q?a=0D=0ABcc:_x?=", "=?utf-8?q?a=0D=0ABcc:_x?="),
        ("=?utf-8?b?SsO2cmc?=", "Jörg"),
    ],
)
def test_an_encoded_word_is_decoded_or_stays(text: str, name: str) -> None:
    assert decode_words(text) == name
    if ":" not in text:
        assert parse_mailbox_list(f"{text} <a@x.org>")[0].name == name
        assert parse_mailbox_list(f'"{text}" <a@x.org>')[0].name == text


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Who? <one@y.test>", [("Who?", "one@y.test")]),
        ('"Giant; \\"Big\\" Box" <box@example.net>', [('Giant; "Big" Box', "box@example.net")]),
        (" , joe@where.test,,John <jdoe@one.test>,,", [("", "joe@where.test"), ("John", "jdoe@one.test")]),
        ("=?ISO-8859-1?Q?Andr=E9?= Pirard <pirard@vm1.example>", [("André Pirard", "pirard@vm1.example")]),
        ("=?utf-8?q?J=C3=B6rg?=  =?utf-8?q?Doe?= <j@x.org>", [("JörgDoe", "j@x.org")]),
        ("Asem H. <noreply@example.com>", [("Asem H.", "noreply@example.com")]),
        ('"" <empty@example.com>', [("", "empty@example.com")]),
        ("<a@x.org> (one (two))  (three), <b@x.org> ()", [("", "a@x.org"), ("", "b@x.org")]),
        ("asjo@example.com (Adam =?utf-8?Q?Sj=C3=B8gren?= (Debian))", [("Adam Sjøgren (Debian)", "asjo@example.com")]),
        ("T: <a@x.org>;, U: b@x.org;, John <c@x.org>", [("", "a@x.org"), ("", "b@x.org"), ("John", "c@x.org")]),
        ("Micro <micro@µ.example.com>", [("Micro", "micro@µ.example.com")]),
        ("Jeff <jeff@臺網中心.tw>, राम@मोहन.example", [("Jeff", "jeff@臺網中心.tw"), ("", "राम@मोहन.example")]),
    ],
)
def test_lists_of_other_libraries_tests_are_read(text: str, found: list[tuple[str, str]]) -> None:
    assert [(box.name, str(box.address)) for box in parse_mailbox_list(text)] == found


@pytest.mark.parametrize(
    "text",
    [
        "John !@M@! Doe <jdoe@machine.example>",
        "John <middle> Doe <jdoe@machine.example>",
        "<jdoe#machine.example>",
        "a@x.org (",
        "root group: embedded group: a@x.org;",
        "group not closed: a@x.org",
        "John Doe@x.org",
        "john.doe@",
        '"\\\x00" <a@x.org>',
        "<a@x.org>>",
        "a@x.org <b@x.org",
    ],
)
def test_what_other_libraries_tests_refuse_is_refused(text: str) -> None:
    with pytest.raises(MessageError):
        parse_mailbox_list(text)


@pytest.mark.parametrize("special", [*'()<>@,;:\\".[] '])
def test_between_two_addresses_there_is_a_comma_and_nothing_else(special: str) -> None:
    """A lenient reader takes one of the two, and not always the same (CVE-2023-27043)."""
    for first in ("alice@example.org", "<alice@example.org>"):
        for second in ("bob@example.com", "<bob@example.com>"):
            text = f"{first}{special}{second}"
            if special == ",":
                assert addresses(text) == ["alice@example.org", "bob@example.com"]
            else:
                with pytest.raises(MessageError):
                    parse_mailbox_list(text)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("John (middle) Doe <a@x.org>", "John Doe"),
        ("John(middle)Doe <a@x.org>", "John Doe"),
        ("(Mr) John (a) (b)\t Doe (c)<a@x.org> (d)", "John Doe"),
        ('"John  (middle)" (a) Doe <a@x.org>', "John  (middle) Doe"),
    ],
)
def test_a_comment_is_a_space(text: str, name: str) -> None:
    assert [box.name for box in parse_mailbox_list(text)] == [name]


PIECES = [
    "Ann",
    "a@x.org",
    "<b@x.org>",
    '"c, d"',
    "<",
    ">",
    "@",
    ".",
    ",",
    ";",
    ":",
    "(",
    ")",
    "\\",
    '"',
    " ",
    "\r\n ",
    "\t",
]
PIECES += ["é", "=?utf-8?q?e=40x,?=", "[127.0.0.1]", "(e@x.org)", "f", "\u00a0"]


@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
@example("T: a@x.org,<b@x.org>;,a@x.org")
def test_what_is_read_reads_back_and_is_in_the_text(text: str) -> None:
    try:
        items = parse_address_list(text)
    except MessageError:
        return
    found = mailboxes_in(items)
    assert parse_mailbox_list(text) == found
    assert parse_address_list(", ".join(map(str, items))) == items
    assert text.count("@") >= len(found) or not any(box.address.domain for box in found)
    # No entry is lost: between two addresses there is a separator.
    assert text.count(",") + text.count(";") + text.count(":") >= len(found) - 1


BOXES = st.builds(
    lambda name, local: Mailbox(name.strip(), parse_address(f"{local}@x.org")),
    st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=9),
    st.sampled_from(["a", "b.c", '"d, e"', "ü"]),
)
GROUPS = st.builds(
    lambda name, members: Group(name, tuple(members)), st.sampled_from(["T", "T, s"]), st.lists(BOXES, max_size=3)
)


@given(st.lists(BOXES | GROUPS, max_size=4), st.sampled_from([", ", ",", " (x, y@z) ,\r\n "]))
def test_a_written_list_is_read_as_it_was(items: list[Mailbox | Group], separator: str) -> None:
    assert parse_address_list(separator.join(map(str, items))) == items
