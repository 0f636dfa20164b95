"""What ``wlsmtp.contrib.otel`` reports, as the SDK of OpenTelemetry exports it."""

from __future__ import annotations

import asyncio
import itertools
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.worlds import World
from wlsmtp import AsyncSMTPSession, ConfigError, Message, SMTPError, SMTPSession
from wlsmtp.contrib.otel import instrument, observe_outbox
from wlsmtp.events import Listener
from wlsmtp.testing import SMTPServer

MESSAGE = Message(sender="ann@example.com", to="bob@example.org", subject="A secret subject", text="x")


class Telemetry:
    """Providers with exporters that keep what they get."""

    def __init__(self) -> None:
        self._spans, self._reader = InMemorySpanExporter(), InMemoryMetricReader()
        self.traces, self.meters = TracerProvider(), MeterProvider([self._reader])
        self.traces.add_span_processor(SimpleSpanProcessor(self._spans))
        self.tracer = self.traces.get_tracer("tests")

    @property
    def listener(self) -> Listener:
        return instrument(tracer_provider=self.traces, meter_provider=self.meters)

    def spans(self, name: str) -> list[ReadableSpan]:
        return [span for span in self._spans.get_finished_spans() if span.name == name]

    def metric(self, name: str) -> list[Any]:
        """The data points of a metric, collected now."""
        data = self._reader.get_metrics_data()
        if data is None:
            return []
        metrics = [metric for each in data.resource_metrics for scope in each.scope_metrics for metric in scope.metrics]
        return [point for metric in metrics if metric.name == name for point in metric.data.data_points]

    def everything(self) -> str:
        return "".join(span.to_json() for span in self._spans.get_finished_spans())


@pytest.fixture
def telemetry() -> Iterator[Telemetry]:
    telemetry = Telemetry()
    yield telemetry
    telemetry.traces.shutdown()
    telemetry.meters.shutdown()


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


class TestAMessage:
    def test_is_a_span_and_its_connection_a_child(self, world: World, telemetry: Telemetry) -> None:
        with SMTPServer(security="tls", users={"ann": "s3cret"}) as server:
            session = world.session(
                "localhost", server.port, security="tls", tls={"ca_file": server.ca_file}, username="ann",
                password="s3cret", listeners=[telemetry.listener],
            )  # fmt: skip
            with session:
                with telemetry.tracer.start_as_current_span("signup") as signup:
                    receipt = session.send(MESSAGE)
                session.send(MESSAGE)
        first, _ = telemetry.spans("SMTP send")
        assert attributes(first) == {
            "network.protocol.name": "smtp", "server.address": "localhost", "server.port": server.port,
            "smtp.response.status_code": 250, "smtp.recipients": 1, "smtp.attempts": 1, "wlsmtp.status": "sent",
            "messaging.message.id": receipt.message_id,
        }  # fmt: skip
        assert first.parent is not None and first.parent.span_id == signup.get_span_context().span_id
        assert first.kind.name == "CLIENT"
        [connect], [tls], [auth] = (telemetry.spans(f"SMTP {name}") for name in ("connect", "TLS", "AUTH"))
        assert connect.parent is not None and connect.parent.span_id == first.context.span_id
        for part in (tls, auth):
            assert part.parent is not None and part.parent.span_id == connect.context.span_id
        times = [connect.start_time, tls.start_time, tls.end_time, auth.start_time, auth.end_time, connect.end_time]
        assert all(earlier <= later + 1000 for earlier, later in itertools.pairwise(int(time or 0) for time in times))

    def test_that_is_refused_has_the_error_and_nobodys_address(self, world: World, telemetry: Telemetry) -> None:
        with SMTPServer() as server, world.session(server.host, server.port, listeners=[telemetry.listener]) as session:
            server.refuse("bob@example.org")
            with pytest.raises(SMTPError):
                session.send(MESSAGE)
        [span] = telemetry.spans("SMTP send")
        about = attributes(span)
        assert about["error.type"] == "RecipientsRefused" and about["smtp.response.status_code"] == 550
        assert span.status.status_code.name == "ERROR" and span.status.description == "RCPT"
        words = telemetry.everything()
        assert not any(secret in words for secret in ("bob", "ann@", "secret", "No such user"))

    def test_without_a_server_says_so(self, world: World, telemetry: Telemetry) -> None:
        with SMTPServer() as server:
            port = server.port
        session = world.session("127.0.0.1", port, retry={"attempts": 1}, listeners=[telemetry.listener])
        with session, pytest.raises(ConnectionError):
            session.send(MESSAGE)
        [span] = telemetry.spans("SMTP send")
        assert attributes(span)["error.type"] == "ConnectionFailed" and attributes(span)["server.port"] == port
        assert telemetry.spans("SMTP connect") == []


class TestAStream:
    def test_is_one_span_with_the_number_of_its_messages(self, world: World, telemetry: Telemetry) -> None:
        with SMTPServer() as server, world.session(server.host, server.port, listeners=[telemetry.listener]) as session:
            server.reply_to("RCPT", "550 5.1.1 No such user", times=1)
            session.send_all([MESSAGE] * 5)
        [span] = telemetry.spans("SMTP send")
        assert attributes(span)["messaging.batch.message_count"] == 5 and attributes(span)["wlsmtp.failed"] == 1
        points = telemetry.metric("smtp.client.send.duration")
        assert {point.attributes["wlsmtp.status"]: point.count for point in points} == {"sent": 4, "error": 1}


class TestAnOutbox:
    @pytest.mark.parametrize("kind", ["memory", "sqlite"])
    def test_carries_the_trace_to_the_worker(
        self, world: World, telemetry: Telemetry, kind: str, tmp_path: Path
    ) -> None:
        outbox = "memory:" if kind == "memory" else f"sqlite:///{tmp_path}/outbox.db"
        with SMTPServer() as server:
            session = world.session(
                server.host, server.port, mode="async", outbox=outbox, listeners=[telemetry.listener]
            )
            with session:
                with telemetry.tracer.start_as_current_span("signup") as signup:
                    session.send(MESSAGE)
                session.flush()
        [span] = telemetry.spans("SMTP send")
        assert span.parent is not None and span.parent.span_id == signup.get_span_context().span_id
        assert span.context.trace_id == signup.get_span_context().trace_id

    def test_keeps_the_traces_of_tasks_apart(self, telemetry: Telemetry, smtp_server: SMTPServer) -> None:
        async def main() -> list[int | None]:
            settings: dict[str, Any] = {"mode": "async", "outbox": "memory:", "listeners": [telemetry.listener]}
            parents: list[int | None] = []
            async with AsyncSMTPSession(smtp_server.host, smtp_server.port, **settings) as session:
                for name in "first", "second":
                    with telemetry.tracer.start_as_current_span(name) as span:
                        await session.send(MESSAGE)
                        parents.append(span.get_span_context().span_id)
                await session.send(MESSAGE)
                await session.flush()
            return [*parents, None]

        parents = asyncio.run(main())
        found = [span.parent.span_id if span.parent is not None else None for span in telemetry.spans("SMTP send")]
        assert found == parents

    def test_is_measured(self, telemetry: Telemetry, tmp_path: Path) -> None:
        with SMTPServer() as server:
            port = server.port
        outbox = f"sqlite:///{tmp_path}/outbox.db"
        with SMTPSession("127.0.0.1", port, mode="async", outbox=outbox) as session:
            observe_outbox(session.outbox_statistics, meter_provider=telemetry.meters)
            assert [point.value for point in telemetry.metric("smtp.client.outbox.age")] == [0.0]
            session.send(MESSAGE)
            states = {p.attributes["state"]: p.value for p in telemetry.metric("smtp.client.outbox.messages")}
            assert states["pending"] == 1 and states.keys() == {"pending", "deferred", "in_flight"}
            [age] = telemetry.metric("smtp.client.outbox.age")
            assert age.value > 0
            session.close(drain=False)


def test_an_outbox_of_asyncio_is_measured_from_the_thread_of_the_collector(
    telemetry: Telemetry, tmp_path: Path
) -> None:
    outbox = f"sqlite:///{tmp_path}/outbox.db"

    def pending() -> list[int]:
        points = telemetry.metric("smtp.client.outbox.messages")
        return [point.value for point in points if point.attributes["state"] == "pending"]

    async def main() -> None:
        async with AsyncSMTPSession("127.0.0.1", 1, mode="async", outbox=outbox, outbox_worker=False) as session:
            observe_outbox(session.outbox_statistics, meter_provider=telemetry.meters)
            await session.send(MESSAGE)
            assert await asyncio.to_thread(pending) == [1]
            [age] = await asyncio.to_thread(telemetry.metric, "smtp.client.outbox.age")
            assert age.value > 0
            await session.send(MESSAGE)
            assert pending() == [1]  # the loop cannot wait for itself: it gets what was known before
            assert await asyncio.to_thread(pending) == [2]

    asyncio.run(main())
    assert pending() == []
    with pytest.raises(ConfigError, match="event loop"):
        observe_outbox(AsyncSMTPSession("127.0.0.1", 1).outbox_statistics)


def test_open_connections_are_counted(world: World, telemetry: Telemetry) -> None:
    with SMTPServer() as server:
        with world.session(server.host, server.port, listeners=[telemetry.listener]) as session:
            session.send(MESSAGE)
            [open_now] = telemetry.metric("smtp.client.connections")
            assert open_now.value == 1
        [closed] = telemetry.metric("smtp.client.connections")
    assert closed.value == 0 and closed.attributes == {"server.address": "127.0.0.1", "server.port": server.port}


def test_a_connection_that_no_message_asked_for_is_a_span_of_its_own(world: World, telemetry: Telemetry) -> None:
    with SMTPServer() as server, world.session(server.host, server.port, listeners=[telemetry.listener]) as session:
        session.verify()
    [connect] = telemetry.spans("SMTP connect")
    assert connect.parent is None


PROGRAM = """
import sys
from wlsmtp import SMTPSession
with SMTPSession("127.0.0.1", int(sys.argv[1])) as session:
    session.send(sender="ann@example.com", to="bob@example.org", subject="Hi", text="Hello")
"""


def test_a_program_is_instrumented_from_outside(smtp_server: SMTPServer, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    command = [
        str(Path(sys.executable).with_name("opentelemetry-instrument")), "--traces_exporter", "console",
        "--metrics_exporter", "none", "--logs_exporter", "none", sys.executable, str(program), str(smtp_server.port),
    ]  # fmt: skip
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    decoder, rest, spans = json.JSONDecoder(), run.stdout.strip(), []
    while rest:
        span, end = decoder.raw_decode(rest)
        spans.append(span["name"])
        rest = rest[end:].strip()
    assert spans == ["SMTP connect", "SMTP send"], run.stderr


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    code = "import sys; sys.modules['opentelemetry'] = None; import wlsmtp.contrib.otel"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert 'pip install "wlsmtp[otel]"' in run.stderr
