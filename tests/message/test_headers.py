"""What a program reads is never encoded as a whole, names and subjects keep their words, and the cost is that of the
length."""

from __future__ import annotations

import re
from datetime import datetime
from email import message_from_bytes, policy
from email.utils import parsedate_to_datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from wlsmtp.errors import MessageError
from wlsmtp.message import headers
from wlsmtp.message.model import Attachment, Message
from wlsmtp.message.render import content_of
from wlsmtp.wire.mailboxes import Group, parse_address_list, parse_mailbox_list


def message(**fields: Any) -> Message:
    return Message(**{"sender": "ann@example.com", "to": "bob@example.org", "subject": "Hi", **fields})


def raw(mail: Message, name: str) -> list[str]:
    """The values of a field as they are written, unfolded."""
    found = message_from_bytes(bytes(mail)).get_all(name, [])
    return [re.sub(r"\r?\n(?=[ \t])", "", str(value)) for value in found]


def read(mail: Message) -> Any:
    return message_from_bytes(bytes(mail), policy=policy.default)


URL = f"<https://example.com/u?token={'t' * 880}>"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("List-Unsubscribe", URL),
        ("List-Unsubscribe", "<mailto:a@x.org?subject==?x?q?y?=>, <https://x.org/>"),
        ("List-Id", "A list <l.example.com>"),
        ("References", " ".join(f"<{number}@x.org>" for number in range(100))),
        ("In-Reply-To", f"<{'y' * 950}@x.org>"),
        ("Autocrypt", "addr=a@x.org;  keydata=" + "QUJD " * 500 + "QUJD"),
        ("Auto-Submitted", "auto-generated"),
    ],
)
def test_what_programs_read_stays_in_ascii_as_it_is(name: str, value: str) -> None:
    assert raw(message(headers={name: value}), name) == [value]


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("List-Unsubscribe", "<https://example.com/ü>", "percent"),
        ("List-Unsubscribe", f"<https://example.com/{'t' * 1000}>", "998"),
        ("References", f"<{'y' * 1000}@x.org>", "998"),
        ("In-Reply-To", "<ü@x.org>", "ASCII"),
        ("Autocrypt", f"addr=a@x.org; keydata={'A' * 2000}", "998"),
        ("List-Id", "Üñ l.example.com", "ASCII"),
        ("Sender", "a@x.org, b@x.org", "one address"),
        ("Sender", "Team: a@x.org;", "one address"),
        ("Resent-To", "", "names nobody"),
        ("List-Id", ["<a.x.org>", "<b.x.org>"], "one field"),
        ("Sender", ["a@x.org", "b@x.org"], "one address"),
    ],
)
def test_what_cannot_be_written_so_is_refused(name: str, value: Any, words: str) -> None:
    with pytest.raises(MessageError, match=f"headers: {name}: .*{words}"):
        message(headers={name: value})


def test_only_the_phrase_of_a_list_id_is_encoded() -> None:
    for phrase in ("Üñ list", '"Üñ list"'):
        mail = message(headers={"List-Id": f"{phrase} <l.example.com>"})
        assert (
            raw(mail, "List-Id")[0].endswith("?= <l.example.com>")
            and read(mail)["List-Id"] == "Üñ list <l.example.com>"
        )


def test_a_stdlib_message_with_such_a_field_is_refused_too() -> None:
    mail = read(message())
    mail["List-Unsubscribe"] = "<https://example.com/ü>"
    with pytest.raises(MessageError, match=r"List-Unsubscribe: .*ASCII"):
        content_of(mail)


@pytest.mark.parametrize(
    "name",
    [
        "Department of Mechanical Engineering and Robotics",
        "International Business Machines Corporation, Support Team for the North and the West of the whole World",
        "Служба поддержки",
        "José Ángel Núñez Gutiérrez",
        "w" * 300,
    ],
)
def test_a_long_name_keeps_its_words(name: str) -> None:
    mail = message(sender=(name, "ann@example.com"), to=[(name, "bob@example.org")] * 2)
    assert read(mail)["From"].addresses[0].display_name == name
    assert [item.display_name for item in read(mail)["To"].addresses] == [name] * 2
    assert ("=?" in raw(mail, "From")[0]) is not name.isascii()
    assert max(map(len, bytes(mail).split(b"\r\n"))) <= (78 if " " in name else 400)


def test_encoded_words_end_where_words_end() -> None:
    text = "zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich " * 4
    words = headers.encoded_words(text)
    assert len(words) > 4 and all(len(word) <= 75 for word in words)
    assert all(word.endswith("_?=") for word in words)


def test_a_subject_begins_behind_its_colon() -> None:
    for subject in ("https://example.com/" + "x" * 50, "x" * 70 + " y", "ü" * 80):
        mail = message(subject=subject, headers={"X-Text": subject})
        assert b"Subject: " in bytes(mail) and b"Subject: \r\n" not in bytes(mail)
        assert read(mail)["Subject"] == subject == read(mail)["X-Text"]


def test_groups_are_written_as_groups() -> None:
    team = "Friends: ann@example.org, bob@example.org;"
    (friends,) = parse_address_list(team)
    mail = message(to=friends, cc=["undisclosed-recipients:;", "cy@x.org"], bcc=Group("B"), headers={"Resent-To": team})
    assert raw(mail, "To") == raw(mail, "Resent-To") == [team]
    assert raw(mail, "Cc") == ["undisclosed-recipients:;, cy@x.org"]
    assert mail.envelope().addresses == ("ann@example.org", "bob@example.org", "cy@x.org")
    hidden = message(to="undisclosed-recipients:;", bcc=["b@x.org"])
    assert raw(hidden, "To") == ["undisclosed-recipients:;"] and hidden.envelope().addresses == ("b@x.org",)
    for name in ("Üñ", "a, b", "=?x?="):
        long = message(to=Group(name, tuple(parse_mailbox_list(", ".join(f"Ü <user{n}@x.org>" for n in range(40))))))
        (group,) = read(long)["To"].groups
        assert group.display_name == name and len(group.addresses) == 40
    for wrong in (team, [team], "A: a@x.org;", "undisclosed-recipients:", "A: a@x.org; b@x.org;", Group("a\r\nBcc: x")):
        with pytest.raises(MessageError, match="to: "):
            message(to=wrong)
    with pytest.raises(MessageError, match="sender: "):
        message(sender=friends)


def test_groups_of_stdlib_messages_are_written_with_their_names() -> None:
    mail = read(message())
    del mail["To"]
    mail["To"] = 'Jörg: "Müller, J" <j@x.org>, b@x.org;'
    sent: Any = message_from_bytes(b"".join(content_of(mail).chunks()), policy=policy.default)
    (group,) = sent["To"].groups
    assert group.display_name == "Jörg" and [item.display_name for item in group.addresses] == ["Müller, J", ""]


@pytest.mark.parametrize(
    ("name", "values", "written"),
    [
        ("References", ["<a@b>", "<c@d>"], "<a@b> <c@d>"),
        ("In-Reply-To", ["<a@b>", "<c@d>"], "<a@b> <c@d>"),
        ("List-Unsubscribe", ["<mailto:a@b>", "<https://x>"], "<mailto:a@b>, <https://x>"),
        ("Mail-Followup-To", ["a@x.org", "B <b@x.org>"], "a@x.org, B <b@x.org>"),
    ],
)
def test_a_list_is_one_field_where_there_may_be_one_only(name: str, values: list[str], written: str) -> None:
    assert raw(message(headers={name: values}), name) == [written]


def test_a_zone_with_seconds_names_the_same_moment() -> None:
    date = datetime(1890, 1, 1, tzinfo=ZoneInfo("Europe/Amsterdam"))
    assert date.utcoffset() is not None and date.utcoffset().total_seconds() % 60  # type: ignore[union-attr]
    assert parsedate_to_datetime(raw(message(date=date), "Date")[0]) == date


def test_there_is_no_empty_encoded_word() -> None:
    empty = Attachment.from_bytes(b"x", "")
    mail = message(subject="", sender=("", "ann@example.com"), attachments=[empty], headers={"X-Empty": ""})
    assert b"??=" not in bytes(mail) and b"name" not in bytes(mail) and headers.encoded_words("") == []


@pytest.mark.parametrize("piece", ["😀", "ü ", "=?"])
def test_a_long_text_is_looked_at_once(piece: str, monkeypatch: pytest.MonkeyPatch) -> None:
    how_many_fit, looked_at = headers._how_many_fit, []

    def counted(text: str, room: int, in_q: bool) -> int:
        looked_at.append(len(text))
        return how_many_fit(text, room, in_q)

    monkeypatch.setattr(headers, "_how_many_fit", counted)
    text = piece * 5000
    mail = message(subject=text)
    assert read(mail)["Subject"] == text
    assert len(looked_at) > 50 and sum(looked_at) <= 20 * len(text)
