"""The mail servers that run in private namespaces."""

from __future__ import annotations

from collections.abc import Callable

from . import namespace
from .courier import CourierServer
from .cyrus_lmtp import CyrusServer
from .dovecot_submission_24 import DovecotSubmission24
from .exim import Exim498Server, EximServer
from .opensmtpd import OpenSMTPDServer
from .sendmail import SendmailServer
from .server import RealServer

_CLASSES: tuple[type[namespace.NamespacedServer], ...] = (
    EximServer,
    Exim498Server,
    CyrusServer,
    OpenSMTPDServer,
    SendmailServer,
    DovecotSubmission24,
    CourierServer,
)

SERVERS: list[Callable[[], RealServer]] = list(_CLASSES)
"""What makes each of them. Endpoints have their names at once, and their ports once the server runs."""


def what_is_missing() -> str | None:
    """Say what keeps the servers from being run here, or None."""
    reasons = (namespace.what_is_missing(kind.folder) for kind in _CLASSES)
    return next((reason for reason in reasons if reason is not None), None)
