"""Servers that the tests start end with them, also when the tests are killed and clean up nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from signal import Signals

_WATCH = """
import os, shutil, sys
sys.stdin.read()  # its other end is closed by whatever ends the tests
target, signal, *folders = sys.argv[1:]
try:
    os.kill(int(target), int(signal))
except ProcessLookupError:
    pass
for folder in folders:
    shutil.rmtree(folder, ignore_errors=True)
"""


class Watcher:
    """A process that sends a signal to a server once the process that started both has ended."""

    def __init__(self, target: int, signal: Signals, *folders: Path) -> None:
        """``target`` is a process, or a group of processes if it is negative; ``folders`` are removed after that."""
        command = [sys.executable, "-I", "-S", "-c", _WATCH, str(target), str(signal.value), *map(str, folders)]
        quiet = subprocess.DEVNULL
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=quiet, stderr=quiet, cwd="/", start_new_session=True
        )

    def dismiss(self) -> None:
        """Let the server live. Called before it is waited for: its number may be another process after that."""
        assert self._process.stdin is not None
        self._process.kill()
        self._process.wait(30)
        self._process.stdin.close()
