"""The names: all there, in both languages, and light to import."""

from __future__ import annotations

import builtins
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.test_architecture import loaded_by
from wlsmtp import SessionConfig, wlanguage
from wlsmtp.wlanguage import (
    Email,
    address,
    constants,
    contents,
    dialogs,
    email,
    emailSMTPSession,
    errors,
    french,
    members,
    reading,
    sessions,
    settings,
    spool,
    variable,
)  # fmt: skip
from wlsmtp.wlanguage.spelling import plain

PAGE = (Path(__file__).parents[2] / "docs" / "migration" / "wlanguage.md").read_text(encoding="utf-8")


def test_importing_it_is_light_and_the_package_does_not_load_it() -> None:
    heavy = {"pydantic", "ssl", "socket", "asyncio", "tenacity", "sqlite3", "email.message"}
    assert loaded_by("from wlsmtp.wlanguage import *") & heavy == set()
    loaded = loaded_by("from wlsmtp import SMTPSession; SMTPSession('localhost')")
    assert not [name for name in loaded if name.startswith("wlsmtp.wlanguage")]


MODULES = [
    address, constants, contents, dialogs, email, errors, french, members, reading, sessions, settings, spool, variable,
]  # fmt: skip
NAMES = [name for module in MODULES for name in module.__all__]
"""As they are documented."""


def test_the_public_names_are_those_of_the_modules_and_their_usual_spellings() -> None:
    assert len(set(NAMES)) == len(NAMES) and len(set(wlanguage.__all__)) == len(wlanguage.__all__)
    assert set(NAMES) <= set(wlanguage.__all__)
    assert {plain(name) for name in NAMES} == {plain(name) for name in wlanguage.__all__}
    for name in wlanguage.__all__:
        assert hasattr(wlanguage, name), name


def test_no_two_names_differ_by_case_and_accents_alone() -> None:
    assert len(set(map(plain, NAMES))) == len(NAMES)


def everything() -> dict[str, object]:
    namespace: dict[str, object] = {}
    exec("from wlsmtp.wlanguage import *", namespace)
    return namespace


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("optionSSL", "OptionSSL"),
        ("EmailOptionSecuredTLS", "emailOptionSecuredTLS"),
        ("emailSendMessage", "EmailSendMessage"),
        ("emailOptionSecuriseTLS", "emailOptionSécuriséTLS"),
        ("ErreurDetectee", "ErreurDétectée"),
        ("EmailVerifieAdresse", "EmailVérifieAdresse"),
        ("EmailLitEntetePrecedent", "EmailLitEntêtePrécédent"),
    ],
)
def test_everything_that_is_imported_comes_with_the_usual_spellings(spelling: str, name: str) -> None:
    assert everything()[spelling] is getattr(wlanguage, name)


def test_what_is_imported_hides_no_module_and_no_builtin() -> None:
    assert not {name for name in everything() if name in (sys.stdlib_module_names | set(dir(builtins)))} - {
        "__builtins__"
    }


@pytest.mark.parametrize("spell", [str.upper, str.lower, str.title, str.swapcase])
def test_by_its_module_a_name_may_be_spelled_in_any_way(spell: Callable[[str], str]) -> None:
    for name in NAMES:
        if spell(name) not in (module.__name__.rpartition(".")[2] for module in MODULES):
            assert getattr(wlanguage, spell(name)) is getattr(wlanguage, name)


@pytest.mark.parametrize("name", ["EmailSendMesage", "__path", "_NAME"])
def test_another_name_is_an_error(name: str) -> None:
    with pytest.raises(AttributeError, match=name):
        getattr(wlanguage, name)


@pytest.mark.parametrize("name", ["Expéditeur", "expediteur", "EXPÉDITEUR", "SENDER", "sender"])
def test_a_member_may_be_spelled_in_any_way(name: str) -> None:
    message = Email()
    for variable_ in (message, Email):
        setattr(variable_, name, "ann@example.com")
        assert variable_.Sender == getattr(variable_, name) == "ann@example.com"
    message.message = "Hello"  # type: ignore[attr-defined]
    assert message.Message == message.MESSAGE == "Hello"  # type: ignore[attr-defined]
    session = emailSMTPSession()
    session.serveraddress, session.MOTDEPASSE = "smtp.example.com", "secret"  # type: ignore[attr-defined]
    assert (session.ServerAddress, session.Password) == ("smtp.example.com", "secret")


@pytest.mark.parametrize("kind", [wlanguage.EmailVariable, emailSMTPSession, wlanguage.emailAttach])
def test_no_name_of_python_hides_a_member(kind: type) -> None:
    members = {plain(name) for name in dir(kind) if name[:1].isupper()}
    assert not members & {name for name in dir(kind) if name[:1].islower()}


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
    assert set(NAMES) - named == {"EmailVariable", "WLanguageError", "Vrai", "Faux"}


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


README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [("ServerAddress", "server"), ("Port", "port"), ("Option", "security"), ("Asynchronous", "mode")],
)
def test_the_first_screen_of_the_readme_has_the_words_of_the_original(theirs: str, ours: str) -> None:
    first_screen = README.splitlines()[:24]
    (row,) = [line for line in first_screen if line.startswith(f"| `{theirs}`")]
    assert row.split("|")[2].strip().startswith(f"`{ours}`")
    assert isinstance(getattr(emailSMTPSession(), theirs), str | int) and ours in SessionConfig.model_fields
    values = [value for value in re.findall(r'`"(\w+)"`', row)]
    session = emailSMTPSession()
    session.ServerAddress = "smtp.example.com"
    for name, value in zip(re.findall(r"`([A-Za-z]*[oO]ption\w+)`", row), values, strict=False):
        session.Option = getattr(wlanguage, name)
        assert session._settings()["security"] == value


def test_its_user_name_is_the_session_itself() -> None:
    assert any("user name" in line and "session itself" in line for line in README.splitlines()[:24])
