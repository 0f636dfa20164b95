"""msmtpd: a server in a few hundred lines of C that gives each message to a program.

It knows neither RSET nor NOOP, refuses nothing before the content, and ends the connection with each refusal.
"""

from __future__ import annotations

import shutil
import socket
from collections.abc import Sequence

from .namespace import UNPACKED
from .process import HOST, ProgramServer

_UNPACKED = UNPACKED / "msmtpd-1.8"
_PROGRAM = _UNPACKED / "usr" / "bin" / "msmtpd"
_LIBRARIES = _UNPACKED / "usr" / "lib"

# It has no way to refuse before the content: what the program returns (sysexits.h) is what it answers.
_CATCH = """\
#!/bin/sh
file=$(mktemp {mail}/XXXXXXXXXX) && cat >"$file" || exit 75
case "$*" in
    *rejectdot@*) exit 65 ;;
    *deferdot@*) exit 75 ;;
esac
mv "$file" "$file.eml" || exit 75
"""


def what_is_missing() -> str | None:
    """Say what keeps the server from being run here, or None."""
    if (_UNPACKED / ".unpacked").exists() and shutil.which("sh"):
        return None
    return "missing: msmtpd (scripts/unpack-test-servers.sh unpacks it)"


class MsmtpdServer(ProgramServer):
    """A msmtpd whose program writes each message into a file."""

    name = "msmtpd 1.8"
    refusals = frozenset({"rejectdot", "deferdot"})
    ends_at_unknown = True

    def prepare(self) -> Sequence[str]:
        """Return its command line."""
        catch = self.directory / "catch"
        catch.write_text(_CATCH.format(mail=self.mail))
        catch.chmod(0o755)
        libraries = ":".join(map(str, _LIBRARIES.glob("*-linux-gnu")))
        options = [f"--interface={HOST}", f"--port={self.port}", f"--command={catch} --"]
        return ["env", f"LD_LIBRARY_PATH={libraries}", str(_PROGRAM), *options]

    def _greets(self) -> bool:
        # It knows no other name than this.
        try:
            with socket.create_connection((HOST, self.port), timeout=2.0) as connection:
                return b"msmtpd" in connection.recv(512)
        except OSError:
            return False
