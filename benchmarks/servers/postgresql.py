"""A PostgreSQL in a temporary folder, on a unix socket, with the durability that it has by default."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

USER = "nobody"
"""Who runs it where the benchmark is run as root, as PostgreSQL refuses that."""


@contextmanager
def postgresql() -> Iterator[str]:
    """Its URL. Raises ``FileNotFoundError`` where none is installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if not found:
        raise FileNotFoundError("PostgreSQL is not installed (Debian: postgresql)")
    programs, directory = found[-1].parent, Path(tempfile.mkdtemp(prefix="wlsmtp-bench-"))
    as_user: dict[str, Any] = {"cwd": "/"}
    if os.getuid() == 0:
        owner = pwd.getpwnam(USER)
        os.chown(directory, owner.pw_uid, owner.pw_gid)
        as_user |= {"user": USER, "group": owner.pw_gid, "extra_groups": []}
    data = directory / "data"
    command = [programs / "initdb", "-D", data, "-U", "bench", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8"]
    subprocess.run(list(map(str, command)), check=True, capture_output=True, **as_user)
    options = ["-c", "listen_addresses=", "-c", "shared_buffers=256MB", "-c", "max_wal_size=4GB"]
    server = [str(programs / "postgres"), "-D", str(data), "-k", str(directory), *options]
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(server, stdout=quiet, stderr=quiet, **as_user)
    ready = [str(programs / "pg_isready"), "-h", str(directory), "-q"]
    try:
        while subprocess.run(ready, check=False).returncode:
            time.sleep(0.1)
        yield f"postgresql://bench@/postgres?host={directory}"
    finally:
        process.terminate()
        process.wait(60)
        shutil.rmtree(directory, ignore_errors=True)
