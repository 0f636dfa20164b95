"""The seam between the core and a world: everything that waits, and nothing else.

The core is written once, as ``async def`` over these protocols. In the asyncio world their methods suspend; in the
blocking world they block and never suspend, so ``io.blocking.run`` plays any core coroutine to its end in one step.
Failures are the builtin ones (``OSError``, ``TimeoutError``), and ``TLSError`` from ``start_tls``; the caller knows the
stage and says the rest. Deadlines are absolute, on the clock of ``IO.now``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Hashable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from wlsmtp.io.order import Rank
    from wlsmtp.io.place import Place
    from wlsmtp.results.secured import TLSInfo
    from wlsmtp.settings.config import TLS
    from wlsmtp.settings.network import Network, Proxy

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

READ_SIZE = 65536
"""Octets asked of the network at once."""
MAX_UNREAD = 8 * 1024 * 1024
"""Octets of replies that are kept while nobody reads: a server that cannot get rid of its replies stops reading, and
then both sides would wait for ever. They answer some 100,000 recipients."""
ATTEMPT_DELAY = 0.25
"""Seconds until the next address is tried beside a slow one (RFC 8305 §5)."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended."""

    status: int | None
    """Its exit status, negative for the signal that ended it; None when it was killed at the deadline."""
    was_fed: bool
    """Whether it was given all of its input, and the end of it."""
    output: bytes
    """The last of what it wrote, to either output."""


class Stream(Protocol):
    """One connection's bytes, both ways. One sender at a time reads, and one writes, and the two may be different.

    It belongs to the place where it was made. Elsewhere, to read, to write and to secure it raise ``ConfigError``, and
    to close it lets go of the descriptor only: in a forked child the server sees nothing, and the parent goes on.
    """

    tls: TLSInfo | None
    sent: int
    """Octets handed to the network so far; of a write that failed, those that may have gone out."""
    keeps_unread: bool
    """Whether a ``read`` that was interrupted from outside has certainly taken nothing."""

    @property
    def local_ip(self) -> str | None:
        """The address of this end, or None where it says nothing about the server: for a unix socket, and behind a
        proxy or a connector."""
        ...

    def has_input(self) -> bool:
        """Whether the server said or did anything that was not read: on an idle connection, the end of it.

        Over TLS it may be a record without data, such as a session ticket."""
        ...

    async def read(self, deadline: float) -> bytes:
        """The next bytes; ``b""`` when the server has closed."""
        ...

    async def write(self, data: bytes | memoryview, deadline: float) -> None:
        """Hand ``data`` over to the network."""
        ...

    async def start_tls(self, settings: TLS, server_hostname: str, deadline: float) -> None:
        """Secure the connection. Raises ``TLSError``, but ``OSError`` when the connection was lost meanwhile."""
        ...

    def keep_tls_session(self) -> None:
        """Let a later connection resume the TLS session of this one. To be called once the server has spoken over TLS,
        as in TLS 1.3 what it takes to resume comes after the handshake (RFC 8446 §4.6.1)."""
        ...

    async def close(self) -> None:
        """End the connection at once; never raises."""
        ...

    def abort(self) -> None:
        """End the connection at once, without waiting for anything."""
        ...


class Condition(Protocol):
    """A lock, held with ``async with``, whose holders can wait to be woken."""

    async def __aenter__(self) -> None:
        """Hold the lock."""
        ...

    async def __aexit__(self, *_: object) -> None:
        """Let go of it."""
        ...

    async def wait(self, deadline: float) -> None:
        """Let go of the lock, and hold it again once woken. Raises ``TimeoutError`` at the deadline."""
        ...

    def notify_all(self) -> None:
        """Wake all who wait."""
        ...


class Bell(Protocol):
    """Wakes one who waits. Nothing is held, so that an interrupt cannot leave anything held."""

    def ring(self) -> None:
        """Wake who waits, or who will wait next. Rung twice before that is as good as once."""
        ...

    async def wait(self, deadline: float) -> None:
        """Wait until it is rung, or was rung since the last wait. Raises ``TimeoutError`` at the deadline."""
        ...


class Task(Protocol[T_co]):
    """Work that goes on beside the one who spawned it."""

    @property
    def is_done(self) -> bool:
        """Whether it has ended, in whatever way."""
        ...

    async def join(self, deadline: float) -> None:
        """Wait until it has ended, in whatever way. Raises ``TimeoutError`` at the deadline, and the work goes on. The
        work itself does not wait for its own end."""
        ...

    async def wait(self, deadline: float) -> T_co:
        """What the work returned, or the exception that ended it. Raises ``TimeoutError`` at the deadline, and the work
        goes on then."""
        ...

    def cancel(self) -> None:
        """Interrupt the work where it waits, in worlds that can: a thread goes on to its end, and must be told by other
        means that nobody needs it any more."""
        ...


class IO(Protocol):
    """One world."""

    def here(self) -> Place:
        """Where the caller runs. What was kept elsewhere must not be used: see ``io.place``."""
        ...

    @property
    def abandoned(self) -> deque[AsyncGenerator[Any, None]]:
        """Generators that the garbage collector has found unfinished, to be closed where it does no harm to wait.
        Empty in worlds that close them by themselves."""
        ...

    def now(self) -> float:
        """Seconds on a clock that only goes forward."""
        ...

    def wall(self) -> float:
        """Seconds since 1970 by the clock on the wall, which is the same for all programs of a machine."""
        ...

    async def connect(
        self, host: str, port: int, deadline: float, network: Network | None = None, proxy: Proxy | None = None
    ) -> Stream:
        """Connect to the first address of ``host`` that answers, IPv6 and IPv4 side by side (RFC 8305), or as
        ``network`` says, or through ``proxy``. Raises ``ConnectionFailed`` when the proxy refuses."""
        ...

    async def connect_unix(self, path: str, deadline: float) -> Stream:
        """Connect to a unix socket."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...

    def mutex(self, rank: Rank) -> AbstractContextManager[object]:
        """A lock for moments: nothing waits while it is held. ``rank`` says which locks may be taken inside."""
        ...

    @property
    def is_ending(self) -> bool:
        """Whether the program has begun to end, so that no new thread may be had for work (Python 3.12 and later)."""
        ...

    def caller(self) -> Hashable:
        """Who is at work: the thread, or the task."""
        ...

    def condition(self, rank: Rank) -> Condition:
        """A new lock with a waiting room; ``rank`` as for ``mutex``."""
        ...

    def bell(self) -> Bell:
        """A new bell."""
        ...

    def spawn(self, coroutine: Coroutine[Any, Any, T], name: str) -> Task[T]:
        """Let ``coroutine`` run beside this one: in a thread that does not keep the program from ending, or a task.
        Raises ``OSError`` when no thread can be started."""
        ...

    async def offload(self, function: Callable[[], T]) -> T:
        """Call a function that blocks for a moment (files, databases) so that only this caller waits for it. It is
        called to its end also when the caller is cancelled."""
        ...

    async def run_program(self, command: Sequence[str], chunks: Iterable[bytes], deadline: float) -> Ended:
        """Run a program, without a shell, with ``chunks`` as its input. It is killed, with those that it has started,
        at the deadline, or when ``chunks`` or the caller is interrupted: always before it could take the input for
        ended. Raises ``OSError`` when it cannot be started."""
        ...

    def play(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Play a core coroutine to its end where nobody can ``await``, in worlds that can. Raises ``ConfigError`` in
        others."""
        ...

    def at_exit(self, work: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
        """Have ``work`` done when the program ends, while its threads still run; returns what takes that back. Worlds
        that cancel their tasks at the end do nothing here. Raises ``OSError`` when no thread can be started."""
        ...

    async def call(self, function: Callable[[], T | Awaitable[T]], deadline: float, *, in_place: bool = False) -> T:
        """Call a function that may block or hang (a user's, key derivation) in a thread of its own, so that only this
        caller waits for it; it may return an awaitable in worlds that can wait for one. Raises ``TimeoutError`` at the
        deadline, and the function goes on then, without keeping the program from its end. ``in_place`` asks for the
        thread of the caller, and for no deadline, in worlds that block."""
        ...


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
