"""Dovecot as the SASL provider of Postfix: one user, the mechanisms, a unix socket; no mail protocol, no TLS, unless
its ``Extra`` says so."""

from __future__ import annotations

import stat
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from . import Daemon, find_program

MECHANISMS = ("plain", "login", "cram-md5")
_START_TIMEOUT = 10.0

# 2.4 speaks another configuration language than 2.3.
_SUPPORTED = "2.3"

_CONFIGURATION = """\
protocols =
ssl = no
{settings}
base_dir = {directory}/run
state_dir = {directory}/state
log_path = {directory}/dovecot.log
auth_verbose = yes
auth_mechanisms = {mechanisms}
# Wrong passwords are tested on purpose: neither delay nor remember them.
auth_failure_delay = 0
auth_cache_size = 0
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service auth {{
  client_limit = 1000
  unix_listener {socket} {{
    mode = 0660
    user = {owner}
    group = {owner}
  }}
}}
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {directory}/passwd
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home=/nonexistent
}}
"""


def what_is_missing() -> str | None:
    """Say what keeps Dovecot from being used here, or None."""
    program = find_program("dovecot")
    if program is None:
        return "the program dovecot"
    version = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=10, check=True).stdout
    return None if version.startswith(f"{_SUPPORTED}.") else f"Dovecot {_SUPPORTED} (here is {version.strip()})"


@dataclass(frozen=True)
class Extra:
    """Mechanisms besides the usual ones, and the settings of Dovecot for them."""

    mechanisms: tuple[str, ...] = ()
    settings: str = ""


@dataclass
class DovecotAuth:
    """A SASL provider that knows one user and listens on the unix socket `socket`, which belongs to `owner`."""

    directory: Path
    socket: Path
    username: str
    password: str
    owner: str = "postfix"
    extra: Extra = Extra()
    _daemon: Daemon | None = field(default=None, init=False, repr=False)

    def start(self) -> None:
        """Start, and return when clients can connect; raise ServerFailed if that does not come."""
        self.directory.mkdir()
        program = find_program("dovecot") or "dovecot"
        logs = [self.directory / "output.log", self.directory / "dovecot.log"]
        self._daemon = Daemon([program, "-F", "-c", str(self._write_configuration())], logs)
        self._daemon.wait_until(self._is_listening, _START_TIMEOUT)

    def stop(self) -> None:
        """End the provider, if it runs."""
        if self._daemon is not None:
            self._daemon.stop()
            self._daemon = None

    def _write_configuration(self) -> Path:
        # Dovecot drops its rights before it reads the passwords.
        (self.directory / "passwd").write_text(f"{self.username}:{{PLAIN}}{self.password}\n", "utf-8")
        (self.directory / "passwd").chmod(0o644)
        path = self.directory / "dovecot.conf"
        path.write_text(
            _CONFIGURATION.format(
                directory=self.directory,
                socket=self.socket,
                owner=self.owner,
                mechanisms=" ".join(MECHANISMS + self.extra.mechanisms),
                settings=self.extra.settings,
            )
        )
        return path

    def _is_listening(self) -> bool:
        return self.socket.exists() and stat.S_ISSOCK(self.socket.stat().st_mode)
