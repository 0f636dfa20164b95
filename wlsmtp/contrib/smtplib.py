"""``smtplib.SMTP``, ``SMTP_SSL`` and ``LMTP`` over a session, for programs that cannot be changed.

>>> import wlsmtp.contrib.smtplib as smtplib  # instead of: import smtplib

Names, arguments, results and exceptions are those of ``smtplib``. A session sends: certificates are verified, a
connection that died is replaced, no password goes over an unencrypted one. There are no single commands (``docmd``, …).
"""

from __future__ import annotations

import smtplib
from collections.abc import Mapping, Sequence
from smtplib import *  # noqa: F403 # pyright: ignore - what is not defined here is as it is there
from typing import Any, NoReturn

from wlsmtp import Network, RetryPolicy, SMTPSession, errors
from wlsmtp.contrib import _smtplib
from wlsmtp.contrib._smtplib import Answer, Server, settings_of, tls_settings, translated
from wlsmtp.contrib._smtplib import SMTPMessageError as SMTPMessageError
from wlsmtp.events import Line, listener

_CHOSEN_BY_SESSION = {"BODY", "SIZE", "SMTPUTF8"}


class SMTP(smtplib.SMTP):  # type: ignore[no-redef]
    """``smtplib.SMTP`` over a session."""

    settings: Mapping[str, Any] = {}
    """Settings of the session for which ``smtplib`` has no argument, by the names of ``SessionConfig``; for a derived
    class to set, as ``{"tls": TLS(ca_file="ca.pem")}``."""
    _own: Mapping[str, Any] = {"security": "default", "opportunistic_tls": False}
    _session: SMTPSession | None = None
    _reply: Answer = (0, b"")
    source_address: Any = None

    def __init__(self, host: str = "", port: int = 0, local_hostname: Any = None, timeout: Any = None,
                 source_address: Any = None) -> None:  # fmt: skip
        """The parameters are those of ``smtplib.SMTP``. ``timeout`` is the longest silence at any stage, in seconds
        (default: those of ``Timeouts``). Of ``source_address`` the host counts, not the port."""
        self.local_hostname, self.timeout, self.source_address = local_hostname, timeout, source_address
        _smtplib.seconds(timeout)  # raises for 0
        self.esmtp_features = {}
        if host:
            self.connect(host, port)

    def connect(self, host: str = "localhost", port: int = 0, source_address: Any = None) -> Answer:
        """Open a session, and connect. Raises the ``OSError`` of the system, or ``SMTPException``."""
        if not port and host.count(":") == 1:
            host, _, text = host.partition(":")
            port = int(text) if text.isdecimal() else -1  # an invalid port is refused below
        self.source_address = source_address or self.source_address
        ways: dict[str, Any] = {"local_address": self.source_address[0] or None} if self.source_address else {}
        get: Any = self._get_socket  # type: ignore[attr-defined]
        if get.__func__ is not smtplib.SMTP._get_socket:  # type: ignore[attr-defined]
            ways["connector"] = lambda host, port: get(host, port, self.timeout)  # through a proxy, say
        given = {"server": host, "port": port or self.default_port, "timeout": _smtplib.seconds(self.timeout)}
        own = {**self._own, "local_hostname": self.local_hostname, "network": Network(**ways) if ways else None}
        self._start(own | given)
        return 220, b""

    def _start(self, settings: Mapping[str, Any]) -> Answer:
        """Connect with these settings; if that fails, the next command goes with those before."""
        before = self._session
        self.close()
        given = {"retry": RetryPolicy(attempts=1), **self.settings, "listeners": [listener(Line)(self._hear)]}
        given.update((name, value) for name, value in settings.items() if value is not None)
        try:
            self._session = Server(given).session
            return self.noop()
        except errors.ConfigError as error:
            raise OSError(str(error)) from error
        except BaseException:
            self.close()
            self._session = before and Server(settings_of(before)).session
            raise

    def _open(self) -> SMTPSession:
        if self._session is None:
            raise smtplib.SMTPServerDisconnected("please run connect() first")
        return self._session

    def _hear(self, event: Line) -> None:
        if self.debuglevel > 0:
            self._print_debug("send:" if event.who == "client" else "reply:", event.text)  # type: ignore[attr-defined]
        if event.who == "server":
            self._reply = int(event.text[:3]), event.text[4:].encode()

    @property
    def sock(self) -> Any:  # type: ignore[override]
        """Something, while a connection is open."""
        return self._session if self._session is not None and self._session.statistics().connections_open else None

    def ehlo(self, name: str = "") -> Answer:
        """Return what the server offered when the connection was opened; it is opened again for another ``name``."""
        if name and name != self.local_hostname:
            self.local_hostname = name
            self._start(settings_of(self._open()) | {"local_hostname": name})
        self.noop()
        capabilities = self._open().capabilities
        assert capabilities is not None, "connected"
        offers = {keyword: " ".join(words) for keyword, words in capabilities.extensions.items()}
        self.esmtp_features = {keyword.lower(): words for keyword, words in offers.items()}
        lines = (capabilities.name, *(f"{keyword} {words}".rstrip() for keyword, words in offers.items()))
        self.does_esmtp, self.ehlo_resp = bool(offers), "\n".join(lines).encode()
        return 250, self.ehlo_resp

    helo = ehlo

    def noop(self) -> Answer:
        """Ask whether the server is still there; a connection that died is replaced."""
        try:
            self._open().verify()
        except errors.SMTPError as error:
            raise translated(error) from error
        return self._reply

    rset = noop  # the session itself separates one message from the next

    def send(self, s: Any = None) -> NoReturn:
        """Raise ``SMTPNotSupportedError``: there are no single commands but those that are methods of this class."""
        self._open()
        raise smtplib.SMTPNotSupportedError("wlsmtp.contrib.smtplib sends messages, and no single commands")

    getreply = send

    def login(self, user: str, password: str, *, initial_response_ok: bool = True) -> Answer:
        """Log in, over a new connection. Raises ``SMTPAuthenticationError``, and ``SMTPNotSupportedError`` where the
        password would go over an unencrypted connection that leaves this machine."""
        return self._start(settings_of(self._open()) | {"username": user, "password": password})

    def starttls(self, keyfile: Any = None, certfile: Any = None, context: Any = None) -> Answer:
        """Secure the session, over a new connection. Without ``context`` the server's certificate is verified, which
        ``smtplib`` does not do. Raises ``SMTPNotSupportedError``, or ``ssl.SSLError``."""
        self._start(settings_of(self._open()) | {"security": "tls", **tls_settings(context, certfile, keyfile)})
        self.ehlo_resp, self.esmtp_features, self.does_esmtp = None, {}, False
        return 220, b""

    def sendmail(self, from_addr: str | None, to_addrs: str | Sequence[str] | None, msg: Any,
                 mail_options: Sequence[str] = (), rcpt_options: Sequence[str] = ()) -> dict[str, Answer]:  # fmt: skip
        """Send octets; see ``smtplib``. BODY, SIZE and SMTPUTF8 are for the session to choose, and any other option is
        an ``SMTPNotSupportedError``. Bcc is taken out."""
        asked = {option.partition("=")[0].upper() for option in (*mail_options, *rcpt_options)} - _CHOSEN_BY_SESSION
        if asked:
            raise smtplib.SMTPNotSupportedError(f"Use DeliveryOptions of wlsmtp for {', '.join(sorted(asked))}")
        content = msg.encode("ascii") if isinstance(msg, str) else msg
        try:
            recipients = to_addrs if to_addrs is None or isinstance(to_addrs, str) else [*to_addrs]
            return _smtplib.refusals(self._open().send(content, sender=from_addr, recipients=recipients).recipients)
        except errors.SMTPError as error:
            raise translated(error, from_addr or "") from error

    def send_message(self, msg: Any, from_addr: Any = None, to_addrs: Any = None, mail_options: Sequence[str] = (),
                     rcpt_options: Sequence[str] = ()) -> dict[str, Answer]:  # fmt: skip
        """Send a message of the standard library; see ``smtplib`` and ``sendmail``."""
        return self.sendmail(from_addr, to_addrs, msg, mail_options, rcpt_options)

    def quit(self) -> Answer:
        """Close the session."""
        self._open()
        self.close()
        self.ehlo_resp, self.esmtp_features, self.does_esmtp = None, {}, False
        return self._reply if self._reply[0] == 221 else (221, b"")

    def close(self) -> None:
        """Close the session, if one is open."""
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def __exit__(self, *_: object) -> None:
        self.close()


class SMTP_SSL(SMTP):  # type: ignore[no-redef] # noqa: N801 - its name there
    """``smtplib.SMTP_SSL`` over a session: TLS from the first byte."""

    default_port = smtplib.SMTP_SSL_PORT

    def __init__(self, host: str = "", port: int = 0, local_hostname: Any = None, keyfile: Any = None,
                 certfile: Any = None, timeout: Any = None, source_address: Any = None,
                 context: Any = None) -> None:  # fmt: skip
        """The parameters are those of ``SMTP`` and ``SMTP.starttls``."""
        self._own = {"security": "ssl", **tls_settings(context, certfile, keyfile)}
        super().__init__(host, port, local_hostname, timeout, source_address)


class LMTP(SMTP):
    """``smtplib.LMTP`` over a session; a ``host`` that is a path is that of a unix socket."""

    default_port = smtplib.LMTP_PORT
    _own: Mapping[str, Any] = {"protocol": "lmtp", "security": "default", "opportunistic_tls": False}

    def __init__(self, host: str = "", port: int = smtplib.LMTP_PORT, local_hostname: Any = None,
                 source_address: Any = None, timeout: Any = None) -> None:  # fmt: skip
        """The parameters are those of ``SMTP``, in the order of ``smtplib.LMTP``."""
        super().__init__(host, port, local_hostname, timeout, source_address)


def __getattr__(name: str) -> Any:
    return getattr(smtplib, name)  # constants, and what else a program may use
