"""The blocking I/O seam: blocking sockets and thread locks; its coroutines never suspend."""

from __future__ import annotations

import errno
import os
import socket
import threading
import time
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterable, Sequence
from contextlib import AbstractContextManager, suppress
from functools import partial
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from wlsmtp.errors import ConfigError, Stage
from wlsmtp.events import nobody_called
from wlsmtp.io.aside import call_aside
from wlsmtp.io.base import MAX_UNREAD, READ_SIZE, Ended
from wlsmtp.io.dialing import dial, dial_through, remaining
from wlsmtp.io.engine import RECORD, OutgoingRecords, TLSEngine
from wlsmtp.io.exit_hooks import exit_hooks
from wlsmtp.io.order import CheckedMutex, Rank, order
from wlsmtp.io.place import Place
from wlsmtp.io.readiness import Readable, wait_until_ready, yield_processor
from wlsmtp.io.sockets import Connecting, check_injected, tune
from wlsmtp.io.steps import held
from wlsmtp.io.steps import run as run
from wlsmtp.io.thread import start_thread
from wlsmtp.io.tls import keep_session, secure
from wlsmtp.results.secured import TLSInfo
from wlsmtp.settings.network import Network, Proxy

if TYPE_CHECKING:
    from wlsmtp.settings.config import TLS

T = TypeVar("T")

BATCH = 4 * RECORD
"""Octets of plain text encrypted at a time."""
MOMENT = 100e-6
"""Seconds within which an answer counts as prompt: less than it takes to block and wake up twice."""
PATIENCE = 0.5
"""Seconds after which a blocked write checks again whether anybody reads."""


class BlockingStream:
    """A connected socket. One thread may read while another writes."""

    keeps_unread = False
    """An interrupt may fall between the system call and storing its result."""

    def __init__(self, sock: socket.socket, *, is_direct: bool = True) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._readable = Readable(sock)
        self._process = os.getpid()
        self._is_direct = is_direct
        # OpenSSL allows one call at a time per connection; two readers would also mix up the data.
        self._lock = threading.Lock()
        self._engine: TLSEngine | None = None
        self._records = OutgoingRecords()
        self._wants_input = False
        """True if TLS can send nothing before something was received."""
        self._inbox: deque[bytes] = deque()
        self._unread = 0
        self._is_read = False
        self._is_prompt = False
        self.sent: int = 0
        self.tls: TLSInfo | None = None

    @property
    def local_ip(self) -> str | None:
        if not self._is_direct or self._socket.family not in (socket.AF_INET, socket.AF_INET6):
            return None
        return cast(str, self._socket.getsockname()[0])

    def has_input(self) -> bool:
        """Checks the socket's buffer without waiting."""
        return bool(self._inbox) or self._has_ended or self._readable.within(0.0)

    async def read(self, deadline: float) -> bytes:
        if self._process != os.getpid():
            raise self._elsewhere()
        self._is_read = True
        try:
            while True:
                with self._lock:
                    if self._inbox:
                        return self._take()
                    data = self._receive() if self._engine is not None and self._engine.has_ended else None
                if data is not None:
                    return data
                self._wait(deadline)
                with self._lock:
                    if not self._inbox and (data := self._receive()) is not None:
                        return data
        finally:
            self._is_read = False

    async def write(self, data: bytes | memoryview, deadline: float) -> None:
        """Write ``data``; the deadline applies to all of it."""
        if self._process != os.getpid():
            raise self._elsewhere()
        view = memoryview(data)
        while view:
            piece = view[:BATCH] if self._engine else view
            before = self.sent
            # All of it may be sent, and another thread may read the reply, before this thread runs again.
            self.sent = before + len(piece)
            try:
                with self._lock:
                    count = self._send(piece)
            except OSError:
                self.sent = before
                raise
            self.sent = before + count
            view = view[count:]
            if view and not count:
                self._wait_to_write(deadline)

    async def start_tls(self, settings: TLS, server_hostname: str, deadline: float) -> None:
        if self._process != os.getpid():
            raise self._elsewhere()
        engine, tls = await secure(self, settings, server_hostname, deadline)
        with self._lock:
            # What came while the end of the handshake was written is not plain text.
            data = self._decrypt(engine, b"".join(self._inbox))
            self._inbox = deque([data] if data else [])
            self._unread = len(data)
            self._engine = engine
        self.tls = tls

    def keep_tls_session(self) -> None:
        assert self._engine is not None
        with self._lock:
            keep_session(self._engine.object)

    async def close(self) -> None:
        """Close the connection; nobody may use the stream any more."""
        if self._process == os.getpid():
            self.abort()
        with suppress(OSError):
            self._socket.close()

    def abort(self) -> None:
        """Abort the connection. This wakes a thread that waits for the socket, and leaves the rest to ``close``: the
        descriptor of a closed socket may belong to another one before that thread checks it."""
        if self._process != os.getpid():  # the connection continues in the process that forked
            self._socket.close()
            return
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    @property
    def _has_ended(self) -> bool:
        """True if the server has ended TLS, which the socket does not show."""
        return self._engine is not None and self._engine.has_ended

    def _elsewhere(self) -> ConfigError:
        return Place(self._process).error("A connection")

    def _take(self) -> bytes:
        """Return the oldest of the data that was kept."""
        data = self._inbox.popleft()
        self._unread -= len(data)
        return data

    def _receive(self) -> bytes | None:
        """Return what was received; None if nothing was."""
        engine = self._engine
        if engine is not None and engine.has_ended:
            if engine.failure is not None:
                raise engine.failure
            return b""
        try:
            data = self._socket.recv(READ_SIZE)
        except BlockingIOError:
            return None
        if engine is None or not data:
            return data
        return self._decrypt(engine, data) or (self._receive() if engine.has_ended else None)

    def _decrypt(self, engine: TLSEngine, octets: bytes) -> bytes:
        data = engine.decrypt(octets)
        if answer := engine.take():
            is_free = not self._records.unsent
            self._records.add(answer)
            if is_free:
                with suppress(OSError):  # the next write continues with it, or fails
                    self._records.sent(self._socket.send(answer))
        return data

    def _send(self, view: memoryview) -> int:
        """Send what the network accepts now and return how many octets. The next call continues with the rest."""
        try:
            if self._engine is None:
                return self._socket.send(view)
            if not self._records.unsent:
                self._records.encrypt(self._engine, view)
            self._wants_input = not self._records.unsent
            return self._records.sent(self._socket.send(self._records.unsent))
        except BlockingIOError:
            return 0

    def _wait(self, deadline: float) -> None:
        """Wait for input. While the server answers promptly, spin for that time: blocking and waking up takes longer
        than such an answer, and an idle processor resumes at half its speed."""
        if order.is_checked:
            order.wait(threading.get_ident())
        began = now = time.monotonic()
        was_prompt = self._is_prompt
        while self._is_prompt:
            if self._readable.within(0.0):
                return
            yield_processor()
            now = time.monotonic()
            self._is_prompt = now - began < MOMENT
        # After the deadline, check once more: what has arrived may say that a message was delivered.
        if not self._readable.within(max(0.0, deadline - now)):
            raise TimeoutError
        self._is_prompt = not was_prompt and time.monotonic() - began < MOMENT

    def _wait_to_write(self, deadline: float) -> None:
        """Wait until the network accepts more. Keep what the server sends meanwhile, unless another thread reads it. A
        server that cannot send its replies would stop reading, and both sides would wait for ever."""
        listening = not self._is_read and self._unread < MAX_UNREAD
        seconds = remaining(deadline) if listening else min(remaining(deadline), PATIENCE)
        ready = wait_until_ready(self._socket.fileno(), seconds, reading=listening, writing=not self._wants_input)
        if not any(ready) and listening:
            raise TimeoutError
        if ready[0] and not ready[1]:
            with self._lock:
                data = None if self._is_read else self._receive()
                if data:
                    self._inbox.append(data)
                    self._unread += len(data)
                elif data is not None:
                    raise ConnectionResetError(errno.ECONNRESET, "the server closed the connection")


class BlockingCondition:
    """A condition of threads."""

    def __init__(self, rank: Rank) -> None:
        self._rank = rank
        self._condition = threading.Condition()

    async def __aenter__(self) -> None:
        if order.is_checked:
            order.take(threading.get_ident(), self._rank)
        held.locks.append(self)
        self._condition.acquire()

    async def __aexit__(self, *_: object) -> None:
        self._condition.release()
        held.locks.pop()
        order.leave(threading.get_ident(), self._rank)

    def release(self) -> None:
        """Release it if this thread still holds it after an interrupt."""
        with suppress(RuntimeError):  # not acquired yet, or released already
            self._condition.release()
        order.leave(threading.get_ident(), self._rank)

    async def wait(self, deadline: float) -> None:
        order.wait(threading.get_ident(), self._rank)
        if not self._condition.wait(remaining(deadline)):
            raise TimeoutError

    def notify_all(self) -> None:
        self._condition.notify_all()


class BlockingBell:
    """A lock that is free when the bell was rung: a single call into C, which no interrupt can split."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def ring(self) -> None:
        with suppress(RuntimeError):  # already rung
            self._lock.release()

    async def wait(self, deadline: float) -> None:
        seconds = min(max(0.0, deadline - time.monotonic()), threading.TIMEOUT_MAX)
        if not self._lock.acquire(timeout=seconds):
            raise TimeoutError


class BlockingTask(Generic[T]):
    """A thread that runs one coroutine."""

    def __init__(self, coroutine: Coroutine[Any, Any, T], name: str) -> None:
        self._coroutine = coroutine
        self._result: T | None = None
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._play, name=name, daemon=True)
        try:
            start_thread(self._thread)
        except (RuntimeError, KeyError) as error:
            if error.__context__ is not None:  # threading's own, which fails on what an interrupt left half done
                raise error.__context__ from None
            coroutine.close()  # too many threads, or the interpreter is shutting down
            raise OSError(errno.EAGAIN, str(error)) from error

    def _play(self) -> None:
        nobody_called.set(True)
        try:
            self._result = run(self._coroutine)
        except BaseException as failure:
            self._failure = failure

    @property
    def is_done(self) -> bool:
        return not self._thread.is_alive()

    async def wait(self, deadline: float) -> T:
        await self.join(deadline)
        if self._failure is not None:
            raise self._failure
        return cast(T, self._result)

    async def join(self, deadline: float) -> None:
        if self._thread is threading.current_thread():
            return
        order.wait(threading.get_ident())
        self._thread.join(max(0.0, deadline - time.monotonic()))
        if self._thread.is_alive():
            raise TimeoutError

    def cancel(self) -> None:
        """Do nothing: a thread cannot be interrupted."""


class BlockingIO:
    """The I/O of threads."""

    _here = Place(os.getpid())

    def here(self) -> Place:
        """Return this process."""
        if self._here.process != os.getpid():
            BlockingIO._here = Place(os.getpid())
        return self._here

    now: staticmethod[[], float] = staticmethod(time.monotonic)
    """The monotonic clock, which is read several times per message."""

    def __init__(self) -> None:
        self.abandoned: deque[AsyncGenerator[Any, None]] = deque()
        """Unfinished generators; see ``IO.abandoned``."""

    def clock(self) -> Callable[[], float]:
        """Return the monotonic clock."""
        return self.now

    def unix_time(self) -> float:
        return time.time()

    async def connect(
        self, host: str, port: int, deadline: float, network: Network | None = None, proxy: Proxy | None = None
    ) -> BlockingStream:
        network = network or Network()
        if network.connector is not None:
            connecting = Connecting(partial(network.connector, host, port))
            try:
                sock = check_injected(call_aside(connecting, remaining(deadline)))
            except BaseException:
                connecting.give_up()
                raise
            tune(sock, network)
        elif proxy is not None:
            sock = dial_through(proxy, host, port, network, deadline)
        else:
            return BlockingStream(dial(host, port, network, deadline))
        return BlockingStream(sock, is_direct=False)

    async def connect_unix(self, path: str, deadline: float) -> BlockingStream:
        sock = socket.socket(socket.AF_UNIX)
        try:
            sock.settimeout(remaining(deadline))
            sock.connect(path)
        except BaseException:
            sock.close()
            raise
        return BlockingStream(sock)

    async def sleep(self, seconds: float) -> None:
        """Sleep in this thread."""
        order.wait(threading.get_ident())
        time.sleep(seconds)  # noqa: ASYNC251 - blocking is intended here

    async def readable(self, fileno: int, deadline: float) -> bool:
        """Wait in this thread."""
        order.wait(threading.get_ident())
        return wait_until_ready(fileno, max(0.0, deadline - self.now()))[0]

    def mutex(self, rank: Rank) -> AbstractContextManager[object]:
        """Return a lock of threads."""
        lock = threading.Lock()
        return CheckedMutex(rank, threading.get_ident, lock) if order.is_checked else lock

    @property
    def is_ending(self) -> bool:
        return not threading.main_thread().is_alive()

    @property
    def is_over(self) -> bool:
        main = threading.main_thread()
        return threading.current_thread() is main and not main.is_alive()

    caller: staticmethod[[], int] = staticmethod(threading.get_ident)
    """Return the current thread."""

    def condition(self, rank: Rank) -> BlockingCondition:
        """Return a condition of threads."""
        return BlockingCondition(rank)

    def bell(self) -> BlockingBell:
        """Return a bell for a thread."""
        return BlockingBell()

    def spawn(self, coroutine: Coroutine[Any, Any, T], name: str) -> BlockingTask[T]:
        """Start a thread."""
        return BlockingTask(coroutine, name)

    async def run_in_thread(self, function: Callable[[], T]) -> T:
        """Call ``function`` directly: this thread may wait."""
        return function()

    async def run_program(self, command: Sequence[str], chunks: Iterable[bytes], deadline: float) -> Ended:
        from wlsmtp.io.process import run_program

        return run_program(command, chunks, deadline)

    def run_blocking(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return run(coroutine)

    def at_exit(self, work: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
        return exit_hooks.add(lambda: run(work()))

    async def call(self, function: Callable[[], T | Awaitable[T]], deadline: float, *, in_place: bool = False) -> T:
        """Call ``function``; an awaitable is a ``ConfigError`` here, as nothing could wait for it."""
        result = function() if in_place else call_aside(function, remaining(deadline))
        if not isawaitable(result):
            return result
        if isinstance(result, Coroutine):
            result.close()
        hint = "Use AsyncSMTPSession, or give a function that is not async"
        raise ConfigError("An async function cannot be used by SMTPSession", stage=Stage.SETTINGS, hint=hint)
