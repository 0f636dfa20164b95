"""Header fields by their meaning: unsubscription, lists, importance, receipts, conversations."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from wlsmtp.errors import MessageError, Stage
from wlsmtp.message.values import exactly_str, identifier, line, mailboxes, with_domains
from wlsmtp.wire.address import Mailbox

_URL = re.compile(r"(https://[^/?#@\s<>]+|mailto:[^?#@\s<>]+@[^?#\s<>]+)([/?#][!-;=?-~]*)?", re.IGNORECASE)
_LIST_ID = re.compile(r"""(?:"?([^<>"\\]*?)"? *<([^<>\s]+)>|([^<>\s]+))""")
_LABELS = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)+")
_MARKS = {"high": "1 (Highest)", "normal": "3 (Normal)", "low": "5 (Lowest)"}
_RECEIPT = "Disposition-Notification-To"
_PRIORITIES = ("urgent", "normal", "non-urgent")
_AUTOMATIC = ("auto-generated", "auto-replied")


def expanded(fields: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The header fields with those that these values mean. Raises ``MessageError`` where ``headers`` has one too."""
    written = {name: value for field, value in given.items() for name, value in _WRITE[field](value)}
    if given.get("read_receipt") is True:
        written[_RECEIPT] = _sender(fields["sender"])
    if "in_reply_to" in given and "references" not in given:
        written["References"] = written["In-Reply-To"]
    own = {name.lower() for name in fields["headers"]}
    if twice := [name for name in written if name.lower() in own]:
        words = f"headers: {twice[0]} is given here and by a field of its own; leave one out"
        raise MessageError(words, stage=Stage.MESSAGE)
    return {"headers": {**fields["headers"], **{name: (value,) for name, value in written.items()}}}


def _sender(sender: Mailbox) -> str:
    if not sender.address.local:
        words = "read_receipt: True is the sender, and the message has none yet"
        raise MessageError(words, stage=Stage.MESSAGE, hint="Give the address in place of True")
    return str(sender)


def _several(value: object) -> tuple[str, ...]:
    texts = (value,) if isinstance(value, str) else value
    if isinstance(texts, bytes | Mapping) or not isinstance(texts, Iterable):
        raise ValueError(f"must be a str or a list of them, not {type(value).__name__}")
    found = tuple(line(text) for text in texts)
    if not found:
        raise ValueError("is empty")
    return found


def _unsubscribe(value: object) -> tuple[str, ...]:
    urls = _several(value)
    for url in urls:
        if not _URL.fullmatch(url):
            raise ValueError(f"{url[:80]!r} must be an https:// URL, or a mailto: URL beside one, in printable ASCII")
    if not urls[0].lower().startswith("https://"):
        raise ValueError("one click needs an https:// URL, which comes first (RFC 8058 §3.1)")
    return urls


def _list_id(value: object) -> str:
    text = line(value)
    found = _LIST_ID.fullmatch(text.strip())
    identity = (found[2] or found[3]) if found else ""
    if found is None or not _LABELS.fullmatch(identity):
        raise ValueError(f"{text[:80]!r} is not like 'news.example.com' or 'News <news.example.com>' (RFC 2919 §2)")
    name = (found[1] or "").strip()
    return f'"{name}" <{identity}>' if name else f"<{identity}>"


def _one_of(*allowed: str, hint: str = "") -> Any:
    def check(value: object) -> str:
        text = exactly_str(value).lower()
        if text not in allowed:
            raise ValueError(f"must be {' or '.join(map(repr, allowed))}, not {text[:80]!r}{hint}")
        return text

    return check


def _read_receipt(value: object) -> object:
    if value is True:
        return True
    found = mailboxes(value)
    if not found:
        raise ValueError("names nobody")
    with_domains(found)
    return found


def _identifiers(value: object) -> tuple[str, ...]:
    """Message-IDs with their angle brackets; a text may hold several, as header fields do."""
    found = tuple(f"<{identifier(one)}>" for text in _several(value) for one in text.split())
    if not found:
        raise ValueError("names no message")
    return found


CHECKS: dict[str, Callable[[Any], Any]] = {
    "unsubscribe": _unsubscribe,
    "list_id": _list_id,
    "importance": _one_of(*_MARKS),
    "priority": _one_of(*_PRIORITIES, hint="; what readers see is the importance"),
    "read_receipt": _read_receipt,
    "auto_submitted": lambda value: "auto-generated" if value is True else _one_of(*_AUTOMATIC)(value),
    "in_reply_to": _identifiers,
    "references": _identifiers,
}
"""For each field what makes its value, or raises ``ValueError``."""
_WRITE: dict[str, Any] = {
    "unsubscribe": lambda urls: [
        ("List-Unsubscribe", ", ".join(f"<{url}>" for url in urls)),
        ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
    ],
    "list_id": lambda value: [("List-Id", value)],
    "importance": lambda value: [("Importance", value), ("X-Priority", _MARKS[value])],
    "priority": lambda value: [("Priority", value)],
    "read_receipt": lambda value: [(_RECEIPT, "" if value is True else ", ".join(map(str, value)))],
    "auto_submitted": lambda value: [("Auto-Submitted", value)],
    "in_reply_to": lambda value: [("In-Reply-To", " ".join(value))],
    "references": lambda value: [("References", " ".join(value))],
}
