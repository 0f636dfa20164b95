"""Classes that look like those of ``smtplib`` and send by wlsmtp, as thin as can be, for CPython's own tests."""

from __future__ import annotations

import smtplib
from collections.abc import Iterable, Sequence
from typing import Any, Literal, Self

from wlsmtp import (
    AuthenticationFailed,
    ConfigError,
    ConnectionFailed,
    ContentRefused,
    ExtensionMissing,
    Network,
    ProtocolError,
    RecipientsRefused,
    Reply,
    RetryPolicy,
    SenderRefused,
    SMTPError,
    SMTPSession,
)
from wlsmtp.events import Event, Line

_TIME = 10.0
_made: list[SMTP] = []


class SMTP:
    """A session whose methods have the names, arguments, results and exceptions of ``smtplib.SMTP``."""

    protocol: Literal["smtp", "lmtp"] = "smtp"

    def __init__(
        self,
        host: str = "",
        port: Any = 0,
        local_hostname: str | None = None,
        timeout: float | None = _TIME,
        source_address: tuple[str, int] | None = None,
    ) -> None:
        if timeout == 0:
            raise ValueError("Non-blocking socket (timeout=0) is not supported")
        self.local_hostname, self.timeout, self.source_address = local_hostname, timeout, source_address
        self.esmtp_features: dict[str, str] = {}
        self._session: SMTPSession | None = None
        self._replies: list[str] = []
        _made.append(self)
        if host:
            self.connect(host, port)

    def connect(self, host: str, port: Any = 0) -> tuple[int, bytes]:
        """Open a session."""
        if not port and host.count(":") == 1:
            host, _, port = host.partition(":")
        self.close()
        self._session = self._make(host, port or 25)
        try:
            self._session.verify()
        except SMTPError as error:
            self.close()
            raise _translated(error, "") from error
        return 220, b""

    def _make(self, host: str, port: Any, **more: Any) -> SMTPSession:
        try:
            return SMTPSession(
                host,
                port,
                protocol=self.protocol,
                local_hostname=self.local_hostname,
                opportunistic_tls=False,
                timeout=self.timeout or _TIME,
                retry=RetryPolicy(attempts=1),
                network=Network(local_address=self.source_address[0] if self.source_address else None),
                listeners=[self._listen],
                **more,
            )
        except ConfigError as error:
            # What smtplib raises for a port that is none.
            raise OSError(str(error)) from error

    def _listen(self, event: Event) -> None:
        if isinstance(event, Line) and event.who == "server":
            self._replies.append(event.text)

    def _last_reply(self) -> tuple[int, bytes]:
        """The server's last reply, of one or more lines."""
        lines = [self._replies[-1]]
        for line in reversed(self._replies[:-1]):
            if line[3:4] != "-" or line[:3] != lines[0][:3]:
                break
            lines.insert(0, line)
        return int(lines[0][:3]), "\n".join(line[4:] for line in lines).encode()

    @property
    def session(self) -> SMTPSession:
        """The open session."""
        if self._session is None:
            raise smtplib.SMTPServerDisconnected("please run connect() first")
        return self._session

    @property
    def sock(self) -> object:
        """Something, while a connection is open."""
        return self._session if self._session is not None and self._session.statistics().connections_open else None

    def ehlo(self) -> tuple[int, bytes]:
        """What the server offered when the connection was opened."""
        capabilities = self.session.capabilities
        assert capabilities is not None
        self.esmtp_features = {name.lower(): " ".join(words) for name, words in capabilities.extensions.items()}
        return 250, "\n".join([capabilities.name, *map(_offer, capabilities.extensions.items())]).encode()

    def ehlo_or_helo_if_needed(self) -> None:
        """The session has done so."""
        self.ehlo()

    @property
    def does_esmtp(self) -> bool:
        """Whether it offered anything."""
        return bool(self.esmtp_features)

    def has_extn(self, name: str) -> bool:
        """Whether it offered an extension."""
        return name.lower() in self.esmtp_features

    def noop(self) -> tuple[int, bytes]:
        """Whether the connection is alive."""
        self.session.verify()
        return self._last_reply()

    def login(self, user: str, password: str) -> tuple[int, bytes]:
        """A session with this user."""
        config = self.session.config
        self.close()
        self._session = self._make(config.server, config.port, username=user, password=password)
        try:
            self._session.verify()
        except SMTPError as error:
            raise _translated(error, "") from error
        return self._last_reply()

    def sendmail(
        self, from_addr: str, to_addrs: str | Sequence[str], msg: str | bytes, mail_options: Iterable[str] = ()
    ) -> dict[str, tuple[int, bytes]]:
        """Send octets; the session chooses the options by itself."""
        return self._send(msg.encode("ascii") if isinstance(msg, str) else msg, from_addr, to_addrs)

    def send_message(
        self, msg: Any, from_addr: str | None = None, to_addrs: str | Sequence[str] | None = None
    ) -> dict[str, tuple[int, bytes]]:
        """Send a message of the standard library."""
        return self._send(msg, from_addr, to_addrs)

    def _send(self, message: Any, sender: str | None, recipients: Any) -> dict[str, tuple[int, bytes]]:
        try:
            receipt = self.session.send(message, sender=sender, recipients=recipients)
        except SMTPError as error:
            raise _translated(error, sender or "") from error
        return _refusals(receipt.recipients)

    def send(self, _s: object) -> None:
        """There is no way to send anything but messages."""
        raise NotImplementedError if self._session is not None else smtplib.SMTPServerDisconnected("not connected")

    def quit(self) -> None:
        """Close the session."""
        self.close()
        self.esmtp_features = {}

    def close(self) -> None:
        """The same."""
        if self._session is not None:
            self._session.close()
        self._session = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class LMTP(SMTP):
    """The same over LMTP."""

    protocol: Literal["smtp", "lmtp"] = "lmtp"


def close_all() -> None:
    """Close what a test has left open."""
    while _made:
        _made.pop().close()


def _offer(offer: tuple[str, tuple[str, ...]]) -> str:
    return " ".join((offer[0], *offer[1]))


def _answer(reply: Reply | None) -> tuple[int, bytes]:
    return (reply.code, "\n".join(reply.lines).encode()) if reply is not None else (-1, b"")


def _refusals(recipients: Iterable[Any]) -> dict[str, tuple[int, bytes]]:
    return {
        item.address: _answer(item.reply) for item in recipients if item.reply is not None and item.reply.code >= 400
    }


def _translated(error: SMTPError, sender: str) -> Exception:
    """The exception of ``smtplib`` that a program waits for; what was given wrongly is a ``ValueError`` as it is."""
    match error:
        case AuthenticationFailed():
            return smtplib.SMTPAuthenticationError(*_answer(error.reply))
        case SenderRefused():
            return smtplib.SMTPSenderRefused(*_answer(error.reply), sender)
        case RecipientsRefused():
            assert error.receipt is not None
            return smtplib.SMTPRecipientsRefused(_refusals(error.receipt.recipients))
        case ContentRefused():
            return smtplib.SMTPDataError(*_answer(error.reply))
        case ExtensionMissing():
            return smtplib.SMTPNotSupportedError(str(error))
        case ProtocolError():
            return smtplib.SMTPResponseException(500, str(error))
        case ConnectionFailed():
            return smtplib.SMTPServerDisconnected(str(error))
    return error
