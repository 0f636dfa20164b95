"""Mail servers that cannot be installed beside each other, each in mount and process namespaces of its own.

scripts/unpack-test-servers.sh unpacks their packages below ``.servers``; namespace_init.py lays one of these folders
over the system's files, for the server's processes only. The network is the machine's: ports are loopback ports. What a
server writes in its own directory, the tests can read; all else that it writes is in memory, and gone when it ends.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import random
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from . import Daemon, Restarting
from .server import DOMAIN, Endpoint

UNPACKED = Path(__file__).parents[2] / ".servers"
HOST = "127.0.0.1"

_INIT = Path(__file__).with_name("namespace_init.py")
_START_TIMEOUT = 20.0
# Below the ports that systems hand out to clients, so that no client can take one between its being found free and the
# server binding it.
_PORTS = range(20_000, 32_000)


@dataclass(frozen=True)
class Plan:
    """What namespace_init.py does: paths are those that the server sees."""

    folder: str
    """The unpacked packages."""
    daemon: Sequence[str]
    """The server, in the foreground."""
    users: Sequence[str] = ()
    """The users that the packages would have created."""
    files: Mapping[str, str] = field(default_factory=dict)
    directories: Mapping[str, str] = field(default_factory=dict)
    """Directories to create, and who owns them and all that is in them."""
    commands: Sequence[Sequence[str]] = ()
    """What is run before the daemon; each has to succeed."""


@functools.cache
def what_is_missing(name: str) -> str | None:
    """Say what keeps the server in the folder `name` from being run here, or None."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "private namespaces can be made by root on Linux only"
    if not (UNPACKED / name / ".unpacked").exists():
        return f"missing: {name} (scripts/unpack-test-servers.sh unpacks it)"
    return _what_is_not_permitted()


@functools.cache
def _what_is_not_permitted() -> str | None:
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        plan = Path(directory, "plan.json")
        plan.write_text(json.dumps(dataclasses.asdict(Plan(folder=directory, daemon=["true"]))))
        result = subprocess.run([sys.executable, _INIT, plan], capture_output=True, text=True, timeout=20)
    return f"private namespaces cannot be made here: {result.stderr.strip()}" if result.returncode else None


class NamespacedServer(Restarting):
    """What the servers of this kind share: see `RealServer`. Endpoints have their names at once, their ports later."""

    name: str
    folder: str
    """The name of its folder below `UNPACKED`."""
    ports: tuple[str, ...]
    """What `Plan`s call the ports that it listens on; as many are chosen."""

    def __init__(self) -> None:
        self.port = dict.fromkeys(self.ports, 0)
        self._cleanup = ExitStack()

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """The ways to reach it."""
        raise NotImplementedError

    def plan(self) -> Plan:
        """What is to be run, given `directory`, `port` and `host_name`."""
        raise NotImplementedError

    def stored(self) -> list[bytes]:
        """The content of every message that it has delivered, as octets."""
        raise NotImplementedError

    def log(self) -> str:
        """What it has logged so far."""
        return self._log.read_text("utf-8", "replace")

    def _start_once(self) -> None:
        # Not pytest's own directory: servers that gave up root have to pass through it.
        self.directory = Path(tempfile.mkdtemp(prefix=f"{self.folder}-", dir="/tmp"))
        self._cleanup.callback(shutil.rmtree, self.directory)
        self.directory.chmod(0o755)
        self._log = self.directory / "log"
        # The greetings name the instance: a stranger's server on the port is not taken for this one.
        self.host_name = f"mail-{secrets.token_hex(6)}.{DOMAIN}"
        self.port = dict(zip(self.ports, _free_ports(len(self.ports)), strict=True))
        plan = self.directory / "plan.json"
        plan.write_text(json.dumps(dataclasses.asdict(self.plan())))
        daemon = Daemon([sys.executable, str(_INIT), str(plan)], [self._log])
        self._cleanup.callback(daemon.stop)
        for port in self.port.values():
            daemon.wait_until(functools.partial(self.greets, port), _START_TIMEOUT)

    def greets(self, port: int) -> bool:
        """Whether this server, and no other, greets on the port."""
        try:
            with socket.create_connection((HOST, port), timeout=5.0) as connection:
                return self.host_name.encode() in connection.recv(512)
        except OSError:
            return False


def _free_ports(count: int) -> list[int]:
    candidates = iter(random.SystemRandom().sample(_PORTS, 50 * count))
    found: list[int] = []
    while len(found) < count:
        port = next(candidates)
        try:
            socket.create_server((HOST, port)).close()
        except OSError:
            continue
        found.append(port)
    return found
