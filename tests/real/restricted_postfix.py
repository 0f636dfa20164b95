"""Postfix with access maps at every stage, on ports that differ in the extensions that they offer."""

from __future__ import annotations

from .files import StoredFiles
from .postfix import PostfixServer, what_is_missing
from .server import Endpoint

__all__ = ["RestrictedPostfix", "what_is_missing"]

# After a refusal at the end of DATA Postfix keeps the envelope: the next MAIL needs a RSET before it.
_RESTRICTIONS = """\
smtpd_recipient_restrictions = reject_unauth_destination, check_recipient_access inline:{
  {nouser@example.test = 550 5.1.1 no such user here}
  {tempfail@example.test = 451 4.3.0 try again later}
  {full@example.test = 452 4.2.2 mailbox full} }
smtpd_data_restrictions = check_recipient_access inline:{
  {rejectdata@example.test = 554 5.7.1 no data wanted} }
smtpd_end_of_data_restrictions = check_recipient_access inline:{
  {rejectdot@example.test = 550 5.7.1 content refused}
  {deferdot@example.test = 451 4.7.1 content deferred} }
"""

_DISCARDED = {"every": "", "unchunked": "chunking", "alone": "chunking,pipelining"}
_NAMES = {"every": "every extension", "unchunked": "no CHUNKING", "alone": "no CHUNKING, no PIPELINING"}


class RestrictedPostfix:
    """A Postfix that refuses at any stage; to a client that has not authenticated, nor secured its connection."""

    name = "Postfix 3.7"

    def __init__(self) -> None:
        self._postfix = PostfixServer(more=_RESTRICTIONS, services=_services())
        self._stored = StoredFiles()
        self._is_running = False

    def start(self) -> None:
        """Start it, and return once it greets."""
        self._postfix.start()
        self._is_running = True

    def stop(self) -> None:
        """End it with all its processes."""
        self._postfix.stop()

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """The ways to reach it."""
        return tuple(
            Endpoint(f"{self.name}, {name}", self._postfix.port_of(service) if self._is_running else 0)
            for service, name in _NAMES.items()
        )

    def stored(self) -> list[bytes]:
        """The content of every message that it has delivered, as octets."""
        return self._stored.read(self._postfix.maildir("").glob("new/*"))


def _services() -> dict[str, tuple[str, ...]]:
    return {service: (f"smtpd_discard_ehlo_keywords={words}",) for service, words in _DISCARDED.items()}
