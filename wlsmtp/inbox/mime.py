"""Reads a message into a tree of parts, in one pass and with limits: what arrives may be hostile.

The standard library's parser is not used: it recurses with the depth of the message, and compares each line with each
boundary above it. This one looks at each octet a bounded number of times. It refuses nothing; what is malformed is
text.
"""

from __future__ import annotations

import binascii
import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

MAX_DEPTH = 40
MAX_PARTS = 300
MAX_HEADER = 64 * 1024
"""Octets of a header section; what comes behind them is body."""
MAX_VALUE = 16 * 1024
"""Characters of a field that are shown and searched."""
MAX_NAME = 200
"""Characters of a file's name."""
MAX_TEXT = 2 * 1024 * 1024
"""Octets of a text that are shown."""

_FIELD = re.compile(r"([!-9;-~]{1,200})[ \t]*:(.*(?:\n[ \t].*)*)")
_BLANK = re.compile(rb"\n\r?\n")
_PARAMETER = re.compile(r';\s*([^\s=;"]{1,100})\s*=\s*("(?:[^"\\]|\\.)*"|[^;]*)')
_WORD = re.compile(r"=\?([^?\s*]{1,40})(?:\*[^?\s]{0,20})?\?([BbQq])\?([^?\s]*)\?=")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_DIRECTION = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Characters that let the end of a file's name look like its beginning."""
_HARMFUL_CODECS = frozenset({"idna", "punycode", "unicode-escape", "raw-unicode-escape", "undefined", "utf-7"})
"""Codecs that take quadratic time, or fail by design; none is a charset of mail today."""


@dataclass(slots=True)
class Part:
    """A part of a message, or the message itself."""

    raw: bytes = field(repr=False)
    """The whole message."""
    path: str
    """``1``, or ``1.2`` for the second part of the first one."""
    fields: list[tuple[str, str]]
    """The names and values of its header, unfolded, with encoded words as they were sent."""
    start: int
    """Where the body begins in ``raw``."""
    end: int = 0
    children: list[Part] = field(default_factory=list)
    content_type: str = "text/plain"
    parameters: dict[str, str] = field(default_factory=dict)
    disposition: str = ""
    filename: str = ""

    def get(self, name: str) -> str:
        """The first field of that name, with encoded words decoded; "" if there is none."""
        return decode_words(self.get_raw(name))

    def get_raw(self, name: str) -> str:
        """The first field of that name as it was sent, unfolded."""
        lowered = name.lower()
        return next((value for known, value in self.fields if known.lower() == lowered), "")

    @property
    def content_id(self) -> str:
        """The Content-ID, without its angle brackets."""
        return self.get_raw("Content-ID").strip(" <>")

    @property
    def encoding(self) -> str:
        """The transfer encoding, in lower case."""
        return self.get_raw("Content-Transfer-Encoding").strip().lower()

    @property
    def is_multipart(self) -> bool:
        """True if it contains parts."""
        return bool(self.children)

    def walk(self) -> Iterator[Part]:
        """The part and all parts in it, in their order."""
        yield self
        for child in self.children:
            yield from child.walk()

    def body(self, limit: int | None = None) -> bytes:
        """The octets of the body, with the transfer encoding undone; of about ``limit`` octets, if given."""
        end = self.end if limit is None else min(self.end, self.start + limit * 2)
        octets = self.raw[self.start : end]
        if self.encoding == "base64":
            return _base64(octets)
        if self.encoding == "quoted-printable":
            return binascii.a2b_qp(octets)
        return octets

    def text(self) -> str:
        """The body as text, of ``MAX_TEXT`` octets at most, with the line ends of Unix."""
        octets = self.body(MAX_TEXT)[:MAX_TEXT]
        return to_text(octets, self.parameters.get("charset", "")).replace("\r\n", "\n")

    @property
    def size(self) -> int:
        """Octets of the body as far as they are known without decoding it."""
        length = self.end - self.start
        return length * 3 // 4 if self.encoding == "base64" else length


def parse(raw: bytes) -> Part:
    """Read a message. Nothing is raised: a body that cannot be taken apart is one part."""
    fields, start = _header(raw, 0, len(raw))
    root = _part(raw, "1", fields, start)
    root.end = len(raw)
    _take_apart(root)
    return root


def _take_apart(root: Part) -> None:
    """Find all delimiter lines in one pass; ``open_parts`` are the multiparts that are not closed yet."""
    raw, position, parts = root.raw, root.start, 1
    open_parts: list[tuple[bytes, Part]] = []
    _open(root, open_parts)
    current = root
    delimiters = _delimiters(open_parts)
    while delimiters is not None and (found := delimiters.search(raw, position)):
        level = next(n for n, (boundary, _) in reversed(list(enumerate(open_parts))) if boundary == found[1])
        before_line_end = found.start() - (2 if raw[found.start() - 2 : found.start()] == b"\r\n" else 1)
        for part in (current, *(above for _, above in open_parts[level + 1 :])):
            if part.end > before_line_end and part is not open_parts[level][1]:
                part.end = max(part.start, before_line_end)
        del open_parts[level + 1 :]
        parent, position = open_parts[level][1], found.end()
        if found[2]:
            open_parts.pop()
            current = parent
        else:
            if parts >= MAX_PARTS:
                return
            fields, start = _header(raw, min(position + 1, len(raw)), len(raw), _delimiters(open_parts))
            path = f"{parent.path}.{len(parent.children) + 1}" if parent is not root else str(len(parent.children) + 1)
            current = _part(raw, path, fields, start)
            current.end = parent.end
            parent.children.append(current)
            parts, position = parts + 1, max(position, start - 1)
            _open(current, open_parts)
        delimiters = _delimiters(open_parts)


def _open(part: Part, open_parts: list[tuple[bytes, Part]]) -> None:
    boundary = part.parameters.get("boundary", "")[:200].rstrip().encode("utf-8", "replace")
    if part.content_type.startswith("multipart/") and boundary and len(open_parts) < MAX_DEPTH:
        open_parts.append((boundary, part))


def _delimiters(open_parts: list[tuple[bytes, Part]]) -> re.Pattern[bytes] | None:
    if not open_parts:
        return None
    choice = b"|".join(re.escape(boundary) for boundary, _ in reversed(open_parts))
    return re.compile(rb"^--(" + choice + rb")(--)?[ \t]*\r?$", re.MULTILINE)


def _header(
    raw: bytes, start: int, end: int, delimiters: re.Pattern[bytes] | None = None
) -> tuple[list[tuple[str, str]], int]:
    """The fields of a header section, and where the body begins."""
    if raw[start : start + 1] == b"\n" or raw[start : start + 2] == b"\r\n":
        return [], start + (1 if raw[start : start + 1] == b"\n" else 2)
    limit = min(end, start + MAX_HEADER)
    blank = _BLANK.search(raw, start, limit)
    stop, body = (blank.start() + 1, blank.end()) if blank else (limit, limit)
    if delimiters is not None and (cut := delimiters.search(raw, start, stop)):
        stop = body = cut.start()
    text = raw[start:stop].decode("utf-8", "replace").replace("\r\n", "\n")
    unfolded = ((name, value.replace("\n", "")) for name, value in _FIELD.findall(text))
    return [(name, value.strip()[:MAX_VALUE]) for name, value in unfolded], body


def _part(raw: bytes, path: str, fields: list[tuple[str, str]], start: int) -> Part:
    part = Part(raw, path, fields, start)
    kind, parameters = parse_parameters(part.get_raw("Content-Type"))
    if re.fullmatch(r"[\w.+-]{1,80}/[\w.+-]{1,120}", kind, re.ASCII):
        part.content_type, part.parameters = kind.lower(), parameters
    disposition, named = parse_parameters(part.get_raw("Content-Disposition"))
    part.disposition = disposition.lower()
    name = named.get("filename") or part.parameters.get("name", "")
    part.filename = _safe_name(decode_words(name))
    return part


def _safe_name(name: str) -> str:
    """A file's name that stays in its directory and looks like what it is; its end, which says the kind, is kept."""
    name = re.sub(r"[/\\]", "_", _DIRECTION.sub("", _CONTROL.sub("", name))).strip()
    name = name if len(name) <= MAX_NAME else f"{name[: MAX_NAME - 41]}…{name[-40:]}"
    return re.sub(r"^\.+$", "_", name)


def parse_parameters(value: str) -> tuple[str, dict[str, str]]:
    """The word before the first semicolon, and the parameters behind it (RFC 2045 §5.1), those in pieces and in another
    charset included (RFC 2231)."""
    value = value[:MAX_VALUE]
    first = value.partition(";")[0].strip()
    plain: dict[str, str] = {}
    pieces: dict[str, list[tuple[int, bool, str]]] = {}
    for name, text in _PARAMETER.findall(value[len(value.partition(";")[0]) :]):
        text = text.strip()
        if len(text) > 1 and text[0] == '"' == text[-1]:
            text = re.sub(r"\\(.)", r"\1", text[1:-1])
        base, *rest = name.lower().split("*")
        number = next((int(word) for word in rest if word.isascii() and word.isdigit() and len(word) < 4), 0)
        if rest:
            pieces.setdefault(base, []).append((number, rest[-1] == "", text))
        else:
            plain.setdefault(base, text)
    return first, plain | {name: _joined(found) for name, found in pieces.items()}


def _joined(pieces: list[tuple[int, bool, str]]) -> str:
    charset, octets = "", b""
    for index, (_, is_encoded, text) in enumerate(sorted(pieces)):
        if is_encoded and index == 0 and text.count("'") >= 2:
            charset, _, text = text.split("'", 2)
        octets += unquote_to_bytes(text) if is_encoded else text.encode("utf-8", "replace")
    return to_text(octets, charset)


def to_text(octets: bytes, charset: str) -> str:
    """Text in a charset that may be unknown or wrong: then it is UTF-8, if it can be, or Windows-1252."""
    for name in (charset.strip().lower().replace("_", "-"), "utf-8"):
        with_codec = _codec(name)
        if with_codec is not None:
            try:
                return octets.decode(with_codec)
            except (UnicodeError, ValueError):
                if name == "utf-8" and len(octets) == MAX_TEXT:  # a character may be cut in two
                    return octets.decode("utf-8", "replace")
    return octets.decode("cp1252", "replace")


def _codec(charset: str) -> str | None:
    """The codec for a charset; None for one that is unknown, no text, or slow."""
    if not re.fullmatch(r"[a-z0-9.:+-]{1,40}", charset):
        return None
    try:
        found = codecs.lookup(charset)
    except LookupError:
        return None
    is_text = getattr(found, "_is_text_encoding", True)
    return found.name if is_text and found.name.replace("_", "-") not in _HARMFUL_CODECS else None


def decode_words(text: str) -> str:
    """``text`` with its encoded words decoded (RFC 2047), also where they should not be, as mail programs do."""
    if "=?" not in text:
        return text
    pieces: list[str | tuple[str, bytes]] = []
    position = 0
    for found in _WORD.finditer(text):
        gap = text[position : found.start()]
        if gap and not (gap.isspace() and pieces and isinstance(pieces[-1], tuple)):
            pieces.append(gap)
        charset, octets = found[1].lower(), _word(found[2], found[3])
        if pieces and isinstance(last := pieces[-1], tuple) and last[0] == charset:
            octets, _ = last[1] + octets, pieces.pop()
        pieces.append((charset, octets))
        position = found.end()
    pieces.append(text[position:])
    decoded = [piece if isinstance(piece, str) else to_text(piece[1], piece[0]) for piece in pieces]
    return _CONTROL.sub(" ", "".join(decoded))


def _word(encoding: str, encoded: str) -> bytes:
    octets = encoded.encode("utf-8", "replace")
    return binascii.a2b_qp(octets, header=True) if encoding in "Qq" else _base64(octets)


def _base64(octets: bytes) -> bytes:
    """What can be decoded, whatever stands between it."""
    clean = octets.translate(None, b"\r\n \t")
    try:
        return binascii.a2b_base64(clean + b"=" * (-len(clean) % 4))
    except binascii.Error:
        clean = re.sub(rb"[^A-Za-z0-9+/]", b"", clean)
        clean = clean[: len(clean) - (len(clean) % 4 == 1)]
        return binascii.a2b_base64(clean + b"=" * (-len(clean) % 4))
