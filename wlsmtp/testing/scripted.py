"""``ScriptedPeer``: replays a conversation on a real socket, its replies cut into any chunks."""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import suppress
from typing import Self

PATIENCE = 10.0
"""Maximum seconds that the peer waits for the client."""


class ScriptedPeer:
    """Plays a dialogue, one step per line: ``S:`` is sent, ``C:`` is expected (``*`` at the end matches anything).

    ``!content`` reads up to the final dot, ``!part`` the octets that come next; ``!close``, ``!reset`` and ``!silence``
    (until the client leaves) end it. Consecutive lines of the server are one piece; ``chunking`` cuts it: ``"whole"``,
    ``"bytes"``, or a number of octets. Leaving the context raises ``AssertionError`` if the client sent something else.
    """

    def __init__(self, dialogue: str, *, chunking: str | int = "whole", connections: int = 1) -> None:
        self._steps = [line.strip() for line in dialogue.strip().splitlines() if line.strip()]
        self._size = {"whole": 0, "bytes": 1}[chunking] if isinstance(chunking, str) else chunking
        self._connections = connections
        self.received: list[bytes] = []
        """The lines and contents that the client sent."""
        self.failure: str | None = None
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(PATIENCE)
        self.port: int = self._listener.getsockname()[1]
        self._socket: socket.socket | None = None
        self._buffer = bytearray()
        self._thread = threading.Thread(target=self._run, name="wlsmtp-scripted", daemon=True)
        self._thread.start()

    @classmethod
    def from_dialogue(cls, dialogue: str, *, chunking: str | int = "whole", connections: int = 1) -> Self:
        """Return a peer, like the constructor."""
        return cls(dialogue, chunking=chunking, connections=connections)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self.close()
        if kind is None and self.failure:
            raise AssertionError(self.failure)

    def close(self) -> None:
        """Close the connection and wait for the thread."""
        for sock in (self._listener, self._socket):
            if sock is not None:
                with suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
        self._thread.join(PATIENCE)
        self._listener.close()

    def _run(self) -> None:
        for _ in range(self._connections):
            try:
                self._socket, _address = self._listener.accept()
            except OSError:
                return
            with self._socket as sock:
                sock.settimeout(PATIENCE)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._buffer.clear()
                with suppress(OSError, EOFError):
                    self._play(sock)

    def _play(self, sock: socket.socket) -> None:
        said = b""
        for step in self._steps:
            if step.startswith("S:"):
                said += step[2:].strip().encode("utf-8", "surrogateescape") + b"\r\n"
                continue
            self._say(sock, said)
            said = b""
            if step == "!reset":
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return
            if step == "!close":
                return
            if step == "!silence":
                while sock.recv(65536):
                    pass
            elif step == "!part":
                self.received.append(bytes(self._buffer) or sock.recv(65536))
                self._buffer.clear()
            elif step == "!content":
                self.received.append(self._until(sock, b"\r\n.\r\n"))
            elif not self._expect(step.removeprefix("C:").strip(), self._until(sock, b"\r\n")):
                return
        self._say(sock, said)
        # Closing with unread input would reset the connection, and the last replies could be lost.
        with suppress(OSError):
            sock.shutdown(socket.SHUT_WR)
            while sock.recv(65536):
                pass

    def _say(self, sock: socket.socket, data: bytes) -> None:
        size = self._size or len(data) or 1
        for start in range(0, len(data), size):
            sock.sendall(data[start : start + size])

    def _expect(self, wanted: str, line: bytes) -> bool:
        said = line.decode("utf-8", "replace").removesuffix("\r\n")
        self.received.append(line)
        heard, prefix = said.casefold(), wanted.removesuffix("*").casefold()
        is_right = heard.startswith(prefix) if wanted.endswith("*") else heard == prefix
        if not is_right:
            self.failure = f"expected {wanted!r}, and the client said {said!r}"
        return is_right

    def _until(self, sock: socket.socket, end: bytes) -> bytes:
        while (found := self._buffer.find(end)) < 0:
            data = sock.recv(65536)
            if not data:
                raise EOFError
            self._buffer += data
        taken = bytes(self._buffer[: found + len(end)])
        del self._buffer[: found + len(end)]
        return taken
