"""Real mail that is broken goes to those whom it names, with all its parts, or is refused in words of its own."""

from __future__ import annotations

import re
from email import message_from_bytes
from typing import Any

import pytest

from tests.corpus.broken_mail import make
from tests.worlds import World
from wlsmtp import RetryPolicy, SMTPError
from wlsmtp.testing import SMTPServer
from wlsmtp.testing.server import DEFAULT_EXTENSIONS

NUMBERS = range(50)


@pytest.mark.parametrize("extensions", [DEFAULT_EXTENSIONS, ("PIPELINING",)], ids=["full", "bare"])
def test_broken_mail_loses_nobody_and_nothing(world: World, extensions: tuple[str, ...]) -> None:
    refused = []
    with (
        SMTPServer(strict=True, extensions=extensions, size_limit=None) as server,
        world.session(server.host, server.port, retry=RetryPolicy(attempts=1)) as session,
    ):
        for number in NUMBERS:
            made, before = make(number), len(server.messages)
            try:
                session.send(made.message)
            except SMTPError as error:
                assert len(server.messages) == before and "codec" not in str(error), number
                refused.append((number, str(error)))
                continue
            found = server.messages[-1]
            assert {*found.recipients} == made.people, number
            head = found.content.partition(b"\r\n\r\n")[0]
            assert not re.search(rb"(?im)^bcc:", head), number
            meant = make(number).message
            meant = message_from_bytes(meant) if isinstance(meant, bytes) else meant
            assert parts(message_from_bytes(found.content)) == parts(meant), number
    assert len(refused) < 0.7 * len(NUMBERS), refused


def parts(message: Any) -> list[tuple[str, bytes]]:
    """Type and content of each part, as a reader sees them."""
    return [
        (part.get_content_type(), b"" if part.is_multipart() else re.sub(rb"\r\n?", b"\n", _octets(part)).rstrip(b"\n"))
        for part in message.walk()
    ]


def _octets(part: Any) -> bytes:
    octets: bytes = part.get_payload(decode=True) or b""
    return octets
