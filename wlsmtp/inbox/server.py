"""The SMTP server in front of an inbox: it takes every login and every message, unless a fault was ordered."""

from __future__ import annotations

import sqlite3
from collections import deque
from typing import TYPE_CHECKING, Any

from wlsmtp.inbox.faults import KINDS, Fault, Faults
from wlsmtp.inbox.store import Facts, Store
from wlsmtp.testing.channel import Ended, Scripted
from wlsmtp.testing.conversation import ServerSide
from wlsmtp.testing.server import ReceivedMessage, SMTPServer

if TYPE_CHECKING:
    import socket

TRANSCRIPT = 2000
"""Lines of conversations that are kept."""
NO_ROOM = "451 4.3.0 The message could not be stored"


class InboxSide(ServerSide):
    """One conversation. A fault goes with a message from its MAIL to its end."""

    def __init__(self, server: SMTPServer, sock: socket.socket, number: int) -> None:
        super().__init__(server, sock, number)
        assert isinstance(server, InboxServer)
        self._faults = server.faults
        self._fault: Fault | None = None

    def _ordered(self, stage: str) -> Scripted | None:
        if stage == "MAIL":
            self._fault = self._faults.take(for_login=False)
        reply = super()._ordered(stage) or self._faults.by_chance(stage)
        return self.fault_at(stage) if reply is None else reply

    def fault_at(self, stage: str) -> Scripted | None:
        """The reply by which the message of this moment fails at a stage."""
        if self._fault is None or KINDS[self._fault.kind].stage != stage:
            return None
        self._server.closed.wait(self._fault.seconds)
        return KINDS[self._fault.kind].reply

    def _interrupt_content(self) -> None:
        if (reply := self.fault_at("CONTENT")) is not None:
            self._peek(1)
            self._say(reply)
        super()._interrupt_content()

    def _finish(self, content: bytes, via: str) -> None:
        said = len(self._unsent)
        try:
            super()._finish(content, via)
        except sqlite3.Error:
            self._forget_transaction()
            self._say(NO_ROOM)
        if (reply := self.fault_at("STORED")) is not None:
            del self._unsent[said:]
            self._say(reply)

    def _fill(self) -> None:
        limit = self._server.size_limit or 0
        if len(self._received) + len(self._chunks) > limit + limit // 4 + 1_000_000:
            raise Ended  # the client sends more than it may
        super()._fill()


class InboxServer(SMTPServer):
    """A server that puts what it receives into a store, and keeps nothing itself. Options: those of ``SMTPServer``."""

    side: type[ServerSide] = InboxSide

    def __init__(self, store: Store, faults: Faults, **options: Any) -> None:
        self.faults: Faults = faults
        self._store = store
        super().__init__(**{"any_login": True, "hostname": "inbox.wlsmtp.test", **options})
        self.transcript = deque(maxlen=TRANSCRIPT)  # type: ignore[assignment]

    def scripted_reply(self, stage: str) -> Scripted | None:
        """Return the ordered reply for a stage, as ``SMTPServer`` does."""
        if stage != "LOGIN":
            return super().scripted_reply(stage)
        fault = self.faults.take(for_login=True)
        ordered = KINDS[fault.kind].reply if fault else self.faults.by_chance(stage)
        return ordered or super().scripted_reply(stage)

    def store(self, message: ReceivedMessage) -> int:
        """Keep a message; return its number."""
        parameters = {**message.mail_parameters, "RCPT": dict(message.recipient_parameters)}
        entry = self._store.add(
            message.content,
            Facts(message.sender, message.recipients, parameters, message.username, message.tls, message.via),
        )
        return entry.number
