"""Cyrus as an LMTP server: one reply for each recipient after the content, from another maker than Dovecot."""

from __future__ import annotations

import imaplib

from . import ServerFailed
from .namespace import HOST, UNPACKED, NamespacedServer, Plan
from .server import Endpoint

# A mailbox comes into being with its first message, save that of an administrator.
_ADMINISTRATOR = "nouser"
_IMAPD = """\
servername: {host_name}
configdirectory: /var/lib/cyrus
proc_path: /run/cyrus/proc
mboxname_lockpath: /run/cyrus/lock
defaultpartition: default
partition-default: {directory}/spool
admins: {administrator}
allowplaintext: yes
autocreate_post: yes
autocreate_quota: 0
autocreate_users: anyone
duplicatesuppression: no
sasl_mech_list: PLAIN
"""
_SERVICES = """\
START {{
  recover cmd="/usr/lib/cyrus/bin/ctl_cyrusdb -r"
}}
SERVICES {{
  imap cmd="/usr/lib/cyrus/bin/imapd -N" listen="127.0.0.1:{imap}"
  lmtp cmd="/usr/lib/cyrus/bin/lmtpd -a" listen="127.0.0.1:{lmtp}" prefork=1 maxchild=50
}}
EVENTS {{
}}
"""


class CyrusServer(NamespacedServer):
    """A Cyrus whose mailboxes are there once mail comes for them."""

    name = "Cyrus LMTP 3.6"
    folder = "cyrus-3.6"
    ports = ("lmtp", "imap")

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """The ways to reach it."""
        return (Endpoint(self.name, self.port["lmtp"], HOST, refusals=frozenset({"nouser", "full"}), is_lmtp=True),)

    def plan(self) -> Plan:
        """What is to be run."""
        names = (
            "/run/cyrus/proc",
            "/run/cyrus/lock",
            *(f"/var/lib/cyrus/{name}" for name in ("db", "socket", "quota")),
        )
        return Plan(
            folder=str(UNPACKED / self.folder),
            users=["cyrus"],
            files={
                "/etc/imapd.conf": _IMAPD.format(
                    host_name=self.host_name, directory=self.directory, administrator=_ADMINISTRATOR
                ),
                "/etc/cyrus.conf": _SERVICES.format(**self.port),
            },
            directories=dict.fromkeys([*names, "/run/cyrus", "/var/lib/cyrus", f"{self.directory}/spool"], "cyrus"),
            daemon=["/usr/lib/cyrus/bin/master"],
        )

    def start(self) -> None:
        """Start it, and return once every endpoint greets."""
        super().start()
        self._fill("user/full")

    def _fill(self, mailbox: str) -> None:
        """Make a mailbox that is over its quota: it has a message before it may have none."""
        with imaplib.IMAP4(HOST, self.port["imap"], timeout=10.0) as administrator:
            administrator.login(_ADMINISTRATOR, "any password is right")
            answers = [
                administrator.create(mailbox),
                administrator.setacl(mailbox, _ADMINISTRATOR, "lrswipkxtea"),
                administrator.append(mailbox, "", "", b"Subject: old\r\n\r\n"),
                administrator.setquota(mailbox, "(STORAGE 0)"),
            ]
        if any(answer[0] != "OK" for answer in answers):
            raise ServerFailed(f"Cyrus did not fill a mailbox: {answers}\n{self.log()}")

    def stored(self) -> list[bytes]:
        """The content of every message that it has delivered, a copy a recipient, as octets."""
        return [path.read_bytes() for path in (self.directory / "spool").rglob("*[0-9].")]
