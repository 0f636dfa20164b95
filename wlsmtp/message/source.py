"""Sources of an attachment's octets: memory or a file. Several readers can read them repeatedly and at once; a file is
read a block at a time.

A file that has changed since it was measured is a ``MessageError``: the server is given the size of a message before
its octets.
"""

from __future__ import annotations

import io
import os
import stat
import sys
import weakref
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, ClassVar

from wlsmtp.errors import MessageError, Stage
from wlsmtp.message.transfer import BLOCK, base64_lines

SMALL = 256 * 1024
"""Files up to this many octets are read whole."""
KEPT = 1024 * 1024 // 78 * 57
"""Octets up to which the base64 of a source in memory, at most 1 MiB, is cached for the next message."""

_SETTLED = 2.0
"""Seconds after which a change to a file shows in its modification time, whatever the file system's clock."""


class Source(ABC):
    """Octets to attach. The name is used in errors."""

    is_file = False
    limit = KEPT
    """Octets up to which the encoded source may be in memory as a whole."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._base64: tuple[object, bytes] | None = None

    @abstractmethod
    def size(self) -> int:
        """Return the current number of octets. Like all methods here, raises ``MessageError`` when that is unknown."""

    @abstractmethod
    def blocks(self, size: int) -> Iterator[bytes]:
        """Yield the octets from the start, ``BLOCK`` at a time; they must be ``size`` in all."""

    @abstractmethod
    def _stamp(self) -> object:
        """Return a value that stays equal as long as the octets stay the same; None if that is unknown."""

    @abstractmethod
    def read(self) -> bytes:
        """Return all octets."""

    def base64(self) -> bytes:
        """Return all octets in base64; the messages of a mail merge share one encoding."""
        stamp, kept = self._stamp(), self._base64
        if kept is not None and kept[0] == stamp:
            return kept[1]
        encoded = base64_lines(self.read())
        self._base64 = (stamp, encoded) if stamp is not None else None
        return encoded


class OctetsSource(Source):
    """Octets in memory."""

    def __init__(self, octets: bytes, name: str) -> None:
        super().__init__(name)
        self._octets = octets

    def __eq__(self, other: object) -> bool:
        return isinstance(other, OctetsSource) and self._octets == other._octets

    __hash__: ClassVar[None] = None  # type: ignore[assignment]

    def __reduce__(self) -> tuple[type[OctetsSource], tuple[bytes, str]]:
        return OctetsSource, (self._octets, self.name)

    def size(self) -> int:
        """Return the number of octets, as ``Source.size``."""
        return len(self._octets)

    def read(self) -> bytes:
        """Return all octets, as ``Source.read``."""
        return self._octets

    def blocks(self, size: int) -> Iterator[bytes]:
        """Yield the octets, as ``Source.blocks``."""
        return (self._octets[start : start + BLOCK] for start in range(0, size, BLOCK))

    def _stamp(self) -> object:
        return True


class FileSource(Source):
    """The rest of a file from ``start``. Each reader opens the file anew."""

    is_file = True
    limit = SMALL

    def __init__(
        self, path: Path, name: str, *, start: int = 0, opened: os.stat_result | None = None, owner: object = None
    ) -> None:
        """``opened`` is the status of the file when it was open: it must be the same file. Data appended later, as to a
        log, does not count. ``owner`` is kept as long as the file is needed."""
        super().__init__(name)
        self._path, self._start, self._opened, self._owner = path, start, opened, owner

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FileSource) and (self._path, self._start) == (other._path, other._start)

    __hash__: ClassVar[None] = None  # type: ignore[assignment]

    def __deepcopy__(self, _: object) -> FileSource:
        return self

    def __reduce__(self) -> tuple[type[Source], tuple[object, str]]:
        # Part of a file, or a file that this process removes: another process receives the octets.
        if self._opened is not None or self._owner is not None:
            return OctetsSource, (self.read(), self.name)
        return FileSource, (self._path, self.name)

    def size(self) -> int:
        """Return the number of octets, as ``Source.size``."""
        status = self._status()
        if self._opened is None:
            return status.st_size
        if not os.path.samestat(status, self._opened):
            raise unreadable(self.name, OSError("another file has taken its place"))
        if status.st_size < self._opened.st_size:
            raise unreadable(self.name, OSError("it has become shorter"))
        return self._opened.st_size - self._start

    def read(self) -> bytes:
        """Return all octets, as ``Source.read``. Files that the system generates on reading have no size before
        that."""
        if self._opened is not None:
            return b"".join(self.blocks(self.size()))
        try:
            return self._path.read_bytes()
        except OSError as error:
            raise unreadable(self.name, error) from error

    def blocks(self, size: int) -> Iterator[bytes]:
        """Yield the octets, as ``Source.blocks``."""
        left = size
        try:
            with self._path.open("rb") as file:
                file.seek(self._start)
                while left:
                    wanted = min(BLOCK, left)
                    block = file.read(wanted)
                    left -= wanted
                    if len(block) < wanted or (not left and self._opened is None and file.read(1)):
                        raise unreadable(self.name, OSError("its size has changed since it was measured"))
                    yield block
        except OSError as error:
            raise unreadable(self.name, error) from error

    def _stamp(self) -> object:
        status = self._status()
        changed = max(status.st_mtime, status.st_ctime)
        if status.st_size == 0 or datetime.now().timestamp() - changed < _SETTLED:
            return None
        return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino

    def _status(self) -> os.stat_result:
        try:
            status = self._path.stat()
        except OSError as error:
            raise unreadable(self.name, error) from error
        # A named pipe or a device is not a file: reading it could wait for ever, and could not be repeated.
        if not stat.S_ISREG(status.st_mode):
            why = "it is a directory" if stat.S_ISDIR(status.st_mode) else "it is not a regular file"
            raise unreadable(self.name, OSError(why))
        return status


def readable_file(path: str | os.PathLike[str]) -> FileSource:
    """Return a path that can be read now. Raises ``MessageError`` that says why it cannot."""
    try:
        checked = Path(path)
        source = FileSource(checked, str(path))
        source.size()
        checked.open("rb").close()
    except (OSError, ValueError, TypeError) as error:
        raise error if isinstance(error, MessageError) else unreadable(path, error) from error
    return source


def stream_source(stream: BinaryIO, name: str) -> Source:
    """Return the rest of a binary stream, which may be closed afterwards.

    A small rest goes into memory. For a file that is open for reading, only path and position are kept. The rest of
    anything else is copied into a temporary file: two readers at once would move the position of one stream, and not
    every stream has one. Raises ``MessageError`` if nothing is left, unless the stream is known to be empty.
    """
    _check_stream(stream, name)
    if (reopened := _reopened(stream, name)) is not None:
        return reopened
    # Octets in memory stay there; reading them whole copies nothing.
    limit = sys.maxsize if isinstance(stream, io.BytesIO) else SMALL + 1
    start = _read(stream, limit, name)
    if not start and not _is_at_start(stream):
        words = "it is at its end, and nothing is left to read"
        raise unreadable(name, OSError(words), "Call seek(0) first; octets that are empty go by from_bytes(b'', name)")
    return _spooled(start, stream, name) if len(start) == limit else OctetsSource(start, name)


def _check_stream(stream: BinaryIO, name: str) -> None:
    """Refuse a closed or non-binary stream, with a clearer message than its own."""
    if isinstance(stream, io.TextIOBase):
        hint = "Open it in binary mode, 'rb'; or give its text: from_text(file.read(), name)"
        raise unreadable(name, OSError("it is open as text"), hint)
    if getattr(stream, "closed", False) is True:
        raise unreadable(name, OSError("the file is closed"), "Make the message within the file's with block")


def _is_at_start(stream: BinaryIO) -> bool:
    """Return whether the stream is at its start: it is empty then, if there is nothing to read. Unknown for one without
    a position."""
    try:
        return stream.tell() == 0
    except (OSError, ValueError, AttributeError):
        return False


def _reopened(stream: BinaryIO, name: str) -> FileSource | None:
    """Return the file behind a stream that only reads it, if the same file is still at its path and is not small."""
    # Exact types: the file behind a GzipFile, for example, does not hold what its stream returns.
    if type(stream) is not io.BufferedReader or type(stream.raw) is not io.FileIO:
        return None
    try:
        path = Path(stream.raw.name).absolute()
        opened = os.fstat(stream.fileno())
        if not stat.S_ISREG(opened.st_mode) or not os.path.samestat(opened, path.stat()):
            return None
        start = stream.tell()
        if opened.st_size - start <= SMALL:
            return None
        stream.seek(0, io.SEEK_END)
    except (OSError, ValueError, TypeError):
        return None
    return FileSource(path, name, start=start, opened=opened)


def _spooled(start: bytes, stream: BinaryIO, name: str) -> FileSource:
    import tempfile

    try:
        handle, path = tempfile.mkstemp(prefix="wlsmtp-")
        owner = _Owner(path)
        with open(handle, "wb") as file:
            file.write(start)
            while block := _read(stream, BLOCK, name):
                file.write(block)
    except OSError as error:
        raise unreadable(name, error) from error
    return FileSource(Path(path), name, owner=owner)


class _Owner:
    """Removes a temporary file when nothing needs it any more, or when the program ends."""

    def __init__(self, path: str) -> None:
        weakref.finalize(self, _remove, path, os.getpid())


def _remove(path: str, process: int) -> None:
    # A forked child leaves alone what its parent still needs.
    if os.getpid() == process:
        with suppress(OSError):
            os.unlink(path)


def _read(stream: BinaryIO, count: int, name: str) -> bytes:
    """Read ``count`` octets, or fewer at the end of the stream: a raw stream may return fewer at a time."""
    pieces: list[bytes] = []
    while count:
        try:
            piece = stream.read(count)
        except io.UnsupportedOperation as error:
            hint = "Open it with 'rb', or with 'w+b' and seek(0)"
            raise unreadable(name, OSError("it is not open for reading"), hint) from error
        except Exception as error:  # zlib.error, EOFError, BadZipFile, errors of HTTP clients, …
            raise unreadable(name, error) from error
        if isinstance(piece, Coroutine):  # as that of Starlette's and FastAPI's UploadFile
            piece.close()
            raise unreadable(name, OSError("its read() is asynchronous"), "Give a pair: (name, await file.read())")
        if not isinstance(piece, bytes):
            words = f"it gives {type(piece).__name__} and not bytes; open it in binary mode, and so that it waits"
            raise unreadable(name, OSError(words))
        if not piece:
            break
        pieces.append(piece)
        count -= len(piece)
    return b"".join(pieces)


_NO_URL = "Nothing is fetched: give the octets with their name, (name, octets)"
_NO_PATHS = {"http:": _NO_URL, "https:": _NO_URL, "file:": "Give the path alone", "~": "Use Path(…).expanduser()"}
"""What to do where the beginning of a path shows that it is none."""


def unreadable(name: object, error: Exception, hint: str | None = None) -> MessageError:
    """Return the error that names the attachment."""
    why = getattr(error, "strerror", None) or error
    if hint is None and isinstance(error, FileNotFoundError):
        hint = next((advice for begin, advice in _NO_PATHS.items() if str(name).startswith(begin)), None)
    return MessageError(f"The attachment {str(name)!r} cannot be read: {why}", stage=Stage.MESSAGE, hint=hint)
