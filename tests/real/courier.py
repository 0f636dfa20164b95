"""Courier's ESMTP server. Its queue is not run, so that what it has stored stays there. A filter in this process says
what it refuses."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

from .namespace import HOST, UNPACKED, NamespacedServer, Plan
from .server import DOMAIN, Endpoint

_SPOOL = "/var/lib/courier"
# couriertcpd passes its environment on, by which courieresmtpd is configured. With RELAYCLIENT it takes every recipient
# of another domain; one of its own must be a mailbox.
_START = """\
#!/bin/sh
set -a
. /etc/courier/esmtpd
BOFHCHECKDNS=0 BOFHCHECKHELO=0 BOFHSPFTRUSTME=1 RELAYCLIENT= TARPIT=0 ESMTPAUTH= BLOCK=
prefix=/usr exec_prefix=/usr sysconfdir=/etc/courier sbindir=/usr/sbin
cd /usr
exec /usr/sbin/couriertcpd -user=courier -group=courier -address={host} -noidentlookup -nodnslookup \
    -maxprocs=100 -maxperc=100 -maxperip=100 {port} /usr/sbin/courieresmtpd
"""


class CourierServer(NamespacedServer):
    """A Courier that keeps each message in its queue."""

    name = "Courier 1.0"
    folder = "courier-1.0"
    ports = ("plain",)
    refusals = frozenset({"rejectdot", "deferdot"})

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """The only way to reach it."""
        return (Endpoint(self.name, self.port["plain"], HOST, refusals=self.refusals),)

    def plan(self) -> Plan:
        """What is to be run."""
        spool = self.directory / "courier"
        return Plan(
            folder=str(UNPACKED / self.folder),
            users=["courier"],
            files={
                "/usr/local/sbin/start-courier": _START.format(host=HOST, port=self.port["plain"]),
                "/etc/courier/me": f"{self.host_name}\n",
                "/etc/courier/locals": f"{self.host_name}\n",
                "/etc/courier/defaultdomain": f"{DOMAIN}\n",
                "/etc/courier/sizelimit": "100000000\n",
                "/etc/hosts": f"127.0.0.1 {self.host_name} localhost\n",
            },
            directories={
                str(spool / name): "courier" for name in ("tmp", "msgs", "msgq", "track", "allfilters", "filters")
            },
            commands=[
                ["sh", "-c", f"chown courier: {spool}; rm -rf {_SPOOL}; ln -s {spool} {_SPOOL}"],
                ["chmod", "755", "/usr/local/sbin/start-courier"],
            ],
            daemon=["/usr/local/sbin/start-courier"],
        )

    def stored(self) -> list[bytes]:
        """The content of every message that it has accepted, as octets."""
        # A control file C… stands beside the content D… of each message that was accepted.
        tmp = Path(self.directory, "courier", "tmp")
        return [path.with_name("D" + path.name[1:]).read_bytes() for path in tmp.glob("*/C*")]

    def _start_once(self) -> None:
        super()._start_once()
        # Each socket here is a filter of the contents.
        path = self.directory / "courier" / "allfilters" / "tests"
        filters = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._cleanup.callback(filters.close)
        filters.bind(str(path))
        os.chmod(path, 0o666)
        filters.listen()
        threading.Thread(target=self._filter, args=(filters,), daemon=True).start()
        self._cleanup.callback(filters.shutdown, socket.SHUT_RDWR)

    def _filter(self, filters: socket.socket) -> None:
        """Answer for each message, whose files are named one a line, the content first."""
        while True:
            try:
                connection, _ = filters.accept()
            except OSError:
                return
            with connection, connection.makefile("rwb") as stream:
                names = [line.rstrip(b"\n") for line in iter(stream.readline, b"\n") if line]
                envelope = b"".join(self._here(name).read_bytes() for name in names[1:])
                stream.write(_answer(envelope))

    def _here(self, name: bytes) -> Path:
        """The path of a file that the server names."""
        return self.directory / "courier" / Path(os.fsdecode(name)).relative_to(_SPOOL)


def _answer(envelope: bytes) -> bytes:
    if b"\nrrejectdot@" in envelope:
        return b"554 5.7.1 Not wanted here\n"
    return b"451 4.7.1 Later\n" if b"\nrdeferdot@" in envelope else b"200 Ok\n"
