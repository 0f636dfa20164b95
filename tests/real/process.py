"""Servers that are one program on one loopback port, which write each message into a file."""

from __future__ import annotations

import secrets
import shutil
import socket
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from . import Daemon, Restarting
from .files import StoredFiles
from .postfix import _free_ports
from .server import ALL_REFUSALS, DOMAIN, Endpoint

HOST = "127.0.0.1"

_START_TIMEOUT = 15.0


class ProgramServer(Restarting):
    """What these servers share: see `RealServer`."""

    name: str
    refusals = ALL_REFUSALS
    max_errors: int | None = None
    ends_at_unknown = False

    def __init__(self) -> None:
        self.port = 0
        self.options: dict[str, Any] = {}
        """What a session needs besides, known once `prepare` returns."""
        self._stored = StoredFiles()
        self._cleanup = ExitStack()

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """The only way to reach it."""
        return (
            Endpoint(
                self.name, self.port, HOST, self.options, self.refusals, max_errors=self.max_errors,
                ends_at_unknown=self.ends_at_unknown,
            ),
        )  # fmt: skip

    def prepare(self) -> Sequence[str]:
        """Write what the program reads below `directory`, and return its command line."""
        raise NotImplementedError

    def stored(self) -> list[bytes]:
        """The content of every message that it has delivered, as octets."""
        return self._stored.read(self.mail.glob("*.eml"))

    def _start_once(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="mail-server-", dir="/tmp"))
        self._cleanup.callback(shutil.rmtree, self.directory)
        self.mail = self.directory / "mail"
        self.mail.mkdir()
        # The greeting names the instance: a stranger's server on the port is not taken for this one.
        self.host_name = f"mail-{secrets.token_hex(6)}.{DOMAIN}"
        (self.port,) = _free_ports((HOST,), 1)
        daemon = Daemon(self.prepare(), [self.directory / "log"])
        self._cleanup.callback(daemon.stop)
        daemon.wait_until(self._greets, _START_TIMEOUT)

    def _greets(self) -> bool:
        try:
            with socket.create_connection((HOST, self.port), timeout=2.0) as connection:
                return self.host_name.encode() in connection.recv(512)
        except OSError:
            return False
