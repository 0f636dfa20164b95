"""Settings with which Dovecot offers every mechanism that it has: for Postfix, and for EXTERNAL in its own submission
service, as Postfix does not tell Dovecot about client certificates."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import trustme

from tests.oauth_server import OAuthServer

from . import find_program
from .dovecot import Extra
from .kerberos import Kerberos
from .postfix import _free_ports

HASHED_USER, HASHED_PASSWORD = "hashed@example.test", "s3cret-hashed"
"""A user whose password the server has only as a hash, of which SCRAM can make nothing."""
MECHANISMS = ("scram-sha-1", "scram-sha-256", "xoauth2", "oauthbearer", "anonymous", "external")

_OAUTH = """\
introspection_mode = post
introspection_url = {url}
force_introspection = yes
username_attribute = username
active_attribute = active
active_value = true
"""
_SETTINGS = """\
passdb {{
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = {directory}/oauth2.conf
}}
passdb {{
  driver = static
  mechanisms = external
  args = nopassword=y
}}
passdb {{
  driver = passwd-file
  args = scheme=CRYPT username_format=%u {directory}/hashed
}}
"""
_KERBEROS = """\
auth_krb5_keytab = {keytab}
auth_gssapi_hostname = localhost
import_environment = TZ KRB5_CONFIG={config} KRB5RCACHENAME=none:
"""
_SUBMISSION = """\
protocols = submission
ssl = required
ssl_cert = <{directory}/server.pem
ssl_key = <{directory}/server.pem
ssl_ca = <{directory}/ca.pem
ssl_require_crl = no
ssl_verify_client_cert = yes
ssl_cert_username_field = commonName
auth_ssl_username_from_cert = yes
mail_location = maildir:{directory}/mail
submission_relay_host = 127.0.0.1
submission_relay_port = {relay_port}
service submission-login {{
  inet_listener submission {{
    address = 127.0.0.1
    port = {port}
  }}
}}
"""


@dataclass
class EveryMechanism:
    """The files that Dovecot reads, and the certificate of a client named ``username``."""

    directory: Path
    oauth: OAuthServer
    kerberos: Kerberos | None

    @classmethod
    def prepare(cls, oauth: OAuthServer, kerberos: Kerberos | None, username: str) -> EveryMechanism:
        """Write the files."""
        directory = Path(tempfile.mkdtemp(prefix="mechanisms-", dir="/tmp"))
        directory.chmod(0o755)
        authority = trustme.CA()
        authority.cert_pem.write_to_path(directory / "ca.pem")
        certificates = {
            "server": authority.issue_cert("localhost", "127.0.0.1", "::1"),
            "client": authority.issue_cert(username, common_name=username),
        }
        for name, certificate in certificates.items():
            certificate.private_key_and_cert_chain_pem.write_to_path(directory / f"{name}.pem")
        (directory / "hashed").write_text(f"{HASHED_USER}:{_hash(HASHED_PASSWORD)}\n")
        (directory / "oauth2.conf").write_text(_OAUTH.format(url=oauth.introspection_url))
        return cls(directory, oauth, kerberos)

    def remove(self) -> None:
        """Remove the files."""
        shutil.rmtree(self.directory)

    def for_postfix(self) -> Extra:
        """The settings of Dovecot as the SASL provider of Postfix."""
        settings = _SETTINGS.format(directory=self.directory)
        mechanisms: tuple[str, ...] = MECHANISMS
        if self.kerberos is not None:
            settings += _KERBEROS.format(keytab=self.kerberos.keytab, config=self.kerberos.config)
            mechanisms += ("gssapi",)
        return Extra(mechanisms, settings)

    def for_submission(self, relay_port: int) -> tuple[Extra, int]:
        """The settings of Dovecot as a submission server in front of an SMTP server, and the port that it listens
        on."""
        (port,) = _free_ports(("127.0.0.1",), 1)
        postfix = self.for_postfix()
        submission = _SUBMISSION.format(directory=self.directory, relay_port=relay_port, port=port)
        return Extra(postfix.mechanisms, postfix.settings + submission), port


def _hash(password: str) -> str:
    command = [find_program("doveadm") or "doveadm", "-c", "/dev/null", "pw", "-s", "SHA512-CRYPT", "-p", password]
    return subprocess.run(command, text=True, capture_output=True, check=True, timeout=10).stdout.strip()
