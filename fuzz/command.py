"""Commands: one line and no more, or a ``MessageError``."""

from __future__ import annotations

import re
from collections.abc import Callable

from fuzz.pieces import fields_of, text_of
from wlsmtp.errors import MessageError
from wlsmtp.wire import command


def check(data: bytes) -> None:
    """The octets between two NULs are one word each."""
    words = fields_of(data)
    first, *others = words
    _check_line(command.line, *words)
    _check_line(command.mail, first)
    _check_line(command.rcpt, first, others)
    _check_xtext(data)


def _check_line(make: Callable[..., bytes], *words: object) -> None:
    try:
        line = make(*words)
    except MessageError:
        return
    assert line.endswith(b"\r\n") and line.count(b"\r") == line.count(b"\n") == 1 and b"\0" not in line


def _check_xtext(data: bytes) -> None:
    value = text_of(data).encode("utf-8", "replace").decode()
    encoded = command.xtext(value)
    assert re.fullmatch(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*", encoded)
    assert re.sub(rb"\+(..)", lambda found: bytes.fromhex(found[1].decode()), encoded.encode()).decode() == value
