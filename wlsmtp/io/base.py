"""The I/O seam: the interface of everything that waits, and nothing else.

The core is written once, as ``async def`` over these protocols. With asyncio their methods suspend; when blocking they
block and never suspend, so that ``io.blocking.run`` runs any core coroutine to its end in one step. Failures are the
builtin ones (``OSError``, ``TimeoutError``), and ``TLSError`` from ``start_tls``; the caller knows the stage and adds
the rest. Deadlines are absolute, on the clock of ``IO.now``.
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
"""Octets requested per read."""
MAX_UNREAD = 8 * 1024 * 1024
"""Octets of replies that are kept while nobody reads. A server that cannot send its replies stops reading, and both
sides would wait for ever. They are the replies to some 100,000 recipients."""
ATTEMPT_DELAY = 0.25
"""Seconds until the next address is tried in parallel with a slow one (RFC 8305 §5)."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The result of running a program."""

    status: int | None
    """The exit status, negative for the signal that ended it; None if it was killed at the deadline."""
    was_fed: bool
    """True if it received all of its input, and the end of it."""
    output: bytes
    """The end of its output on either stream."""


class Stream(Protocol):
    """One connection's bytes, both ways. One sender at a time reads and one writes; they may be different senders.

    A stream belongs to the process and event loop that made it. Elsewhere, reading, writing and securing raise
    ``ConfigError``, and closing only releases the descriptor: in a forked child the server sees nothing, and the parent
    continues.
    """

    tls: TLSInfo | None
    sent: int
    """Octets passed to the network so far; of a failed write, those that may have been sent."""
    keeps_unread: bool
    """True if a ``read`` that was interrupted from outside has certainly consumed nothing."""

    @property
    def local_ip(self) -> str | None:
        """The address of this end. None if it says nothing about the server: for a unix socket, and behind a proxy or a
        connector."""
        ...

    def has_input(self) -> bool:
        """Return whether the server sent or did anything that was not read: on an idle connection, the end of it.

        Over TLS it may be a record without data, such as a session ticket.
        """
        ...

    async def read(self, deadline: float) -> bytes:
        """Return the next bytes; ``b""`` when the server has closed."""
        ...

    async def write(self, data: bytes | memoryview, deadline: float) -> None:
        """Pass ``data`` to the network."""
        ...

    async def start_tls(self, settings: TLS, server_hostname: str, deadline: float) -> None:
        """Secure the connection. Raises ``TLSError``, but ``OSError`` if the connection was lost meanwhile."""
        ...

    def keep_tls_session(self) -> None:
        """Let a later connection resume the TLS session of this one. Call it once the server has sent data over TLS: in
        TLS 1.3 session tickets come after the handshake (RFC 8446 §4.6.1)."""
        ...

    async def close(self) -> None:
        """Close the connection at once; never raises."""
        ...

    def abort(self) -> None:
        """Abort the connection at once, without waiting for anything."""
        ...


class Condition(Protocol):
    """A lock, held with ``async with``, whose holders can wait to be woken."""

    async def __aenter__(self) -> None:
        """Acquire the lock."""
        ...

    async def __aexit__(self, *_: object) -> None:
        """Release the lock."""
        ...

    async def wait(self, deadline: float) -> None:
        """Release the lock, and acquire it again once woken. Raises ``TimeoutError`` at the deadline."""
        ...

    def notify_all(self) -> None:
        """Wake all waiters."""
        ...


class Bell(Protocol):
    """Wakes one waiter. It is not a lock, so an interrupt cannot leave anything held."""

    def ring(self) -> None:
        """Wake the waiter, or the next one to wait. Ringing twice before that counts once."""
        ...

    async def wait(self, deadline: float) -> None:
        """Wait until it is rung, or return at once if it was rung since the last wait. Raises ``TimeoutError`` at the
        deadline."""
        ...


class Task(Protocol[T_co]):
    """Work that runs in parallel with its creator."""

    @property
    def is_done(self) -> bool:
        """True if it has ended, however."""
        ...

    async def join(self, deadline: float) -> None:
        """Wait until it has ended, however. Raises ``TimeoutError`` at the deadline, while the work continues. The work
        itself does not wait for its own end."""
        ...

    async def wait(self, deadline: float) -> T_co:
        """Return what the work returned, or raise the exception that ended it. Raises ``TimeoutError`` at the deadline,
        while the work continues."""
        ...

    def cancel(self) -> None:
        """Cancel the work where it waits, if possible. A thread runs to its end, and must learn by other means that it
        is not needed."""
        ...


class IO(Protocol):
    """The I/O of one kind of session: blocking or asyncio."""

    def here(self) -> Place:
        """Return the process and event loop of the caller. Objects of another one must not be used: see
        ``io.place``."""
        ...

    @property
    def abandoned(self) -> deque[AsyncGenerator[Any, None]]:
        """Generators that the garbage collector found unfinished, to be closed where waiting does no harm. Empty under
        asyncio, which closes them itself."""
        ...

    def now(self) -> float:
        """Return seconds on a monotonic clock."""
        ...

    def clock(self) -> Callable[[], float]:
        """Return the function behind ``now``, for what reads the clock several times in one place: finding the running
        event loop takes longer than reading its clock."""
        ...

    def unix_time(self) -> float:
        """Return seconds since 1970, the same for all programs of a machine."""
        ...

    async def connect(
        self, host: str, port: int, deadline: float, network: Network | None = None, proxy: Proxy | None = None
    ) -> Stream:
        """Connect to the first address of ``host`` that answers, IPv6 and IPv4 in parallel (RFC 8305), or as
        ``network`` says, or through ``proxy``. Raises ``ConnectionFailed`` if the proxy refuses."""
        ...

    async def connect_unix(self, path: str, deadline: float) -> Stream:
        """Connect to a unix socket."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait for ``seconds``."""
        ...

    async def readable(self, fileno: int, deadline: float) -> bool:
        """Wait until a descriptor can be read; return False if that is not so before ``deadline``."""
        ...

    def mutex(self, rank: Rank) -> AbstractContextManager[object]:
        """Return a lock for short critical sections: nothing waits while it is held. ``rank`` says which locks may be
        taken inside."""
        ...

    @property
    def is_ending(self) -> bool:
        """True if the program has begun to exit, so that no new thread may be started for work (Python 3.12 and
        later)."""
        ...

    @property
    def is_over(self) -> bool:
        """True if the caller is run by ``atexit``: all other threads that count have ended, and nothing is done after
        it."""
        ...

    def caller(self) -> Hashable:
        """Return the identity of the running thread or task."""
        ...

    def condition(self, rank: Rank) -> Condition:
        """Return a new condition; ``rank`` as for ``mutex``."""
        ...

    def bell(self) -> Bell:
        """Return a new bell."""
        ...

    def spawn(self, coroutine: Coroutine[Any, Any, T], name: str) -> Task[T]:
        """Run ``coroutine`` in parallel: in a daemon thread, or a task. Raises ``OSError`` if no thread can be
        started."""
        ...

    async def run_in_thread(self, function: Callable[[], T]) -> T:
        """Call a function that blocks briefly (files, databases) so that only this caller waits for it. It runs to its
        end even if the caller is cancelled: the cancellation is raised after the function has returned."""
        ...

    async def run_program(self, command: Sequence[str], chunks: Iterable[bytes], deadline: float) -> Ended:
        """Run a program, without a shell, with ``chunks`` as its input. It is killed, with its child processes, at the
        deadline, or when ``chunks`` or the caller is interrupted, and always before it could take its input as
        complete. Raises ``OSError`` if it cannot be started."""
        ...

    def run_blocking(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a core coroutine to its end where the caller cannot ``await``. Raises ``ConfigError`` under asyncio."""
        ...

    def at_exit(self, work: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
        """Run ``work`` when the program exits, while its threads still run; returns a function that cancels that. Does
        nothing under asyncio, which cancels its tasks at the end. Raises ``OSError`` if no thread can be started."""
        ...

    async def call(self, function: Callable[[], T | Awaitable[T]], deadline: float, *, in_place: bool = False) -> T:
        """Call a function that may block or hang (a user's function, key derivation) in a thread of its own, so that
        only this caller waits for it. It may return an awaitable under asyncio. Raises ``TimeoutError`` at the
        deadline, while the function continues without delaying the exit of the program. ``in_place`` runs it in the
        caller's thread, without a deadline, when blocking."""
        ...


def interleave(addresses: Iterable[tuple[int, object]]) -> list[tuple[int, object]]:
    """Reorder addresses, as (family, address), so that families alternate, the first family first (RFC 8305 §4)."""
    families: dict[int, list[tuple[int, object]]] = {}
    for address in addresses:
        families.setdefault(address[0], []).append(address)
    ordered: list[tuple[int, object]] = []
    queues = list(families.values())
    while any(queues):
        ordered.extend(queue.pop(0) for queue in queues if queue)
    return ordered
