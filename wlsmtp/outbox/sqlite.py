"""An outbox in one SQLite file, safe for any number of programs on one machine.

A clerk does the jobs of the callers, and simultaneous jobs in one transaction: ten threads that each put a mail wait
for the disk once.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

from wlsmtp.errors import ConfigError, OutboxError, Stage
from wlsmtp.events import log
from wlsmtp.io.forks import watch_forks
from wlsmtp.io.order import Rank
from wlsmtp.io.place import Place
from wlsmtp.io.thread import Lock
from wlsmtp.outbox.base import Agenda, Entry, OutboxStatistics, options_of
from wlsmtp.outbox.clerk import PATIENCE, Clerk, Duties, Job, Queue
from wlsmtp.outbox.clock import Clock, Watch
from wlsmtp.outbox.database import Database, identity
from wlsmtp.outbox.sqlite_failures import is_busy, is_passing, takes_no_writes
from wlsmtp.outbox.sqlite_within import put_within
from wlsmtp.outbox.stored import StoredOutbox
from wlsmtp.outbox.within import Within
from wlsmtp.settings.urls import URL, wrong

T = TypeVar("T")

FORK_PATIENCE = 5.0
"""Maximum seconds for which a fork waits for a transaction."""
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSPC, errno.EAGAIN})
"""What a machine lacks for a while."""
_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


class SQLiteOutbox(StoredOutbox):
    """Mail in a file that survives the program, and (with ``synchronous="full"``) a power failure."""

    keeps_pace = True

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
        self._clerk: Clerk | None = None
        """What waits for its turn in another process or event loop is not for the clerk of this one."""
        self._watch = Watch(lease)
        watch_forks(self)

    @classmethod
    def from_url(cls, url: URL) -> Self:
        """``sqlite:///relative/path`` or ``sqlite:////absolute/path``, with ``?synchronous=normal&lease=60``. Raises
        ``ConfigError``."""
        if not url.text.startswith("sqlite:///") or len(url.path) < 2:
            raise wrong("outbox: must be like sqlite:///path, or sqlite:////path for an absolute one")
        return cls(url.path[1:], **options_of(url, "synchronous", "lease", "keep"))

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
            self._watch = Watch(self.lease)
            self._clerk = self._hire()
            self._home = self.io.here()  # last: an interrupt leaves the rest to the next call
        newest = await self._look(lambda database: database.newest())
        wall = self.io.unix_time()
        self._clock = Clock(wall if newest is None else newest, wall, self.io.now())

    def _hire(self) -> Clerk:
        duties = Duties(
            work=lambda: self._play(),
            is_open=lambda: self._database is not None,
            leave=lambda: None,
            too_late=self._busy,
            no_thread=self._as_outbox_error,
        )
        return Clerk(self.io, "wlsmtp-outbox-clerk", duties)

    async def close(self) -> None:
        """Close the file; the next call opens it again."""
        if self._database is not None:
            await self._ask(self._at_hand.closings, lambda _: None, self.io.now() + PATIENCE)

    async def put(self, entries: Sequence[Entry], deadline: float | None = None) -> list[Entry]:
        """Store entries, as ``Outbox.put``."""
        return await self._do(lambda database: database.put(entries), deadline)

    async def put_within(self, entries: Sequence[Entry], within: Within) -> list[Entry]:
        """Store entries on a ``sqlite3`` connection to the same file, in its transaction."""
        return put_within(self.path, entries, within)

    async def claim(self, owner: str, limit: int) -> list[Entry]:
        """Lease due entries, as ``Outbox.claim``."""
        now = self.io.unix_time()
        return await self._do(lambda database: database.claim(owner, limit, now, self.lease, self.pace))

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

    async def agenda(self) -> Agenda:
        """Return the next times, as ``Outbox.agenda``."""
        wall = self.io.unix_time()
        due, leases = await self._look(lambda database: (database.next_due(self.pace, wall), database.leases()))
        rests = self._watch.look(leases, wall, self.io.now())
        return Agenda(due, min((wall + rest for rest in rests.values()), default=None))

    async def statistics(self) -> OutboxStatistics:
        """Return the counts, as ``Outbox.statistics``."""
        counts = await self._look(lambda database: database.statistics())
        return counts.as_of(self.io.unix_time())

    async def purge(self, before: float) -> int:
        """Forget finished mail, and release its space to the file system. If the clock may be ahead, less is
        forgotten."""
        certain = before - self._clock.excess(self.io.unix_time(), self.io.now())
        return await self._do(lambda database: database.purge(certain))

    async def _look(self, function: Callable[[Database], T]) -> T:
        """The same as ``_do`` for what only reads. It waits for no other program."""
        return await self._ask(self._at_hand.reads, function, self.io.now() + PATIENCE)

    async def _do(self, function: Callable[[Database], T], deadline: float | None = None) -> T:
        """Have ``function`` done, together with whatever else is waiting for its turn."""
        until = self.io.now() + PATIENCE if deadline is None else deadline
        return await self._ask(self._at_hand.writes, function, until)

    @property
    def _at_hand(self) -> Clerk:
        assert self._clerk is not None, "open() comes first"
        return self._clerk

    async def _ask(self, queue: Queue, function: Callable[[Database], T], deadline: float) -> T:
        if self._home is not None and self._home.is_gone:
            raise self._home.error("An open outbox")
        result: T = await self._at_hand.ask(queue, function, deadline)
        return result

    def _play(self) -> None:
        """Do the jobs that can be done now, all writes in one transaction: if it fails, none of them is done. Jobs that
        another program blocks stay in the queue."""
        with self._in_use:
            self._play_all()

    def _play_all(self) -> None:
        clerk = self._at_hand
        for queue in (clerk.reads, clerk.writes):
            jobs: list[Job] = []
            failure: Exception | None = None
            try:
                if queue:
                    self._transact(queue, jobs, writes=queue is clerk.writes)
            except Exception as error:
                if not jobs and is_busy(error):
                    continue
                failure = error
                jobs += clerk.take(queue) if not jobs else []
            for job in jobs:
                job.end(None if failure is None else self._as_outbox_error(failure))
        if closings := clerk.take(clerk.closings):
            self._let_go()
            for job in closings:
                job.end()

    def _transact(self, queue: Queue, jobs: list[Job], *, writes: bool) -> None:
        database = self._opened()
        with database.transaction(writes=writes):
            jobs += self._at_hand.take(queue)
            for job in jobs:
                _play(job, database)

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
        is_exhausted = isinstance(failure, OSError) and failure.errno in _EXHAUSTED
        error.is_passing = is_exhausted or isinstance(failure, MemoryError) or is_passing(failure)
        if takes_no_writes(failure) or (isinstance(failure, OSError) and failure.errno in _FORBIDDEN):
            error.hint = "The file and its directory must be writable, as SQLite makes other files beside it"
        if not self.path.parent.is_dir():
            error.hint = "Its directory does not exist; an absolute path has four slashes, as in sqlite:////var/mail.db"
        elif getattr(failure, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
            error.hint = "There may be no space left on the disk. Nothing was changed, and it may be tried again"
        error.__cause__ = failure
        return error


def _play(job: Job, database: Database) -> None:
    try:
        with database.part():
            job.result = job.what(database)
    except sqlite3.Error:
        raise
    except Exception as failure:
        job.failure = failure
