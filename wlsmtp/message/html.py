"""HTML made fit for mail: CSS moved into the elements, and the pictures of a directory embedded. Nothing is fetched."""

from __future__ import annotations

import os
import re
import stat
from functools import lru_cache
from html import unescape
from typing import Any
from urllib.parse import unquote

from wlsmtp.errors import MessageError, Stage
from wlsmtp.message.attachment import Attachment
from wlsmtp.message.source import readable_file
from wlsmtp.message.tags import ATTRIBUTE, IMAGE, TOKEN
from wlsmtp.message.values import exactly_str

_DOCTYPE = re.compile(r"\s*+<!doctype[^>]*+>", re.IGNORECASE)
_STYLE_END = re.compile(r"</style", re.IGNORECASE)
_OUTSIDE = "it is not within the directory"
_IN_MEMORY = 64 * 1024
"""Octets up to which a picture is read when a message is made with it, and not looked at for each that is sent."""
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+):|//", re.IGNORECASE)


def css(value: object) -> str:
    """The CSS for ``inline_css``; none for True. Raises ``ValueError``."""
    text = "" if value is True else exactly_str(value)
    if _STYLE_END.search(text):
        raise ValueError("must be CSS, which has no </style in it")
    return text


def directory(value: object) -> str:
    """The directory for ``embed_images``. Raises ``ValueError`` where there is none."""
    if not isinstance(value, str | os.PathLike):
        raise ValueError(f"must be the path of a directory, not {type(value).__name__}")
    path = os.fsdecode(value)
    try:
        state = os.stat(path)
    except (OSError, ValueError):
        state = None
    if state is None or not stat.S_ISDIR(state.st_mode):
        raise ValueError(f"{path[:200]!r} is not a directory")
    return _real_path(os.path.abspath(path), state.st_dev, state.st_ino)


@lru_cache(maxsize=32)
def _real_path(path: str, device: int, inode: int) -> str:
    """Remembered while the path leads to the same directory."""
    return os.path.realpath(path)


def inlined(html: str, more: str) -> str:
    """The HTML with its style sheets, and ``more``, in the ``style`` of its elements. Rules that no element can have,
    such as ``@media`` and ``:hover``, remain in a style sheet. Raises ``MessageError``."""
    if more:
        place = _place_of_style(html)
        html = f"{html[:place]}<style>{more}</style>{html[place:]}"
    try:
        done: str = _inliner().inline(html)
    except Exception as error:  # the errors of css-inline are of several kinds
        words = f"inline_css: {type(error).__name__}: {str(error)[:200]}"
        raise MessageError(words, stage=Stage.MESSAGE) from error
    return done


def _place_of_style(html: str) -> int:
    """Return where the head ends or the body begins, by a tag and not within a comment; else behind the DOCTYPE."""
    ends = (found.start() for found in TOKEN.finditer(html) if (found[2] or "").lower() in ("/head", "body"))
    doctype = _DOCTYPE.match(html)
    return next(ends, 0 if doctype is None else doctype.end())


@lru_cache(maxsize=1)
def _inliner() -> Any:
    try:
        from css_inline import CSSInliner
    except ModuleNotFoundError as error:
        hint = 'pip install "wlsmtp[html]"'
        raise MessageError("inline_css: css-inline is not installed", stage=Stage.MESSAGE, hint=hint) from error
    return CSSInliner(
        load_remote_stylesheets=False, keep_link_tags=True, keep_style_tags=True, remove_inlined_selectors=True
    )


def embedded(html: str, directory: str) -> tuple[str, dict[str, Attachment]]:
    """Return the HTML with ``cid:`` URLs in place of the files of the directory that its pictures name, and these
    files. Raises ``MessageError`` for a file that does not exist, is not an image, or is outside the directory."""
    images: dict[str, Attachment] = {}

    def with_cid(found: re.Match[str]) -> str:
        given = found[2]
        attribute = next((one for one in ATTRIBUTE.finditer(given or "") if (one[1] or "").lower() == "src"), None)
        if attribute is None or (value := attribute[2] or attribute[3] or attribute[4]) is None:
            return found[0]
        url = unescape(value).strip()
        scheme = _SCHEME.match(url)
        if not url or (scheme is not None and (scheme[1] or "").lower() != "file"):
            return found[0]
        image = images[url] = image_of(directory, url)
        start = found.start(2) - found.start() + attribute.start()
        end = start + len(attribute[0])
        return f'{found[0][:start]}src="cid:{image.content_id}"{found[0][end:]}'

    return IMAGE.sub(with_cid, html), images


def image_of(directory: str, url: str) -> Attachment:
    """The picture as it is now. Raises ``MessageError``."""
    name = unquote(url.partition("?")[0].partition("#")[0])
    path = os.path.join(directory, name)
    try:
        if ".." in re.split(r"[/\\]", name) or name.startswith(("/", "\\", "file:")) or os.path.isabs(name):
            raise ValueError(_OUTSIDE)
        state = os.stat(path)
        return _attachment(directory, name, path, (state.st_dev, state.st_ino, state.st_mtime_ns, state.st_size))
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        words = f"embed_images: the picture {url[:200]!r} cannot be embedded: {why}"
        hint = f"Pictures are files within {directory}; remote ones, with https:, stay as they are"
        raise MessageError(words, stage=Stage.MESSAGE, hint=hint) from None


@lru_cache(maxsize=128)
def _attachment(directory: str, name: str, path: str, state: tuple[int, ...]) -> Attachment:
    """One for all messages that show the file as it is now, so that it is encoded once."""
    import hashlib

    real = os.path.realpath(path)
    if os.path.commonpath((real, directory)) != directory:
        raise ValueError(_OUTSIDE)
    digest = hashlib.sha256(f"{name}{state}".encode()).hexdigest()[:24]
    file = readable_file(real)
    given = file.read() if file.size() <= _IN_MEMORY else real
    image = Attachment.inline(given, f"{digest}@embedded.invalid", filename=os.path.basename(name))
    if not image.content_type.startswith("image/"):
        raise ValueError(f"it is not an image, but {image.content_type}")
    return image
