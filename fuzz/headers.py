"""Messages that are composed here: the standard library reads back what the user filled in, and nothing else."""

from __future__ import annotations

import re
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.utils import getaddresses
from typing import Any
from urllib.parse import unquote

from fuzz.pieces import fields_of
from wlsmtp.errors import MessageError
from wlsmtp.message.attachment import Attachment
from wlsmtp.message.model import Message

_ADDRESS = "ann@example.com"


def check(data: bytes) -> None:
    """The octets between two NULs are subject, display name, file name, further field and text."""
    subject, name, filename, other, text = (*fields_of(data), "", "", "", "", "")[:5]
    try:
        message = Message(
            (name, _ADDRESS),
            [(name, "bob@example.org"), "cleo@example.net"],
            subject=subject,
            text=text,
            headers={"X-Other": other},
            attachments=[Attachment.from_bytes(b"x", filename=filename or "x")],
        )
    except MessageError:
        return
    written = bytes(message)
    _check_lines(written)
    raw: Any = message_from_bytes(written)
    assert sorted(raw.keys()) == sorted(_FIELDS)
    for field, value in (("Subject", subject), ("X-Other", other)):
        assert _decoded(_unfolded(raw[field])) == value
    assert _mailboxes(raw["From"]) == [(message.sender.name, _ADDRESS)]
    assert _mailboxes(raw["To"]) == [(message.sender.name, "bob@example.org"), ("", "cleo@example.net")]
    attached = raw.get_payload()[1]
    assert _filename(_unfolded(attached["Content-Disposition"])) == message.attachments[0].filename
    assert attached.get_payload(decode=True) == b"x"
    read: Any = message_from_bytes(written, policy=policy.default)
    _check_text(read.get_body().get_content(), text)


_FIELDS = ("From", "To", "Subject", "Date", "Message-ID", "X-Other", "MIME-Version", "Content-Type")


def _check_lines(written: bytes) -> None:
    lines = written.split(b"\r\n")
    assert all(len(line) <= 998 and b"\r" not in line and b"\n" not in line for line in lines)
    assert written.isascii()


def _unfolded(raw: str) -> str:
    return re.sub(r"\r?\n(?=[ \t])", "", raw).removeprefix(" ")


def _decoded(text: str) -> str:
    return str(make_header(decode_header(text))) if "=?" in text else text


def _mailboxes(raw: str) -> list[tuple[str, str]]:
    # The newer parser of Python 3.11 puts a space between encoded words of a name, against RFC 2047 §6.2.
    return [(_decoded(name), address) for name, address in getaddresses([_unfolded(raw)])]


def _check_text(read: str, text: str) -> None:
    said = text.replace("\r\n", "\n").replace("\r", "\n")
    assert read.replace("\r\n", "\n") == (said if not said or said.endswith("\n") else said + "\n")


def _filename(field: str) -> str:
    """Read as RFC 2231 has it: get_filename() also takes off quotes and spaces that belong to the name."""
    pieces = re.findall(r'filename(?:\*\d+)?\*?=(?:"([^"]*)"|([^;"]*))', field)
    return unquote("".join(quoted or bare for quoted, bare in pieces).removeprefix("utf-8''"))
