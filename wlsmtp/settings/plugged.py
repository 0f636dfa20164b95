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
