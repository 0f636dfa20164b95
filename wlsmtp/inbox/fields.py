"""The addresses of header fields, and what a list shows of a message."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from wlsmtp.errors import MessageError
from wlsmtp.inbox import html
from wlsmtp.inbox.mime import Part, decode_words, parse
from wlsmtp.wire.mailboxes import parse_mailbox_list

MAX_ADDRESSES = 200
MAX_TAGS = 20
SNIPPET = 250
INDEXED = 32 * 1024
"""Characters of a text that are searched."""

_ADDRESS = re.compile(r"[^\s<>,;\"()]{1,64}@[^\s<>,;\"()]{1,255}")
_NO_TAG = re.compile(r"[^\w .-]")

Box = dict[str, str]
"""A mailbox as the API has it: ``Name`` and ``Address``."""


def mailboxes(value: str) -> list[Box]:
    """The mailboxes of an address field. Of one that is malformed, what looks like an address."""
    value = value[:8192]
    if not value:
        return []
    try:
        found = [{"Name": decode_words(box.name), "Address": str(box.address)} for box in parse_mailbox_list(value)]
    except (MessageError, ValueError):
        found = [{"Name": "", "Address": address} for address in _ADDRESS.findall(decode_words(value))]
        found = found or [{"Name": decode_words(value)[:200], "Address": ""}]
    return found[:MAX_ADDRESSES]


@dataclass(frozen=True, slots=True)
class Reading:
    """The parsed content of a message."""

    root: Part
    text_part: Part | None
    html_part: Part | None
    attachments: list[Part]
    inline: list[Part]
    """Parts that the HTML may show by their Content-ID."""

    @property
    def text(self) -> str:
        """The text as it was sent; "" if there is none."""
        return self.text_part.text() if self.text_part else ""

    @property
    def html(self) -> str:
        """The HTML as it was sent; "" if there is none."""
        return self.html_part.text() if self.html_part else ""

    @property
    def readable(self) -> str:
        """The text, or that of the HTML."""
        return self.text if self.text_part else html.to_text(self.html)

    def part(self, path: str) -> Part | None:
        """The part of that number."""
        return next((part for part in self.root.walk() if part.path == path and not part.is_multipart), None)


def read(raw: bytes) -> Reading:
    """Read a message: which part is its text, which its HTML, and which are attachments."""
    root = parse(raw)
    text = page = None
    attachments: list[Part] = []
    inline: list[Part] = []
    for part in root.walk():
        if part.is_multipart:
            continue
        is_attached = part.disposition == "attachment" or bool(part.filename)
        if part.content_type == "text/html" and page is None and not is_attached:
            page = part
        elif part.content_type == "text/plain" and text is None and not is_attached:
            text = part
        elif part.content_id and part.disposition != "attachment":
            inline.append(part)
        elif part is not root or is_attached or not part.content_type.startswith("text/"):
            attachments.append(part)
    return Reading(root, text, page, attachments, inline)


@dataclass(frozen=True, slots=True)
class Summary:
    """The values of a message that a list shows and that are searched."""

    sender: Box
    to: list[Box]
    cc: list[Box]
    bcc: list[Box]
    reply_to: list[Box]
    subject: str
    message_id: str
    date: str
    snippet: str
    attachments: int
    inline: int
    text: str = field(repr=False)
    tags: tuple[str, ...] = ()


def summarise(raw: bytes, sender: str, recipients: tuple[str, ...], received: float) -> Summary:
    """The summary of a message with this envelope. Recipients that no field names are shown as Bcc."""
    reading = read(raw)
    root = reading.root
    to, cc, bcc = (mailboxes(root.get_raw(name)) for name in ("To", "Cc", "Bcc"))
    named = {box["Address"].lower() for box in (*to, *cc, *bcc)}
    bcc += [{"Name": "", "Address": one} for one in recipients[:MAX_ADDRESSES] if one.lower() not in named]
    text = reading.readable
    names = " ".join(part.filename for part in (*reading.attachments, *reading.inline))
    return Summary(
        sender=next(iter(mailboxes(root.get_raw("From"))), {"Name": "", "Address": sender}),
        to=to,
        cc=cc,
        bcc=bcc,
        reply_to=mailboxes(root.get_raw("Reply-To")),
        subject=root.get("Subject"),
        message_id=root.get_raw("Message-ID").strip("<> "),
        date=_date(root.get_raw("Date"), received),
        snippet=" ".join(text[: SNIPPET * 4].split())[:SNIPPET],
        attachments=len(reading.attachments),
        inline=len(reading.inline),
        text=f"{text[:INDEXED]}\n{names[:4096]}",
        tags=_tags(root, (*recipients, *(box["Address"] for box in (*to, *cc)))),
    )


def clean_tag(text: str) -> str:
    """A tag: letters, digits, spaces, dots, dashes and underscores."""
    return " ".join(_NO_TAG.sub("", text).split())[:50]


def _tags(root: Part, addresses: tuple[str, ...]) -> tuple[str, ...]:
    """Those of X-Tag and X-Tags, and what stands behind a plus in an address of a recipient."""
    words = [word for name in ("X-Tag", "X-Tags") for word in root.get(name).split(",")]
    words += [address.partition("@")[0].partition("+")[2] for address in addresses[:MAX_ADDRESSES]]
    tags = dict.fromkeys(tag for word in words if (tag := clean_tag(word)))
    return tuple(tags)[:MAX_TAGS]


def _date(value: str, received: float) -> str:
    """The date of the message, or when it was received, in ISO 8601."""
    try:
        date = parsedate_to_datetime(value[:100])
        return (date if date.tzinfo else date.replace(tzinfo=UTC)).isoformat()
    except (ValueError, TypeError, IndexError, OverflowError):
        return iso(received)


def iso(time: float) -> str:
    """A time in seconds as ISO 8601, in UTC, with milliseconds."""
    return datetime.fromtimestamp(time, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
