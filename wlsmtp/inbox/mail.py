"""A received message as a test or the page asks about it."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from functools import cached_property
from html import escape
from pathlib import Path

from wlsmtp.habits import OF_INBOX_MAIL, Habits
from wlsmtp.inbox import html as showing
from wlsmtp.inbox.fields import Reading, read
from wlsmtp.inbox.mime import Part
from wlsmtp.inbox.store import Entry, Facts, Store

MAX_INLINE = 20 * 1024 * 1024
"""Octets of images that are put into the HTML of one mail."""

_URL = re.compile(r"https?://[^\s<>\"'\x00-\x1f]{1,2000}")
_CODE = re.compile(r"(?<![\w.,:/#&=?@$€£+-])(\d{4,8}|\d{3}[ -]\d{3}|[A-Z0-9]{3,5}-[A-Z0-9]{3,5})(?![\w/@%€$-]|[.,:]\d)")
_SPEAKS_OF_A_CODE = re.compile(
    r"code|\bpin\b|\botp\b|passcode|password|verif|confirm|token|einmal|kennwort", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that came with a message."""

    filename: str
    content_type: str
    content: bytes
    content_id: str = ""


class Mail(Habits):
    """A message that the inbox has received. What it says is read when it is asked for."""

    _elsewhere = OF_INBOX_MAIL

    def __init__(self, store: Store, entry: Entry) -> None:
        self._store = store
        self.entry: Entry = entry

    def __repr__(self) -> str:
        return f"<Mail to {', '.join(self.recipients)}: {self.subject[:80]!r}>"

    @property
    def id(self) -> str:
        """Its name in the inbox and in the API."""
        return self.entry.id

    @property
    def facts(self) -> Facts:
        """The envelope, and over what it came."""
        return self.entry.facts

    @property
    def sender(self) -> str:
        """The sender of the envelope."""
        return self.facts.sender

    @property
    def recipients(self) -> tuple[str, ...]:
        """The recipients of the envelope."""
        return self.facts.recipients

    @property
    def to(self) -> Sequence[str]:
        """The addresses in its To field."""
        return [box["Address"] for box in self.entry.summary["to"]]

    @property
    def subject(self) -> str:
        """The subject, decoded."""
        return str(self.entry.summary["subject"])

    @property
    def tags(self) -> tuple[str, ...]:
        """From its X-Tag field, and behind a plus in the addresses of recipients."""
        return self.entry.tags

    @cached_property
    def raw(self) -> bytes:
        """The message, octet by octet."""
        return self._store.raw(self.entry.number)

    @cached_property
    def reading(self) -> Reading:
        """Its parts."""
        return read(self.raw)

    @property
    def email(self) -> EmailMessage:
        """The message as the standard library reads it."""
        return message_from_bytes(self.raw, policy=policy.default)

    def header(self, name: str) -> str | None:
        """A header field's text, decoded; None if there is none."""
        known = {field.lower() for field, _ in self.reading.root.fields}
        return self.reading.root.get(name) if name.lower() in known else None

    @property
    def text(self) -> str:
        """The text part, with the line ends of Unix; "" if there is none."""
        return self.reading.text

    @property
    def html(self) -> str:
        """The HTML part as it was sent; "" if there is none."""
        return self.reading.html

    @property
    def attachments(self) -> list[Attachment]:
        """The files that came with it, images for the HTML among them."""
        parts = (*self.reading.attachments, *self.reading.inline)
        return [Attachment(part.filename, part.content_type, part.body(), part.content_id) for part in parts]

    @cached_property
    def links(self) -> list[str]:
        """The addresses to follow, each once: those of the HTML in their order, then those of the text."""
        found = [
            token.attributes["href"].strip()
            for token in showing.tokens(self.html[: showing.MAX_HTML])
            if isinstance(token, showing.Tag) and token.name in ("a", "area") and "href" in token.attributes
        ]
        found = [link for link in found if link.lower().startswith(("http:", "https:"))]
        return list(dict.fromkeys([*found, *links_in(self.text)]))

    @cached_property
    def codes(self) -> list[str]:
        """Codes to type in, such as ``482913``, ``482-913`` or ``K7QX-93FD``: those in lines that mention one come
        first. Numbers within words, addresses and amounts do not count."""
        lines = self.reading.readable.splitlines()
        near: list[str] = []
        others: list[str] = []
        for index, line in enumerate(lines):
            speaks = any(_SPEAKS_OF_A_CODE.search(one) for one in lines[max(0, index - 2) : index + 1])
            codes = [code for code in _CODE.findall(line[:2000]) if any(char.isdigit() for char in code)]
            (near if speaks else others).extend(codes)
        return list(dict.fromkeys([*near, *others]))

    def shown(self, *, loads_remote: bool = False) -> showing.Shown:
        """The HTML as the page shows it: harmless, with the images of the mail in it."""
        left = MAX_INLINE
        known = {part.content_id: part for part in self.reading.root.walk() if part.content_id}
        encoded: dict[str, str] = {}

        def inline(content_id: str) -> str | None:
            nonlocal left
            part = known.get(content_id)
            if part is None or part.content_type not in showing.IMAGES or part.size * 4 // 3 > left:
                return None
            if content_id not in encoded:
                encoded[content_id] = f"data:{part.content_type};base64,{base64.b64encode(part.body()).decode()}"
            left -= len(encoded[content_id])
            return encoded[content_id]

        return showing.make_showable(self.html, inline, loads_remote=loads_remote)

    def shown_text(self) -> str:
        """The text as a document in HTML."""
        text = escape(self.reading.readable)
        style = "pre{font:14px/1.6 monospace;white-space:pre-wrap;margin:16px}"
        return f'<!doctype html><html><head><meta charset="utf-8"><style>{style}</style></head><body><pre>{text}</pre>'

    def screenshot(self, path: str | os.PathLike[str], *, width: int = 640, height: int = 900) -> Path:
        """Write a PNG of the HTML (of the text, if there is none) in a window of that many pixels; returns its path.
        Remote images are not loaded. Raises ``ConfigError`` if there is no Chromium on this machine."""
        from wlsmtp.inbox.screenshot import screenshot

        page = self.shown().html if self.html else self.shown_text()
        return screenshot(page, path, width=width, height=height)

    def part(self, path: str) -> Part | None:
        """The part of that number."""
        return self.reading.part(path)


def links_in(text: str) -> list[str]:
    """The addresses that stand in a text, without the punctuation behind them."""
    return [_trimmed(link) for link in _URL.findall(text)]


def _trimmed(link: str) -> str:
    link = link.rstrip(".,;:!?*_")
    while link.endswith((")", "]")) and link.count("(") < link.count(")"):
        link = link[:-1]
    return link.removesuffix("]") if "[" not in link else link
