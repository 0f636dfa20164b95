"""chasquid: it discards what it has read after the content, and closes the connection at its third error."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import trustme

from wlsmtp import TLS

from .process import HOST, ProgramServer
from .server import DOMAIN

_UNPACKED = Path(__file__).parents[2] / ".servers" / "chasquid-1.11"
_PROGRAMS = _UNPACKED / "usr" / "bin"

# Without an address for submission it would wait for a socket of systemd's.
_CONFIGURATION = """\
hostname: "{host_name}"
smtp_address: "{host}:{port}"
submission_address: "{host}:0"
data_dir: "{directory}/data"
mail_log_path: "<stderr>"
mail_delivery_agent_bin: "{directory}/deliver"
"""

_DELIVER = """\
#!/bin/sh
file=$(mktemp {mail}/XXXXXXXXXXXX) && cat >"$file" && mv "$file" "$file.eml"
"""

_AFTER_CONTENT = """\
#!/bin/sh
case " $RCPT_TO " in
*" rejectdot@{domain} "*) echo "5.7.1 content refused"; exit 20 ;;
*" deferdot@{domain} "*) echo "4.7.1 content deferred"; exit 1 ;;
esac
"""


def what_is_missing() -> str | None:
    """Say what keeps the server from being run here, or None."""
    is_there = (_UNPACKED / ".unpacked").exists()
    return None if is_there else "missing: chasquid (scripts/install-test-servers.sh unpacks it)"


class ChasquidServer(ProgramServer):
    """A chasquid with one user, whom some aliases lead to."""

    name = "chasquid 1.11"
    refusals = frozenset({"nouser", "rejectdot", "deferdot"})
    max_errors = 3

    def prepare(self) -> Sequence[str]:
        """Write its configuration, and return its command line."""
        domain = self.directory / "domains" / DOMAIN
        for path in (domain, self.directory / "certs" / DOMAIN, self.directory / "hooks", self.directory / "data"):
            path.mkdir(parents=True)
        text = _CONFIGURATION.format(host_name=self.host_name, host=HOST, port=self.port, directory=self.directory)
        (self.directory / "chasquid.conf").write_text(text)
        (domain / "aliases").write_text("rejectdot: bob\ndeferdot: bob\n")
        self._write_program("deliver", _DELIVER.format(mail=self.mail))
        self._write_program("hooks/post-data", _AFTER_CONTENT.format(domain=DOMAIN))
        self._write_certificate()
        self._add_user()
        return [str(_PROGRAMS / "chasquid"), "-config_dir", str(self.directory)]

    def _write_program(self, name: str, text: str) -> None:
        path = self.directory / name
        path.write_text(text)
        path.chmod(0o755)

    def _write_certificate(self) -> None:
        authority, ca_file = trustme.CA(), self.directory / "ca.pem"
        authority.cert_pem.write_to_path(ca_file)
        # It offers STARTTLS, which a session uses where it is offered. A short time-out notices a lost group early; all
        # other replies come at once.
        self.options = {"tls": TLS(ca_file=ca_file), "timeout": 3}
        certificate = authority.issue_cert("localhost", HOST)
        directory = self.directory / "certs" / DOMAIN
        chain = b"".join(part.bytes() for part in certificate.cert_chain_pems)
        (directory / "fullchain.pem").write_bytes(chain)
        certificate.private_key_pem.write_to_path(directory / "privkey.pem")

    def _add_user(self) -> None:
        words = [f"-C={self.directory}", "user-add", f"bob@{DOMAIN}", "--password=unused"]
        subprocess.run([_PROGRAMS / "chasquid-util", *words], check=True, capture_output=True, timeout=30)
