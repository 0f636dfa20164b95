"""What a message may hold, and what it says when it may not."""

from __future__ import annotations

import io
import pickle
import tempfile
from dataclasses import FrozenInstanceError
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from enum import StrEnum
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from starlette.datastructures import UploadFile
from werkzeug.datastructures import FileStorage

from wlsmtp.errors import MessageError, Stage
from wlsmtp.message.model import Attachment, Message
from wlsmtp.wire.address import Address, Mailbox, parse_address
from wlsmtp.wire.mailboxes import mailboxes_in


def parsed(octets: bytes) -> EmailMessage:
    return message_from_bytes(octets, policy=policy.default)


def message(**fields: Any) -> Message:
    return Message(**{"sender": "ann@example.com", "to": "bob@example.org", **fields})


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ("bob@x.org", [""]),
        (["Bob <b@x.org>", "c@x.org"], ["Bob", ""]),
        (("Bob, B", "b@x.org"), ["Bob, B"]),
        ([("Bob", "b@x.org"), Mailbox("C", parse_address("c@x.org"))], ["Bob", "C"]),
        (["b@x.org", "c@x.org"], ["", ""]),
        (("b@x.org", "c@x.org", "d@x.org"), ["", "", ""]),
        ([("b@x.org", "c@x.org")], ["b@x.org"]),
        (("Ann @ work", "c@x.org"), ["Ann @ work"]),
        (parse_address("b@x.org"), [""]),
        ((), []),
        (None, []),
    ],
)
def test_an_address_field_takes_one_or_several(given: Any, names: list[str]) -> None:
    assert [mailbox.name for mailbox in message(to=given).to] == names


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"sender": "no address"}, "sender: "),
    ({"sender": 5}, "sender: "),
    ({"sender": ""}, "sender: "),
    ({"sender": ["a@x", "b@x"]}, "sender: "),
    ({"to": "a@x.org, b@x.org"}, "to: .*list"),
    ({"to": [5]}, "to: "),
    ({"to": ("victim@x.net", "bob@x.org")}, r"to: \('victim@x.net', 'bob@x.org'\) could be .*list"),
    ({"bcc": ("Ann <ann@x.net>", "bob@x.org")}, r"bcc: .* could be .*list"),
    ({"cc": ("Bob", "bob@")}, "cc: 'bob@' "),
    ({"to": b"a@x"}, "to: "),
    ({"cc": "a@x.org\r\nBcc: eve@x.org"}, "cc: .*control"),
    ({"bcc": ("Ann\r\nX: y", "a@x.org")}, "bcc: .*control"),
    ({"to": [Mailbox("Ann\nX: y", parse_address("a@x.org"))]}, "to: .*control"),
    ({"to": [Mailbox("Ann", Address("a", "x.org> <b@x.org"))]}, "to: .*one @"),
    ({"to": Address("a", "x.org>\r\nDATA")}, "to: .*control"),
    ({"headers": "X: y"}, "headers: "),
    ({"reply_to": "Ann <a@x.org> <b@x.org>"}, "reply_to: .*list"),
    ({"subject": "Hi\r\nBcc: eve@x.org"}, "subject: .*control"),
    ({"subject": "a\u2028b"}, "subject: .*control"),
    ({"subject": "\ud800"}, "subject: "),
    ({"subject": None}, "subject: "),
    ({"text": "\ud800"}, "text: "),
    ({"html": "\ud800"}, "html: "),
    ({"text": b"octets"}, "text: "),
    ({"date": "someday"}, "date: "),
    ({"date": datetime(24, 7, 1, tzinfo=UTC)}, "date: must be in the year 100 or later"),
    ({"sender": "<>"}, r"sender: From needs an address; .*send\(message, sender='<>'\)"),
    ({"message_id": "<a@b>\r\nX: y"}, "message_id: "),
    ({"message_id": "<a b@c>"}, "message_id: "),
    ({"message_id": "<a@b"}, "message_id: "),
    ({"headers": {"X-A": "1\r\nBcc: eve@x.org"}}, "headers: X-A: .*control"),
    ({"headers": {"X-A": ["1", "2\n"]}}, "headers: X-A: "),
    ({"headers": {"X-A": 1}}, "headers: X-A: "),
    ({"headers": {"X A": "1"}}, "headers: .*name"),
    ({"headers": {"X\r\nBcc": "1"}}, "headers: .*name"),
    ({"headers": {"bcc": "eve@x.org"}}, "headers: .*bcc="),
    ({"headers": {"From": "eve@x.org"}}, "headers: .*sender="),
    ({"headers": {"MIME-Version": "1.0"}}, "headers: MIME"),
    ({"headers": {"Content-Type": "text/html"}}, "headers: .*html="),
    ({"headers": {"Sender": "no address"}}, "headers: Sender: "),
    ({"attachments": [5]}, "attachments: "),
    ({"attachments": b"octets"}, "attachments: .*from_bytes"),
    ({"attachments": {"a": b"octets"}}, "attachments: .*list"),
    ({"attachments": [b"octets"]}, r"attachments: .*\(name, octets\)"),
    ({"attachments": [("a",)]}, "attachments: a tuple must be"),
    ({"attachments": [(b"octets", "a")]}, "attachments: a tuple must be"),
    ({"attachments": [("a", 5)]}, "attachments: the content of 'a' must be"),
    ({"attachments": [("a", b"", 5)]}, "attachments: the media type of 'a'"),
    ({"attachments": [("a", b"", "x\r\nBcc: eve@x.org")]}, "attachments: content_type: "),
    ({"attachments": [("a\r\nBcc: eve@x.org", b"")]}, "attachments: filename: .*control"),
    ({"attachments": [("a.pdf", "/tmp/a.pdf")]}, "attachments: .*'a.pdf'.*Path"),
    ({"attachments": [("a.png", "text")]}, "attachments: .*'a.png'"),
    ({"attachments": [("a.txt", "\ud800")]}, "attachments: .*'a.txt'.*UTF-8"),
    ({"attachments": [io.BytesIO(b"octets")]}, r"attachments: BytesIO has no name.*\(name, file\)"),
    ({"attachments": [io.StringIO("text")]}, "attachments: StringIO has no name"),
    ({"attachments": [("a.csv", io.StringIO("text"))]}, "attachments: .*'a.csv'.*open as text"),
    ({"attachments": ["/no/such/file"]}, "attachments: .*/no/such/file"),
    ({"attachments": ["/"]}, "attachments: .*'/'.*directory"),
    ({"attachments": ["a\x00b"]}, "attachments: "),
]


@pytest.mark.parametrize(("fields", "words"), REFUSED, ids=range(len(REFUSED)))
def test_a_wrong_field_is_a_message_error_with_its_name(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(MessageError, match=words) as caught:
        message(**fields)
    assert caught.value.stage is Stage.MESSAGE


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"content": "text"}, "content: .*path= for a file, .*from_text"),
        ({}, "content or a path"),
        ({"content": b"", "filename": "a\r\nb"}, "filename: .*control"),
        ({"content": b"", "content_type": "image/png\r\nX: y"}, "content_type: "),
        ({"content": b"", "content_type": 'text/plain; a="b\r\nX: y"'}, "content_type: "),
        ({"content": b"", "content_type": 'text/plain; a="ä"'}, "content_type: "),
        ({"content": b"", "content_type": "multipart/mixed"}, "content_type: "),
        ({"content": b"", "path": "/dev/null"}, "content or a path"),
        ({"path": "/dev/null"}, "/dev/null.*regular"),
        ({"content": b"", "disposition": "other"}, "disposition: "),
        ({"content": b"", "content_id": "a>\r\nX: <y"}, "content_id: "),
    ],
)
def test_a_wrong_attachment_is_a_message_error(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(MessageError, match=words):
        Attachment(**fields)


@pytest.mark.parametrize(("name", "kind"), [("a.pdf", "pdf"), ("a.unknown", "octet-stream"), (None, "octet-stream")])
def test_the_type_is_guessed_from_the_name(name: str | None, kind: str) -> None:
    assert Attachment.from_bytes(b"", name).content_type == f"application/{kind}"


@pytest.mark.parametrize(("name", "kind"), [("a.tar.gz", "gzip"), ("a.csv.bz2", "octet-stream"), ("a.zip", "zip")])
def test_the_type_is_that_of_what_is_sent(name: str, kind: str) -> None:
    assert Attachment.from_bytes(b"", name).content_type == f"application/{kind}"


def test_a_picture_in_the_html_may_be_a_path(tmp_path: Path) -> None:
    (tmp_path / "logo.png").write_bytes(b"png")
    attachment = Attachment.inline(tmp_path / "logo.png", "<logo>")
    assert attachment.is_inline and attachment.content_id == "logo" and attachment.content_type == "image/png"
    assert (attachment.filename, attachment.read()) == ("logo.png", b"png")


def test_a_picture_in_the_html_may_be_an_open_file(tmp_path: Path) -> None:
    (tmp_path / "logo.png").write_bytes(b"png" * 200_000)
    for name in ("logo.png", None):
        with (tmp_path / "logo.png").open("rb") as file:
            attachment = Attachment.inline(file, "logo", filename=name, content_type="image/png")
        assert attachment.is_inline and attachment.read() == b"png" * 200_000 and attachment.filename == name
    with pytest.raises(MessageError, match="at its end"):
        stream = io.BytesIO(b"png")
        stream.read()
        Attachment.inline(stream, "logo")


def test_a_path_is_checked_at_once_and_read_at_render(tmp_path: Path) -> None:
    path = tmp_path / "note.txt"
    path.write_bytes(b"one")
    mail = message(attachments=[path, str(path)])
    assert [item.filename for item in mail.attachments] == ["note.txt"] * 2
    path.unlink()
    with pytest.raises(MessageError, match=r"note\.txt"):
        mail.render()


def test_an_attachment_may_be_an_open_file_or_a_pair(tmp_path: Path) -> None:
    path = tmp_path / "note.pdf"
    path.write_bytes(b"octets")
    with path.open("rb") as file, path.open("rb") as same:
        given = [file, ("a.pdf", same), ("b.pdf", path), ("c", b"octets", "application/pdf"), ("d.pdf", b"octets")]
        mail = message(attachments=given)
    found = [(item.filename, item.content_type, item.read()) for item in mail.attachments]
    names = ("note.pdf", "a.pdf", "b.pdf", "c", "d.pdf")
    assert found == [(name, "application/pdf", b"octets") for name in names]
    with path.open("rb") as file:
        assert message(attachments=file).attachments[0].filename == "note.pdf"
    assert message(attachments=("a.pdf", b"octets")).attachments[0].filename == "a.pdf"
    with tempfile.TemporaryFile() as file, pytest.raises(MessageError, match="no name"):
        message(attachments=[file])


def test_an_upload_is_attached_under_the_name_of_its_file() -> None:
    """Not under that of its form field, which is its ``name``."""
    upload = FileStorage(io.BytesIO(b"octets"), filename="report.pdf", name="upload")
    [made] = message(attachments=[upload]).attachments
    assert (made.filename, made.content_type, made.read()) == ("report.pdf", "application/pdf", b"octets")


def test_an_upload_that_is_read_asynchronously_is_awaited_first() -> None:
    upload = UploadFile(io.BytesIO(b"octets"), filename="report.pdf")
    with pytest.raises(MessageError, match=r"read\(\) is asynchronous") as caught:
        message(attachments=[upload])
    assert caught.value.hint == "Give a pair: (name, await file.read())"
    with pytest.raises(MessageError, match="not coroutine; await it first"):
        message(attachments=[("report.pdf", upload.read())])
    assert message(attachments=[("report.pdf", upload.file)]).attachments[0].read() == b"octets"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.csv", 'text/csv; charset="utf-8"'),
        ("a.html", 'text/html; charset="utf-8"'),
        ("a.json", "application/json"),
        ("a.svg", "image/svg+xml"),
        ("README", 'text/plain; charset="utf-8"'),
        (None, 'text/plain; charset="utf-8"'),
    ],
)
def test_text_may_be_a_file(name: str | None, kind: str) -> None:
    made = [Attachment.from_text("Grüße\n", name)]
    made += message(attachments=[(name, "Grüße\n")]).attachments if name else ()
    assert {(item.filename, item.content_type, item.read()) for item in made} == {(name, kind, "Grüße\n".encode())}
    sent = parsed(bytes(message(text="x", attachments=made)))
    files = list(sent.iter_attachments())
    assert [file.get_content() for file in files if file.get_content_maintype() == "text"] == [
        "Grüße\n" for _ in made if kind.startswith("text/")
    ]


def test_text_may_be_of_any_type_that_is_named() -> None:
    assert Attachment.from_text("%PDF", "a.pdf", "application/pdf").read() == b"%PDF"
    with pytest.raises(MessageError, match="text: must be a str, not bytes"):
        Attachment.from_text(b"octets", "a.txt")  # type: ignore[arg-type]


def test_a_stream_is_read_once() -> None:
    stream = io.BytesIO(b"octets")
    attachment = Attachment.from_stream(stream, "a.bin")
    assert attachment.read() == attachment.read() == b"octets" and not stream.closed


class _Greeting(StrEnum):
    HELLO = "hello"
    BOB = "bob@x.org"


class _Forged(str):
    __slots__ = ()

    def __format__(self, _specification: str) -> str:
        return "a\r\nBcc: eve@x.org"

    __str__ = __repr__ = lambda self: format(self)


@pytest.mark.parametrize("kind", [_Greeting, _Forged, str])
def test_a_str_of_another_class_is_taken_for_its_text(kind: type[str]) -> None:
    text = kind("hello")
    mail = message(subject=text, text=text, headers={kind("hello"): text}, to=(text, kind("bob@x.org")))
    assert b"Subject: hello\r\n" in bytes(mail) and b"hello: hello\r\n" in bytes(mail)
    assert b"To: hello <bob@x.org>\r\n" in bytes(mail) and bytes(mail).endswith(b"\r\n\r\nhello\r\n")
    assert b"eve" not in bytes(mail)


class _Address(StrEnum):
    BOB = "bob@x.org"


def test_an_address_may_be_of_another_class_too() -> None:
    assert message(sender=_Address.BOB, to=[_Address.BOB], cc=_Address.BOB).envelope().addresses == ("bob@x.org",)


def test_no_attachments_may_be_said_as_none() -> None:
    assert message(attachments=None).attachments == ()


def test_the_error_has_the_hint_apart() -> None:
    with pytest.raises(MessageError) as caught:
        message(to="a@x.org, b@x.org")
    assert caught.value.hint and caught.value.hint not in caught.value.message
    with pytest.raises(MessageError, match=r"sender: .*; subject: "):
        message(sender="nobody@", subject="a\nb")


class TestBut:
    def test_it_changes_what_is_given_and_has_an_identity_of_its_own(self) -> None:
        first = message(cc="c@x.org", text="one", headers={"X-A": ["1", "2"]}, date=datetime(2024, 2, 29, tzinfo=UTC))
        second = first.but(to=["Cy <cy@x.org>"], text="two")
        assert str(second.to[0]) == '"Cy" <cy@x.org>' and second.text == "two" and first.text == "one"
        assert (second.sender, second.cc, second.headers) == (first.sender, first.cc, first.headers)
        assert second.message_id != first.message_id and second.date > first.date
        assert first.but(text=None).text is None and first.but(to=()).to == ()
        assert first.but(message_id="a@b", date=first.date) == first.but(message_id="<a@b>", date=first.date)

    def test_its_changes_are_checked(self) -> None:
        with pytest.raises(MessageError, match=r"subject: .*control"):
            message().but(subject="a\r\nBcc: eve@x.org")
        with pytest.raises(TypeError, match="nonsense"):
            message().but(nonsense=1)  # type: ignore[call-arg]

    def test_replace_is_another_name_for_it(self) -> None:
        first = message(text="one")
        second, third = first.replace(text="two"), first.__replace__(text="three")
        assert (second.text, third.text, second.to) == ("two", "three", first.to)
        assert len({first.message_id, second.message_id, third.message_id}) == 3

    def test_attachments_are_shared(self) -> None:
        first = message(attachments=[Attachment.from_bytes(b"octets", "a")])
        assert first.but(to="c@x.org").attachments[0] is first.attachments[0]


def test_recipients_are_asked_for_with_the_envelope() -> None:
    with pytest.raises(MessageError, match="recipient"):
        Message("ann@x.org").envelope()
    envelope = message(to="a@x.org", cc="b@x.org", bcc=["c@x.org", "A <a@x.org>"]).envelope()
    assert [str(address) for address in envelope.recipients] == ["a@x.org", "b@x.org", "c@x.org"]


def test_a_message_is_frozen_and_has_one_identity() -> None:
    mail = message(sender="ann@bücher.example")
    assert mail.message_id.endswith("@xn--bcher-kva.example>") and mail.message_id != message().message_id
    assert bytes(mail) == bytes(mail) == bytes(pickle.loads(pickle.dumps(mail)))
    assert message(message_id="a@b").message_id == "<a@b>"
    for half in ("x", "<x>", "a@", "<@b>"):
        with pytest.raises(MessageError, match=r"message_id.*@ in it"):
            message(message_id=half)
    assert message(date=datetime(2024, 2, 29, 12, 0)).date.utcoffset() is not None
    with pytest.raises(FrozenInstanceError):
        mail.sender.name = "other"  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        mail.subject = "other"  # type: ignore[misc]


def test_its_repr_is_one_line_without_content() -> None:
    mail = message(subject="a" * 99, text="secret", html="secret", attachments=[("a", b"secret")], bcc=["c@x.org"])
    shown = f"<Message from ann@example.com to bob@example.org and 1 more: '{'a' * 59}…' (text, html, 1 attachment)>"
    assert repr(mail) == str(mail) == shown
    many = message(
        to=[Mailbox(f"{n}" * 99, parse_address(f"{n}@{'x' * 60}.org")) for n in range(9)], subject="\x85"[:0]
    )
    assert len(repr(many)) < 200 and repr(Message("ann@example.com")) == "<Message from ann@example.com: ''>"


def test_a_preview_is_what_people_read(tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(b"octets")
    mail = message(
        to=["Bob <bob@example.org>", *(f"{n}@x.org" for n in range(20))],
        bcc="cy@x.org",
        subject="Grüße",
        text="Hello\x1b[2J\nsecond\r\nthird",
        html="<p>",
        attachments=[path, Attachment.inline(b"gif", "logo")],
        headers={"X-A": ["1", "2"]},
        date=datetime(2024, 2, 29, tzinfo=UTC),
    )
    assert mail.preview(lines=2).splitlines() == [
        "From: ann@example.com",
        'To: "Bob" <bob@example.org>, ' + ", ".join(f"{n}@x.org" for n in range(9)) + " and 11 more",
        "Bcc: cy@x.org",
        "Subject: Grüße",
        "Date: 2024-02-29 00:00:00+00:00",
        "X-A: 1",
        "X-A: 2",
        "Attachment: a.pdf (application/pdf, 6 octets)",
        "Attachment: cid:logo (application/octet-stream, 3 octets)",
        "",
        "(there is HTML as well)",
        "Hello\ufffd[2J",
        "second",
        "… 1 more lines",
    ]
    path.unlink()
    assert "cannot be read" in mail.preview()
    assert "(HTML only)\n<p>" in message(html="<p>").preview() and message().preview().endswith("(no text)")


def test_its_octets_are_what_is_sent() -> None:
    mail = message(text="Hello", bcc="cy@x.org")
    assert mail.as_bytes() == bytes(mail) == b"".join(mail.render().chunks()) and b"cy@x.org" not in mail.as_bytes()


def test_mailboxes_and_groups_of_other_libraries_are_taken() -> None:
    from email.headerregistry import Address as HeaderAddress
    from email.headerregistry import Group as HeaderGroup

    ann = HeaderAddress("Lukas, A", "user", "example.com")
    bob = SimpleNamespace(name="Bob", email="bob@x.org")  # as pydantic's NameEmail
    mail = message(sender=ann, to=[ann, bob], cc=bob, bcc=HeaderGroup("Team", (ann,)))
    assert [(box.name, str(box.address)) for box in mailboxes_in((mail.sender, *mail.to, *mail.cc, *mail.bcc))] == [
        *[("Lukas, A", "user@example.com")] * 2,
        *[("Bob", "bob@x.org")] * 2,
        ("Lukas, A", "user@example.com"),
    ]
    with pytest.raises(MessageError, match=r"to: .*control"):
        message(to=SimpleNamespace(name="a\r\nBcc: eve@x.org", email="bob@x.org"))


class _Lazy:
    """As frameworks have it for translations: it becomes a text when it is needed."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __str__(self) -> str:
        return self._text

    def __getattr__(self, name: str) -> Any:
        return getattr(str(self), name)

    def __iter__(self) -> Any:
        return iter(str(self))


def test_lazy_texts_are_taken_everywhere() -> None:
    lazy: Any = _Lazy
    mail = message(
        to=lazy("bob@x.org"), cc=(lazy("Cy"), "cy@x.org"), subject=lazy("Hi"), text=lazy("text"), html=lazy("html"),
        headers={"X-A": lazy("1"), "X-B": [lazy("2")]},
    )  # fmt: skip
    assert mail.envelope().addresses == ("bob@x.org", "cy@x.org") and mail.headers == {"X-A": ("1",), "X-B": ("2",)}
    assert (mail.subject, mail.text, mail.html) == ("Hi", "text", "html") and type(mail.text) is str
    with pytest.raises(MessageError, match=r"subject: .*control"):
        message(subject=lazy("a\r\nBcc: eve@x.org"))
    for odd in (Mock(), 5, b"x"):
        with pytest.raises(MessageError, match="subject: must be a str"):
            message(subject=odd)


@pytest.mark.parametrize(
    ("given", "written"),
    [
        (None, 'text/csv; charset="utf-8"'),
        ("text/csv", 'text/csv; charset="utf-8"'),
        ("text/csv; header=present", "text/csv; header=present"),
        ("application/json", "application/json"),
    ],
)
def test_text_has_its_charset_also_with_a_type_of_its_own(given: str | None, written: str) -> None:
    assert Attachment.from_text("Köln", "cities.csv", content_type=given).content_type == written


@pytest.mark.parametrize("text", ["Hello Bob", "", None, "Grüße, 📬\n" * 30, "a \rb\nc\r\nd\t", "x" * 2000])
def test_a_message_of_few_fields_is_made_and_written_like_any_other(text: str | None) -> None:
    few = message(subject="Größe", text=text)
    own = {"cc": [], "bcc": [], "headers": {}, "date": few.date, "message_id": few.message_id}
    given = message(subject="Größe", text=text, **own)
    assert few == given and list(vars(few)) == list(vars(given))
    assert bytes(few) == bytes(given) and few.envelope() == given.envelope()
    assert few.envelope().rcpt_lines == given.envelope().rcpt_lines == (b"RCPT TO:<bob@example.org>\r\n",)


def test_each_message_names_its_own_sender_and_date() -> None:
    times = [datetime(2026, 1, day, tzinfo=UTC) for day in (1, 2)]
    for name, date in [("ann", times[0]), ("bea", times[0]), ("bea", times[1]), ("ann", times[1])]:
        written = parsed(bytes(message(sender=f"{name}@example.com", date=date)))
        assert (written["From"], written["Date"].datetime) == (f"{name}@example.com", date)
        assert (
            message(sender=f"{name}@example.com").envelope().mail_line == f"MAIL FROM:<{name}@example.com>\r\n".encode()
        )
