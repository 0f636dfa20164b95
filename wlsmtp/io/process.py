"""Programs fed through their standard input: their result, and how to run one while blocking.

A program's output goes to a temporary file and not into a pipe, so that it never waits for a reader, and a surviving
grandchild keeps nobody waiting.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from tempfile import TemporaryFile
from typing import BinaryIO

from wlsmtp.io.base import Ended

MAX_OUTPUT = 4096
"""Octets of a program's output that are kept."""


def run_program(command: Sequence[str], chunks: Iterable[bytes], deadline: float) -> Ended:
    """Run a program; see ``IO.run_program``."""
    with TemporaryFile() as output:
        process = subprocess.Popen(
            command, bufsize=0, stdin=subprocess.PIPE, stdout=output, stderr=output, start_new_session=True
        )
        was_fed = False
        try:
            was_fed = _feed(process, chunks, deadline)
            status: int | None = process.wait(_remaining(deadline))
        except (TimeoutError, subprocess.TimeoutExpired):
            status = None
        finally:
            _end(process)
        return Ended(status, was_fed, kept_of(output))


def _feed(process: subprocess.Popen[bytes], chunks: Iterable[bytes], deadline: float) -> bool:
    """Return whether the program received all of its input, and the end of it."""
    assert process.stdin is not None
    pipe = process.stdin.fileno()
    os.set_blocking(pipe, False)
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_WRITE)
        try:
            for chunk in chunks:
                rest = memoryview(chunk)
                while rest:
                    if selector.select(_remaining(deadline)):
                        rest = rest[os.write(pipe, rest) :]
        except BrokenPipeError:
            return False
    process.stdin.close()
    return True


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill and reap the program. It dies before its input is closed: a partial message must not look complete to it."""
    if process.poll() is None:
        kill_group(process.pid)
        process.wait()
    assert process.stdin is not None
    process.stdin.close()


def kill_group(leader: int) -> None:
    """Kill a program that leads its own session, and its child processes."""
    with suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


def kept_of(output: BinaryIO) -> bytes:
    """Return the end of a program's output."""
    size = output.seek(0, os.SEEK_END)
    output.seek(max(0, size - MAX_OUTPUT))
    return output.read(MAX_OUTPUT)


def _remaining(deadline: float) -> float:
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise TimeoutError
    return seconds
