"""A clerk: one thread or task that does the callers' jobs with a database, and simultaneous jobs together.

A caller waits for the result no longer than it wants to; an interrupt finds it outside the database.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wlsmtp.errors import OutboxError, Stage
from wlsmtp.events import log
from wlsmtp.io.order import Rank
from wlsmtp.outbox.lifecycle import State, WorkerLife

if TYPE_CHECKING:
    from wlsmtp.io.base import IO, Bell, Task

TOGETHER = 1000
"""Maximum number of jobs taken from a queue at once, so that other programs get their turn."""
PATIENCE = 30.0
"""Seconds to wait for a job that has begun, before checking it again."""

LOOK_AGAIN = 1.0
"""Seconds after which a waiting caller checks that there is a clerk."""

HEAD_START, LOOK_INTERVAL = 0.05, 0.0002
"""Seconds for a clerk to hand over a job to another process, before its caller does something else; and between two
looks whether it has. Python runs one of them at a time, and changes between them every 5 ms."""


class Job:
    """Something to be done with the database. It waits in a queue; the one that removes it is responsible for it: the
    clerk, or the caller that stops waiting."""

    def __init__(self, what: Any, bell: Bell) -> None:
        self.what, self.bell = what, bell
        self.result: Any = None
        self.failure: Exception | None = None
        self.is_sent = False
        """True once another process does it, and the clerk waits for that."""
        self.is_done = False
        self.is_late = False
        """True if its caller would not have waited so long, had it not begun."""

    def end(self, failure: Exception | None = None) -> None:
        """Set the result or the failure of the job."""
        if failure is not None:
            self.failure = failure
        self.is_done = True


Queue = deque[Job]


@dataclass(frozen=True, slots=True)
class Duties:
    """The work of a clerk, and how long it stays."""

    work: Callable[[], None]
    """Does the queued jobs, which it takes by ``Clerk.take``; blocks. If it raises, for example because there is no
    memory, these jobs and those in the queues have failed."""
    is_open: Callable[[], bool]
    """Returns whether the database is open, so that the clerk waits for more work."""
    leave: Callable[[], None]
    """Called before the clerk ends for lack of work."""
    too_late: Callable[[], OutboxError]
    """Returns the error for a caller that stops waiting for a job that had not begun."""
    no_thread: Callable[[Exception], OutboxError]
    """Returns the error when no clerk can be started."""
    idle_exit_after: float = 5.0
    """Seconds for which a clerk without work stays."""


class Clerk:
    """Belongs to one process and, under asyncio, one event loop."""

    def __init__(self, io: IO, name: str, duties: Duties) -> None:
        self._io = io
        self._name = name
        self._duties = duties
        self._mutex = io.mutex(Rank.SPOOLER)
        self._bell = io.bell()
        self.reads: Queue = deque()
        self.writes: Queue = deque()
        self.closings: Queue = deque()
        self._taken: Queue = deque()
        """Jobs that nobody can withdraw any more, and whose callers were not notified of a result."""
        self._life: WorkerLife | None = None
        self._task: Task[None] | None = None
        """The clerk's task, once it has one."""
        self._lingers = True
        """True if it waits for more work; not while the event loop is ending, which nobody would wait for."""

    async def ask(self, queue: Queue, what: Any, deadline: float, meanwhile: Callable[[], None] | None = None) -> Any:
        """Do ``what``, together with other queued jobs. The caller calls ``meanwhile`` once the job was sent."""
        job = Job(what, self._io.bell())
        queue.append(job)
        try:
            await self._call()
            if meanwhile is not None:
                await self._give_way(job)
                meanwhile()
            while not job.is_done:
                try:
                    await job.bell.wait(min(deadline, self._io.now() + LOOK_AGAIN))
                except TimeoutError:
                    if self._io.now() < deadline:
                        await self._call()  # in asyncio a signal handler may have ended the clerk
                        continue
                    if _take_back(queue, job):
                        raise self._duties.too_late() from None
                    if self._life is None or self._life.state is State.ENDED:
                        raise _broken_off() from None
                    job.is_late = True
                    deadline = self._io.now() + PATIENCE  # the clerk is doing it
        except BaseException:
            _take_back(queue, job)
            raise
        if job.failure is not None:
            raise job.failure
        return job.result

    async def _give_way(self, job: Job) -> None:
        """Let the clerk send a job."""
        latest = self._io.now() + HEAD_START
        while not job.is_sent and not job.is_done and self._io.now() < latest:
            await self._io.sleep(LOOK_INTERVAL)

    async def _call(self) -> None:
        """Ensure that the jobs are done. Raises ``OutboxError`` if there is no thread for them, unless the program is
        ending, and starts none any more: then this caller does them."""
        self._bell.ring()
        hired: WorkerLife | None = None
        try:
            with self._mutex:
                if self._life is not None and self._life.state is not State.ENDED and not self._is_lost:
                    return
                self._task = None
                hired = self._life = WorkerLife(self._io.mutex(Rank.LIFE))
            self._task = self._io.spawn(self._serve(hired), self._name)
        except BaseException as error:
            if hired is not None and hired.move(State.ENDED, only_from=State.NEW):
                if isinstance(error, OSError) and self._io.is_ending:
                    await self._serve_here()
                    return
                if isinstance(error, OSError):
                    raise self._duties.no_thread(error) from error
                await self._call()  # this caller was interrupted; others may count on it
            raise

    async def _serve_here(self) -> None:
        with self._mutex:
            if self._life is not None and self._life.state is not State.ENDED:
                return  # another caller does the jobs of both
            life = self._life = WorkerLife(self._io.mutex(Rank.LIFE))
        self._lingers = False
        await self._serve(life)

    async def _serve(self, life: WorkerLife) -> None:
        if not life.move(State.RUNNING):
            return
        is_cancelled = True
        try:
            while self._has_jobs or (self._lingers and await self._has_more()):
                await self._io.run_in_thread(self._work)
                self._tell()
            is_cancelled = False
        finally:
            # An event loop that ends cancels all tasks: the worker still needs a clerk to store the results of its
            # mail.
            self._lingers = self._lingers and not is_cancelled
            self._tell()
            self._duties.leave()
            life.move(State.ENDED)
            if self._has_jobs:  # requested between the last check and the end
                with suppress(OutboxError):
                    await self._call()

    @property
    def _is_lost(self) -> bool:
        """True if the event loop has cancelled the clerk's task before its first step."""
        return self._task is not None and self._task.is_done

    def _work(self) -> None:
        try:
            self._duties.work()
        except Exception as failure:
            log.exception("the work with the outbox failed")
            for queue in (self.reads, self.writes, self.closings):
                self.take(queue)
            for job in self._taken:
                if not job.is_done:
                    job.end(_broken_off(failure))

    def take(self, queue: Queue, limit: int = TOGETHER) -> list[Job]:
        """Take the jobs to be done now; nobody can withdraw them any more."""
        jobs: list[Job] = []
        with suppress(IndexError):
            while len(jobs) < limit:
                self._taken.append(queue.popleft())
                jobs.append(self._taken[-1])
        return jobs

    def put_back(self, queue: Queue, jobs: list[Job]) -> None:
        """Do these jobs later: they go to the end of the queue."""
        for job in jobs:
            self._taken.remove(job)
            queue.append(job)

    def _tell(self) -> None:
        for _ in range(len(self._taken)):
            job = self._taken[0]
            if job.is_done:
                job.bell.ring()  # before it is removed: an exception of a signal handler leaves it for the next call
            else:  # the clerk was cancelled meanwhile
                self._taken.append(job)
            self._taken.popleft()

    @property
    def _has_jobs(self) -> bool:
        return bool(self.reads or self.writes or self.closings)

    async def _has_more(self) -> bool:
        """Wait for jobs, unless the database was closed."""
        while self._duties.is_open():
            try:
                await self._bell.wait(self._io.now() + self._duties.idle_exit_after)
            except TimeoutError:
                if not self._io.is_ending:
                    break
            if self._has_jobs:  # it may have been rung for work that is already done
                return True
        return self._has_jobs


def _broken_off(cause: Exception | None = None) -> OutboxError:
    """Return the error for a job that was begun, and whose end nobody knows."""
    why = "" if cause is None else f" ({type(cause).__name__})"
    error = OutboxError(f"The work with the outbox was broken off{why}: it may be done or not", stage=Stage.SETTINGS)
    error.hint = "Do it again; a message that is put with an idempotency_key is kept once"
    error.is_passing, error.__cause__ = True, cause
    return error


def _take_back(queue: Queue, job: Job) -> bool:
    """Withdraw a job; return whether it had not begun."""
    try:
        queue.remove(job)
    except ValueError:
        return False
    return True
