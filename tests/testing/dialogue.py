"""Plays the client's side of a written dialogue over plain sockets, and holds the server to its own."""

from __future__ import annotations

import socket
from types import TracebackType
from typing import Self

from wlsmtp.testing import SMTPServer


class Client:
    """One connection, without any library for SMTP."""

    def __init__(self, server: SMTPServer, patience: float = 10.0) -> None:
        self._socket = socket.create_connection((server.host, server.port), timeout=patience)
        self._received = b""

    def send(self, data: bytes) -> None:
        """Everything in one write."""
        self._socket.sendall(data)

    def reply(self) -> str:
        """The next reply, its lines as they came; empty once the server has closed."""
        lines = b""
        while True:
            line = self._line()
            lines += line
            if line[3:4] != b"-":
                return lines.decode("utf-8", "surrogateescape")

    def _line(self) -> bytes:
        while b"\n" not in self._received:
            try:
                data = self._socket.recv(65536)
            except ConnectionResetError:
                data = b""
            if not data:
                return b""
            self._received += data
        line, end, self._received = self._received.partition(b"\n")
        return line + end

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def play(server: SMTPServer, dialogue: str, patience: float = 10.0) -> None:
    """``>`` is sent, those in a row in one write; ``<`` is how the next reply begins, or ``closed``.

    The line ends of a reply are written out, as ``\\r\\n``.

    ``= 2`` goes on over the second connection. Each one starts with a greeting and EHLO, unless ``raw`` stands there.
    """
    clients: dict[str, Client] = {}
    current, group = "1", b""
    try:
        lines = [line.strip() for line in dialogue.strip().splitlines()]
        if not lines[0].startswith("="):
            clients[current] = _greeted(server, patience)
        for line in lines:
            sign, _, text = line.partition(" ")
            if sign == ">":
                group += text.encode() + b"\r\n"
                continue
            if group:
                clients[current].send(group)
                group = b""
            if sign == "=":
                current, _, raw = text.partition(" ")
                if current not in clients:
                    clients[current] = Client(server, patience) if raw else _greeted(server, patience)
                continue
            heard = clients[current].reply().replace("\r", "\\r").replace("\n", "\\n")
            assert (not heard) if text == "closed" else heard.startswith(text), f"wanted {text!r}, heard {heard!r}"
    finally:
        for client in clients.values():
            client.close()


def _greeted(server: SMTPServer, patience: float) -> Client:
    client = Client(server, patience)
    client.reply()
    client.send(b"EHLO client.example\r\n")
    client.reply()
    return client
