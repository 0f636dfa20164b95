"""``Error``, ``Info`` and ``Trace``: a Python program has no window of its own, so they write lines."""

from __future__ import annotations

import sys

from wlsmtp.wlanguage.errors import ErrorInfo

__all__ = ["Error", "Info", "Trace"]


def Error(*lines: object) -> None:
    """Write lines to standard error; without arguments, the text of ``ErrorInfo``."""
    _write(sys.stderr, lines or (ErrorInfo(),), "\n")


def Info(*lines: object) -> None:
    """Write lines to standard output."""
    _write(sys.stdout, lines, "\n")


def Trace(*values: object) -> None:
    """Write values to standard output, in one line."""
    _write(sys.stdout, values, " ")


def _write(stream: object, values: tuple[object, ...], between: str) -> None:
    # A program without a console has no stream either.
    write = getattr(stream, "write", None)
    if write is not None:
        write(between.join(map(str, values)) + "\n")
