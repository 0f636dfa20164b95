"""The I/O seam for asyncio. It uses its own protocol object instead of asyncio's streams, at half the time per
message."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Hashable, Iterable, Sequence
from contextlib import AbstractContextManager, suppress
from functools import partial
from inspect import isawaitable, iscoroutinefunction
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from wlsmtp.errors import ConfigError, Stage
from wlsmtp.io.aio_aside import await_aside
from wlsmtp.io.aio_dialing import dial, dial_through
from wlsmtp.io.aio_end import close_with_loop
from wlsmtp.io.aio_prompt import Prompt
from wlsmtp.io.aio_wire import Wire, wake, within
from wlsmtp.io.base import Ended
from wlsmtp.io.order import CheckedMutex, Rank, order
from wlsmtp.io.place import Place
from wlsmtp.io.readiness import Readable
from wlsmtp.io.sockets import Connecting, check_injected, tune
from wlsmtp.io.tls import keep_session, secure
from wlsmtp.results.secured import TLSInfo
from wlsmtp.settings.network import Network, Proxy

if TYPE_CHECKING:
    from wlsmtp.io.engine import TLSEngine
    from wlsmtp.settings.config import TLS

T = TypeVar("T")


MOMENT = 0.05
"""Seconds for the loop to read what is waiting in a socket."""


class AsyncioStream:
    """A connected asyncio transport. One task may read while another writes."""

    keeps_unread = True
    """A task is cancelled only where it waits; what arrived meanwhile stays in the wire."""

    def __init__(
        self, transport: asyncio.Transport, wire: Wire, sock: socket.socket, *, is_direct: bool = True
    ) -> None:
        """``sock`` is the socket of the transport."""
        self.sent: int = 0
        self._socket = sock
        self._readable = Readable(sock)
        self._prompt = Prompt(transport, wire, sock, self._readable)
        self._transport = transport
        self._wire = wire
        self._place = _here()
        self._is_direct = is_direct
        self.tls: TLSInfo | None = None
        close_with_loop(self)

    @property
    def local_ip(self) -> str | None:
        sock = self._transport.get_extra_info("socket")
        if not self._is_direct or sock is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
            return None
        return cast(str, sock.getsockname()[0])

    def has_input(self) -> bool:
        """Also checks the socket itself: a loop that did not run since knows nothing new."""
        if self._wire.received or self._wire.ended:
            return True
        return self._readable.within(0.0)

    async def read(self, deadline: float) -> bytes:
        self._check_place()
        wire = self._wire
        while not wire.received and not wire.ended:
            began = time.monotonic()
            if self._prompt.take(began):
                continue
            try:
                await wire.until_received(deadline)
                self._prompt.waited(began)
            except TimeoutError:
                # After the deadline, check once more: what has arrived may say that a message was delivered.
                if not self.has_input():
                    raise
                await wire.until_received(asyncio.get_running_loop().time() + MOMENT)
        if wire.received:
            return wire.take()
        if wire.failure is not None:
            raise wire.lost()
        return b""

    async def write(self, data: bytes | memoryview, deadline: float) -> None:
        """Write ``data``; waits while more is buffered than the transport wants to hold."""
        self._check_place()
        if self._wire.closed.done() or self._transport.is_closing():
            raise self._wire.lost()
        engine = self._wire.engine
        octets = data if engine is None else await self._encrypt(engine, data, deadline)
        before = self.sent
        # What the transport buffers may be sent at any moment, so it counts as sent; and what raises inside write, such
        # as the handler of a signal, may do so behind the system call.
        self.sent = before + len(data)
        self._transport.write(octets)
        if self._transport.is_closing():
            await asyncio.sleep(0)
            # The network accepted nothing of it, and asyncio reports that only to the protocol.
            if isinstance(self._wire.failure, OSError):
                self.sent = before
            raise self._wire.lost()
        while self._wire.paused:
            await self._wire.until_resumed(deadline)
            if self._wire.closed.done():
                raise self._wire.lost()

    async def _encrypt(self, engine: TLSEngine, data: bytes | memoryview, deadline: float) -> bytes:
        """Return the octets to be sent, once TLS can send any."""
        while not (octets := engine.encrypt(data)) and data:
            await self._wire.until_resumed(deadline)
            if self._wire.closed.done():
                raise self._wire.lost()
        return octets

    async def start_tls(self, settings: TLS, server_hostname: str, deadline: float) -> None:
        self._check_place()
        engine, self.tls = await secure(self, settings, server_hostname, deadline)
        self._wire.secure(engine)

    def keep_tls_session(self) -> None:
        assert self._wire.engine is not None
        keep_session(self._wire.engine.object)

    async def close(self) -> None:
        """Close the connection and wait until asyncio has released the socket."""
        self.abort()
        if not self._wire.closed.done() and self._place == _here():
            await asyncio.wait([self._wire.closed], timeout=1)

    def abort(self) -> None:
        if self._wire.closed.done():  # asyncio fails on a transport that is aborted after its end
            return
        if self._place.is_gone:  # the loop is not available, and a parent continues over its own descriptor
            self._socket.close()
            with suppress(AttributeError):  # asyncio's own transports would warn that they were not closed
                self._transport._sock = None  # type: ignore[attr-defined]
        elif self._place == _here():
            self._transport.abort()
        else:
            self._place.loop.call_soon_threadsafe(self.abort)

    def _check_place(self) -> None:
        if asyncio._get_running_loop() is not self._place.loop or os.getpid() != self._place.process:
            raise self._place.error("A connection")


def _caller() -> Hashable:
    """Return the task, or the thread if no task is running."""
    try:
        return asyncio.current_task()
    except RuntimeError:
        return threading.get_ident()


class AsyncioCondition:
    """A condition of tasks."""

    def __init__(self, rank: Rank) -> None:
        self._rank = rank
        self._condition = asyncio.Condition()

    async def __aenter__(self) -> None:
        if order.is_checked:
            order.take(_caller(), self._rank)
        try:
            await self._condition.acquire()
        except BaseException:
            order.leave(_caller(), self._rank)
            raise

    async def __aexit__(self, *_: object) -> None:
        self._condition.release()
        order.leave(_caller(), self._rank)

    async def wait(self, deadline: float) -> None:
        order.wait(_caller(), self._rank)
        async with asyncio.timeout_at(deadline):
            await self._condition.wait()

    def notify_all(self) -> None:
        self._condition.notify_all()


class AsyncioBell:
    """A bell for a task of the same loop."""

    def __init__(self) -> None:
        self._is_rung = False
        self._waiter: asyncio.Future[None] | None = None

    def ring(self) -> None:
        self._is_rung = True
        wake(self._waiter)

    async def wait(self, deadline: float) -> None:
        if not self._is_rung:
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await within(self._waiter, deadline)
            finally:
                self._waiter = None
        self._is_rung = False


class AsyncioTask(Generic[T]):
    """A task of the event loop."""

    def __init__(self, coroutine: Coroutine[Any, Any, T], name: str) -> None:
        self._task = asyncio.get_running_loop().create_task(coroutine, name=name)

    @property
    def is_done(self) -> bool:
        return self._task.done()

    async def join(self, deadline: float) -> None:
        if self._task is asyncio.current_task():
            return
        order.wait(_caller())
        seconds = max(0.0, deadline - asyncio.get_running_loop().time())
        await asyncio.wait([self._task], timeout=seconds)
        if not self._task.done():
            raise TimeoutError

    async def wait(self, deadline: float) -> T:
        await self.join(deadline)
        return self._task.result()

    def cancel(self) -> None:
        self._task.cancel()


async def _end_of(future: asyncio.Future[Any]) -> None:
    """Wait for something that cannot be stopped, through all further cancellations."""
    while not future.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait([future])
    if not future.cancelled():
        future.exception()  # retrieved, so that asyncio does not warn about it


async def _wrap(sock: socket.socket, *, is_direct: bool = True) -> AsyncioStream:
    try:
        transport, wire = await asyncio.get_running_loop().create_connection(Wire, sock=sock)
    except BaseException:
        sock.close()
        raise
    return AsyncioStream(transport, wire, sock, is_direct=is_direct)


_latest = Place(0)


def _here() -> Place:
    global _latest
    here, loop = _latest, asyncio._get_running_loop()
    if here.loop is not loop or here.process != os.getpid():
        here = _latest = Place(os.getpid(), loop)
    return here


def _no_loop() -> ConfigError:
    words = "An AsyncSMTPSession needs an event loop of asyncio, and none is running here"
    hint = (
        "Call it inside asyncio.run(…). Under trio use an SMTPSession, in a thread: "
        "await trio.to_thread.run_sync(session.send, message)"
    )
    return ConfigError(words, stage=Stage.SETTINGS, hint=hint)


_NONE: deque[AsyncGenerator[Any, None]] = deque()


class AsyncioIO:
    """The I/O of event loops."""

    def here(self) -> Place:
        """Return this process and the running loop."""
        return _here()

    @property
    def abandoned(self) -> deque[AsyncGenerator[Any, None]]:
        """Always empty: asyncio closes generators in tasks."""
        return _NONE

    def now(self) -> float:
        """Return the loop's time, which need not be the system's (uvloop, test loops). Raises ``ConfigError`` where no
        loop runs, as under trio."""
        loop = asyncio._get_running_loop()
        if loop is None:
            raise _no_loop()
        return loop.time()

    def clock(self) -> Callable[[], float]:
        """Return the clock of the running loop. Raises ``ConfigError``, as ``now`` does."""
        self.now()
        return asyncio.get_running_loop().time

    def unix_time(self) -> float:
        return time.time()

    async def connect(
        self, host: str, port: int, deadline: float, network: Network | None = None, proxy: Proxy | None = None
    ) -> AsyncioStream:
        network = network or Network()
        if network.connector is not None:
            connecting = Connecting(partial(network.connector, host, port))
            try:
                sock = check_injected(await self.call(connecting, deadline))
            except BaseException:
                connecting.give_up()
                raise
            sock.setblocking(False)
            tune(sock, network)
            return await _wrap(sock, is_direct=False)
        async with asyncio.timeout_at(deadline):
            if proxy is not None:
                return await _wrap(await dial_through(proxy, host, port, network, deadline), is_direct=False)
            return await _wrap(await dial(host, port, network))

    async def connect_unix(self, path: str, deadline: float) -> AsyncioStream:
        sock = socket.socket(socket.AF_UNIX)
        sock.setblocking(False)
        try:
            async with asyncio.timeout_at(deadline):
                await asyncio.get_running_loop().sock_connect(sock, path)
        except BaseException:
            sock.close()
            raise
        return await _wrap(sock)

    async def sleep(self, seconds: float) -> None:
        """Sleep while other tasks run."""
        order.wait(_caller())
        await asyncio.sleep(seconds)

    async def readable(self, fileno: int, deadline: float) -> bool:
        """Wait while other tasks run. The event loop of Windows cannot watch a descriptor: False at the deadline."""
        loop = asyncio.get_running_loop()
        waiter = loop.create_future()
        with suppress(NotImplementedError):
            loop.add_reader(fileno, wake, waiter)
        try:
            await within(waiter, deadline)
        except TimeoutError:
            return False
        finally:
            with suppress(NotImplementedError):
                loop.remove_reader(fileno)
        return True

    def mutex(self, rank: Rank) -> AbstractContextManager[object]:
        """Return a lock that does nothing, as nothing else runs between two awaits."""
        return CheckedMutex(rank, _caller) if order.is_checked else threading.RLock()

    is_ending = False
    """Always False: tasks are available as long as the loop runs."""

    is_over = False
    """Always False, likewise."""

    def caller(self) -> Hashable:
        """Return the current task."""
        return asyncio.current_task()

    def condition(self, rank: Rank) -> AsyncioCondition:
        """Return a condition of tasks."""
        return AsyncioCondition(rank)

    def bell(self) -> AsyncioBell:
        """Return a bell for a task."""
        return AsyncioBell()

    def spawn(self, coroutine: Coroutine[Any, Any, T], name: str) -> AsyncioTask[T]:
        """Start a task."""
        return AsyncioTask(coroutine, name)

    async def run_in_thread(self, function: Callable[[], T]) -> T:
        """Call ``function`` in a thread."""
        future = asyncio.get_running_loop().run_in_executor(None, function)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            await _end_of(future)
            raise

    async def run_program(self, command: Sequence[str], chunks: Iterable[bytes], deadline: float) -> Ended:
        from wlsmtp.io.aio_process import run_program

        return await run_program(command, chunks, deadline)

    def run_blocking(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Raise ``ConfigError``: blocking here would stop the whole event loop."""
        coroutine.close()
        raise ConfigError("An AsyncSMTPSession cannot block", stage=Stage.SETTINGS, hint="Use await")

    def at_exit(self, work: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
        """Do nothing: a loop that ends cancels its tasks."""
        return lambda: None

    async def call(self, function: Callable[[], T | Awaitable[T]], deadline: float, *, in_place: bool = False) -> T:
        """Call ``function`` in a thread of its own; an ``async def`` is awaited in this task."""
        async with asyncio.timeout_at(deadline):
            result = function() if iscoroutinefunction(function) else await await_aside(function)
            return await result if isawaitable(result) else result  # pyright: ignore[reportReturnType]
