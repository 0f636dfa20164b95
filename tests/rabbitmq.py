"""A real RabbitMQ that the tests start: in a temporary folder, by an unprivileged user, on loopback only."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.postgres import as_user, free_port, missing
from tests.real import poll
from tests.watcher import Watcher

SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
"""Debian's own script in ``sbin`` runs as root or rabbitmq only."""


class RabbitMQ:
    """A node of its own, with the port mapper of Erlang that it needs."""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="wlsmtp-mq-"))
        self.directory.chmod(0o777)
        self.port, mapper, between = free_port(), free_port(), free_port()
        (self.directory / "rabbitmq.conf").write_text(f"listeners.tcp.1 = 127.0.0.1:{self.port}\n")
        (self.directory / "plugins").write_text("[].\n")
        loopback = "-kernel inet_dist_use_interface {127,0,0,1}"
        self._environ = {
            "PATH": os.environ["PATH"], "HOME": str(self.directory), "LANG": "C.UTF-8", "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(mapper), "RABBITMQ_NODENAME": f"wlsmtp{self.port}@localhost",
            "RABBITMQ_DIST_PORT": str(between), "RABBITMQ_CONFIG_FILE": str(self.directory / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": str(self.directory / "none"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.directory / "plugins"), "RABBITMQ_LOGS": "-",
            "RABBITMQ_MNESIA_BASE": str(self.directory / "data"), "RABBITMQ_LOG_BASE": str(self.directory / "log"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": f"+S 1:1 {loopback}",
        }  # fmt: skip
        self._processes: list[tuple[subprocess.Popen[bytes], Watcher]] = []

    @property
    def url(self) -> str:
        """Of its default virtual host."""
        return f"amqp://guest:guest@127.0.0.1:{self.port}/%2F"

    def start(self) -> None:
        self._start("epmd", "-address", "127.0.0.1", "-port", self._environ["ERL_EPMD_PORT"])
        self._start(str(SERVER))
        if not poll(lambda: b"completed with" in self._log.read_bytes(), 90):
            raise RuntimeError(self._log.read_text(errors="replace"))

    @property
    def _log(self) -> Path:
        return self.directory / "output"

    def _start(self, *command: str) -> None:
        options: dict[str, Any] = {**as_user(), "cwd": self.directory, "env": self._environ, "start_new_session": True}
        with self._log.open("ab") as log:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **options)
        self._processes.append((process, Watcher(-process.pid, signal.SIGKILL, self.directory)))

    def remove(self) -> None:
        for process, watcher in reversed(self._processes):
            watcher.dismiss()
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(30)
        shutil.rmtree(self.directory, ignore_errors=True)


@pytest.fixture(scope="session")
def rabbitmq() -> Iterator[RabbitMQ]:
    """A running RabbitMQ, one for the whole test run."""
    if not SERVER.exists():
        missing("there is no rabbitmq-server (Debian: rabbitmq-server)")
    server = RabbitMQ()
    try:
        server.start()
        yield server
    finally:
        server.remove()
