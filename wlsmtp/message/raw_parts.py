"""Folds header lines over 998 octets in the parts of messages in octets, as ``folding`` does in their header sections.

Octets are not parsed and written anew, which could change them: only the long lines are.
"""

from __future__ import annotations

import re
from contextlib import suppress
from email.parser import BytesHeaderParser

from wlsmtp.message.folding import fold_head, has_long_line, signs_parts
from wlsmtp.message.transfer import has_long_line_in

_END = b"\r\n\r\n"
_AS_IT_IS = ("", "7bit", "8bit", "binary")


def fold_parts(head: bytes, body: bytes) -> bytes:
    """Return the body of a message with this header section, with the header lines of its parts folded; the body itself
    if none is too long. Both have CRLF line ends. Raises ``MessageError``, see ``fold_head``."""
    return _Parts(body).folded(head) if has_long_line_in(body) else body


class _Parts:
    """The parts of one body, found by the boundaries of all multiparts around them."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._pieces: list[bytes] = []
        self._written = 0
        self._boundaries: list[bytes] = []
        self._is_signed = False

    def folded(self, head: bytes) -> bytes:
        # The body begins with the empty line behind the header section.
        position = self._enter(head, len(b"\r\n"))
        while self._boundaries and (line := self._delimiter().search(self._body, position)) is not None:
            position = self._part(line.end())
        return b"".join((*self._pieces, self._body[self._written :])) if self._pieces else self._body

    def _delimiter(self) -> re.Pattern[bytes]:
        """The line before a part; that behind the last one has two hyphens more."""
        return re.compile(rb"^--(?:%b)[ \t]*\r\n" % b"|".join(map(re.escape, self._boundaries)), re.MULTILINE)

    def _part(self, start: int) -> int:
        """Fold the header section at ``start``, and return where its content begins."""
        if self._body.startswith(b"\r\n", start):
            return start
        end = self._body.find(_END, start)
        end = len(self._body) if end < 0 else end + 2
        head = self._body[start:end]
        if has_long_line(head):
            self._pieces += (self._body[self._written : start], fold_head(head, is_signed=self._is_signed))
            self._written = end
        return self._enter(head, end + 2)

    def _enter(self, head: bytes, content: int) -> int:
        """Look at what the header section says of its content, and return where to search on."""
        self._is_signed = self._is_signed or signs_parts(head)
        fields = BytesHeaderParser().parsebytes(head)
        boundary = None
        with suppress(TypeError, ValueError, LookupError):  # on odd parameters the standard library fails by mistake
            boundary = fields.get_boundary()
        if fields.get_content_maintype() == "multipart" and boundary:
            self._boundaries.append(boundary.encode("utf-8", "surrogateescape"))
        encoding = str(fields.get("Content-Transfer-Encoding", "")).strip().lower()
        if fields.get_content_type() == "message/rfc822" and encoding in _AS_IT_IS and content < len(self._body):
            return self._part(content)
        return content
