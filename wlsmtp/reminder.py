"""Warns about receipts of ``send_many`` that nobody reads: messages are sent only as they are read."""

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
_unreported: deque[_Place] = deque()
"""Calls of ``send_many`` that nobody read, found at a moment when no warning could be given."""


class Reminder:
    """Belongs to the receipts of one call of ``send_many``: warns when it is dropped before ``done``.

    The garbage collector may run in any thread, under any lock. A warning may end in a handler of ``logging``, which
    locks, and perhaps sends mail. It is therefore given at once only while no function of this package, or of others
    with locks, is running. Otherwise the next caller that uses ``send_many`` or closes a session gives it.
    """

    __slots__ = ("_place",)

    def __init__(self) -> None:
        """The caller of the function that creates this object has called ``send_many``."""
        tell()
        caller = sys._getframe(1)
        frame = caller.f_back or caller  # there is no caller where C calls it, as at exit
        self._place: _Place | None = (frame.f_code.co_filename, frame.f_lineno, frame.f_globals.get("__name__", ""))

    def done(self) -> None:
        """Note that somebody has begun to read."""
        self._place = None

    def __del__(self) -> None:
        place = getattr(self, "_place", None)
        if place is None or sys is None or sys.is_finalizing():
            return
        _unreported.append(place)
        if not any(map(_is_busy, _frames(sys._getframe().f_back))):
            tell()


def tell() -> None:
    """Give the warnings that could not be given before."""
    while _unreported:
        with suppress(IndexError):  # another thread may have taken the last
            _Warning(_unreported.popleft())


class _Warning:
    """Warns when it is deleted, so that a warning that is an error (``python -W error``) ends nothing here either."""

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
    """Attach the receipts until then to an exception that ends ``send_all``: what is sent stays sent."""
    try:
        yield
    except BaseException as error:  # including an interrupt
        with suppress(AttributeError, TypeError):
            error.receipts = tuple(receipts)  # type: ignore[attr-defined]
        raise
