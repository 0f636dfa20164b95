"""Tests against mail servers that this project did not write, each run as a foreground process of the test run.

This module has only what those servers share: finding, running, watching and ending a program. The configuration of a
server belongs in its own module.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

_SYSTEM_PATH = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"))
_LOG_TAIL = 4000

# A test run that is killed runs no finalizer, but its end of the pipe closes. (The parent-death signal of Linux would
# not do: a program that changes its user, as Postfix does, loses it.) A line instead of the end means: nothing to do.
_WATCH = 'read -r _ || kill -TERM "$1"'


class ServerFailed(RuntimeError):
    """A server ended, or was not ready in time; the message ends with what it logged last."""


class Restarting:
    """A server that starts with other ports if one was taken meanwhile."""

    start_attempts = 3
    _cleanup: ExitStack

    def start(self) -> None:
        """Start, and return once every endpoint greets; raise ServerFailed if it does not come up."""
        for attempt in range(1, self.start_attempts + 1):
            try:
                return self._start_once()
            except BaseException as error:
                self.stop()
                if not isinstance(error, ServerFailed) or attempt == self.start_attempts:
                    raise

    def stop(self) -> None:
        """End all its processes, and remove all that it wrote."""
        self._cleanup.close()

    def _start_once(self) -> None:
        raise NotImplementedError


def find_program(name: str) -> str | None:
    """Return the path of a program, looked for where system daemons are too, or None."""
    return shutil.which(name, path=_SYSTEM_PATH)


def poll(condition: Callable[[], bool], timeout: float) -> bool:
    """Ask until the condition holds, for at most `timeout` seconds; return whether it came to hold."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


class Daemon:
    """A program in the foreground, at the head of a process group of its own, that does not outlive this process."""

    def __init__(self, command: Sequence[str], logs: Sequence[Path]) -> None:
        self._name = command[0]
        self._logs = logs
        self._process = self._spawn(command)
        self._watch = subprocess.Popen(
            ["sh", "-c", _WATCH, "watch", str(self._process.pid)], stdin=subprocess.PIPE, start_new_session=True
        )

    @property
    def group(self) -> int:
        """The number of the process group that the program and its children are in."""
        return self._process.pid

    def _spawn(self, command: Sequence[str]) -> subprocess.Popen[bytes]:
        with self._logs[0].open("ab") as output:
            return subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )

    def wait_until(self, ready: Callable[[], bool], timeout: float) -> None:
        """Wait until the program is ready; raise ServerFailed when it ends before, or after `timeout` seconds."""
        settled = poll(lambda: self._process.poll() is not None or ready(), timeout)
        if not settled or self._process.poll() is not None:
            raise ServerFailed(f"{self._describe()}:\n{self._log_tail()}")

    def _describe(self) -> str:
        code = self._process.poll()
        return f"{self._name} {'was not ready in time' if code is None else f'ended with status {code}'}"

    def _log_tail(self) -> str:
        texts = [log.read_text("utf-8", "replace") for log in self._logs if log.exists()]
        return "\n".join(texts)[-_LOG_TAIL:]

    def stop(self, timeout: float = 5.0) -> None:
        """End the program and all its children: asked first, and killed after `timeout` seconds."""
        # Before the program is collected, since its number may then become another's.
        self._watch.communicate(b"\n", timeout)
        self._process.terminate()
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self._process.kill()
        if not poll(lambda: not lives(self.group), timeout):
            with suppress(ProcessLookupError):
                os.killpg(self.group, signal.SIGKILL)
        self._process.wait(timeout)


def lives(group: int) -> bool:
    """Return whether a process of the group still runs: not one that is dead, and that init has yet to collect."""
    return any(_runs_in(group, stat) for stat in Path("/proc").glob("[0-9]*/stat"))


def _runs_in(group: int, stat: Path) -> bool:
    # proc(5): "pid (name) state ppid pgrp ...", where the name may hold anything.
    try:
        state, _parent, its_group = stat.read_text("utf-8", "replace").rpartition(")")[2].split()[:3]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return int(its_group) == group and state != "Z"
