"""``before_send`` and ``after_send``: functions of the user's that change a message before it is sent, and learn of its
receipt afterwards."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable
from contextlib import aclosing
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from wlsmtp.errors import ConfigError, ExtensionMissing, MessageError, Stage
from wlsmtp.events import log
from wlsmtp.io.nested import nested
from wlsmtp.message.envelope import Envelope
from wlsmtp.message.merge import MergeRow
from wlsmtp.message.render import is_one_message

if TYPE_CHECKING:
    from wlsmtp.intake import Intake
    from wlsmtp.io.base import IO
    from wlsmtp.items import Item
    from wlsmtp.message.render import Sendable
    from wlsmtp.receipt import Receipt
    from wlsmtp.settings.config import SessionConfig

_END: Any = object()
_is_after: ContextVar[bool] = ContextVar("wlsmtp_after_send", default=False)
"""True while ``after_send`` runs: it is not called for what it sends itself, as that would have no end."""


class _Refused(MergeRow):
    """Stands for an item that gives no message, so that its receipt says why."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def item(self) -> Sendable | tuple[Sendable, Envelope]:
        raise self._error


class HookedItems:
    """The items of ``send_many``, each changed by ``before_send`` when its turn comes."""

    def __init__(self, items: Iterable[Item] | AsyncIterable[Item], hooks: Hooks, intake: Intake) -> None:
        self._later = aiter(items) if isinstance(items, AsyncIterable) else None
        self._at_hand = iter(items) if not isinstance(items, AsyncIterable) else iter(())
        self._hooks, self._intake = hooks, intake

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Item:
        item = next(self._at_hand, _END) if self._later is None else await anext(self._later)
        if item is _END:
            raise StopAsyncIteration
        row = item if isinstance(item, MergeRow) else None
        try:
            given: Any = item if row is None else row.item()
            changed = await self._hooks.before(*self._intake.in_two(given))
        except (MessageError, ExtensionMissing) as error:
            return _Refused(error if row is None else row.refusal(error))
        return changed if row is None else row.becoming(*changed)


class Hooks:
    """The hooks of one session, in their order."""

    def __init__(self, config: SessionConfig, io: IO) -> None:
        self._before: tuple[Callable[..., Any], ...] = config.before_send
        self._after: tuple[Callable[..., Any], ...] = config.after_send
        self._seconds = config.timeout.command
        self._io = io

    @property
    def has_before(self) -> bool:
        """True if a function may change messages."""
        return bool(self._before)

    @property
    def has_after(self) -> bool:
        """True if a function is called with receipts."""
        return bool(self._after)

    async def before(self, message: Sendable, envelope: Envelope) -> tuple[Sendable, Envelope]:
        """Return the message to send in place of another, and its envelope. Raises ``MessageError`` when a function
        fails, takes too long or returns no message. A ``MessageError`` of the function's own is passed on, and so is
        the ``ConfigError`` about an async function in a blocking session."""
        for hook in self._before:
            result: Any = await self._call(hook, message, envelope)
            if result is None:
                hint = "Return the message that is to be sent, changed or not"
                raise MessageError("before_send returned nothing", stage=Stage.MESSAGE, hint=hint)
            is_pair = isinstance(result, tuple) and len(result) == 2 and isinstance(result[1], Envelope)
            changed: Any = result if is_pair else (result, envelope)
            if not is_one_message(changed[0]):
                hint = "Return the message that is to be sent, or the pair of it and an Envelope"
                words = f"before_send returned {type(result).__name__}, not a message"
                raise MessageError(words, stage=Stage.MESSAGE, hint=hint)
            message, envelope = changed
        return message, envelope

    async def _call(self, hook: Callable[..., Any], message: Sendable, envelope: Envelope) -> Any:
        try:
            return await self._io.call(partial(hook, message, envelope), self._io.now() + self._seconds, in_place=True)
        except (MessageError, ExtensionMissing, ConfigError):
            raise
        except TimeoutError as error:
            words = f"before_send took longer than {self._seconds:g} seconds (Timeouts.command)"
            raise MessageError(words, stage=Stage.MESSAGE) from error
        except Exception as error:
            # What it says may repeat a secret: the cause has them, for those who look for it.
            raise MessageError(f"before_send failed ({type(error).__name__})", stage=Stage.MESSAGE) from error

    async def after(self, receipt: Receipt) -> None:
        """Call each function with a receipt. An error is logged, as the message has gone."""
        if _is_after.get():
            return
        token = _is_after.set(True)
        try:
            for hook in self._after:
                try:
                    await self._io.call(partial(hook, receipt), self._io.now() + self._seconds, in_place=True)
                except Exception:
                    log.exception("after_send failed on message %s", receipt.message_id or receipt.id)
        finally:
            _is_after.reset(token)

    async def after_each(self, stream: AsyncGenerator[list[Receipt], None]) -> AsyncGenerator[list[Receipt], None]:
        """Yield the receipts of a stream, each after ``after_send`` was called with it."""
        async with aclosing(stream):
            async for receipts in nested(stream):
                for receipt in receipts:
                    await self.after(receipt)
                yield receipts
