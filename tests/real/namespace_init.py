"""The first process of a server's namespaces: what is unpacked in a folder becomes the system that the server sees.

Run as ``python namespace_init.py PLAN``, where PLAN is the JSON of a ``namespace.Plan``. It leaves the machine's mounts
and processes behind, lays the unpacked folder over ``/usr``, ``/etc`` and ``/var``, runs the plan's commands, then its
daemon, and prints what these log. SIGTERM ends the daemon; when this process ends, the kernel ends all that the daemon
has started. It imports nothing but the standard library: an overlay may hide what else there is.
"""

from __future__ import annotations

import ctypes
import json
import os
import pwd
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

_CLONE_NEWNS, _CLONE_NEWPID, _PR_SET_PDEATHSIG = 0x00020000, 0x20000000, 1
_FIRST_USER = 61_000

_libc = ctypes.CDLL(None, use_errno=True)


def main() -> int:
    """Enter the namespaces and stay behind as the parent of their first process, whose status is returned."""
    if _libc.unshare(_CLONE_NEWNS | _CLONE_NEWPID) != 0:
        raise OSError(ctypes.get_errno(), "unshare(CLONE_NEWNS | CLONE_NEWPID) is not permitted")
    plan = json.loads(Path(sys.argv[1]).read_text())
    # The signal must not come between the fork and the handler that passes it on.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    first = os.fork()
    if first == 0:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        os._exit(_run(plan))
    signal.signal(signal.SIGTERM, lambda *_: os.kill(first, signal.SIGTERM))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    return os.waitstatus_to_exitcode(os.waitpid(first, 0)[1])


def _run(plan: dict[str, Any]) -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended before its daemon ran"))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
    try:
        _mount(plan["folder"])
        _log_what_comes_to("/dev/log")
        _add_users(plan["users"])
        _write(plan)
        for command in plan["commands"]:
            _call(command)
        return _serve(plan["daemon"])
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        return 1


def _call(command: list[str]) -> None:
    subprocess.run(command, stdin=subprocess.DEVNULL, check=True)


def _mount(folder: str) -> None:
    # Otherwise what is mounted here would be mounted for the machine too.
    _call(["mount", "--make-rprivate", "/"])
    _call(["mount", "-t", "proc", "proc", "/proc"])
    # /mnt, since what the machine has there is of no use to a mail server. Upper layers are in memory.
    _call(["mount", "-t", "tmpfs", "-o", "mode=0755", "tmpfs", "/mnt"])
    for name in ("usr", "etc", "var"):
        lower, upper, work = f"{folder}/{name}", Path(f"/mnt/{name}"), Path(f"/mnt/{name}.work")
        upper.mkdir()
        work.mkdir()
        if not Path(lower).exists():
            lower = str(work.parent)
        options = f"lowerdir={lower}:/{name},upperdir={upper},workdir={work}"
        _call(["mount", "-t", "overlay", "-o", options, "overlay", f"/{name}"])
    _call(["mount", "-t", "tmpfs", "-o", "mode=0755", "tmpfs", "/run"])
    _mount_dev()


def _mount_dev() -> None:
    """A /dev with room for a /dev/log that is not the machine's."""
    dev = Path("/mnt/dev")
    dev.mkdir()
    for name in ("null", "zero", "full", "random", "urandom", "tty"):
        (dev / name).touch()
        _call(["mount", "--bind", f"/dev/{name}", f"{dev}/{name}"])
    (dev / "shm").mkdir(mode=0o1777)
    for name, target in (("fd", "fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")):
        (dev / name).symlink_to(f"/proc/self/{target}")
    _call(["mount", "--rbind", str(dev), "/dev"])


def _log_what_comes_to(path: str) -> None:
    log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    log.bind(path)
    os.chmod(path, 0o666)

    def copy() -> None:
        while True:
            print(log.recv(8192).decode("utf-8", "replace"), flush=True)

    threading.Thread(target=copy, daemon=True).start()


def _add_users(names: list[str]) -> None:
    """A user and its group for each name that the system has not, with a number that nobody has."""
    known = {entry.pw_name for entry in pwd.getpwall()}
    for number, name in enumerate((name for name in names if name not in known), _FIRST_USER):
        with Path("/etc/passwd").open("a") as users, Path("/etc/group").open("a") as groups:
            users.write(f"{name}:x:{number}:{number}::/run:/bin/false\n")
            groups.write(f"{name}:x:{number}:\n")


def _write(plan: dict[str, Any]) -> None:
    # A question to the DNS is refused at once: nothing listens there.
    Path("/etc/resolv.conf").write_text("nameserver 127.0.0.1\n")
    for path, text in plan["files"].items():
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(text)
    for path, owner in plan["directories"].items():
        Path(path).mkdir(parents=True, exist_ok=True)
        _call(["chown", "-R", f"{owner}:", path])


def _serve(command: list[str]) -> int:
    daemon = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    signal.signal(signal.SIGTERM, lambda *_: os.kill(daemon.pid, signal.SIGTERM))
    # The first process of a namespace is also the parent of the orphans in it.
    while True:
        process, status = os.wait()
        if process == daemon.pid:
            return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(main())
