"""Secrets that a server repeats: what was sent to it is hidden in what it says, before that comes into an error, an
event, a receipt or a log.

Servers repeat a line that they do not understand, whole or cut off, in upper case, or in a notation of their own. So a
secret is looked for in every notation at once: texts are compared by their pieces of four characters, whatever the
case, and wherever six characters in a row belong to a notation of a secret, the word around them is masked.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterator
from urllib.parse import quote

from wlsmtp.errors import AuthenticationFailed, SMTPError
from wlsmtp.results.reply import Reply
from wlsmtp.wire.reply import printable

MASK = "********"
_PIECE, _STRIDE = 4, 3
_RUN = _PIECE + _STRIDE - 1
"""Characters in a row that count as a part of a secret: each such run has a piece that begins at a multiple of
``_STRIDE``, so that texts without any are recognised in few steps."""
_SHORTEST = 3
"""Characters below which a secret is none: hiding it would hide everything else."""
_LONG = 200
"""Characters from which on rare notations are left out: tokens have thousands, and no server repeats them in hex."""
_STATUS = re.compile(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}(?=[ \t]|$)")
_OFFER = re.compile(
    r"STARTTLS|PIPELINING|CHUNKING|BINARYMIME|8BITMIME|SMTPUTF8|SIZE|DSN|ENHANCEDSTATUSCODES|DELIVERBY|MT-PRIORITY|"
    r"FUTURERELEASE|REQUIRETLS|LIMITS|(?:MAIL|RCPT|RCPTDOMAIN)MAX=\d+|AUTH|PLAIN|LOGIN|CRAM-MD5|DIGEST-MD5|NTLM|GSSAPI|"
    r"EXTERNAL|ANONYMOUS|XOAUTH2|OAUTHBEARER|SCRAM-SHA-?[\d-]+(?:-PLUS)?",
    re.IGNORECASE,
)
"""What a server may offer."""
_AROUND = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=%_-")


class Notations:
    """One secret, or one response, in the notations in which a server may repeat it."""

    def __init__(self, texts: Iterator[str], of: str = "") -> None:
        self.of = of
        self.pieces: set[str] = set()
        short: set[str] = set()
        self.whole: set[str] = set()
        for text in texts:
            lower = _lower(text)
            if len(lower) >= _RUN:
                self.whole.add(lower)
                self.pieces.update(lower[start : start + _PIECE] for start in range(len(lower) - _PIECE + 1))
            elif len(text) >= _SHORTEST:
                short.add(text)
        # A short one is only known where nothing is attached to it.
        words = "|".join(map(re.escape, sorted(short, key=len, reverse=True)))
        self.short: re.Pattern[str] | None = re.compile(rf"(?<![^\W_])(?:{words})(?![^\W_])") if short else None

    @classmethod
    def of_secret(cls, secret: str) -> Notations:
        """A password or a token."""
        return cls(_notations(secret), secret)

    @classmethod
    def of_response(cls, response: bytes) -> Notations:
        """What was sent as a response of a SASL mechanism, which is base64 (RFC 4954 §4)."""
        return cls(_sent(base64.b64encode(response).decode()))


class Masking:
    """Hides some secrets in texts."""

    def __init__(self, *secrets: Notations) -> None:
        self._hidden = list(secrets)

    def add(self, secret: Notations) -> bool:
        """Hide this one as well; False if it is hidden already."""
        if secret in self._hidden:
            return False
        self._hidden.append(secret)
        return True

    def error(self, error: SMTPError) -> None:
        """Take the secrets out of an error."""
        error.message = self.hide(error.message)
        error.args = (error.message,)
        error.reply = self.reply(error.reply) if error.reply is not None else None
        if isinstance(error, AuthenticationFailed) and error.problem:
            error.problem = {self.hide(name): self.hide(value) for name, value in error.problem.items()}

    def hide(self, text: str) -> str:
        """``text`` with a mask in the place of each secret, and of each part of one."""
        lower = text.lower()
        sample = [lower[start : start + _PIECE] for start in range(0, len(lower), _STRIDE)]
        for hidden in self._hidden:
            if not hidden.pieces.isdisjoint(sample):
                text = _without(text, hidden)
            if hidden.short:
                text = hidden.short.sub(MASK, text)
        return text

    def reply(self, reply: Reply) -> Reply:
        """``reply`` without secrets; the same one if it has none. Its codes stay."""
        lines = tuple(map(self._line, reply.lines))
        return reply if lines == reply.lines else Reply(reply.code, lines)

    def offer(self, reply: Reply) -> Reply:
        """The same for a reply to EHLO, of which the words that a session computes with stay, whatever the secret."""
        lines = tuple(" ".join(map(self._word, line.split(" "))) for line in reply.lines)
        return reply if lines == reply.lines else Reply(reply.code, lines)

    def _word(self, word: str) -> str:
        return word if word.isdigit() or _OFFER.fullmatch(word) else self.hide(word)

    def _line(self, line: str) -> str:
        status = _STATUS.match(line)
        end = status.end() if status else 0
        return line[:end] + self.hide(line[end:])


def _without(text: str, hidden: Notations) -> str:
    spans: list[tuple[int, int]] = []
    for begin, end in _runs(_lower(text), hidden):
        if not _is_a_word(text, begin, end, hidden):
            while begin and text[begin - 1] in _AROUND:
                begin -= 1
            while end < len(text) and text[end] in _AROUND:
                end += 1
            # What is around one may reach into the one before.
            while spans and begin <= spans[-1][1]:
                begin = min(begin, spans.pop()[0])
            spans.append((begin, end))
    for begin, end in reversed(spans):
        text = text[:begin] + MASK + text[end:]
    return text


def _runs(lower: str, hidden: Notations) -> list[tuple[int, int]]:
    """Where characters in a row belong to a notation, with begin and end."""
    runs: list[tuple[int, int]] = []
    begin: int | None = None
    for start in range(len(lower) - _PIECE + 2):
        is_known = lower[start : start + _PIECE] in hidden.pieces
        if is_known and begin is None:
            begin = start
        elif not is_known and begin is not None:
            end = start - 1 + _PIECE
            if end - begin >= _RUN:
                runs.append((begin, end))
            begin = None
    return runs


def _is_a_word(text: str, begin: int, end: int, hidden: Notations) -> bool:
    """Whether it is an ordinary word that a longer secret happens to have in it: "password", say."""
    word = text[begin:end]
    if not word.isalpha() or not (word.islower() or word.istitle()) or word.lower() in hidden.whole:
        return False
    return not (text[begin - 1 : begin].isalnum() or text[end : end + 1].isalnum())


def _notations(secret: str) -> Iterator[str]:
    octets = secret.encode("utf-8", "surrogatepass")
    yield secret
    yield printable(octets)
    yield from _aligned(octets)
    yield quote(secret, safe="", errors="replace")
    yield html.escape(secret)
    yield json.dumps(secret)[1:-1]
    if len(secret) < _LONG:
        quoted = "".join(chr(octet) if chr(octet).isalnum() and octet < 128 else f"%{octet:02x}" for octet in octets)
        yield from (quoted.replace("%", escape) for escape in "%=+")
        yield octets.hex()
        # Each octet by itself, as debuggers and encoders of one kind and another write them.
        yield from (octets.hex(between) for between in " :-")
        for form in ("%{:02x}", "={:02x}", "\\x{:02x}", " 0x{:02x}", "\\{:03o}", "&#{};", "&#x{:x};", "\\u{:04x}"):
            yield "".join(map(form.format, octets))
        yield " ".join(secret)
        yield json.dumps(secret, ensure_ascii=False)[1:-1]
        yield secret.encode("unicode_escape", "replace").decode("ascii", "replace")
        yield secret.encode("latin-1", "replace").decode("utf-8", "backslashreplace")
        yield from _aligned(base64.b64encode(octets))


def _sent(encoded: str) -> Iterator[str]:
    yield encoded
    yield encoded.rstrip("=")
    yield quote(encoded, safe="")
    yield encoded.replace("+", "-").replace("/", "_")
    if len(encoded) < _LONG:
        yield from _aligned(encoded.encode())


def _aligned(octets: bytes) -> Iterator[str]:
    """What base64 makes of octets, whatever stands before and behind them there."""
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + octets).decode().rstrip("=")
        certain = encoded[(shift * 4 + 2) // 3 : (shift + len(octets)) * 4 // 3]
        if len(certain) >= _RUN:
            yield certain
            yield certain.replace("+", "-").replace("/", "_")


def _lower(text: str) -> str:
    """``text`` in lower case, and of the same length."""
    lower = text.lower()
    if len(lower) == len(text):
        return lower
    return "".join(small if len(small := character.lower()) == 1 else character for character in text)
