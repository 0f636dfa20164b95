"""``typing.get_type_hints`` works on all that is public, as frameworks and documentation tools ask for it."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any, get_type_hints

import pytest

import wlsmtp
import wlsmtp.events
import wlsmtp.testing
import wlsmtp.transports

SPECIAL = {"__init__", "__call__", "__enter__", "__exit__", "__aenter__", "__aexit__", "__iter__", "__next__"}


def public(module: ModuleType) -> Iterator[Any]:
    names = getattr(module, "__all__", None) or [name for name in vars(module) if not name.startswith("_")]
    for name in names:
        value = getattr(module, name)
        if isinstance(value, type) and value.__module__.startswith("wlsmtp"):
            yield value
            yield from methods(value)
        elif inspect.isfunction(value) and value.__module__.startswith("wlsmtp"):
            yield value


def methods(cls: type) -> Iterator[Any]:
    for name, value in ((name, value) for base in cls.__mro__ for name, value in list(vars(base).items())):
        function = getattr(value, "__func__", None) or getattr(value, "fget", None) or getattr(value, "func", value)
        is_ours = inspect.isfunction(function) and function.__module__.startswith("wlsmtp")
        if is_ours and (name in SPECIAL or not name.startswith("_")):
            yield function


@pytest.mark.parametrize(
    "module", [wlsmtp, wlsmtp.transports, wlsmtp.events, wlsmtp.testing], ids=lambda it: it.__name__
)
def test_the_hints_of_all_that_is_public_can_be_read(module: ModuleType) -> None:
    found = set(public(module))
    assert len(found) > 10
    for one in found:
        get_type_hints(one)


@pytest.mark.parametrize("name", ["SMTPError", "Receipt", "Message", "SMTPSession", "Outbox", "Transport"])
def test_they_can_be_read_of_the_first_name_that_is_imported(name: str) -> None:
    code = f"from typing import get_type_hints; from wlsmtp import {name} as it; get_type_hints(it.__init__)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
