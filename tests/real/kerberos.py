"""An MIT Kerberos key distribution center of the test run's own: a realm, a user, a service, on a loopback port."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from contextlib import ExitStack
from pathlib import Path

from . import Daemon, find_program

REALM = "EXAMPLE.TEST"
SERVICE = "smtp/localhost"
_PROGRAMS = ("krb5kdc", "kdb5_util", "kadmin.local", "kinit")
_START_TIMEOUT = 10.0

# Names are taken as they are: what the machine's resolver says of localhost must not matter.
_CLIENT = """\
[libdefaults]
default_realm = {realm}
dns_lookup_kdc = false
dns_lookup_realm = false
dns_canonicalize_hostname = false
rdns = false
[realms]
{realm} = {{
  kdc = 127.0.0.1:{port}
}}
[domain_realm]
localhost = {realm}
"""
_SERVER = """\
[kdcdefaults]
kdc_listen = 127.0.0.1:{port}
kdc_tcp_listen = 127.0.0.1:{port}
[realms]
{realm} = {{
  database_name = {directory}/principal
  key_stash_file = {directory}/stash
  acl_file = {directory}/acl
}}
[logging]
kdc = FILE:{directory}/kdc.log
"""


def what_is_missing() -> str | None:
    """Say what keeps a KDC from being run here, or None."""
    missing = [name for name in _PROGRAMS if find_program(name) is None]
    return f"the programs {', '.join(missing)}" if missing else None


class Kerberos:
    """A realm with the user ``username`` and a key for the service ``smtp`` on localhost, in ``keytab``."""

    def __init__(self, username: str, password: str, keytab_owner: str) -> None:
        self.username, self.password = username, password
        self._owner = keytab_owner
        self._cleanup = ExitStack()

    def start(self) -> None:
        """Make the realm and start its KDC."""
        self.directory = Path(tempfile.mkdtemp(prefix="kerberos-", dir="/tmp"))
        self._cleanup.callback(shutil.rmtree, self.directory)
        self.directory.chmod(0o755)
        self._port = _free_port()
        self.config, self.keytab = self.directory / "krb5.conf", self.directory / "keytab"
        self.config.write_text(_CLIENT.format(realm=REALM, port=self._port))
        (self.directory / "kdc.conf").write_text(_SERVER.format(realm=REALM, port=self._port, directory=self.directory))
        self.environment = {
            **os.environ, "KRB5_CONFIG": str(self.config), "KRB5_KDC_PROFILE": str(self.directory / "kdc.conf"),
        }  # fmt: skip
        self._run("kdb5_util", "create", "-s", "-r", REALM, "-P", secrets.token_hex(16))
        self._run("kadmin.local", "-q", f"addprinc -pw {self.password} {self.username}")
        self._run("kadmin.local", "-q", f"addprinc -randkey {SERVICE}")
        self._run("kadmin.local", "-q", f"ktadd -k {self.keytab} {SERVICE}")
        shutil.chown(self.keytab, self._owner)
        command = ["env", f"KRB5_CONFIG={self.config}", f"KRB5_KDC_PROFILE={self.directory}/kdc.conf"]
        daemon = Daemon([*command, find_program("krb5kdc") or "krb5kdc", "-n"], [self.directory / "kdc.log"])
        self._cleanup.callback(daemon.stop)
        daemon.wait_until(self._answers, _START_TIMEOUT)

    def stop(self) -> None:
        """End the KDC and remove all that it wrote."""
        self._cleanup.close()

    def ticket(self, cache: Path) -> None:
        """Get a ticket-granting ticket into a credential cache, as the user does in the morning."""
        self._run("kinit", "-c", str(cache), self.username, stdin=self.password + "\n")

    def _run(self, name: str, *words: str, stdin: str = "") -> None:
        command = [find_program(name) or name, *words]
        subprocess.run(
            command, input=stdin, text=True, env=self.environment, check=True, capture_output=True, timeout=30
        )

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self._port), timeout=2.0).close()
        except OSError:
            return False
        return True


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
