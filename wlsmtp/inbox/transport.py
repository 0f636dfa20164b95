"""The transport ``inbox:``: puts messages into the inbox of this process, or into its file, without SMTP."""

from __future__ import annotations

import sqlite3
from functools import partial
from typing import Self

from wlsmtp.errors import LocalDeliveryFailed, Stage
from wlsmtp.inbox.store import Facts, Store, opening
from wlsmtp.message.content import Content
from wlsmtp.message.envelope import Envelope
from wlsmtp.receipt import RecipientStatus
from wlsmtp.settings.urls import URL
from wlsmtp.smtp.connection import ServerInfo
from wlsmtp.smtp.deadlines import Deadlines
from wlsmtp.transports.base import WholeTransport, reverse_path
from wlsmtp.wire.extensions import Capabilities

_of_this_process: Store | None = None


def shared_store() -> Store:
    """The store in memory that ``inbox:`` and ``Inbox()`` share in one process."""
    global _of_this_process
    with opening():
        if _of_this_process is None:
            _of_this_process = Store()
        return _of_this_process


def share(store: Store | None) -> Store | None:
    """Let ``inbox:`` mean another store; returns the one before."""
    global _of_this_process
    before, _of_this_process = _of_this_process, store
    return before


class InboxTransport(WholeTransport):
    """Puts every message into an inbox. URL: ``inbox:`` for the one of this process, ``inbox:///path.db`` for a file,
    which ``wlsmtp inbox --keep path.db`` or ``Inbox("path.db")`` shows. ``store`` is another one."""

    says_options = True

    def __init__(self, path: str | None = None, *, store: Store | None = None) -> None:
        self._path = path
        self._store = store

    @classmethod
    def from_url(cls, url: URL) -> Self:
        """``inbox:`` or ``inbox:///path.db``."""
        url.expect("path")
        return cls(url.path or None)

    @property
    def store(self) -> Store:
        """Where messages go."""
        if self._store is None and self._path is None:
            return shared_store()
        with opening():
            if self._store is None:
                self._store = Store(self._path)
            return self._store

    async def carry(self, envelope: Envelope, content: Content, deadlines: Deadlines) -> None:
        """Store the message in the inbox."""
        deadlines.certain = RecipientStatus.NOT_SENT
        await self.io.run_in_thread(partial(self._keep, envelope, content, deadlines))

    async def verify(self, deadlines: Deadlines) -> ServerInfo:
        """Check that the inbox can be opened."""
        store = self.store
        return ServerInfo(self.name, str(store.path or "memory"), None, None, Capabilities())

    async def close(self, deadlines: Deadlines) -> None:
        """Let go of the file."""
        if self._path is not None and self._store is not None:
            self._store.close()
            self._store = None

    def _keep(self, envelope: Envelope, content: Content, deadlines: Deadlines) -> None:
        raw, store = b"".join(content.chunks()), self.store
        deadlines.certain = RecipientStatus.UNKNOWN
        try:
            store.add(raw, Facts(reverse_path(envelope), envelope.addresses, via="inbox"))
            deadlines.certain = RecipientStatus.ACCEPTED
        except sqlite3.Error as error:
            raise LocalDeliveryFailed(
                f"inbox: the message could not be stored ({error})", stage=Stage.CONTENT
            ) from error
