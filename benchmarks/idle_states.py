"""Keeps the cores of this machine out of their idle states, so that no client pays for leaving them.

A core without work enters an idle state, and on many machines, virtual ones above all, it leaves that slowly. Clients
that wait for each reply are then several times slower than beside other work. Programs that spin with the priority
SCHED_IDLE prevent it, and take no time from any other program.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

SPIN = """
import os, sys
os.sched_setaffinity(0, {int(sys.argv[1])})
os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
parent = os.getppid()
while os.getppid() == parent:
    for _ in range(1_000_000):
        pass
"""


@contextmanager
def no_idle_states() -> Iterator[None]:
    """Keep all cores busy for a while."""
    spinners = [subprocess.Popen([sys.executable, "-c", SPIN, str(core)]) for core in os.sched_getaffinity(0)]
    try:
        yield
    finally:
        for spinner in spinners:
            spinner.kill()
            spinner.wait()
