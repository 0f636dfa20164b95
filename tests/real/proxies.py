"""Proxies that this project did not write, each on a loopback port of its own: microsocks, Dante, tinyproxy, and the
dynamic forwarding of OpenSSH, which is what speaks SOCKS 4a."""

from __future__ import annotations

import socket
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from . import Daemon, find_program
from .postfix import _free_ports

HOST = "127.0.0.1"
USERNAME, PASSWORD = "ann", "s3cret-Pr0xy"
_START_TIMEOUT = 10.0

_DANTE = """\
logoutput: {directory}/dante.log
internal: {host} port = {port}
external: lo
clientmethod: none
socksmethod: none
user.privileged: root
user.unprivileged: nobody
client pass {{ from: 127.0.0.0/8 to: 0.0.0.0/0 }}
socks block {{ from: 127.0.0.0/8 to: 127.0.0.1/32 port = 9 }}
socks pass {{ from: 127.0.0.0/8 to: 0.0.0.0/0 }}
"""

_TINYPROXY = """\
Port {port}
Listen {host}
Timeout 60
LogFile "{directory}/tinyproxy.log"
MaxClients 20
Allow 127.0.0.1
"""

_SSHD = """\
Port {port}
ListenAddress {host}
HostKey {directory}/host
AuthorizedKeysFile {directory}/user.pub
PidFile none
StrictModes no
UsePAM no
PermitRootLogin prohibit-password
"""

PROGRAMS = {"microsocks": ["microsocks"], "dante": ["danted"], "tinyproxy": ["tinyproxy"], "ssh": ["sshd", "ssh"]}


def what_is_missing(kind: str) -> str | None:
    """Say what keeps a proxy from being run here, or None."""
    missing = [program for program in PROGRAMS[kind] if find_program(program) is None]
    return f"missing: {', '.join(missing)} (scripts/install-test-servers.sh installs them)" if missing else None


class RealProxy:
    """A running proxy; with ``password`` it wants USERNAME and PASSWORD."""

    def __init__(self, kind: str, *, password: bool = False) -> None:
        self.kind = kind
        self.has_password = password
        self.port = 0
        self._cleanup = ExitStack()

    @property
    def log(self) -> str:
        """What the proxy has written so far."""
        return "".join(path.read_text("utf-8", "replace") for path in sorted(self._directory.glob("*.log")))

    def url(self, scheme: str, password: str = PASSWORD) -> str:
        """The proxy as a session takes it."""
        user = f"{USERNAME}:{password}@" if self.has_password else ""
        return f"{scheme}://{user}{HOST}:{self.port}"

    def start(self) -> None:
        """Start, and return when it accepts connections; raise ServerFailed if that does not come."""
        self._directory = Path(self._cleanup.enter_context(tempfile.TemporaryDirectory(prefix="proxy-")))
        (self.port,) = _free_ports((HOST,), 1)
        if self.kind == "ssh":
            (ssh_port,) = _free_ports((HOST,), 1)
            self._run(_sshd(self._directory, ssh_port), ssh_port)
        self._run(_COMMANDS[self.kind](self, self._directory), self.port)

    def stop(self) -> None:
        """End the proxy and remove what it wrote."""
        self._cleanup.close()

    def _run(self, command: list[str], port: int) -> None:
        daemon = Daemon(command, [self._directory / "output.log"])
        self._cleanup.callback(daemon.stop)
        daemon.wait_until(lambda: _accepts(port), _START_TIMEOUT)


def _accepts(port: int) -> bool:
    try:
        socket.create_connection((HOST, port), timeout=2.0).close()
    except OSError:
        return False
    return True


def _microsocks(proxy: RealProxy, _directory: Path) -> list[str]:
    login = ["-u", USERNAME, "-P", PASSWORD] if proxy.has_password else []
    return [find_program("microsocks") or "microsocks", "-i", HOST, "-p", str(proxy.port), *login]


def _dante(proxy: RealProxy, directory: Path) -> list[str]:
    configuration = directory / "danted.conf"
    configuration.write_text(_DANTE.format(directory=directory, host=HOST, port=proxy.port))
    return [find_program("danted") or "danted", "-f", str(configuration), "-p", str(directory / "danted.pid")]


def _tinyproxy(proxy: RealProxy, directory: Path) -> list[str]:
    login = f"BasicAuth {USERNAME} {PASSWORD}\n" if proxy.has_password else ""
    configuration = directory / "tinyproxy.conf"
    configuration.write_text(_TINYPROXY.format(directory=directory, host=HOST, port=proxy.port) + login)
    return [find_program("tinyproxy") or "tinyproxy", "-d", "-c", str(configuration)]


def _sshd(directory: Path, port: int) -> list[str]:
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", directory / name], check=True, timeout=30)
    Path("/run/sshd").mkdir(exist_ok=True)  # where sshd insists on being separated from its privileges
    configuration = directory / "sshd_config"
    configuration.write_text(_SSHD.format(directory=directory, host=HOST, port=port))
    return [find_program("sshd") or "sshd", "-D", "-e", "-f", str(configuration)]


def _ssh(proxy: RealProxy, directory: Path) -> list[str]:
    port = next(line.split()[1] for line in (directory / "sshd_config").read_text().splitlines())
    options = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "BatchMode=yes", "ExitOnForwardFailure=yes"]
    named = [word for option in options for word in ("-o", option)]
    login = ["-F", "none", "-i", str(directory / "user"), "-p", port, f"root@{HOST}"]
    return [find_program("ssh") or "ssh", "-N", "-D", f"{HOST}:{proxy.port}", *named, *login]


_COMMANDS: dict[str, Callable[[RealProxy, Path], list[str]]] = {
    "microsocks": _microsocks,
    "dante": _dante,
    "tinyproxy": _tinyproxy,
    "ssh": _ssh,
}
