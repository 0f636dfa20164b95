"""Mail merges: one template and many rows. Each row becomes a message when its turn comes, so that a bad row fails by
itself, and rows may come from a cursor that is read while mail is sent."""

from __future__ import annotations

from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Generator,
    Iterable,
    Iterator,
    Mapping,
)  # fmt: skip
from email.message import Message as Email
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from wlsmtp.errors import ExtensionMissing, MessageError, Stage
from wlsmtp.habits import OF_FIELDS
from wlsmtp.message.envelope import Envelope
from wlsmtp.message.more import MORE

if TYPE_CHECKING:
    from wlsmtp.message.model import Message
    from wlsmtp.message.read import AnyEmail
    from wlsmtp.message.render import Sendable
else:
    Message = Sendable = Any  # their modules import this one
    AnyEmail = Email  # its module takes long to import

Made: TypeAlias = Message | AnyEmail | bytes | Mapping[str, Any] | tuple[Sendable, Envelope]
Row: TypeAlias = Mapping[str, Any] | Callable[[Message], Made] | Callable[[], Made]
"""The fields that change, as ``Message.but`` accepts them; or a function, called with the template if it takes an
argument, that returns such fields, a message, or a message with its envelope."""

_LONGEST = 300
_ROWS_OF_TABLES = {"iterrows": "to_dict('records')", "to_dicts": "iter_rows(named=True)"}
"""A method that only tables of pandas and Polars have, and what gives their rows."""
_ROW_HINT = "A row is a dict of the fields of Message that change, or a function that is given the letter"


class MergeRow:
    """One row of a merge: a message that is not made yet. ``send_many`` and ``send_all`` make it when its turn comes;
    its receipt reports what is wrong with it."""

    __slots__ = ("_letter", "_row", "index")

    def __init__(self, letter: Message, row: object, index: int) -> None:
        self._letter = letter
        self._row = row
        self.index: int = index
        """The index of the row, from 0."""

    def message(self) -> Sendable:
        """Return a new message for the row. Raises ``MessageError`` that names the row and the reason."""
        made = self.item()
        return made[0] if isinstance(made, tuple) else made

    def item(self) -> Sendable | tuple[Sendable, Envelope]:
        """Return the message, with its envelope if the row gives one. Raises ``MessageError``."""
        try:
            return self._made(self._row)
        except Exception as error:  # an exception of the function is about its row; the other rows are still sent
            raise self.refusal(error) from error

    def _made(self, row: Any) -> Sendable | tuple[Sendable, Envelope]:
        if callable(row) and not isinstance(row, Mapping):
            row = row(self._letter) if _takes_something(row) else row()
            if isinstance(row, tuple | Email | bytes | bytearray | memoryview | type(self._letter)):
                return cast("Sendable | tuple[Sendable, Envelope]", row)
        if isinstance(row, Coroutine):
            row.close()
            raise MessageError(
                "an async function is not a row", stage=Stage.MESSAGE, hint="Await it where rows are made"
            )
        fields = values_of(row)
        if unknown := [name for name in fields if name not in vars(self._letter) and name not in MORE]:
            raise _unknown(unknown[0], [name for name in (*vars(self._letter), *MORE) if name[0] != "_"])
        return self._letter.but(**fields)

    def becoming(self, message: Sendable, envelope: Envelope) -> MergeRow:
        """Return the same row, which gives this message now."""
        return MergeRow(self._letter, lambda: (message, envelope), self.index)

    def refusal(self, error: Exception) -> MessageError | ExtensionMissing:
        """Return the error that names the row."""
        if isinstance(error, MessageError | ExtensionMissing):
            if error.row is not None:
                return error
            words, hint, kind = error.message, error.hint, type(error)
        else:
            words, hint, kind = _said_by(error), None, MessageError
        words = words if len(words) <= _LONGEST else f"{words[:_LONGEST]}…"
        error = kind(f"rows[{self.index}]: {words}", stage=Stage.MESSAGE, hint=hint)
        error.row = self.index
        return error

    def __repr__(self) -> str:
        return f"<MergeRow {self.index}>"


class Merge:
    """All rows, in order."""

    def __init__(self, letter: Message, rows: Iterable[object], kind: type[MergeRow] = MergeRow) -> None:
        self._letter, self._kind = letter, kind
        self.rows = rows
        """The rows as they were given."""

    def __iter__(self) -> Iterator[MergeRow]:
        for index, row in enumerate(self.rows):
            yield self._kind(self._letter, row, index)


class AsyncMerge:
    """All rows, from an asynchronous source."""

    def __init__(self, letter: Message, rows: AsyncIterable[object], kind: type[MergeRow] = MergeRow) -> None:
        self._letter, self._kind = letter, kind
        self.rows = rows
        """The rows as they were given."""

    def __aiter__(self) -> AsyncIterator[MergeRow]:
        return _AsyncRows(partial(self._kind, self._letter), aiter(self.rows))


class _AsyncRows:
    def __init__(self, make: Callable[[object, int], MergeRow], rows: AsyncIterator[object]) -> None:
        self._make, self._rows = make, rows
        self._index = -1

    def __aiter__(self) -> AsyncIterator[MergeRow]:
        return self

    def __anext__(self) -> Awaitable[MergeRow]:
        self._index += 1
        return _Next(self._rows.__anext__(), self._make, self._index)


class _Next:
    """Returns the next row when it is available. Written without ``async``, as nothing in this package waits."""

    def __init__(self, row: Awaitable[object], make: Callable[[object, int], MergeRow], index: int) -> None:
        self._row, self._make, self._index = row, make, index

    def __await__(self) -> Generator[Any, Any, MergeRow]:
        row = yield from self._row.__await__()
        return self._make(row, self._index)


def merged(letter: Message, rows: object, kind: type[MergeRow] = MergeRow) -> Merge | AsyncMerge:
    """Return all rows. Raises ``MessageError`` for a value that holds no rows."""
    if isinstance(rows, AsyncIterable):
        return AsyncMerge(letter, rows, kind)
    if isinstance(rows, Mapping | Email | str | bytes | type(letter)) or not isinstance(rows, Iterable):
        words = f"merge takes an iterable of rows, not one {type(rows).__name__}"
        raise MessageError(words, stage=Stage.MESSAGE, hint=_ROW_HINT)
    for method, rest in _ROWS_OF_TABLES.items():
        if callable(getattr(rows, method, None)):
            words, hint = f"A {type(rows).__name__} gives its columns, not its rows", f"Use its {rest}"
            raise MessageError(words, stage=Stage.MESSAGE, hint=hint)
    return Merge(letter, rows, kind)


def values_of(row: Any) -> dict[str, Any]:
    """Return the values of a row. Raises ``MessageError`` for what has none."""
    # Database rows often have the methods of a mapping without being one.
    if not isinstance(row, Mapping) and not (hasattr(row, "keys") and hasattr(row, "__getitem__")):
        words = f"{type(row).__name__} is neither fields of a message nor makes one"
        raise MessageError(words, stage=Stage.MESSAGE, hint=_ROW_HINT)
    return {name: row[name] for name in row.keys()}  # noqa: SIM118


def _said_by(error: Exception) -> str:
    """Return the type and text of an error. The text of a foreign error may itself fail; the other rows must still be
    sent."""
    try:
        words = str(error)
    except Exception:
        words = ""
    return f"{type(error).__name__}: {words}" if words else type(error).__name__


def _unknown(name: object, known: list[str]) -> MessageError:
    from difflib import get_close_matches

    ours = OF_FIELDS.get(str(name))
    nearest = [ours] if ours else get_close_matches(str(name), known, 1)
    words = f"{str(name)[:80]!r} is not a field of a message; "
    words += f"did you mean {nearest[0]!r}?" if nearest else f"there are {', '.join(known)}"
    hint = "Make the fields of what you have: dict(to=row['email'], text=f\"Dear {row['name']}\")"
    return MessageError(words, stage=Stage.MESSAGE, hint=hint)


def _takes_something(function: Callable[..., object]) -> bool:
    """Return whether it has a required parameter: a default may be there to bind a loop variable."""
    from inspect import Parameter, signature

    try:
        parameters = signature(function).parameters.values()
    except (ValueError, TypeError):
        return True
    kinds = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
    return any(one.kind in kinds and one.default is Parameter.empty for one in parameters)
