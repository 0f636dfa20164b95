"""Messages put together at random, as programs put them together: seeded, so that a number names each."""

from __future__ import annotations

import base64
import quopri
from collections.abc import Callable
from dataclasses import dataclass, field
from email import charset as charsets
from email import encoders, message_from_bytes, message_from_string, policy
from email.header import Header
from email.headerregistry import Address, Group
from email.message import EmailMessage
from email.message import Message as OldMessage
from email.mime.application import MIMEApplication
from email.mime.base import MIMEBase
from email.mime.image import MIMEImage
from email.mime.message import MIMEMessage
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.utils import formataddr, make_msgid
from random import Random
from typing import Any

from tests.corpus.vocabulary import FILE_NAMES, LOCALS, NAMES, OTHER_FIELDS, PART_FIELDS, POLICIES, WORDS


@dataclass
class Made:
    """A message, the envelope if it is given beside it, and whom it should reach."""

    number: int
    kind: str
    message: Any
    sender: str | None = None
    recipients: list[str] | None = None
    people: list[str] = field(default_factory=list)


class Maker:
    """Makes one message from its number."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.rng = Random(number)
        self.people: list[str] = []
        self.count = 0

    def one_of(self, *choices: Any) -> Any:
        return self.rng.choice(choices)

    def chance(self, one_in: int) -> bool:
        return self.rng.randrange(one_in) == 0

    # -- texts

    def charset(self) -> Any:
        return self.one_of("ascii", "ascii", "utf-8", "utf-8", *WORDS)

    def words(self, charset: str, count: int) -> str:
        return " ".join(self.rng.choices(WORDS[charset], k=count))

    def text(self, charset: str) -> Any:
        lines = []
        for _ in range(self.one_of(0, 1, 2, 5, 30)):
            kind = self.rng.randrange(14)
            line = self.words(charset, self.rng.randrange(1, 12))
            if kind == 0:
                line = "." * self.rng.randrange(1, 4) + line
            elif kind == 1:
                line = "From " + line
            elif kind == 2:
                line += self.one_of(" ", "\t", "  ")
            elif kind == 3:
                line = ""
            elif kind == 4:
                line = self.one_of("-- ", "--", "--===============", ".", "\f", "\x0b", "\x1b[0m", "=", "a\x00b")
            elif kind == 5 and self.chance(3):
                line = (line + " ") * 120
            elif kind == 6 and self.chance(3):
                line = "w" * self.one_of(77, 78, 79, 997, 998, 999, 1000, 5000)
            lines.append(line)
        end = self.one_of("\n", "\n", "\n", "\r\n", "\r") if self.chance(3) else "\n"
        return end.join(lines) + self.one_of("", end, end * 3)

    def data(self) -> Any:
        return self.one_of(
            b"", b"x", b"\0", b"\r", b"\n", b"a\r\nb\r\n", b"a\nb\rc\r\n.\r\n", bytes(range(256)), b"%PDF-1.4\n" * 40,
            self.rng.randbytes(self.rng.randrange(3000)), b"--=", b"From me\n.\n", b"line " * 500,
        )  # fmt: skip

    # -- people

    def address(self) -> str:
        self.count += 1
        local = self.one_of(*LOCALS)
        domain = self.one_of(
            "example.org", "example.org", "sub.example.net", "mail-1.example", "[192.0.2.1]", "EXAMPLE.COM"
        )
        if domain.startswith("["):
            domain = "example.org" if self.number % 5 else domain
        return f"{local}{self.count}@{domain}"

    def mailbox(self, old: bool) -> str:
        """In one of the ways in which programs write it."""
        name, address = self.one_of(*NAMES), self.address()
        self.people.append(address)
        quoted = name.replace("\\", "\\\\").replace('"', '\\"')
        ways: list[Callable[[], str]] = [
            lambda: formataddr((name, address)),
            lambda: formataddr((name, address)),
            lambda: f'"{quoted}" <{address}>',
            lambda: address,
            lambda: f"<{address}>",
            lambda: f"{address} (comment)",
            lambda: f'"{quoted}"\n <{address}>' if old else f'"{quoted}" <{address}>',
            lambda: f"{Header(name, 'utf-8').encode(maxlinelen=10**6)} <{address}>",
            lambda: f'"{Header(name, "utf-8").encode(maxlinelen=10**6)}" <{address}>',
            lambda: formataddr((name, address), self.one_of("utf-8", "utf-16" if self.chance(9) else "utf-8")),
        ]
        try:
            return self.rng.choice(ways)()
        except (UnicodeError, LookupError):
            return address

    def listed(self, old: bool, count: int) -> Any:
        return self.one_of(", ", ",", ",\n " if old else ", ", " , ").join(self.mailbox(old) for _ in range(count))

    def people_field(self, old: bool) -> Any:
        count = self.one_of(1, 1, 1, 2, 3, 12)
        kind = self.rng.randrange(10)
        if kind == 0 and old:
            header = Header(header_name="To", charset=self.one_of(None, "utf-8"))
            for index in range(count):
                name, address = self.one_of(*NAMES), self.address()
                self.people.append(address)
                charset = self.one_of("utf-8", "utf-8", "iso-8859-1", "koi8-r")
                try:
                    header.append(name, charset)
                except UnicodeError:
                    header.append(name, "utf-8")
                header.append(f"<{address}>{',' if index < count - 1 else ''}", "us-ascii")
            return header
        if kind == 1:
            return f"{self.one_of('The team', 'undisclosed', '=?utf-8?q?Gr=C3=BCppe?=')}: {self.listed(old, count)};"
        if kind == 2 and not old:
            boxes = []
            for _ in range(count):
                address = self.address()
                local, _, domain = address.rpartition("@")
                try:
                    box = Address(self.one_of(*NAMES), local, domain)
                except Exception:
                    box = Address("", "bob", "example.org")
                    address = "bob@example.org"
                boxes.append(box)
                self.people.append(address)
            return self.one_of(boxes, Group("Team", tuple(boxes)), boxes)
        if kind == 3:
            return Header(self.listed(True, count)) if old else self.listed(old, count)
        if kind == 4:
            return self.listed(old, count) + self.one_of(",", ", ", "")
        return self.listed(old, count)

    def head(self, message: Any, old: bool, *, to: bool = True) -> None:
        """The fields of the message."""
        charset = self.charset()
        subject = self.words(charset, self.one_of(0, 1, 4, 9, 40))
        subject_kind = self.rng.randrange(9)
        value: Any = subject
        if subject_kind == 0 and old:
            value = Header(subject, self.one_of(charset, "utf-8"))
        elif subject_kind == 1:
            value = Header(subject, "utf-8").encode(maxlinelen=10**6)
        elif subject_kind == 2 and old:
            value = Header(subject, "utf-8").encode()
        elif subject_kind == 3:
            value = self.one_of(" lead", "trail ", "a\tb", "a  b", "", "=?utf-8?q?bad", "x" * 1200, "Re: " * 300)
        elif subject_kind == 4 and self.chance(3):
            value = None
        elif subject_kind == 5 and old:
            value = "folded\n here\r\n and\n\there"
        self.set(message, "Subject", value)
        keep = self.people
        self.people = []
        self.set(message, "From", self.mailbox(old))
        for name, chance in (("Reply-To", 4), ("Sender", 8), ("Disposition-Notification-To", 12)):
            if self.chance(chance):
                self.set(message, name, self.mailbox(old))
        self.people = keep
        if to:
            self.set(message, "To", self.people_field(old))
            for name, chance in (("Cc", 4), ("Bcc", 4)):
                if self.chance(chance):
                    self.set(message, name, self.people_field(old))
            if old and self.chance(15):
                message["To"] = self.listed(old, 1)
        for name, values in OTHER_FIELDS.items():
            if self.chance(9):
                self.set(message, name, self.rng.choice(values))

    def set(self, message: Any, name: str, value: Any) -> None:
        try:
            message[name] = value
        except (ValueError, TypeError, AttributeError, IndexError, UnicodeError):  # the policy refuses it
            if name in ("From", "To", "Cc", "Bcc"):
                self.people = [] if name == "To" else self.people
                message[name] = "bob@example.org"
                if name != "From":
                    self.people.append("bob@example.org")

    # -- parts

    def old_text(self) -> Any:
        charset = self.charset()
        text = self.text(charset)
        subtype = self.one_of("plain", "plain", "html", "calendar", "x-unknown", "csv")
        kind = self.rng.randrange(9)
        part: Any
        if kind < 3:
            try:
                return MIMEText(text, subtype, charset if charset != "ascii" else None)
            except (UnicodeError, LookupError):
                return MIMEText(text, subtype)
        if kind == 3:
            chosen = charsets.Charset(charset if charset != "ascii" else "us-ascii")
            chosen.body_encoding = self.one_of(charsets.QP, charsets.BASE64, None)
            part = MIMEText("", subtype)
            del part["Content-Transfer-Encoding"]
            try:
                part.set_payload(text, chosen)
            except (UnicodeError, LookupError):
                return MIMEText(text, subtype)
            return part
        if kind == 4:
            part = OldMessage()
            part["Content-Type"] = f"text/{subtype}; charset={charset}"
            encoded = text.encode(charset, "replace")
            encoding = self.one_of(
                "8bit", "base64", "quoted-printable", "7bit", "binary", "x-uuencode", "BASE64", " 8bit "
            )
            part["Content-Transfer-Encoding"] = encoding
            plain = encoding.strip().lower()
            if plain == "base64":
                part.set_payload(base64.encodebytes(encoded).decode("ascii"))
            elif plain == "quoted-printable":
                part.set_payload(quopri.encodestring(encoded).decode("ascii"))
            elif plain == "x-uuencode":
                part.set_payload(_uuencoded(encoded))
            else:
                part.set_payload(encoded.decode("ascii", "surrogateescape"))
            return part
        if kind == 5:
            part = OldMessage()
            part["Content-Type"] = "text/plain"
            part.set_payload(text if text.isascii() else "no charset", None)
            return part
        if kind == 6:
            part = OldMessage()
            if self.chance(2):
                part.set_payload("")
            return part
        part = MIMEText(text, subtype, "utf-8")
        if self.chance(2):
            part.replace_header("Content-Transfer-Encoding", "8bit")
            part.set_payload(text.encode().decode("ascii", "surrogateescape"))
        return part

    def old_file(self) -> Any:
        data, name = self.data(), self.one_of(*FILE_NAMES)
        kind = self.rng.randrange(6)
        if kind == 0:
            part: Any = MIMEApplication(data, self.one_of("octet-stream", "pdf", "x-weird+xml"), name=name)
        elif kind == 1:
            part = MIMEImage(data, self.one_of("png", "gif"))
        elif kind == 2:
            part = MIMEBase("application", "octet-stream")
            part.set_payload(data)
            self.one_of(encoders.encode_base64, encoders.encode_quopri, encoders.encode_base64)(part)
        elif kind == 3:
            part = MIMEBase("text", "csv", charset="utf-8")
            part.set_payload(data)
            encoders.encode_base64(part)
        elif kind == 4:
            part = MIMEApplication(data, _encoder=encoders.encode_noop)
            part["Content-Transfer-Encoding"] = self.one_of("binary", "8bit")
            part.set_payload(data.decode("ascii", "surrogateescape"))
        else:
            part = MIMEApplication(data)
        way = self.rng.randrange(7)
        if way == 0:
            part.add_header("Content-Disposition", "attachment", filename=name)
        elif way == 1:
            part.add_header("Content-Disposition", "attachment", filename=("utf-8", "", name))
        elif way == 2:
            part["Content-Disposition"] = f'attachment; filename="{name}"'
        elif way == 3:
            part["Content-Disposition"] = f"attachment; filename={name}"
        elif way == 4:
            part["Content-Disposition"] = f'attachment; filename="{Header(name, "utf-8").encode()}"'
        elif way == 5:
            part.add_header(
                "Content-Disposition",
                "inline",
                filename=("iso-8859-1", "de", name.encode("latin-1", "replace").decode("latin-1")),
            )
        for key, values in PART_FIELDS.items():
            if self.chance(8):
                part[key] = self.rng.choice(values)
        return part

    def inner(self) -> Any:
        """A message to be attached."""
        below = Maker(self.rng.randrange(10**9))
        made: Made = below.one_of(below.old, below.new, below.parsed)()
        return made.message

    def old_part(self, depth: int) -> Any:
        kind = self.rng.randrange(12)
        if kind < 5:
            return self.old_text()
        if kind < 8:
            return self.old_file()
        if kind == 8 and depth < 2:
            return MIMEMessage(self.inner())
        if kind == 9 and depth < 3:
            return self.old_multipart(depth + 1)
        if kind == 10:
            status = MIMEBase("message", "delivery-status")
            blocks: list[Any] = [
                message_from_string("Reporting-MTA: dns; x\n\n"),
                message_from_string("Action: failed\nStatus: 5.1.1\n\n"),
            ]
            status.set_payload(blocks)
            return status
        return self.old_text()

    def old_multipart(self, depth: int) -> Any:
        subtype = self.one_of("mixed", "mixed", "alternative", "related", "report", "signed", "digest", "x-odd")
        boundary = self.one_of(None, None, None, "b", "=_a b'c", "x" * 70, "----=_Part_1")
        if boundary is not None:
            boundary += str(depth)
        message = MIMEMultipart(subtype, boundary)
        for _ in range(self.one_of(0, 1, 2, 2, 3, 4)):
            message.attach(self.old_part(depth))
        if self.chance(6):
            message.preamble = self.one_of(
                "This is a multi-part message.\n", "Für Sie\n".encode().decode("ascii", "surrogateescape"), ""
            )
        if self.chance(8):
            message.epilogue = self.one_of("the end", "", "\n")
        return message

    # -- whole messages

    def old(self) -> Made:
        message = self.one_of(
            self.old_text, lambda: self.old_multipart(0), lambda: self.old_multipart(0), self.old_file
        )()
        del message["Bcc"]  # which a part has at times
        self.head(message, True)
        return self.made("old", message)

    def new(self) -> Made:
        chosen = self.one_of(*POLICIES)
        message: Any = EmailMessage(policy=chosen)
        old = chosen is policy.compat32
        self.head(message, old)
        charset = self.charset()
        content = {"charset": charset if charset != "ascii" else "us-ascii"} if self.chance(2) else {}
        if self.chance(3):
            content["cte"] = self.one_of("8bit", "base64", "quoted-printable", "7bit")
        manager = policy.default.content_manager
        try:
            message.set_content(self.text(charset), content_manager=manager, **content)
        except (UnicodeError, ValueError, LookupError, TypeError):  # of a policy without a longest line
            message.set_payload("plain\n", "us-ascii")
        try:
            if self.chance(3):
                message.add_alternative(f"<p>{self.text(charset)}</p>", subtype="html", content_manager=manager)
                if self.chance(2):
                    html = message.get_payload()[-1]
                    html.add_related(self.data(), "image", "png", cid=make_msgid(), content_manager=manager)
        except (ValueError, TypeError):
            pass
        for _ in range(self.one_of(0, 0, 1, 2)):
            self.attach(message, manager)
        return self.made(f"EmailMessage {POLICIES.index(chosen)}", message)

    def attach(self, message: Any, manager: Any) -> None:
        name = self.one_of(*FILE_NAMES)
        kind = self.rng.randrange(5)
        try:
            if kind == 0:
                message.add_attachment(self.text("utf-8"), filename=name, content_manager=manager)
            elif kind == 1:
                inner = self.inner()
                message.add_attachment(inner, content_manager=manager)
            elif kind == 2:
                message.add_attachment(
                    self.data(), "application", "x-y", filename=name,
                    cte=self.one_of("base64", "quoted-printable", "8bit", "7bit"),
                    params={"p": self.one_of("v", "ü", "a b")}, headers=["X-Part: é"], content_manager=manager,
                )  # fmt: skip
            else:
                message.add_attachment(
                    self.data(), "application", "octet-stream", filename=name, content_manager=manager
                )
        except (UnicodeError, ValueError, LookupError, TypeError, KeyError, AttributeError):
            pass

    def parsed(self) -> Made:
        """Written by another program, and read from a file."""
        while True:
            made: Made = self.one_of(self.old, self.new)()
            try:
                octets = made.message.as_bytes(policy=self.one_of(policy.compat32, policy.SMTP, policy.SMTPUTF8))
                break
            except Exception:
                self.people = []
        if self.chance(3):  # a program that knows nothing of encoded words
            head, _, body = octets.replace(b"\r\n", b"\n").partition(b"\n\n")
            raw = self.words("iso-8859-1", 3)
            octets = head + b"\nX-Raw: " + raw.encode(self.one_of("utf-8", "latin-1")) + b"\n\n" + body
        if self.chance(6):
            octets = octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        message: Any
        if self.chance(4):
            message = message_from_string(octets.decode("utf-8", "replace").replace("\r\n", "\n"))
        else:
            message = message_from_bytes(octets, policy=self.one_of(policy.compat32, *POLICIES))
        made.message, made.kind = message, "parsed " + made.kind
        return made

    def resent(self) -> Made:
        """Passed on by somebody else."""
        made: Made = self.one_of(self.old, self.new, self.parsed)()
        message, self.people = made.message, []
        self.set(message, "Resent-From", "carl@example.net")
        self.set(message, "Resent-To", self.listed(False, self.one_of(1, 2)))
        if self.chance(2):
            self.set(message, "Resent-Bcc", self.mailbox(False))
        self.set(message, "Resent-Date", "Sun, 29 Nov 2026 10:30:00 +0100")
        made.kind, made.people = "resent " + made.kind, self.people
        return made

    def enveloped(self) -> Made:
        """With its envelope beside it, so that its fields do not matter."""
        made: Made = self.one_of(self.old, self.new, self.parsed)()
        if self.chance(2):
            bare = self.old_part(0)
            made.message = bare
        made.sender, made.recipients = "ann@example.com", ["bob@example.org", "carl@example.net"]
        made.people, made.kind = list(made.recipients), "enveloped " + made.kind
        return made

    def made(self, kind: str, message: Any) -> Made:
        return Made(self.number, kind, message, people=list(self.people))


def _uuencoded(octets: bytes) -> str:
    import binascii

    lines = [binascii.b2a_uu(octets[start : start + 45]).decode() for start in range(0, len(octets), 45)]
    return "begin 666 x\n" + "".join(lines) + " \nend\n"


def make(number: int) -> Made:
    """Return the message of this number."""
    maker = Maker(number)
    made: Made = maker.one_of(maker.old, maker.old, maker.new, maker.new, maker.parsed, maker.resent, maker.enveloped)()
    return made
