"""Commands of a client (RFC 5321 §4.1), and the one function through which every octet of a command passes.

``line`` makes every command line. A CR, LF or NUL in a user's value can therefore never end one command and start
another (command injection, such as CVE-2021-3733, which every SMTP client has had once).
"""

from __future__ import annotations

import base64
from functools import lru_cache
from typing import TYPE_CHECKING

from wlsmtp.errors import MessageError, Stage
from wlsmtp.patterns import later

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_AUTH_LINE = 12288
"""Maximum octets in an AUTH line with its CRLF (RFC 4954 §4.1); a longer initial response is sent after the first
334."""

_FORBIDDEN = later(r"[\x00-\x1f\x7f\x85\u2028\u2029]")
_XTEXT_QUOTED = later(rb"[^!-*,-<>-~]")


def line(*words: str) -> bytes:
    """Return one command line with its CRLF. Raises ``MessageError`` for a control character in any word."""
    return _octets(" ".join(words))


def _octets(text: str) -> bytes:
    if text.isascii() and text.isprintable():
        return text.encode() + b"\r\n"
    if found := _FORBIDDEN.search(text):
        raise MessageError(
            f"A {_verb(text)!r} command cannot contain the control character {found[0]!r}.", stage=Stage.MESSAGE
        )
    try:
        return text.encode() + b"\r\n"
    except UnicodeEncodeError:
        problem = f"A {_verb(text)!r} command cannot contain lone surrogates."
        raise MessageError(problem, stage=Stage.MESSAGE) from None


def _verb(text: str) -> str:
    return text.split(" ", 1)[0][:20]


def ehlo(name: str) -> bytes:
    """Return EHLO with the client's own name: a domain, or an address literal (RFC 5321 §4.1.3)."""
    return line("EHLO", name)


def helo(name: str) -> bytes:
    """Return HELO, for servers that do not know EHLO."""
    return line("HELO", name)


def lhlo(name: str) -> bytes:
    """Return LHLO, the EHLO of LMTP (RFC 2033 §4.1)."""
    return line("LHLO", name)


@lru_cache(maxsize=256)
def mail(sender: str) -> bytes:
    """Return MAIL FROM without parameters; an empty sender is the null reverse-path (RFC 5321 §4.5.5)."""
    return line(f"MAIL FROM:<{sender}>")


def rcpt(recipient: str, parameters: Iterable[str] = ()) -> bytes:
    """Return RCPT TO for one recipient."""
    if not parameters and recipient.isascii() and recipient.isprintable():  # the usual case
        return b"RCPT TO:<%b>\r\n" % recipient.encode()
    return line(f"RCPT TO:<{recipient}>", *parameters)


def auth(mechanism: str, initial: bytes | None) -> bytes:
    """Return AUTH, with the initial response if there is one; ``=`` stands for an empty one (RFC 4954 §4)."""
    if initial is None:
        return line("AUTH", mechanism)
    return line("AUTH", mechanism, base64.b64encode(initial).decode() or "=")


def sasl_response(response: bytes) -> bytes:
    """Return a response to a 334 challenge."""
    return base64.b64encode(response) + b"\r\n"


def xtext(value: str) -> str:
    """Return ``value`` in the xtext encoding of RFC 3461 §4, for parameters that carry arbitrary text."""
    return _XTEXT_QUOTED.sub(lambda match: b"+%02X" % match[0][0], value.encode()).decode("ascii")


DATA = b"DATA\r\n"
RSET = b"RSET\r\n"
NOOP = b"NOOP\r\n"
QUIT = b"QUIT\r\n"
STARTTLS = b"STARTTLS\r\n"
HELP = b"HELP\r\n"
CANCEL_AUTH = b"*\r\n"
END_OF_EMPTY_CONTENT = b".\r\n"
