"""What does it cost to build a message?

``Message`` against the standard library's ``EmailMessage``, and against a floor: the same octets put together by hand
with f-strings and ``binascii``, with nothing checked and nothing folded. CPU time, medians of several rounds in which
all build the same messages in turn. ``Message`` also gives the envelope. The people in To are strangers in the row
"new"; in the row "known" they had a message before, as in a merge to the same list. The floor of the merge encodes the
file once, and so does ``Message``.
"""

from __future__ import annotations

import os
import secrets
import statistics
import time
from binascii import b2a_base64
from collections.abc import Callable
from dataclasses import dataclass
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import formatdate, localtime, make_msgid
from itertools import count

from harness import Bench
from report import Claim, Question, Section, Table, show

from wlsmtp import Attachment, Message
from wlsmtp.message.render import content_of, envelope_of

SENDER, RECIPIENT = "ann@example.com", "bob@example.org"
TEXT = "Hello Bob,\n\nthis is what a short message looks like.\n" + "A line of text, and another.\n" * 8 + "\nAnn\n"
HTML = "<html><body>" + "<p>A line of text, and another.</p>\n" * 20 + "</body></html>\n"
FILE = os.urandom(50 * 1024)
MERGED = 1000
ROUNDS = 5
WITH_FILE = "text, HTML, 50 KB file"
numbers = count()


def people(first: int) -> list[tuple[str, str]]:
    return [(f"Jörg Müller {number}", f"user{number}@example.org") for number in range(first, first + 50)]


KNOWN = people(-50)


# By Message.


def written(message: Message) -> bytes:
    envelope_of(message)
    return b"".join(content_of(message).chunks())


def small() -> bytes:
    return written(Message(SENDER, RECIPIENT, subject="Hello", text=TEXT))


def with_file() -> bytes:
    file = Attachment.from_bytes(FILE, "file.bin")
    return written(Message(SENDER, RECIPIENT, subject="Hello", text=TEXT, html=HTML, attachments=[file]))


def known_people() -> bytes:
    return written(Message(SENDER, [f"{name} <{address}>" for name, address in KNOWN], subject="Hello", text=TEXT))


def new_people() -> bytes:
    to = [f"{name} <{address}>" for name, address in people(next(numbers) * 50)]
    return written(Message(SENDER, to, subject="Hello", text=TEXT))


def merge() -> bytes:
    letter = Message(SENDER, subject="Hello", html=HTML, attachments=[Attachment.from_bytes(FILE, "file.bin")])
    for number in range(MERGED):
        octets = written(letter.but(to=f"user{number}@example.org", text=f"Hello {number}\n{TEXT}"))
    return octets


# By the standard library.


def email(to: object, text: str = TEXT) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = SENDER, to, "Hello"
    message["Date"], message["Message-ID"] = localtime(), make_msgid(domain="example.com")
    message.set_content(text)
    return message


def email_with_file(to: str = RECIPIENT, text: str = TEXT) -> EmailMessage:
    message = email(to, text)
    message.add_alternative(HTML, subtype="html")
    message.add_attachment(FILE, maintype="application", subtype="octet-stream", filename="file.bin")
    return message


def email_people(pairs: list[tuple[str, str]]) -> bytes:
    return email([Address(name, addr_spec=address) for name, address in pairs]).as_bytes(policy=policy.SMTP)


def email_merge() -> bytes:
    # A tenth of it: each message costs the same.
    for number in range(MERGED // 10):
        message = email_with_file(f"user{number}@example.org", f"Hello {number}\n{TEXT}")
        octets = message.as_bytes(policy=policy.SMTP)
    return octets


# By hand.


def base64_by_hand(octets: bytes) -> str:
    encoded = b2a_base64(octets, newline=False).decode("ascii")
    return "\r\n".join([encoded[start : start + 76] for start in range(0, len(encoded), 76)])


def head_by_hand(to: str) -> str:
    return (
        f"From: {SENDER}\r\nTo: {to}\r\nSubject: Hello\r\nDate: {formatdate(localtime=True)}\r\n"
        f"Message-ID: <{secrets.token_hex(16)}@example.com>\r\nMIME-Version: 1.0\r\n"
    )


def text_by_hand(text: str, subtype: str = "plain") -> str:
    body = text.replace("\n", "\r\n")
    return f'Content-Type: text/{subtype}; charset="utf-8"\r\nContent-Transfer-Encoding: 7bit\r\n\r\n{body}'


def parts_by_hand(to: str, text: str, file: str) -> bytes:
    return (
        f'{head_by_hand(to)}Content-Type: multipart/mixed; boundary="=_1"\r\n\r\n--=_1\r\n'
        f'Content-Type: multipart/alternative; boundary="=_2"\r\n\r\n--=_2\r\n{text_by_hand(text)}\r\n--=_2\r\n'
        f"{text_by_hand(HTML, 'html')}\r\n--=_2--\r\n\r\n--=_1\r\nContent-Type: application/octet-stream\r\n"
        'Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename="file.bin"\r\n\r\n'
        f"{file}\r\n--=_1--\r\n"
    ).encode()


def people_by_hand(pairs: list[tuple[str, str]]) -> bytes:
    words = [(b2a_base64(name.encode(), newline=False).decode("ascii"), address) for name, address in pairs]
    to = ",\r\n ".join([f"=?utf-8?b?{word}?= <{address}>" for word, address in words])
    return (head_by_hand(to) + text_by_hand(TEXT)).encode()


def merge_by_hand() -> bytes:
    file = base64_by_hand(FILE)
    for number in range(MERGED):
        octets = parts_by_hand(f"user{number}@example.org", f"Hello {number}\n{TEXT}", file)
    return octets


@dataclass
class Row:
    title: str
    message: Callable[[], bytes]
    stdlib: Callable[[], bytes]
    floor: Callable[[], bytes]
    times: int
    messages: int = 1
    stdlib_messages: int = 1


ROWS = [
    Row(
        "small text", small,
        lambda: email(RECIPIENT).as_bytes(policy=policy.SMTP),
        lambda: (head_by_hand(RECIPIENT) + text_by_hand(TEXT)).encode(), 300,
    ),
    Row(
        WITH_FILE, with_file,
        lambda: email_with_file().as_bytes(policy=policy.SMTP),
        lambda: parts_by_hand(RECIPIENT, TEXT, base64_by_hand(FILE)), 30,
    ),
    Row("50 people in To, known", known_people, lambda: email_people(KNOWN), lambda: people_by_hand(KNOWN), 20),
    Row(
        "50 people in To, new", new_people,
        lambda: email_people(people(next(numbers) * 50)), lambda: people_by_hand(people(next(numbers) * 50)), 20,
    ),
    Row("merge of 1,000, same file", merge, email_merge, merge_by_hand, 1, MERGED, MERGED // 10),
]  # fmt: skip


def microseconds(build: Callable[[], bytes], times: int) -> float:
    """CPU time of one call."""
    start = time.process_time()
    for _ in range(times):
        build()
    return (time.process_time() - start) / times * 1e6


@dataclass
class Figures:
    """Microseconds of CPU a message."""

    floor: float
    message: float
    stdlib: float

    @property
    def over_floor(self) -> float:
        return self.message / self.floor

    @property
    def under_stdlib(self) -> float:
        return self.stdlib / self.message


def measure(row: Row, rounds: int) -> Figures:
    samples: list[list[float]] = [[], [], []]
    kinds = ((row.floor, row.messages), (row.message, row.messages), (row.stdlib, row.stdlib_messages))
    for _ in range(rounds):
        for column, (build, messages) in zip(samples, kinds, strict=True):
            column.append(microseconds(build, row.times) / messages)
    return Figures(*map(statistics.median, samples))


def ask(bench: Bench) -> Section:
    section = Section("Building alone", (__doc__ or "").strip())
    found = {row.title: measure(row, bench.rounds(ROUNDS)) for row in ROWS}
    rows = [
        (
            title, f"{one.floor:.1f}", f"{one.message:.1f}", f"{one.stdlib:,.1f}", f"{one.over_floor:.2f}",
            f"{one.under_stdlib:.1f}",
        )
        for title, one in found.items()
    ]  # fmt: skip
    headers = ("message", "floor, us", "Message, us", "EmailMessage, us", "Message / floor", "EmailMessage / Message")
    section.tables = [Table("CPU time to build one message", headers, rows)]
    over, under = found[WITH_FILE].over_floor, min(one.under_stdlib for one in found.values())
    section.claims = [
        Claim(f"Building, {WITH_FILE}: CPU time of the floor's", "<= 2 x", f"{over:.2f} x", over <= 2),
        Claim("Building, whatever the message: stdlib's CPU time of ours", ">= 5 x", f"{under:.1f} x", under >= 5),
    ]
    return section


question: Question = ask

if __name__ == "__main__":
    show(question)
