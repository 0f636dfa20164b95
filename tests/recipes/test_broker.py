"""The page on brokers: a worker is killed when its task has sent and is not acknowledged; it is delivered again."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.rabbitmq import RabbitMQ
from tests.recipes import lines_until, output, started, unpack
from wlsmtp import SMTPSession
from wlsmtp.testing import SMTPServer

pytestmark = pytest.mark.timeout(300)

DIES = """
import os, pathlib, signal

def die_once(*_, **__):
    told = pathlib.Path("died")
    if not told.exists():
        told.touch()
        os.kill(os.getpid(), signal.SIGKILL)
"""
"""Ends the worker when the first task has been carried out, and before it is acknowledged. The next one finds it
again."""
CELERY = f"""{DIES}
import sys
from celery import signals
import tasks
signals.task_postrun.connect(die_once, weak=False)
if not pathlib.Path("died").exists():
    tasks.send_mail.apply_async(["bob@example.org", "Hi", "Hello"], queue=os.environ["QUEUE"])
tasks.app.worker_main(["worker", "--pool=solo", "--loglevel=INFO", "--without-gossip", "--without-mingle",
                       "--without-heartbeat", "--queues", os.environ["QUEUE"]])
"""
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
if not pathlib.Path("died").exists():
    actors.send_mail.send("bob@example.org", "Hi", "Hello")
worker = dramatiq.Worker(broker, worker_threads=1)
worker.start()
threading.Event().wait()
"""
DIRECT = ('SMTPSession.from_env(mode="async", outbox_worker=False)', "SMTPSession.from_env()")
"""What the tasks would be without an outbox."""


def work_die_and_work_again(directory: Path, server: SMTPServer, broker: str, program: str, done: str) -> None:
    """Run a worker that dies with its task, and then another one until it has acknowledged the task."""
    more = {"CELERY_BROKER_URL": broker, "BROKER": broker, "QUEUE": f"mail-{server.port}"}
    if "mode=" in "".join(path.read_text() for path in directory.glob("*.py")):
        more["WLSMTP_OUTBOX"] = f"sqlite:///{directory}/outbox.db"
    with started(directory, "-c", program, port=server.port, **more) as worker:
        assert worker.wait(120) == -9, output(worker).read()
    with started(directory, "-c", program, port=server.port, **more) as worker:
        lines_until(done, output(worker))


@pytest.mark.parametrize(
    ("program", "done"), [(CELERY, "succeeded in"), (DRAMATIQ, "acknowledged")], ids=["Celery", "Dramatiq"]
)
def test_through_an_outbox_one_mail_arrives(
    rabbitmq: RabbitMQ, smtp_server: SMTPServer, tmp_path: Path, program: str, done: str
) -> None:
    work_die_and_work_again(unpack("rabbitmq", tmp_path), smtp_server, rabbitmq.url, program, done)
    assert smtp_server.messages == []
    outbox = f"sqlite:///{tmp_path}/outbox.db"
    with SMTPSession(smtp_server.host, smtp_server.port, mode="async", outbox=outbox) as session:
        session.open()
        assert session.flush(30) == 0
    assert len(smtp_server.messages) == 1


def test_without_one_it_arrives_twice(rabbitmq: RabbitMQ, smtp_server: SMTPServer, tmp_path: Path) -> None:
    tasks = unpack("rabbitmq", tmp_path) / "tasks.py"
    (tmp_path / "actors.py").unlink()
    tasks.write_text(tasks.read_text().replace(*DIRECT).replace(", idempotency_key=key", ""))
    work_die_and_work_again(tmp_path, smtp_server, rabbitmq.url, CELERY, "succeeded in")
    assert len(smtp_server.messages) == 2
