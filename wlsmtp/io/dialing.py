"""Blocking connects: name resolution within a deadline, racing addresses, proxies."""

from __future__ import annotations

import errno
import os
import selectors
import socket
import time
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from wlsmtp.errors import SMTPError
from wlsmtp.io.aside import call_aside
from wlsmtp.io.base import ATTEMPT_DELAY
from wlsmtp.io.sockets import Address, addresses_of, choose, look_up, open_socket

if TYPE_CHECKING:
    from wlsmtp.settings.network import Network, Proxy


def dial(host: str, port: int, network: Network, deadline: float) -> socket.socket:
    """Return a socket connected to the first address of ``host`` that answers."""
    return _race(choose(_resolve(host, port, deadline), network), network, deadline)


def dial_through(proxy: Proxy, host: str, port: int, network: Network, deadline: float) -> socket.socket:
    """Return a socket that the proxy has connected to ``host``."""
    from wlsmtp.io.proxy import tunnel, unreachable

    try:
        sock = dial(proxy.host, proxy.port, network, deadline)
    except (TimeoutError, SMTPError):
        raise
    except (OSError, UnicodeError) as error:
        raise unreachable(proxy, error) from error
    try:
        tunnel(sock, proxy, host, port, remaining(deadline))
    except BaseException:
        sock.close()
        raise
    return sock


def _resolve(host: str, port: int, deadline: float) -> list[Any]:
    """Return the result of ``getaddrinfo``. It has no deadline, so it runs in its own thread, unless ``host`` is an
    address."""
    found = addresses_of(host, port)
    return call_aside(partial(look_up, host, port), remaining(deadline)) if found is None else found


def _race(addresses: list[Address], network: Network, deadline: float) -> socket.socket:
    """Connect to the addresses, starting one more every quarter of a second, and keep the first that answers (RFC 8305
    §5)."""
    waiting = list(addresses)
    failure: OSError = OSError(errno.EADDRNOTAVAIL, "no address")
    with selectors.DefaultSelector() as selector:
        try:
            while waiting or selector.get_map():
                if waiting:
                    failure = _begin(selector, network, *waiting.pop(0)) or failure
                patience = min(remaining(deadline), ATTEMPT_DELAY) if waiting else remaining(deadline)
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


def _begin(selector: selectors.BaseSelector, network: Network, family: int, address: Any) -> OSError | None:
    """Start one connection; return it, or what failed at once."""
    try:
        sock = open_socket(family, network)
    except OSError as error:
        return error
    code = sock.connect_ex(address)
    if code in (0, errno.EINPROGRESS, errno.EWOULDBLOCK):
        selector.register(sock, selectors.EVENT_WRITE)
        return None
    sock.close()
    return OSError(code, os.strerror(code))


def remaining(deadline: float) -> float:
    """Return the seconds until the deadline. Raises ``TimeoutError`` once it is over."""
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise TimeoutError
    return seconds
