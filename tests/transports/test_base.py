"""Third-party transports: one method, and what the session makes of its result."""

from __future__ import annotations

import pytest

import wlsmtp
from tests.worlds import World
from wlsmtp import Message, RecipientStatus, RetryPolicy, Status, Transport
from wlsmtp.message.content import Content
from wlsmtp.message.envelope import Envelope
from wlsmtp.receipt import Outcome
from wlsmtp.smtp.deadlines import Deadlines

MESSAGE = Message(sender="ann@example.com", to="bob@example.org", text="x")


class Fixed(Transport):
    """Always answers the same."""

    def __init__(self, *outcomes: RecipientStatus) -> None:
        self.outcomes = list(outcomes)

    async def deliver(self, envelope: Envelope, content: Content, deadlines: Deadlines) -> Outcome:
        return Outcome.of([str(address) for address in envelope.recipients], self.outcomes.pop(0))


def test_one_method_is_enough(world: World) -> None:
    with world.session("nowhere", transport=Fixed(RecipientStatus.ACCEPTED)) as session:
        session.open()
        assert session.send(MESSAGE).status is Status.SENT
        assert session.capabilities is None
        with pytest.raises(wlsmtp.ConfigError, match="no server to ask"):
            session.verify()


@pytest.mark.parametrize("status", [RecipientStatus.NOT_SENT, RecipientStatus.REFUSED, RecipientStatus.UNKNOWN])
def test_an_undelivered_message_never_passes_for_a_success(world: World, status: RecipientStatus) -> None:
    with (
        world.session("nowhere", transport=Fixed(status), retry=RetryPolicy(attempts=1)) as session,
        pytest.raises(wlsmtp.SMTPError, match="Fixed did not deliver") as caught,
    ):
        session.send(MESSAGE)
    assert caught.value.receipt is not None and not caught.value.receipt
