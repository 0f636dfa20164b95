"""The gate: one command is one line, whatever a user's value holds."""

from __future__ import annotations

import base64
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wlsmtp import MessageError, Stage
from wlsmtp.wire import command


@given(st.text())
def test_a_command_is_one_line_or_refused(sender: str) -> None:
    try:
        line = command.mail(sender)
    except MessageError:
        return
    assert line.endswith(b"\r\n") and not re.search(rb"[\x00-\x1f\x7f]", line[:-2])


@pytest.mark.parametrize("control", ["\r", "\n", "\0", "\x1b", "\x7f", "\x85", "\u2028"])
def test_no_control_passes_in_any_place(control: str) -> None:
    for build in (command.ehlo, command.helo, command.mail, command.rcpt, lambda text: command.auth(text, b"")):
        with pytest.raises(MessageError, match="control character"):
            build(f"a{control}b")


CONTROLS = [*map(chr, range(32)), "\x7f", "\x85", "\u2028", "\u2029"]


@given(st.text(max_size=20), st.sampled_from(CONTROLS), st.integers(0, 20), st.integers(0, 2))
def test_no_control_passes_in_any_word_at_any_position(text: str, control: str, at: int, word: int) -> None:
    words = ["RCPT TO:<x@example.com>", "ORCPT=rfc822;x", "NOTIFY=NEVER"]
    words[word] = text[:at] + control + text[at:]
    with pytest.raises(MessageError, match="control character") as caught:
        command.line(*words)
    assert caught.value.stage is Stage.MESSAGE and str(caught.value).isprintable()


def test_a_lone_surrogate_is_refused_in_the_words_of_this_package() -> None:
    with pytest.raises(MessageError, match="surrogate"):
        command.rcpt("\ud800@example.com")


def test_the_words_of_the_envelope() -> None:
    assert command.ehlo("[192.0.2.1]") == b"EHLO [192.0.2.1]\r\n"
    assert command.helo("me.example") == b"HELO me.example\r\n"
    assert command.mail("") == b"MAIL FROM:<>\r\n"
    assert command.mail("ann@example.com") == b"MAIL FROM:<ann@example.com>\r\n"
    assert command.rcpt("jörg@example.com") == "RCPT TO:<jörg@example.com>\r\n".encode()


@given(st.binary(max_size=200))
def test_a_sasl_response_is_one_line_that_decodes_to_itself(response: bytes) -> None:
    line = command.sasl_response(response)
    assert line.count(b"\n") == 1 and base64.b64decode(line, validate=False) == response
    _, _, initial = command.auth("X", response).rstrip().partition(b"AUTH X ")
    assert base64.b64decode(b"" if initial == b"=" else initial, validate=True) == response


def test_xtext_quotes_what_rfc_3461_says() -> None:
    assert command.xtext("ann+tag=1 x") == "ann+2Btag+3D1+20x"


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
