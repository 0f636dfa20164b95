"""The blocking world: sockets that block, locks of threads; its coroutines never suspend."""

from __future__ import annotations

import errno
import os
import selectors
import socket
import ssl
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, TypeVar, cast

from wlsmtp.errors import ConfigError, Stage
from wlsmtp.io.base import ATTEMPT_DELAY, READ_SIZE, TLSInfo, interleave
from wlsmtp.io.readiness import is_readable
from wlsmtp.io.tls import handshake_error, inspect, make_context

if TYPE_CHECKING:
    from wlsmtp.config import TLS

T = TypeVar("T")


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Play a core coroutine to its end: over blocking I/O it never suspends, so one step does it."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return cast(T, end.value)
    coroutine.close()
    raise RuntimeError("a coroutine of the blocking world was suspended")


class BlockingStream:
    """A connected socket."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self.tls: TLSInfo | None = None

    @property
    def local_ip(self) -> str | None:
        """The address of this end; None for a unix socket."""
        if self._socket.family not in (socket.AF_INET, socket.AF_INET6):
            return None
        return cast(str, self._socket.getsockname()[0])

    def has_input(self) -> bool:
        """Looks into the socket's buffer without waiting."""
        if isinstance(self._socket, ssl.SSLSocket) and self._socket.pending():
            return True
        return is_readable(self._socket.fileno())

    async def read(self, deadline: float) -> bytes:
        """See ``Stream.read``."""
        self._socket.settimeout(_remaining(deadline))
        return self._socket.recv(READ_SIZE)

    async def write(self, data: bytes, deadline: float) -> None:
        """See ``Stream.write``; the deadline holds for the whole of ``data``."""
        self._socket.settimeout(_remaining(deadline))
        self._socket.sendall(data)

    async def start_tls(self, settings: TLS, server_hostname: str, deadline: float) -> None:
        """See ``Stream.start_tls``."""
        context = make_context(settings)
        self._socket.settimeout(_remaining(deadline))
        try:
            # The plain socket is detached by wrap_socket, so the handshake comes after the assignment: a failure
            # must find the socket that is to be closed.
            self._socket = secured = context.wrap_socket(
                self._socket, server_hostname=server_hostname, do_handshake_on_connect=False
            )
            secured.do_handshake()
        except TimeoutError:
            raise
        except (OSError, ValueError) as error:
            raise handshake_error(error, server_hostname) from error
        self.tls = inspect(secured, settings)

    async def close(self) -> None:
        """See ``Stream.close``."""
        self.abort()

    def abort(self) -> None:
        """See ``Stream.abort``."""
        with suppress(OSError):
            self._socket.close()


class BlockingCondition:
    """A condition of threads."""

    def __init__(self) -> None:
        self._condition = threading.Condition()

    @asynccontextmanager
    async def _held(self) -> AsyncIterator[None]:
        with self._condition:
            yield

    def __call__(self) -> AbstractAsyncContextManager[None]:
        """Hold the lock."""
        return self._held()

    async def wait(self, deadline: float) -> None:
        """See ``Condition.wait``."""
        if not self._condition.wait(_remaining(deadline)):
            raise TimeoutError

    def notify_all(self) -> None:
        """See ``Condition.notify_all``."""
        self._condition.notify_all()


class BlockingIO:
    """The world of threads."""

    def now(self) -> float:
        """The monotonic clock."""
        return time.monotonic()

    async def connect(self, host: str, port: int, deadline: float) -> BlockingStream:
        """See ``IO.connect``."""
        return BlockingStream(_race(_resolve(host, port, deadline), deadline))

    async def connect_unix(self, path: str, deadline: float) -> BlockingStream:
        """See ``IO.connect_unix``."""
        sock = socket.socket(socket.AF_UNIX)
        try:
            sock.settimeout(_remaining(deadline))
            sock.connect(path)
        except BaseException:
            sock.close()
            raise
        return BlockingStream(sock)

    async def sleep(self, seconds: float) -> None:
        """Sleeps in this thread."""
        time.sleep(seconds)  # noqa: ASYNC251 - to block is what this world is for

    def condition(self) -> BlockingCondition:
        """A condition of threads."""
        return BlockingCondition()

    async def call(self, function: Callable[[], T | Awaitable[T]], deadline: float) -> T:
        """See ``IO.call``; an awaitable is a ``ConfigError`` here, as nothing could wait for it."""
        result = function()
        if not isawaitable(result):
            return result
        if isinstance(result, Coroutine):
            result.close()
        hint = "Use AsyncSMTPSession, or give a function that returns the token itself"
        raise ConfigError("token: an async function cannot be used by SMTPSession.", stage=Stage.AUTH, hint=hint)


def _remaining(deadline: float) -> float:
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise TimeoutError
    return seconds


def _resolve(host: str, port: int, deadline: float) -> list[tuple[int, Any]]:
    """The addresses of a name. The system's resolver knows no deadline, so it runs in a thread that is left behind."""
    found: list[Any] = []

    def look_up() -> None:
        try:
            found.append(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            found.append(error)

    with suppress(OSError):
        found.append(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST))
    if not found:
        thread = threading.Thread(target=look_up, name="wlsmtp-resolver", daemon=True)
        thread.start()
        thread.join(_remaining(deadline))
    if not found:
        raise TimeoutError
    if isinstance(found[0], Exception):
        raise found[0]
    return interleave((family, address) for family, _, _, _, address in found[0])


def _race(addresses: list[tuple[int, Any]], deadline: float) -> socket.socket:
    """Connect to the addresses, one more every quarter of a second, and keep the first that answers (RFC 8305 §5)."""
    waiting = list(addresses)
    failure: OSError = OSError(errno.EADDRNOTAVAIL, "no address")
    with selectors.DefaultSelector() as selector:
        try:
            while waiting or selector.get_map():
                if waiting:
                    failure = _begin(selector, *waiting.pop(0)) or failure
                patience = min(_remaining(deadline), ATTEMPT_DELAY) if waiting else _remaining(deadline)
                for key, _ in selector.select(patience) if selector.get_map() else ():
                    selector.unregister(key.fileobj)
                    sock = cast(socket.socket, key.fileobj)
                    if not (code := sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)):
                        return sock
                    failure = OSError(code, os.strerror(code))
                    sock.close()
        finally:
            for key in list(selector.get_map().values()):
                cast(socket.socket, key.fileobj).close()
    raise failure


def _begin(selector: selectors.BaseSelector, family: int, address: Any) -> OSError | None:
    """Start one connection; return what failed at once."""
    try:
        sock = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        return error
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    code = sock.connect_ex(address)
    if code in (0, errno.EINPROGRESS, errno.EWOULDBLOCK):
        selector.register(sock, selectors.EVENT_WRITE)
        return None
    sock.close()
    return OSError(code, os.strerror(code))
