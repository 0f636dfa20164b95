"""Extends ``help()`` with the settings: each as a keyword, with its default and its meaning.

The meanings are the docstrings below the fields, where editors look for them. They are read from the source on demand:
pydantic's ``use_attribute_docstrings`` reads it at every import, which then takes a sixth longer.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, ForwardRef, NamedTuple, SupportsIndex, TypeVar

if TYPE_CHECKING:
    from pydantic import BaseModel

F = TypeVar("F", bound=Callable[..., Any])
C = TypeVar("C", bound=type)


class Meaning(NamedTuple):
    """The documentation of one setting."""

    accepts: str
    """The types, as the source spells them."""
    text: str


def meanings(model: type[BaseModel]) -> dict[str, Meaning]:
    """Return the meanings of a model's settings, by name, in the order of its fields. Empty without source code, as in
    a frozen program."""
    classes = [*reversed(model.__mro__), *getattr(model, "_keywords", ())]
    found: dict[str, Meaning] = {}
    for cls in classes:
        if cls.__module__.startswith("wlsmtp."):
            found |= _documented(cls)
    return {name: found[name] for name in model.model_fields if name in found}


def _documented(cls: type) -> dict[str, Meaning]:
    import ast
    from itertools import pairwise
    from textwrap import dedent

    try:
        source = dedent(inspect.getsource(cls))
    except (OSError, TypeError):
        return {}
    [body] = [node.body for node in ast.parse(source).body if isinstance(node, ast.ClassDef)]
    found = {}
    for field, below in pairwise(body):
        match field, below:
            case (
                ast.AnnAssign(target=ast.Name(id=name), annotation=ast.Subscript(ast.Name("Required"), accepts)),
                ast.Expr(ast.Constant(str(text))),
            ) | (ast.AnnAssign(target=ast.Name(id=name), annotation=accepts), ast.Expr(ast.Constant(str(text)))):
                segment = ast.get_source_segment(source, accepts)
                found[name] = Meaning(segment or "", inspect.cleandoc(text))
    return found


class _Documentation(str):
    """A docstring that continues with the settings once it is read."""

    model: type[BaseModel]

    def __get__(self, instance: object, owner: type | None = None) -> str:
        return self.expandtabs()

    def expandtabs(self, tabsize: SupportsIndex = 8) -> str:
        # pydoc reads the docstring of a pydantic model without __get__, and begins with this method.
        lines = [inspect.cleandoc(str(self)), "", "Keywords:", ""]
        for name, meaning in meanings(self.model).items():
            lines += [f"{name}: {meaning.accepts}", *(f"    {line}" for line in meaning.text.splitlines())]
        return "\n".join(lines)


def documents(model: type[BaseModel]) -> Callable[[C], C]:
    """Decorate a class so that its docstring continues with the settings of a model."""

    def documented(cls: C) -> C:
        if cls.__doc__:
            text = _Documentation(cls.__doc__)
            text.model = model
            cls.__doc__ = text
        return cls

    return documented


def spells_out(model: type[BaseModel], keywords: type) -> Callable[[F], F]:
    """Decorate a function whose ``**`` parameter stands for settings of a model. Its signature then names each with its
    default, as ``help()`` and interactive shells show it."""

    def spelled_out(function: F) -> F:
        signature = inspect.signature(function)
        named = [one for one in signature.parameters.values() if one.kind is not one.VAR_KEYWORD]
        named += _parameters(model, keywords.__annotations__)
        function.__signature__ = signature.replace(parameters=named)  # type: ignore[attr-defined]
        return function

    return spelled_out


def _parameters(model: type[BaseModel], types: dict[str, Any]) -> Iterable[inspect.Parameter]:
    for name, field in model.model_fields.items():
        if name in types:
            accepts = types[name].__forward_arg__ if isinstance(types[name], ForwardRef) else types[name]
            yield inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=field.get_default(), annotation=accepts
            )
