"""A server that offers other extensions after STARTTLS than before, or from one connection to the next, as servers
behind one name do. A message is sent by what its own connection offers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from tests.faults.table import BOB, SENDER
from tests.worlds import World
from wlsmtp import TLS, Envelope, Message, PoolLimits, RetryPolicy
from wlsmtp.testing import SMTPServer
from wlsmtp.testing.conversation import ServerSide

MUCH = ("PIPELINING", "8BITMIME", "SMTPUTF8", "CHUNKING", "BINARYMIME", "DSN")
LITTLE = ("ENHANCEDSTATUSCODES",)
CHANGES = [(MUCH, LITTLE), (LITTLE, MUCH), (MUCH[:3], MUCH)]
COUNT = 5


class OffersByTurns(ServerSide):
    def _offers(self) -> list[str]:
        server = self._server
        assert isinstance(server, Changing)
        has_changed = self.is_secure if server.security == "tls" else self._number % 2 == 0
        offered = server.later if has_changed else server.extensions
        return [word for word in super()._offers() if word not in server.extensions] + list(offered)


class Changing(SMTPServer):
    side = OffersByTurns
    later: Sequence[str] = ()


def items() -> list[Any]:
    """Plain messages, messages in 8 bit, and large ones."""
    texts = ["Hello", "Grüße", "Grüße " * 8_000]
    messages = [
        Message(sender=SENDER, to=BOB, subject=f"m{number}", text=texts[number % len(texts)]) for number in range(COUNT)
    ]
    raw = [(f"Subject: m{n}\r\n\r\nHello\r\n".encode(), Envelope(SENDER, [BOB])) for n in range(COUNT, 2 * COUNT)]
    return [item for pair in zip(messages, raw, strict=True) for item in pair]


@pytest.mark.parametrize("security", ["default", "tls"])
@pytest.mark.parametrize(("first", "later"), CHANGES)
@pytest.mark.parametrize("per_connection", [2, None])
def test_messages_are_sent_by_what_their_connection_offers(
    world: World, security: str, first: Sequence[str], later: Sequence[str], per_connection: int | None
) -> None:
    with Changing(security=security, extensions=first, strict=True) as server:
        server.later = later
        with world.session(
            server.host,
            server.port,
            security=security,
            tls=TLS(ca_file=server.ca_file),
            retry=RetryPolicy(attempts=1),
            pool=PoolLimits(max_messages=per_connection),
        ) as session:
            receipts = list(session.send_many(items()))
        assert all(receipts), [receipt.error for receipt in receipts if not receipt]
        assert Counter(mail.header("Subject") for mail in server.messages) == Counter(f"m{n}" for n in range(2 * COUNT))
        assert not server.violations
