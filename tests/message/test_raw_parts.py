"""No header line over 998 octets leaves in the parts of octets either, and all else stays as it is."""

from __future__ import annotations

import re
from email import message_from_bytes, policy

import pytest

from wlsmtp.errors import MessageError
from wlsmtp.message.render import content_of
from wlsmtp.message.transfer import has_long_line_in

WORDS = b" ".join([b"description"] * 120)
FILE = b"Content-Type: application/pdf\r\nContent-Description: %b\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA\r\n"
HEAD = b"From: a@x.org\r\nTo: b@x.org\r\nMIME-Version: 1.0\r\n"
INNER = (
    b"From: c@x.org\r\nReferences: " + b" ".join(b"<%d@x.org>" % n for n in range(200)) + b"\r\n\r\nan older one\r\n"
)


def multipart(*parts: bytes, boundary: bytes = b"=-b1", kind: bytes = b"mixed", head: bytes = HEAD) -> bytes:
    start = b'Content-Type: multipart/%b;\r\n boundary="%b"\r\n\r\n' % (kind, boundary)
    body = b"".join(b"--%b\r\n%b\r\n" % (boundary, part) for part in parts)
    return b"%b%bpreamble\r\n%b--%b--\r\nepilogue\r\n" % (head, start, body, boundary)


def sent(raw: bytes) -> bytes:
    return b"".join(content_of(raw).chunks())


def unfolded(octets: bytes) -> bytes:
    return re.sub(rb"\r\n(?=[ \t])", b"", octets)


NESTED = multipart(
    multipart(FILE % WORDS, FILE % b"short", boundary=b"in(1)+", kind=b"related", head=b""),
    b"Content-Type: message/rfc822\r\n\r\n" + INNER,
    b"\r\na part without a header section\r\n",
    b"Content-Type: multipart/digest; boundary=d\r\n\r\n--d\r\nContent-Type: message/rfc822\r\n\r\n"
    + INNER
    + b"--d--\r\n",
)
SHAPES = {
    "a part": multipart(b"\r\ntext\r\n", FILE % WORDS),
    "parts in parts": NESTED,
    "an attached message": multipart(b"Content-Type: message/rfc822\r\n\r\n" + INNER),
    "a message and nothing else": HEAD + b"Content-Type: message/rfc822\r\n\r\n" + INNER,
    "a part without its end": multipart(FILE % WORDS)[:-30],
}


@pytest.mark.parametrize("raw", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("line_end", [b"\r\n", b"\n"])
def test_header_lines_of_parts_are_folded_and_nothing_else_changes(raw: bytes, line_end: bytes) -> None:
    found = sent(raw.replace(b"\r\n", line_end))
    assert has_long_line_in(raw) and not has_long_line_in(found)
    assert unfolded(found) == unfolded(raw + b"\r\n" * (not raw.endswith(b"\r\n")))
    before, after = (message_from_bytes(octets, policy=policy.default) for octets in (raw, found))
    for old, new in zip(before.walk(), after.walk(), strict=True):
        assert [*map(str, old.values())] == [*map(str, new.values())]


def test_long_lines_of_texts_are_nobody_s_to_change() -> None:
    text = b"x" * 3000
    for raw in (
        multipart(b"\r\n%b\r\n" % text, FILE % b"short"),
        multipart(b"Content-Type: text/plain\r\n\r\nSubject: %b\r\n" % text),
        multipart(b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n%b\r\n" % text),
        HEAD + b"Content-Type: text/plain\r\n\r\n--b\r\nContent-Description: %b\r\n\r\n" % WORDS,
    ):
        assert sent(raw) == raw


@pytest.mark.parametrize(
    "raw",
    [
        multipart(FILE % WORDS, kind=b"signed"),
        multipart(multipart(FILE % WORDS, boundary=b"s", kind=b"signed", head=b"")),
        multipart(FILE % WORDS, head=b"DKIM-Signature: v=1\r\n" + HEAD),
    ],
)
def test_what_a_signature_covers_is_refused_rather_than_changed(raw: bytes) -> None:
    with pytest.raises(MessageError, match="signed"):
        sent(raw)


def test_a_word_that_cannot_be_folded_is_refused() -> None:
    with pytest.raises(MessageError, match="too long for a line"):
        sent(multipart(b"Content-Type: text/plain; name=%b\r\n\r\nx\r\n" % (b"x" * 1200)))


def test_a_line_is_measured_without_its_end() -> None:
    for length, is_long in ((998, False), (999, True)):
        for after in (b"", b"\r\n", b"\r\nshort\r\n"):
            assert has_long_line_in(b"x\r\n" + b"a" * length + after) is is_long
