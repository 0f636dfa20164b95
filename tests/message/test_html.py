"""CSS moved into elements, embedded pictures and text from HTML, as parts of a message."""

from __future__ import annotations

import builtins
import os
import threading
from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.worlds import World
from wlsmtp.errors import MessageError
from wlsmtp.message import html as module
from wlsmtp.message.model import Message
from wlsmtp.testing import SMTPServer

PNG = b"\x89PNG\r\n\x1a\n"
STYLE = "<style>p { color: red } a:hover { color: blue } @media print { p { color: black } }</style>"


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    directory = tmp_path / "mails"
    (directory / "more").mkdir(parents=True)
    for name in ("logo.png", "more/a b.png"):
        (directory / name).write_bytes(PNG + name.encode())
    (directory / "notes.txt").write_text("secret")
    (tmp_path / "outside.png").write_bytes(PNG)
    (directory / "link.png").symlink_to(tmp_path / "outside.png")
    (directory / "inner.png").symlink_to(directory / "logo.png")
    return directory


def message(html: str, **fields: Any) -> Message:
    return Message("ann@example.com", "bob@example.org", **{"html": html, **fields})


def parsed(message: Message) -> EmailMessage:
    return message_from_bytes(message.as_bytes(), policy=policy.default)


def test_a_whole_letter_has_its_parts_where_readers_look_for_them(world: World, pictures: Path) -> None:
    letter = message(f'{STYLE}<p>Hi<img src="logo.png">', text="auto", inline_css=True, embed_images=pictures)
    with SMTPServer() as server, world.session(server.host, server.port) as session:
        session.send(letter)
    email = server.messages[0].email
    assert email.get_content_type() == "multipart/alternative"
    text, related = email.iter_parts()
    assert isinstance(text, EmailMessage) and isinstance(related, EmailMessage)
    assert text.get_content() == "Hi\r\n"
    html, picture = related.iter_parts()
    assert isinstance(html, EmailMessage) and isinstance(picture, EmailMessage)
    assert picture.get_content() == PNG + b"logo.png" and picture.get_content_disposition() == "inline"
    assert f'src="cid:{picture["Content-ID"][1:-1]}"' in html.get_content()
    assert '<p style="color: red;">' in html.get_content()


def test_auto_is_text_from_the_html_where_there_is_any() -> None:
    letter = Message("ann@example.com", text="auto")
    assert letter.text == "auto" and letter.but(html="<p>Hi").text == "Hi\n"
    assert letter.but(html="<p>Hi").but(html="<p>You").text == "You\n"
    assert message("<p>Hi", text="auto").but(text="mine").text == "mine"


def test_rules_that_no_element_can_have_stay_in_a_style_sheet() -> None:
    made = message(
        f"<!DOCTYPE html><html lang=de><head>{STYLE}</head><body><p>Grüße &lt;", inline_css="p { margin: 0 }"
    )
    assert made.html is not None and made.html.startswith("<!DOCTYPE html>")
    assert "a:hover { color: blue; }" in made.html and "@media print { p { color: black } }" in made.html
    assert '<p style="color: red;margin: 0;">Grüße &lt;' in made.html and "<style>p" not in made.html


@pytest.mark.parametrize(
    ("html", "place"),
    [
        ("<html><head><title>x</title></HEAD><body><p>y", "<title>x</title>"),
        ("<html><body class=x><p>y", ""),
        ("<!doctype html><p>y", ""),
        ("<p>y", ""),
    ],
)
def test_more_css_comes_behind_that_of_the_html(html: str, place: str) -> None:
    made = message(html, inline_css="p { color: red } @media print { p { color: blue } }").html
    assert made is not None and f"<head>{place}<style>@media print" in made and '<p style="color: red;">y' in made


class Remote(BaseHTTPRequestHandler):
    asked: list[str] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def remote() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Remote) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_nothing_is_fetched_and_no_other_file_is_read(remote: str, pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "x.css").write_text("p { color: #abcdef }")
    html = "".join(
        f'<link rel="stylesheet" href="{url}"><style>@import "{url}"; p {{ background: url({url}) }}</style>'
        for url in (f"{remote}/x.css", str(tmp_path / "x.css"), f"file://{tmp_path}/x.css")
    )
    made = message(f'{html}<p>x<img src="{remote}/y.png">', text="auto", inline_css=True, embed_images=pictures)
    assert Remote.asked == [] and made.html is not None and "abcdef" not in made.html
    assert f'<img src="{remote}/y.png">' in made.html and made.attachments == ()


@pytest.mark.parametrize(
    ("tag", "name"),
    [
        ('<img src="logo.png">', "logo.png"),
        ("<IMG alt='>' SRC = logo.png>", "logo.png"),
        ("<img/src='logo.png?v=1#x'>", "logo.png"),
        ('<img src="./more/a%20b.png" width=1>', "more/a b.png"),
        ('<img src="more/a&#32;b.png">', "more/a b.png"),
        ('<img src="inner.png">', "logo.png"),
    ],
)  # fmt: skip
def test_a_picture_of_the_directory_is_embedded(tag: str, name: str, pictures: Path) -> None:
    made = message(f"<p>{tag}", embed_images=str(pictures))
    [picture] = made.attachments
    assert picture.read() == PNG + name.encode() and made.html is not None
    assert f'src="cid:{picture.content_id}"' in made.html and "png" not in made.html


@pytest.mark.parametrize(
    "tag",
    [
        '<img src="https://x.org/logo.png">', '<img src="//x.org/logo.png">', '<img src="cid:logo">', "<img src>",
        '<img src="data:image/png;base64,AAAA">', "<img alt='src=logo.png'>", "<!-- <img src='logo.png'> -->",
        "<script>'<img src=\"logo.png\">'</script>", '<a href="logo.png">', "<imgx src='logo.png'>", '<img src="">',
    ],
)  # fmt: skip
def test_what_is_no_picture_of_the_directory_stays_as_it_is(tag: str, pictures: Path) -> None:
    made = message(tag, embed_images=pictures)
    assert made.html == tag and made.attachments == ()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("../outside.png", "not within"),
        ("..%2foutside.png", "not within"),
        ("more/../../outside.png", "not within"),
        ("..\\outside.png", "not within"),
        ("/etc/hostname.png", "not within"),
        ("{tmp}/outside.png", "not within"),
        ("file://{tmp}/mails/logo.png", "not within"),
        ("link.png", "not within"),
        ("nothing.png", "No such file"),
        ("a%00b.png", "null (byte|character)"),
        ("notes.txt", "not an image, but text/plain"),
        ("more", "directory"),
        (".", "directory"),
    ],
)
def test_no_other_file_is_embedded(url: str, words: str, pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(MessageError, match=f"^embed_images: the picture .*{words}"):
        message(f'<img src="{url.format(tmp=tmp_path)}">', embed_images=pictures)


def test_a_picture_is_encoded_once_until_it_changes(pictures: Path) -> None:
    html = '<img src="logo.png"><img src="logo.png">'
    first, second = (message(html, embed_images=pictures) for _ in range(2))
    assert len(first.attachments) == 1 and first.attachments[0] is second.attachments[0]
    (pictures / "logo.png").write_bytes(PNG + b"a larger one")
    assert message(html, embed_images=pictures).attachments[0].read() == PNG + b"a larger one"


def test_a_varied_message_is_made_anew_from_what_was_given(pictures: Path) -> None:
    letter = message(f'{STYLE}<p>1<img src="logo.png">', text="auto", inline_css=True, embed_images=pictures)
    assert letter.but(subject="x").html is letter.html and letter.but(subject="x").attachments == letter.attachments
    other = letter.but(html="<p>2", attachments=[("a.txt", "A")])
    assert other.text == "2\n" and [one.filename for one in other.attachments] == ["a.txt"]
    plain = letter.but(subject="x").but(inline_css=False, embed_images=None)
    assert plain.html == f'{STYLE}<p>1<img src="logo.png">' and plain.attachments == ()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"inline_css": "</style><script>"}, "inline_css: must be CSS"),
        ({"inline_css": 5}, "inline_css: must be a str"),
        ({"embed_images": "/no/such/directory"}, "embed_images: '/no/such/directory' is not a directory"),
        ({"embed_images": True}, "embed_images: must be the path of a directory"),
    ],
)
def test_what_cannot_be_done_is_refused_by_its_name(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(MessageError, match=f"^{words}"):
        message("<p>x", **fields)


def test_without_css_inline_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    found = builtins.__import__

    def missing(name: str, *args: Any, **more: Any) -> Any:
        if name == "css_inline":
            raise ModuleNotFoundError(name=name)
        return found(name, *args, **more)

    module._inliner.cache_clear()
    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(MessageError, match=r'inline_css: .*pip install "wlsmtp\[html\]"'):
        message("<p>x", inline_css=True)


def test_a_directory_may_be_named_by_bytes_of_the_system(pictures: Path) -> None:
    class Named:
        def __fspath__(self) -> str:
            return os.fspath(pictures)

    assert len(message('<img src="logo.png">', embed_images=Named()).attachments) == 1
