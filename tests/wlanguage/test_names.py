"""The names: all there, in both languages, and light to import."""

from __future__ import annotations

import re
from pathlib import Path

from tests.test_architecture import loaded_by
from wlsmtp import wlanguage
from wlsmtp.wlanguage import (
    constants,
    email,
    errors,
    french,
    members,
    reading,
    sessions,
    settings,
    spool,
    variable,
)  # fmt: skip

PAGE = (Path(__file__).parents[2] / "docs" / "wlanguage.md").read_text(encoding="utf-8")


def test_importing_it_is_light_and_the_package_does_not_load_it() -> None:
    heavy = {"pydantic", "ssl", "socket", "asyncio", "tenacity", "sqlite3", "email.message"}
    assert loaded_by("from wlsmtp.wlanguage import *") & heavy == set()
    loaded = loaded_by("from wlsmtp import SMTPSession; SMTPSession('localhost')")
    assert not [name for name in loaded if name.startswith("wlsmtp.wlanguage")]


MODULES = [constants, email, errors, french, members, reading, sessions, settings, spool, variable]


def test_the_public_names_are_those_of_the_modules() -> None:
    assert sorted(wlanguage.__all__) == sorted(name for module in MODULES for name in module.__all__)
    for name in wlanguage.__all__:
        assert hasattr(wlanguage, name), name


def test_every_function_and_type_has_a_docstring() -> None:
    for name in wlanguage.__all__:
        value = getattr(wlanguage, name)
        assert isinstance(value, int) or value.__doc__, name


def rows() -> list[list[str]]:
    lines = PAGE.partition("## Name by name")[2].splitlines()
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if line.startswith("| `")]


def names(cell: str) -> list[str]:
    return re.findall(r"`\.?([^\W\d]\w*)", cell)


def test_every_public_name_is_in_the_table() -> None:
    named = {name for row in rows() for cell in row[:2] for name in names(cell)}
    assert set(wlanguage.__all__) - named == {"EmailVariable", "WLanguageError", "Vrai", "Faux"}


def test_every_name_of_the_table_exists() -> None:
    members = {name for kind in (wlanguage.EmailVariable, wlanguage.emailSMTPSession, wlanguage.emailAttach)
               for name in dir(kind)}  # fmt: skip
    for row in rows():
        for name in [*names(row[0]), *names(row[1])]:
            assert name in members or hasattr(wlanguage, name), name


def test_the_table_of_error_codes_is_that_of_the_code() -> None:
    table = PAGE.partition("## Error codes")[2].partition("## Name by name")[0]
    found = {kind: int(code) for code, kind in re.findall(r"^\| (\d+) \|.*`(\w+)` \|$", table, re.MULTILINE)}
    assert found == {**errors.CODES, "SMTPError": 99}


def test_a_french_name_is_the_same_thing() -> None:
    for ours, theirs, *_ in rows():
        if names(theirs) and "." not in ours:
            assert getattr(wlanguage, names(theirs)[0]) is getattr(wlanguage, names(ours)[0])
