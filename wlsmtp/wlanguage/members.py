"""The building blocks of variables: members that are checked when they are set, aliases for them, and arrays that begin
at 1, as in the original."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar, overload

from wlsmtp.wlanguage.errors import UnknownMember, WLanguageError, WrongValue, function
from wlsmtp.wlanguage.spelling import nearest, spelled

__all__ = ["Add", "ArrayAdd"]

T = TypeVar("T")

_MOST = 1_000_000
"""Maximum number of elements that a count may request."""


class Variable:
    """An object with members, found without regard to case and accents. An unknown member is a ``WLanguageError``."""

    __slots__ = ("__weakref__", "_values")
    _type = ""
    """The name of the type in WLanguage."""
    _shown: tuple[str, ...] = ()
    """The members that ``repr`` shows: never a secret, never the text of an email."""

    def __init__(self) -> None:
        self._values: dict[str, Any] = {}

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in self._shown)
        return f"{self._type}({shown})"

    if not TYPE_CHECKING:  # type checkers see the names as they are documented, and find misspelled ones

        def __getattr__(self, name: str) -> Any:
            return getattr(self, self._spelled(name))

        def __setattr__(self, name: str, value: object) -> None:
            object.__setattr__(self, name if hasattr(type(self), name) else self._spelled(name), value)

    def _spelled(self, name: str) -> str:
        found = spelled(type(self), name)
        if found is None:
            near = nearest(type(self), name)
            raise UnknownMember(f"{self._type} has no member {name}" + (f". Did you mean {near}?" if near else ""))
        return found


class Member(Generic[T]):
    """A member: its default, and a function that returns the value to store, or raises ``TypeError`` for a wrong type
    and ``ValueError`` for an impossible value."""

    def __init__(self, check: Callable[[object], T], default: object) -> None:
        self._check = check
        self._default = default

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, variable: None, owner: type) -> Self: ...
    @overload
    def __get__(self, variable: Variable, owner: type) -> T: ...
    def __get__(self, variable: Variable | None, owner: type) -> Self | T:
        if variable is None:
            return self
        if self._name not in variable._values:
            variable._values[self._name] = self._check(self._default)
        value: T = variable._values[self._name]
        return value

    def __set__(self, variable: Variable, value: object) -> None:
        variable._values[self._name] = checked(self._check, value, f"{variable._type}.{self._name}")


class Alias:
    """Another name of a member or a method."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, variable: object, owner: type) -> Any:
        return self if variable is None else getattr(variable, self.name)

    def __set__(self, variable: object, value: object) -> None:
        setattr(variable, self.name, value)


class Count:
    """The number of elements of an array member. A smaller one drops the last elements, a larger one adds empty
    ones."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, variable: object, owner: type) -> Any:
        return self if variable is None else len(getattr(variable, self._name))

    def __set__(self, variable: object, value: int) -> None:
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MOST:
            raise WLanguageError(f"Nb{self._name}: must be a whole number, 0 or more, and at most {_MOST}")
        getattr(variable, self._name).resize(value)


class Array(Generic[T]):
    """An array whose first element is ``[1]``. Setting the element after the last one adds it."""

    def __init__(self, check: Callable[[object], T], blank: Callable[[], T], items: Iterable[object] = ()) -> None:
        self._check = check
        self._blank = blank
        self._items = [check(item) for item in items]

    def __getitem__(self, index: int) -> T:
        return self._items[self._checked(index, len(self._items)) - 1]

    def __setitem__(self, index: int, value: object) -> None:
        self._checked(index, len(self._items) + 1)
        self._items[index - 1 : index] = [checked(self._check, value, f"[{index}]")]

    @function
    def Add(self, value: object) -> int:
        """Add an element at the end; return its index."""
        self[len(self._items) + 1] = value
        return len(self._items)

    Ajoute = Add

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[T]:
        return iter(self._items)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Iterable) and self._items == list(other)

    __hash__: ClassVar[None] = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(self._items)

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            found = spelled(type(self), name)
            if found is None:
                raise UnknownMember(f"an array has no member {name}")
            return getattr(self, found)

    def resize(self, count: int) -> None:
        """Drop the last elements, or add empty ones."""
        del self._items[count:]
        self._items += [self._blank() for _ in range(count - len(self._items))]

    def _checked(self, index: int, last: int) -> int:
        if not isinstance(index, int) or isinstance(index, bool):
            raise WLanguageError(f"the index of an array is a number, not {kind_of(index)}")
        if not 1 <= index <= last:
            raise WLanguageError(f"[{index}]: arrays begin at 1, and this one has {len(self._items)} elements")
        return index


class GrowingArray(Array[T]):
    """An array whose next element is created when it is named: ``Attach[1].Name = …``."""

    def __getitem__(self, index: int) -> T:
        if index == len(self._items) + 1:
            self._items.append(self._blank())
        return super().__getitem__(index)


@function
def Add(array: Array[Any] | list[Any], value: object) -> int:
    """Add an element at the end of an array, or of a list of Python; return its index, which begins at 1."""
    if isinstance(array, list):
        array.append(value)
        return len(array)
    if not isinstance(array, Array):
        raise WLanguageError(f"Add: takes an array, not {kind_of(array)}")
    return array.Add(value)


ArrayAdd = Add


def checked(check: Callable[[object], T], value: object, name: str) -> T:
    """Return a value as ``check`` converts it. Raises ``WLanguageError`` with its name: ``WrongValue`` if only the
    value is impossible."""
    try:
        return check(value)
    except TypeError as error:
        raise WLanguageError(f"{name}: {error}") from None
    except ValueError as error:
        raise WrongValue(f"{name}: {error}") from None


_KINDS = (
    (bool, "a Boolean"), (int, "an integer"), (float, "a real"), (str, "a character string"), (Variable, "a variable"),
    (bytes | bytearray | memoryview, "a buffer"), (Array | list | tuple, "an array"),
)  # fmt: skip


def kind_of(value: object) -> str:
    """Return the type of a value in WLanguage's words."""
    if value is None:
        return "Null"
    return next((words for kind, words in _KINDS if isinstance(value, kind)), "another type")


def text(value: object) -> str:
    """Check a character string."""
    if not isinstance(value, str):
        raise TypeError(f"must be a character string, not {kind_of(value)}")
    return value


def text_or_nothing(value: object) -> str:
    """Check a character string; None, for an omitted argument, is ""."""
    return "" if value is None else text(value)


def path(value: object) -> str:
    """Check the path of a file."""
    if not isinstance(value, str | os.PathLike):
        raise TypeError(f"must be the path of a file, not {kind_of(value)}")
    return os.fspath(value)


def whole(value: object) -> int:
    """Check a whole number; also as a text, as from a settings file or a field of a window."""
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit():
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"must be a whole number, not {kind_of(value)}")
    return value


def whole_options(value: object) -> int:
    """Check constants that were added."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"must be one or more constants, not {kind_of(value)}")
    return value


def flag(value: object) -> bool:
    """Check True or False, or the numbers 1 and 0."""
    if not isinstance(value, int):
        raise TypeError(f"must be True or False, not {kind_of(value)}")
    if value not in (0, 1):
        raise ValueError("must be True or False")
    return bool(value)


def one_of(constants: Mapping[str, int]) -> Callable[[object], int]:
    """Return a check for one of some constants."""

    def check(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise TypeError(f"must be one of {', '.join(constants)}, not {kind_of(value)}")
        if value not in constants.values():
            raise ValueError(f"must be one of {', '.join(constants)}")
        return value

    return check


def array(
    check: Callable[[object], T], blank: Callable[[], T], kind: type[Array[T]] = Array
) -> Callable[[object], Array[T]]:
    """Return a check for an array of elements of one kind; a single value makes an array of one, "" an empty one."""

    def make(value: object) -> Array[T]:
        if isinstance(value, Iterable) and not isinstance(value, str | bytes | os.PathLike):
            return kind(check, blank, value)
        return kind(check, blank, () if value == "" else (value,))

    return make
