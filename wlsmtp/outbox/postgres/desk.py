"""Runs PostgreSQL jobs on behalf of all callers: a clerk with a connection, and the recovery when that is lost."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import psycopg

from wlsmtp.errors import MessageError, OutboxError, Stage
from wlsmtp.outbox.clerk import Clerk, Duties, Job
from wlsmtp.outbox.postgres.database import Agreed, Database, KeyInUse, Put, Text
from wlsmtp.outbox.postgres.failures import Unreachable, hint_of, is_lost, is_passing, is_rolled_back
from wlsmtp.outbox.postgres.schema import MIGRATIONS, look, script

if TYPE_CHECKING:
    from wlsmtp.io.base import IO
    from wlsmtp.outbox.postgres.source import Source

IDLE_EXIT_AFTER = 30.0
"""Seconds after which an unused connection is closed."""
ROLLED_BACK_TRIES = 10
"""How often a job is done again when it was rolled back for the sake of another transaction."""
PUT_TOGETHER = 100
"""Maximum number of puts in one statement."""


def _call(database: Database, function: Callable[[Database], Any]) -> Any:
    return function(database)


class Desk:
    """Belongs to one process and event loop."""

    def __init__(
        self,
        io: IO,
        source: Source,
        text: Text,
        name: str,
        do: Callable[[Database, Any], Any] = _call,
        together: Callable[[Database, list[Job]], None] | None = None,
    ) -> None:
        """``do`` does one job, and ``together`` several of them, as far as that is possible."""
        self.source: Source = source
        self._io = io
        self._text = text
        self._do_one = do
        self._together = together
        self._is_needed = False
        duties = Duties(
            work=self._work,
            is_open=lambda: self._is_needed,
            leave=self._leave,
            too_late=self._too_late,
            no_thread=self._as_outbox_error,
            idle_exit_after=IDLE_EXIT_AFTER,
        )
        self._clerk = Clerk(io, name, duties)

    async def repeat(self, what: Any, deadline: float, meanwhile: Callable[[], None] | None = None) -> Any:
        """Do a job that is harmless when it is done twice, and let its caller do ``meanwhile``."""
        self._is_needed = True
        return await self._clerk.ask(self._clerk.reads, what, deadline, meanwhile)

    async def once(self, function: Callable[[Database], Any], deadline: float) -> Any:
        """Do a job that is not repeated when its reply was lost."""
        self._is_needed = True
        return await self._clerk.ask(self._clerk.writes, function, deadline)

    async def close(self, deadline: float) -> None:
        """Release the connection."""
        if self._is_needed:
            await self._clerk.ask(self._clerk.closings, lambda _: None, deadline)

    def _leave(self) -> None:
        self._is_needed = False
        self.source.close()

    def _work(self) -> None:
        clerk = self._clerk
        for queue in (clerk.reads, clerk.writes):
            jobs = clerk.take(queue, PUT_TOGETHER)
            left = [*jobs]
            try:
                self._do_all(left, may_repeat=queue is clerk.reads)
            except Exception as failure:
                for job in left:
                    job.end(self._as_reported(failure))
            clerk.put_back(queue, [job for job in jobs if not job.is_done])
        if closings := clerk.take(clerk.closings):
            self._leave()
            for job in closings:
                job.end()

    def _do_all(self, left: list[Job], *, may_repeat: bool) -> None:
        """Do the jobs, which are removed from ``left``; raises an error that affects all remaining ones."""
        together = self._together
        if together is not None and len(left) > 1:
            with suppress(Exception):  # one by one it shows which of them fails
                self._with_database(lambda database: together(database, left), left)
            left[:] = [job for job in left if not job.is_done]
        while left:
            self._do(left[0], may_repeat=may_repeat)
            del left[0]

    def _do(self, job: Job, *, may_repeat: bool) -> None:
        try:
            job.result = self._try(job, may_repeat=may_repeat)
        except KeyInUse:
            if not job.is_late:
                return  # it goes behind the others
            job.failure = self._too_late()
        except Unreachable:
            raise
        except Exception as failure:
            job.failure = self._as_reported(failure)
        job.end()

    def _try(self, job: Job, *, may_repeat: bool) -> Any:
        """Do a job: again if it was rolled back for the sake of another transaction, and once more if it ``may_repeat``
        and the connection was lost."""
        for tries in range(ROLLED_BACK_TRIES, -1, -1):
            try:
                return self._with_database(lambda database: self._do_one(database, job.what), [job])
            except psycopg.OperationalError as failure:
                if is_lost(failure) and may_repeat:
                    may_repeat = False
                elif not tries or job.is_late or not is_rolled_back(failure):
                    raise
        raise AssertionError("the last try raises")

    def _with_database(self, function: Callable[[Database], Any], jobs: list[Job]) -> Any:
        def tell() -> None:
            for job in jobs:
                job.is_sent = True

        with self.source.connection() as connection:
            return function(Database(connection, self._text, self.source, tell))

    def _too_late(self) -> OutboxError:
        words = f"The outbox {self.source.name!r} is busy, or another transaction has the idempotency key"
        return _passing(words, "Nothing was changed, and it may be tried again")

    def _as_reported(self, failure: Exception) -> Exception:
        """Return the error to report for a failure."""
        return failure if isinstance(failure, OutboxError | MessageError) else self._as_outbox_error(failure)

    def _as_outbox_error(self, failure: Exception) -> OutboxError:
        why = " ".join((str(failure) or type(failure).__name__).split())
        words = f"The outbox {self.source.name!r} cannot be used: {why}"
        hint = hint_of(failure)
        if is_passing(failure) or isinstance(failure, OSError | MemoryError):
            again = "It may be tried again; what was put with an idempotency_key is kept once"
            error = _passing(words, again if hint is None else f"{hint}. {again}")
        else:
            error = OutboxError(words, stage=Stage.SETTINGS, hint=hint)
        error.__cause__ = failure
        return error


def put_together(database: Database, jobs: list[Job]) -> None:
    """Store the puts of several callers in one statement."""
    puts: list[Put] = [job.what for job in jobs]
    entries = [entry for put in puts for entry in put.entries]
    agreed = database.put(Put(entries, any(put.notifies for put in puts)))
    rest = iter(agreed.found)
    for job, put in zip(jobs, puts, strict=True):
        job.result = Agreed(agreed.now, [next(rest) for _ in put.entries])
        job.end()


def put_one(database: Database, put: Put) -> Agreed:
    """Store the put of one caller."""
    try:
        return database.put(put)
    except KeyInUse:
        return database.put_patiently(put)


def _passing(words: str, hint: str) -> OutboxError:
    error = OutboxError(words, stage=Stage.SETTINGS, hint=hint)
    error.is_passing = True
    return error


def pending_script(source: Source) -> str:
    """Return the statements that are missing. Raises ``OutboxError``."""
    try:
        with source.connect() as connection:
            version = look(connection, source.schema).version
    except psycopg.Error as error:
        why = " ".join(str(error).split())
        failure = _passing(
            f"The outbox {source.name!r} cannot be used: {why}", hint_of(error) or "Is the database there?"
        )
        failure.is_passing = is_passing(error)
        raise failure from error
    return script(source.schema, version) if version < len(MIGRATIONS) else ""
