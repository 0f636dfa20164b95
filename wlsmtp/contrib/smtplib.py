"""``smtplib.SMTP``, ``SMTP_SSL`` and ``LMTP`` over a session, for programs that cannot be changed.

>>> import wlsmtp.contrib.smtplib as smtplib  # instead of: import smtplib

Names, arguments, results and exceptions are those of ``smtplib``. A session sends: certificates are verified, a
connection that died is replaced, no password goes over an unencrypted one. There are no single commands (``docmd``, …).
"""

from __future__ import annotations

import smtplib
import socket
from collections.abc import Mapping, Sequence
from smtplib import *  # noqa: F403 # pyright: ignore - what is not defined here is as it is there
from typing import Any, NoReturn

from wlsmtp import TLS, Network, RetryPolicy, SMTPSession, errors
from wlsmtp.events import Line, listener
from wlsmtp.results.as_smtplib import Answer, exception, refusals
from wlsmtp.results.as_smtplib import SMTPMessageError as SMTPMessageError


def _tls(context: Any, certfile: Any, keyfile: Any) -> TLS | None:
    if context is not None:
        return TLS(context=context, verify=bool(context.verify_mode) and context.check_hostname)
    return TLS(client_cert=(certfile, keyfile) if keyfile else certfile) if certfile else None


class SMTP(smtplib.SMTP):  # type: ignore[no-redef]
    """``smtplib.SMTP`` over a session."""

    settings: Mapping[str, Any] = {}
    """For a derived class to set: further settings of ``SessionConfig``, as ``{"tls": TLS(ca_file="ca.pem")}``."""
    _own: Mapping[str, Any] = {"security": "default", "opportunistic_tls": False}
    _given: Mapping[str, Any] = {}
    _session: SMTPSession | None = None
    _reply: Answer = (0, b"")

    def __init__(self, host: str = "", port: int = 0, local_hostname: Any = None, timeout: Any = None,
                 source_address: Any = None) -> None:  # fmt: skip
        """The parameters are those of ``smtplib.SMTP``. ``timeout`` is the longest silence at any stage, in seconds
        (default: those of ``Timeouts``). Of ``source_address`` the host counts, not the port."""
        if timeout is None or timeout is socket._GLOBAL_DEFAULT_TIMEOUT:  # type: ignore[attr-defined]
            timeout = socket.getdefaulttimeout()
        if timeout == 0:
            raise ValueError("Non-blocking socket (timeout=0) is not supported")
        self.local_hostname, self.timeout, self.source_address = local_hostname, timeout, source_address
        self.esmtp_features = {}
        if host:
            self.connect(host, port)

    def connect(self, host: str = "localhost", port: int = 0, source_address: Any = None) -> Answer:
        """Open a session, and connect. Raises the ``OSError`` of the system, or ``SMTPException``."""
        if not port and host.count(":") == 1:
            host, _, text = host.partition(":")
            port = int(text) if text.isdecimal() else -1  # an invalid port is refused below
        me: Any = self  # stubs do not have all attributes of smtplib's class
        me.source_address = source_address or me.source_address
        ways: dict[str, Any] = {"local_address": me.source_address[0] or None} if me.source_address else {}
        if me._get_socket.__func__ is not smtplib.SMTP._get_socket:  # type: ignore[attr-defined]
            ways["connector"] = lambda host, port: me._get_socket(host, port, self.timeout)  # through a proxy, say
        given = {"retry": RetryPolicy(attempts=1), "local_names": True, **self.settings, "server": host}
        given |= {"listeners": [listener(Line)(self._hear)], "port": port or self.default_port}
        network = Network(**ways) if ways else None
        self._start(given, timeout=self.timeout, local_hostname=self.local_hostname, network=network, **self._own)
        return 220, b""

    def _start(self, given: Mapping[str, Any] | None = None, **more: Any) -> Answer:
        """Connect with the settings given, or those before, and more. If that fails, those before count again."""
        before, given = self._given, given or (self._given if self._open() else {})
        self.close()
        self._given = {**given, **{name: value for name, value in more.items() if value is not None}}
        try:
            return self.noop()
        except BaseException:
            self.close()
            self._given = before
            raise

    def _open(self) -> SMTPSession:
        if not self._given:
            raise smtplib.SMTPServerDisconnected("please run connect() first")
        self._session = self._session or SMTPSession(**self._given)
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
            self._start(local_hostname=name)
        self.noop()
        offers = self._server.capabilities.extensions
        self.esmtp_features = {keyword.lower(): " ".join(words) for keyword, words in offers.items()}
        lines = (self._server.name, *(" ".join((keyword, *words)) for keyword, words in offers.items()))
        self.does_esmtp, self.ehlo_resp = bool(offers), "\n".join(lines).encode()
        return 250, self.ehlo_resp

    helo = ehlo

    def noop(self) -> Answer:
        """Ask whether the server is still there; a connection that died is replaced."""
        try:
            self._server = self._open().verify()
        except errors.SMTPError as error:
            raise exception(error) from error
        return self._reply

    rset = noop  # the session itself separates one message from the next

    def send(self, s: Any = None) -> NoReturn:
        """Raise ``SMTPNotSupportedError``: there are no single commands but those that are methods of this class."""
        self._open()
        raise smtplib.SMTPNotSupportedError("wlsmtp.contrib.smtplib sends messages, and no single commands")

    getreply = send

    def login(self, user: str, password: str, *, initial_response_ok: bool = True) -> Answer:
        """Log in, over a new connection. Raises ``SMTPAuthenticationError``; ``SMTPNotSupportedError`` without TLS."""
        return self._start(username=user, password=password)

    def starttls(self, keyfile: Any = None, certfile: Any = None, context: Any = None) -> Answer:
        """Secure the session, over a new connection. Without ``context`` the server's certificate is verified, which
        ``smtplib`` does not do. Raises ``SMTPNotSupportedError``, or ``ssl.SSLError``."""
        self._start(security="tls", tls=_tls(context, certfile, keyfile))
        self.ehlo_resp, self.esmtp_features, self.does_esmtp = None, {}, False
        return 220, b""

    def sendmail(self, from_addr: str | None, to_addrs: str | Sequence[str] | None, msg: Any,
                 mail_options: Sequence[str] = (), rcpt_options: Sequence[str] = ()) -> dict[str, Answer]:  # fmt: skip
        """Send octets; see ``smtplib``. BODY, SIZE and SMTPUTF8 are for the session to choose, and any other option is
        an ``SMTPNotSupportedError``. Bcc is taken out."""
        asked = {one.partition("=")[0].upper() for one in (*mail_options, *rcpt_options)} - {"BODY", "SIZE", "SMTPUTF8"}
        if asked:
            raise smtplib.SMTPNotSupportedError(f"Use DeliveryOptions of wlsmtp for {', '.join(sorted(asked))}")
        content = msg.encode("ascii") if isinstance(msg, str) else msg
        try:
            return refusals(self._open().send(content, sender=from_addr, recipients=to_addrs).recipients)
        except errors.SMTPError as error:
            raise exception(error, from_addr or "") from error

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
        session, self._session, self._given = self._session, None, {}
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
        self._own = {"security": "ssl", "tls": _tls(context, certfile, keyfile)}
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
