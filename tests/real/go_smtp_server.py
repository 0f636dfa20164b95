"""go-smtp: it offers CHUNKING and BINARYMIME, and does not read the chunk of a BDAT that it refuses."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from .process import HOST, ProgramServer

PROGRAM = Path(__file__).parents[2] / ".servers" / "go-smtp-0.21" / "server"


def what_is_missing() -> str | None:
    """Say what keeps the server from being run here, or None."""
    return None if os.access(PROGRAM, os.X_OK) else "missing: go-smtp (scripts/install-test-servers.sh builds it)"


class GoSMTPServer(ProgramServer):
    """The server of ``go_smtp/main.go``."""

    name = "go-smtp 0.21"

    def prepare(self) -> Sequence[str]:
        """Return its command line."""
        return [str(PROGRAM), f"{HOST}:{self.port}", self.host_name, str(self.mail)]
