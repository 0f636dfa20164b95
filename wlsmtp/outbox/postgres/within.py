"""Mail that is put on a connection of the program, in its transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.pq import PipelineStatus, TransactionStatus
from psycopg.rows import tuple_row

from wlsmtp.errors import ConfigError, OutboxError, Stage
from wlsmtp.outbox.postgres.arrays import let_take_arrays
from wlsmtp.outbox.postgres.database import Agreed, KeyInUse, Put, Text, putting
from wlsmtp.outbox.postgres.failures import hint_of, is_passing
from wlsmtp.outbox.within import Within, not_begun, refused

if TYPE_CHECKING:
    from wlsmtp.io.base import IO
    from wlsmtp.outbox.base import Entry

UTF8 = "UTF8"
_SET_ENCODING = b"SELECT set_config('client_encoding', %(encoding)s, true)"


class Guest:
    """Runs statements on a connection of the program, and leaves its transaction open."""

    def __init__(self, within: Within, text: Text, io: IO) -> None:
        """Raises ``ConfigError`` for anything but a psycopg connection, for one that commits at once, and for one in a
        pipeline, where no result can be read."""
        connection = within.connection
        if isinstance(connection, psycopg.Cursor | psycopg.AsyncCursor):
            connection = connection.connection
        if not isinstance(connection, psycopg.Connection | psycopg.AsyncConnection):
            raise refused(connection)
        is_async = isinstance(connection, psycopg.AsyncConnection)
        if is_async and io.here().loop is None:
            words = "within: an async connection belongs to its event loop, and SMTPSession has none"
            raise ConfigError(words, stage=Stage.SETTINGS, hint="Use AsyncSMTPSession")
        if connection.info.pipeline_status is not PipelineStatus.OFF:
            hint = "Send the message before the pipeline begins, or after it has ended"
            raise ConfigError("within: the connection is in pipeline mode", stage=Stage.SETTINGS, hint=hint)
        is_idle = connection.info.transaction_status is TransactionStatus.IDLE
        if connection.autocommit and is_idle and not within.may_autocommit:
            raise not_begun()
        self._connection: Any = connection
        self._is_async = is_async
        self._text = text
        self._io = io

    async def put(self, put: Put) -> list[Entry]:
        """Put mail; it exists once the transaction commits. Raises ``OutboxError``, and the transaction has failed."""
        try:
            if self._connection.autocommit and self._connection.info.transaction_status is TransactionStatus.IDLE:
                return await self._put_at_once(put)
            return await self._put(put)
        except psycopg.Error as failure:
            why = " ".join(str(failure).split())
            error = OutboxError(f"The message could not be put into the transaction: {why}", stage=Stage.SETTINGS)
            error.is_passing = is_passing(failure)
            error.hint = ". ".join(filter(None, (hint_of(failure), "The transaction must be rolled back")))
            raise error from failure

    async def _put_at_once(self, put: Put) -> list[Entry]:
        await self._say(b"BEGIN", {})
        try:
            kept = await self._put(put)
        except BaseException:
            await self._say(b"ROLLBACK", {})
            raise
        await self._say(b"COMMIT", {})
        return kept

    async def _put(self, put: Put) -> list[Entry]:
        if (encoding := self._connection.info.parameter_status("client_encoding")) == UTF8:
            return await self._put_text(put)
        await self._say(_SET_ENCODING, {"encoding": UTF8})
        kept = await self._put_text(put)  # if it fails, the rollback has the old encoding
        await self._say(_SET_ENCODING, {"encoding": encoding})
        return kept

    async def _put_text(self, put: Put) -> list[Entry]:
        try:
            agreed = await self._play(put, waits=False)
        except KeyInUse:
            agreed = await self._play(put, waits=True)
        kept: list[Entry] = agreed.found
        return kept

    async def _play(self, put: Put, *, waits: bool) -> Agreed:
        steps, rows = putting(put, self._text, waits=waits), None
        try:
            while True:
                statement, values = steps.send(rows)
                rows = await self._say(self._text.of(statement), values)
        except StopIteration as end:
            agreed: Agreed = end.value
            return agreed

    async def _say(self, statement: bytes, values: dict[str, Any]) -> list[Any]:
        if self._is_async:
            async with psycopg.AsyncCursor(self._connection, row_factory=tuple_row) as cursor:
                let_take_arrays(cursor)
                await cursor.execute(statement, values, prepare=False, binary=True)
                return await cursor.fetchall() if cursor.description is not None else []

        def say() -> list[Any]:
            with psycopg.Cursor(self._connection, row_factory=tuple_row) as cursor:
                let_take_arrays(cursor)
                cursor.execute(statement, values, prepare=False, binary=True)
                return cursor.fetchall() if cursor.description is not None else []

        return await self._io.run_in_thread(say)
