"""``wlsmtp outbox run --workers N``: several worker processes, and one that watches over them."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Sequence

from wlsmtp.cli.screen import Screen

PAUSE = 1.0
"""Seconds before a worker that has died is replaced."""
POLL_INTERVAL = 0.1
"""Seconds between two looks at the workers."""
USAGE = 2
"""The exit code of a worker whose options are wrong: another one would say the same."""


def without_workers(arguments: Sequence[str]) -> list[str]:
    """Return the arguments of the command for one worker: the same without ``--workers``."""
    kept: list[str] = []
    rest = iter(arguments)
    for argument in rest:
        if argument == "--workers":
            next(rest, None)
        elif not argument.startswith("--workers="):
            kept.append(argument)
    return kept


def run_workers(count: int, arguments: Sequence[str]) -> int:
    """Run ``count`` workers until SIGTERM or Ctrl-C, which lets each finish the messages in flight; return the exit
    code. A worker that dies is replaced, one that ends by itself (``--once``, a usage error) is not."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    command = [sys.executable, "-m", "wlsmtp", *without_workers(arguments)]
    workers = [subprocess.Popen(command, start_new_session=True) for _ in range(count)]
    codes: list[int] = []
    while workers and not stop.wait(POLL_INTERVAL):
        for worker in [one for one in workers if one.poll() is not None]:
            workers.remove(worker)
            if worker.returncode in (0, USAGE):
                codes.append(worker.returncode)
                continue
            Screen(err=True).line(f"worker {worker.pid} has died ({worker.returncode}); another one takes its place")
            if not stop.wait(PAUSE):
                workers.append(subprocess.Popen(command, start_new_session=True))
    for worker in workers:
        worker.send_signal(signal.SIGTERM)
    codes += [worker.wait() for worker in workers]
    return max((abs(code) for code in codes), default=0)
