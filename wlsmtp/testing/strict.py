"""The rules of a strict server: those of the RFCs that most servers let their clients break."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wlsmtp.testing.conversation import ServerSide

MAX_COMMAND, MAX_CONTENT_LINE, MAX_AUTH_LINE = 512, 998, 12288
"""Octets of a command with its CRLF (RFC 5321 §4.5.3.1.4), of a line of the content without it (RFC 5322 §2.1.1), and
of a line of AUTH with it (RFC 4954 §4)."""


@dataclass(frozen=True)
class Rule:
    """One rule, and the reply to its violation."""

    description: str
    reply: str


RULES: dict[str, Rule] = {
    "command-line-end": Rule(
        "A command that ends with LF alone, or has CR, NUL or another control character in it.",
        "500 5.5.2 Bare LF or control character in a command",
    ),
    "command-length": Rule(
        "A command of more than 512 octets with its CRLF (and what the extensions offered add to that), or a line of "
        "AUTH of more than 12288.",
        "500 5.5.2 Line too long",
    ),
    "command-syntax": Rule(
        "A space between `MAIL FROM:` or `RCPT TO:` and the path.", "501 5.5.2 Space before the path"
    ),
    "ehlo-name": Rule(
        "EHLO or HELO whose name is neither a domain nor an address literal.",
        "501 5.5.4 The name is neither a domain nor an address literal",
    ),
    "8bit-address": Rule(
        "A MAIL or RCPT that is not ASCII, without SMTPUTF8.", "553 5.6.7 Not ASCII, and without SMTPUTF8"
    ),
    "parameter": Rule(
        "A parameter of MAIL or RCPT that belongs to no extension offered.",
        "555 5.5.4 Parameter of no extension offered",
    ),
    "chunk": Rule("BDAT where CHUNKING is not offered.", "502 5.5.1 CHUNKING is not offered"),
    "binary-by-data": Rule(
        "DATA for a message of BODY=BINARYMIME.", "503 5.5.1 BINARYMIME needs BDAT"
    ),
    "group": Rule(
        "More behind a command or a content where PIPELINING is not offered.",
        "503 5.5.0 Improper use of SMTP command pipelining",
    ),
    "group-end": Rule(
        "More behind EHLO, HELO, STARTTLS, AUTH, DATA, VRFY, EXPN, NOOP or QUIT, which end a group.",
        "503 5.5.0 Improper use of SMTP command pipelining",
    ),
    "content-line-length": Rule("A line of more than 998 octets in the content.", "554 5.6.0 Line over 998 octets"),
    "content-line-end": Rule("CR or LF alone in the content.", "554 5.6.0 Bare CR or LF"),
    "content-nul": Rule("NUL in the content.", "554 5.6.0 NUL"),
    "8bit-content": Rule(
        "A body that is not ASCII, without BODY=8BITMIME.", "554 5.6.1 Eight bit data, and without BODY=8BITMIME"
    ),
    "8bit-header": Rule(
        "A header that is not ASCII, without SMTPUTF8.", "554 5.6.9 Header is not ASCII, and without SMTPUTF8"
    ),
    "size": Rule("A content of more octets than SIZE has declared.", "552 5.3.4 More than the declared SIZE"),
}  # fmt: skip
"""The rules by name, as in a ``Violation``."""

_PARAMETERS = {
    "MAIL": {
        "SIZE": ("SIZE", 26), "BODY": ("8BITMIME", 17), "SMTPUTF8": ("SMTPUTF8", 10), "AUTH": ("AUTH", 500),
        "RET": ("DSN", 9), "ENVID": ("DSN", 107), "BY": ("DELIVERBY", 17), "MT-PRIORITY": ("MT-PRIORITY", 15),
        "HOLDFOR": ("FUTURERELEASE", 17), "HOLDUNTIL": ("FUTURERELEASE", 34), "REQUIRETLS": ("REQUIRETLS", 11),
    },
    "RCPT": {"NOTIFY": ("DSN", 29), "ORCPT": ("DSN", 507), "RRVS": ("RRVS", 60)},
}  # fmt: skip
"""The extension of each parameter, and by how much it lengthens its command."""
_ENDS_GROUP = frozenset({"EHLO", "HELO", "STARTTLS", "AUTH", "DATA", "VRFY", "EXPN", "NOOP", "QUIT"})
_DOMAIN = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*\.?|\[[!-Z^-~]+\]", re.IGNORECASE)
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
_BARE = re.compile(rb"\r(?!\n)|(?<!\r)\n")


@dataclass(frozen=True)
class Violation:
    """A violation that a strict server has refused."""

    rule: str
    """The name of the rule, as the documentation lists it."""
    connection: int
    """The number of the connection, as in the transcript."""
    line: bytes
    """The command; for content, the line with the violation."""

    def __str__(self) -> str:
        shown = self.line if len(self.line) <= 100 else self.line[:100] + b"..."
        return f"{self.rule} in connection {self.connection}: {shown!r} ({RULES[self.rule].description})"


class Strictness:
    """Watches one connection. Each method returns the reply that refuses the input, or None."""

    def __init__(self, side: ServerSide) -> None:
        self._side = side
        self.offered: dict[str, str] = {}
        """The last EHLO reply: keywords and their parameters."""

    def offer(self, lines: list[str]) -> None:
        """Allow the client to use these extensions from now on, and no others."""
        self.offered = {line.partition(" ")[0].upper(): line.partition(" ")[2] for line in lines}

    def line(self, line: bytes, *, is_command: bool) -> str | None:
        """Check a line with its end."""
        limit = self._limit(line) if is_command else MAX_AUTH_LINE
        if len(line) > limit:
            return self._found("command-length", line)
        if not line.endswith(b"\r\n") or _CONTROL.search(line[:-2]):
            return self._found("command-line-end", line)
        return None

    def _limit(self, line: bytes) -> int:
        verb = line[:5].decode("ascii", "replace").strip().upper()
        if verb == "AUTH":
            return MAX_AUTH_LINE
        own = _PARAMETERS.get(verb, {}).values()
        return MAX_COMMAND + sum(octets for extension, octets in own if extension in self.offered)

    def command(self, verb: str, rest: str) -> str | None:
        """Check a command before it is executed."""
        line = f"{verb} {rest}".encode("utf-8", "surrogateescape")
        rule = self._rule_of_command(verb.upper(), rest)
        return None if rule is None else self._found(rule, line)

    def _rule_of_command(self, verb: str, rest: str) -> str | None:
        chunk = int(rest.split(" ")[0]) if verb == "BDAT" and rest.split(" ")[0].isdigit() else 0
        has_more = self._side.has_more(chunk)
        if verb == "BDAT" and "CHUNKING" not in self.offered:
            return "chunk"
        if verb == "DATA" and self._side.envelope.parameters.get("BODY") == "BINARYMIME":
            return "binary-by-data"
        if has_more and "PIPELINING" not in self.offered:
            return "group"
        if has_more and verb in _ENDS_GROUP:
            return "group-end"
        if verb in ("EHLO", "HELO") and not _DOMAIN.fullmatch(rest):
            return "ehlo-name"
        return self._rule_of_path(verb, rest) if verb in _PARAMETERS else None

    def _rule_of_path(self, verb: str, rest: str) -> str | None:
        path, _, rest = rest.partition(">")
        if re.match(r"(FROM|TO):\s", path, re.IGNORECASE):
            return "command-syntax"
        words = [word.partition("=") for word in rest.split()]
        for name, _, value in words:
            extension = _PARAMETERS[verb].get(name.upper(), ("", 0))[0]
            needed = "BINARYMIME" if (name.upper(), value.upper()) == ("BODY", "BINARYMIME") else extension
            if needed not in self.offered:
                return "parameter"
        envelope = self._side.envelope
        is_known = verb == "MAIL" or envelope.sender is not None
        has_utf8 = any(name.upper() == "SMTPUTF8" for name, _, _ in words) or "SMTPUTF8" in envelope.parameters
        return "8bit-address" if is_known and not has_utf8 and not path.isascii() else None

    def content(self, content: bytes, *, is_chunked: bool) -> str | None:
        """Check a content before it is stored. All violations are recorded; the reply names the first."""
        parameters = self._side.envelope.parameters
        body = str(parameters.get("BODY", "7BIT")).upper()
        header, blank, text = content.partition(b"\r\n\r\n")
        found: list[tuple[str, bytes]] = []
        if not is_chunked and "PIPELINING" not in self.offered and self._side.has_more(0):
            found.append(("group", bytes(self._side.received[:100])))
        if "SIZE" in parameters and len(content) > int(str(parameters["SIZE"])):
            found.append(("size", f"SIZE={parameters['SIZE']}".encode()))
        if body != "BINARYMIME":
            found += [(rule, _line_at(content, hit.start())) for rule, hit in _searched(content)]
        if body == "7BIT" and not text.isascii():
            found.append(("8bit-content", _line_at(content, _first_8bit(content, len(header) + len(blank)))))
        if "SMTPUTF8" not in parameters and not header.isascii():
            found.append(("8bit-header", _line_at(content, _first_8bit(content, 0))))
        replies = [self._found(rule, line) for rule, line in found]
        return replies[0] if replies else None

    def _found(self, rule: str, line: bytes) -> str:
        server = self._side.server
        server.violations.append(Violation(rule, self._side.number, line.rstrip(b"\r\n")))
        return RULES[rule].reply


_LONG = re.compile(rb"[^\r\n]{%d}" % (MAX_CONTENT_LINE + 1))
_NUL = re.compile(rb"\x00")
_8BIT = re.compile(rb"[\x80-\xff]")


def _searched(content: bytes) -> list[tuple[str, re.Match[bytes]]]:
    rules = {"content-line-length": _LONG, "content-line-end": _BARE, "content-nul": _NUL}
    return [(rule, hit) for rule, pattern in rules.items() if (hit := pattern.search(content)) is not None]


def _first_8bit(content: bytes, start: int) -> int:
    hit = _8BIT.search(content, start)
    return start if hit is None else hit.start()


def _line_at(content: bytes, position: int) -> bytes:
    start = content.rfind(b"\r\n", 0, position)
    end = content.find(b"\r\n", position)
    return content[0 if start < 0 else start + 2 : None if end < 0 else end]
