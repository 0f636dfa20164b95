"""What a session tells while it works: plain values handed to listeners, and the listener that writes to ``logging``.

A listener is any callable of one event. It is called in the thread or task that does the work, so it must be quick;
if it raises, the error is logged and the mail goes on. Secrets never get here: the link masks them before.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from wlsmtp.errors import SMTPError
    from wlsmtp.receipt import Outcome, Receipt
    from wlsmtp.wire.extensions import Capabilities

log = logging.getLogger("wlsmtp")
log.addHandler(logging.NullHandler())  # a program that set up no logging gets errors as exceptions, not on stderr


@dataclass(frozen=True, slots=True)
class Connected:
    """A connection is ready: greeted, secured and authenticated as configured."""

    connection: str
    server: str
    tls: str | None
    username: str | None
    capabilities: Capabilities
    resumed: bool = False
    """Whether the TLS session of an earlier connection was resumed."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the conversation. Credentials are masked; content is summed up by its size."""

    connection: str
    who: Literal["client", "server"]
    text: str


@dataclass(frozen=True, slots=True)
class Sent:
    """A message was acknowledged for at least one recipient."""

    receipt: Receipt


@dataclass(frozen=True, slots=True)
class Failed:
    """A message was delivered to nobody, or its outcome is unknown; no further try follows."""

    receipt: Receipt
    error: SMTPError


@dataclass(frozen=True, slots=True)
class Retrying:
    """A message, or the rest of its recipients, will be offered again in ``delay`` seconds as try ``attempt``."""

    error: SMTPError
    attempt: int
    delay: float


@dataclass(frozen=True, slots=True)
class Attempted:
    """One of several transports was offered a message, or the rest of its recipients; ``outcome`` says what came of it.
    If it seems to be down, it is left alone for ``seconds``; else that is 0."""

    transport: str
    outcome: Outcome
    seconds: float


@dataclass(frozen=True, slots=True)
class Interrupted:
    """A program died while it had this message of an outbox on its way. It is sent again, and may arrive twice."""

    receipt: Receipt


@dataclass(frozen=True, slots=True)
class Disconnected:
    """A connection ended; ``reason`` is None when it was closed in good order."""

    connection: str
    reason: str | None


Event = Connected | Line | Sent | Failed | Retrying | Attempted | Interrupted | Disconnected
Listener = Callable[[Event], None]


def log_event(event: Event) -> None:
    """The listener that every session has: conversation lines at DEBUG, failures at WARNING, the rest at INFO."""
    match event:
        case Line(connection, who, text):
            log.debug("%s %s %s", connection, "->" if who == "client" else "<-", text)
        case Connected(connection, server, tls, username):
            log.info("%s connected to %s (%s, %s)", connection, server, tls or "no TLS", username or "no user")
        case Disconnected(connection, reason):
            log.info("%s closed%s", connection, f": {reason}" if reason else "")
        case Sent(receipt):
            log.info("message %s %s", receipt.message_id or receipt.id, receipt)
        case Failed(receipt, error):
            log.warning("message %s not delivered: %s", receipt.message_id or receipt.id, error)
        case Retrying(error, attempt, delay):
            log.info("try %d in %.1f s, because: %s", attempt, delay, error)
        case Interrupted(receipt):
            log.warning("message %s may arrive twice: its sender died", receipt.message_id or receipt.id)
        case Attempted(transport, outcome, 0):
            log.info("%s: %s", transport, outcome.error or "message taken")
        case Attempted(transport, outcome, seconds):
            log.warning("%s is left alone for %.0f s, because: %s", transport, seconds, outcome.error)


class Announcer:
    """Hands events to the listeners, and shields the work from them."""

    def __init__(self, listeners: Sequence[Listener] = ()) -> None:
        self._listeners = (log_event, *listeners)
        self._own = len(listeners) > 0

    @property
    def wants_lines(self) -> bool:
        """Whether anybody would read the lines of the conversation: they cost time, so they are made on demand."""
        return self._own or log.isEnabledFor(logging.DEBUG)

    @property
    def wants_successes(self) -> bool:
        """Whether anybody would hear that a message was sent."""
        return self._own or log.isEnabledFor(logging.INFO)

    def __call__(self, event: Event) -> None:
        """Tell every listener."""
        for listener in self._listeners:
            try:
                listener(event)
            except Exception:
                log.exception("a listener failed on %s", type(event).__name__)
