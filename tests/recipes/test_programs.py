"""The pages on programs, services and task queues."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.recipes import DOCS, ONCE, SOON, blocks, closed_port, environment, lines_until, output, run, started, unpack
from tests.recipes.postfix import MailServer

CACHE = Path(__file__).parent.parent.parent / "build" / "pyinstaller"
ONLY_FOR_DEVELOPERS = (
    "IPython", "pytest", "hypothesis", "numpy", "tkinter", "setuptools", "cryptography", "spnego", "django",
    "truststore", "icalendar", "css_inline", "scramp", "dateutil", "certifi", "python_socks", "requests", "dns",
)  # fmt: skip
"""What is installed here, and would not be where a program is frozen."""


class TestCron:
    def test_a_job_sends_its_report(self, mail_server: MailServer, tmp_path: Path) -> None:
        done = run(unpack("cron", tmp_path), "report.py", port=mail_server.port)
        assert (done.returncode, done.stderr) == (0, "") and len(mail_server.messages) == 1
        assert "quit=1" in mail_server.log.rpartition("disconnect from")[2]

    def test_the_exit_code_says_that_a_later_try_may_help(self, tmp_path: Path) -> None:
        done = run(unpack("cron", tmp_path), "report.py", port=closed_port(), **ONCE)
        assert done.returncode == 75 and "could not be reached" in done.stderr and "Traceback" not in done.stderr


class TestSystemd:
    def test_a_service_ends_in_good_order_at_sigterm(self, mail_server: MailServer, tmp_path: Path) -> None:
        with started(unpack("systemd", tmp_path), "service.py", port=mail_server.port) as service:
            lines_until("ready", output(service))
            self._give_work(service)
        assert service.returncode == 0
        assert len(mail_server.messages) == 1

    def test_what_could_not_be_sent_is_sent_by_the_next_start(self, mail_server: MailServer, tmp_path: Path) -> None:
        directory = unpack("systemd", tmp_path)
        mail_server.close()
        program = (directory / "service.py").read_text().replace("close_timeout=20", "close_timeout=1")
        (directory / "service.py").write_text(program)
        with started(directory, "service.py", port=mail_server.port, **SOON) as service:
            lines_until("ready", output(service))
            self._give_work(service)
        assert service.returncode == 0
        mail_server.open()
        with started(directory, "service.py", port=mail_server.port, **SOON):
            assert len(mail_server.wait_for_messages(1)) == 1

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
    mail_server: MailServer, tmp_path: Path
) -> None:
    mail_server.refuse("cleo@example.org", "451 4.3.0 Later")
    mail_server.refuse("eve@example.org")
    with started(unpack("aws-lambda", tmp_path), "-c", LAMBDA, port=mail_server.port, **ONCE) as process:
        assert process.stdin is not None
        lines_until('"message": "eve@example.org"', output(process))
        lines_until(r"\{'batchItemFailures': \[\{'itemIdentifier': 'cleo@example.org'\}\]\}", output(process))
        lines_until(r"\{'batchItemFailures': \[\]\}", output(process))
        assert mail_server.connections == 1 and len(mail_server.messages) == 2
        mail_server.close()
        process.stdin.write("\n")
        process.stdin.flush()
        lines_until(r"\{'batchItemFailures': \[\{'itemIdentifier': 'bob@example.org'\}\]\}", output(process))


def test_greenlets_wait_as_greenlets(mail_server: MailServer, tmp_path: Path) -> None:
    directory = unpack("gevent", tmp_path)
    done = run(directory, "program.py", port=mail_server.port)
    assert done.stdout == "50 sent\n", done.stderr
    assert len(mail_server.messages) == 50 and 1 <= mail_server.connections <= 4
    mail_server.close()
    down = run(directory, "program.py", port=mail_server.port, **ONCE)
    assert down.returncode == 1 and down.stderr.splitlines()[-1].startswith("wlsmtp.errors.ConnectionFailed: ")


@pytest.mark.parametrize("program", ["program.py", "anyio_program.py"])
def test_trio_and_anyio_run_beside_the_mail(mail_server: MailServer, tmp_path: Path, program: str) -> None:
    directory = unpack("trio", tmp_path)
    done = run(directory, program, port=mail_server.port)
    assert sorted(done.stdout.splitlines()) == [f"user{number}@example.org sent" for number in range(5)], done.stderr
    assert len(mail_server.messages) == 5
    mail_server.close()
    down = run(directory, program, port=mail_server.port, **ONCE)
    assert down.returncode == 1 and "ExceptionGroup" in down.stderr and "ConnectionFailed: " in down.stderr


CELERY = """
from celery.contrib.testing.worker import start_worker
import tasks
with start_worker(tasks.app, pool="solo", perform_ping_check=False, shutdown_timeout=30):
    recipients = "bob@example.org", "cleo@example.org", "eve@example.org"
    results = [tasks.send_mail.delay(to, "Hi", "Hello") for to in recipients]
    for result in results:
        result.get(timeout=30, propagate=False)
        print(result.state)
input()
failed = tasks.mail.statistics().failed
result = tasks.send_mail.apply(["bob@example.org", "Hi", "Hello"])  # without the pauses
print(type(result.result).__name__, "after", tasks.mail.statistics().failed - failed)
"""
DRAMATIQ = """
import dramatiq
from dramatiq.brokers.stub import StubBroker
broker = StubBroker()
dramatiq.set_broker(broker)
import tasks
worker = dramatiq.Worker(broker, worker_timeout=100)
worker.start()
def send(*recipients):
    for to in recipients:
        tasks.send_mail.send(to, "Hi", "Hello")
    broker.join(tasks.send_mail.queue_name, timeout=30_000, fail_fast=False)
    worker.join()
    print(len(broker.dead_letters), "dead")
send("bob@example.org", "cleo@example.org", "eve@example.org")
input()
failed = tasks.mail.statistics().failed
tasks.send_mail.options.update(min_backoff=1, max_backoff=1)
send("bob@example.org")
print("ConnectionFailed after", tasks.mail.statistics().failed - failed)
worker.stop()
"""


@pytest.mark.parametrize(
    ("page", "program", "says"),
    [("celery", CELERY, "SUCCESS\nSUCCESS\nFAILURE\n"), ("dramatiq", DRAMATIQ, "1 dead\n")],
    ids=["celery", "dramatiq"],
)
def test_a_task_queue_tries_again_what_may_work_later(
    page: str, program: str, says: str, mail_server: MailServer, tmp_path: Path
) -> None:
    """The server closes the first connection, has no room for cleo once, does not know eve, and then is down."""
    mail_server.to_hang_up = 1
    mail_server.refuse("cleo@example.org", "451 4.3.0 Later", times=1)
    mail_server.refuse("eve@example.org")
    broker = {"CELERY_BROKER_URL": "memory://", "CELERY_RESULT_BACKEND": "cache+memory://"}
    with started(unpack(page, tmp_path), "-c", program, port=mail_server.port, **broker) as process:
        for line in says.splitlines():
            lines_until(f"^{line}$", output(process))
        received = sorted(message.recipients for message in mail_server.messages)
        assert received == [("bob@example.org",), ("cleo@example.org",)]
        mail_server.close()
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
        lines_until("^ConnectionFailed after 11$", output(process))


METRICS = """
import metrics, outbox_metrics
from prometheus_client import REGISTRY, generate_latest
from wlsmtp import ConnectionFailed, SMTPSession
with SMTPSession.from_env() as session:
    metrics.watch(session)
    session.send(sender="ann@example.com", to="bob@example.org", subject="Hi", text="Hello")
    with SMTPSession.from_env(mode="async", outbox="memory:") as other:
        REGISTRY.register(outbox_metrics.OutboxCollector(other))
        kept = other.send(sender="ann@example.com", to="bob@example.org", subject="Hi", text="Hello", send_at=60)
        print(generate_latest(REGISTRY).decode())
        other.cancel(kept.id)
    input()
    try:
        session.send(sender="ann@example.com", to="bob@example.org", subject="Hi", text="Hello")
    except ConnectionFailed:
        print(generate_latest(REGISTRY).decode())
"""


def test_prometheus_scrapes_what_a_session_counts(mail_server: MailServer, tmp_path: Path) -> None:
    with started(unpack("prometheus", tmp_path), "-c", METRICS, port=mail_server.port, **ONCE) as process:
        lines_until(r'^smtp_messages_total\{result="sent"\} 1.0$', output(process))
        lines_until("^smtp_connections 1.0$", output(process))
        lines_until("^smtp_outbox_pending 1.0$", output(process))
        assert float(lines_until(r"^smtp_outbox_age_seconds (.*)$", output(process))[1]) > 0
        mail_server.close()
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
        lines_until(r'^smtp_messages_total\{result="failed"\} 1.0$', output(process))


@pytest.mark.timeout(900)
def test_pyinstaller_freezes_a_program_that_sends(mail_server: MailServer, tmp_path: Path) -> None:
    program = _frozen(blocks("recipes/pyinstaller")["program.py"])
    env = environment(mail_server.port)
    done = subprocess.run([program], env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.startswith("sent: 1 of 1"), done.stderr
    assert len(mail_server.messages) == 1
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
