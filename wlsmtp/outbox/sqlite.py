"""An outbox in one SQLite file, safe for any number of programs on one machine.

What is asked for at the same time is done in one transaction: ten threads that put a mail each wait for the disk once.
"""

from __future__ import annotations

import os
import sqlite3
from collections import deque
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from wlsmtp.errors import ConfigError, OutboxError, Stage
from wlsmtp.outbox.base import Agenda, Entry, Outbox, OutboxStatistics
from wlsmtp.outbox.database import Database

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from wlsmtp.receipt import Status

T = TypeVar("T")

TOGETHER = 1000
"""Jobs in one transaction at most, so that other programs get their turn."""


class _Job:
    """Something to be done with the database."""

    def __init__(self, function: Callable[[Database], Any], writes: bool) -> None:
        self.function, self.writes = function, writes
        self.result: Any = None
        self.failure: BaseException | None = None
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
    """Mail in a file that survives the program, and (with ``synchronous="full"``) a loss of power."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        synchronous: Literal["full", "normal"] = "full",
        lease: float = 60.0,
        keep: float | None = 7 * 86400.0,
    ) -> None:
        """``synchronous``: with ``"full"``, a mail that was put is on the disk; with ``"normal"`` it is safe when the
        program is killed, and a loss of power may take the last moments. ``lease`` and ``keep``: see ``Outbox``.
        """
        if synchronous not in ("full", "normal"):
            raise ConfigError("outbox: synchronous must be 'full' or 'normal'", stage=Stage.SETTINGS)
        if not lease > 0 or not (keep is None or keep >= 0):
            raise ConfigError("outbox: lease and keep must be numbers of seconds", stage=Stage.SETTINGS)
        self.path = Path(path).absolute()
        self.lease = lease
        self.keep = keep
        self._synchronous = synchronous
        self._database: Database | None = None
        self._process = os.getpid()
        self._queue: deque[_Job] = deque()

    async def open(self) -> None:
        """See ``Outbox.open``."""
        self._turn = self.io.condition()
        await self._do(lambda database: None)

    async def close(self) -> None:
        """See ``Outbox.close``; the next call opens the file again."""
        async with self._turn:
            database, self._database = self._database, None
            if database is not None:
                await self.io.offload(database.close)

    async def put(self, entries: Sequence[Entry]) -> list[Entry]:
        """See ``Outbox.put``."""
        return await self._do(lambda database: database.put(entries))

    async def claim(self, owner: str, limit: int) -> list[Entry]:
        """See ``Outbox.claim``."""
        now = self.io.wall()
        return await self._do(lambda database: database.claim(owner, limit, now, self.lease))

    async def renew(self, owner: str) -> None:
        """See ``Outbox.renew``."""
        await self._do(lambda database: database.renew(owner, self.io.wall() + self.lease))

    async def settle(self, owner: str, entries: Sequence[Entry]) -> list[str]:
        """See ``Outbox.settle``."""
        return await self._do(lambda database: database.settle(owner, entries))

    async def reclaim(self, owner: str) -> list[Entry]:
        """See ``Outbox.reclaim``."""
        return await self._do(lambda database: database.reclaim(owner, self.io.wall()))

    async def get(self, id: str) -> Entry | None:
        """See ``Outbox.get``."""
        return await self._look(lambda database: database.get(id))

    async def page(self, statuses: Collection[Status], after: Entry | None, limit: int) -> list[Entry]:
        """See ``Outbox.page``."""
        id = "" if after is None else after.receipt.id
        return await self._look(lambda database: database.page(statuses, id, limit))

    async def change(self, old: Entry, new: Entry) -> bool:
        """See ``Outbox.change``."""
        return await self._do(lambda database: database.change(old, new))

    async def agenda(self) -> Agenda:
        """See ``Outbox.agenda``."""
        return await self._look(lambda database: database.agenda())

    async def statistics(self) -> OutboxStatistics:
        """See ``Outbox.statistics``."""
        return await self._look(lambda database: database.statistics())

    async def purge(self, before: float) -> int:
        """See ``Outbox.purge``; gives the room back to the file system."""
        return await self._do(lambda database: database.purge(before))

    async def _look(self, function: Callable[[Database], T]) -> T:
        """The same as ``_do`` for what only reads."""
        return await self._do(function, writes=False)

    async def _do(self, function: Callable[[Database], T], *, writes: bool = True) -> T:
        """Have ``function`` done, together with whatever else is waiting for its turn."""
        self._check_process()
        job = _Job(function, writes)
        self._queue.append(job)
        try:
            async with self._turn:
                if not job.is_done:
                    await self.io.offload(partial(self._play, job))
        except BaseException:
            if not job.is_done and job in self._queue:
                self._queue.remove(job)
            raise
        if job.failure is not None:
            raise job.failure
        result: T = job.result
        return result

    def _play(self, first: _Job) -> None:
        """Do all jobs in one transaction. When it fails, none is done."""
        jobs = [first]
        while self._queue and len(jobs) < TOGETHER:
            job = self._queue.popleft()
            if job is not first and not job.is_done:
                jobs.append(job)
        try:
            database = self._opened()
            with database.transaction(writes=any(job.writes for job in jobs)):
                for job in jobs:
                    job.play(database)
        except BaseException as failure:
            for job in jobs:
                job.failure = self._as_outbox_error(failure)
            if not isinstance(failure, Exception):
                raise
        finally:
            for job in jobs:
                job.is_done = True

    def _opened(self) -> Database:
        if self._database is None:
            self._database = Database(self.path, self._synchronous)
            self._process = os.getpid()
        return self._database

    def _check_process(self) -> None:
        """A connection that came along through a fork must not be used, nor another one beside it: what SQLite knows of
        its own locks was copied with it (sqlite.org/howtocorrupt.html §2.6)."""
        if self._database is not None and self._process != os.getpid():
            hint = "Let each process make its own session, after the fork"
            raise OutboxError(
                f"The outbox {str(self.path)!r} was opened before a fork", stage=Stage.SETTINGS, hint=hint
            )

    def _as_outbox_error(self, failure: BaseException) -> OutboxError:
        if isinstance(failure, OutboxError):
            return failure
        why = str(failure) or type(failure).__name__
        error = OutboxError(f"The outbox {str(self.path)!r} cannot be used: {why}", stage=Stage.SETTINGS)
        error.is_passing = isinstance(failure, sqlite3.OperationalError)
        if not self.path.parent.is_dir():
            error.hint = "Its directory does not exist; an absolute path has four slashes, as in sqlite:////var/mail.db"
        error.__cause__ = failure
        return error
