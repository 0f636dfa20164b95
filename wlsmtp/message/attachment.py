"""``Attachment``: a file that goes with a message, checked when it is made. Its octets come from a ``Source``."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, Literal, Self

from pydantic import Field, PrivateAttr, field_validator

from wlsmtp.errors import MessageError, Stage
from wlsmtp.message.source import FileSource, OctetsSource, Source, readable_file, stream_source
from wlsmtp.message.values import identifier, without_controls
from wlsmtp.settings.validation import Validated

_TOKEN = r"[\w!#$&^.+-]+"
# In quotes, too, there is printable ASCII only: a line end there would begin another header field.
_PARAMETER = r" *; *[\w-]+=(?:[\w!#$&^.+'-]+|\"[ !#-\[\]-~]*\")"
_CONTENT_TYPE = re.compile(rf"{_TOKEN}/{_TOKEN}(?:{_PARAMETER})*", re.ASCII)


class Attachment(Validated):
    """A file that goes with a message: from memory, from a path, or from a stream.

    A path is checked when the attachment is made and read when the message is sent, a block at a time if it is large;
    so it must stay as it is until then. The same attachment may be in any number of messages, and is encoded once for
    all of them if it is not large.
    """

    _error = MessageError
    _stage = Stage.MESSAGE
    _source: Source | None = PrivateAttr(default=None)

    content: bytes | None = Field(default=None, repr=False)
    path: Path | None = None
    filename: str | None = None
    """The name shown to the recipient. Default: the last part of ``path``."""
    content_type: str = "application/octet-stream"
    """Its media type (RFC 2045 §5). Default: guessed from the name."""
    disposition: Literal["attachment", "inline"] = "attachment"
    content_id: str | None = None
    """The name by which HTML refers to it, as in ``<img src="cid:logo">``, without angle brackets."""

    def __init__(
        self,
        content: bytes | None = None,
        filename: str | None = None,
        content_type: str | None = None,
        disposition: Literal["attachment", "inline"] = "attachment",
        content_id: str | None = None,
        *,
        path: str | os.PathLike[str] | None = None,
    ) -> None:
        """Give ``content`` or ``path``. Raises ``MessageError``, also when the path is no readable file."""
        if (content is None) == (path is None):
            raise MessageError("An attachment has either content or a path", stage=Stage.MESSAGE)
        file = readable_file(path) if path is not None else None
        name = filename if filename is not None or path is None else Path(path).name
        kind = content_type if content_type is not None else _guessed_type(name)
        super().__init__(
            content=bytes(content) if isinstance(content, bytearray | memoryview) else content,
            path=None if path is None else Path(path),
            filename=name, content_type=kind, disposition=disposition, content_id=content_id,
        )  # fmt: skip
        self._source = file or OctetsSource(self.content or b"", self.filename or "")

    @classmethod
    def from_path(
        cls, path: str | os.PathLike[str], *, filename: str | None = None, content_type: str | None = None
    ) -> Self:
        """A file, read when the message is sent. Raises ``MessageError`` when it cannot be read now."""
        return cls(path=path, filename=filename, content_type=content_type)

    @classmethod
    def from_bytes(cls, data: bytes, filename: str | None, content_type: str | None = None) -> Self:
        """Octets in memory."""
        return cls(data, filename, content_type)

    @classmethod
    def from_stream(cls, fileobj: BinaryIO, filename: str | None, content_type: str | None = None) -> Self:
        """What is left in a binary stream, which stays open and is not needed afterwards.

        A large file that was opened for reading is read when the message is sent, like a path. From any other stream
        all is read now, what is large into a temporary file. Raises ``MessageError`` when it cannot be read.
        """
        source = stream_source(fileobj, filename or "from a stream")
        if isinstance(source, OctetsSource):
            return cls(source.read(), filename, content_type)
        attachment = cls(b"", filename, content_type).model_copy(update={"content": None})
        attachment._source = source
        return attachment

    @classmethod
    def inline(
        cls,
        path_or_bytes: str | os.PathLike[str] | bytes,
        content_id: str,
        *,
        filename: str | None = None,
        content_type: str | None = None,
    ) -> Self:
        """A picture or the like that the HTML shows as ``cid:content_id`` (RFC 2392)."""
        if isinstance(path_or_bytes, bytes | bytearray | memoryview):
            return cls(bytes(path_or_bytes), filename, content_type, "inline", content_id)
        return cls(None, filename, content_type, "inline", content_id, path=path_or_bytes)

    @property
    def is_inline(self) -> bool:
        """Whether it belongs to the HTML rather than beside it."""
        return self.disposition == "inline" and self.content_id is not None

    @property
    def source(self) -> Source:
        """Where the octets come from; copies share it."""
        # By its own name pydantic finds a private attribute last of all, after 3 microseconds.
        found = (self.__pydantic_private__ or {}).get("_source")
        if not isinstance(found, Source):
            file = None if self.path is None else FileSource(self.path, str(self.path))
            found = self._source = file or OctetsSource(self.content or b"", self.filename or "")
        return found

    def read(self) -> bytes:
        """The octets. Raises ``MessageError`` when they cannot be read any more."""
        return self.source.read()

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy, with the changes that pydantic does not check; it shares what is not changed."""
        copied = super().model_copy(update=update, deep=deep)
        if update and not {"content", "path"}.isdisjoint(update):
            copied._source = None
        return copied

    @field_validator("content", mode="before")
    @classmethod
    def _octets(cls, value: object) -> object:
        if value is not None and not isinstance(value, bytes):
            raise ValueError(f"must be bytes, not {type(value).__name__}; open a file in binary mode, encode text")
        return value

    @field_validator("filename")
    @classmethod
    def _one_line(cls, value: str | None) -> str | None:
        return without_controls(value) if value is not None else None

    @field_validator("content_type")
    @classmethod
    def _media_type(cls, value: str) -> str:
        if not _CONTENT_TYPE.fullmatch(value) or len(value) > 500:
            raise ValueError(f"{value[:80]!r} is not like 'image/png'")
        if value.lower().startswith("multipart/"):
            raise ValueError("an attachment is one part; a multipart cannot be attached as a file (RFC 2045 §6.4)")
        return value

    @field_validator("content_id")
    @classmethod
    def _bare_identifier(cls, value: str | None) -> str | None:
        return identifier(value) if value is not None else None


def _guessed_type(filename: str | None) -> str:
    import mimetypes

    # A ".tar.gz" is to be sent as what it is, not as what is inside.
    kind, encoding = mimetypes.guess_type(f"./{filename}") if isinstance(filename, str) else (None, None)
    if encoding is not None:
        return "application/gzip" if encoding == "gzip" else "application/octet-stream"
    return kind or "application/octet-stream"
