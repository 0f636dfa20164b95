"""Many messages into an outbox, a list at a time: the next list is made while another process stores one."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Callable, Collection, Iterable, Iterator, Sequence
from contextlib import aclosing, suppress
from itertools import islice
from typing import TYPE_CHECKING

from wlsmtp.errors import ExtensionMissing, MessageError
from wlsmtp.io.nested import nested
from wlsmtp.message.mail import Mail
from wlsmtp.message.merge import Merge

if TYPE_CHECKING:
    from wlsmtp.accounts import Accounts
    from wlsmtp.events import Announcer
    from wlsmtp.hooks import Hooks
    from wlsmtp.intake import Intake
    from wlsmtp.items import Item
    from wlsmtp.outbox.base import Entry
    from wlsmtp.outbox.spooler import Spooler
    from wlsmtp.receipt import Receipt

TOGETHER = 200
"""Messages of a collection that are put into an outbox at once."""

Refusal = MessageError | ExtensionMissing


class _List:
    """Messages that are stored together."""

    def __init__(self, results: list[Mail | Refusal]) -> None:
        self.results = results
        """Each message, or why it is none."""
        self.mails: list[Mail] = [one for one in results if isinstance(one, Mail)]
        self.entries: Sequence[Entry] | None = None
        """Those of ``mails``; None if they are to be made when they are stored."""


class Posting:
    """Stores messages of one session."""

    def __init__(
        self, spooler: Callable[[], Spooler], intake: Intake, accounts: Accounts, hooks: Hooks, announce: Announcer,
        within: object,
    ) -> None:  # fmt: skip
        """``spooler`` returns that of the event loop in which the receipts are read. ``within``: see
        ``SMTPSession.send``."""
        self._spooler = spooler
        self._intake = intake
        self._accounts = accounts
        self._hooks = hooks
        self._announce = announce
        self._within = within

    async def receipts(self, items: Iterable[Item] | AsyncIterable[Item]) -> AsyncGenerator[list[Receipt], None]:
        """Yield the receipts of the messages, in order. An input that is generated while it is read gets the receipt of
        each item before the next one is requested."""
        if isinstance(items, AsyncIterable):
            async for item in items:
                yield await self._post(self._made([item]))
            return
        rest, is_at_hand = iter(items), isinstance(items.rows if isinstance(items, Merge) else items, Collection)
        if is_at_hand and self._within is None:
            async with aclosing(self._ahead(rest)) as lists:
                async for receipts in nested(lists):
                    yield receipts
        else:
            while together := list(islice(rest, TOGETHER if is_at_hand else 1)):
                yield await self._post(self._made(together))

    async def _ahead(self, rest: Iterator[Item]) -> AsyncGenerator[list[Receipt], None]:
        """Make each list while the one before it is stored. Nothing is stored before it is asked for."""
        await self._spooler().ready()
        following: list[_List | Exception] = [self._scheduled(rest)]

        def make() -> None:
            try:
                following.append(self._scheduled(rest))
            except Exception as error:  # the receipts of the list before it come first
                following.append(error)

        while not isinstance(made := following.pop(), Exception):
            if not made.results:
                return
            receipts = await self._post(made, make)
            if not following:
                make()
            yield receipts
        raise made

    def _scheduled(self, rest: Iterator[Item]) -> _List:
        made = self._made(list(islice(rest, TOGETHER)))
        if len(made.results) == TOGETHER:  # a shorter one is the last, and nothing is made meanwhile
            with suppress(MessageError, ExtensionMissing):
                made.entries = self._spooler().packed(made.mails, carried=self._announce.carried())
        return made

    def _made(self, items: list[Item]) -> _List:
        return _List([self._mail_or_refusal(item) for item in items])

    def _mail_or_refusal(self, item: Item) -> Mail | Refusal:
        try:
            return self._intake.mail_of(item)
        except (MessageError, ExtensionMissing) as error:
            return error

    async def _post(self, made: _List, meanwhile: Callable[[], None] = lambda: None) -> list[Receipt]:
        """Put messages into the outbox, together if all of them can be stored. ``meanwhile`` is called once at most."""
        self._intake.warn()
        try:
            if made.entries:
                kept = await self._spooler().post_while(made.entries, meanwhile)
            else:
                kept = await self._keep(made.mails)
        except (MessageError, ExtensionMissing):  # a content that cannot be read: nothing was stored
            kept = await self._keep(made.mails)
        if len(kept) == len(made.results):
            return kept
        rest = iter(kept)
        return [next(rest) if isinstance(one, Mail) else await self._refused(one) for one in made.results]

    async def _keep(self, mails: list[Mail]) -> list[Receipt]:
        try:
            carried = self._announce.carried()
            return await self._spooler().post_all(mails, within=self._within, carried=carried) if mails else []
        except (MessageError, ExtensionMissing) as error:
            if len(mails) == 1:
                return [await self._refused(error)]
        return [receipt for mail in mails for receipt in await self._keep([mail])]

    async def _refused(self, error: Refusal) -> Receipt:
        receipt = self._accounts.not_a_message(error)
        if self._hooks.has_after:
            await self._hooks.after(receipt)
        return receipt
