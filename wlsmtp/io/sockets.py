"""Creates sockets from the settings, for blocking and asyncio: addresses and their order, binding, keepalive."""

from __future__ import annotations

import codecs
import socket
import ssl
from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import suppress
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from wlsmtp.errors import ConfigError, ConnectionFailed, Stage
from wlsmtp.io.base import READ_SIZE, interleave

if TYPE_CHECKING:
    from wlsmtp.settings.network import Network

# Every name look-up, and TLS, uses this codec, which Python imports at its first use. A child that is forked while
# another thread imports it never has it ("unknown encoding: idna").
codecs.lookup("idna")

Address = tuple[int, Any]
"""An address family with an address of it."""

_PREFERRED = {"prefer_ipv4": socket.AF_INET, "prefer_ipv6": socket.AF_INET6}
_ONLY = {"ipv4": socket.AF_INET, "ipv6": socket.AF_INET6}
_PROBES = 4
UNSENT = 128 * 1024
"""Octets that the system buffers before it has sent them."""


def choose(found: Iterable[tuple[Any, ...]], network: Network) -> list[Address]:
    """Return the result of ``getaddrinfo`` without unwanted families, in the order in which to try. Raises
    ``ConnectionFailed`` if nothing is left."""
    addresses: list[Address] = [(family, address) for family, _, _, _, address in found]
    only = _ONLY.get(network.family)
    if network.local_address is not None:
        own = socket.AF_INET6 if ":" in network.local_address else socket.AF_INET
        addresses = [address for address in addresses if address[0] == own]
    if only is not None:
        addresses = [address for address in addresses if address[0] == only]
    if not addresses:
        hint = "See network.family and network.local_address"
        words = "The name has no address of the family that the settings ask for"
        raise ConnectionFailed(words, stage=Stage.CONNECT, hint=hint)
    if (first := _PREFERRED.get(network.family)) is not None:
        addresses.sort(key=lambda address: address[0] != first)
    return interleave(addresses)


def open_socket(family: int, network: Network) -> socket.socket:
    """Return a new non-blocking socket, ready to connect."""
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        tune(sock, network)
        if network.local_address is not None:
            _bind(sock, network.local_address)
    except BaseException:
        sock.close()
        raise
    return sock


def tune(sock: socket.socket, network: Network) -> None:
    """Set options that make TCP fast, and that detect a lost peer."""
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # Without it the system buffers megabytes, and then nothing until a third of them is sent: with a server that reads
    # a kilobyte a second that takes longer than the timeout, although it reads all the time.
    if hasattr(socket, "TCP_NOTSENT_LOWAT"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT)
    if network.keepalive is None:
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    seconds = max(1, round(network.keepalive))
    # macOS calls the first one TCP_KEEPALIVE; options that a system does not know keep its own setting.
    options = {"TCP_KEEPIDLE": seconds, "TCP_KEEPALIVE": seconds, "TCP_KEEPINTVL": max(1, seconds // _PROBES)}
    for name, value in (options | {"TCP_KEEPCNT": _PROBES}).items():
        if hasattr(socket, name):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def read_dry(opened: Any) -> Iterator[bytes]:
    """Return what was received over a socket that its owner is about to close; only its descriptor is used."""
    number = opened.fileno() if opened is not None else -1
    if number < 0:
        return
    with suppress(OSError):
        sock = socket.socket(fileno=number)
        try:
            sock.setblocking(False)
            while data := sock.recv(READ_SIZE):
                yield data
        finally:
            sock.detach()


def addresses_of(host: str, port: int) -> list[tuple[Any, ...]] | None:
    """Return the result of ``look_up`` if ``host`` is an address: that queries nobody, so it cannot hang."""
    try:
        ip_address(host.partition("%")[0])
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except (OSError, ValueError):
        return None


def look_up(host: str, port: int) -> list[tuple[Any, ...]]:
    """Return the addresses of a name. It may hang as long as the resolver does."""
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)


class Connecting:
    """A call of a connector. A socket that it returns when nobody waits any more is closed."""

    def __init__(self, connector: Callable[[], object]) -> None:
        self._connector = connector
        self._sock: object = None
        self._is_given_up = False

    def __call__(self) -> object:
        """Connect; under asyncio it may return an awaitable."""
        self._sock = self._connector()
        if self._is_given_up:
            self.give_up()
        return self._sock

    def give_up(self) -> None:
        """Note that nobody waits for it any more."""
        self._is_given_up = True
        if isinstance(self._sock, socket.socket):
            self._sock.close()


def check_injected(sock: object) -> socket.socket:
    """Check what a connector returned. Raises ``ConfigError`` unless it is a connected socket."""
    if isinstance(sock, socket.socket) and not isinstance(sock, ssl.SSLSocket):
        with suppress(OSError):
            sock.getpeername()
            return sock
    if isinstance(sock, socket.socket | Coroutine):
        sock.close()
    words = f"network.connector: must return a connected socket.socket without TLS, not {type(sock).__name__}"
    raise ConfigError(words, stage=Stage.CONNECT)


def _bind(sock: socket.socket, local_address: str) -> None:
    try:
        sock.bind((local_address, 0))
    except OSError as error:
        words = f"This machine cannot connect from {local_address} ({error.strerror})"
        hint = "network.local_address must be an address of this machine"
        raise ConnectionFailed(words, stage=Stage.CONNECT, hint=hint) from error
