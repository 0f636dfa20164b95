"""Twisted's SMTP server: it has no NOOP, and offers no extension at all."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path

from .process import ProgramServer

_PROGRAM = Path(__file__).with_name("twisted_program.py")


def what_is_missing() -> str | None:
    """Say what keeps the server from being run here, or None."""
    return "missing: the Python package twisted" if importlib.util.find_spec("twisted") is None else None


class TwistedServer(ProgramServer):
    """The server of ``twisted_program.py``."""

    name = "Twisted"

    def prepare(self) -> Sequence[str]:
        """Return its command line."""
        return [sys.executable, str(_PROGRAM), str(self.port), self.host_name, str(self.mail)]
