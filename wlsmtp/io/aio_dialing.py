"""Connecting with asyncio: racing addresses, proxies. The callers set the deadlines."""

from __future__ import annotations

import asyncio
import errno
import socket
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from wlsmtp.errors import SMTPError
from wlsmtp.io.aio_aside import await_aside
from wlsmtp.io.base import ATTEMPT_DELAY
from wlsmtp.io.sockets import Address, addresses_of, choose, look_up, open_socket

if TYPE_CHECKING:
    from wlsmtp.settings.network import Network, Proxy


async def dial(host: str, port: int, network: Network) -> socket.socket:
    """Return a socket connected to the first address of ``host`` that answers."""
    found = addresses_of(host, port)
    if found is None:
        found = await await_aside(partial(look_up, host, port))
    return await _race(choose(found, network), network)


async def dial_through(proxy: Proxy, host: str, port: int, network: Network, deadline: float) -> socket.socket:
    """Return a socket that the proxy has connected to ``host``."""
    from wlsmtp.io.proxy import tunnel, unreachable

    try:
        sock = await dial(proxy.host, proxy.port, network)
    except (TimeoutError, SMTPError):
        raise
    except (OSError, UnicodeError) as error:
        raise unreachable(proxy, error) from error
    loop = asyncio.get_running_loop()
    try:
        await loop.run_in_executor(None, tunnel, sock, proxy, host, port, deadline - loop.time())
    except BaseException:
        with suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)  # ends the thread, if it still waits
        sock.close()
        raise
    return sock


async def _race(addresses: list[Address], network: Network) -> socket.socket:
    """Connect to the addresses, starting one more every quarter of a second, and keep the first that answers (RFC 8305
    §5)."""
    waiting = list(addresses)
    running: set[asyncio.Task[socket.socket]] = set()
    failure: BaseException = OSError(errno.EADDRNOTAVAIL, "no address")
    try:
        while waiting or running:
            if waiting:
                running.add(asyncio.create_task(_attempt(*waiting.pop(0), network)))
            patience = ATTEMPT_DELAY if waiting else None
            done, _ = await asyncio.wait(running, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                running.discard(task)
                if (error := task.exception()) is None:
                    return task.result()
                failure = error
    finally:
        for task in running:
            task.cancel()
            task.add_done_callback(_drop)
    raise failure


async def _attempt(family: int, address: Any, network: Network) -> socket.socket:
    sock = open_socket(family, network)
    try:
        await asyncio.get_running_loop().sock_connect(sock, address)
    except BaseException:
        sock.close()
        raise
    return sock


def _drop(task: asyncio.Task[socket.socket]) -> None:
    """Close the socket of an attempt that finished too late."""
    if not task.cancelled() and task.exception() is None:
        task.result().close()
