"""Decodes encoded words (RFC 2047): a name written in ASCII becomes the original name."""

from __future__ import annotations

import re
from binascii import Error, a2b_base64, a2b_qp

from wlsmtp.patterns import later

_WORD = r"=\?([!-)+->@-~]+)(?:\*[!->@-~]*)?\?([BbQq])\?([!->@-~]*)\?="
_ONE = later(_WORD)
_RUN = later(rf"(?<![^ \t]){_WORD}(?:[ \t]+{_WORD})*(?![^ \t])")
_CONTROL = later(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def decode_words(text: str) -> str:
    """Return ``text`` with its encoded words decoded. Words that cannot be decoded, or would contain a control
    character, are left unchanged."""
    return _RUN.sub(_decoded, text) if "=?" in text else text


def is_encoded(text: str) -> bool:
    """Return whether the text is nothing but encoded words."""
    return "=?" in text and _RUN.fullmatch(text) is not None


def has_encoded_word(text: str) -> bool:
    """Return whether a lenient reader may find an encoded word in the text, even within a word."""
    return "=?" in text and _ONE.search(text) is not None


def _decoded(run: re.Match[str]) -> str:
    """Decode adjacent words: the space between them means nothing (§6.2), and a character may be split between two."""
    pieces: list[tuple[str, bytes]] = []
    try:
        for charset, encoding, encoded in _ONE.findall(run[0]):
            octets = _octets(encoding, encoded)
            if pieces and pieces[-1][0] == charset.lower():
                pieces[-1] = (charset.lower(), pieces[-1][1] + octets)
            else:
                pieces.append((charset.lower(), octets))
        text = "".join([octets.decode(charset) for charset, octets in pieces])
    except (Error, LookupError, UnicodeError, ValueError):
        return run[0]
    return run[0] if _CONTROL.search(text) else text


def _octets(encoding: str, encoded: str) -> bytes:
    if encoding in "Qq":
        return a2b_qp(encoded, header=True)
    # Missing padding is the most frequent fault; wrong padding shows in the text.
    return a2b_base64(encoded + "=" * (-len(encoded) % 4))
