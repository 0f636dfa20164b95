"""A forked child that does something and reports the result to the test."""

from __future__ import annotations

import gc
import os
import pickle
import select
import signal
import sys
import traceback
import warnings
from collections.abc import Callable
from typing import Any

from tests.worlds import Session, World

PATIENCE = 20.0


def in_child(work: Callable[[], Any]) -> Any:
    """What ``work`` returns in a forked child. A child that fails, or hangs, fails the test."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        # The tests' servers run in threads, which Python 3.12 and later warn of.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        _tell(writing, work)
    os.close(writing)
    try:
        with open(reading, "rb") as told:
            if not select.select([told], [], [], PATIENCE)[0]:
                os.kill(child, signal.SIGKILL)
                raise AssertionError("the child hangs")
            has_failed, result = pickle.loads(told.read())
    finally:
        os.waitpid(child, 0)
    assert not has_failed, result
    return result


def _tell(writing: int, work: Callable[[], Any]) -> None:
    """Does not return: the child is not to run the rest of the tests."""
    try:
        try:
            told = pickle.dumps((False, work()))
            gc.collect()
        except BaseException:
            told = pickle.dumps((True, traceback.format_exc()))
        sys.stderr.flush()
        os.write(writing, told)
    finally:
        os._exit(0)


def here(session: Session, world: World) -> Session:
    """The session as a child uses it: with asyncio, in an event loop of its own."""
    return Session(session.face, World(world.name).run)


def failure_of(work: Callable[[], Any]) -> str:
    """The name and the words of the error that ``work`` raises, or what it returned."""
    try:
        return str(work())
    except Exception as error:
        return f"{type(error).__name__}: {error}"
