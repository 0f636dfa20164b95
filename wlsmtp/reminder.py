"""``send_many`` sends as its receipts are read. Who does not read them sends nothing, and is told so."""

from __future__ import annotations

import sys
import warnings
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TypeAlias

from wlsmtp.receipt import Receipt

_Place: TypeAlias = tuple[str, int, str]

_WORDS = "send_many(…) was never iterated, so nothing was sent: read its receipts in a for loop, or call send_all(…)"
_BUSY = ("wlsmtp", "logging", "queue")
"""Packages that hold locks of their own while they run."""
_untold: deque[_Place] = deque()
"""Where ``send_many`` was called that nobody read, as found at a moment when nobody could be told."""


class Reminder:
    """Belongs to the receipts of one call of ``send_many``: warns when it is dropped before ``done``.

    The garbage collector comes by in any thread, under any lock, and a warning may end in a handler of ``logging``,
    which locks, and perhaps sends mail. So it is given at once only while no function of this package, or of others
    with locks, is being run; else by whoever uses ``send_many`` or closes a session next.
    """

    __slots__ = ("_place",)

    def __init__(self) -> None:
        """The caller of whoever makes it called ``send_many``."""
        tell()
        caller = sys._getframe(1)
        frame = caller.f_back or caller  # there is none behind it where C calls it, as at exit
        self._place: _Place | None = (frame.f_code.co_filename, frame.f_lineno, frame.f_globals.get("__name__", ""))

    def done(self) -> None:
        """Somebody has begun to read."""
        self._place = None

    def __del__(self) -> None:
        place = getattr(self, "_place", None)
        if place is None or sys is None or sys.is_finalizing():
            return
        _untold.append(place)
        if not any(map(_is_busy, _frames(sys._getframe().f_back))):
            tell()


def tell() -> None:
    """Give the warnings that could not be given before."""
    while _untold:
        with suppress(IndexError):  # another thread may have taken the last
            _Warning(_untold.popleft())


class _Warning:
    """Warns as it goes, so that a warning that is an error (``python -W error``) ends nothing here either."""

    def __init__(self, place: _Place) -> None:
        self._place = place

    def __del__(self) -> None:
        file, line, module = self._place
        warnings.warn_explicit(_WORDS, RuntimeWarning, file, line, module)


def _frames(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _is_busy(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0] in _BUSY


@contextmanager
def keeping(receipts: Sequence[Receipt]) -> Iterator[None]:
    """Give an exception that ends ``send_all`` the receipts until then: what is sent stays sent."""
    try:
        yield
    except BaseException as error:  # an interrupt as well
        with suppress(AttributeError, TypeError):
            error.receipts = tuple(receipts)  # type: ignore[attr-defined]
        raise
