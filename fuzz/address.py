"""Addresses: what is taken means the same here, to the standard library and to a server, and hides no second one."""

from __future__ import annotations

import re
from email.policy import SMTPUTF8
from typing import Any

from fuzz.pieces import text_of
from wlsmtp.errors import MessageError
from wlsmtp.wire import command
from wlsmtp.wire.address import Address, Mailbox, parse_address, parse_mailbox
from wlsmtp.wire.mailboxes import parse_mailbox_list

_PATH = re.compile(r'(?:"(?:[^"\\]|\\.)*"|[^"<>\s@\\,;:()\[\]]+)@(?:\[[^][\\\s<>]*\]|[A-Za-z0-9._-]+)', re.DOTALL)
"""A local part and a domain that no server can read in two ways."""


def check(data: bytes) -> None:
    """One text, taken for an address, for a mailbox and for a list of them."""
    text = text_of(data)
    _check_address(text)
    _check_mailbox(text)
    _check_list(text)


def _check_address(text: str) -> None:
    try:
        address = parse_address(text)
    except MessageError:
        return
    assert str(address) == text
    _check_path(address)


def _check_path(address: Address) -> None:
    assert _PATH.fullmatch(address.wire), address
    assert parse_address(str(address)) == address
    assert parse_address(address.wire).wire == address.wire
    assert address.needs_smtputf8 or address.wire.isascii()
    line = command.rcpt(address.wire)
    assert line.startswith(b"RCPT TO:<") and line.endswith(b">\r\n") and line.count(b"\n") == 1


def _check_mailbox(text: str) -> None:
    try:
        mailbox = parse_mailbox(text)
    except MessageError:
        return
    _check_path(mailbox.address)
    assert parse_mailbox(str(mailbox)) == mailbox
    # One mailbox is a list of one.
    assert parse_mailbox_list(text) == [mailbox]


def _check_list(text: str) -> None:
    try:
        mailboxes = parse_mailbox_list(text)
    except MessageError:
        return
    for mailbox in mailboxes:
        if mailbox.address.domain:
            _check_path(mailbox.address)
    assert parse_mailbox_list(", ".join(map(str, mailboxes))) == mailboxes
    _check_with_the_standard_library(text, mailboxes)


def _check_with_the_standard_library(text: str, mailboxes: list[Mailbox]) -> None:
    """Where it finds nothing amiss, it must find the same addresses."""
    if not text.isascii():
        return
    try:
        field: Any = SMTPUTF8.header_factory("To", text.replace("\r", "").replace("\n", ""))
    except (IndexError, ValueError, AttributeError, TypeError):
        return  # its own mistakes
    if not field.defects:
        theirs = [(_bare(item.username), item.domain.strip()) for item in field.addresses]
        assert theirs == [(_bare(box.address.local), box.address.domain) for box in mailboxes], theirs


def _bare(local: str) -> str:
    """A local part without its quotes, which change nothing (RFC 5321 §4.1.2)."""
    inner = local[1:-1] if len(local) > 1 and local[0] == local[-1] == '"' else local
    return re.sub(r"\\(.)", r"\1", inner, flags=re.DOTALL)
