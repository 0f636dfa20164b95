"""Events that a session reports to listeners, and the listener that writes to ``logging``.

A listener is any callable of one event; ``listener`` makes one that receives some kinds only. It is called in the
thread or task that does the work, so it must be quick; if it raises, the error is logged and sending continues. No lock
is held meanwhile, so it may use its session. What it sends there is not reported to it: a listener that sends an alert
for each failure, or a ``logging`` handler that mails, would otherwise never end. Events contain no secrets: the link
masks them before.
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar, copy_context
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args, overload

from wlsmtp.errors import SMTPError, Stage
from wlsmtp.receipt import Outcome, Receipt

if TYPE_CHECKING:
    from wlsmtp.wire.extensions import Capabilities
else:
    Capabilities = Any  # its package builds on this one

log: logging.Logger = logging.getLogger("wlsmtp")
log.addHandler(logging.NullHandler())  # a program without logging set up gets errors as exceptions, not on stderr


@dataclass(frozen=True, slots=True)
class Connected:
    """A connection is ready: greeted, secured and authenticated as configured."""

    connection: str
    server: str
    tls: str | None
    username: str | None
    capabilities: Capabilities
    resumed: bool = False
    """True if the TLS session of an earlier connection was resumed."""
    stages: tuple[tuple[Stage, float], ...] = ()
    """How long each stage of the opening took, in seconds, in their order: connect, greeting, TLS, EHLO, AUTH."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the conversation. Credentials are masked; content is represented by its size."""

    connection: str
    who: Literal["client", "server"]
    text: str


@dataclass(frozen=True, slots=True)
class Sent:
    """A message was acknowledged for at least one recipient."""

    receipt: Receipt
    transport: str = ""
    """The transport that carried it: ``host:port`` of the server, or the name of another transport."""
    seconds: float = 0.0
    """How long the delivery took. Of a message of an outbox: the latest try, without the time that it waited."""
    is_streamed: bool = False
    """True if it was one of several in ``send_many``; ``Streamed`` summarizes these."""


@dataclass(frozen=True, slots=True)
class Failed:
    """A message was delivered to nobody, or its outcome is unknown; no further attempt follows."""

    receipt: Receipt
    error: SMTPError
    transport: str = ""
    seconds: float = 0.0
    is_streamed: bool = False


@dataclass(frozen=True, slots=True)
class Streamed:
    """A call of ``send_many`` has come to its end. There is none for one that is left early."""

    messages: int
    """How many have a result."""
    failed: int
    """Messages that nobody got, or whose result is unknown."""
    transport: str
    seconds: float
    """Seconds from the first message requested to the last result, without the time of the caller that reads the
    receipts."""
    error: SMTPError | None = None
    """The error that has ended it early."""


@dataclass(frozen=True, slots=True)
class Retrying:
    """A message, or the rest of its recipients, will be sent again in ``delay`` seconds as attempt ``attempt``."""

    error: SMTPError
    attempt: int
    delay: float
    message_id: str | None = None
    """The Message-ID of the message; None if it has none, or if all messages are meant."""


@dataclass(frozen=True, slots=True)
class Attempted:
    """One of several transports was offered a message, or the rest of its recipients, with this ``outcome``. If it
    seems to be down, it is not used for ``seconds``; else that is 0."""

    transport: str
    outcome: Outcome
    seconds: float


@dataclass(frozen=True, slots=True)
class Interrupted:
    """A program died while sending this message of an outbox. It is sent again, and may arrive twice."""

    receipt: Receipt


@dataclass(frozen=True, slots=True)
class Disconnected:
    """A connection ended; ``reason`` is None for a normal close."""

    connection: str
    reason: str | None


Event = Connected | Line | Sent | Failed | Streamed | Retrying | Attempted | Interrupted | Disconnected
Listener = Callable[[Event], object]

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")


@dataclass(frozen=True)
class Selecting:
    """A listener for some kinds of events only; made by ``listener``."""

    events: tuple[type[Any], ...]
    function: Callable[[Any], object]

    def __call__(self, event: Event) -> object:
        """Pass the event on, whatever it is: the session has selected it."""
        return self.function(event)


@overload
def listener(kind: type[A], /) -> Callable[[Callable[[A], object]], Listener]: ...
@overload
def listener(kind: type[A], other: type[B], /) -> Callable[[Callable[[A | B], object]], Listener]: ...
@overload
def listener(
    kind: type[A], other: type[B], third: type[C], /
) -> Callable[[Callable[[A | B | C], object]], Listener]: ...
@overload
def listener(*kinds: type[Any]) -> Callable[[Callable[[Any], object]], Listener]: ...
def listener(*kinds: type[Any]) -> Callable[[Callable[[Any], object]], Listener]:
    """Make a function a listener for these kinds of events only. The others cost nothing: if no listener wants
    ``Line``, a session does not create the lines of its conversation.

    >>> @listener(Sent, Failed) ... def count(event: Sent | Failed) -> None: ... >>> SMTPSession("smtp.example.com",
    listeners=[count, listener(Retrying)(metrics.count_retry)])

    Raises ``TypeError`` for anything but an event class.
    """
    if not kinds or any(kind not in _KINDS for kind in kinds):
        raise TypeError(f"listener takes classes of events: {', '.join(kind.__name__ for kind in _KINDS)}")
    return lambda function: Selecting(kinds, function)


_KINDS: tuple[type[Any], ...] = get_args(Event)

opened_for: ContextVar[list[Any] | None] = ContextVar("wlsmtp_opened_for", default=None)
"""While one message is delivered: a list in which a listener may note the connections that were opened for it, until
it hears of the message."""

everywhere: list[Listener] = []
"""Listeners of all sessions that are made from now on, for tools that instrument whole programs."""

Muted = frozenset[int]
_at_work: ContextVar[Muted] = ContextVar("wlsmtp_listeners_at_work", default=frozenset())
"""The listeners that are currently running in this context, each by its ``id``."""
nobody_called: ContextVar[bool] = ContextVar("wlsmtp_nobody_called", default=False)
"""True in a thread of the library that works for no caller: what a listener raises there, such as ``SystemExit``, could
only end the work."""


def log_event(event: Event) -> None:
    """The listener that every session has: conversation lines at DEBUG, failures at WARNING, the rest at INFO."""
    match event:
        case Line(connection, who, text):
            log.debug("%s %s %s", connection, "->" if who == "client" else "<-", text)
        case Connected(connection, server, tls, username):
            log.info("%s connected to %s (%s, %s)", connection, server, tls or "no TLS", username or "no user")
        case Disconnected(connection, reason):
            log.info("%s closed%s", connection, f": {reason}" if reason else "")
        case Streamed(messages, failed, _, seconds):
            log.info("%d messages in %.1f s, of which %d were not delivered", messages, seconds, failed)
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
            log.warning("%s is not used for %.0f s, because: %s", transport, seconds, outcome.error)


class Announcer:
    """Passes events to the listeners, and isolates the work from their failures."""

    def __init__(self, listeners: Sequence[Listener] = ()) -> None:
        listeners = (*listeners, *everywhere)
        self._listeners: dict[type[Any], tuple[Listener, ...]] = {
            kind: (log_event, *(one for one in listeners if not isinstance(one, Selecting) or kind in one.events))
            for kind in _KINDS
        }
        self._has_line_listeners = len(self._listeners[Line]) > 1
        self._has_success_listeners = any(len(self._listeners[kind]) > 1 for kind in (Sent, Streamed, Attempted))
        self.wants_connections: bool = len(self._listeners[Connected]) > 1
        """True if a listener is called for each new connection."""
        functions: list[Any] = [one.function if isinstance(one, Selecting) else one for one in listeners]
        self._carriers: list[Callable[[], Mapping[str, str]]] = [
            function.carry for function in functions if hasattr(function, "carry")
        ]

    @property
    def wants_lines(self) -> bool:
        """True if anybody reads the lines of the conversation: they cost time, so they are made on demand."""
        return self._has_line_listeners or log.isEnabledFor(logging.DEBUG)

    @property
    def wants_successes(self) -> bool:
        """True if anybody listens for sent messages."""
        return self._has_success_listeners or log.isEnabledFor(logging.INFO)

    def carried(self) -> dict[str, str]:
        """Return what an outbox stores with a message that is put into it now, for the events of its delivery. Each
        listener with a method ``carry`` adds what that returns, such as the context of a trace."""
        carried: dict[str, str] = {}
        for carry in self._carriers:
            try:
                values = {**carry()}
                if not all(isinstance(part, str) for pair in values.items() for part in pair):
                    raise TypeError("what is carried must be texts, by names")
                carried |= values
            except Exception:
                log.exception("a listener has nothing to carry")
        return carried

    @property
    def muted(self) -> Muted:
        """The listeners that caused the current work, and do not receive its events."""
        return _at_work.get()

    def __call__(self, event: Event, muted: Muted = frozenset()) -> None:
        """Call every listener that wants the event. The caller must hold nothing that another sender could wait for."""
        muted |= _at_work.get()
        for one in self._listeners[type(event)]:
            if id(one) not in muted:
                # In its own context, which ends with the call: an interrupt anywhere mutes nobody for longer.
                copy_context().run(_call, one, event, muted | {id(one)})


def _call(one: Listener, event: Event, muted: Muted) -> None:
    _at_work.set(muted)
    try:
        one(event)
    except Exception:
        _complain(event)
    except BaseException:
        if not nobody_called.get():
            raise
        _complain(event)


def _complain(event: Event) -> None:
    """Log the failure of a listener; a ``logging`` handler may itself fail."""
    try:
        log.exception("a listener failed on %s", type(event).__name__)
    except Exception:
        if logging.raiseExceptions and sys.stderr is not None:
            traceback.print_exc()
