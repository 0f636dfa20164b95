"""Large attachments: sized beforehand, read when they are sent, whatever form they are sent in."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wlsmtp.errors import ExtensionMissing, MessageError
from wlsmtp.message import source
from wlsmtp.message.attachment import Attachment
from wlsmtp.message.content import Content
from wlsmtp.message.model import Message
from wlsmtp.message.source import KEPT, SMALL


def message(**fields: Any) -> Message:
    return Message(**{"sender": "ann@example.com", "to": "bob@example.org", "text": "Hi", **fields})


def octets(content: Content) -> bytes:
    """All octets, after a look at the promises that every content makes."""
    first = b"".join(content.chunks())
    assert first == b"".join(content.chunks()) and content.size == len(first)
    assert max(map(len, content.chunks()), default=0) <= 65536
    assert first.isascii() or content.is_8bit
    return first


def attached(content: Content) -> list[bytes]:
    # Through SMTP the parser keeps line ends as they are, and so what is in binary.
    email: Any = message_from_bytes(octets(content), policy=policy.SMTP)
    return [binary(part) for part in email.walk() if part.get_content_disposition() is not None]


def binary(part: Any) -> bytes:
    found: bytes = part.get_payload(decode=True)
    return found


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "large.bin"


@pytest.fixture
def low_limits(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Little is large, so that property tests are quick."""
    monkeypatch.setattr(source.FileSource, "limit", 100)
    monkeypatch.setattr(source.OctetsSource, "limit", 200)
    yield


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    files=st.lists(st.tuples(st.binary(max_size=300), st.booleans(), st.booleans()), max_size=3),
    text=st.text(st.characters(exclude_categories=["Cs"])),
)
def test_every_form_has_the_octets_and_the_size_it_promises(
    files: list[tuple[bytes, bool, bool]], text: str, tmp_path: Path, low_limits: None
) -> None:
    attachments = []
    for number, (data, is_file, is_inline) in enumerate(files):
        (tmp_path / str(number)).write_bytes(data)
        given = {"path": tmp_path / str(number)} if is_file else {"content": data}
        how = {"disposition": "inline", "content_id": f"c{number}"} if is_inline else {}
        attachments.append(Attachment(**given, **how))  # type: ignore[arg-type]
    content = message(text=text, html="<p>x</p>", attachments=attachments).render()
    expected = sorted(data for data, _, _ in files)
    in_binary = content.as_binary()
    assert sorted(attached(content)) == sorted(attached(in_binary.as_7bit())) == expected
    assert content.is_streamed is any(is_file and len(data) > 100 for data, is_file, _ in files)
    assert in_binary.is_binary is (in_binary is not content) is (in_binary.size < content.size)
    assert octets(in_binary.as_7bit()) == octets(content.as_7bit()) == octets(content)
    # The parser reads binary by its lines, and so cannot read it back; the octets are there.
    assert not in_binary.is_binary or all(data in octets(in_binary) for data in expected)


def test_binary_is_labelled_on_each_level_and_cannot_hold_its_boundary(path: Path) -> None:
    mail = message(message_id="a@b", attachments=[Attachment.from_bytes(b"\r.\n\x00\xff" * 100, "a.bin")])
    content = mail.render()
    head, _, body = octets(content.as_binary()).partition(b"\r\n\r\n")
    assert b"Content-Transfer-Encoding: binary" in head and b"Content-Transfer-Encoding: binary" in body
    assert b"\r\n\r\n" + b"\r.\n\x00\xff" * 100 + b"\r\n--=_" in body
    boundaries = {octets(mail.render().as_binary()).partition(b'boundary="')[2][:34] for _ in range(3)}
    assert len(boundaries) == 3, "who knows the Message-ID must not know the boundary"


def test_what_would_not_gain_stays_as_it_is() -> None:
    for mail in (message(), *(message(attachments=[Attachment.from_bytes(data, "a")]) for data in (b"", b"little"))):
        content = mail.render()
        assert content.as_binary() is content and not content.is_binary and not content.is_8bit


def test_utf8_headers_stay_what_they_are_in_binary() -> None:
    content = message(to="jörg@x.org", attachments=[Attachment.from_bytes(b"x" * 500, "a")]).render()
    in_binary = content.as_binary()
    assert in_binary.has_utf8_headers and in_binary.message_id == content.message_id
    for form in (content, in_binary):
        with pytest.raises(ExtensionMissing, match="SMTPUTF8"):
            form.as_7bit()


@pytest.mark.parametrize("large", [True, False])
def test_a_message_as_attachment_goes_as_it_is_or_as_a_file(large: bool, path: Path) -> None:
    fill = b"x" * 70 + b"\r\n"
    inner = b"Subject: inner\n\n" + fill * (SMALL // len(fill) + 1 if large else 1)
    for octets_in, kind in ((inner, "message/rfc822"), (inner + b"\0", "application/octet-stream")):
        path.write_bytes(octets_in)
        file = Attachment.from_path(path, content_type="message/rfc822")
        content = message(attachments=[file]).render()
        assert content.is_streamed is large and not content.is_8bit
        email: Any = message_from_bytes(octets(content), policy=policy.SMTP)
        part = next(iter(email.iter_attachments()))
        assert part.get_content_type() == kind
        if kind.startswith("message"):
            assert part.get_content()["Subject"] == "inner"
        else:
            assert part.get_payload(decode=True) == octets_in, "a file keeps its line ends"


@pytest.mark.parametrize("large", [True, False])
def test_a_message_in_8bit_as_attachment_is_encoded_inside_where_it_must_be(large: bool, path: Path) -> None:
    fill = b"x" * 69 + b"\xe9\r\n"
    inner = b"Subject: inner\r\n\r\n" + fill * (SMALL // len(fill) + 1 if large else 1)
    path.write_bytes(inner)
    content = message(attachments=[Attachment.from_path(path, content_type="message/rfc822")]).render()
    assert content.is_8bit and content.is_streamed is large and inner in octets(content)
    assert octets(content).count(b"Content-Transfer-Encoding: 8bit\r\n") == 2, "the message and what it is in"
    again = content.as_7bit()
    assert octets(again).isascii() and not again.is_8bit
    read: Any = message_from_bytes(octets(again), policy=policy.SMTP)
    part = next(iter(read.iter_attachments()))
    assert part.get_content_type() == "message/rfc822"
    assert part.get_content().get_payload(decode=True) == inner.partition(b"\r\n\r\n")[2]


def test_a_large_message_that_holds_the_boundary_goes_as_a_file(path: Path) -> None:
    mail = message(message_id="a@b", attachments=[Attachment.from_bytes(b"x", "a")])
    inner = bytes(mail) + b"x\r\n" * SMALL
    path.write_bytes(inner)
    forwarded = message(message_id="a@b", attachments=[Attachment.from_path(path, content_type="message/rfc822")])
    assert attached(forwarded.render()) == [inner]


@pytest.mark.parametrize("content_type", ["application/octet-stream", "message/rfc822"])
def test_a_file_that_changes_never_completes_the_message(path: Path, content_type: str) -> None:
    path.write_bytes(b"A: b\n" * SMALL)
    contents = [message(attachments=[Attachment.from_path(path, content_type=content_type)]).render()]
    contents.append(contents[0].as_binary())
    for other in (b"A: b\n" * (SMALL - 1), b"A: b\n" * (SMALL + 1), b"A: b\r" * (SMALL - 1) + b"AA:bb"):
        path.write_bytes(other)
        for content in contents:
            if content_type.startswith("application") and len(other) == 5 * SMALL:
                continue
            seen = 0
            with pytest.raises(MessageError, match=r"large\.bin"):
                for chunk in content.chunks():
                    seen += len(chunk)
            assert seen < content.size
    path.unlink()
    with pytest.raises(MessageError, match=r"large\.bin"):
        b"".join(contents[0].chunks())


def test_large_octets_are_never_encoded_as_a_whole() -> None:
    data = bytes(10 * KEPT)
    mail = message(attachments=[Attachment.from_bytes(data, "a")])
    tracemalloc.start()
    try:
        content = mail.render()
        assert sum(map(len, content.chunks())) == content.size > len(data) and not content.is_streamed
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_a_large_file_is_read_in_little_memory(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(20_000_000)
    tracemalloc.start()
    try:
        content = message(attachments=[path]).render()
        for form in (content, content.as_binary()):
            assert sum(map(len, form.chunks())) == form.size > 20_000_000
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
