"""The page on brokers: a worker is killed when its task has sent and is not acknowledged; it is delivered again."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.rabbitmq import RabbitMQ
from tests.recipes import lines_until, output, started, unpack
from wlsmtp import SMTPSession
from wlsmtp.testing import SMTPServer

DIES = """
import os, pathlib, signal

def die_once(*_, **__):
    told = pathlib.Path("died")
    if not told.exists():
        told.touch()
        os.kill(os.getpid(), signal.SIGKILL)
"""
"""Ends the worker when the first task has been carried out, and before it is acknowledged."""
CELERY = f"""{DIES}
import sys
from celery import signals
import tasks
signals.task_postrun.connect(die_once, weak=False)
tasks.app.worker_main(["worker", "--pool=solo", "--loglevel=INFO", "--without-gossip", "--without-mingle",
                       "--without-heartbeat", "--queues", "mail"])
"""
CALL_CELERY = "import tasks; tasks.send_mail.apply_async(['bob@example.org', 'Hi', 'Hello'], queue='mail')"
DRAMATIQ = f"""{DIES}
import os, sys, threading
import dramatiq
from dramatiq.brokers.rabbitmq import RabbitmqBroker

class Dies(dramatiq.Middleware):
    def after_process_message(self, broker, message, *, result=None, exception=None):
        die_once()

    def after_ack(self, broker, message):
        print("acknowledged", flush=True)

broker = RabbitmqBroker(url=os.environ["BROKER"])
broker.add_middleware(Dies())
dramatiq.set_broker(broker)
import actors
worker = dramatiq.Worker(broker, worker_threads=1)
worker.start()
threading.Event().wait()
"""
CALL_DRAMATIQ = """
import os
import dramatiq
from dramatiq.brokers.rabbitmq import RabbitmqBroker
dramatiq.set_broker(RabbitmqBroker(url=os.environ["BROKER"]))
import actors
actors.send_mail.send("bob@example.org", "Hi", "Hello")
"""
DIRECT = ('SMTPSession.from_env(mode="async", outbox_worker=False)', "SMTPSession.from_env()")
"""What the tasks would be without an outbox."""


def work_die_and_work_again(
    directory: Path, server: SMTPServer, broker: str, call: str, program: str, done: str
) -> None:
    """Give a task to a worker that dies, and to another one, until that has acknowledged it."""
    more = {"CELERY_BROKER_URL": broker, "BROKER": broker, "WLSMTP_OUTBOX": f"sqlite:///{directory}/outbox.db"}
    if "mode=" not in "".join(path.read_text() for path in directory.glob("*.py")):
        del more["WLSMTP_OUTBOX"]
    with started(directory, "-c", call, port=server.port, **more) as caller:
        assert caller.wait(60) == 0, output(caller).read()
    with started(directory, "-c", program, port=server.port, **more) as worker:
        assert worker.wait(60) == -9, output(worker).read()
    with started(directory, "-c", program, port=server.port, **more) as worker:
        lines_until(done, output(worker))


CASES = [
    ("tasks.py", CALL_CELERY, CELERY, r"succeeded in"),
    ("actors.py", CALL_DRAMATIQ, DRAMATIQ, "acknowledged"),
]


@pytest.mark.parametrize(("file", "call", "program", "done"), CASES, ids=["Celery", "Dramatiq"])
class TestKilledWorker:
    def test_through_an_outbox_one_mail_arrives(
        self, rabbitmq: RabbitMQ, smtp_server: SMTPServer, tmp_path: Path, file: str, call: str, program: str, done: str
    ) -> None:
        work_die_and_work_again(unpack("rabbitmq", tmp_path), smtp_server, rabbitmq.url, call, program, done)
        assert smtp_server.messages == []
        outbox = f"sqlite:///{tmp_path}/outbox.db"
        with SMTPSession(smtp_server.host, smtp_server.port, mode="async", outbox=outbox) as session:
            session.open()
            assert session.flush(30) == 0
        assert len(smtp_server.messages) == 1

    def test_without_one_it_arrives_twice(
        self, rabbitmq: RabbitMQ, smtp_server: SMTPServer, tmp_path: Path, file: str, call: str, program: str, done: str
    ) -> None:
        unpack("rabbitmq", tmp_path)
        text = (tmp_path / file).read_text()
        text = text.replace(*DIRECT).replace(", idempotency_key=key", "")
        (tmp_path / "tasks.py").unlink()
        (tmp_path / "actors.py").unlink(missing_ok=True)
        (tmp_path / file).write_text(text)
        work_die_and_work_again(tmp_path, smtp_server, rabbitmq.url, call, program, done)
        assert len(smtp_server.messages) == 2
