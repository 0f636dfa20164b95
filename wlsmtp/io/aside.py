"""Runs functions that may hang in a thread of their own, which is abandoned at a deadline.

Name look-ups, token providers and connectors cannot be interrupted. The thread is a daemon and in no pool, so it delays
neither the next call nor the exit of the program.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import copy_context
from errno import EAGAIN
from functools import partial
from typing import TypeVar

from wlsmtp.io.thread import start_thread

T = TypeVar("T")


def call_aside(function: Callable[[], T], seconds: float) -> T:
    """Return or raise what ``function`` does; ``TimeoutError`` after ``seconds``, while it continues. Raises
    ``OSError`` if no thread can be started while the main thread lives."""
    try:
        future = start_aside(function)
    except OSError:
        if threading.main_thread().is_alive():
            raise
        # Some versions of Python start no thread once the main thread has ended: the last mail of a program is sent
        # all the same, with no deadline for this part of it.
        return function()
    future.exception(seconds)
    return future.result()


def start_aside(function: Callable[[], T]) -> Future[T]:
    """Start to call ``function``. Raises ``OSError`` if no thread can be started."""
    future: Future[T] = Future()
    work = partial(_work, partial(copy_context().run, function), future)
    try:
        start_thread(threading.Thread(target=work, name="wlsmtp-aside", daemon=True))
    except RuntimeError as error:  # too many threads, or the interpreter is shutting down
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
