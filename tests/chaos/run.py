"""One run: letters through one world, one way of sending, one kind of server; and its account."""

from __future__ import annotations

from dataclasses import dataclass

from tests.chaos.account import Account, Balance
from tests.chaos.letters import letters
from tests.chaos.quirks import Quirk
from tests.chaos.senders import Sender, in_a_stream, in_broken_streams, one_by_one
from tests.chaos.server import ChaosServer
from tests.worlds import World
from wlsmtp import Pipelining, RetryPolicy, Timeouts

OFFERS: dict[str, tuple[str, ...]] = {
    "plain": (),
    "pipelining": ("PIPELINING",),
    "chunking": ("CHUNKING",),
    "pipelining, chunking": ("PIPELINING", "CHUNKING"),
}
SENDERS: dict[str, Sender] = {
    "send": one_by_one,
    "send_many": in_a_stream,
    "send_many, left early": in_broken_streams,
}
PATIENCE = 0.4
"""Seconds that the client waits for a silent server; too short a wait is one more fault, and breaks no promise."""


@dataclass(frozen=True)
class Run:
    """The dimensions of chaos."""

    seed: int
    count: int
    offers: str
    sender: str
    resends: bool = False
    quirks: frozenset[Quirk] = frozenset()

    def __str__(self) -> str:
        words = f"seed {self.seed}, {self.offers}, {self.sender}"
        words += ", resending what is in doubt" if self.resends else ""
        return "; it ".join([words, *sorted(self.quirks)])

    def server(self) -> ChaosServer:
        """A new server of that kind."""
        return ChaosServer(self.seed, OFFERS[self.offers], self.quirks)

    def carry_out(self, world: World, server: ChaosServer) -> Balance:
        """Send, wait until the server has done all that it had got, and close the account."""
        account = Account(resends=self.resends)
        with server:
            session = world.session(
                server.host,
                server.port,
                timeout=Timeouts.of(PATIENCE),
                retry=RetryPolicy(attempts=4, backoff=0, jitter=0, resend_unknown=self.resends),
                pipelining=Pipelining(early_content=20_000),
            )
            with session:
                SENDERS[self.sender](world, session, letters(self.seed, self.count), account)
        balance = account.close(letters(self.seed, self.count), server.messages)
        if not self.resends:
            balance.faults += [f"{address} was offered again after it was stored" for address in server.offered_again]
        return balance
