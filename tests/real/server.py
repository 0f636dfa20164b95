"""What every real mail server of the tests has in common, so that one test text runs against all of them.

A server accepts mail for one domain. Some local parts have a meaning, so that a test can ask for a refusal at any
stage:

=============  =========================================================
local part     the server answers
=============  =========================================================
``nouser``     550 to RCPT
``tempfail``   451 to RCPT
``full``       452 to RCPT
``rejectdata`` 55x to DATA (with BDAT: to the content)
``rejectdot``  55x to the content
``deferdot``   451 to the content
=============  =========================================================

Not every server can be configured for each of them: ``refusals`` says which it can. Every server delivers what is for
``RECIPIENT``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

DOMAIN = "example.test"
RECIPIENT = f"bob@{DOMAIN}"
SENDER = f"ann@{DOMAIN}"

ALL_REFUSALS = frozenset({"nouser", "tempfail", "full", "rejectdata", "rejectdot", "deferdot"})


@dataclass(frozen=True)
class Endpoint:
    """One way to reach a server: a port, and what a session needs to use it."""

    name: str
    """What the test report calls it, such as ``"Postfix 3.7, no CHUNKING"``."""
    port: int
    host: str = "localhost"
    options: Mapping[str, Any] = field(default_factory=dict)
    """Further arguments for ``SMTPSession``: security, tls, username, …"""
    refusals: frozenset[str] = ALL_REFUSALS
    """The local parts of the table above that have their meaning here."""
    is_lmtp: bool = False
    max_errors: int | None = None
    """The number of the refusal of one connection that is a 421 instead, and the end of the connection."""
    ends_at_unknown: bool = False
    """Whether it ends the connection at NOOP and RSET, which it does not know."""


class RealServer(Protocol):
    """A mail server that this project did not write, run by the tests on loopback ports."""

    name: str

    def start(self) -> None:
        """Start it, and return once every endpoint greets."""

    def stop(self) -> None:
        """End it with all its processes."""

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """The ways to reach it. They have their names at once, and their ports once the server runs."""

    def stored(self) -> list[bytes]:
        """The content of every message that it has delivered, as octets."""
