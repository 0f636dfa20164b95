"""Analyzes the type of a setting: its alternatives, whether a text can represent it, and its nested models."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from enum import Enum
from pathlib import PurePath
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import AwareDatetime, BaseModel, SecretStr

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

_TEXTUAL = (str, int, float, PurePath, SecretStr, Enum, date, timedelta)


def kinds(annotation: Any) -> Iterator[Any]:
    """Yield the alternatives of a setting's type, one after the other."""
    origin = get_origin(annotation)
    if origin in (Union, UnionType):
        for one in get_args(annotation):
            yield from kinds(one)
    elif origin is Annotated:
        yield from kinds(get_args(annotation)[0])
    else:
        yield annotation


def parts(model: type[BaseModel]) -> dict[str, type[BaseModel]]:
    """Return the settings of a model that are models themselves, by name."""
    return {
        name: kind
        for name, field in model.model_fields.items()
        for kind in kinds(field.annotation)
        if isinstance(kind, type) and issubclass(kind, BaseModel)
    }


def is_textual(field: FieldInfo) -> bool:
    """Return whether a text can represent a setting, as in a URL or a variable."""
    return any(_from_text(kind) for kind in kinds(field.annotation))


def is_list(field: FieldInfo) -> bool:
    """Return whether it is a list of texts."""
    return any(get_origin(kind) in (tuple, frozenset) and _from_text(kind) for kind in kinds(field.annotation))


def is_number(field: FieldInfo) -> bool:
    """Return whether it is a number, and not a bool."""
    found = list(kinds(field.annotation))
    return (int in found or float in found) and bool not in found


def may_be_none(field: FieldInfo) -> bool:
    """Return whether None has a meaning of its own."""
    return type(None) in kinds(field.annotation)


def _from_text(kind: Any) -> bool:
    if get_origin(kind) is Literal or kind is AwareDatetime:
        return True
    if get_origin(kind) in (tuple, frozenset):
        return all(_from_text(inner) for item in get_args(kind) if item is not ... for inner in kinds(item))
    return isinstance(kind, type) and issubclass(kind, _TEXTUAL)
