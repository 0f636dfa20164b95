"""A server that does to its clients whatever the seed says, and keeps a true record of what it has stored."""

from __future__ import annotations

import socket
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

from tests.chaos.fate import LATER, NEVER, Destiny, Fate, refusal
from tests.chaos.letters import NOBODY, SPAM
from tests.chaos.quirks import Habits, Quirk
from wlsmtp.testing import CLOSE, RESET, SILENCE, ReceivedMessage, SMTPServer
from wlsmtp.testing.conversation import Ended, Scripted, ServerSide

if TYPE_CHECKING:
    from collections.abc import Sequence

HALF = "<half>"
_INSTEAD = {Fate.CLOSE: CLOSE, Fate.RESET: RESET, Fate.STALL: SILENCE}
_AFTERWARDS = {Fate.DONE_CLOSE: CLOSE, Fate.DONE_RESET: RESET, Fate.DONE_STALL: SILENCE, Fate.HALF: HALF}


class ChaoticSide(ServerSide):
    """One conversation. Whatever is not done is not stored, and whatever is stored was sent whole."""

    def __init__(self, server: ChaosServer, sock: socket.socket, number: int) -> None:
        super().__init__(server, sock, number)
        self._chaos = server
        self._destiny = server.destiny(number)
        self._habits = Habits(server.quirks, server.seed, number)
        self._messages = 0
        self._is_in_group = False
        self._content_is_refused = False
        self._afterwards: str | None = None
        self._is_mute = False
        self._octets_left: int | None = None

    def _ordered(self, stage: str) -> str | None:
        decision = self._destiny.next()
        fate, share = decision.fate, decision.share
        self._chaos.count(fate)
        if stage == ".":
            self._content_is_refused = fate in (Fate.LATER, Fate.NEVER)
        if fate is Fate.LATER:
            return refusal(LATER, share)
        if fate is Fate.NEVER:
            return refusal(NEVER, share)
        if fate is Fate.GOODBYE:
            self._say("421 4.3.2 Closing down")
            return CLOSE
        if fate is Fate.MUTE:
            self._is_mute = True
        elif fate is Fate.CUT_CONTENT:
            self._octets_left = int(share * 4000)
        self._afterwards = _AFTERWARDS.get(fate)
        return _INSTEAD.get(fate)

    def _command(self, line: bytes) -> None:
        verb = line.partition(b" ")[0].upper()
        is_in_group, self._is_in_group = self._is_in_group, bool(self._received)
        if Quirk.NO_GROUPS in self._habits and is_in_group and verb in (b"MAIL", b"RCPT", b"DATA"):
            self._say("503 5.5.0 Improper command pipelining")
        elif Quirk.NO_RSET in self._habits and verb == b"RSET":
            self._say("500 5.5.1 What?")
        else:
            super()._command(line)

    def _do_mail(self, rest: str) -> None:
        habits = self._habits
        if habits.has_enough(self._messages):
            self._say("421 4.7.0 Too many messages in this connection")
            if Quirk.CLOSES_AFTER_421 in habits:
                self._say(CLOSE)
        elif self._messages and habits.comes_too_late:
            self._say("451 4.4.2 Timeout waiting for data from client")
        else:
            super()._do_mail(rest)
            self._messages += 1

    def _do_rcpt(self, rest: str) -> None:
        address = rest.partition("<")[2].partition(">")[0]
        self._chaos.offered(address)
        if address.startswith(NOBODY):
            self._say("550 5.1.1 No such user")
            return
        too_many = self._habits.too_many_recipients
        if too_many is not None and len(self._recipients) >= self._habits.max_recipients:
            self._say(too_many)
        else:
            super()._do_rcpt(rest)

    def _do_bdat(self, rest: str) -> None:
        if Quirk.UNREAD_CHUNK in self._habits and not (self._sender and self._recipients):
            self._say("502 5.5.1 Missing RCPT TO command.")
        else:
            super()._do_bdat(rest)
            self._is_in_group = bool(self._received)

    def _finish(self, content: bytes, via: str) -> None:
        if Quirk.DISCARDS in self._habits and via == "DATA":
            self._received.clear()
        envelope = self._sender, self._mail_parameters, self._recipients
        if SPAM in content:
            self._content_is_refused = True
            self._forget_transaction()
            self._say("554 5.7.1 Spam")
        else:
            super()._finish(content, via)
        if Quirk.KEEPS_ENVELOPE in self._habits and self._content_is_refused and via == "DATA":
            self._sender, self._mail_parameters, self._recipients = envelope
        self._is_in_group = bool(self._received)

    def _say(self, reply: Scripted) -> None:
        afterwards, self._afterwards = self._afterwards, None
        if afterwards == HALF and isinstance(reply, str):
            self._unsent += reply.encode()[: len(reply) // 2]
            afterwards = CLOSE
        super()._say(afterwards or reply)

    def _flush(self) -> None:
        if self._is_mute:
            self._unsent.clear()
        super()._flush()

    def _fill(self) -> None:
        before = len(self._received)
        super()._fill()
        if self._octets_left is not None:
            self._octets_left -= len(self._received) - before
            if self._octets_left < 0:
                raise Ended


class ChaosServer(SMTPServer):
    """``offers`` are the extensions on which the client's ways of sending depend."""

    side = ChaoticSide

    def __init__(self, seed: int, offers: Sequence[str], quirks: frozenset[Quirk] = frozenset()) -> None:
        self.seed = seed
        self.quirks = quirks
        self.fates: Counter[Fate] = Counter()
        self._served: set[str] = set()
        self.offered_again: list[str] = []
        """Recipients for whom RCPT was said once more after a message was stored for them."""
        super().__init__(extensions=("8BITMIME", "ENHANCEDSTATUSCODES", *offers))

    def destiny(self, connection: int) -> Destiny:
        """What befalls the commands of a connection."""
        return Destiny(self.seed, connection)

    def talk_with(self, end: Any, number: int) -> None:
        """Serve a client over something that is like a socket."""
        self._spawn(partial(self._serve, end, number))

    def store(self, message: ReceivedMessage) -> int:
        """See ``SMTPServer.store``."""
        with self._changed:
            self._served.update(message.recipients)
        return super().store(message)

    def offered(self, address: str) -> None:
        """Note whether a recipient has the message already."""
        with self._changed:
            if address in self._served:
                self.offered_again.append(address)

    def count(self, fate: Fate) -> None:
        """Keep count of what was done."""
        with self._changed:
            self.fates[fate] += 1
