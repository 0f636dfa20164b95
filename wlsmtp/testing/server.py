"""``SMTPServer``: listens on a real socket, keeps the received messages, and fails on demand."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from functools import partial
from typing import Literal, Self

from wlsmtp.testing.certificates import Certificates, default_certificates
from wlsmtp.testing.channel import CLOSE, RESET, SILENCE, Ended, Scripted
from wlsmtp.testing.conversation import ServerSide
from wlsmtp.testing.profiles import Profile, Situation, profile_named
from wlsmtp.testing.quirks import Played, chosen
from wlsmtp.testing.strict import Violation

DEFAULT_EXTENSIONS = ("PIPELINING", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", "CHUNKING", "DSN")
DEFAULT_MECHANISMS = ("PLAIN", "LOGIN", "CRAM-MD5", "XOAUTH2")
DEFAULT_SIZE_LIMIT = 50_000_000


@dataclass(frozen=True)
class ReceivedMessage:
    """A message that the server has acknowledged."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes
    """The content as received, without dot-stuffing."""
    mail_parameters: Mapping[str, str | bool] = field(default_factory=dict)
    recipient_parameters: Mapping[str, Mapping[str, str | bool]] = field(default_factory=dict)
    username: str | None = None
    tls: str | None = None
    via: Literal["DATA", "BDAT"] = "DATA"

    @property
    def email(self) -> EmailMessage:
        """The content, parsed by the standard library."""
        return message_from_bytes(self.content, policy=policy.default)

    def header(self, name: str) -> str | None:
        """Return the text of a header field."""
        value = self.email[name]
        return None if value is None else str(value)


class SMTPServer:
    """A real SMTP server for tests and demonstrations; a context manager.

    ``security`` is ``"default"`` (plain), ``"tls"`` (STARTTLS offered) or ``"ssl"`` (TLS from the first byte). TLS uses
    a throw-away certificate whose authority is in ``ca_file``. ``users`` (name to password) and ``tokens`` (name to
    OAuth 2.0 token) make it offer AUTH, with those of ``mechanisms`` that the connection allows. It knows PLAIN, LOGIN,
    CRAM-MD5, SCRAM-SHA-1, -256 and -512 (also -PLUS), XOAUTH2, OAUTHBEARER, EXTERNAL and ANONYMOUS; ``client_cert``
    makes a certificate for EXTERNAL. ``refuse`` and ``reply_to`` make it fail. ``quirks`` give it the faults of real
    servers: names from ``wlsmtp.testing.quirks``, some with a number (``"max-messages:10"``). With ``strict`` it
    refuses violations of SMTP's rules, such as a long line or a bare LF, and stores them in ``violations``.
    ``profile`` names a provider, whose keywords, prompts, replies and limits it uses unless they are given here.
    ``reply_as`` makes it fail in that provider's words. With ``any_login`` it accepts every name and password, or
    token, for PLAIN, LOGIN, CRAM-MD5, XOAUTH2 and OAUTHBEARER. It uses one thread per connection.
    """

    CLOSE, RESET, SILENCE = CLOSE, RESET, SILENCE
    side: type[ServerSide] = ServerSide

    users: dict[str, str]
    tokens: dict[str, str]
    mechanisms: tuple[str, ...]
    require_auth: bool
    any_login: bool
    extensions: tuple[str, ...]
    size_limit: int | None
    hostname: str
    security: str
    ehlo: bool
    strict: bool
    violations: list[Violation]
    tls_context: ssl.SSLContext | None

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        unix_path: str | None = None,
        security: Literal["default", "tls", "ssl"] | str = "default",
        users: Mapping[str, str] | None = None,
        tokens: Mapping[str, str] | None = None,
        mechanisms: Sequence[str] = DEFAULT_MECHANISMS,
        require_auth: bool = False,
        extensions: Sequence[str] = DEFAULT_EXTENSIONS,
        size_limit: int | None = DEFAULT_SIZE_LIMIT,
        hostname: str = Profile.host,
        certificates: Certificates | None = None,
        ehlo: bool = True,
        idle_timeout: float | None = None,
        cut: int | None = None,
        pace: float = 0.0,
        quirks: Sequence[str] = (),
        strict: bool = False,
        profile: str | None = None,
        any_login: bool = False,
    ) -> None:
        self.any_login = any_login
        self.users, self.tokens = dict(users or {}), dict(tokens or {})
        self.mechanisms, self.require_auth = tuple(mechanisms), require_auth
        self.extensions, self.size_limit, self.hostname = tuple(extensions), size_limit, hostname
        self.profile: Profile = profile_named(profile)
        """The profile of the server."""
        self.has_keywords_of_profile: bool = bool(self.profile.name) and self.extensions == DEFAULT_EXTENSIONS
        self._adopt_profile()
        self.security, self.ehlo = security, ehlo
        self.idle_timeout: float = self.profile.idle_seconds if idle_timeout is None else idle_timeout
        self.cut = cut
        """Octets of a reply that are sent at once; None: all of them."""
        self.pace = pace
        """Seconds before each read of up to 64 KiB: above 0, a slow reader."""
        self.played: Played = chosen([*self.profile.quirks, *quirks])
        self.strict, self.violations = strict, list[Violation]()
        """Violations of SMTP's rules that a strict server has refused."""
        self.messages: list[ReceivedMessage] = []
        self.transcript: list[tuple[int, str, bytes]] = []
        """Every line of the conversations: connection number, "C" or "S", the line without CRLF."""
        self.connections: int = 0
        """Connections accepted so far."""
        self._certificates = certificates or (default_certificates() if security != "default" else None)
        asks_client = "EXTERNAL" in self.mechanisms
        self.tls_context = self._certificates.server_context(asks_client=asks_client) if self._certificates else None
        self._scripted: dict[str, list[tuple[Scripted | None, int | None]]] = {}
        self._sockets: set[socket.socket] = set()
        self._open, self._seen = set[int](), set[str]()
        self.closed: threading.Event = threading.Event()
        self._changed = threading.Condition()
        self._threads: list[threading.Thread] = []
        self._listener = self._listen(host, port, unix_path)
        bound = self._listener.getsockname()
        self.host: str = unix_path or bound[0]
        self.port: int = 0 if unix_path else bound[1]
        self._spawn(self._accept)

    def _adopt_profile(self) -> None:
        """Use the profile for every option that was not given."""
        if not self.profile.name:
            return
        if self.mechanisms == DEFAULT_MECHANISMS:
            self.mechanisms = tuple(self.profile.mechanisms)
        else:
            self.profile = self.profile.changed("AUTH", " ".join(self.mechanisms))
        if self.size_limit == DEFAULT_SIZE_LIMIT:
            self.size_limit = self.profile.size_limit
        else:
            self.profile = self.profile.changed("SIZE", str(self.size_limit or 0))
        if self.hostname == Profile.host:
            self.hostname = self.profile.host

    @property
    def situations(self) -> Mapping[str, Situation]:
        """The names that ``reply_as`` knows: the replies of the profile."""
        return self.profile.situations

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        return self.host, self.port

    @property
    def open_connections(self) -> int:
        """Number of connections that the server has not closed."""
        return len(self._sockets)

    @property
    def url(self) -> str:
        """The URL for ``from_url``, without user and password."""
        scheme = {"default": "smtp", "tls": "smtp+tls", "ssl": "smtps"}[self.security]
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{host}:{self.port}"

    @property
    def ca_file(self) -> str | None:
        """The file with the authority to trust; None without TLS."""
        return self._certificates.ca_file if self._certificates else None

    def client_cert(self, address: str) -> str:
        """Return the path of a PEM file with key and certificate for a client that is identified by a mail address
        (EXTERNAL)."""
        if self._certificates is None:
            raise ValueError("a server without TLS knows no certificates")
        return self._certificates.client_cert(address)

    @property
    def end_point(self) -> bytes | None:
        """The channel binding ``tls-server-end-point`` of its connections; None without TLS."""
        return self._certificates.end_point if self._certificates else None

    def refuse(self, recipient: str, reply: str = "550 5.1.1 No such user here") -> None:
        """Answer RCPT for ``recipient`` with ``reply`` from now on."""
        self._scripted[f"RCPT <{recipient}>".upper()] = [(reply, None)]

    def reply_to(self, stage: str, reply: Scripted, times: int | None = None, *, after: int = 0) -> None:
        """Answer the next ``times`` (None: all) commands of a stage with ``reply``, the first ``after`` as usual.

        A stage is a verb (``"MAIL"``, ``"AUTH"``, …), ``"RCPT <address>"`` for one recipient, or a point in time.
        ``"CONNECT"`` is the greeting, ``"GROUP"`` any command with more behind it, ``"HANDSHAKE"`` the TLS handshake,
        ``"LOGIN"`` the end of AUTH. ``"CONTENT"`` is the middle of the content, ``"."`` its end, ``"STORED"`` its end
        once the message is stored.

        A reply is its text, raw octets, ``CLOSE``, ``RESET`` (by RST), ``SILENCE`` (none, until the client leaves) or
        ``DEAF`` (input is not read either). It may also be several of these in a row, between which ``HEAR`` waits for
        a line of the client, and ``FORGET`` discards input after the command. A positive text stores the message at
        ``"."``.
        """
        queue = self._scripted.setdefault(stage.upper(), [])
        if after:
            queue.append((None, after))
        queue.append((reply, times))

    def reply_as(self, situation: str, times: int | None = None, *, after: int = 0) -> None:
        """Answer like the profile's provider in a situation (one of ``situations``), in its words.

        ``times`` and ``after`` are those of ``reply_to``. Raises ``ValueError`` for an unknown situation.
        """
        found = self.profile.situation(situation)
        self.reply_to(found.stage, found.said, times, after=after)

    def accept(self, recipient: str) -> None:
        """Accept this recipient again, after ``refuse``."""
        self._scripted.pop(f"RCPT <{recipient}>".upper(), None)

    def wait_for_messages(self, count: int, timeout: float = 10.0) -> list[ReceivedMessage]:
        """Return the messages once there are ``count``. Raises ``TimeoutError``."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self.messages) >= count, timeout):
                raise TimeoutError(f"{len(self.messages)} of {count} messages after {timeout} s")
            return list(self.messages)

    def drop_connections(self) -> None:
        """Close every connection, as a server does with idle ones."""
        for sock in list(self._sockets):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Stop listening, close all connections, and wait for the threads."""
        self.closed.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.drop_connections()
        for thread in self._threads:
            thread.join(5)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Used by the server's side of a conversation.

    def scripted_reply(self, stage: str) -> Scripted | None:
        """Return the reply that was ordered for this stage, if any."""
        with self._changed:
            queue = self._scripted.get(stage, [])
            while queue:
                reply, times = queue[0]
                if times is None:
                    return reply
                queue.pop(0)
                if times > 1:
                    queue.insert(0, (reply, times - 1))
                if times > 0:
                    return reply
        return None

    def store(self, message: ReceivedMessage) -> int:
        """Store a message; return its number."""
        with self._changed:
            self.messages.append(message)
            self._changed.notify_all()
            return len(self.messages)

    def rank(self, connection: int) -> int:
        """Return the number of open connections up to this one."""
        return sum(number <= connection for number in tuple(self._open))

    def is_new(self, text: str) -> bool:
        """Return whether this is the first call with this key."""
        with self._changed:
            was_new = text not in self._seen
            self._seen.add(text)
        return was_new

    def _listen(self, host: str, port: int, unix_path: str | None) -> socket.socket:
        if unix_path:
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(unix_path)
        else:
            listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind((host, port))
            except OSError:
                listener.close()
                raise
        listener.listen(128)
        return listener

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            number = self.connections
            self._spawn(partial(self._serve, sock, number))

    def _serve(self, sock: socket.socket, number: int) -> None:
        sock.settimeout(self.idle_timeout)
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sockets.add(sock)
        self._open.add(number)
        side = self.side(self, sock, number)
        try:
            side.run()
        except Ended as end:
            if end.by_reset:
                sock = side.sock
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except TimeoutError:
            with suppress(OSError, Ended):
                side.end_idle()
        except OSError:
            pass
        finally:
            self._sockets.discard(sock)
            self._sockets.discard(side.sock)
            self._open.discard(number)
            side.sock.close()

    def replace_socket(self, old: socket.socket, new: socket.socket) -> None:
        """Follow a socket into TLS."""
        self._sockets.add(new)
        self._sockets.discard(old)

    def _spawn(self, target: Callable[[], None]) -> None:
        thread = threading.Thread(target=target, name="wlsmtp-testing", daemon=True)
        self._threads = [*(known for known in self._threads if known.is_alive()), thread]
        thread.start()
