"""Dovecot's submission server, in front of a Postfix: it relays commands, and answers when the Postfix has."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from contextlib import ExitStack
from pathlib import Path

from . import Daemon, ServerFailed, dovecot, find_program, postfix
from .postfix import _free_ports
from .restricted_postfix import RestrictedPostfix
from .server import Endpoint

_HOST = "127.0.0.1"
_START_TIMEOUT = 10.0
_START_ATTEMPTS = 3
_USERNAME, _PASSWORD = "ann", "any"

_CONFIGURATION = """\
protocols = submission
ssl = no
disable_plaintext_auth = no
hostname = mail.example.test
base_dir = {directory}/run
state_dir = {directory}/state
log_path = {directory}/dovecot.log
login_greeting = {instance}
mail_location = maildir:{directory}/mail
first_valid_uid = 1
auth_failure_delay = 0
submission_relay_host = 127.0.0.1
submission_relay_port = {relay_port}
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service submission-login {{
  inet_listener submission {{
    address = 127.0.0.1
    port = {port}
  }}
}}
passdb {{
  driver = static
  args = nopassword=y
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home={directory}/home
}}
"""


def what_is_missing() -> str | None:
    """Say what keeps the server from being run here, or None."""
    if os.geteuid() != 0:
        return "Dovecot can be run by root only"
    if (reason := postfix.what_is_missing()) is not None:
        return reason
    is_there = any(Path(path, "dovecot/submission-login").exists() for path in ("/usr/lib", "/usr/libexec"))
    lack = dovecot.what_is_missing() if is_there else "Dovecot's submission server"
    return f"missing: {lack} (scripts/install-test-servers.sh installs it)" if lack is not None else None


class DovecotSubmission:
    """A submission server where any password is right; its refusals are those of the Postfix behind it."""

    name = "Dovecot 2.3 submission"

    def __init__(self) -> None:
        self._port = 0
        self._postfix = RestrictedPostfix()
        self._cleanup = ExitStack()

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """The only way to reach it."""
        return (Endpoint(self.name, self._port, _HOST, {"username": _USERNAME, "password": _PASSWORD}),)

    def start(self) -> None:
        """Start both, and return once they greet."""
        self._cleanup.callback(self._postfix.stop)
        self._postfix.start()
        for attempt in range(1, _START_ATTEMPTS + 1):
            try:
                return self._start_dovecot()
            except ServerFailed:
                if attempt == _START_ATTEMPTS:
                    raise

    def stop(self) -> None:
        """End both, and remove all that they wrote."""
        self._cleanup.close()

    def stored(self) -> list[bytes]:
        """The content of every message that it has delivered, as octets."""
        return self._postfix.stored()

    def _start_dovecot(self) -> None:
        # Not pytest's own directory: the names of unix sockets are limited to about 100 bytes.
        directory = Path(tempfile.mkdtemp(prefix="submission-", dir="/tmp"))
        self._cleanup.callback(shutil.rmtree, directory)
        directory.chmod(0o755)
        for name in ("mail", "home"):
            (directory / name).mkdir()
            shutil.chown(directory / name, "nobody")
        (self._port,) = _free_ports((_HOST,), 1)
        self._instance = directory.name
        path = directory / "dovecot.conf"
        path.write_text(
            _CONFIGURATION.format(
                directory=directory,
                instance=self._instance,
                port=self._port,
                relay_port=self._postfix.endpoints[0].port,
            )
        )
        logs = [directory / "output.log", directory / "dovecot.log"]
        daemon = Daemon([find_program("dovecot") or "dovecot", "-F", "-c", str(path)], logs)
        self._cleanup.callback(daemon.stop)
        daemon.wait_until(self._greets, _START_TIMEOUT)

    def _greets(self) -> bool:
        try:
            with socket.create_connection((_HOST, self._port), timeout=2.0) as connection:
                return self._instance.encode() in connection.recv(512)
        except OSError:
            return False
