"""Writes messages into a directory: a Maildir, or one ``.eml`` file for each.

A message is written under a temporary name, flushed to disk, and then renamed. Readers therefore see it whole or not at
all. ``Return-Path`` and ``Delivered-To`` (one for each recipient) above its own header keep its envelope (RFC 5321
§4.4).
"""

from __future__ import annotations

import errno
import os
import uuid
from abc import abstractmethod
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Self

from wlsmtp.errors import LocalDeliveryFailed, OutcomeUnknown, SMTPError, Stage
from wlsmtp.message.content import Content
from wlsmtp.message.envelope import Envelope
from wlsmtp.receipt import RecipientStatus
from wlsmtp.settings.urls import URL, wrong
from wlsmtp.smtp.connection import ServerInfo
from wlsmtp.smtp.deadlines import Deadlines
from wlsmtp.transports.base import WholeTransport, reverse_path
from wlsmtp.wire.content import with_unix_line_ends
from wlsmtp.wire.extensions import Capabilities

_MAY_PASS = {errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.EINTR}


class DirectoryTransport(WholeTransport):
    """The base of both kinds. ``path`` is created if it is missing, readable by its owner only."""

    def __init__(self, path: str | Path) -> None:
        self.path: Path = Path(path)

    @classmethod
    def from_url(cls, url: URL) -> Self:
        """``maildir:///var/mail/out``, ``eml:///var/mail/out``."""
        url.expect("path")
        if not url.path:
            raise wrong(f"url: must look like {url.scheme}:///var/mail/out")
        return cls(url.path)

    @property
    def name(self) -> str:
        """The kind and the path."""
        return f"{type(self).__name__}({str(self.path)!r})"

    @abstractmethod
    def directories(self) -> Iterable[Path]:
        """Return the directories that must exist."""

    @abstractmethod
    def places(self) -> tuple[Path, Path]:
        """Return the paths where a message is written, and where it ends up."""

    def encoded(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """Convert the octets from the wire to those of the file."""
        return chunks

    async def carry(self, envelope: Envelope, content: Content, deadlines: Deadlines) -> None:
        """Write the message."""
        deadlines.certain = RecipientStatus.NOT_SENT
        await self.io.run_in_thread(partial(self._store, envelope, content, deadlines))

    async def verify(self, deadlines: Deadlines) -> ServerInfo:
        """Check that the directory exists, or can be created, and is writable."""
        await self.io.run_in_thread(self._check)
        return ServerInfo(self.name, str(self.path), None, None, Capabilities())

    def _store(self, envelope: Envelope, content: Content, deadlines: Deadlines) -> None:
        temporary, final = self.places()
        try:
            self._make_directories()
            try:
                _write(temporary, self.encoded(_with_trace(envelope, content.chunks())))
                deadlines.certain = RecipientStatus.UNKNOWN
                temporary.rename(final)
                deadlines.certain = RecipientStatus.ACCEPTED
            except BaseException:
                was_there = _remove(temporary)
                if deadlines.certain is RecipientStatus.UNKNOWN and was_there is not None:  # interrupted at the rename
                    deadlines.certain = RecipientStatus.NOT_SENT if was_there else RecipientStatus.ACCEPTED
                raise
        except SMTPError:  # of the content, which is generated as it is written
            raise
        except OSError as error:
            raise self._failure(error) from error
        try:
            _force_to_disk(final.parent)
        except OSError as error:
            deadlines.certain = RecipientStatus.UNKNOWN
            words = f"{final} was written, but may not survive a crash ({error.strerror})"
            raise OutcomeUnknown(words, stage=Stage.CONTENT) from error

    def _check(self) -> None:
        try:
            self._make_directories()
            for path in self.directories():
                if not os.access(path, os.W_OK | os.X_OK):
                    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        except OSError as error:
            raise self._failure(error) from error

    def _make_directories(self) -> None:
        for path in self.directories():
            if not path.is_dir():
                path.mkdir(mode=0o700, parents=True, exist_ok=True)
                _force_to_disk(path.parent)

    def _failure(self, error: OSError) -> LocalDeliveryFailed:
        words = f"{self.path} could not be written to ({error.strerror or error})"
        failure = LocalDeliveryFailed(words, stage=Stage.CONTENT)
        failure.is_lasting = error.errno not in _MAY_PASS
        return failure


class MaildirTransport(DirectoryTransport):
    """Delivers into a Maildir, with Unix line ends. URL: ``maildir:///path``."""

    def directories(self) -> Iterable[Path]:
        """Return ``tmp``, ``new`` and ``cur``."""
        return [self.path, *(self.path / name for name in ("tmp", "cur", "new"))]

    def places(self) -> tuple[Path, Path]:
        """Return the paths in ``tmp`` and ``new``. By convention, the name begins with the time of delivery."""
        name = f"{int(datetime.now(UTC).timestamp())}.{uuid.uuid4().hex}.wlsmtp"
        return self.path / "tmp" / name, self.path / "new" / name

    def encoded(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """Convert to Unix line ends."""
        return with_unix_line_ends(chunks)


class EmlTransport(DirectoryTransport):
    """Writes each message as an ``.eml`` file for mail programs; names sort by time. URL: ``eml:///path``."""

    def directories(self) -> Iterable[Path]:
        """Return the directory itself."""
        return [self.path]

    def places(self) -> tuple[Path, Path]:
        """Return the temporary and the final path."""
        name = f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}-{uuid.uuid4().hex[:12]}"
        return self.path / f".{name}.tmp", self.path / f"{name}.eml"


def _with_trace(envelope: Envelope, chunks: Iterable[bytes]) -> Iterator[bytes]:
    lines = [
        f"Return-Path: <{reverse_path(envelope)}>",
        *(f"Delivered-To: {address}" for address in envelope.addresses),
    ]
    yield "".join(f"{line}\r\n" for line in lines).encode()
    yield from chunks


def _write(path: Path, chunks: Iterable[bytes]) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "wb") as file:
        for chunk in chunks:
            file.write(chunk)
        file.flush()
        os.fsync(descriptor)


def _remove(path: Path) -> bool | None:
    """Remove a file; return whether it was there, if that is known."""
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    except OSError:
        return None
    return True


def _force_to_disk(directory: Path) -> None:
    """Flush a directory's entries to disk, on systems that can open one."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
