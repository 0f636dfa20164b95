"""A server that does to its clients whatever the seed says, and keeps a true record of what it has stored."""

from __future__ import annotations

import socket
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

from tests.chaos.fate import LATER, NEVER, Destiny, Fate, refusal
from wlsmtp.testing import CLOSE, RESET, SILENCE, SMTPServer
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
        self._afterwards: str | None = None
        self._is_mute = False
        self._octets_left: int | None = None

    def _ordered(self, stage: str) -> str | None:
        decision = self._destiny.next()
        fate, share = decision.fate, decision.share
        self._chaos.count(fate)
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

    def __init__(self, seed: int, offers: Sequence[str]) -> None:
        self.seed = seed
        self.fates: Counter[Fate] = Counter()
        super().__init__(extensions=("8BITMIME", "ENHANCEDSTATUSCODES", *offers))

    def destiny(self, connection: int) -> Destiny:
        """What befalls the commands of a connection."""
        return Destiny(self.seed, connection)

    def talk_with(self, end: Any, number: int) -> None:
        """Serve a client over something that is like a socket."""
        self._spawn(partial(self._serve, end, number))

    def count(self, fate: Fate) -> None:
        """Keep count of what was done."""
        with self._changed:
            self.fates[fate] += 1
