"""One connection to a real server, octet by octet: what probes of its behaviour use, which must not lean on wlsmtp."""

from __future__ import annotations

import base64
import socket
import ssl
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from .server import DOMAIN, RECIPIENT, SENDER, Endpoint

_TIMEOUT = 20.0


class HungUp(Exception):
    """The server ended the connection instead of a reply."""


class Wire:
    """A connection that is open, secured and logged in as the endpoint asks for, and that has said EHLO (or LHLO)."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._socket = socket.create_connection((endpoint.host, endpoint.port), timeout=_TIMEOUT)
        self._received = b""
        try:
            self._open()
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._socket.close()

    def send(self, octets: bytes) -> None:
        """Send in one write; that the server has gone shows when its next reply is read."""
        with suppress(ConnectionError):
            self._socket.sendall(octets)

    def reply(self) -> tuple[int, list[str]]:
        """Return the next reply, its code and the text of each line; raise HungUp where there is none."""
        lines: list[str] = []
        while True:
            line = self._line().decode("utf-8", "replace")
            lines.append(line[4:])
            if line[3:4] != "-":
                return int(line[:3]), lines

    def ask(self, command: str) -> tuple[int, list[str]]:
        """Send one command, and return its reply."""
        self.send(command.encode() + b"\r\n")
        return self.reply()

    @property
    def refusals(self) -> frozenset[str]:
        """The local parts that have their meaning here."""
        return self._endpoint.refusals

    def envelope(self, local_part: str | None = None) -> list[str]:
        """The commands of an envelope, for a local part that has a meaning or for somebody who is served."""
        recipient = RECIPIENT if local_part is None else f"{local_part}@{DOMAIN}"
        return [f"MAIL FROM:<{SENDER}>", f"RCPT TO:<{recipient}>"]

    def begin_data(self, local_part: str | None = None) -> None:
        """Come as far as the 354, command by command."""
        for command, expected in zip([*self.envelope(local_part), "DATA"], (250, 250, 354), strict=True):
            code, text = self.ask(command)
            assert code == expected, (command, code, text)

    def _open(self) -> None:
        security = self._endpoint.options.get("security", "default")
        if security == "ssl":
            self._secure()
        self.greeting = self.reply()
        self.keywords = self._hello()
        if "STARTTLS" in self.keywords and security != "ssl" and "tls" in self._endpoint.options:
            assert self.ask("STARTTLS")[0] == 220
            self._secure()
            self.keywords = self._hello()
        if "username" in self._endpoint.options:
            self._log_in(self._endpoint.options)

    def _line(self) -> bytes:
        while b"\n" not in self._received:
            try:
                data = self._socket.recv(65536)
            except ConnectionError:
                data = b""
            if not data:
                raise HungUp
            self._received += data
        line, _, self._received = self._received.partition(b"\n")
        return line.rstrip(b"\r")

    def _hello(self) -> list[str]:
        code, lines = self.ask(("LHLO" if self._endpoint.is_lmtp else "EHLO") + " client.example.test")
        assert code == 250, (code, lines)
        return sorted({line.split()[0].upper() for line in lines[1:] if line.strip()})

    def _secure(self) -> None:
        context = ssl.create_default_context(cafile=self._endpoint.options["tls"].ca_file)
        self._socket = context.wrap_socket(self._socket, server_hostname=self._endpoint.host)

    def _log_in(self, options: Any) -> None:
        response = base64.b64encode(f"\0{options['username']}\0{options['password']}".encode()).decode()
        code, text = self.ask(f"AUTH PLAIN {response}")
        assert code == 235, (code, text)
