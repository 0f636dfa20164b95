"""The answer to EHLO: whatever its words, capabilities that can be asked."""

from __future__ import annotations

from wlsmtp.results.reply import Reply
from wlsmtp.wire.extensions import parse_ehlo
from wlsmtp.wire.reply import printable


def check(data: bytes) -> None:
    """Each line of the octets is one of the reply."""
    lines = tuple(printable(line) for line in data.split(b"\n"))
    capabilities = parse_ehlo(Reply(250, lines))
    for keyword in capabilities:
        assert keyword and keyword in capabilities and (keyword.lower() in capabilities or not keyword.isascii())
        assert all(words and words == "".join(words.split()) for words in (keyword, *capabilities.extensions[keyword]))
    limit = capabilities.size_limit
    assert limit is None or 0 < limit < 10**20
    assert len(set(capabilities.mechanisms)) == len(capabilities.mechanisms)
    assert all(mechanism == mechanism.upper() for mechanism in capabilities.mechanisms)
    spoken = "\n".join(lines[1:]).upper()
    assert all(keyword in spoken for keyword in capabilities)
