"""Servers that the tests start do not outlive them."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from tests.outbox.programs import start
from tests.real import poll
from tests.watcher import Watcher

STARTS_A_SERVER = """
    import signal, subprocess, sys
    from pathlib import Path
    from tests.watcher import Watcher

    server = subprocess.Popen(["sh", "-c", "sleep 600 & wait"], start_new_session=True, stdout=subprocess.DEVNULL)
    watcher = Watcher(-server.pid, signal.SIGKILL, Path(sys.argv[1]))
    print(server.pid, flush=True)
    sys.stdin.readline()
"""


def test_a_server_ends_when_the_tests_are_killed(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    tests = start(STARTS_A_SERVER, tmp_path / "data")
    assert tests.stdout is not None
    group = int(tests.stdout.readline())
    assert _members(group)
    tests.kill()
    tests.communicate()
    assert poll(lambda: not _members(group), 30)
    assert poll(lambda: not (tmp_path / "data").exists(), 30)


def test_a_server_that_was_ended_properly_is_not_watched_any_more() -> None:
    server = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    Watcher(server.pid, signal.SIGKILL).dismiss()
    server.communicate(b"\n")
    assert server.returncode == 0


def _members(group: int) -> list[str]:
    """The processes of a group that have not ended."""
    found = subprocess.run(["ps", "-eo", "pgid=,stat=,args="], capture_output=True, text=True, check=True).stdout
    rows = (line.split(maxsplit=2) for line in found.splitlines())
    return [row[-1] for row in rows if int(row[0]) == group and not row[1].startswith("Z")]
