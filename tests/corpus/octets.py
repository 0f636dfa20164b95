"""Letters in octets, as other programs than Python's write them."""

from __future__ import annotations

import base64
import quopri
import re
from email.header import Header
from email.utils import quote
from urllib.parse import quote as percent_encoded

from tests.corpus.letters import File, Letter, Person

BOUNDARY = "----=_NextPart_000_0001"
RFC_2231 = "utf-8''"


def write(letter: Letter, *, encoded: bool, line_end: str) -> bytes:
    """The letter with these line ends, or its own; encoded as mail programs do it, or in raw UTF-8, as programs do that
    put a message together with an f-string."""
    head = [("Subject", _words(letter, letter.subject, encoded)), ("From", _mailbox(letter, letter.sender, encoded))]
    for name, people in (("To", letter.to), ("Cc", letter.cc), ("Bcc", letter.bcc), ("Reply-To", letter.reply_to)):
        # Who gives the envelope by hand shows no blind copies.
        if (people and (name != "Bcc" or encoded)) or (name == "To" and letter.group):
            listed = ",\n\t".join(_mailbox(letter, person, encoded) for person in people)
            head.append((name, f"{letter.group}: {listed};" if name == "To" and letter.group else listed))
    head += [(name, _words(letter, value, encoded)) for name, value in letter.fields]
    fields = "".join(f"{name}: {value}\n" for name, value in [*head, ("MIME-Version", "1.0")])
    return re.sub(rb"(?<!\r)\n", (letter.line_end or line_end).encode(), fields.encode() + _body(letter, encoded))


def _words(letter: Letter, text: str, encoded: bool) -> str:
    if not encoded:
        return text
    if text.isascii():
        return re.sub(r"(.{40,70}?) (?! )", "\\1\n ", text) if len(text) < 3000 else text
    return Header(text, letter.charset, header_name="Subject").encode(linesep="\n").replace("\n ", "\n\t")


def _mailbox(letter: Letter, person: Person, encoded: bool) -> str:
    name, address = person
    if not name:
        return address
    if name.isascii() or not encoded:
        return f'"{quote(name)}" <{address}>'
    return f"{_words(letter, name, encoded)} <{address}>"


def _body(letter: Letter, encoded: bool) -> bytes:
    """The MIME fields, the blank line and the body."""
    text = _text_part(letter, "plain", letter.text, encoded)
    if not letter.html and not letter.files:
        return text
    parts = [text]
    if letter.html:
        parts.append(_text_part(letter, "html", letter.html, encoded))
    parts += map(_file_part, letter.files)
    shape = letter.shape if letter.files else "alternative"
    protocol = f'; protocol="{letter.files[0].type}"' if shape == "signed" else ""
    head = f'Content-Type: multipart/{shape}{protocol};\n\tboundary="{BOUNDARY}"\n\n'
    if encoded:
        head += "This is a multi-part message in MIME format.\n\n"
    pieces = [f"--{BOUNDARY}\n".encode() + part + b"\n" for part in parts]
    return b"".join((head.encode(), *pieces, f"--{BOUNDARY}--\n".encode()))


def _text_part(letter: Letter, subtype: str, text: str, encoded: bool) -> bytes:
    charset = letter.charset if encoded else "utf-8"
    octets = text.encode(charset)
    encoding = letter.encoding if encoded else "8bit"
    if not encoding:
        is_short = max(map(len, octets.splitlines() or [b""])) <= 998
        encoding = "7bit" if octets.isascii() and is_short else "quoted-printable"
    if encoding == "quoted-printable":
        octets = quopri.encodestring(octets.replace(b"\r\n", b"\n"))
    elif encoding == "base64":
        octets = base64.encodebytes(octets)
    parameters = "".join(f"; {name}={value}" for name, value in letter.parameters)
    head = f'Content-Type: text/{subtype}; charset="{charset}"{parameters}\nContent-Transfer-Encoding: {encoding}\n\n'
    return head.encode() + octets


def _file_part(file: File) -> bytes:
    if file.type.startswith("message/"):
        return f"Content-Type: {file.type}\n\n".encode() + file.data
    head = f"Content-Type: {file.type}"
    if file.name:
        head += f";\n\tname={_name(file.name)}\nContent-Disposition: {'inline' if file.identifier else 'attachment'}"
        head += ";\n\t" + _filename(file.name)
    head += f"\nContent-ID: <{file.identifier}>" if file.identifier else ""
    return f"{head}\nContent-Transfer-Encoding: base64\n\n".encode() + base64.encodebytes(file.data)


def _name(name: str) -> str:
    """As Outlook does it, against RFC 2047 and read by everybody."""
    return f'"{name if name.isascii() else Header(name, "utf-8", maxlinelen=10**6).encode()}"'


def _filename(name: str) -> str:
    """RFC 2231, in pieces."""
    if name.isascii():
        return f'filename="{name}"'
    # A piece ends between two characters: some readers decode each by itself.
    pieces = re.findall(r"(?:%[C-F].(?:%[89AB].)+|[^%]|%[0-7].){1,16}", percent_encoded(name, safe=""))
    named = [f"filename*{number}*={'' if number else RFC_2231}{piece}" for number, piece in enumerate(pieces)]
    return ";\n\t".join(named)
