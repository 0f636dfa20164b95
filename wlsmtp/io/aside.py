"""Functions that may hang, called in a thread of their own, which is left behind at a deadline.

A look-up of a name, a token provider, a connector: nothing can interrupt them. The thread is a daemon and in no pool,
so that it keeps neither the next call from its turn nor the program from its end.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import copy_context
from errno import EAGAIN
from functools import partial
from typing import TypeVar

T = TypeVar("T")


def call_aside(function: Callable[[], T], seconds: float) -> T:
    """What ``function`` returns or raises; ``TimeoutError`` after ``seconds``, and it goes on then. Raises ``OSError``
    when no thread can be started."""
    future = start_aside(function)
    future.exception(seconds)
    return future.result()


def start_aside(function: Callable[[], T]) -> Future[T]:
    """Begin to call ``function``. Raises ``OSError`` when no thread can be started."""
    future: Future[T] = Future()
    work = partial(_work, partial(copy_context().run, function), future)
    try:
        threading.Thread(target=work, name="wlsmtp-aside", daemon=True).start()
    except RuntimeError as error:  # too many of them, or the interpreter ends
        raise OSError(EAGAIN, str(error)) from error
    return future


def _work(function: Callable[[], T], future: Future[T]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = function()
    except BaseException as error:
        future.set_exception(error)
    else:
        future.set_result(result)
