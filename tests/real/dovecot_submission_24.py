"""Dovecot 2.4's submission server, in front of a Postfix: SCRAM is bound to TLS by ``tls-exporter`` only (RFC 9266)."""

from __future__ import annotations

import trustme

import wlsmtp

from .namespace import HOST, UNPACKED, NamespacedServer, Plan
from .restricted_postfix import RestrictedPostfix
from .server import Endpoint

_MODULES = "/usr/lib/dovecot/modules"

USERNAME, PASSWORD = "ann", "s3cret"

_CONFIGURATION = """\
dovecot_config_version = 2.4.1
dovecot_storage_version = 2.4.1
protocols = submission
hostname = {host_name}
login_greeting = {host_name}
log_path = /dev/stderr
base_dir = /run/dovecot
state_dir = /run/dovecot
ssl = yes
ssl_server_cert_file = {directory}/server.pem
ssl_server_key_file = {directory}/server.pem
auth_allow_cleartext = yes
auth_failure_delay = 0
auth_mechanisms = plain scram-sha-256 scram-sha-256-plus
mail_driver = maildir
mail_path = /run/mail
first_valid_uid = 1
submission_relay_host = 127.0.0.1
submission_relay_port = {relay_port}
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service submission-login {{
  inet_listener submission {{
    listen = 127.0.0.1
    port = {plain}
  }}
  inet_listener submissions {{
    port = 0
  }}
}}
passdb static {{
  password = {password}
}}
userdb static {{
  fields {{
    uid = catcher
    gid = catcher
    home = /run/home
  }}
}}
"""


class DovecotSubmission24(NamespacedServer):
    """A submission server whose refusals are those of the Postfix behind it."""

    name = "Dovecot 2.4 submission"
    folder = "dovecot-2.4"
    ports = ("plain",)

    def __init__(self) -> None:
        super().__init__()
        self._postfix = RestrictedPostfix()

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """The only way to reach it."""
        trusted = {"tls": wlsmtp.TLS(ca_file=self.directory / "ca.pem")} if self.port["plain"] else {}
        options = {"security": "tls", "username": USERNAME, "password": PASSWORD, **trusted}
        return (Endpoint(self.name, self.port["plain"], HOST, options),)

    def plan(self) -> Plan:
        """What is to be run."""
        authority = trustme.CA()
        authority.cert_pem.write_to_path(self.directory / "ca.pem")
        authority.issue_cert(HOST).private_key_and_cert_chain_pem.write_to_path(self.directory / "server.pem")
        (self.directory / "server.pem").chmod(0o600)
        return Plan(
            folder=str(UNPACKED / self.folder),
            users=["dovecot", "dovenull", "catcher"],
            files={
                "/etc/dovecot/dovecot.conf": _CONFIGURATION.format(
                    **self.port,
                    host_name=self.host_name,
                    directory=self.directory,
                    password=PASSWORD,
                    relay_port=self._postfix.endpoints[0].port,
                ),
            },
            directories={"/run/mail": "catcher", "/run/home": "catcher"},
            # The system's own Dovecot has modules of other names, which this one would load too.
            commands=[["rm", "-rf", _MODULES], ["cp", "-a", f"{UNPACKED / self.folder}{_MODULES}", _MODULES]],
            daemon=["/usr/sbin/dovecot", "-F"],
        )

    def start(self) -> None:
        """Start both, and return once they greet."""
        self._postfix.start()
        super().start()

    def stop(self) -> None:
        """End both, and remove all that they wrote."""
        super().stop()
        self._postfix.stop()

    def stored(self) -> list[bytes]:
        """The content of every message that it has delivered, as octets."""
        return self._postfix.stored()
