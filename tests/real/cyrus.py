"""Cyrus SASL inside Postfix, which has mechanisms that Dovecot has not: SCRAM with SHA-512, and NTLM."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from . import find_program

MECHANISMS = ("SCRAM-SHA-512", "SCRAM-SHA-384", "SCRAM-SHA-256", "SCRAM-SHA-1", "NTLM")
_PLUGINS = Path("/usr/lib")

_CONFIGURATION = """\
pwcheck_method: auxprop
auxprop_plugin: sasldb
sasldb_path: {directory}/sasldb2
mech_list: {mechanisms}
"""
# NTLM is built on MD4 and DES, which OpenSSL 3 has put aside.
_LEGACY = """\
openssl_conf = start
[start]
providers = providers
[providers]
default = on
legacy = on
[on]
activate = 1
"""
_MAIN = """\
smtpd_sasl_type = cyrus
smtpd_sasl_path = smtpd
import_environment = TZ MAIL_CONFIG OPENSSL_CONF={directory}/openssl.cnf
"""


def what_is_missing() -> str | None:
    """Say what keeps Cyrus SASL from being used here, or None."""
    if find_program("saslpasswd2") is None:
        return "the program saslpasswd2 (sasl2-bin)"
    return None if any(_PLUGINS.glob("*/sasl2/libscram.so")) else "libsasl2-modules"


def prepare(directory: Path, username: str, password: str) -> tuple[str, str]:
    """Write its files, and return the settings of Postfix and of Cyrus SASL."""
    program = find_program("saslpasswd2") or "saslpasswd2"
    user, _, realm = username.partition("@")
    database = directory / "sasldb2"
    command = [program, "-c", "-p", "-f", str(database), "-u", realm, user]
    subprocess.run(command, input=password.encode(), check=True, capture_output=True, timeout=10)
    shutil.chown(database, "postfix")
    (directory / "openssl.cnf").write_text(_LEGACY)
    configuration = _CONFIGURATION.format(directory=directory, mechanisms=" ".join(MECHANISMS))
    return _MAIN.format(directory=directory), configuration
