"""See your mail while you develop: a store, an SMTP server in front of it, and a web page behind it.

``wlsmtp inbox`` runs it, ``Inbox().asgi`` can be mounted in a web application, and the pytest fixture ``inbox`` gives
it to tests. The server never opens a connection to anything that a mail names.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wlsmtp.inbox.core import Inbox as Inbox
    from wlsmtp.inbox.mail import Attachment as Attachment
    from wlsmtp.inbox.mail import Mail as Mail
    from wlsmtp.inbox.store import Store as Store
    from wlsmtp.inbox.transport import InboxTransport as InboxTransport

_HOME = {"Attachment": "mail", "Inbox": "core", "InboxTransport": "transport", "Mail": "mail", "Store": "store"}

__all__ = ["Attachment", "Inbox", "InboxTransport", "Mail", "Store"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
