"""The seam between the core and a world: everything that waits, and nothing else.

The core is written once, as ``async def`` over these protocols. In the asyncio world their methods suspend; in the
blocking world they block and never suspend, so ``io.blocking.run`` plays any core coroutine to its end in one step.
Failures are the builtin ones (``OSError``, ``TimeoutError``), and ``TLSError`` from ``start_tls``; the caller knows the
stage and says the rest. Deadlines are absolute, on the clock of ``IO.now``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from wlsmtp.config import TLS

T = TypeVar("T")

READ_SIZE = 65536
"""Octets asked of the network at once."""
ATTEMPT_DELAY = 0.25
"""Seconds until the next address is tried beside a slow one (RFC 8305 §5)."""


@dataclass(frozen=True, slots=True)
class TLSInfo:
    """What secures a connection."""

    protocol: str
    cipher: str
    fingerprint: str | None
    """SHA-256 of the server's certificate, in hex."""

    def __str__(self) -> str:
        return f"{self.protocol} {self.cipher}"


class Stream(Protocol):
    """One connection's bytes, both ways."""

    tls: TLSInfo | None

    @property
    def local_ip(self) -> str | None:
        """The address of this end, or None (unix socket)."""

    def has_input(self) -> bool:
        """Whether the server said or did anything that was not read: on an idle connection, the end of it.

        Over TLS it may be a record without data, such as a session ticket."""

    async def read(self, deadline: float) -> bytes:
        """The next bytes; ``b""`` when the server has closed."""

    async def write(self, data: bytes, deadline: float) -> None:
        """Hand ``data`` over to the network."""

    async def start_tls(self, settings: TLS, server_hostname: str, deadline: float) -> None:
        """Secure the connection, or raise ``TLSError``."""

    async def close(self) -> None:
        """End the connection at once; never raises."""

    def abort(self) -> None:
        """End the connection at once, without waiting for anything."""


class Condition(Protocol):
    """A lock whose holders can wait to be woken."""

    def __call__(self) -> AbstractAsyncContextManager[None]:
        """Hold the lock."""

    async def wait(self, deadline: float) -> None:
        """Let go of the lock, and hold it again once woken. Raises ``TimeoutError`` at the deadline."""

    def notify_all(self) -> None:
        """Wake all who wait."""


class IO(Protocol):
    """One world."""

    def now(self) -> float:
        """Seconds on a clock that only goes forward."""

    async def connect(self, host: str, port: int, deadline: float) -> Stream:
        """Connect to the first address of ``host`` that answers, IPv6 and IPv4 side by side (RFC 8305)."""

    async def connect_unix(self, path: str, deadline: float) -> Stream:
        """Connect to a unix socket."""

    async def sleep(self, seconds: float) -> None:
        """Wait."""

    def condition(self) -> Condition:
        """A new lock with a waiting room."""

    async def call(self, function: Callable[[], T | Awaitable[T]], deadline: float) -> T:
        """Call a user's function that may, in worlds that can wait for it, return an awaitable."""


def interleave(addresses: Iterable[tuple[int, object]]) -> list[tuple[int, object]]:
    """Addresses as (family, address), reordered so that families alternate, the first family first (RFC 8305 §4)."""
    families: dict[int, list[tuple[int, object]]] = {}
    for address in addresses:
        families.setdefault(address[0], []).append(address)
    ordered: list[tuple[int, object]] = []
    queues = list(families.values())
    while any(queues):
        ordered.extend(queue.pop(0) for queue in queues if queue)
    return ordered
