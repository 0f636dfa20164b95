"""The disk becomes full while a message is delivered: its outcome waits for space, and nothing is sent twice."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.worlds import World

PROGRAM = """
import logging, resource, sys
from pathlib import Path
from tests.faults.gates import Gate
from tests.worlds import World
from wlsmtp import Message, OutboxError, RetryPolicy
from wlsmtp.outbox import worker
from wlsmtp.testing import SMTPServer

logging.basicConfig(level=logging.ERROR)
world, file = sys.argv[1:]
worker.WRITE_RETRY_PAUSE, worker.WRITE_TRIES = 0.01, 3
quick = RetryPolicy(attempts=1000, backoff=0.02, max_backoff=0.02, jitter=0)

def message(size=10):
    return Message("ann@example.com", "bob@example.org", text="x" * 70 + "y" * size)

def disk(*, is_full):
    # No file may grow, as on a disk without space.
    limit = Path(file + "-wal").stat().st_size if is_full else resource.RLIM_INFINITY
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))

with SMTPServer() as server:
    gate = Gate("250 2.0.0 Queued")
    server.reply_to("STORED", gate, 1)
    session = World(world).session(
        server.host, server.port, mode="async", outbox="sqlite:///" + file, retry=quick
    )
    session.send_all([message()] * 3)
    while not gate.event.is_set():
        session.flush(0.02)
    disk(is_full=True)
    gate.opened.set()
    for refused in (lambda: session.send(message(100_000)), lambda: session.send_all([message(100_000)] * 2)):
        try:
            refused()
        except OutboxError as error:
            print(error.temporary, error.hint)
    print("pending", session.flush(0.5))
    disk(is_full=False)
    print("pending", session.flush(30), "delivered", len(server.messages))
    print([(receipt.status.value, receipt.interruptions) for receipt in session.receipts()])
    session.send(message(100_000))
    print("pending", session.flush(30))
    session.close()
"""
HINT = "There may be no space left on the disk. Nothing was changed, and it may be tried again"


def test_outcomes_wait_for_space_and_nothing_is_sent_twice(world: World, tmp_path: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, world.name, str(tmp_path / "outbox.db")]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    assert "could not be stored" in run.stderr
    assert run.stdout.splitlines() == [
        f"True {HINT}",
        f"True {HINT}",
        "pending 3",
        "pending 0 delivered 3",
        str([("sent", 0)] * 3),
        "pending 0",
    ]
