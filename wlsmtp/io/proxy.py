"""Connects through a proxy: python-socks speaks to it over a socket that is already connected.

It only supports blocking sockets, so asyncio calls ``tunnel`` in a thread. Import it only if there is a proxy.
"""

from __future__ import annotations

import os
import socket
import time
from typing import TYPE_CHECKING, Any, cast

from wlsmtp.errors import ConfigError, ConnectionFailed, Stage
from wlsmtp.wire.masking import Masking, Notations

try:
    from python_socks import ProxyError, ProxyType
    from python_socks.sync import Proxy as Negotiation
except ImportError:
    _hint = 'Install it with: pip install "wlsmtp[proxy]"'
    raise ConfigError("proxy: needs python-socks.", stage=Stage.SETTINGS, hint=_hint) from None

if TYPE_CHECKING:
    from wlsmtp.settings.network import Proxy

_MAX_HEADER = 16384
_LASTING = frozenset({2, 401, 403, 405, 407})
"""Replies that another attempt will not change: SOCKS 5 "not allowed by ruleset", and HTTP's refusals of the client."""


def tunnel(sock: socket.socket, proxy: Proxy, host: str, port: int, seconds: float) -> None:
    """Ask the proxy at the other end of ``sock`` to connect to ``host``, whose name it resolves itself. Raises
    ``ConnectionFailed`` if it refuses, and ``TimeoutError`` after so many seconds."""
    password = proxy.password.get_secret_value() if proxy.password else ""
    user = proxy.username or ("" if proxy.scheme == "http" else None)
    given = _Socket(sock, time.monotonic() + seconds, is_http=proxy.scheme == "http")
    negotiation = Negotiation(
        ProxyType[proxy.scheme.upper()], proxy.host, proxy.port, user, password if user else None, rdns=True,
        forward=cast("Negotiation", _Given(given)),
    )  # fmt: skip
    try:
        negotiation.connect(host, port)
    except TimeoutError:
        raise
    except (ProxyError, OSError) as error:
        raise _refused(proxy, error) from None
    finally:
        sock.settimeout(0)


class _Given:
    """Takes the place of the previous proxy, from which python-socks expects the connection."""

    def __init__(self, sock: _Socket) -> None:
        self._sock = sock

    def connect(self, **_: Any) -> _Socket:
        return self._sock


class _Socket:
    """The socket as python-socks uses it, with one deadline for all operations.

    An answer to CONNECT is read to its end and no further: python-socks takes the result of one read for the answer,
    which may be less, or more, as an SMTP server greets at once.
    """

    def __init__(self, sock: socket.socket, deadline: float, *, is_http: bool) -> None:
        self._sock = sock
        self._deadline = deadline
        self._is_http = is_http

    def sendall(self, data: bytes) -> None:
        self._set_timeout()
        self._sock.sendall(data)

    def recv(self, size: int) -> bytes:
        if not self._is_http:
            self._set_timeout()
            return self._sock.recv(size)
        header = bytearray()
        while not header.endswith(b"\r\n\r\n"):
            self._set_timeout()
            octet = self._sock.recv(1)
            if not octet:
                break
            header += octet
            if len(header) > _MAX_HEADER:
                raise OSError("its answer has no end")
        return bytes(header)

    def close(self) -> None:
        """Do nothing: the owner of the socket closes it."""

    def _set_timeout(self) -> None:
        seconds = self._deadline - time.monotonic()
        if seconds <= 0:
            raise TimeoutError
        self._sock.settimeout(seconds)


def unreachable(proxy: Proxy, error: OSError | UnicodeError) -> ConnectionFailed:
    """Return the error for a failed connection to the proxy."""
    hint = "Check host and port of the proxy, and that no firewall blocks it"
    return ConnectionFailed(f"The proxy {proxy} could not be reached ({_words(error)})", stage=Stage.CONNECT, hint=hint)


def _words(error: Exception) -> str:
    number = error.errno if isinstance(error, OSError) else None
    text = os.strerror(number) if number and number > 0 else str(error)
    return "".join(character for character in text[:200] if character.isprintable())


def _refused(proxy: Proxy, error: Exception) -> ConnectionFailed:
    words = _words(error)
    if proxy.password:  # which the proxy may repeat
        words = Masking(Notations.of_secret(proxy.password.get_secret_value())).hide(words)
    code = getattr(error, "error_code", None)
    is_login = code == 407 or "authentication" in words.lower()
    hint = "Check the user name and the password in the URL of the proxy" if is_login else None
    failure = ConnectionFailed(f"The proxy {proxy} did not connect ({words})", stage=Stage.CONNECT, hint=hint)
    failure.is_lasting = is_login or code in _LASTING
    return failure
