"""What variables are made of: members that are checked when they are set, further names for them, and arrays that
begin at 1, as those of the original do."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Generic, Self, TypeVar, overload

from wlsmtp.wlanguage.errors import WLanguageError

__all__ = ["Add"]

T = TypeVar("T")


class Variable:
    """Something that has members; setting one that it does not have is an ``AttributeError``."""

    __slots__ = ("__weakref__", "_values")
    _shown: tuple[str, ...] = ()
    """The members that ``repr`` shows: never a secret, never the text of a mail."""

    def __init__(self) -> None:
        self._values: dict[str, Any] = {}

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in self._shown)
        return f"{type(self).__name__}({shown})"


class Member(Generic[T]):
    """A member: its default, and a function that returns a value as it is kept or raises ``ValueError``."""

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
        try:
            variable._values[self._name] = self._check(value)
        except ValueError as error:
            raise WLanguageError(f"{type(variable).__name__}.{self._name}: {error}") from None


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
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise WLanguageError(f"Nb{self._name}: must be a whole number, 0 or more")
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
        try:
            self._items[index - 1 : index] = [self._check(value)]
        except ValueError as error:
            raise WLanguageError(f"[{index}]: {error}") from None

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[T]:
        return iter(self._items)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Iterable) and self._items == list(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(self._items)

    def resize(self, count: int) -> None:
        """Drop the last elements, or add empty ones."""
        del self._items[count:]
        self._items += [self._blank() for _ in range(count - len(self._items))]

    def _checked(self, index: int, last: int) -> int:
        if not isinstance(index, int) or isinstance(index, bool):
            raise WLanguageError(f"the index of an array is a number, not {type(index).__name__}")
        if not 1 <= index <= last:
            raise WLanguageError(f"[{index}]: arrays begin at 1, and this one has {len(self._items)} elements")
        return index


class GrowingArray(Array[T]):
    """An array whose next element is there as soon as it is named: ``Attach[1].Name = …``."""

    def __getitem__(self, index: int) -> T:
        if index == len(self._items) + 1:
            self._items.append(self._blank())
        return super().__getitem__(index)


def Add(array: Array[Any], value: object) -> int:
    """Add an element at the end; return its index."""
    array[len(array) + 1] = value
    return len(array)


def text(value: object) -> str:
    """A ``str``."""
    if not isinstance(value, str):
        raise ValueError(f"must be a str, not {type(value).__name__}")
    return value


def flag(value: object) -> bool:
    """True or False, or the numbers 1 and 0."""
    if not isinstance(value, int) or value not in (0, 1):
        raise ValueError("must be True or False")
    return bool(value)


def one_of(constants: Mapping[str, int]) -> Callable[[object], int]:
    """One of some constants."""

    def check(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or value not in constants.values():
            raise ValueError(f"must be one of {', '.join(constants)}")
        return value

    return check


def array(
    check: Callable[[object], T], blank: Callable[[], T], kind: type[Array[T]] = Array
) -> Callable[[object], Array[T]]:
    """An array of elements of one kind; a single value makes an array of one, "" an empty one."""

    def make(value: object) -> Array[T]:
        if isinstance(value, Iterable) and not isinstance(value, str | bytes | os.PathLike):
            return kind(check, blank, value)
        return kind(check, blank, () if value == "" else (value,))

    return make
