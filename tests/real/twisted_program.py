"""A mail server made of Twisted's SMTP classes, run as a program: PORT HOST_NAME DIRECTORY.

It has to be a process of its own: a reactor can be started only once.
"""

from __future__ import annotations

import importlib
import itertools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet import defer
from twisted.mail import smtp
from zope.interface import implementer

AT_RCPT = {b"nouser": (550, b"no such user"), b"tempfail": (451, b"try again later"), b"full": (452, b"mailbox full")}
AT_DATA = {b"rejectdata": (554, b"no data wanted")}
AT_CONTENT = {b"rejectdot": (550, b"content refused"), b"deferdot": (451, b"content deferred")}

# It installs itself when it is imported, and only then has its methods.
reactor: Any = importlib.import_module("twisted.internet.reactor")

_numbers = itertools.count()


@implementer(smtp.IMessage)
class Caught:
    """A message, which becomes a file when it is whole."""

    def __init__(self, directory: Path, refusal: tuple[int, bytes] | None) -> None:
        self._directory, self._refusal = directory, refusal
        self._lines: list[bytes] = []

    def lineReceived(self, line: bytes) -> None:
        if self._refusal is not None:
            raise smtp.SMTPServerError(*self._refusal)
        self._lines.append(line + b"\r\n")

    def eomReceived(self) -> defer.Deferred[None]:
        unfinished = self._directory / f"{next(_numbers)}.part"
        unfinished.write_bytes(b"".join(self._lines))
        unfinished.rename(unfinished.with_suffix(".eml"))
        return defer.succeed(None)

    def connectionLost(self) -> None:
        self._lines.clear()


@implementer(smtp.IMessageDelivery)
class Delivery:
    """What is said to MAIL, RCPT and DATA."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def receivedHeader(self, helo: object, origin: object, recipients: object) -> bytes:
        return b""

    def validateFrom(self, helo: object, origin: smtp.Address) -> smtp.Address:
        return origin

    def validateTo(self, user: smtp.User) -> Callable[[], Caught]:
        name = user.dest.local
        if user.dest.domain != b"example.test":
            raise smtp.SMTPBadRcpt(user.dest)
        if name in AT_RCPT:
            code, text = AT_RCPT[name]
            raise smtp.SMTPBadRcpt(user.dest, code, text.decode())

        def begin() -> Caught:
            if name in AT_DATA:
                raise smtp.SMTPServerError(*AT_DATA[name])
            return Caught(self._directory, AT_CONTENT.get(name))

        return begin


class Factory(smtp.SMTPFactory):
    """Makes the server's side of each connection."""

    protocol = smtp.ESMTP

    def __init__(self, host_name: str, directory: Path) -> None:
        super().__init__()
        self.domain, self._directory = host_name.encode(), directory

    def buildProtocol(self, address: Any) -> Any:
        protocol: Any = super().buildProtocol(address)
        protocol.delivery = Delivery(self._directory)
        protocol.host = self.domain
        return protocol


def main(port: str, host_name: str, directory: str) -> None:
    reactor.listenTCP(int(port), Factory(host_name, Path(directory)), interface="127.0.0.1")
    reactor.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
