"""One HTTP request: a form that is posted, and the server's answer (RFC 6749 requires no more). Blocks."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import TYPE_CHECKING
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import (
    HTTPHandler,
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
    build_opener,
)

from wlsmtp.errors import SMTPError
from wlsmtp.io.dialing import dial
from wlsmtp.io.tls import make_context
from wlsmtp.settings.network import Network

if TYPE_CHECKING:
    from ssl import SSLContext
    from typing import Any

    from wlsmtp.settings.config import TLS

MAX_ANSWER = 1 << 20
"""Maximum octets of an answer that are read."""


class _NoRedirect(HTTPRedirectHandler):
    """Ignores redirects: a form with secrets goes to its intended server, or nowhere."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Follow nothing: a redirect is then an answer like any other."""


class _Deadline:
    """Ends the connections of one exchange when its time is over. Each wait of ``http.client`` starts again with each
    octet, so that a server that sends one now and then would hold its client for ever."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds
        self._twins: list[socket.socket] = []
        self._timer = threading.Timer(seconds, self._expire)
        self._timer.daemon = True
        self.is_over = False

    def __enter__(self) -> _Deadline:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        for twin in self._twins:
            twin.close()

    def connect(self, address: tuple[str, int], *_: Any, **__: Any) -> socket.socket:
        """Connect, in place of ``socket.create_connection``."""
        sock = dial(*address, Network(), self._end)
        sock.settimeout(max(0.001, self._end - time.monotonic()))
        # TLS takes over the socket and detaches it; its duplicate is the same connection.
        self._twins.append(sock.dup())
        return sock

    def _expire(self) -> None:
        self.is_over = True
        for twin in self._twins:
            with suppress(OSError):
                twin.shutdown(socket.SHUT_RDWR)


class _HTTP(HTTPHandler):
    def __init__(self, deadline: _Deadline) -> None:
        super().__init__()
        self._deadline = deadline

    def http_open(self, req: Request) -> HTTPResponse:
        return self.do_open(self._connection, req)

    def _connection(self, host: str, **options: Any) -> HTTPConnection:
        connection = HTTPConnection(host, **options)
        setattr(connection, "_create_connection", self._deadline.connect)  # noqa: B010 - it is not declared
        return connection


class _HTTPS(HTTPSHandler):
    def __init__(self, deadline: _Deadline, context: SSLContext) -> None:
        super().__init__()
        self._deadline = deadline
        self._tls = context

    def https_open(self, req: Request) -> HTTPResponse:
        return self.do_open(self._connection, req)

    def _connection(self, host: str, **options: Any) -> HTTPConnection:
        connection = HTTPSConnection(host, context=self._tls, **options)
        setattr(connection, "_create_connection", self._deadline.connect)  # noqa: B010 - it is not declared
        return connection


def post_form(
    url: str,
    fields: Mapping[str, str],
    *,
    headers: Mapping[str, str],
    tls: TLS,
    timeout: float,
    may_use_proxy: bool = True,
) -> tuple[int, bytes]:
    """Return status and body, whatever the status is. Proxies are those of the environment (``https_proxy``), if any
    may be used.

    Raises ``OSError`` when there is no complete answer within ``timeout`` seconds.
    """
    form = urlencode(fields).encode("ascii")
    request = Request(url, form, {"Accept": "application/json", **headers})
    with _Deadline(timeout) as deadline:
        try:
            answer = _exchange(_opener(tls, deadline, may_use_proxy), request, timeout)
        except SMTPError:
            raise
        except (OSError, HTTPException) as error:
            if deadline.is_over or isinstance(getattr(error, "reason", error), TimeoutError):
                raise _too_late(timeout) from error
            if isinstance(error, OSError):
                raise
            raise ConnectionError(f"the answer is not HTTP ({type(error).__name__})") from error
        if deadline.is_over:  # which looks like the end of the answer
            raise _too_late(timeout)
        return answer


def _too_late(timeout: float) -> TimeoutError:
    return TimeoutError(f"no whole answer in {timeout:g} seconds")


def _exchange(opener: OpenerDirector, request: Request, timeout: float) -> tuple[int, bytes]:
    try:
        with opener.open(request, timeout=timeout) as answer:
            return answer.status, answer.read(MAX_ANSWER)
    except HTTPError as error:
        with error:
            return error.code, error.read(MAX_ANSWER)


def _opener(tls: TLS, deadline: _Deadline, may_use_proxy: bool) -> OpenerDirector:
    handlers = (_HTTP(deadline), _HTTPS(deadline, make_context(tls)), _NoRedirect())
    return build_opener(*handlers) if may_use_proxy else build_opener(*handlers, ProxyHandler({}))
