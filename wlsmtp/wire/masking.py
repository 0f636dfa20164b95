"""Masks secrets that a server repeats, before its text reaches an error, an event, a receipt or a log.

Servers repeat a line that they do not understand, whole or truncated, in upper case, or in a notation of their own. All
notations of a secret are therefore searched at once: texts are compared by pieces of four characters, ignoring case.
Wherever six characters in a row belong to a notation of a secret, the word around them is masked.
"""

from __future__ import annotations

import base64
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
"""Number of characters in a row that count as part of a secret. Each such run has a piece that begins at a multiple of
``_STRIDE``, so that texts without any are recognised in few steps."""
_SHORTEST = 3
"""Minimum length of a secret: hiding a shorter one would hide everything else."""
_LONG = 200
"""Length from which rare notations are left out: tokens have thousands of characters, and no server repeats them in
hex."""
_STATUS = re.compile(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}(?=[ \t]|$)")
_OFFER = re.compile(
    r"STARTTLS|PIPELINING|CHUNKING|BINARYMIME|8BITMIME|SMTPUTF8|SIZE|DSN|ENHANCEDSTATUSCODES|DELIVERBY|MT-PRIORITY|"
    r"FUTURERELEASE|REQUIRETLS|LIMITS|(?:MAIL|RCPT|RCPTDOMAIN)MAX=\d+|AUTH|PLAIN|LOGIN|CRAM-MD5|DIGEST-MD5|NTLM|GSSAPI|"
    r"EXTERNAL|ANONYMOUS|XOAUTH2|OAUTHBEARER|SCRAM-SHA-?[\d-]+(?:-PLUS)?",
    re.IGNORECASE,
)
"""Words that a server may offer."""
_AROUND = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=%_-")


class Notations:
    """The notations in which a server may repeat one secret or response."""

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
        # A short secret is only recognized as a whole word.
        words = "|".join(map(re.escape, sorted(short, key=len, reverse=True)))
        self.short: re.Pattern[str] | None = re.compile(rf"(?<![^\W_])(?:{words})(?![^\W_])") if short else None

    @classmethod
    def of_secret(cls, secret: str) -> Notations:
        """Return the notations of a password or a token."""
        return cls(_notations(secret), secret)

    @classmethod
    def of_response(cls, response: bytes) -> Notations:
        """Return the notations of a SASL response, which is sent in base64 (RFC 4954 §4)."""
        return cls(_sent(base64.b64encode(response).decode()))


class Masking:
    """Hides secrets in texts."""

    def __init__(self, *secrets: Notations) -> None:
        self._hidden = list(secrets)

    def add(self, secret: Notations) -> bool:
        """Hide one more secret; return False if it is hidden already."""
        if secret in self._hidden:
            return False
        self._hidden.append(secret)
        return True

    def error(self, error: SMTPError) -> None:
        """Remove the secrets from an error."""
        error.message = self.hide(error.message)
        error.args = (error.message,)
        error.reply = self.reply(error.reply) if error.reply is not None else None
        if isinstance(error, AuthenticationFailed) and error.problem:
            error.problem = {self.hide(name): self.hide(value) for name, value in error.problem.items()}

    def hide(self, text: str) -> str:
        """Return ``text`` with a mask in place of each secret, and of each part of one."""
        lower = text.lower()
        sample = [lower[start : start + _PIECE] for start in range(0, len(lower), _STRIDE)]
        for hidden in self._hidden:
            if not hidden.pieces.isdisjoint(sample):
                text = _without(text, hidden)
            if hidden.short:
                text = hidden.short.sub(MASK, text)
        return text

    def reply(self, reply: Reply) -> Reply:
        """Return ``reply`` without secrets; the same object if it has none. Its codes are kept."""
        lines = tuple(map(self._line, reply.lines))
        return reply if lines == reply.lines else Reply(reply.code, lines)

    def offer(self, reply: Reply) -> Reply:
        """Return a reply to EHLO without secrets. The words that a session uses are kept, whatever the secret."""
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
            # The word around a secret may reach into the previous one.
            while spans and begin <= spans[-1][1]:
                begin = min(begin, spans.pop()[0])
            spans.append((begin, end))
    for begin, end in reversed(spans):
        text = text[:begin] + MASK + text[end:]
    return text


def _runs(lower: str, hidden: Notations) -> list[tuple[int, int]]:
    """Yield begin and end of the runs of characters that belong to a notation."""
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
    """Return whether it is an ordinary word, such as "password", that a longer secret happens to contain."""
    word = text[begin:end]
    if not word.isalpha() or not (word.islower() or word.istitle()) or word.lower() in hidden.whole:
        return False
    return not (text[begin - 1 : begin].isalnum() or text[end : end + 1].isalnum())


_HTML = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#x27;"})
"""As ``html.escape`` has it, which takes long to import."""


def _notations(secret: str) -> Iterator[str]:
    octets = secret.encode("utf-8", "surrogatepass")
    yield secret
    yield printable(octets)
    yield from _aligned(octets)
    yield quote(secret, safe="", errors="replace")
    yield secret.translate(_HTML)
    yield json.dumps(secret)[1:-1]
    if len(secret) < _LONG:
        quoted = "".join(chr(octet) if chr(octet).isalnum() and octet < 128 else f"%{octet:02x}" for octet in octets)
        yield from (quoted.replace("%", escape) for escape in "%=+")
        yield octets.hex()
        # Each octet by itself, as various debuggers and encoders write them.
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
    """Return the base64 of octets for every alignment, whatever stands before and after them."""
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + octets).decode().rstrip("=")
        certain = encoded[(shift * 4 + 2) // 3 : (shift + len(octets)) * 4 // 3]
        if len(certain) >= _RUN:
            yield certain
            yield certain.replace("+", "-").replace("/", "_")


def _lower(text: str) -> str:
    """Return ``text`` in lower case with the same length."""
    lower = text.lower()
    if len(lower) == len(text):
        return lower
    return "".join(small if len(small := character.lower()) == 1 else character for character in text)
