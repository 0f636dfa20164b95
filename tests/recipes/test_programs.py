"""The pages on programs, services and task queues."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.recipes import DOCS, ONCE, SOON, blocks, closed_port, environment, lines_until, output, run, started, unpack
from wlsmtp.testing import SMTPServer

CACHE = Path(__file__).parent.parent.parent / "build" / "pyinstaller"
ONLY_FOR_DEVELOPERS = (
    "IPython", "pytest", "hypothesis", "numpy", "tkinter", "setuptools", "cryptography", "spnego", "django",
    "truststore", "icalendar", "css_inline", "scramp", "dateutil", "certifi", "python_socks", "requests", "dns",
)  # fmt: skip
"""What is installed here, and would not be where a program is frozen."""


class TestCron:
    def test_a_job_sends_its_report(self, smtp_server: SMTPServer, tmp_path: Path) -> None:
        done = run(unpack("cron", tmp_path), "report.py", port=smtp_server.port)
        assert (done.returncode, done.stderr) == (0, "") and len(smtp_server.messages) == 1
        assert [line for _, side, line in smtp_server.transcript if side == "C"][-1] == b"QUIT"

    def test_the_exit_code_says_that_a_later_try_may_help(self, tmp_path: Path) -> None:
        done = run(unpack("cron", tmp_path), "report.py", port=closed_port(), **ONCE)
        assert done.returncode == 75 and "could not be reached" in done.stderr and "Traceback" not in done.stderr


class TestSystemd:
    def test_a_service_ends_in_good_order_at_sigterm(self, smtp_server: SMTPServer, tmp_path: Path) -> None:
        with started(unpack("systemd", tmp_path), "service.py", port=smtp_server.port) as service:
            lines_until("ready", output(service))
            self._give_work(service)
        assert service.returncode == 0
        assert len(smtp_server.messages) == 1

    def test_what_could_not_be_sent_is_sent_by_the_next_start(self, tmp_path: Path) -> None:
        directory, port = unpack("systemd", tmp_path), closed_port()
        program = (directory / "service.py").read_text().replace("close_timeout=20", "close_timeout=1")
        (directory / "service.py").write_text(program)
        with started(directory, "service.py", port=port, **SOON) as service:
            lines_until("ready", output(service))
            self._give_work(service)
        assert service.returncode == 0
        with SMTPServer(port=port) as server, started(directory, "service.py", port=port, **SOON):
            assert len(server.wait_for_messages(1, timeout=30)) == 1

    def _give_work(self, service: subprocess.Popen[str]) -> None:
        assert service.stdin is not None
        service.stdin.write("bob@example.org\n")
        service.stdin.flush()
        lines_until("stored", output(service))


LAMBDA = """
import json, handler
def records(*recipients):
    return {"Records": [
        {"messageId": to, "body": json.dumps({"to": to, "subject": "Hi", "text": "Hello"})} for to in recipients
    ]}
print(handler.handler(records("bob@example.org", "eve@example.org", "cleo@example.org"), None))
print(handler.handler(records("bob@example.org"), None))
input()
print(handler.handler(records("bob@example.org"), None))
"""


def test_a_lambda_keeps_its_connection_and_gives_back_what_may_work_later(
    smtp_server: SMTPServer, tmp_path: Path
) -> None:
    smtp_server.reply_to("RCPT <cleo@example.org>", "451 4.3.0 Later")
    smtp_server.refuse("eve@example.org")
    with started(unpack("aws-lambda", tmp_path), "-c", LAMBDA, port=smtp_server.port, **ONCE) as process:
        assert process.stdin is not None
        lines_until('"message": "eve@example.org"', output(process))
        lines_until(r"\{'batchItemFailures': \[\{'itemIdentifier': 'cleo@example.org'\}\]\}", output(process))
        lines_until(r"\{'batchItemFailures': \[\]\}", output(process))
        assert smtp_server.connections == 1 and len(smtp_server.messages) == 2
        smtp_server.close()
        process.stdin.write("\n")
        process.stdin.flush()
        lines_until(r"\{'batchItemFailures': \[\{'itemIdentifier': 'bob@example.org'\}\]\}", output(process))


def test_greenlets_wait_as_greenlets(smtp_server: SMTPServer, tmp_path: Path) -> None:
    done = run(unpack("gevent", tmp_path), "program.py", port=smtp_server.port)
    assert done.stdout == "50 sent\n", done.stderr
    assert len(smtp_server.messages) == 50 and 1 <= smtp_server.connections <= 4


CELERY = """
from celery.contrib.testing.worker import start_worker
import tasks
with start_worker(tasks.app, pool="solo", perform_ping_check=False, shutdown_timeout=30):
    recipients = "bob@example.org", "cleo@example.org", "eve@example.org"
    results = [tasks.send_mail.delay(to, "Hi", "Hello") for to in recipients]
    for result in results:
        result.get(timeout=30, propagate=False)
        print(result.state)
"""
DRAMATIQ = """
import dramatiq
from dramatiq.brokers.stub import StubBroker
broker = StubBroker()
dramatiq.set_broker(broker)
import tasks
worker = dramatiq.Worker(broker, worker_timeout=100)
worker.start()
for to in "bob@example.org", "cleo@example.org", "eve@example.org":
    tasks.send_mail.send(to, "Hi", "Hello")
broker.join(tasks.send_mail.queue_name, timeout=30_000, fail_fast=False)
worker.join()
worker.stop()
print(len(broker.dead_letters), "dead")
"""


@pytest.fixture
def a_server_that_hangs_up_once(smtp_server: SMTPServer) -> SMTPServer:
    """It closes the first connection, has no room for cleo once, and does not know eve."""
    smtp_server.reply_to("CONNECT", SMTPServer.CLOSE, times=1)
    smtp_server.reply_to("RCPT <cleo@example.org>", "451 4.3.0 Later", times=1)
    smtp_server.refuse("eve@example.org")
    return smtp_server


@pytest.mark.parametrize(
    ("page", "program", "says"),
    [("celery", CELERY, "SUCCESS\nSUCCESS\nFAILURE\n"), ("dramatiq", DRAMATIQ, "1 dead\n")],
    ids=["celery", "dramatiq"],
)
def test_a_task_queue_tries_again_what_may_work_later(
    page: str, program: str, says: str, a_server_that_hangs_up_once: SMTPServer, tmp_path: Path
) -> None:
    server = a_server_that_hangs_up_once
    broker = {"CELERY_BROKER_URL": "memory://", "CELERY_RESULT_BACKEND": "cache+memory://"}
    done = run(unpack(page, tmp_path), "-c", program, port=server.port, **broker)
    assert done.stdout.endswith(says), done.stderr
    assert sorted(message.recipients for message in server.messages) == [("bob@example.org",), ("cleo@example.org",)]


METRICS = """
import metrics, outbox_metrics
from prometheus_client import REGISTRY, generate_latest
from wlsmtp import SMTPSession
with SMTPSession.from_env() as session:
    metrics.watch(session)
    session.send(sender="ann@example.com", to="bob@example.org", subject="Hi", text="Hello")
    with SMTPSession.from_env(mode="async", outbox="memory:") as other:
        REGISTRY.register(outbox_metrics.OutboxCollector(other))
        kept = other.send(sender="ann@example.com", to="bob@example.org", subject="Hi", text="Hello", send_at=60)
        print(generate_latest(REGISTRY).decode())
        other.cancel(kept.id)
"""


def test_prometheus_scrapes_what_a_session_counts(smtp_server: SMTPServer, tmp_path: Path) -> None:
    done = run(unpack("prometheus", tmp_path), "-c", METRICS, port=smtp_server.port)
    lines = done.stdout.splitlines()
    assert {'smtp_messages_total{result="sent"} 1.0', "smtp_connections 1.0", "smtp_outbox_pending 1.0"} <= {*lines}, (
        done.stderr
    )
    [age] = [float(line.split()[1]) for line in lines if line.startswith("smtp_outbox_age_seconds ")]
    assert age > 0


@pytest.mark.timeout(900)
def test_pyinstaller_freezes_a_program_that_sends(smtp_server: SMTPServer, tmp_path: Path) -> None:
    program = _frozen(blocks("recipes/pyinstaller")["program.py"])
    env = environment(smtp_server.port)
    done = subprocess.run([program], env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.startswith("sent: 1 of 1"), done.stderr
    assert len(smtp_server.messages) == 1
    down = subprocess.run(
        [program], env=environment(closed_port(), **ONCE), capture_output=True, text=True, timeout=60, check=False
    )
    assert down.returncode == 1 and "could not be reached" in down.stderr and "Traceback" not in down.stderr


def _frozen(program: str) -> Path:
    """The program, built by the command of the page; kept until the program, the package or Python changes."""
    package = Path(__file__).parent.parent.parent / "wlsmtp"
    files = sorted(
        path for path in package.rglob("*.py") if path.parts[len(package.parts)] not in ("testing", "contrib")
    )
    digest = hashlib.sha256("".join([sys.version, program, *(path.read_text() for path in files)]).encode()).hexdigest()
    directory = CACHE / digest[:16]
    if not (directory / "dist" / "program" / "program").exists():
        shutil.rmtree(CACHE, ignore_errors=True)
        directory.mkdir(parents=True)
        (directory / "program.py").write_text(program)
        page = (DOCS / "recipes" / "pyinstaller.md").read_text(encoding="utf-8")
        [command] = [line for line in page.splitlines() if line.startswith("pyinstaller ")]
        left_out = [f"--exclude-module={name}" for name in ONLY_FOR_DEVELOPERS]
        arguments = [sys.executable, "-m", "PyInstaller", "--log-level", "ERROR", *left_out, *command.split()[1:]]
        subprocess.run(arguments, cwd=directory, check=True, timeout=800)
    return directory / "dist" / "program" / "program"
