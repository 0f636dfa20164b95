"""``Attachment``: a file sent with a message, checked when it is made. Its octets come from a ``Source``."""

from __future__ import annotations

import os
import re
from collections.abc import Coroutine, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, Never, Self, TypeAlias, cast

from pydantic import Field, PrivateAttr, field_validator

from wlsmtp.errors import MessageError, Stage
from wlsmtp.habits import OF_ATTACHMENT, OF_ATTACHMENT_MAKERS
from wlsmtp.message.source import FileSource, OctetsSource, Source, readable_file, stream_source
from wlsmtp.message.values import exactly_str, identifier, without_controls
from wlsmtp.patterns import later
from wlsmtp.settings.validation import Validated

if TYPE_CHECKING:
    from pydantic._internal._model_construction import ModelMetaclass
else:
    ModelMetaclass = type(Validated)

_TOKEN = r"[\w!#$&^.+-]+"
# Quoted strings, too, contain printable ASCII only: a line end would begin another header field.
_PARAMETER = r" *; *[\w-]+=(?:[\w!#$&^.+'-]+|\"[ !#-\[\]-~]*\")"
_CONTENT_TYPE = later(rf"{_TOKEN}/{_TOKEN}(?:{_PARAMETER})*", re.ASCII)


class _Makers(ModelMetaclass):
    """Explains a missing class method of another library: what to write instead."""

    if not TYPE_CHECKING:  # so that type checkers still report a misspelt name

        def __getattr__(cls, name: str) -> Any:  # noqa: N805
            try:
                return super().__getattr__(name)
            except AttributeError:
                words = f"type object {cls.__name__!r} has no attribute {name!r}"
            advice = OF_ATTACHMENT_MAKERS.get(name)
            raise AttributeError(f"{words}: {advice}" if advice else words, name=name, obj=cls)


class Attachment(Validated, metaclass=_Makers):
    """A file sent with a message: from memory, a path, or a stream.

    A path is checked when the attachment is made and read when the message is sent, a block at a time if it is large.
    The file must not change until then. One attachment may be in any number of messages, and is encoded once for all of
    them if it is not large.
    """

    _error = MessageError
    _stage = Stage.MESSAGE
    _takes_positions = True
    _source: Source | None = PrivateAttr(default=None)

    content: bytes | None = Field(default=None, repr=False)
    """The octets, unless it has a ``path`` or was made from a stream."""
    path: Path | None = None
    """The path of the file."""
    filename: str | None = None
    """The name shown to the recipient. Default: the last part of ``path``."""
    content_type: str = "application/octet-stream"
    """The media type (RFC 2045 §5). Default: guessed from the name."""
    disposition: Literal["attachment", "inline"] = "attachment"
    """``attachment`` is shown below the text, ``inline`` where the text refers to it (RFC 2183)."""
    content_id: str | None = None
    """The name by which HTML refers to it, as in ``<img src="cid:logo">``, without angle brackets."""

    def __init__(
        self,
        content: bytes | bytearray | memoryview | None = None,
        filename: str | None = None,
        content_type: str | None = None,
        disposition: Literal["attachment", "inline"] = "attachment",
        content_id: str | None = None,
        *,
        path: str | os.PathLike[str] | None = None,
        **other: Never,
    ) -> None:
        """Give ``content`` or ``path``. Raises ``MessageError``, also when the path is not a readable file."""
        for keyword in other:
            raise _unknown(keyword)
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
        """Return a file, read when the message is sent. Raises ``MessageError`` when it cannot be read now."""
        return cls(path=path, filename=filename, content_type=content_type)

    @classmethod
    def from_bytes(
        cls, data: bytes | bytearray | memoryview, filename: str | None, content_type: str | None = None
    ) -> Self:
        """Return octets in memory as an attachment."""
        return cls(data, filename, content_type)

    @classmethod
    def from_text(cls, text: str, filename: str | None, content_type: str | None = None) -> Self:
        """Return text as a UTF-8 file, with line ends unchanged. The type is guessed from the name; default
        ``text/plain``. A type of text gets the charset, unless it has parameters. Raises ``MessageError`` for a type
        that is not text: the text might be meant as a path."""
        kind = content_type if content_type is not None else _type_of_text(filename)
        if content_type is not None and re.fullmatch(r"text/[\w.+-]+", content_type):
            kind = f'{content_type}; charset="utf-8"'
        try:
            return cls(exactly_str(text).encode(), filename, kind)
        except UnicodeEncodeError as error:
            words = f"The attachment {filename!r} cannot be written in UTF-8: {error.reason}"
            raise MessageError(words, stage=Stage.MESSAGE) from None
        except ValueError as error:
            if isinstance(error, MessageError):
                raise
            raise MessageError(f"text: {error}; use from_bytes for octets", stage=Stage.MESSAGE) from None

    @classmethod
    def from_stream(cls, fileobj: BinaryIO, filename: str | None, content_type: str | None = None) -> Self:
        """Return the rest of a binary stream, which stays open and is not needed afterwards.

        A large file that was opened for reading is read when the message is sent, like a path. Other streams are read
        now; large data goes into a temporary file. Raises ``MessageError`` when the stream cannot be read: it is
        closed, opened for writing only or as text, or at its end although it is not an empty file.
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
        path_or_bytes: str | os.PathLike[str] | bytes | BinaryIO,
        content_id: str,
        *,
        filename: str | None = None,
        content_type: str | None = None,
    ) -> Self:
        """Return an image or similar that the HTML shows as ``cid:content_id`` (RFC 2392): a path, octets, or a binary
        file that is open for reading."""
        if callable(getattr(path_or_bytes, "read", None)):
            opened = cls.from_stream(cast("BinaryIO", path_or_bytes), filename, content_type)
            return opened.model_copy(update={"disposition": "inline", "content_id": content_id})
        if isinstance(path_or_bytes, bytes | bytearray | memoryview):
            return cls(bytes(path_or_bytes), filename, content_type, "inline", content_id)
        path = cast("str | os.PathLike[str]", path_or_bytes)
        return cls(None, filename, content_type, "inline", content_id, path=path)

    @property
    def is_inline(self) -> bool:
        """True if it belongs to the HTML rather than beside it."""
        return self.disposition == "inline" and self.content_id is not None

    @property
    def source(self) -> Source:
        """The source of the octets, shared by copies."""
        # Under its own name, pydantic would look up a private attribute last, after 3 microseconds.
        found = (self.__pydantic_private__ or {}).get("_source")
        if not isinstance(found, Source):
            file = None if self.path is None else FileSource(self.path, str(self.path))
            found = self._source = file or OctetsSource(self.content or b"", self.filename or "")
        return found

    def read(self) -> bytes:
        """Return the octets. Raises ``MessageError`` when they cannot be read any more."""
        return self.source.read()

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy; changed values are checked like those of a new one. Unchanged octets are shared: they are
        encoded once for all copies."""
        copied = super(Validated, self).model_copy(update=update, deep=deep)
        if update and not {"content", "path"}.isdisjoint(update):
            copied._source = None
        if update:
            octets = b"" if copied.content is None else copied.content
            type(self)(octets, copied.filename, copied.content_type, copied.disposition, copied.content_id)
        return copied

    @field_validator("content", mode="before")
    @classmethod
    def _octets(cls, value: object) -> object:
        if value is not None and not isinstance(value, bytes):
            hint = (
                "use path= for a file, Attachment.from_text for text" if isinstance(value, str) else "see from_stream"
            )
            raise ValueError(f"must be bytes, not {type(value).__name__}; {hint}")
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


AttachmentContent: TypeAlias = bytes | bytearray | memoryview | str | Path | BinaryIO
"""Octets, text (never a path), a ``Path``, or a binary file that is open for reading."""
AttachmentLike: TypeAlias = (
    Attachment | str | os.PathLike[str] | BinaryIO | tuple[str, AttachmentContent] | tuple[str, AttachmentContent, str]
)
"""A path, an open binary file with a name, a pair (name, content), or (name, content, media type)."""


def attachment_of(item: object) -> Attachment:
    """Return an attachment from what the user gave. A ``ValueError`` explains what is wrong."""
    if isinstance(item, Attachment):
        return item
    if isinstance(item, str | os.PathLike):
        return Attachment.from_path(item)
    if isinstance(item, tuple):
        return _named_attachment(item)
    if callable(getattr(item, "read", None)):
        return Attachment.from_stream(item, _name_of_file(item))  # type: ignore[arg-type]
    hint = "; give octets with their name: (name, octets)" if isinstance(item, bytes | bytearray | memoryview) else ""
    raise ValueError(f"must be an Attachment, a path, an open file or a pair (name, content), not {_kind(item)}{hint}")


def attachments_of(value: object) -> tuple[Attachment, ...]:
    """All of them. Raises ``ValueError`` in words for users."""
    if value is None:
        return ()
    is_one = isinstance(value, str | os.PathLike | Attachment) or callable(getattr(value, "read", None))
    # Octets alone are not an attachment, so this tuple is not a list of two.
    is_one |= isinstance(value, tuple) and len(value) > 1 and isinstance(value[1], bytes | bytearray | memoryview)
    items = [value] if is_one else value
    if isinstance(items, bytes | bytearray | memoryview | Mapping) or not isinstance(items, Iterable):
        raise ValueError("must be a list of paths, Attachments or pairs (name, content); see Attachment.from_bytes")
    return tuple(map(attachment_of, items))


def _named_attachment(item: tuple[object, ...]) -> Attachment:
    if not 2 <= len(item) <= 3 or not isinstance(item[0], str):
        raise ValueError("a tuple must be (name, content) or (name, content, media type)")
    name, content, kind = item[0], item[1], item[2] if len(item) == 3 else None
    if kind is not None and not isinstance(kind, str):
        raise ValueError(f"the media type of {name!r} must be a str, not {_kind(kind)}")
    if isinstance(content, bytes | bytearray | memoryview):
        return Attachment.from_bytes(bytes(content), name, kind)
    if isinstance(content, str):
        return Attachment.from_text(content, name, kind)
    if isinstance(content, os.PathLike):
        return Attachment.from_path(content, filename=name, content_type=kind)
    if callable(getattr(content, "read", None)):
        return Attachment.from_stream(content, name, kind)  # type: ignore[arg-type]
    hint = ""
    if isinstance(content, Coroutine):
        content.close()
        hint = "; await it first"
    raise ValueError(f"the content of {name!r} must be bytes, str, a Path or an open file, not {_kind(content)}{hint}")


def _name_of_file(file: object) -> str:
    # The name of an upload is that of its form field, as with werkzeug's FileStorage.
    name = getattr(file, "filename", None) or getattr(file, "name", None)
    if isinstance(name, bytes):
        name = os.fsdecode(name)
    # The name of a descriptor is its number; that of a standard stream is in angle brackets.
    if not isinstance(name, str) or not os.path.basename(name) or name.startswith("<"):
        raise ValueError(f"{_kind(file)} has no name for its recipient; give a pair (name, file)")
    return os.path.basename(name)


def _kind(value: object) -> str:
    return type(value).__name__


def _unknown(keyword: str) -> TypeError:
    near = OF_ATTACHMENT.get(keyword, f"there are {', '.join(Attachment.model_fields)}")
    return TypeError(f"Attachment() got an unexpected keyword argument {keyword!r}; {near}")


_TEXT = later(r"text/.*|.*[+/](?:json|xml|yaml|toml|javascript|sql|rtf|x-sh|x-csh|x-tex|x-latex|x-httpd-php)")


def _type_of_text(filename: str | None) -> str:
    guessed = _guessed_type(filename)
    if guessed == "application/octet-stream" and not _is_known(filename):
        guessed = "text/plain"
    if not _TEXT.fullmatch(guessed):
        hint = "Give its octets, or a Path if it is one; or say the media type"
        raise MessageError(f"A str is not the content of {filename!r} ({guessed})", stage=Stage.MESSAGE, hint=hint)
    return f'{guessed}; charset="utf-8"' if guessed.startswith("text/") else guessed


def _is_known(filename: str | None) -> bool:
    import mimetypes

    return isinstance(filename, str) and mimetypes.guess_type(f"./{filename}") != (None, None)


def _guessed_type(filename: str | None) -> str:
    import mimetypes

    # A ".tar.gz" is sent as what it is, not as what it contains.
    kind, encoding = mimetypes.guess_type(f"./{filename}") if isinstance(filename, str) else (None, None)
    if encoding is not None:
        return "application/gzip" if encoding == "gzip" else "application/octet-stream"
    return kind or "application/octet-stream"
