"""Hostile values for what a message can be: files outside of a directory, fields within fields, endless parts. Each is
refused in words, or does no harm; and none raises anything but the errors of this package."""

from __future__ import annotations

import base64
import os
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from email import message_from_bytes
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import jinja2
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.worlds import World
from wlsmtp import DKIM, Invitation, SMTPError, Status, Templates
from wlsmtp.errors import MessageError
from wlsmtp.message.attachment import Attachment
from wlsmtp.message.model import Message
from wlsmtp.message.render import content_of
from wlsmtp.testing import SMTPServer


def message(**fields: Any) -> Message:
    return Message("ann@example.com", "bob@example.org", **fields)


# Pictures


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    directory = tmp_path / "mails"
    (directory / "sub").mkdir(parents=True)
    (tmp_path / "mails2").mkdir()
    for outside in ("secret.png", "mails2/secret.png"):
        (tmp_path / outside).write_bytes(b"SECRET")
    (directory / "logo.png").write_bytes(b"PNG")
    for name, to in {
        "link.png": tmp_path / "secret.png", "up": Path("../mails2"), "all": tmp_path, "dev.png": Path("/dev/zero"),
        "loop.png": directory / "loop.png",
    }.items():  # fmt: skip
        (directory / name).symlink_to(to)
    os.mkfifo(directory / "fifo.png")
    return directory


OUTSIDE = [
    "link.png", "./link.png", "up/secret.png", "up%2fsecret.png?x", "all/secret.png", "all/mails2/secret.png", "..",
    "sub/../../secret.png", "sub%2f..%2f..%2fsecret.png", "%2e%2e/secret.png", "..%5csecret.png",
    "../mails2/secret.png",
    "sub\\..\\..\\secret.png", "&#46;&#46;/secret.png", "&#x2e;&#x2e;&sol;secret.png", "%252e%252e/secret.png",
    "....//secret.png", "/%2e%2e/secret.png", "file:{}/secret.png", "FILE:{}/secret.png", "file:///{}/secret.png",
    "{}/secret.png", "%2f{}/secret.png", "\\\\host\\share\\x.png", "C:\\x.png", "c:/x.png", "loop.png", "fifo.png",
    "dev.png", "nul%00.png", "\t../secret.png", "..\t/secret.png", "..;/secret.png", "%c0%ae%c0%ae/secret.png",
    "LOGO.PNG", "logo.png/", "logo.png\n", "&NewLine;../secret.png", "&#xD800;.png", "%FF.png",
]  # fmt: skip


@pytest.mark.parametrize("tag", ['<img src="{}">', "<IMG\nSRC = '{}'/>"])
def test_no_picture_comes_from_outside_the_directory(tag: str, pictures: Path) -> None:
    embedded = []
    for url in OUTSIDE:
        html = tag.format(url.replace("{}", str(pictures.parent)))
        loader = jinja2.DictLoader(
            {"a.html": f"{{% block subject %}}x{{% endblock %}}{{% block html %}}{html}{{% endblock %}}"}
        )
        templates = Templates(loader, embed_images=pictures)
        for _ in range(3):  # from the third on, letters of one template share what was made
            for make in (partial(message, html=html, embed_images=pictures), partial(templates.message, "a")):
                try:
                    embedded += [one.read() for one in make().attachments]
                except MessageError as error:
                    assert "embed_images" in str(error)
    assert set(embedded) <= {b"PNG"}


def test_a_small_picture_is_what_was_there_when_the_message_was_made(pictures: Path) -> None:
    letter = message(html='<img src="logo.png">', embed_images=pictures)
    (pictures / "logo.png").unlink()
    (pictures / "logo.png").symlink_to(pictures.parent / "secret.png")
    assert b"SECRET" not in base64.b64decode(letter.as_bytes().split(b"\r\n\r\n")[-1].partition(b"--")[0])


@pytest.mark.parametrize("html", ["<!-- </head> --><p>x", "<title></head></title><p>x", "<html title='</head>'><p>x"])
def test_css_is_put_where_it_counts(html: str) -> None:
    assert '<p style="color: red' in str(message(html=html, inline_css="p { color: red }").html)


# Header fields


FIELDS: list[tuple[str, list[Any]]] = [
    ("unsubscribe", [
        "http://x.org", "https://", "https:///x", "https://x y", "https://x.org\r\nBcc: e@x.org",
    "https://exämple.com/u",
        "https://x.org/ü", f"https://x.org/{'a' * 2000}", "mailto:a@x.org", ("https://x.org", "http://y"), (), "", [""],
        b"https://x", ("https://x.org", "mailto:a@x.org?subject=a\nb"), "https://x.org/>,<http://evil", 5, {"a": "b"},
        "https://u:p@x.org/", "javascript:x", "https://x.org/\x00", f"https://x.org/{'a' * 970}",
    ]),
    ("list_id", ["x", "<a.b>\r\nX: y", f"a.{'b' * 2000}", "ü.example", 'N"ame <a.b>', 5, "..."]),
    ("in_reply_to", ["x y\r\nX: y", "<a b@c>", f"<{'a' * 2000}@b>", "", [], 5]),
    ("references", ["<ü@b>", ["<a@b>", "<c\r\nX: y@d>"]]),
    ("read_receipt", ["nobody", "a@b.example\r\nX: y", 5]),
    ("importance", ["x", 5]), ("priority", ["HIGHEST"]), ("auto_submitted", ["no", "x\r\nX: y"]),
]  # fmt: skip


@pytest.mark.parametrize(("field", "values"), FIELDS, ids=[field for field, _ in FIELDS])
def test_no_value_becomes_another_field(field: str, values: list[Any]) -> None:
    for value in values:
        with pytest.raises(MessageError):
            message(text="x", **{field: value})


# Invitations


MEETING = Invitation(datetime(2026, 7, 1, 10, tzinfo=ZoneInfo("Europe/Berlin")), timedelta(hours=1), "x")
EVENTS: list[dict[str, Any]] = [
    {"sequence": "x"}, {"sequence": None}, {"sequence": -1}, {"sequence": 1.5}, {"sequence": True},
    {"sequence": 10**30},
    {"end": timedelta.max}, {"start": datetime.max.replace(tzinfo=UTC)}, {"end": None}, {"end": "x"}, {"start": "x"},
    {"start": datetime.max.replace(tzinfo=ZoneInfo("Europe/Berlin"))}, {"start": None}, {"summary": None},
    {"summary": 5},
    {"summary": "a\nEND:VEVENT"}, {"description": "\ud800"}, {"location": "\x1b[31m"}, {"url": "javascript:x\n"},
    {"uid": 5}, {"attendees": "a@x.org\nATTENDEE:b"}, {"attendees": [("ev\nil", "c@x.org")]}, {"method": "request"},
    {"method": None}, {"answer": None}, {"start": date.max, "end": timedelta(days=1)},
    {"start": date(2026, 1, 1), "end": timedelta(hours=5)},
]  # fmt: skip


@pytest.mark.parametrize("changes", EVENTS, ids=range(len(EVENTS)))
def test_what_is_no_event_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(MessageError, match=r"^calendar: "):
        message(text="x", calendar=replace(MEETING, **changes))


class Calendar:
    def __init__(self, result: Any) -> None:
        self._result = result

    def to_ical(self) -> Any:
        return self._result()


@pytest.mark.parametrize("result", [lambda: "text", lambda: 1 / 0, lambda: b"\xff", lambda: None])
def test_an_object_that_fails_to_be_a_calendar_is_refused(result: Any) -> None:
    with pytest.raises(MessageError, match=r"^calendar: "):
        message(text="x", calendar=Calendar(result))


@pytest.mark.parametrize(
    "text", ["a\r\nEND:VEVENT\r\nBEGIN:VEVENT", 'N;a:me,"x"\\', "METHOD:CANCEL", "\\nBEGIN:VEVENT"]
)
def test_no_text_becomes_a_line_of_the_calendar(text: str) -> None:
    words = " ".join(text.split())
    meeting = replace(MEETING, description=text, summary=words, location=words, attendees=[(words, "c@x.org")])
    calendar = str(message(text="x", calendar=meeting).calendar)
    lines = calendar.replace("\r\n ", "").split("\r\n")
    assert lines.count("BEGIN:VEVENT") == 1 and [line for line in lines if line.startswith("METHOD")] == [
        "METHOD:REQUEST"
    ]


# Templates


BLOCKS = (
    "{% block subject %}S {{ x }}{% endblock %}{% block text %}T {{ x }}{% endblock %}"
    "{% block html %}<p>{{ x }}{% endblock %}"
)


def templates(**files: str) -> Templates:
    loader = jinja2.DictLoader({f"{name}.html": text for name, text in files.items()})
    return Templates(loader, sender="ann@example.com")


class Lying(str):
    """A text that is printed as another."""

    def __str__(self) -> str:
        return "a\r\nBcc: eve@x.org"


VALUES: list[Any] = [
    "a\r\nBcc: eve@x.org", "a\x85Bcc: eve@x.org", "a\u2028b", "a\x00b", "\x1b[31mb", "{{ 7 * 7 }}",
    "{% raw %}", "\ud800",
    "<script>", "'\"><img src=x onerror=y>", "\r", "", " \n ", Lying("z"), b"Bcc", ["<script>"], {"a": "<img>"},
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=ascii)
def test_no_value_becomes_a_field_or_a_tag(value: Any) -> None:
    for _ in range(3):
        try:
            made = templates(a=BLOCKS).message("a", x=value, to="bob@example.org")
        except MessageError:
            continue
        assert b"\r\nBcc" not in made.as_bytes().partition(b"\r\n\r\n")[0]
        assert not {"<script", "<img"}.intersection(str(made.html)) and "49" not in made.subject


@pytest.mark.parametrize(
    "name", ["../a", "/a", "a/../a", "a\0", "", "..", "a\\..\\b", "C:a", "a" * 5000, None, 5, b"a"]
)
def test_no_name_leaves_the_directory(name: Any, pictures: Path) -> None:
    (pictures.parent / "a.html").write_text(BLOCKS)
    with pytest.raises(MessageError):
        Templates(pictures).message(name, x=1)


@pytest.mark.parametrize("locale", ["../x", "de/../x", "", ".", "de.html", "d", "de\n", 5, b"de", "de_", "-"])
def test_no_language_leaves_the_directory(locale: Any) -> None:
    with pytest.raises(MessageError, match=r"^locale: "):
        templates(a=BLOCKS).message("a", x=1, locale=locale)


@pytest.mark.parametrize(
    "source",
    [
        "{% extends 'a.html' %}",
        "{% block subject %}{% include 'a.html' %}{% endblock %}{% block text %}x{% endblock %}",
        "{% macro m() %}{{ m() }}{% endmacro %}{% block subject %}{{ m() }}{% endblock %}",
    ],
)
def test_a_template_without_an_end_is_refused(source: str) -> None:
    with pytest.raises(MessageError, match=r"^a\.html.*RecursionError"):
        templates(a=source).message("a", x=1)


class Row(dict[str, Any]):
    def keys(self) -> Any:
        raise ValueError("no names")


ROWS: list[Any] = [
    {"to": "1@x.org", "x": 1}, {"to": "2@x.org"}, Row(), None, 5, "x", b"y", [], {"to": "b\r\nX: y", "x": 1}, {5: "a"},
    {"to": "3@x.org", "x": 1, "locale": "../"}, {"to": "4@x.org", "x": 1, "headers": {"A\nB": "c"}}, lambda: 1 / 0,
    {"to": "5@x.org", "x": 1, "attachments": "/no/such/file"}, {"to": "6@x.org", "x": 6},
]  # fmt: skip


def test_no_row_ends_the_run(world: World) -> None:
    with SMTPServer() as server, world.session(server.host, server.port) as session:
        receipts = session.send_all(templates(a=BLOCKS).merge("a", ROWS))
    assert [number for number, one in enumerate(receipts) if one.status is Status.SENT] == [0, len(ROWS) - 1]
    assert [one.header("Subject") for one in server.messages] == ["S 1", "S 6"]


# Files of messages


def nested(depth: int, kind: str = "multipart/mixed") -> bytes:
    """Parts within parts."""
    begin = "".join(f"Content-Type: {kind}; boundary=b{number}\n\n--b{number}\n" for number in range(depth))
    end = "".join(f"--b{number}--\n" for number in reversed(range(depth)))
    return f"From: ann@example.com\nTo: bob@example.org\n{begin}\nGrüße\n{end}".encode()


@pytest.mark.parametrize("kind", ["multipart/mixed", "multipart/alternative", "multipart/related", "message/rfc822"])
@pytest.mark.parametrize("depth", [50, 2000])
def test_parts_within_parts_without_end(depth: int, kind: str) -> None:
    with pytest.raises(MessageError):
        Message.from_eml(nested(depth, kind))
    # Attached, it is sent as it is, or as a file where it has no 7-bit form.
    attached = message(text="x", attachments=[Attachment(nested(depth, kind), "a.eml", "message/rfc822")]).render()
    try:
        assert b"".join(attached.as_7bit().chunks()).isascii()
    except SMTPError as error:
        assert "8BITMIME" in str(error)


@pytest.mark.parametrize("encoding", ["base64", "quoted-printable", "x-uuencode"])
def test_an_attached_message_that_is_encoded_is_not_garbled(encoding: str) -> None:
    inner = "Subject: =48=69\n\nx=3D"
    head = "From: a@x.org\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nHi\n--b\nContent-Type: message/rfc822\n"
    with pytest.raises(MessageError, match="that is encoded"):
        Message.from_eml(f"{head}Content-Transfer-Encoding: {encoding}\n\n{inner}\n--b--\n".encode())


ODD = b"From: a@x.org\nTo: b@x.org\nContent-Type: text/plain; x*0*=a; x*\n\nx\xc3\xbc\n"
"""Parameters that Python's parser compares with each other although one has no number."""


def test_a_field_on_which_the_standard_library_fails_is_refused_in_words() -> None:
    with pytest.raises(MessageError, match=r"cannot be read \(TypeError\)"):
        Message.from_eml(ODD)
    with pytest.raises(SMTPError, match=r"cannot be read \(TypeError\)"):
        content_of(message_from_bytes(ODD)).as_7bit()
    content = message(text="x", attachments=[Attachment(ODD, "a.eml", "message/rfc822")]).render().as_7bit()
    assert b"Content-Type: application/octet-stream" in b"".join(content.chunks())
    assert content_of(ODD).size == len(ODD.replace(b"\n", b"\r\n"))  # octets are sent as they are


# DKIM


@pytest.mark.parametrize("bits", [1024, 1031, 2047, 2049])
def test_the_size_is_known_for_keys_of_any_number_of_bits(bits: int) -> None:
    key = rsa.generate_private_key(65537, bits)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    content = message(text="Hello", dkim=DKIM("example.com", "s1", key=pem)).render()
    assert content.size == len(b"".join(content.chunks()))
