"""A Postfix for the programs of the docs, behind a port that can be closed as if the server were down."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tests.real import poll
from tests.real.postfix import PostfixServer
from wlsmtp.testing.server import ReceivedMessage

_MORE = """\
virtual_mailbox_domains = example.com example.net example.org
virtual_mailbox_maps = static:caught/
message_drop_headers =
enable_long_queue_ids = yes
smtpd_sender_restrictions = check_policy_service inet:127.0.0.1:{policy}
"""
_LOGIN = (
    "smtpd_tls_security_level=encrypt", "smtpd_sasl_auth_enable=yes",
    "smtpd_recipient_restrictions=permit_sasl_authenticated,reject",
    "smtpd_relay_restrictions=permit_sasl_authenticated,reject",
)  # fmt: skip
_ABOVE = re.compile(
    rb"Return-Path: <(?P<sender>.*)>\nX-Original-To: .*\nDelivered-To: (?P<to>.*)\n"
    rb"Received: .*\n(?:[ \t].*\n)*?.*\bid (?P<id>\w+)\b.*\n(?:[ \t].*\n)*"
)
"""What Postfix writes above the content."""


def listening(handle: Callable[[socket.socket], None], port: int = 0) -> socket.socket:
    """Call ``handle`` in a thread with each connection that comes; the listener ends when it is shut down."""
    listener = socket.create_server(("127.0.0.1", port))

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=handle, args=[listener.accept()[0]], daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return listener


def end(listener: socket.socket) -> None:
    """Stop listening."""
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


class RecipesPostfix(PostfixServer):
    """It delivers to example.com, .net and .org, save what the tests refuse; ``login`` is a port with TLS and AUTH."""

    username = "ann@example.com"
    password = "s3cret"

    def __init__(self) -> None:
        self.refusals: dict[str, tuple[str, float]] = {}
        self.policy = listening(self._decide)
        super().__init__(more=_MORE.format(policy=self.policy.getsockname()[1]), services={"recipes": _LOGIN})

    def _decide(self, connection: socket.socket) -> None:
        """Answer Postfix at each RCPT (SMTPD_POLICY_README)."""
        address = ""
        with connection, connection.makefile("r") as lines, suppress(OSError):
            for line in lines:
                if line.startswith("recipient="):
                    address = line.partition("=")[2].strip()
                elif line == "\n":
                    reply, times = self.refusals.get(address, ("DUNNO", 1))
                    if times > 1:
                        self.refusals[address] = reply, times - 1
                    else:
                        self.refusals.pop(address, None)
                    connection.sendall(f"action={reply}\n\n".encode())

    def wait_until_delivered(self) -> None:
        """Return once all mail that was accepted until now is delivered: the queue is empty then."""
        places = [self._queue / name for name in ("maildrop", "incoming", "active", "deferred")]

        def is_empty() -> bool:
            return not any(path.is_file() for place in places for path in place.rglob("*"))

        assert poll(is_empty, 20), self.log()[-2000:]


class MailServer:
    """What a test sees of a Postfix: the mail that came since the test began, over a port of its own."""

    host = "127.0.0.1"

    def __init__(self, postfix: RecipesPostfix, service: str = "plain") -> None:
        self._postfix, self._target = postfix, postfix.port_of(service)
        self._before = set(self._files())
        self._open: list[socket.socket] = []
        self.ca_file = str(postfix.ca_file)
        self.connections = 0
        self.to_hang_up = 0
        """So many connections are closed as soon as they come."""
        self._listener: socket.socket | None = listening(self._forward)
        self.port: int = self._listener.getsockname()[1]

    def refuse(self, address: str, reply: str = "550 5.1.1 No such user", *, times: float = float("inf")) -> None:
        """Answer RCPT for an address with this reply, the first times or always."""
        self._postfix.refusals[address] = reply, times

    def close(self) -> None:
        """Be down: listen no more, and end the connections that are open."""
        if self._listener is not None:
            end(self._listener)
            self._listener = None
        for connection in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def open(self) -> None:
        """Be back, at the same port."""
        self._listener = listening(self._forward, self.port)

    @property
    def log(self) -> str:
        """What Postfix has logged."""
        return self._postfix.log()

    @property
    def messages(self) -> list[ReceivedMessage]:
        """All mail that was accepted, in order: so are the ids of the queue."""
        self._postfix.wait_until_delivered()
        found: dict[bytes, ReceivedMessage] = {}
        for path in self._files():
            content = path.read_bytes()
            above = _ABOVE.match(content)
            assert above is not None, content
            if path in self._before:
                continue
            before = found.get(above["id"])
            recipients = (*(before.recipients if before else ()), above["to"].decode())
            found[above["id"]] = ReceivedMessage(above["sender"].decode(), recipients, content[above.end() :])
        return [found[id] for id in sorted(found)]

    def forget(self) -> None:
        """Leave the mail that came until now out of ``messages``."""
        self._postfix.wait_until_delivered()
        self._before = set(self._files())

    def wait_for_messages(self, count: int, timeout: float = 30) -> list[ReceivedMessage]:
        """Return the messages once there are so many."""
        until = time.monotonic() + timeout
        while len(found := self.messages) < count and time.monotonic() < until:
            time.sleep(0.05)
        assert len(found) >= count
        return found

    def _files(self) -> list[Path]:
        directory = self._postfix.maildir("") / "new"
        return sorted(directory.glob("*"), key=lambda path: path.stat().st_mtime_ns)

    def _forward(self, client: socket.socket) -> None:
        self.connections += 1
        if self.connections <= self.to_hang_up:
            return client.close()
        with client, socket.create_connection((self._postfix.host, self._target)) as server:
            self._open += client, server
            replies = threading.Thread(target=_pump, args=[server, client], daemon=True)
            replies.start()
            _pump(client, server)
            replies.join()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while octets := source.recv(65536):
            target.sendall(octets)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
