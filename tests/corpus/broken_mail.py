"""Mail as other programs have written it, broken as real mail is: seeded, so that a number names each."""

from __future__ import annotations

import base64
import quopri
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from random import Random
from typing import Any

BOXES = {
    b"bob@example.org": "bob@example.org",
    b'"Doe, J" <jd@example.org>': "jd@example.org",
    b"<cy@example.net>": "cy@example.net",
    b"=?utf-8?q?J=C3=B6rg?= <j@example.org>": "j@example.org",
    "Jörg <joe@example.org>".encode(): "joe@example.org",
    "Jörg <joel@example.org>".encode("latin-1"): "joel@example.org",
    b"eve@example.org (Eve)": "eve@example.org",
    b"Dee\r\n <dee@example.org>": "dee@example.org",
    b'"=?utf-8?b?w4Q=?=" <ae@example.org>': "ae@example.org",
    b"a.b.c <abc@example.org>": "abc@example.org",
    b"<@relay.example:rt@example.org>": "rt@example.org",
    b"i @example.org": "i@example.org",
}
"""A mailbox as it is written, and its address."""
SUBJECTS = (
    b"Hi", "Grüße".encode(), "Grüße".encode("latin-1"), b"=?UTF8?b?R3LDvMOf?= =?utf-8?b?w5/Dnw==?=",
    b"=?utf-8?q?broken", b"=?utf-8?b?!!!!?=", b"", b"a\r\n b\r\n\tc", b"x" * 1100, b"word " * 300, b"tab\there",
    b"=?iso-8859-1*de?Q?Gr=FC=DFe?=", b"=?utf-8?q?=0D=0ABcc=3A_hid=40example.net?=",
)  # fmt: skip
MORE = (
    b"X-Long: " + b"v" * 1200, "X-U: ü".encode(), b"X-L: \xfc", b"Received: from a by b; x\r\n\tid 1",
    b"Message-Id: broken", b"Return-Path: <x@example.net>", b"Reply-To: ann@example.com, ops@example.com", b"X-Empty:",
    b"X-Dup: 1\r\nX-Dup: 2", b"Subject: second",
    b"Date: garbage", b"Bcc: hid@example.net", b"Thread-Index: " + b"Ad" * 40, b"X-Ctl: a\x01b",
)  # fmt: skip
CHARSETS = (
    b"", b"; charset=utf8", b'; charset="iso-8859-1"', b"; charset = us-ascii", b"; charset=x-unknown; format=flowed",
    b"; charset*=us-ascii'en'iso-8859-1", b'; charset="utf-8', b";\r\n\tcharset=cp1252", b";",
)  # fmt: skip
FILES = (
    b"attachment; filename*0*=utf-8''%C3%9Cber; filename*1*=sicht; filename*2=.pdf", b'attachment; filename="x.txt"',
    b"attachment; filename=\"a\"; filename*=utf-8''%C3%9C.pdf", b"attachment; filename*0=long; filename*1=er.txt",
    b"inline", b'attachment; filename="=?utf-8?b?w5w=?=.pdf"', b"ATTACHMENT;\r\n FILENAME=x.txt", b"x-odd",
)  # fmt: skip
BODIES = (
    b"Hello\r\n.dot\r\nFrom me\r\n-- \r\nAnn\r\n",
    "Grüße\r\n".encode(),
    "Grüße\r\n".encode("latin-1"),
    b"",
    b"no end",
)
BOUNDARIES = (b"b", b"=_x", b"----=_NextPart_000", b"a b", b"x'()+_,-./:=?")


@dataclass
class Broken:
    """A message, in octets or parsed, and who should get it."""

    number: int
    message: Any
    people: set[str] = field(default_factory=set)


class _Maker:
    def __init__(self, number: int) -> None:
        self.rng = Random(number)

    def one_of(self, *choices: Any) -> Any:
        return self.rng.choice(choices)

    def text(self) -> tuple[list[bytes], bytes]:
        body = self.one_of(*BODIES)
        fields = []
        if self.rng.randrange(5):
            fields.append(
                b"Content-Type: " + self.one_of(b"text/plain", b"TEXT/Plain", b"text/html") + self.one_of(*CHARSETS)
            )
        encoding = self.one_of(None, b"7bit", b"8BIT", b"base64", b"Quoted-Printable ", b"binary", b"x-uue", b"")
        if encoding is not None:
            fields.append(b"Content-Transfer-Encoding: " + encoding)
            if encoding == b"base64":
                body = self.one_of(
                    base64.encodebytes(body).replace(b"\n", b"\r\n"), base64.b64encode(body), b"!!no!!\r\n"
                )
            elif encoding.startswith(b"Quoted"):
                body = self.one_of(quopri.encodestring(body), b"soft=\r\nbreak =3D =zz =\r\n").replace(b"\r\n", b"\n")
                body = body.replace(b"\n", b"\r\n")
        if self.rng.randrange(4) == 0:
            fields.append(b"Content-Disposition: " + self.one_of(*FILES))
        self.rng.shuffle(fields)
        return fields, body

    def multipart(self, depth: int) -> tuple[list[bytes], bytes]:
        boundary = self.one_of(*BOUNDARIES) + b"%d" % depth
        kind = self.one_of(b"mixed", b"alternative", b"Related", b"report", b"form-data", b"x-y")
        fields = [
            b"Content-Type: multipart/" + kind + self.one_of(b"; boundary=", b";\r\n Boundary=") + b'"%b"' % boundary
        ]
        body: bytes = self.one_of(b"", b"This is a multi-part message.\r\n")
        for _ in range(self.one_of(1, 2, 3)):
            if depth < 2 and self.rng.randrange(4) == 0:
                head, inner = self.multipart(depth + 1)
            elif self.rng.randrange(7) == 0:
                head, inner = [b"Content-Type: message/rfc822"], self.octets(set(), depth + 1)
            else:
                head, inner = self.text()
            body += b"--" + boundary + b"\r\n" + b"".join(line + b"\r\n" for line in head) + b"\r\n" + inner + b"\r\n"
        return fields, body + self.one_of(b"", b"--" + boundary + b"--\r\n", b"--" + boundary + b"--\r\nepilogue\r\n")

    def octets(self, people: set[str], depth: int = 0) -> bytes:
        boxes = self.rng.sample([*BOXES], self.one_of(1, 2, 3))
        people |= {BOXES[box] for box in boxes}
        fields = [
            b"From: " + self.one_of(b"ann@example.com", b"Ann <ann@example.com>", "Änn <ann@example.com>".encode()),
            self.one_of(b"To: ", b"TO:", b"to: ") + self.one_of(b", ", b",", b",\r\n ").join(boxes),
            b"Subject: " + self.one_of(*SUBJECTS),
        ]
        for more in MORE:
            if self.rng.randrange(12) == 0:
                fields.append(more)
                people |= {"hid@example.net"} if more.startswith(b"Bcc") else set()
        head, body = self.multipart(depth) if self.rng.randrange(2) and depth < 2 else self.text()
        fields += head
        self.rng.shuffle(fields)
        return b"\r\n".join(fields) + b"\r\n\r\n" + body


def make(number: int) -> Broken:
    """The message with this number."""
    maker, people = _Maker(number), set[str]()
    octets = maker.octets(people)
    octets = maker.one_of(octets, octets.replace(b"\r\n", b"\n"))
    form = maker.one_of(None, policy.compat32, policy.default, policy.SMTP, policy.SMTPUTF8, policy.HTTP)
    return Broken(number, octets if form is None else message_from_bytes(octets, policy=form), people)
