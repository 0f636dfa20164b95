"""``Inbox``: the store, the SMTP server in front of it and the web page behind it, as one object."""

from __future__ import annotations

import os
import re
import secrets
import socket
import threading
import time
from collections.abc import Callable, Collection, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from wlsmtp.errors import ConfigError, MessageError, Stage
from wlsmtp.habits import OF_INBOX, Habits
from wlsmtp.inbox.events import Events
from wlsmtp.inbox.faults import Faults
from wlsmtp.inbox.mail import Mail
from wlsmtp.inbox.server import InboxServer
from wlsmtp.inbox.store import MAX_MESSAGES, MAX_OCTETS, Store
from wlsmtp.inbox.transport import InboxTransport, shared_store

if TYPE_CHECKING:
    import uvicorn

    from wlsmtp.inbox.guard import ASGI

LOOK = 0.05
"""Seconds between two looks at a file that another process may have written to."""
_EXTRA = 'the web page needs: pip install "wlsmtp[inbox]"'


class Inbox(Habits):
    """Receives mail while you develop, and shows it in a browser. A context manager.

    ``path`` is an SQLite file that outlives the program and may be shared by processes. Without it the mail is in
    memory, in the store that the transport ``inbox:`` of this process fills. ``listen`` starts an SMTP server,
    ``serve`` the web page. ``asgi`` is the page for another application to mount. ``store`` is another store.

    ``token`` is required to change something by the API. The default is random; with None programs need none, and only
    foreign web pages are kept out. ``hosts`` are further names of the page, besides those of this machine. ``release``
    is the URL of the server (see ``SMTPSession.from_url``) by which ``release`` forwards a message. Beyond
    ``max_messages`` or ``max_octets`` the oldest messages are deleted.

    Raises ``ConfigError`` for settings that cannot work.
    """

    _elsewhere = OF_INBOX

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        store: Store | None = None,
        token: str | None = "",
        hosts: Collection[str] = (),
        release: str | None = None,
        max_messages: int = MAX_MESSAGES,
        max_octets: int = MAX_OCTETS,
    ) -> None:
        if path is not None and store is not None:
            raise ConfigError("inbox: give path or store, not both", stage=Stage.SETTINGS)
        self._owns_store = path is not None
        if path is not None:
            store = Store(path, max_messages=max_messages, max_octets=max_octets)
        self.store: Store = store or shared_store()
        self.token: str | None = secrets.token_urlsafe(24) if token == "" else token
        """The token that a change by the API requires."""
        self._hosts, self._release = tuple(hosts), release
        self.faults: Faults = Faults()
        """Makes the next messages fail."""
        self.events: Events = Events(self.store)
        self.smtp: InboxServer | None = None
        """The SMTP server, once it listens."""
        self._web: uvicorn.Server | None = None
        self._web_thread: threading.Thread | None = None
        self._web_address: tuple[str, int] | None = None
        self._started = time.monotonic()
        self._starting = threading.Lock()  # several threads may ask for the URL of a server that is not started yet

    # The SMTP server.

    def listen(self, port: int = 0, *, host: str = "127.0.0.1", **options: Any) -> Self:
        """Start the SMTP server; 0 is any free port. ``options`` are those of ``wlsmtp.testing.SMTPServer``, such as
        ``security="tls"``. Raises ``OSError`` for a port that is in use."""
        with self._starting:
            if self.smtp is None:
                self.smtp = InboxServer(self.store, self.faults, host=host, port=port, **options)
        return self

    @property
    def url(self) -> str:
        """The SMTP server as ``SMTPSession.from_url`` takes it; it is started if need be."""
        self.listen()
        assert self.smtp is not None
        return self.smtp.url

    @property
    def url_or_none(self) -> str | None:
        """The SMTP server's URL; None if there is none."""
        return self.smtp.url if self.smtp else None

    @property
    def transport(self) -> InboxTransport:
        """A transport that puts messages here without SMTP, for ``SMTPSession(transport=inbox.transport)``."""
        return InboxTransport(store=self.store)

    # The web page.

    @cached_property
    def asgi(self) -> ASGI:
        """The web page and the API as an ASGI application, to be served or mounted."""
        try:
            from wlsmtp.inbox.app import make_app
        except ModuleNotFoundError as error:
            raise ConfigError(f"inbox: {_EXTRA}", stage=Stage.SETTINGS) from error
        from wlsmtp.inbox.guard import Guard

        return Guard(make_app(self), token=self.token, hosts=self._hosts)

    def serve(self, port: int = 0, *, host: str = "127.0.0.1") -> Self:
        """Serve the page in a thread; 0 is any free port. Raises ``OSError`` for a port that is in use."""
        with self._starting:
            if self._web is not None:
                return self
            server, listener = self.web_server(port, host=host)
            self._web_thread = threading.Thread(
                target=server.run, kwargs={"sockets": [listener]}, name="wlsmtp-inbox", daemon=True
            )
            self._web_thread.start()
        return self

    def web_server(self, port: int, *, host: str = "127.0.0.1") -> tuple[uvicorn.Server, socket.socket]:
        """The server that ``serve`` runs in a thread, and the socket to give to it."""
        app = self.asgi
        try:
            import uvicorn
        except ModuleNotFoundError as error:
            raise ConfigError(f"inbox: {_EXTRA}", stage=Stage.SETTINGS) from error
        listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host, port))
            listener.listen(128)
        except OSError:
            listener.close()
            raise
        config = uvicorn.Config(
            app, loop="asyncio", http="h11", ws="none", lifespan="off", log_config=None, access_log=False,
            server_header=False, proxy_headers=False, timeout_graceful_shutdown=2, limit_concurrency=256,
        )  # fmt: skip
        self._web, self._web_address = uvicorn.Server(config), listener.getsockname()[:2]
        return self._web, listener

    @property
    def web_url(self) -> str:
        """Where the page is; it is served if need be."""
        if self._web is None:
            self.serve()
        assert self._web_address is not None
        host, port = self._web_address
        return f"http://{f'[{host}]' if ':' in host else host}:{port}/"

    @property
    def uptime(self) -> float:
        """Seconds since it was made."""
        return time.monotonic() - self._started

    def close(self) -> None:
        """Stop the servers. What is in memory stays readable."""
        self.events.close()
        if self.smtp is not None:
            self.smtp.close()
        if self._web is not None:
            self._web.should_exit = True
        if self._web_thread is not None:
            self._web_thread.join(10)
        if self._owns_store:
            self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # The mail.

    @property
    def messages(self) -> list[Mail]:
        """All mail, oldest first."""
        return self.search()

    def search(self, query: str = "") -> list[Mail]:
        """The mail that a search finds, oldest first; see ``wlsmtp.inbox.search``."""
        entries = self.store.find(query, limit=self.store.max_messages)
        return [Mail(self.store, entry) for entry in reversed(entries)]

    def clear(self) -> None:
        """Delete all mail."""
        self.store.delete()

    def wait_for(
        self,
        to: str | None = None,
        *,
        sender: str | None = None,
        subject: str | re.Pattern[str] | None = None,
        where: Callable[[Mail], bool] | None = None,
        count: int | None = None,
        timeout: float = 10.0,
    ) -> Mail:
        """The first message that fits, once it is there; with ``count``, the last of so many.

        ``to`` is an address of the envelope, ``sender`` its sender, ``subject`` a part of the subject or a pattern,
        ``where`` any condition. ``timeout`` is in seconds. Raises ``TimeoutError`` that says what was there instead.
        """

        def fits(mail: Mail) -> bool:
            has_recipient = to is None or to.lower() in (one.lower() for one in mail.recipients)
            has_sender = sender is None or mail.sender.lower() == sender.lower()
            found = re.search(subject if isinstance(subject, re.Pattern) else re.escape(subject or ""), mail.subject)
            return has_recipient and has_sender and found is not None and (where is None or where(mail))

        found, last, seen = list[Mail](), 0, 0
        changed = threading.Event()
        unsubscribe = self.store.subscribe(changed.set)
        deadline = time.monotonic() + timeout
        try:
            while True:
                changed.clear()
                while entries := self.store.after(last):
                    last, seen = entries[-1].number, seen + len(entries)
                    found += [mail for mail in (Mail(self.store, entry) for entry in entries) if fits(mail)]
                if len(found) >= (count or 1):
                    return found[(count or 1) - 1]
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError(self._why_not(to, found, seen, count or 1, timeout))
                changed.wait(left if self.store.path is None else min(left, LOOK))
        finally:
            unsubscribe()

    def _why_not(self, to: str | None, found: Sequence[Mail], seen: int, count: int, timeout: float) -> str:
        asked = f"{len(found)} of {count} messages that fit" + (f" (to {to})" if to else "")
        others = "; ".join(repr(mail) for mail in self.messages[-5:])
        there = f"{seen} arrived, the last of them: {others}" if seen else "none arrived"
        return f"{asked} after {timeout:g} s; {there}"

    # Sending messages on.

    @property
    def can_release(self) -> bool:
        """True if a server for ``release`` was configured."""
        return self._release is not None

    def release(self, mail: Mail, recipients: Sequence[str]) -> None:
        """Send a message on, octet by octet, by the server that was configured for that, to these recipients and to
        nobody else. Raises ``ConfigError`` if there is no such server, ``MessageError`` without recipients, or the
        error of the session."""
        from wlsmtp.session import SMTPSession

        if self._release is None:
            raise ConfigError("inbox: no server to release to; give release= or --release", stage=Stage.SETTINGS)
        if not recipients:
            raise MessageError("Release needs recipients; those of the message are not taken", stage=Stage.MESSAGE)
        with SMTPSession.from_url(self._release) as session:
            receipt = session.send(mail.raw, sender=mail.sender, recipients=list(recipients))
        if receipt.refused:
            raise MessageError(f"Refused: {', '.join(one.address for one in receipt.refused)}", stage=Stage.MESSAGE)
