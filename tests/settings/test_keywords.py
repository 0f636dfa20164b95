"""The keywords of a session, the fields of its settings, the signatures for type checkers and the text of ``help()``
are the same settings: with the same defaults, and each with its meaning."""

from __future__ import annotations

import inspect
import pydoc
import subprocess
import sys
from datetime import datetime
from types import UnionType
from typing import Annotated, Any, Literal, Required, Union, get_args, get_origin, get_type_hints

import pytest
from pydantic import AwareDatetime

from wlsmtp import (
    DSN,
    TLS,
    AsyncSMTPSession,
    Attachment,
    ClientCredentials,
    ConfigError,
    DeliverBy,
    DeliveryOptions,
    Network,
    Pipelining,
    PoolLimits,
    Proxy,
    RecipientDSN,
    RefreshToken,
    RetryPolicy,
    SessionConfig,
    SMTPSession,
    Timeouts,
)
from wlsmtp.settings.config import ConfigKeywords, SessionKeywords
from wlsmtp.settings.help import meanings
from wlsmtp.settings.validation import Validated

FACES = [SMTPSession, AsyncSMTPSession]
ALL_MODELS: list[type[Validated]] = [
    SessionConfig, TLS, Timeouts, PoolLimits, Pipelining, RetryPolicy, Network, Proxy, DeliveryOptions, DSN,
    RecipientDSN, DeliverBy, ClientCredentials, RefreshToken, Attachment,
]  # fmt: skip
PLAIN: Any = vars(pydoc)["plaintext"]
WITH_KEYWORDS = [model for model in ALL_MODELS if model._keywords]


def parameters(function: Any) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(function).parameters)


@pytest.mark.parametrize("face", FACES)
def test_each_setting_is_a_keyword_of_a_session_with_the_same_default(face: type) -> None:
    keywords = parameters(face)
    assert list(keywords) == list(SessionConfig.model_fields)
    for name, field in SessionConfig.model_fields.items():
        if name not in ("server", "port"):  # of these, None says that they are not given
            assert keywords[name].default == field.get_default()
            assert keywords[name].kind is inspect.Parameter.KEYWORD_ONLY


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize(
    ("way", "first"), [("from_url", ["url"]), ("from_env", ["environ", "prefix"]), ("from_preset", ["provider"])]
)
def test_each_setting_is_a_keyword_of_the_other_ways_to_a_session(face: type, way: str, first: list[str]) -> None:
    assert list(parameters(getattr(face, way))) == [*first, *SessionConfig.model_fields]
    assert list(parameters(getattr(SessionConfig, way))) == [*first, *SessionConfig.model_fields]


def test_a_type_checker_is_told_of_each_setting_and_of_no_other() -> None:
    assert get_type_hints(ConfigKeywords).keys() == SessionConfig.model_fields.keys()
    assert get_type_hints(SessionKeywords).keys() == SessionConfig.model_fields.keys() - {"server", "port"}


@pytest.mark.parametrize("model", WITH_KEYWORDS)
def test_a_setting_accepts_at_least_what_it_is_then(model: type[Validated]) -> None:
    accepted = get_type_hints(model._keywords[-1], include_extras=True)
    assert accepted.keys() == model.model_fields.keys()
    for name, kept in get_type_hints(model).items():
        if name in accepted:
            assert classes(kept) - {Any} <= classes(accepted[name]), name


def classes(hint: Any) -> set[Any]:
    """The alternatives of a hint, without collections, which are given in many kinds."""
    if get_origin(hint) is Required:
        return classes(get_args(hint)[0]) | {type(None)}
    if get_origin(hint) is Annotated:
        return classes(get_args(hint)[0])
    hints = get_args(hint) if get_origin(hint) in (Union, UnionType) else [hint]
    return {datetime if hint is AwareDatetime else hint for hint in hints if get_origin(hint) in (None, Literal)}


@pytest.mark.parametrize("model", ALL_MODELS)
def test_each_setting_has_a_meaning(model: type[Validated]) -> None:
    assert list(meanings(model)) == list(model.model_fields)


@pytest.mark.parametrize("what", [*FACES, *ALL_MODELS])
def test_help_names_each_setting_with_its_meaning(what: type) -> None:
    model = what if issubclass(what, Validated) else SessionConfig
    text = pydoc.render_doc(what, renderer=PLAIN)
    for name, meaning in meanings(model).items():
        assert f" |  {name}: {meaning.accepts}\n |      {meaning.text.splitlines()[0]}" in text


def test_a_program_without_its_source_has_the_docstring_alone() -> None:
    code = (
        "import inspect, wlsmtp\ndef nothing(_): raise OSError\ninspect.getsource = nothing\nprint(wlsmtp.TLS.__doc__)"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout
    assert shown.startswith("The TLS settings.") and "ca_file" not in shown


def test_a_misspelt_keyword_is_refused_at_run_time_too() -> None:
    wrong: dict[str, Any] = {"paswrd": "y"}
    for face in FACES:
        with pytest.raises(ConfigError, match="paswrd: is not known; did you mean password"):
            face("x", **wrong)
        with pytest.raises(ConfigError, match="paswrd: is not known"):
            face.from_url("smtp://x", **wrong)
