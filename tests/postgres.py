"""A real PostgreSQL that the tests start: in a temporary folder, by an unprivileged user, on loopback only."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.real import poll
from tests.watcher import Watcher
from wlsmtp.outbox.postgres.outbox import PostgresOutbox

USER = "nobody"
"""Who runs the servers where the tests run as root, as PostgreSQL refuses that."""
NOT_DURABLE = ("fsync=off", "full_page_writes=off")
"""What a loss of power would cost; the death of a process costs nothing."""


def program(name: str) -> str | None:
    """Where a program of PostgreSQL is, the newest of those that are installed."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[4]))
    return str(found[-1]) if found else shutil.which(name)


def what_is_missing() -> str | None:
    """Why no PostgreSQL can be started."""
    missing = [name for name in ("initdb", "postgres") if program(name) is None]
    return f"there is no {missing[0]} (Debian: postgresql)" if missing else None


def as_user() -> dict[str, Any]:
    """Options of ``subprocess`` for a server that root may not run."""
    if os.getuid() != 0:
        return {}
    return {"user": USER, "group": pwd.getpwnam(USER).pw_gid, "extra_groups": []}


def free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port: int = held.getsockname()[1]
        return port


class Postgres:
    """A server with one database."""

    def __init__(self, settings: Sequence[str] = NOT_DURABLE, *, primary: Postgres | None = None) -> None:
        """``primary`` is the server, which is running, that this one is a standby of."""
        self.directory = Path(tempfile.mkdtemp(prefix="wlsmtp-pg-"))
        self.port = free_port()
        self._settings = settings
        self.environment: dict[str, str] = {}
        """More variables of its environment."""
        self._process: subprocess.Popen[bytes] | None = None
        if os.getuid() == 0:
            os.chown(self.directory, pwd.getpwnam(USER).pw_uid, -1)
        self._data = self.directory / "data"
        initdb = [program("initdb"), "-D", self._data, "-U", "tester", "-A", "trust", "-E", "UTF8", "--no-sync"]
        command = [*map(str, initdb), "--locale=C.UTF-8"]
        if primary is not None:
            copy = [program("pg_basebackup"), "-D", self._data, "-d", primary.url, "-R", "-c", "fast", "--no-sync"]
            command = [*map(str, copy)]
        subprocess.run(command, check=True, capture_output=True, cwd="/", timeout=120, **as_user())

    @property
    def url(self) -> str:
        """Of its database, over TCP."""
        return f"postgresql://tester@127.0.0.1:{self.port}/postgres"

    @property
    def socket_url(self) -> str:
        """The same over its unix socket."""
        return f"postgresql://tester@/postgres?host={self.directory}&port={self.port}"

    def outbox(self, schema: str | None = None, **options: object) -> str:
        """The URL of an outbox in a schema of its own."""
        pairs = {"schema": schema or self.schema(), **options}
        return f"{self.url}?" + "&".join(f"{name}={value}" for name, value in pairs.items())

    @staticmethod
    def schema() -> str:
        """A name that no other test has."""
        return f"mail_{uuid.uuid4().hex[:12]}"

    def start(self) -> None:
        options = ["listen_addresses=127.0.0.1", "shared_buffers=64MB", "max_connections=80", *self._settings]
        command = [str(program("postgres")), "-D", str(self._data), "-k", str(self.directory), "-p", str(self.port)]
        for option in options:
            command += ["-c", option]
        with (self.directory / "log").open("ab") as log:
            environment = {**os.environ, **self.environment}
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd="/", env=environment, **as_user())
        self._watcher = Watcher(self._process.pid, signal.SIGQUIT, self.directory)
        if not poll(self._answers, 60):
            raise RuntimeError((self.directory / "log").read_text())

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """``SIGINT`` ends all sessions ("fast"), ``SIGQUIT`` leaves everything as it is ("immediate")."""
        if self._process is not None:
            self._watcher.dismiss()
            self._process.send_signal(how)
            self._process.wait(60)
            self._process = None

    def remove(self) -> None:
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.directory, ignore_errors=True)

    def connect(self, **options: Any) -> psycopg.Connection[Any]:
        return psycopg.connect(self.url, autocommit=True, **options)

    def query(self, statement: str, *values: object) -> list[Any]:
        """The rows of a statement."""
        with self.connect() as connection:
            cursor = connection.execute(statement.encode(), values or None)
            return cursor.fetchall() if cursor.description is not None else []


class PgBouncer:
    """A pgbouncer in transaction mode in front of a server."""

    def __init__(self, server: Postgres) -> None:
        self.port = free_port()
        directory = server.directory
        users, settings = directory / "users.txt", directory / f"pgbouncer-{self.port}.ini"
        users.write_text('"tester" ""\n')
        settings.write_text(
            "[databases]\n"
            f"postgres = host=127.0.0.1 port={server.port} dbname=postgres\n"
            "[pgbouncer]\n"
            f"listen_addr = 127.0.0.1\nlisten_port = {self.port}\nunix_socket_dir =\n"
            f"auth_type = trust\nauth_file = {users}\npool_mode = transaction\ndefault_pool_size = 3\n"
        )
        for path in (users, settings):
            path.chmod(0o644)
        self.url = f"postgresql://tester@127.0.0.1:{self.port}/postgres"
        command, quiet = [str(pgbouncer()), str(settings)], subprocess.DEVNULL
        self._process = subprocess.Popen(command, stdout=quiet, stderr=quiet, cwd="/", **as_user())
        self._watcher = Watcher(self._process.pid, signal.SIGTERM)
        assert poll(self._answers, 30)

    def _answers(self) -> bool:
        with suppress(psycopg.OperationalError):
            psycopg.connect(self.url, connect_timeout=5).close()
            return True
        return False

    def stop(self) -> None:
        self._watcher.dismiss()
        self._process.terminate()
        self._process.wait(30)


def pgbouncer() -> str | None:
    """Where it is."""
    return shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")


class PostgresStore(PostgresOutbox):
    """An outbox whose database has a clock that a test sets."""

    def __init__(self, server: Postgres, **options: Any) -> None:
        self._clock = f'(SELECT at FROM "clock_{uuid.uuid4().hex[:12]}")'
        self._clocks = server.connect()
        self._table = self._clock.partition("FROM ")[2].rstrip(")")
        self._clocks.execute(f"CREATE TABLE {self._table} AS SELECT 0::double precision AS at".encode())
        super().__init__(server.url, schema=server.schema(), **options)

    def set_clock(self, now: float) -> None:
        self._clocks.execute(f"UPDATE {self._table} SET at = %s".encode(), (now,))

    async def close(self) -> None:
        await super().close()
        self._clocks.close()


def missing(reason: str) -> None:
    """A skipped test looks like a passed one, and CI is where these tests must have run."""
    (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A running PostgreSQL, one for the whole test run, in which each test has a schema of its own."""
    if (reason := what_is_missing()) is not None:
        missing(reason)
    server = Postgres()
    try:
        server.start()
        yield server
    finally:
        server.remove()
