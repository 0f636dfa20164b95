"""An outbox in one SQLite file, safe for any number of programs on one machine.

A clerk, a thread or task of its own, does the jobs of the callers, and simultaneous jobs in one transaction: ten
threads that each put a mail wait for the disk once. A caller waits for the result no longer than it wants to, and an
interrupt finds it outside the database.
"""

from __future__ import annotations

import os
import sqlite3
from collections import deque
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, TypeVar

from wlsmtp.errors import ConfigError, OutboxError, Stage
from wlsmtp.events import log
from wlsmtp.io.base import Bell, Task
from wlsmtp.io.forks import watch_forks
from wlsmtp.io.order import Rank
from wlsmtp.io.place import Place
from wlsmtp.io.thread import Lock
from wlsmtp.outbox.base import Agenda, Entry, Outbox, OutboxStatistics
from wlsmtp.outbox.clock import Clock, Watch
from wlsmtp.outbox.database import Database, identity
from wlsmtp.outbox.lifecycle import State, WorkerLife
from wlsmtp.receipt import Status

T = TypeVar("T")

PATIENCE = 30.0
"""Seconds to wait for another program that writes, unless the caller has less time."""
TOGETHER = 1000
"""Maximum number of jobs in one transaction, so that other programs get their turn."""
IDLE_EXIT_AFTER = 5.0
"""Seconds for which a clerk without work stays."""
FORK_PATIENCE = 5.0
"""Maximum seconds for which a fork waits for a transaction."""


class _Job:
    """Something to be done with the database. It waits in a queue; whoever removes it is responsible for it: the clerk,
    or the caller that stops waiting."""

    def __init__(self, function: Callable[[Database], Any], bell: Bell) -> None:
        self.function, self.bell = function, bell
        self.result: Any = None
        self.failure: Exception | None = None
        self.is_done = False

    def play(self, database: Database) -> None:
        try:
            with database.part():
                self.result = self.function(database)
        except sqlite3.Error:
            raise
        except Exception as failure:
            self.failure = failure


class SQLiteOutbox(Outbox):
    """Mail in a file that survives the program, and (with ``synchronous="full"``) a power failure."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        synchronous: Literal["full", "normal"] = "full",
        lease: float = 60.0,
        keep: float | None = 7 * 86400.0,
    ) -> None:
        """With ``synchronous="full"``, mail that was put is on disk. With ``"normal"`` it survives the program being
        killed, and a power failure may lose the last moments. ``lease`` and ``keep``: see ``Outbox``."""
        if synchronous not in ("full", "normal"):
            raise ConfigError("outbox: synchronous must be 'full' or 'normal'", stage=Stage.SETTINGS)
        if not lease > 0 or not (keep is None or keep >= 0):
            raise ConfigError("outbox: lease and keep must be numbers of seconds", stage=Stage.SETTINGS)
        self.path: Path = Path(path).absolute()
        self.lease = lease
        self.keep = keep
        self._synchronous = synchronous
        self._database: Database | None = None
        self._in_use = Lock(Rank.DATABASE)
        """Held while the database is used: it must not be open while the process forks."""
        self._is_forking = False
        self._home: Place | None = None
        self._begin()
        watch_forks(self)

    def _begin(self) -> None:
        """Start afresh: jobs queued in another process or event loop are not for this clerk."""
        self._reads: deque[_Job] = deque()
        self._writes: deque[_Job] = deque()
        self._closings: deque[_Job] = deque()
        self._done: deque[_Job] = deque()
        """Finished jobs whose callers are to be notified."""
        self._clerk: WorkerLife | None = None
        self._task: Task[None] | None = None
        """The clerk's task, once it has one."""
        self._lingers = True
        """True if a clerk waits for more work; not while the event loop is ending, which nobody would wait for."""
        self._watch = Watch(self.lease)

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "synchronous": self._synchronous, "lease": self.lease, "keep": self.keep}

    def __setstate__(self, settings: dict[str, Any]) -> None:
        self.__init__(**settings)  # type: ignore[misc]

    def before_fork(self) -> None:
        """Close the database before a fork. While another thread uses it for long it stays open, and the child cannot
        use the outbox."""
        self._is_forking = self._in_use.acquire(FORK_PATIENCE)
        if self._is_forking:
            self._let_go()

    def after_fork(self) -> None:
        """Continue after a fork; the next call opens the file again."""
        if self._is_forking:
            self._is_forking = False
            self._in_use.release()

    async def open(self) -> None:
        """Open the file, as ``Outbox.open``."""
        if self._home != self.io.here():
            if self._home is not None and self._home.is_forked_off:
                self._database = None
            self._home = self.io.here()
            self._begin()
        if self._clerk is None:
            self._mutex = self.io.mutex(Rank.SPOOLER)
        if self._clerk is None or self._clerk.state is State.ENDED:
            self._bell = self.io.bell()  # a clerk of the running event loop
        newest = await self._look(lambda database: database.newest())
        wall = self.io.unix_time()
        self._clock = Clock(wall if newest is None else newest, wall, self.io.now())

    async def close(self) -> None:
        """Close the file; the next call opens it again."""
        if self._database is not None:
            await self._ask(self._closings, lambda _: None, self.io.now() + PATIENCE)

    async def put(self, entries: Sequence[Entry], deadline: float | None = None) -> list[Entry]:
        """Store entries, as ``Outbox.put``."""
        return await self._do(lambda database: database.put(entries), deadline)

    async def claim(self, owner: str, limit: int) -> list[Entry]:
        """Lease due entries, as ``Outbox.claim``."""
        now = self.io.unix_time()
        return await self._do(lambda database: database.claim(owner, limit, now, self.lease))

    async def renew(self, owner: str) -> None:
        """Renew leases, as ``Outbox.renew``."""
        await self._do(lambda database: database.renew(owner, self.io.unix_time() + self.lease))

    async def settle(self, owner: str, entries: Sequence[Entry]) -> list[str]:
        """Store the results of leased entries, as ``Outbox.settle``."""
        return await self._do(lambda database: database.settle(owner, entries))

    async def reclaim(self, owner: str) -> list[Entry]:
        """Reclaim entries, as ``Outbox.reclaim``. Unreadable records are read again, as another version may be able
        to."""
        leases = await self._look(lambda database: database.leases())
        rests = self._watch.look(leases, self.io.unix_time(), self.io.now())
        dead = {name: leases[name] for name, rest in rests.items() if rest <= 0 and name != owner}
        return await self._do(lambda database: database.reclaim(dead, self.io.unix_time()))

    async def get(self, id: str) -> Entry | None:
        """Return an entry, as ``Outbox.get``."""
        return await self._look(lambda database: database.get(id))

    async def page(self, statuses: Collection[Status], after: Entry | None, limit: int) -> list[Entry]:
        """Return entries, as ``Outbox.page``."""
        id = "" if after is None else after.receipt.id
        return await self._look(lambda database: database.page(statuses, id, limit))

    async def change(self, old: Entry, new: Entry) -> bool:
        """Replace an entry, as ``Outbox.change``."""
        return await self._do(lambda database: database.change(old, new))

    async def agenda(self) -> Agenda:
        """Return the next times, as ``Outbox.agenda``."""
        due, leases = await self._look(lambda database: (database.next_due(), database.leases()))
        wall = self.io.unix_time()
        rests = self._watch.look(leases, wall, self.io.now())
        return Agenda(due, min((wall + rest for rest in rests.values()), default=None))

    async def statistics(self) -> OutboxStatistics:
        """Return the counts, as ``Outbox.statistics``."""
        return await self._look(lambda database: database.statistics())

    async def purge(self, before: float) -> int:
        """Forget finished mail, and release its space to the file system. If the clock may be ahead, less is
        forgotten."""
        certain = before - self._clock.excess(self.io.unix_time(), self.io.now())
        return await self._do(lambda database: database.purge(certain))

    async def _look(self, function: Callable[[Database], T]) -> T:
        """Run a read-only ``function``, as ``_do``. It waits for no other program."""
        return await self._ask(self._reads, function, self.io.now() + PATIENCE)

    async def _do(self, function: Callable[[Database], T], deadline: float | None = None) -> T:
        """Run ``function``, together with other queued jobs."""
        return await self._ask(self._writes, function, self.io.now() + PATIENCE if deadline is None else deadline)

    async def _ask(self, queue: deque[_Job], function: Callable[[Database], T], deadline: float) -> T:
        if self._home is not None and self._home.is_gone:
            raise self._home.error("An open outbox")
        job = _Job(function, self.io.bell())
        queue.append(job)
        try:
            self._call_clerk()
            while not job.is_done:
                try:
                    await job.bell.wait(deadline)
                except TimeoutError:
                    if _take_back(queue, job):
                        raise self._busy() from None
                    deadline = self.io.now() + PATIENCE  # the clerk is doing it
        except BaseException:
            _take_back(queue, job)
            raise
        if job.failure is not None:
            raise job.failure
        result: T = job.result
        return result

    def _call_clerk(self) -> None:
        """Ensure that the jobs are done. Raises ``OutboxError`` if there is no thread for them."""
        self._bell.ring()
        hired: WorkerLife | None = None
        try:
            with self._mutex:
                if self._clerk is not None and self._clerk.state is not State.ENDED and not self._is_clerk_lost:
                    return
                self._task = None
                hired = self._clerk = WorkerLife(self.io.mutex(Rank.LIFE))
            self._task = self.io.spawn(self._serve(hired), "wlsmtp-outbox-clerk")
        except BaseException as error:
            if hired is not None and hired.move(State.ENDED, only_from=State.NEW):
                if isinstance(error, OSError):
                    raise self._as_outbox_error(error) from error
                self._call_clerk()  # this caller was interrupted; others may count on it
            raise

    async def _serve(self, clerk: WorkerLife) -> None:
        """Run the clerk."""
        if not clerk.move(State.RUNNING):
            return
        is_cancelled = True
        try:
            while self._has_jobs or (self._lingers and await self._has_more()):
                await self.io.run_in_thread(self._play)
                self._tell()
            is_cancelled = False
        finally:
            # An event loop that ends cancels all tasks: the worker still needs a clerk to store the results of its
            # mail.
            self._lingers = self._lingers and not is_cancelled
            self._tell()
            clerk.move(State.ENDED)
            if self._has_jobs:  # requested between the last check and the end
                with suppress(OutboxError):
                    self._call_clerk()

    @property
    def _is_clerk_lost(self) -> bool:
        """True if the event loop has cancelled the clerk's task before its first step."""
        return self._task is not None and self._task.is_done

    def _tell(self) -> None:
        while self._done:
            self._done.popleft().bell.ring()

    @property
    def _has_jobs(self) -> bool:
        return bool(self._reads or self._writes or self._closings)

    async def _has_more(self) -> bool:
        """Wait for jobs, unless the outbox was closed."""
        while self._database is not None:
            try:
                await self._bell.wait(self.io.now() + IDLE_EXIT_AFTER)
            except TimeoutError:
                if not self.io.is_ending:
                    break
            if self._has_jobs:  # it may have been rung for work that is already done
                return True
        return self._has_jobs

    def _play(self) -> None:
        """Do the jobs that can be done now, all writes in one transaction: if it fails, none of them is done. Jobs that
        another program blocks stay in the queue."""
        with self._in_use:
            self._play_all()

    def _play_all(self) -> None:
        for queue in (self._reads, self._writes):
            jobs: list[_Job] = []
            failure: Exception | None = None
            try:
                if queue:
                    self._transact(queue, jobs)
            except Exception as error:
                if not jobs and _is_busy(error):
                    continue
                failure = error
                jobs += _taken(queue) if not jobs else []
            for job in jobs:
                if failure is not None:
                    job.failure = self._as_outbox_error(failure)
                job.is_done = True
            self._done += jobs
        if closings := _taken(self._closings):
            self._let_go()
            for job in closings:
                job.is_done = True
            self._done += closings

    def _transact(self, queue: deque[_Job], jobs: list[_Job]) -> None:
        database = self._opened()
        with database.transaction(writes=queue is self._writes):
            jobs += _taken(queue)
            for job in jobs:
                job.play(database)

    def _opened(self) -> Database:
        """Return the open file; another one if the one that was opened is not there any more."""
        if self._database is not None and self._database.identity != identity(self.path):
            words = "the outbox %s was deleted or replaced; its messages are not in the file that is used from now on"
            log.error(words, self.path)
            self._let_go()
        if self._database is None:
            self._database = Database(self.path, self._synchronous)
        return self._database

    def _let_go(self) -> None:
        database, self._database = self._database, None
        if database is not None:
            database.close()

    def _busy(self) -> OutboxError:
        error = OutboxError(f"The outbox {str(self.path)!r} is locked by another program", stage=Stage.SETTINGS)
        error.is_passing = True
        error.hint = "Nothing was changed, and it may be tried again"
        return error

    def _as_outbox_error(self, failure: Exception) -> OutboxError:
        if isinstance(failure, OutboxError):
            return failure
        why = str(failure) or type(failure).__name__
        error = OutboxError(f"The outbox {str(self.path)!r} cannot be used: {why}", stage=Stage.SETTINGS)
        error.is_passing = isinstance(failure, sqlite3.OperationalError)
        if not self.path.parent.is_dir():
            error.hint = "Its directory does not exist; an absolute path has four slashes, as in sqlite:////var/mail.db"
        error.__cause__ = failure
        return error


def _take_back(queue: deque[_Job], job: _Job) -> bool:
    """Withdraw a job; return whether it had not begun."""
    try:
        queue.remove(job)
    except ValueError:
        return False
    return True


def _taken(queue: deque[_Job]) -> list[_Job]:
    """Take the jobs to be done now; nobody can withdraw them any more."""
    jobs: list[_Job] = []
    with suppress(IndexError):
        while len(jobs) < TOGETHER:
            jobs.append(queue.popleft())
    return jobs


def _is_busy(error: Exception) -> bool:
    """Return whether another program is writing."""
    return isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
