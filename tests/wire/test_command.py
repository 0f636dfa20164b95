"""The gate: one command is one line, whatever a user's value holds."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wlsmtp import MessageError
from wlsmtp.wire import command


@given(st.text(), st.text())
def test_a_command_is_one_line_or_refused(sender: str, parameter: str) -> None:
    try:
        line = command.mail(sender, [parameter])
    except MessageError:
        return
    assert line.endswith(b"\r\n") and not re.search(rb"[\x00-\x1f\x7f]", line[:-2])


@pytest.mark.parametrize("control", ["\r", "\n", "\0", "\x1b", "\x7f", "\x85", "\u2028"])
def test_no_control_passes_in_any_place(control: str) -> None:
    for build in (command.ehlo, command.helo, command.mail, command.rcpt, lambda text: command.auth(text, b"")):
        with pytest.raises(MessageError, match="control character"):
            build(f"a{control}b")


def test_responses_are_base64_and_an_empty_one_is_an_equals_sign() -> None:
    assert command.auth("PLAIN", b"\0ann\0x") == b"AUTH PLAIN AGFubgB4\r\n"
    assert command.auth("EXTERNAL", b"") == b"AUTH EXTERNAL =\r\n"
    assert command.auth("LOGIN", None) == b"AUTH LOGIN\r\n"
    assert command.sasl_response(b"") == b"\r\n"


@given(st.text())
def test_xtext_is_printable_and_reversible(value: str) -> None:
    try:
        encoded = command.xtext(value)
    except UnicodeEncodeError:
        return
    assert re.fullmatch(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*", encoded)
    assert re.sub(rb"\+(..)", lambda m: bytes([int(m[1], 16)]), encoded.encode()).decode() == value
