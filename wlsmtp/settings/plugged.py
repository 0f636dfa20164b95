"""What a program may hand over in place of a URL, as far as the settings look at it."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Protocol


class TransportLike(Protocol):
    """Carries mail out: a ``wlsmtp.Transport``."""

    def deliver(self, envelope: Any, content: Any, deadlines: Any) -> Coroutine[Any, Any, Any]:
        """See ``Transport.deliver``."""
        ...


class OutboxLike(Protocol):
    """Keeps mail until it is sent: a ``wlsmtp.Outbox``."""

    def put(self, entries: Any, deadline: Any = None) -> Coroutine[Any, Any, Any]:
        """See ``Outbox.put``."""
        ...


class SSLContextLike(Protocol):
    """An ``ssl.SSLContext``, which only ``io/`` may import."""

    @property
    def verify_mode(self) -> Any:
        """Whether certificates are checked."""
        ...

    @property
    def check_hostname(self) -> bool:
        """Whether names are."""
        ...

    @property
    def protocol(self) -> Any:
        """Whether it is for clients."""
        ...

    def wrap_bio(self, incoming: Any, outgoing: Any) -> Any:
        """Begin a connection."""
        ...


def is_ssl_context(value: object) -> bool:
    """Whether it is one; truststore's is as well."""
    return any((kind.__module__, kind.__name__) == ("ssl", "SSLContext") for kind in type(value).__mro__)


def flaw_of(context: SSLContextLike, *, must_verify: bool) -> str | None:
    """Why a context cannot be used; None when it can."""
    if getattr(context.protocol, "name", "") == "PROTOCOL_TLS_SERVER":
        return "is that of a server; ssl.create_default_context() makes one for a client"
    verifies = getattr(context.verify_mode, "name", "") == "CERT_REQUIRED" and context.check_hostname
    if must_verify and not verifies:
        return "does not verify certificate and name; if that is meant, say so with TLS(verify=False, context=…)"
    return None
