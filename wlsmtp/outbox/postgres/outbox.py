"""An outbox in PostgreSQL, for any number of programs on any number of machines.

Two clerks use the database, each over its own connection: one stores what is put, as much of it together as there is,
and one does all the rest. A slow put of a long list therefore delays no lease.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.parse import parse_qsl, urlencode

from wlsmtp.errors import ConfigError, MessageError, Stage
from wlsmtp.io.forks import watch_forks
from wlsmtp.outbox.base import Agenda, Entry, OutboxStatistics, seconds, switch
from wlsmtp.outbox.clock import Clock, Watch
from wlsmtp.outbox.stored import StoredOutbox
from wlsmtp.outbox.within import Within
from wlsmtp.settings.urls import URL, wrong

if TYPE_CHECKING:
    from psycopg_pool import ConnectionPool

    from wlsmtp.io.place import Place
    from wlsmtp.outbox.postgres.database import Agreed, Database, Put, Text
    from wlsmtp.outbox.postgres.desk import Desk
    from wlsmtp.outbox.postgres.notices import Notices

    Pool = ConnectionPool[Any]
else:
    Pool = Any  # from an optional package

T = TypeVar("T")

PATIENCE = 30.0
"""Seconds to wait for the database, unless the caller has less time."""
RESCAN_INTERVAL = 1.0
"""Seconds after which a claim checks all waiting mail, and not only from where the last one ended."""
RESCAN_SHARE = 20
"""A check of all waiting mail is followed by this many times its own duration without another one."""
QUICK = 0.05
"""Seconds that such a check may take to count for nothing."""


class PostgresOutbox(StoredOutbox):
    """Mail in a PostgreSQL database (13 or later), which any number of machines share. Requires psycopg 3: ``pip
    install "wlsmtp[postgres]"``."""

    keeps_pace = True
    _clock = ""
    """The clock of the database as SQL, if it is not the real one."""

    def __init__(
        self,
        conninfo: str = "",
        *,
        pool: Pool | None = None,
        schema: str = "wlsmtp",
        lease: float = 60.0,
        keep: float | None = 7 * 86400.0,
        notify: bool = True,
    ) -> None:
        """``conninfo`` is a libpq connection string: a URL or ``key=value`` pairs; the rest comes from the ``PG…``
        variables. ``pool``, a ``psycopg_pool.ConnectionPool``, replaces it. ``schema`` has the tables, and is created
        with them. ``lease`` and ``keep``: see ``Outbox``. ``notify=False``: no LISTEN and NOTIFY, so that mail of other
        programs is found at the next check, each second. With a ``pool`` nothing listens, as that would take one of its
        connections permanently. Raises ``ConfigError``."""
        try:
            from wlsmtp.outbox.postgres.source import Source
        except ImportError as error:
            hint = 'Install it with: pip install "wlsmtp[postgres]"'
            words = "outbox: PostgreSQL needs psycopg 3"
            raise ConfigError(words, stage=Stage.SETTINGS, hint=hint) from error
        if not lease > 0 or not (keep is None or keep >= 0):
            raise wrong("outbox: lease and keep must be numbers of seconds")
        if not isinstance(schema, str) or not 0 < len(schema.encode()) <= 63 or "\0" in schema:
            raise wrong("outbox: schema must be the name of a schema, of 1 to 63 octets")
        if pool is not None and (conninfo or not hasattr(pool, "getconn") or iscoroutinefunction(pool.getconn)):
            raise wrong("outbox: pool must be a psycopg_pool.ConnectionPool, and stands in place of conninfo")
        self.lease: float = lease
        self.keep: float | None = keep
        self.schema: str = schema
        self.notify: bool = notify
        self.wakes = notify and pool is None
        self._conninfo = conninfo
        self._pool = pool
        self._source = Source(conninfo, pool, schema)
        self._home: Place | None = None
        self._desks: tuple[Desk, Desk] | None = None
        """The desks for puts, and for all the rest; of this process and event loop."""
        self._text: Text | None = None
        self._notices: Notices | None = None
        self._began = 0.0, 0.0
        """A moment by the clock of the database, and by that of ``IO.now``."""
        self._forget()
        watch_forks(self)

    def _forget(self) -> None:
        self._watch = Watch(self.lease)
        self._starts: dict[int, float] = {}
        """By priority: the position where the last claim ended."""
        self._rescan_at = 0.0
        """The next time at which a claim checks all waiting mail, on the clock of ``IO.now``."""
        self._may_rescan_at = 0.0
        self._lanes = 0
        """The number of lanes of waiting mail, when they were all looked at last."""

    @classmethod
    def from_url(cls, url: URL) -> Self:
        """Return an outbox from ``postgresql://user@host/database?schema=mail&lease=60&keep=604800&notify=no``; other
        options after ``?`` go to libpq. Raises ``ConfigError``."""
        options: dict[str, Any] = {}
        rest = []
        head, _, query = url.text.partition("?")
        for name, value in parse_qsl(query, keep_blank_values=True):
            if name in ("lease", "keep"):
                options[name] = seconds(name, value)
            elif name == "notify":
                options[name] = switch(name, value)
            elif name == "schema":
                options[name] = value
            else:
                rest.append((name, value))
        return cls(head + ("?" + urlencode(rest) if rest else ""), **options)

    def __repr__(self) -> str:
        return f"PostgresOutbox({self._source.name!r}, schema={self.schema!r})"

    def __getstate__(self) -> dict[str, Any]:
        if self._pool is not None:
            raise TypeError("a PostgresOutbox with a pool cannot be pickled or copied: give it a connection string")
        settings = {"conninfo": self._conninfo, "schema": self.schema, "lease": self.lease, "keep": self.keep}
        return {**settings, "notify": self.notify}

    def __setstate__(self, settings: dict[str, Any]) -> None:
        self.__init__(**settings)  # type: ignore[misc]

    def before_fork(self) -> None:
        """Do nothing: nothing is shared with a child."""

    def after_fork(self) -> None:
        """Forget the parent's connections in a child, which makes its own."""
        for desk in self._desks or ():
            desk.source.after_fork()
        if self._notices is not None:
            self._notices.after_fork()

    def unix_time(self) -> float:
        """Return the time by the clock of the database, as it was last read."""
        now, heard = self._began
        return now + self.io.now() - heard if now else self.io.unix_time()

    def _hear(self, now: float) -> float:
        if now:
            self._began = now, self.io.now()
        return now

    async def open(self) -> None:
        """Connect, and create the tables if they do not exist."""
        if self._home != self.io.here():
            from wlsmtp.outbox.postgres.database import Text
            from wlsmtp.outbox.postgres.desk import Desk, put_one, put_together
            from wlsmtp.outbox.postgres.notices import Notices
            from wlsmtp.outbox.postgres.source import Source

            self._forget()
            text = self._text = Text(self.schema, *([self._clock] if self._clock else []))
            sources = [Source(self._conninfo, self._pool, self.schema) for _ in range(2)]
            self._desks = (
                Desk(self.io, sources[0], text, "wlsmtp-outbox-puts", put_one, put_together),
                Desk(self.io, sources[1], text, "wlsmtp-outbox-clerk"),
            )
            self._notices = Notices(self.io, Source(self._conninfo, None, self.schema)) if self.notify else None
            self._home = self.io.here()  # last: an interrupt leaves the rest to the next call
        agreed = await self._look(lambda database: database.newest())
        now = self._hear(agreed.now)
        self._trusted = Clock(agreed.found or now, now, self.io.now())

    def script(self) -> str:
        """Return the statements by which ``open`` would make the tables; "" when there is nothing to do. Blocks. Raises
        ``OutboxError``."""
        from wlsmtp.outbox.postgres.desk import pending_script

        return pending_script(self._source)

    async def close(self) -> None:
        """Close the connections; the next call connects again."""
        if self._notices is not None:
            self._notices.close()
        for desk in self._desks or ():
            await desk.close(self.io.now() + PATIENCE)

    async def put(self, entries: Sequence[Entry], deadline: float | None = None) -> list[Entry]:
        """Store entries, as ``Outbox.put``. Mail is stored once, even if a connection is lost before the reply has
        come."""
        return await self._put(entries, self.io.now() + PATIENCE if deadline is None else deadline)

    def packed(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        """Return the entries as parameters of the statement, as ``Outbox.packed``."""
        from wlsmtp.outbox.postgres.database import Packed

        return Packed(entries)

    async def put_while(self, entries: Sequence[Entry], meanwhile: Callable[[], None]) -> list[Entry]:
        """Store entries, as ``Outbox.put_while``."""
        return await self._put(entries, self.io.now() + PATIENCE, meanwhile)

    async def _put(
        self, entries: Sequence[Entry], until: float, meanwhile: Callable[[], None] | None = None
    ) -> list[Entry]:
        for entry in entries:
            check_key(entry.key)
        if not entries:
            return []
        puts, _ = self._at_hand
        agreed: Agreed = await puts.repeat(self._put_of(entries), until, meanwhile)
        self._hear(agreed.now)
        kept: list[Entry] = agreed.found
        return kept

    async def put_within(self, entries: Sequence[Entry], within: Within) -> list[Entry]:
        """Store entries within the caller's transaction, as ``Outbox.put_within``."""
        from wlsmtp.outbox.postgres.within import Guest

        for entry in entries:
            check_key(entry.key)
        assert self._text is not None, "open() comes first"
        return await Guest(within, self._text, self.io).put(self._put_of(entries))

    def _put_of(self, entries: Sequence[Entry]) -> Put:
        from wlsmtp.outbox.postgres.database import Put

        return Put(entries, self._notices is not None and self._notices.wanted(entries, self.unix_time()))

    async def wait(self, timeout: float) -> bool:
        """Wait for mail of other programs, as ``Outbox.wait``."""
        if self._notices is None or not self.wakes:
            return await super().wait(timeout)
        return await self._notices.wait(timeout)

    async def claim(self, owner: str, limit: int) -> list[Entry]:
        """Lease due entries, as ``Outbox.claim``. The search begins where the last claim ended, as long as that finds
        enough. Otherwise, and now and then, it checks all waiting mail: there may be mail before that position, which
        was returned, or put by a slow transaction. With a pace, the lanes of waiting mail are looked at, and of many
        lanes first those of the first mails."""
        if (pace := self.pace) is not None:
            lanes = self._lanes
            agreed = await self._do(lambda database: database.claim_in_lanes(owner, limit, self.lease, pace, lanes))
            self._hear(agreed.now)
            paced: list[Entry]
            paced, self._lanes = agreed.found
            return paced
        if self._starts and self.io.now() < self._rescan_at:
            claimed = await self._claim(owner, limit, self._starts)
            if claimed or self.io.now() < self._may_rescan_at:
                if len(claimed) < limit:
                    self._rescan_at = self._may_rescan_at
                return claimed
        began, self._starts = self.io.now(), {}
        claimed = await self._claim(owner, limit, {})
        self._has_rescanned(began)
        return claimed

    async def _claim(self, owner: str, limit: int, starts: Mapping[int, float]) -> list[Entry]:
        agreed = await self._do(lambda database: database.claim(owner, limit, self.lease, starts))
        self._hear(agreed.now)
        claimed: list[Entry] = agreed.found
        for entry in claimed:
            self._starts[entry.priority] = max(self._starts.get(entry.priority, 0.0), entry.due or 0.0)
        return claimed

    def _has_rescanned(self, began: float) -> None:
        now = self.io.now()
        took = now - began
        self._may_rescan_at = now + RESCAN_SHARE * took if took > QUICK else now
        self._rescan_at = max(now + RESCAN_INTERVAL, self._may_rescan_at)

    async def renew(self, owner: str) -> None:
        """Renew leases, as ``Outbox.renew``."""
        await self._look(lambda database: database.renew(owner, self.lease))

    async def settle(self, owner: str, entries: Sequence[Entry]) -> list[str]:
        """Store the results of leased entries, as ``Outbox.settle``; a repeated call changes nothing."""
        return await self._look(lambda database: database.settle(owner, entries)) if entries else []

    async def reclaim(self, owner: str) -> list[Entry]:
        """Reclaim entries, as ``Outbox.reclaim``. Unreadable records are read again, as another version may be able
        to."""
        agreed = await self._agenda()
        rests = self._watch.look(agreed.found[1], self._hear(agreed.now), self.io.now())
        dead = {name: agreed.found[1][name] for name, rest in rests.items() if rest <= 0 and name != owner}
        return await self._do(lambda database: database.reclaim(dead))

    async def agenda(self) -> Agenda:
        """Return the next times, as ``Outbox.agenda``."""
        agreed = await self._agenda()
        now = self._hear(agreed.now)
        due, leases = agreed.found
        rests = self._watch.look(leases, now, self.io.now())
        return Agenda(due, min((now + rest for rest in rests.values()), default=None))

    async def _agenda(self) -> Agreed:
        """Return the next times from where the last claim ended, if that finds due mail, or soon after a check of
        everything."""
        if (pace := self.pace) is not None:
            lanes = self._lanes
            return await self._look(lambda database: database.agenda_in_lanes(pace, lanes))
        if self._starts and self.io.now() < self._rescan_at:
            starts = self._starts
            agreed = await self._look(lambda database: database.agenda(starts))
            due, _ = agreed.found
            if (due is not None and due <= agreed.now) or self.io.now() < self._may_rescan_at:
                return agreed
        began = self.io.now()
        agreed = await self._look(lambda database: database.agenda({}))
        self._has_rescanned(began)
        return agreed

    async def statistics(self) -> OutboxStatistics:
        """Return the counts, as ``Outbox.statistics``."""
        return await self._look(lambda database: database.statistics())

    async def purge(self, before: float) -> int:
        """Forget finished mail, as ``Outbox.purge``. If the clock may be ahead, less is forgotten."""
        self._hear((await self._look(lambda database: database.newest())).now)
        certain = before - self._trusted.excess(self.unix_time(), self.io.now())
        return await self._look(lambda database: database.purge(certain))

    async def _look(self, function: Callable[[Database], T]) -> T:
        """Do a job that may be repeated when a connection was lost."""
        result: T = await self._at_hand[1].repeat(function, self.io.now() + PATIENCE)
        return result

    async def _do(self, function: Callable[[Database], T]) -> T:
        """Do a job once."""
        result: T = await self._at_hand[1].once(function, self.io.now() + PATIENCE)
        return result

    @property
    def _at_hand(self) -> tuple[Desk, Desk]:
        if self._home is not None and self._home.is_gone:
            raise self._home.error("An open outbox")
        assert self._desks is not None, "open() comes first"
        return self._desks


def check_key(key: str | None) -> None:
    """Raise ``MessageError`` for an idempotency key that PostgreSQL cannot store."""
    try:
        if key is None or b"\0" not in key.encode():
            return
    except UnicodeEncodeError:
        pass
    raise MessageError("idempotency_key: must be text without NUL for PostgreSQL", stage=Stage.MESSAGE)
