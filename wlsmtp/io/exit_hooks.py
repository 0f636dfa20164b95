"""Work to be done when the program exits.

``atexit`` runs late: connecting may require a new thread, and newer Pythons start none by then. So a thread waits for
the end of the main thread and of all other non-daemon threads, and keeps the interpreter alive until the work is done.
Only work that is added when no thread can be started any more is done by ``atexit``, after all threads have ended.
"""

from __future__ import annotations

import atexit
import errno
import sys
import threading
from collections.abc import Callable
from contextlib import suppress

from wlsmtp.errors import SMTPError
from wlsmtp.io.place import Kept, this_process
from wlsmtp.io.thread import start_thread


class ExitHooks:
    """All registered work, run in the order of the latest first. A forked child has none of its parent's."""

    def __init__(self) -> None:
        self._kept = Kept(this_process, lambda _: _Works())

    def add(self, work: Callable[[], None]) -> Callable[[], None]:
        """Run ``work`` at exit; return a function that cancels that."""
        works = self._kept.get()
        works.add(work)
        return lambda: works.remove(work)


class _Works:
    """The registered work of one process."""

    def __init__(self) -> None:
        self._works: list[Callable[[], None]] = []
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._is_registered = False
        """True if ``atexit`` does the work."""

    def add(self, work: Callable[[], None]) -> None:
        with self._lock:
            self._works.append(work)
            if self._thread is None or not self._thread.is_alive():
                self._thread = _ExitThread(target=self._wait, name="wlsmtp-exit", daemon=False)
                try:
                    start_thread(self._thread)
                except RuntimeError as error:
                    if not threading.main_thread().is_alive():  # the program is ending, and starts no thread any more
                        if not self._is_registered:
                            atexit.register(self._work_off)
                            self._is_registered = True
                        return
                    self._works.remove(work)
                    raise OSError(errno.EAGAIN, str(error)) from error

    def remove(self, work: Callable[[], None]) -> None:
        # Without the lock: a child may cancel what its parent had added, while a thread of the parent held it.
        with suppress(ValueError):
            self._works.remove(work)

    def _wait(self) -> None:
        threading.main_thread().join()
        # A program lives as long as any such thread, and these may send until their end.
        while others := _others():
            others[0].join()
        self._work_off()

    def _work_off(self) -> None:
        while (work := self._next()) is not None:
            try:
                work()
            except SMTPError as error:
                sys.stderr.write(f"wlsmtp: {error}\n")
            except Exception:  # reported on standard error like the end of any thread; the other work still runs
                threading.excepthook(threading.ExceptHookArgs((*sys.exc_info(), threading.current_thread())))

    def _next(self) -> Callable[[], None] | None:
        try:
            return self._works.pop()
        except IndexError:
            return None


class _ExitThread(threading.Thread):
    """The thread that runs the work. There may be two, if the start of the first was interrupted: they must not wait
    for each other."""


def _others() -> list[threading.Thread]:
    """Return the threads for which the interpreter waits, except the main one and exit threads."""
    main = threading.main_thread()
    threads = (thread for thread in threading.enumerate() if not thread.daemon and thread is not main)
    return [thread for thread in threads if not isinstance(thread, _ExitThread)]


exit_hooks: ExitHooks = ExitHooks()
