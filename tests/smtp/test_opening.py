"""What cannot be reached, and what to do about it, without a network: a world whose connections fail."""

from __future__ import annotations

import errno
from typing import Any

import pytest

import wlsmtp
from wlsmtp import SessionConfig, Stage, Timeouts
from wlsmtp.events import Announcer
from wlsmtp.io.blocking import BlockingIO, run
from wlsmtp.smtp.deadlines import Deadlines
from wlsmtp.smtp.opening import open_connection
from wlsmtp.smtp.quirks import ServerQuirks


class Nowhere(BlockingIO):
    """A world in which connecting fails."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    async def connect(self, *_: Any) -> Any:
        raise self.error


@pytest.mark.parametrize(
    ("error", "port", "kind", "words", "temporary"),
    [
        (TimeoutError(), 25, wlsmtp.DeadlineExceeded, "firewall blocks port 25; many networks block port 25", True),
        (TimeoutError(), 587, wlsmtp.DeadlineExceeded, "firewall blocks port 587", True),
        (OSError(errno.EHOSTUNREACH, "x"), 465, wlsmtp.ConnectionFailed, "firewall blocks port 465", True),
        (ConnectionRefusedError(errno.ECONNREFUSED, "x"), 26, wlsmtp.ConnectionFailed, "Nothing listens there", True),
        (UnicodeError("label too long"), 25, wlsmtp.ConnectionFailed, "spelling", False),
    ],
)
def test_a_server_out_of_reach_is_told_with_advice(
    error: BaseException, port: int, kind: type[wlsmtp.SMTPError], words: str, temporary: bool
) -> None:
    io = Nowhere(error)
    config = SessionConfig(server="mail.example", port=port)
    with pytest.raises(kind) as caught:
        run(open_connection(io, config, Announcer(), Deadlines(io, Timeouts()), ServerQuirks()))
    assert words in str(caught.value) and caught.value.stage is Stage.CONNECT
    assert caught.value.temporary is temporary
