"""Net::Server::Mail: it obeys what follows content in the same read, and stores it as part of that content besides."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from .process import ProgramServer

_UNPACKED = Path(__file__).parents[2] / ".servers" / "net-server-mail-0.28"
_MODULES = _UNPACKED / "usr" / "share" / "perl5"
_PROGRAM = Path(__file__).with_name("perl_program.pl")


def what_is_missing() -> str | None:
    """Say what keeps the server from being run here, or None."""
    if shutil.which("perl") is None:
        return "missing: perl"
    is_there = (_UNPACKED / ".unpacked").exists()
    return None if is_there else "missing: Net::Server::Mail (scripts/unpack-test-servers.sh unpacks it)"


class PerlServer(ProgramServer):
    """The server of ``perl_program.pl``."""

    name = "Net::Server::Mail 0.28"
    refusals = frozenset({"nouser", "tempfail", "full", "rejectdot", "deferdot"})

    def prepare(self) -> Sequence[str]:
        """Return its command line."""
        return ["perl", f"-I{_MODULES}", str(_PROGRAM), str(self.port), self.host_name, str(self.mail)]
