"""Commands that refuse an option given twice, where it takes one value: the first one would be lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, TypeVar

import typer
from typer.core import TyperCommand

F = TypeVar("F", bound=Callable[..., Any])


class _Command(TyperCommand):
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not ctx.resilient_parsing:  # as for completion, where a line may be half written
            given: list[Any] = list(self.make_parser(ctx).parse_args(args=[*args])[2])
            for option, times in Counter(given).items():
                if times > 1 and not (option.multiple or option.is_flag or option.count):
                    raise typer.BadParameter("is given twice, and takes one value", ctx=ctx, param=option)
        return super().parse_args(ctx, args)


class App(typer.Typer):
    """A ``Typer`` with such commands."""

    def command(self, name: str | None = None, **options: Any) -> Callable[[F], F]:
        """Register a command, as ``Typer.command``."""
        return super().command(name, **{"cls": _Command, **options})
