"""Dovecot as an LMTP server: it delivers into Maildirs of its own, on a unix socket and on a loopback port."""

from __future__ import annotations

import hashlib
import os
import pwd
import random
import secrets
import shutil
import socket
import stat
import tempfile
from contextlib import ExitStack
from pathlib import Path

from . import Daemon, dovecot, find_program

_START_TIMEOUT = 10.0
_PORTS = range(20_000, 32_000)
_MAILBOXES = 100

_CONFIGURATION = """\
protocols = lmtp
ssl = no
base_dir = {directory}/run
state_dir = {directory}/state
log_path = {directory}/dovecot.log
mail_location = maildir:~/Maildir
mail_plugins = quota
first_valid_uid = 1
service lmtp {{
  unix_listener {socket} {{
    mode = 0666
  }}
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {port}
  }}
}}
passdb {{
  driver = static
  args = nopassword=y
}}
auth_username_chars =
userdb {{
  {users}
}}
plugin {{
  quota = maildir:User quota
  quota_rule = *:storage=100M
}}
"""

_SOME = "driver = passwd-file\n  args = username_format=%n {directory}/users"
_ANY = "driver = static\n  args = allow_all_users=yes uid=nobody gid=nogroup home={directory}/homes/%Mu"


def what_is_missing() -> str | None:
    """Say what keeps the server from being run here, or None."""
    if os.geteuid() != 0:
        return "Dovecot can be run by root only"
    lack = dovecot.what_is_missing()
    has_lmtp = any(Path(path, "dovecot/lmtp").exists() for path in ("/usr/lib", "/usr/libexec"))
    missing = [word for word in (lack, None if has_lmtp else "Dovecot's LMTP server") if word is not None]
    return f"missing: {', '.join(missing)} (scripts/install-test-servers.sh installs them)" if missing else None


class LMTPServer:
    """An LMTP server with mailboxes that nobody has sent to, one that is full, and no others; or with all that there
    could be.

    ``socket`` is its unix socket, ``port`` its port on 127.0.0.1.
    """

    full = "full@example.test"
    unknown = "unknown@example.test"

    def __init__(self, *, takes_any: bool = False) -> None:
        self._userdb = _ANY if takes_any else _SOME
        self._cleanup = ExitStack()
        self._names = [f"box-{secrets.token_hex(6)}" for _ in range(_MAILBOXES)]
        self._unused = iter(self._names)

    def start(self) -> None:
        """Start, and return when clients can connect."""
        # Not pytest's own directory: the names of unix sockets are limited to about 100 bytes.
        self.directory = Path(tempfile.mkdtemp(prefix="lmtp-", dir="/tmp"))
        self._cleanup.callback(shutil.rmtree, self.directory)
        self.directory.chmod(0o755)
        self.socket, self.port = self.directory / "lmtp", _free_port()
        self._write_users()
        path = self.directory / "dovecot.conf"
        users = self._userdb.format(directory=self.directory)
        path.write_text(
            _CONFIGURATION.format(directory=self.directory, socket=self.socket, port=self.port, users=users)
        )
        logs = [self.directory / "output.log", self.directory / "dovecot.log"]
        daemon = Daemon([find_program("dovecot") or "dovecot", "-F", "-c", str(path)], logs)
        self._cleanup.callback(daemon.stop)
        daemon.wait_until(self._is_listening, _START_TIMEOUT)

    def stop(self) -> None:
        """End the server and remove all that it wrote."""
        self._cleanup.close()

    def mailbox(self) -> str:
        """Return an address that nobody has sent to."""
        return f"{next(self._unused)}@example.test"

    def messages(self, address: str) -> list[bytes]:
        """Return the messages delivered to an address, as stored: LMTP answers after they are."""
        new = self._home(address.partition("@")[0]) / "Maildir" / "new"
        return [path.read_bytes() for path in new.iterdir()] if new.exists() else []

    def messages_of_any(self, address: str) -> list[bytes]:
        """Return the messages delivered to an address of the server that takes any."""
        home = hashlib.md5(address.replace('"', "").encode()).hexdigest()
        return [path.read_bytes() for path in self.directory.glob(f"homes/{home}/Maildir/new/*")]

    def forget_everything(self) -> None:
        """Remove all mailboxes."""
        for home in (self.directory / "homes").iterdir():
            shutil.rmtree(home)

    def _home(self, name: str) -> Path:
        return self.directory / "homes" / name

    def _write_users(self) -> None:
        nobody = pwd.getpwnam("nobody")
        (self.directory / "homes").mkdir()
        shutil.chown(self.directory / "homes", "nobody")
        lines = [f"{name}::{nobody.pw_uid}:{nobody.pw_gid}::{self._home(name)}::" for name in self._names]
        lines.append(f"full::{nobody.pw_uid}:{nobody.pw_gid}::{self._home('full')}::userdb_quota_rule=*:bytes=10")
        (self.directory / "users").write_text("\n".join(lines) + "\n")

    def _is_listening(self) -> bool:
        if not (self.socket.exists() and stat.S_ISSOCK(self.socket.stat().st_mode)):
            return False
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2.0) as connection:
                return connection.recv(512).startswith(b"220")
        except OSError:
            return False


def _free_port() -> int:
    for port in random.SystemRandom().sample(_PORTS, 50):
        with socket.socket() as held:
            try:
                held.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError("no port is free")
