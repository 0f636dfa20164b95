"""Protocols of the objects that a program may pass in place of a URL, as far as the settings use them."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Protocol


class TransportLike(Protocol):
    """A transport: ``wlsmtp.Transport``."""

    def deliver(self, envelope: Any, content: Any, deadlines: Any) -> Coroutine[Any, Any, Any]:
        """Deliver one message, as ``Transport.deliver``."""
        ...


class OutboxLike(Protocol):
    """A store for mail until it is sent: ``wlsmtp.Outbox``."""

    def put(self, entries: Any, deadline: Any = None) -> Coroutine[Any, Any, Any]:
        """Store one message, as ``Outbox.put``."""
        ...


class SSLContextLike(Protocol):
    """An ``ssl.SSLContext``, which only ``io/`` may import."""

    @property
    def verify_mode(self) -> Any:
        """The verification of certificates, an ``ssl.VerifyMode``."""
        ...

    @property
    def check_hostname(self) -> bool:
        """True if the server's name is checked."""
        ...

    @property
    def protocol(self) -> Any:
        """The protocol, which must be that of a client."""
        ...

    def wrap_bio(self, incoming: Any, outgoing: Any) -> Any:
        """Begin a connection."""
        ...


def is_ssl_context(value: object) -> bool:
    """Return whether it is an ``ssl.SSLContext`` or works like one, as truststore's does."""
    return any((kind.__module__, kind.__name__) == ("ssl", "SSLContext") for kind in type(value).__mro__)


def flaw_of(context: SSLContextLike, *, must_verify: bool) -> str | None:
    """Return why a context cannot be used; None if it can."""
    if getattr(context.protocol, "name", "") == "PROTOCOL_TLS_SERVER":
        return "is that of a server; ssl.create_default_context() makes one for a client"
    verifies = getattr(context.verify_mode, "name", "") == "CERT_REQUIRED" and context.check_hostname
    if must_verify and not verifies:
        return "does not verify certificate and name; if that is meant, say so with TLS(verify=False, context=…)"
    return None
