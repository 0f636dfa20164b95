"""The asyncio world. A protocol object of its own instead of asyncio's streams: it costs half the time a message."""

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
"""Seconds for the loop to read what lies in a socket."""


class AsyncioStream:
    """A connected transport. One task may read while another writes."""

    keeps_unread = True
    """A task is cancelled where it waits, and what came meanwhile stays with the wire."""

    def __init__(
        self, transport: asyncio.Transport, wire: Wire, sock: socket.socket, *, is_direct: bool = True
    ) -> None:
        """``sock`` is what the transport works on."""
        self.sent: int = 0
        self._socket = sock
        self._readable = Readable(sock)
        self._transport = transport
        self._wire = wire
        self._place = _here()
        self._is_direct = is_direct
        self.tls: TLSInfo | None = None
        close_with_loop(self)

    @property
    def local_ip(self) -> str | None:
        """See ``Stream.local_ip``."""
        sock = self._transport.get_extra_info("socket")
        if not self._is_direct or sock is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
            return None
        return cast(str, sock.getsockname()[0])

    def has_input(self) -> bool:
        """Looks at the socket itself too: a loop that did not run since knows nothing new."""
        if self._wire.received or self._wire.ended:
            return True
        return self._readable.within(0.0)

    async def read(self, deadline: float) -> bytes:
        """See ``Stream.read``."""
        self._check_place()
        wire = self._wire
        while not wire.received and not wire.ended:
            try:
                await wire.until_received(deadline)
            except TimeoutError:
                # A deadline that is over deserves one look: what is there may say that a message was delivered.
                if not self.has_input():
                    raise
                await wire.until_received(asyncio.get_running_loop().time() + MOMENT)
        if wire.received:
            return wire.take()
        if wire.failure is not None:
            raise wire.lost()
        return b""

    async def write(self, data: bytes | memoryview, deadline: float) -> None:
        """See ``Stream.write``; waits while more lies unsent than the transport wants to hold."""
        self._check_place()
        if self._wire.closed.done() or self._transport.is_closing():
            raise self._wire.lost()
        engine = self._wire.engine
        self._transport.write(data if engine is None else await self._encrypt(engine, data, deadline))
        if self._transport.is_closing():  # the network took nothing of it, and asyncio tells nobody but the protocol
            await asyncio.sleep(0)
            raise self._wire.lost()
        # What the transport still holds may go out at any moment, so it counts as sent.
        self.sent += len(data)
        while self._wire.paused:
            await self._wire.until_resumed(deadline)
            if self._wire.closed.done():
                raise self._wire.lost()

    async def _encrypt(self, engine: TLSEngine, data: bytes | memoryview, deadline: float) -> bytes:
        """The octets to be sent, once TLS can send any."""
        while not (octets := engine.encrypt(data)) and data:
            await self._wire.until_resumed(deadline)
            if self._wire.closed.done():
                raise self._wire.lost()
        return octets

    async def start_tls(self, settings: TLS, server_hostname: str, deadline: float) -> None:
        """See ``Stream.start_tls``."""
        self._check_place()
        engine, self.tls = await secure(self, settings, server_hostname, deadline)
        self._wire.secure(engine)

    def keep_tls_session(self) -> None:
        """See ``Stream.keep_tls_session``."""
        assert self._wire.engine is not None
        keep_session(self._wire.engine.object)

    async def close(self) -> None:
        """See ``Stream.close``; waits for asyncio to let go of the socket."""
        self.abort()
        if not self._wire.closed.done() and self._place == _here():
            await asyncio.wait([self._wire.closed], timeout=1)

    def abort(self) -> None:
        """See ``Stream.abort``."""
        if self._wire.closed.done():  # asyncio trips over a transport that is aborted after its end
            return
        if self._place.is_gone:  # the loop cannot be asked, and a parent goes on over its own descriptor
            self._socket.close()
            with suppress(AttributeError):  # asyncio's own transports would complain that nobody has closed them
                self._transport._sock = None  # type: ignore[attr-defined]
        elif self._place == _here():
            self._transport.abort()
        else:
            self._place.loop.call_soon_threadsafe(self.abort)

    def _check_place(self) -> None:
        if asyncio._get_running_loop() is not self._place.loop or os.getpid() != self._place.process:
            raise self._place.error("A connection")


def _caller() -> Hashable:
    """The task, or the thread where none runs."""
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
        """See ``Condition.wait``."""
        order.wait(_caller(), self._rank)
        async with asyncio.timeout_at(deadline):
            await self._condition.wait()

    def notify_all(self) -> None:
        """See ``Condition.notify_all``."""
        self._condition.notify_all()


class AsyncioBell:
    """A bell for a task of the same loop."""

    def __init__(self) -> None:
        self._is_rung = False
        self._waiter: asyncio.Future[None] | None = None

    def ring(self) -> None:
        """See ``Bell.ring``."""
        self._is_rung = True
        wake(self._waiter)

    async def wait(self, deadline: float) -> None:
        """See ``Bell.wait``."""
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
        """See ``Task.is_done``."""
        return self._task.done()

    async def join(self, deadline: float) -> None:
        """See ``Task.join``."""
        if self._task is asyncio.current_task():
            return
        order.wait(_caller())
        seconds = max(0.0, deadline - asyncio.get_running_loop().time())
        await asyncio.wait([self._task], timeout=seconds)
        if not self._task.done():
            raise TimeoutError

    async def wait(self, deadline: float) -> T:
        """See ``Task.wait``."""
        await self.join(deadline)
        return self._task.result()

    def cancel(self) -> None:
        """See ``Task.cancel``."""
        self._task.cancel()


async def _end_of(future: asyncio.Future[Any]) -> None:
    """Wait for what cannot be stopped, through all further cancellations."""
    while not future.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait([future])
    if not future.cancelled():
        future.exception()  # looked at, so that asyncio does not complain that nobody did


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


_NONE: deque[AsyncGenerator[Any, None]] = deque()


class AsyncioIO:
    """The world of event loops."""

    def here(self) -> Place:
        """See ``IO.here``: this process and the running loop."""
        return _here()

    @property
    def abandoned(self) -> deque[AsyncGenerator[Any, None]]:
        """See ``IO.abandoned``: asyncio closes them in tasks."""
        return _NONE

    def now(self) -> float:
        """The loop's clock, which need not be the system's (uvloop, test loops)."""
        return asyncio.get_running_loop().time()

    def wall(self) -> float:
        """See ``IO.wall``."""
        return time.time()

    async def connect(
        self, host: str, port: int, deadline: float, network: Network | None = None, proxy: Proxy | None = None
    ) -> AsyncioStream:
        """See ``IO.connect``."""
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
        """See ``IO.connect_unix``."""
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
        """Lets other tasks run meanwhile."""
        order.wait(_caller())
        await asyncio.sleep(seconds)

    def mutex(self, rank: Rank) -> AbstractContextManager[object]:
        """None is needed, as nothing else runs between two awaits; this one is the cheapest to take."""
        return CheckedMutex(rank, _caller) if order.is_checked else threading.RLock()

    is_ending = False
    """See ``IO.is_ending``: tasks can be had as long as the loop runs."""

    def caller(self) -> Hashable:
        """See ``IO.caller``: the task."""
        return asyncio.current_task()

    def condition(self, rank: Rank) -> AsyncioCondition:
        """A condition of tasks."""
        return AsyncioCondition(rank)

    def bell(self) -> AsyncioBell:
        """A bell for a task."""
        return AsyncioBell()

    def spawn(self, coroutine: Coroutine[Any, Any, T], name: str) -> AsyncioTask[T]:
        """See ``IO.spawn``: a task."""
        return AsyncioTask(coroutine, name)

    async def offload(self, function: Callable[[], T]) -> T:
        """See ``IO.offload``: in a thread."""
        future = asyncio.get_running_loop().run_in_executor(None, function)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            await _end_of(future)
            raise

    async def run_program(self, command: Sequence[str], chunks: Iterable[bytes], deadline: float) -> Ended:
        """See ``IO.run_program``."""
        from wlsmtp.io.aio_process import run_program

        return await run_program(command, chunks, deadline)

    def play(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """See ``IO.play``: to block here would stop the whole event loop."""
        coroutine.close()
        raise ConfigError("An AsyncSMTPSession cannot block", stage=Stage.SETTINGS, hint="Use await")

    def at_exit(self, work: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
        """See ``IO.at_exit``: a loop that ends cancels its tasks."""
        return lambda: None

    async def call(self, function: Callable[[], T | Awaitable[T]], deadline: float, *, in_place: bool = False) -> T:
        """See ``IO.call``; an ``async def`` is awaited in this task."""
        async with asyncio.timeout_at(deadline):
            result = function() if iscoroutinefunction(function) else await await_aside(function)
            return await result if isawaitable(result) else result  # pyright: ignore[reportReturnType]
