"""OpenTelemetry: spans and metrics of what a session sends; ``pip install "wlsmtp[otel]"``.

>>> session = SMTPSession("smtp.example.com", listeners=[instrument()])

A message is a span ``SMTP send``; the connections that were opened for it are its children, with one each for TLS and
AUTH. A call of ``send_many`` is one span with the number of its messages. A message that an outbox has sent belongs to
the trace in which it was put there. No address, subject or content gets into spans or metrics.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping
from datetime import UTC, datetime
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any

from wlsmtp import __version__, events
from wlsmtp.errors import ConfigError, Stage
from wlsmtp.events import Connected, Disconnected, Failed, Listener, Sent, Streamed, listener
from wlsmtp.io.aio_calls import from_any_thread
from wlsmtp.receipt import OutboxReceipt

try:
    from opentelemetry import metrics, propagate, trace
    from opentelemetry.context import Context
    from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation
    from opentelemetry.trace import Span, SpanKind, StatusCode, TracerProvider
except ModuleNotFoundError as error:
    hint = 'Install it with: pip install "wlsmtp[otel]"'
    raise ConfigError("wlsmtp.contrib.otel needs opentelemetry-api", stage=Stage.SETTINGS, hint=hint) from error

if TYPE_CHECKING:
    from wlsmtp import OutboxStatistics, SMTPError

Attributes = dict[str, str | int]
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


def instrument(
    *, tracer_provider: TracerProvider | None = None, meter_provider: MeterProvider | None = None
) -> Listener:
    """A listener that makes spans and metrics, with the global providers unless others are given. Sessions may share
    one."""
    kinds = (Connected, Disconnected, Sent, Failed, Streamed)
    return listener(*kinds)(Telemetry(tracer_provider, meter_provider))


def observe_outbox(
    statistics: Callable[[], OutboxStatistics | Coroutine[Any, Any, OutboxStatistics]],
    *, meter_provider: MeterProvider | None = None, name: str = "outbox",
) -> None:  # fmt: skip
    """Measure an outbox whenever metrics are collected: pending, deferred and in-flight messages, and the age of the
    oldest pending one in seconds (0 without one). ``statistics`` is ``session.outbox_statistics``, called in the
    thread of the collector. For an ``AsyncSMTPSession`` call ``observe_outbox`` in its event loop, where it is asked
    until the loop ends. ``name`` distinguishes several outboxes."""
    meter = metrics.get_meter("wlsmtp", __version__, meter_provider)
    ask: Callable[[], Any] = from_any_thread(statistics) if iscoroutinefunction(statistics) else statistics

    def count(_: CallbackOptions) -> Iterable[Observation]:
        if (now := ask()) is not None:
            for state in ("pending", "deferred", "in_flight"):
                yield Observation(getattr(now, state), {"wlsmtp.outbox": name, "state": state})

    def age(_: CallbackOptions) -> Iterable[Observation]:
        if (now := ask()) is not None:
            seconds = (datetime.now(UTC) - now.oldest).total_seconds() if now.oldest is not None else 0.0
            yield Observation(max(0.0, seconds), {"wlsmtp.outbox": name})

    meter.create_observable_gauge("smtp.client.outbox.messages", [count], "{message}", "Messages in the outbox")
    meter.create_observable_gauge("smtp.client.outbox.age", [age], "s", "Age of the oldest pending message")


class Telemetry:
    """The listener that ``instrument`` adds to sessions."""

    def __init__(self, tracer_provider: TracerProvider | None, meter_provider: MeterProvider | None) -> None:
        self._tracer = trace.get_tracer("wlsmtp", __version__, tracer_provider)
        meter = metrics.get_meter("wlsmtp", __version__, meter_provider)
        self._duration = meter.create_histogram(
            "smtp.client.send.duration", "s", "Duration of deliveries", explicit_bucket_boundaries_advisory=_SECONDS
        )
        self._connections = meter.create_up_down_counter(
            "smtp.client.connections", "{connection}", "Connections that are open"
        )
        self._open: dict[str, Attributes] = {}

    def carry(self) -> Mapping[str, str]:
        """The current trace, for the message that is put into an outbox."""
        carrier: dict[str, str] = {}
        propagate.inject(carrier)
        return carrier

    def __call__(self, event: Any) -> None:
        """Make a span of an event, and count it."""
        match event:
            case Connected():
                self._open[event.connection] = _server(event.server)
                self._connections.add(1, _server(event.server))
                opened_for = events.opened_for.get()
                if opened_for is None:
                    self._connection(event, _now(), None)
                else:
                    opened_for.append((self, event, _now()))
            case Disconnected() if event.connection in self._open:
                self._connections.add(-1, self._open.pop(event.connection))
            case Sent() | Failed():
                self._message(event)
            case Streamed():
                self._stream(event)

    def _message(self, event: Sent | Failed) -> None:
        receipt = event.receipt
        error = event.error if isinstance(event, Failed) else None
        about = _server(event.transport) | {"wlsmtp.status": receipt.status.value} | _failure(error)
        self._duration.record(event.seconds, about)
        if event.is_streamed:
            return
        about |= {"smtp.recipients": len(receipt.recipients), "smtp.attempts": receipt.attempts}
        if receipt.message_id is not None:
            about["messaging.message.id"] = receipt.message_id
        # A worker of an outbox runs in the context of the caller that stored the first message.
        parent = propagate.extract(receipt.carried, Context()) if isinstance(receipt, OutboxReceipt) else None
        end = _now()
        reply = error.reply if error is not None and error.reply is not None else receipt.reply
        if reply is not None:
            about["smtp.response.status_code"] = reply.code
        span = self._span("SMTP send", end - event.seconds, about, parent, error)
        for owner, connected, heard in events.opened_for.get() or ():
            if owner is self:
                self._connection(connected, heard, trace.set_span_in_context(span))
        span.end(_nanoseconds(end))

    def _stream(self, event: Streamed) -> None:
        about: Attributes = {"messaging.batch.message_count": event.messages, "wlsmtp.failed": event.failed}
        end = _now()
        about |= _server(event.transport) | _failure(event.error)
        span = self._span("SMTP send", end - event.seconds, about, None, event.error)
        span.end(_nanoseconds(end))

    def _connection(self, event: Connected, end: float, parent: Context | None) -> None:
        """A span of how a connection was opened, with children for its encryption and its login."""
        began = end - sum(seconds for _, seconds in event.stages)
        about = _server(event.server)
        span = self._span("SMTP connect", began, about, parent)
        for stage, seconds in event.stages:
            if stage in (Stage.TLS, Stage.AUTH):
                part = self._span(f"SMTP {stage}", began, about, trace.set_span_in_context(span))
                part.end(_nanoseconds(began + seconds))
            began += seconds
        span.end(_nanoseconds(end))

    def _span(
        self, name: str, began: float, about: Attributes, parent: Context | None, error: SMTPError | None = None
    ) -> Span:
        about = {"network.protocol.name": "smtp", **about}
        span = self._tracer.start_span(name, parent, SpanKind.CLIENT, about, start_time=_nanoseconds(began))
        if error is not None:
            span.set_status(StatusCode.ERROR, str(error.stage or ""))  # its words may name a recipient
        return span


class WlsmtpInstrumentor:
    """For ``opentelemetry-instrument``, which finds it by its entry point: each session made from then on reports."""

    _listener: Listener | None = None

    def instrument(self, **settings: Any) -> None:
        """Have all sessions report; ``settings`` are those of ``instrument``, others are ignored."""
        if WlsmtpInstrumentor._listener is None:
            known = {name: settings[name] for name in ("tracer_provider", "meter_provider") if name in settings}
            WlsmtpInstrumentor._listener = instrument(**known)
            events.everywhere.append(WlsmtpInstrumentor._listener)

    def uninstrument(self, **_: Any) -> None:
        """Sessions made from now on do not report."""
        if WlsmtpInstrumentor._listener is not None:
            events.everywhere.remove(WlsmtpInstrumentor._listener)
            WlsmtpInstrumentor._listener = None


def _now() -> float:
    return datetime.now(UTC).timestamp()


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1e9)


def _server(name: str) -> Attributes:
    """What is known of ``host:port``; another transport has a name."""
    host, _, port = name.rpartition(":")
    if port.isdecimal():
        return {"server.address": host.strip("[]"), "server.port": int(port)}
    return {"wlsmtp.transport": name} if name else {}


def _failure(error: SMTPError | None) -> Attributes:
    return {"error.type": type(error).__name__} if error is not None else {}
